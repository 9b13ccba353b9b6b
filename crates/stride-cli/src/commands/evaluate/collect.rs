//! Features of pictures that come in batches, with the time left.

use std::io::{IsTerminal as _, stderr};

use anyhow::Context as _;
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use stride::image::RgbImage;
use stride_eval::inception::Inception;
use stride_eval::pictures::PictureFolder;
use stride_eval::protocol::Protocol;
use stride_eval::{EvalError, Features};

use super::arguments::Options;
use crate::usage::usage;

/// Features and logits of pictures; the pictures themselves are not kept.
pub(super) struct Collected {
    pub(super) features: Features,
    /// Absent for a network without classes.
    pub(super) logits: Option<Features>,
    pub(super) sha256: String,
}

/// Gathers what Inception says about batches.
pub(super) struct Collector<'a> {
    inception: &'a Inception,
    protocol: Protocol,
    gathered: Option<(Features, Option<Features>)>,
}

impl<'a> Collector<'a> {
    pub(super) fn new(inception: &'a Inception, protocol: Protocol) -> Self {
        Self { inception, protocol, gathered: None }
    }

    pub(super) fn add(&mut self, pictures: &[RgbImage]) -> Result<(), EvalError> {
        let output = self.inception.features(pictures, self.protocol)?;
        match &mut self.gathered {
            None => self.gathered = Some((output.features, output.logits)),
            Some((features, logits)) => {
                features.extend(&output.features)?;
                if let (Some(logits), Some(more)) = (logits, &output.logits) {
                    logits.extend(more)?;
                }
            }
        }
        Ok(())
    }

    pub(super) fn finish(self, sha256: String) -> anyhow::Result<Collected> {
        let (features, logits) = self.gathered.context("no picture was judged")?;
        Ok(Collected { features, logits, sha256 })
    }
}

/// The features of a folder.
pub(super) fn folder(
    folder: &PictureFolder,
    what: &str,
    inception: &Inception,
    options: &Options,
) -> anyhow::Result<Collected> {
    let mut collector = Collector::new(inception, options.protocol.protocol());
    let bar = bar(folder.len(), what);
    let sha256 = folder.for_each_batch(options.batch, |pictures| {
        collector.add(pictures)?;
        bar.inc(pictures.len() as u64);
        Ok(())
    });
    bar.finish_and_clear();
    collector.finish(sha256?)
}

/// The feature network of the arguments.
pub(super) fn inception(options: &Options) -> anyhow::Result<Inception> {
    let Some(path) = &options.inception else {
        return usage(
            "--inception FILE is missing: weights of Inception-v3 as safetensors; \
             `stride evaluate convert-inception --help` tells how to make such a file",
        );
    };
    let bytes = std::fs::read(path).with_context(|| format!("cannot read {}", path.display()))?;
    let variant = options.variant.variant();
    let name = path.display().to_string();
    Ok(Inception::load(&name, &bytes, variant, &options.device.device())?)
}

/// A bar on stderr where that is a terminal, nothing elsewhere.
pub(super) fn bar(total: usize, what: &str) -> ProgressBar {
    let target = match stderr().is_terminal() {
        true => ProgressDrawTarget::stderr(),
        false => ProgressDrawTarget::hidden(),
    };
    let style = ProgressStyle::with_template("{msg} {bar:30} {pos}/{len} pictures  {eta} left")
        .unwrap_or_else(|_| ProgressStyle::default_bar());
    ProgressBar::with_draw_target(Some(total as u64), target)
        .with_style(style)
        .with_message(what.to_owned())
}
