//! The networks that look at pictures.

use std::io::{IsTerminal as _, stderr};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use stride_eval::inception::Inception;
use stride_eval::network::FeatureNetwork;

use super::arguments::Job;
use crate::usage::usage;

/// The feature network of a job.
pub(super) fn load(job: &Job) -> anyhow::Result<Box<dyn FeatureNetwork>> {
    match &job.inception {
        Some(path) => {
            Ok(Box::new(Inception::open(path, job.variant.variant(), &job.device.device())?))
        }
        None => usage(
            "--inception FILE is missing: weights of Inception-v3; `stride evaluate convert-inception --help` tells how \
             to make such a file",
        ),
    }
}

/// A bar on stderr where that is a terminal, nothing elsewhere.
pub(super) fn bar(total: u64, what: &str) -> ProgressBar {
    let target = match stderr().is_terminal() {
        true => ProgressDrawTarget::stderr(),
        false => ProgressDrawTarget::hidden(),
    };
    let style = ProgressStyle::with_template("{msg} {bar:30} {percent}%  {eta} left")
        .unwrap_or_else(|_| ProgressStyle::default_bar());
    ProgressBar::with_draw_target(Some(total), target)
        .with_style(style)
        .with_message(what.to_owned())
}
