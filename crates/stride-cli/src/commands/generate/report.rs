//! What `--json` prints of a run.

use std::path::PathBuf;

use serde::Serialize;
use stride::pipeline::{Record, RecordSettings};

/// What `--json` prints.
#[derive(Serialize)]
pub(super) struct Report<'a> {
    files: Vec<FileReport<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    strip: Option<&'a PathBuf>,
    #[serde(flatten)]
    settings: RecordSettings<'a>,
    timings_ms: Timings,
}

#[derive(Serialize)]
struct FileReport<'a> {
    file: &'a PathBuf,
    seed: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    completed_prompt: Option<&'a str>,
}

/// What sets the images of one run apart.
pub(super) struct Origin {
    pub(super) seed: u64,
    /// The prompt that it was drawn from.
    pub(super) prompt: String,
}

#[derive(Serialize)]
pub(super) struct Timings {
    pub(super) load: f64,
    pub(super) generate: f64,
    pub(super) write: f64,
    pub(super) total: f64,
}

impl<'a> Report<'a> {
    /// The files with the origins of their images, and how they were made.
    pub(super) fn new(
        record: &Record<'a>,
        files: impl Iterator<Item = (&'a PathBuf, &'a Origin)>,
        strip: Option<&'a PathBuf>,
        timings_ms: Timings,
    ) -> Self {
        let file = |(file, Origin { seed, prompt }): (_, &'a Origin)| FileReport {
            file,
            seed: *seed,
            completed_prompt: record.completed(prompt),
        };
        Self { files: files.map(file).collect(), strip, settings: record.settings(), timings_ms }
    }
}
