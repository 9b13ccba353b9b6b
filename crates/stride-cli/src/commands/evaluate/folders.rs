//! Two sets of images, or a set and a file of statistics.

use std::io::Write as _;
use std::path::Path;

use stride_eval::evaluator::{FeatureNetworks, Reference, SampleFeatures, Scores};
use stride_eval::images::ImageSet;
use stride_eval::npz::{has_statistics, statistics_bytes};
use stride_eval::provenance::{Provenance, Set};
use stride_files::{check_writable, write_whole};
use stride_kernels::workers::Workers;

use super::arguments::Evaluate;
use super::job::Job;
use super::networks;
use super::progress::ProgressBar;
use crate::usage::usage;

impl Evaluate {
    /// Prints the distances between two sets of images.
    pub(super) fn compare_sets(&self, samples: &Path, reference: &Path) -> anyhow::Result<()> {
        // Everything that can be refused comes before minutes of work.
        let samples = ImageSet::open(samples, None)?;
        let networks = networks::load(&self.job)?;
        let reference = self.reference(reference, &networks)?;
        let samples = extract(&samples, "samples", &networks, &self.job)?;
        let sets = [Set { count: Some(samples.len()), sha256: samples.sha256() }, reference.set()];
        let protocol = self.job.protocol.protocol();
        let provenance = Provenance::new(networks.feature_network(), protocol, sets, None);
        let (bootstrap, seed) = (self.job.bootstrap, self.job.seed);
        let scores = Scores::of(&samples, &reference, provenance, bootstrap, seed)?;

        let mut stdout = crate::terminal::stdout();
        if self.json {
            writeln!(stdout, "{}", serde_json::to_string(&scores)?)?;
            return Ok(());
        }
        for (name, value) in scores.lines() {
            writeln!(stdout, "{name}: {value}")?;
        }
        if let Some(flag) = &scores.flag {
            writeln!(stdout, "careful: {flag}")?;
        }
        writeln!(stdout, "provenance: {}", scores.provenance)?;
        Ok(())
    }

    /// The features of a set of images, or the statistics in an `.npz` file.
    fn reference(&self, path: &Path, networks: &FeatureNetworks) -> anyhow::Result<Reference> {
        let target = self.save_statistics.as_deref();
        if has_statistics(path)? {
            if target.is_some() {
                return usage("--save-statistics: the reference is a file of statistics already");
            }
            return Ok(Reference::of_statistics(path, networks.feature_network().width())?);
        }
        if let Some(target) = target {
            check_writable(target)?;
        }
        let samples = extract(&ImageSet::open(path, None)?, "reference", networks, &self.job)?;
        let reference = Reference::of_samples(samples)?;
        if let Some(target) = target {
            write_whole(target, &statistics_bytes(&reference.gaussian)?)?;
        }
        Ok(reference)
    }
}

/// The features of a set of images.
fn extract(
    set: &ImageSet,
    what: &str,
    networks: &FeatureNetworks,
    job: &Job,
) -> anyhow::Result<SampleFeatures> {
    let bar = ProgressBar::new(what);
    let (workers, protocol) = (Workers::on(&job.compute.device()?)?, job.protocol.protocol());
    let samples = networks.extract_set(&workers, set, protocol, &mut |images| {
        bar.advance(set.len(), images);
        Ok(())
    })?;
    bar.finish();
    Ok(samples)
}
