//! The arguments of `stride bench`.

use std::path::PathBuf;

use clap::{Args, ValueEnum};

use super::presets::Preset;
use crate::compute::ComputeOptions;

/// Measure how fast this machine runs each part of a model
///
/// Prints one row per part: repetitions, shortest and median time, arithmetic (GFLOP, counted from
/// the shapes), its rate, that rate as a fraction of the processor's measured peak, and the peak
/// memory of the process so far.
#[derive(Debug, Args)]
pub(crate) struct Bench {
    /// Model folder [default: the model inside this program]
    #[arg(long, value_name = "DIR", conflicts_with = "preset")]
    pub(super) model: Option<PathBuf>,
    /// Standard networks with random weights, instead of a model
    #[arg(long, value_enum)]
    pub(super) preset: Option<Preset>,
    /// Measure only these groups of rows
    #[arg(long, value_enum, value_name = "GROUPS", value_delimiter = ',')]
    pub(super) only: Vec<Group>,
    /// Repetitions per row, after one to warm up
    #[arg(long, value_name = "N", default_value = "10", value_parser = parse_reps)]
    pub(super) reps: usize,
    /// Start no further repetition of a row after this many seconds
    #[arg(long, value_name = "S", default_value = "20", value_parser = parse_seconds)]
    pub(super) seconds: f64,
    #[command(flatten)]
    pub(super) compute: ComputeOptions,
    /// Print one JSON object instead of a table
    #[arg(long)]
    pub(super) json: bool,
}

/// Rows that belong together.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum Group {
    /// Encoding a caption
    Text,
    /// One sampling step for 1, 4 and 16 images at once
    Denoise,
    /// Decoding latents to an image
    Decode,
    /// From prompt to image in memory, in 1, 4 and 128 steps
    E2e,
    /// One step of shortcut training, and its phases
    Train,
}

impl Bench {
    /// Whether the rows of a group are wanted.
    pub(super) fn wants(&self, group: Group) -> bool {
        self.only.is_empty() || self.only.contains(&group)
    }
}

fn parse_reps(text: &str) -> Result<usize, String> {
    match text.trim().parse() {
        Ok(reps) if reps >= 1 => Ok(reps),
        _ => Err("expected a whole number of at least 1".to_owned()),
    }
}

fn parse_seconds(text: &str) -> Result<f64, String> {
    match text.trim().parse::<f64>() {
        // A year, which a duration can hold.
        Ok(seconds) if (0.0..=3.2e7).contains(&seconds) => Ok(seconds),
        _ => Err("expected a number of seconds".to_owned()),
    }
}
