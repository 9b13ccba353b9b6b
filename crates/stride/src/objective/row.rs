//! What one row of a training batch is for, and how its time is drawn.

use serde::{Deserialize, Serialize};

use super::error::{ObjectiveError, check_fractions, check_positive};
use crate::network_input::{BASE_LEVEL, BASE_STEPS};
use crate::noise::{self, ChaCha8Rng};

/// What one row of a training batch is for.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Row {
    /// Which target it gets.
    pub kind: RowKind,
    /// The time t in [0, 1).
    pub t: f64,
    /// The level k = -log2 d it asks the student for, a real number in [0, 7].
    pub log2_steps: f64,
    /// The guidance scale it asks the student for; 1 disables guidance.
    pub guidance_scale: f64,
    /// Whether its caption is replaced by the empty one.
    pub drop_caption: bool,
}

/// The target of a row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RowKind {
    /// Made of the teacher's answers.
    Bootstrap,
    /// The velocity of the straight path.
    Flow,
    /// The noise or velocity of the diffusion process.
    Diffusion,
}

/// Names of the losses of bootstrap rows, by level.
const LEVEL_NAMES: [&str; BASE_LEVEL as usize + 1] = [
    "loss_d1",
    "loss_d1/2",
    "loss_d1/4",
    "loss_d1/8",
    "loss_d1/16",
    "loss_d1/32",
    "loss_d1/64",
    "loss_d1/128",
];

impl Row {
    /// A row that regresses the velocity of the straight path at d = 0.
    pub fn flow(t: f64) -> Self {
        Self {
            kind: RowKind::Flow,
            t,
            log2_steps: f64::from(BASE_LEVEL),
            guidance_scale: 1.0,
            drop_caption: false,
        }
    }

    /// The step size d = 2^-k.
    pub fn step_size(&self) -> f64 {
        // Exact for whole levels.
        if self.log2_steps.fract() == 0.0 {
            0.5f64.powi(self.log2_steps as i32)
        } else {
            (-self.log2_steps).exp2()
        }
    }

    /// Whether its target is made of the teacher's answers.
    pub fn needs_teacher(&self) -> bool {
        self.kind == RowKind::Bootstrap
    }

    /// The name of its loss in the record: bootstrap rows by the nearest level.
    pub fn loss_name(&self) -> &'static str {
        match self.kind {
            RowKind::Bootstrap => {
                let level = self.log2_steps.round().clamp(0.0, f64::from(BASE_LEVEL));
                LEVEL_NAMES[level as usize]
            }
            RowKind::Flow => "loss_flow",
            RowKind::Diffusion => "loss_diffusion",
        }
    }
}

/// How many rows at the start of a plan need the teacher.
pub(super) fn num_leading(rows: &[Row]) -> usize {
    rows.iter().take_while(|row| row.needs_teacher()).count()
}

/// The distribution of t on flow-matching rows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum FlowTime {
    /// Uniform on the grid {0, 1/128, ..., 127/128}.
    #[default]
    Grid,
    /// sigmoid(N(mean, std)), mixed with uniform draws from [0, 1) that keep the ends.
    LogitNormal {
        /// Mean of the normal; negative leans towards noise.
        mean: f64,
        /// Its standard deviation.
        std: f64,
        /// Fraction of the rows drawn uniformly instead.
        #[serde(alias = "uniform_share")]
        uniform_fraction: f64,
    },
}

impl FlowTime {
    /// Draws t in [0, 1).
    pub(super) fn draw(&self, rng: &mut ChaCha8Rng) -> f64 {
        match *self {
            Self::Grid => noise::below(rng, BASE_STEPS) as f64 / BASE_STEPS as f64,
            Self::LogitNormal { mean, std, uniform_fraction } => {
                if noise::uniform(rng) < uniform_fraction {
                    noise::uniform(rng)
                } else {
                    draw_sigmoid(mean, std, rng)
                }
            }
        }
    }

    /// Draws a flow-matching row.
    pub(super) fn draw_row(&self, cond_dropout_prob: f64, rng: &mut ChaCha8Rng) -> Row {
        let t = self.draw(rng);
        Row { drop_caption: noise::uniform(rng) < cond_dropout_prob, ..Row::flow(t) }
    }

    /// Draws a batch: `num_leading` rows by `leading`, then flow-matching rows.
    pub(super) fn draw_rows_after(
        &self,
        num_leading: usize,
        leading: impl Fn(usize, &mut ChaCha8Rng) -> Row,
        cond_dropout_prob: f64,
        rngs: &mut [ChaCha8Rng],
    ) -> Vec<Row> {
        let draw = |(index, rng): (usize, &mut ChaCha8Rng)| {
            if index < num_leading {
                leading(index, rng)
            } else {
                self.draw_row(cond_dropout_prob, rng)
            }
        };
        rngs.iter_mut().enumerate().map(draw).collect()
    }

    pub(super) fn validate(&self) -> Result<(), ObjectiveError> {
        match *self {
            Self::Grid => Ok(()),
            Self::LogitNormal { mean, std, uniform_fraction } => {
                check_fractions(&[("uniform_fraction", uniform_fraction)])?;
                check_positive("flow_time.std", std)?;
                // The mean may be negative; its exponential tells whether it is a number.
                check_positive("exp(flow_time.mean)", mean.exp())
            }
        }
    }
}

/// Draws sigmoid(N(mean, std)), in (0, 1).
pub(super) fn draw_sigmoid(mean: f64, std: f64, rng: &mut ChaCha8Rng) -> f64 {
    let logit = mean + std * noise::normal(rng);
    1.0 / (1.0 + (-logit).exp())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn losses_are_named_by_the_nearest_level() {
        let name =
            |log2_steps| Row { kind: RowKind::Bootstrap, log2_steps, ..Row::flow(0.0) }.loss_name();
        assert_eq!(
            [0.0, 0.4, 2.6, 6.0].map(name),
            ["loss_d1", "loss_d1", "loss_d1/8", "loss_d1/64"]
        );
        assert_eq!(Row::flow(0.5).loss_name(), "loss_flow");
    }
}
