//! Scans the images of a preparation for the report and the contact sheet.

use std::sync::atomic::Ordering;
use std::time::Instant;

use image::RgbImage;
use rayon::prelude::*;
use stride::tokenizer::ClipTokenizer;

use super::prepare::Preparation;
use super::summary::PrepareProgress;
use crate::contact_sheet::TILE;
use crate::{
    ContactSheet, ContentHash, DataError, DataReport, Filter, Problem, ProblemKind, ScannedImage,
    decode, square,
};

/// Images scanned between two reports of progress.
const BATCH: usize = 64;

/// What the report and the sheet need of an image.
struct Scanned {
    content: ContentHash,
    width: u32,
    height: u32,
    tile: RgbImage,
}

impl Preparation<'_> {
    /// Decodes every image once more for the report and the contact sheet; nothing if it is stopped.
    ///
    /// Problems of the listing as a whole go into the report of the first part.
    ///
    /// # Errors
    /// None in a correct build.
    pub fn scan(
        &self,
        progress: &mut dyn FnMut(PrepareProgress),
    ) -> Result<Option<(DataReport, ContactSheet)>, DataError> {
        let tokenizer = ClipTokenizer::new()?;
        let mut report = DataReport::new(self.encoder.resolution());
        let mut sheet = ContactSheet::default();
        if self.part.is_none_or(|part| part.index == 0) {
            for problem in self.source.problems() {
                add_problem(&mut report, problem);
            }
        }
        let (range, start) = (self.range(), Instant::now());
        let (source, limits) = (self.source, self.limits);
        let scan_one = |index: usize| {
            let bytes = source.read(index)?;
            let name = || source.records()[index].name.clone();
            let image = decode(&bytes, &limits).map_err(|kind| Problem { name: name(), kind })?;
            let (width, height) = image.dimensions();
            let tile = square(&image, TILE as usize, Filter::Bicubic);
            Ok(Scanned { content: ContentHash::of(&bytes), width, height, tile })
        };
        for first in range.clone().step_by(BATCH) {
            if self.stop.load(Ordering::Relaxed) {
                return Ok(None);
            }
            let indices = first..(first + BATCH).min(range.end);
            let batch: Vec<Result<Scanned, Problem>> =
                indices.clone().into_par_iter().map(scan_one).collect();
            for (index, scanned) in indices.clone().zip(batch) {
                let Scanned { content, width, height, tile } = match scanned {
                    Ok(scanned) => scanned,
                    Err(problem) => {
                        add_problem(&mut report, &problem);
                        continue;
                    }
                };
                let record = &source.records()[index];
                let captions = (self.captions)(record);
                let token_counts = captions
                    .iter()
                    .map(|caption| {
                        let tokens = tokenizer.encode(caption)?;
                        Ok(tokens.ids.len() + tokens.dropped_tokens)
                    })
                    .collect::<Result<Vec<_>, DataError>>()?;
                report.add(&ScannedImage {
                    name: &record.name,
                    content: *content.as_bytes(),
                    width,
                    height,
                    captions: &captions,
                    token_counts: &token_counts,
                    attributes: record.attributes,
                });
                sheet.add(&tile, captions.first().map_or("", String::as_str));
            }
            let (done, total) = (indices.end - range.start, range.len());
            let per_image = start.elapsed().as_secs_f64() / done as f64;
            let seconds_left = Some(per_image * (total - done) as f64);
            progress(PrepareProgress { done, total, seconds_left });
        }
        Ok(Some((report, sheet)))
    }
}

fn add_problem(report: &mut DataReport, problem: &Problem) {
    report.add_problem(&problem.name, &problem.kind.to_string(), kind_of(&problem.kind));
}

/// The kind of a problem in a word or two.
fn kind_of(kind: &ProblemKind) -> &'static str {
    match kind {
        ProblemKind::Io(_) => "unreadable",
        ProblemKind::NotAnImage { .. } => "not an image",
        ProblemKind::Corrupt(_) => "corrupt",
        ProblemKind::Unsupported(_) => "not supported",
        ProblemKind::TooLarge { .. } => "too large",
        ProblemKind::TooSmall { .. } => "fewer pixels than allowed",
        ProblemKind::NotUtf8 => "not UTF-8",
        ProblemKind::UnsafePath => "unsafe path",
        ProblemKind::Link => "link",
        ProblemKind::NoCaption => "no caption, left out",
        ProblemKind::Duplicate => "name taken",
        ProblemKind::Missing { .. } => "missing",
        ProblemKind::Line { .. } => "broken line",
    }
}
