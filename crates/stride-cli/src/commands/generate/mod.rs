//! `stride generate`: generates images from a prompt. Here are its flags; `run.rs` is what it does.

mod report;
mod run;
mod targets;

use std::path::PathBuf;

use clap::Args;
use stride::objective::BASE_STEPS;
use stride::pipeline::{GenerateError, MAX_CFG_SCALE};

use crate::compute::ComputeOptions;

/// The most images of one call; more are a loop in the shell.
const MAX_COUNT: usize = 1000;

/// Generate images from a prompt
///
/// Writes PNG files, each as soon as it is drawn, and prints their names; a file of that name is overwritten. The
/// same prompt, seed, steps and model give the same file on processors with the same vector instructions (AVX2 and
/// AVX-512 round differently).
#[derive(Debug, Args)]
pub(crate) struct Generate {
    /// What the images should show; several arguments are joined with spaces, and "" is the empty prompt
    #[arg(required = true, value_name = "PROMPT")]
    prompt: Vec<String>,
    /// Sampling steps, any number from 1 to 128 [default: the model's]
    #[arg(long, value_name = "N", value_parser = parse_steps)]
    steps: Option<usize>,
    /// Seed of the noise; image k has seed S + k [default: random, and printed]
    #[arg(short, long, value_name = "S")]
    seed: Option<u64>,
    /// Number of images
    #[arg(long, alias = "batch-count", value_name = "N", default_value = "1", value_parser = parse_count)]
    count: usize,
    /// Guidance scale; 1 disables guidance and halves the cost [default: the model's]
    #[arg(long, alias = "cfg_scale", value_name = "W", value_parser = parse_cfg_scale)]
    cfg_scale: Option<f64>,
    /// Negative prompt: what guidance steers away from, instead of the empty prompt
    #[arg(short, long, alias = "negative_prompt", value_name = "TEXT")]
    negative_prompt: Option<String>,
    /// Draw the prompt as it is; otherwise a model that can chooses what it leaves open, by the seed, and says so
    #[arg(long)]
    as_typed: bool,
    /// Model folder [default: the model inside this program]
    #[arg(long, value_name = "DIR")]
    model: Option<PathBuf>,
    /// PNG file to write; several images become FILE-0.png, FILE-1.png, ... [default: stride-SEED.png]
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,
    /// Refuse to overwrite files, instead of saying that it is done
    #[arg(long)]
    no_clobber: bool,
    /// Also write one PNG file that shows the intermediate steps, one row per image
    #[arg(long, value_name = "FILE")]
    strip: Option<PathBuf>,
    /// Show only these steps in the strip, e.g. 1,2,4
    #[arg(long, value_name = "STEPS", requires = "strip", value_delimiter = ',', value_parser = parse_steps)]
    strip_steps: Vec<usize>,
    #[command(flatten)]
    compute: ComputeOptions,
    /// Print one JSON object instead of file names
    #[arg(long)]
    json: bool,
    /// Do not store in the images how they were made
    #[arg(long)]
    disable_image_metadata: bool,
}

/// A number of steps that every model can take.
pub(crate) fn parse_steps(text: &str) -> Result<usize, String> {
    parse_within(text, BASE_STEPS)
}

/// A number of images of one prompt.
pub(crate) fn parse_count(text: &str) -> Result<usize, String> {
    parse_within(text, MAX_COUNT)
}

fn parse_within(text: &str, max: usize) -> Result<usize, String> {
    match text.trim().parse() {
        Ok(number) if (1..=max).contains(&number) => Ok(number),
        _ => Err(format!("expected a whole number in 1..={max}")),
    }
}

fn parse_cfg_scale(text: &str) -> Result<f64, String> {
    match text.trim().parse::<f64>() {
        Ok(scale) if (0.0..=MAX_CFG_SCALE).contains(&scale) => Ok(scale),
        _ => Err(GenerateError::GuidanceScale(text.trim().parse().unwrap_or(f64::NAN)).to_string()),
    }
}
