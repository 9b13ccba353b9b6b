//! Two sets of images, or a set and a file of statistics.

use std::fs;
use std::io::Write as _;
use std::path::Path;

use anyhow::Context as _;
use sha2::{Digest as _, Sha256};
use stride_eval::certificate::{Certificate, Set};
use stride_eval::images::{ImageSet, hex};
use stride_eval::npz::{has_statistics, read_statistics, statistics_bytes};
use stride_eval::statistics::Gaussian;
use stride_kernels::workers::{Workers, split_evenly};

use super::arguments::{Evaluate, Job};
use super::judged::{BATCH, Judged};
use super::networks::{self, Networks};
use super::scores::{Reference, Scores};
use crate::output::{check_writable, write_whole};
use crate::usage::usage;

impl Evaluate {
    /// Prints the distances between two sets of images.
    pub(super) fn compare_sets(&self, samples: &Path, reference: &Path) -> anyhow::Result<()> {
        // Everything that can be refused comes before minutes of work.
        let samples_set = ImageSet::open(samples, None)?;
        let networks = Networks::load(&self.job)?;
        let reference = self.reference(reference, &networks)?;
        let samples = judge(&samples_set, "samples", &networks, &self.job)?;
        let sets = [
            Set { count: Some(samples.features.len()), sha256: samples.sha256() },
            reference.set(),
        ];
        let certificate =
            Certificate::new(networks.of_features(), self.job.protocol.protocol(), sets, None);
        let scores = Scores::of(&samples, &reference, certificate, &self.job)?;

        let mut stdout = std::io::stdout();
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
        writeln!(stdout, "certificate: {}", scores.certificate)?;
        Ok(())
    }

    /// The features of a set of images, or the statistics in an `.npz` file.
    fn reference(&self, path: &Path, networks: &Networks) -> anyhow::Result<Reference> {
        let target = self.save_statistics.as_deref();
        if has_statistics(path)? {
            if target.is_some() {
                return usage("--save-statistics: the reference is a file of statistics already");
            }
            let gaussian = read_statistics(path, Some(networks.of_features().width()))?;
            let bytes =
                fs::read(path).with_context(|| format!("cannot read {}", path.display()))?;
            return Ok(Reference { gaussian, judged: None, sha256: hex(&Sha256::digest(bytes)) });
        }
        if let Some(target) = target {
            check_writable(target)?;
        }
        let judged = judge(&ImageSet::open(path, None)?, "reference", networks, &self.job)?;
        let reference = Reference::of(judged)?;
        if let Some(target) = target {
            write_whole(target, &statistics_bytes(&reference.gaussian)?)?;
        }
        Ok(reference)
    }
}

impl Reference {
    /// Images as a reference.
    pub(super) fn of(judged: Judged) -> anyhow::Result<Self> {
        let gaussian = Gaussian::of(&judged.features)?;
        let sha256 = judged.sha256();
        Ok(Self { gaussian, judged: Some(judged), sha256 })
    }
}

/// What the network says about a set of images.
fn judge(set: &ImageSet, what: &str, networks: &Networks, job: &Job) -> anyhow::Result<Judged> {
    let bar = networks::bar(set.len() as u64, what);
    let mut all: Option<Judged> = None;
    let protocol = job.protocol.protocol();
    let workers = Workers::per_core()?;
    set.for_each_batch(BATCH * workers.count(), |images| {
        let shares = split_evenly(images.len(), workers.count());
        for judged in workers.run(shares, |share| networks.look(&images[share], protocol)) {
            match &mut all {
                Some(all) => all.extend(&judged?)?,
                None => all = Some(judged?),
            }
        }
        bar.inc(images.len() as u64);
        Ok(())
    })?;
    bar.finish_and_clear();
    all.context("no image was judged")
}
