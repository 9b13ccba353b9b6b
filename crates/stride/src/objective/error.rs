//! Settings that cannot be trained, and the checks that find them.

use thiserror::Error;

/// An objective that cannot be trained as configured.
#[derive(Debug, Error, PartialEq)]
pub enum ObjectiveError {
    /// A fraction or probability is out of range.
    #[error("objective: {name} must lie in [0, 1], found {value}")]
    NotAFraction {
        /// The setting.
        name: &'static str,
        /// Its value.
        value: f64,
    },
    /// A number must be positive.
    #[error("objective: {name} must be positive and finite, found {value}")]
    NotPositive {
        /// The setting.
        name: &'static str,
        /// Its value.
        value: f64,
    },
    /// The batch leaves a level without rows.
    #[error(
        "objective: a fraction of {fraction} of {batch_size} rows makes {rows} self-consistency rows, \
         fewer than the {levels} levels; raise the batch size or the fraction, or set levels = \"random\""
    )]
    TooFewRows {
        /// The configured fraction.
        fraction: f64,
        /// Rows of the batch.
        batch_size: usize,
        /// Self-consistency rows among them.
        rows: usize,
        /// Levels to fill.
        levels: usize,
    },
    /// A setting is out of range, or contradicts another.
    #[error("objective: {name}: expected {expected}, found {found}")]
    Unfit {
        /// The setting.
        name: &'static str,
        /// What it must be.
        expected: &'static str,
        /// What it is.
        found: String,
    },
}

pub(super) fn check_fractions(fractions: &[(&'static str, f64)]) -> Result<(), ObjectiveError> {
    let is_fraction = |value: &f64| (0.0..=1.0).contains(value);
    match fractions.iter().find(|(_, value)| !is_fraction(value)) {
        Some(&(name, value)) => Err(ObjectiveError::NotAFraction { name, value }),
        None => Ok(()),
    }
}

pub(super) fn check_positive(name: &'static str, value: f64) -> Result<(), ObjectiveError> {
    if value.is_finite() && value > 0.0 {
        Ok(())
    } else {
        Err(ObjectiveError::NotPositive { name, value })
    }
}

/// Fails with what was expected unless it holds.
pub(super) fn check(
    holds: bool,
    name: &'static str,
    expected: &'static str,
    found: impl ToString,
) -> Result<(), ObjectiveError> {
    if holds {
        Ok(())
    } else {
        Err(ObjectiveError::Unfit { name, expected, found: found.to_string() })
    }
}
