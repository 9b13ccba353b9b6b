//! Two folders, or a folder and a file of statistics.

use std::fs;
use std::io::Write as _;
use std::path::Path;

use anyhow::Context as _;
use sha2::{Digest as _, Sha256};
use stride_eval::certificate::{Certificate, Drawing};
use stride_eval::inception::Inception;
use stride_eval::npz::{read_statistics, statistics_bytes};
use stride_eval::pictures::{PictureFolder, hex};
use stride_eval::statistics::Gaussian;

use super::arguments::{Evaluate, Options};
use super::collect::{self, Collected};
use super::result::{Reference, Scores};
use crate::output::{check_writable, write_whole};
use crate::usage::usage;

impl Evaluate {
    /// Prints the distances between two sets of pictures.
    pub(super) fn compare_folders(&self, samples: &Path, reference: &Path) -> anyhow::Result<()> {
        let options = &self.options;
        // Everything that can be refused comes before minutes of work.
        let samples_folder = PictureFolder::open(samples, None)?;
        let inception = collect::inception(options)?;
        let reference = Reference::read(reference, &inception, options)?;
        let samples = collect::folder(&samples_folder, "samples", &inception, options)?;
        let certificate = certificate(options, &inception, &samples, &reference, None);
        let scores = Scores::of(&samples, &reference, certificate, options.bootstrap, self.seed)?;

        let mut stdout = std::io::stdout();
        if options.json {
            writeln!(stdout, "{}", serde_json::to_string(&scores)?)?;
            return Ok(());
        }
        for (name, value) in scores.lines() {
            writeln!(stdout, "{name}: {value}")?;
        }
        if let Some(flag) = scores.flag() {
            writeln!(stdout, "careful: {flag}")?;
        }
        writeln!(stdout, "certificate: {}", scores.certificate())?;
        Ok(())
    }
}

impl Reference {
    /// The features of a folder, or the statistics in an `.npz` file.
    pub(super) fn read(
        path: &Path,
        inception: &Inception,
        options: &Options,
    ) -> anyhow::Result<Self> {
        let target = options.save_statistics.as_deref();
        if path.extension().is_some_and(|ending| ending == "npz") {
            if target.is_some() {
                return usage("--save-statistics: the reference is a file of statistics already");
            }
            let gaussian = read_statistics(path, Some(inception.width()))?;
            let bytes =
                fs::read(path).with_context(|| format!("cannot read {}", path.display()))?;
            return Ok(Self { gaussian, features: None, sha256: hex(&Sha256::digest(bytes)) });
        }
        if let Some(target) = target {
            check_writable(target)?;
        }
        let folder = PictureFolder::open(path, None)?;
        let Collected { features, sha256, .. } =
            collect::folder(&folder, "reference", inception, options)?;
        let gaussian = Gaussian::of(&features)?;
        if let Some(target) = target {
            write_whole(target, &statistics_bytes(&gaussian)?)?;
        }
        Ok(Self { gaussian, features: Some(features), sha256 })
    }
}

/// What the numbers of these samples depend on.
pub(super) fn certificate(
    options: &Options,
    inception: &Inception,
    samples: &Collected,
    reference: &Reference,
    drawing: Option<Drawing>,
) -> Certificate {
    Certificate {
        protocol: options.protocol.protocol(),
        network: inception.variant(),
        weights_sha256: inception.weights_sha256().to_owned(),
        width: inception.width(),
        samples: samples.features.len(),
        samples_sha256: samples.sha256.clone(),
        references: reference.gaussian.count,
        references_sha256: reference.sha256.clone(),
        drawing,
    }
}
