//! What `--json` prints of images and how they were made.

use std::path::PathBuf;

use serde::Serialize;
use stride::pipeline::{GenerateRequest, ImageRecord, ModelRecord, Record};

/// What `--json` prints.
#[derive(Serialize)]
pub(super) struct Report<'a> {
    files: Vec<FileReport<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    strip: Option<&'a PathBuf>,
    #[serde(skip_serializing_if = "Option::is_none")]
    grid: Option<&'a PathBuf>,
    #[serde(skip_serializing_if = "Option::is_none")]
    interpolation: Option<&'a PathBuf>,
    #[serde(flatten)]
    model: ModelRecord<'a>,
    timings_ms: Timings,
}

#[derive(Serialize)]
struct FileReport<'a> {
    file: &'a PathBuf,
    #[serde(flatten)]
    image: ImageRecord<'a>,
}

#[derive(Serialize)]
pub(super) struct Timings {
    pub(super) load: f64,
    pub(super) generate: f64,
    pub(super) write: f64,
    pub(super) total: f64,
}

/// The files of a run that are written.
pub(super) struct Written<'a> {
    /// The images, which are the first of all.
    pub(super) images: &'a [PathBuf],
    pub(super) strip: Option<&'a PathBuf>,
    pub(super) grid: Option<&'a PathBuf>,
    pub(super) interpolation: Option<&'a PathBuf>,
}

impl Written<'_> {
    /// All of them.
    pub(super) fn iter(&self) -> impl Iterator<Item = &PathBuf> {
        self.images.iter().chain(self.strip).chain(self.grid).chain(self.interpolation)
    }
}

impl<'a> Report<'a> {
    /// What `--json` prints; `images` are requests and completed prompts of all images, in order.
    pub(super) fn new(
        record: &Record<'a>,
        images: impl Iterator<Item = (&'a GenerateRequest, &'a String)>,
        written: &Written<'a>,
        timings_ms: Timings,
    ) -> Self {
        let file = |(file, (request, drawn_from)): (_, (_, &'a String))| FileReport {
            file,
            image: record.image(request, request.seed, drawn_from),
        };
        Self {
            files: written.images.iter().zip(images).map(file).collect(),
            strip: written.strip,
            grid: written.grid,
            interpolation: written.interpolation,
            model: record.model(),
            timings_ms,
        }
    }
}
