//! What can be said about an image to draw, on the command line or in a line of a file of prompts.

use std::str::FromStr;

use serde::Deserialize;
use stride::objective::BASE_STEPS;
use stride::pipeline::{GenerateError, MAX_CFG_SCALE};

use crate::usage::usage;

/// The most images of one call; more are a loop in the shell.
pub(super) const MAX_COUNT: usize = 100_000;
/// The most images of one pass.
pub(super) const MAX_BATCH: usize = 256;
/// The most frames between two images.
pub(super) const MAX_FRAMES: usize = 1000;

/// A prompt, and what is said about it alone.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Settings {
    #[serde(alias = "text")]
    pub(super) prompt: String,
    pub(super) negative_prompt: Option<String>,
    pub(super) as_typed: Option<bool>,
    pub(super) steps: Option<usize>,
    pub(super) cfg_scale: Option<f64>,
    pub(super) seed: Option<Seed>,
    pub(super) count: Option<usize>,
    pub(super) output: Option<String>,
}

impl Settings {
    /// A prompt about which nothing else is said.
    pub(super) fn of(prompt: impl Into<String>) -> Self {
        Self { prompt: prompt.into(), ..Self::default() }
    }

    /// Refuses what the flags would refuse; `place` names where it stands.
    pub(super) fn check(&self, place: &str) -> anyhow::Result<()> {
        let problem = if self.steps.is_some_and(|steps| !(1..=BASE_STEPS).contains(&steps)) {
            format!("steps: expected a whole number in 1..={BASE_STEPS}")
        } else if self.count.is_some_and(|count| !(1..=MAX_COUNT).contains(&count)) {
            format!("count: expected a whole number in 1..={MAX_COUNT}")
        } else if let Some(scale) =
            self.cfg_scale.filter(|scale| !(0.0..=MAX_CFG_SCALE).contains(scale))
        {
            format!("cfg_scale: {}", GenerateError::GuidanceScale(scale))
        } else {
            return Ok(());
        };
        usage(format!("{place}: {problem}"))
    }
}

/// A seed as people write it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(try_from = "i128")]
pub(super) enum Seed {
    /// -1.
    Random,
    /// A seed.
    Is(u64),
}

impl TryFrom<i128> for Seed {
    type Error = String;

    fn try_from(number: i128) -> Result<Self, String> {
        match number {
            -1 => Ok(Self::Random),
            _ => u64::try_from(number).map(Self::Is).map_err(|_| {
                format!("expected a seed from 0 to {}, or -1 for a random one", u64::MAX)
            }),
        }
    }
}

impl FromStr for Seed {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        Self::try_from(text.trim().parse::<i128>().unwrap_or(i128::MIN))
    }
}

impl Seed {
    /// The seed itself; a random one has ten digits at most, so that people can type it again.
    pub(super) fn draw(self) -> anyhow::Result<u64> {
        match self {
            Self::Is(seed) => Ok(seed),
            Self::Random => getrandom::u32()
                .map(u64::from)
                .map_err(|error| anyhow::anyhow!("no random seed: {error}; name one with --seed")),
        }
    }
}

/// The seeds of `--seeds`, in the order in which they were written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct SeedList(pub(super) Vec<u64>);

/// `7`, `0-49` or `1,5,20-29`.
pub(super) fn parse_seeds(text: &str) -> Result<SeedList, String> {
    let mut seeds = Vec::new();
    for part in text.split(',').map(str::trim) {
        let (first, last) = part.split_once('-').unwrap_or((part, part));
        let range = first.trim().parse::<u64>().ok().zip(last.trim().parse::<u64>().ok());
        let Some((first, last)) = range.filter(|(first, last)| first <= last) else {
            return Err(format!("expected seeds such as 7, 0-49 or 1,5,20-29, found {part:?}"));
        };
        let most = (MAX_COUNT - seeds.len()) as u64;
        if last - first >= most {
            return Err(format!("expected at most {MAX_COUNT} seeds"));
        }
        seeds.extend(first..=last);
    }
    Ok(SeedList(seeds))
}

/// A number of steps that every model can take.
pub(crate) fn parse_steps(text: &str) -> Result<usize, String> {
    parse_within(text, BASE_STEPS)
}

/// A number of images of one prompt.
pub(crate) fn parse_count(text: &str) -> Result<usize, String> {
    parse_within(text, MAX_COUNT)
}

pub(super) fn parse_within(text: &str, max: usize) -> Result<usize, String> {
    match text.trim().parse() {
        Ok(number) if (1..=max).contains(&number) => Ok(number),
        _ => Err(format!("expected a whole number in 1..={max}")),
    }
}

pub(super) fn parse_cfg_scale(text: &str) -> Result<f64, String> {
    match text.trim().parse::<f64>() {
        Ok(scale) if (0.0..=MAX_CFG_SCALE).contains(&scale) => Ok(scale),
        _ => Err(GenerateError::GuidanceScale(text.trim().parse().unwrap_or(f64::NAN)).to_string()),
    }
}

pub(super) fn parse_strength(text: &str) -> Result<f64, String> {
    match text.trim().parse::<f64>() {
        Ok(strength) if strength > 0.0 && strength <= 1.0 => Ok(strength),
        _ => Err("expected a number of more than 0 and at most 1".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn seeds_are_read_as_people_write_them() {
        let seeds = |text: &str| parse_seeds(text).map(|SeedList(seeds)| seeds);
        assert_eq!(seeds("7"), Ok(vec![7]));
        assert_eq!(seeds("3-5, 1,9-9"), Ok(vec![3, 4, 5, 1, 9]));
        let last = u64::MAX.to_string();
        assert_eq!(seeds(&last), Ok(vec![u64::MAX]));
        for wrong in ["", "5-3", "-1", "a", "1-", "0-100000", "0-18446744073709551615", "1,,2"] {
            assert!(seeds(wrong).is_err(), "{wrong}");
        }
        assert_eq!("-1".parse(), Ok(Seed::Random));
        assert_eq!(last.parse(), Ok(Seed::Is(u64::MAX)));
        for wrong in ["-2", "18446744073709551616", "x", "1.5"] {
            assert!(wrong.parse::<Seed>().is_err(), "{wrong}");
        }
    }
}
