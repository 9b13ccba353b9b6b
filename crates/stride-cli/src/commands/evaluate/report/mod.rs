//! What an evaluation found, as a page, as Markdown and as JSON.

mod markdown;
mod page;
mod table;

use std::collections::BTreeMap;
use std::io::Write as _;
use std::path::Path;

use serde::Serialize;
use stride_eval::report::chart::Points;

use super::gallery::Gallery;
use super::scores::Scores;
use super::study::{Diversity, Study};
use crate::output::write_whole;

/// Everything a run found.
#[derive(Debug, Serialize)]
pub(super) struct Report {
    pub(super) version: String,
    pub(super) model: String,
    pub(super) model_hash: String,
    pub(super) samples: usize,
    pub(super) seed: u64,
    pub(super) cfg_scale: f64,
    /// Network and weights that made the features.
    pub(super) features: String,
    /// SHA-256 of CLIP's files, where CLIP looked on.
    pub(super) clip_sha256: Option<String>,
    /// On the data, and on held-out data.
    pub(super) studies: Vec<Study>,
    pub(super) diversity: Option<Diversity>,
    /// On the way of the training run.
    pub(super) checkpoints: Vec<Checkpoint>,
    /// Smoothed curves of the training run by name.
    pub(super) losses: BTreeMap<String, Points>,
}

/// A checkpoint at one step count.
#[derive(Debug, Serialize)]
pub(super) struct Checkpoint {
    pub(super) training_step: u64,
    pub(super) scores: Scores,
}

impl Report {
    /// Writes `report.html`, which needs no other file, `report.md` with `steps.jpg`, and `report.json`.
    pub(super) fn write(&self, out: &Path, gallery: &Gallery) -> anyhow::Result<()> {
        for (name, bytes) in [
            ("report.html", page::html(self, gallery).into_bytes()),
            ("report.md", markdown::with_images(self, gallery).into_bytes()),
            ("steps.jpg", gallery.sheet.clone()),
            ("report.json", serde_json::to_vec_pretty(self)?),
        ] {
            write_whole(&out.join(name), &bytes)?;
        }
        Ok(())
    }

    /// The tables, or the JSON, on stdout.
    pub(super) fn print(&self, is_json: bool) -> anyhow::Result<()> {
        let text = if is_json { serde_json::to_string(self)? } else { markdown::tables(self) };
        writeln!(std::io::stdout(), "{}", text.trim_end())?;
        Ok(())
    }

    /// One sentence on what was done.
    fn summary(&self) -> String {
        format!(
            "{} images for each step count, generated from the same noise (seeds from {}) with guidance {} by the model {} \
             ({}), compared with as many real ones; features: {}.",
            self.samples, self.seed, self.cfg_scale, self.model, self.model_hash, self.features
        )
    }
}

/// What frames the CLIP scores of a study.
fn clip_frame(report: &Report, study: &Study) -> Option<String> {
    let (real, sha256) = (study.real_clip?, report.clip_sha256.as_ref()?);
    let digits = sha256.get(..10).unwrap_or(sha256);
    let nearest = real.r_precision.map_or_else(String::new, |share| {
        format!(", and {:.1} % of them are nearest to their own of 100 captions", 1e2 * share)
    });
    Some(format!(
        "CLIP (weights {digits}) scores real images {:.2} with their own captions and {:.2} with the next image's{nearest}.",
        real.own, real.shuffled
    ))
}

/// The heading of a study.
fn heading(study: &Study) -> &'static str {
    match study.label.as_str() {
        "heldout" => "Combinations that training never saw",
        _ => "Quality by number of steps",
    }
}
