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
    ContactSheet, ContentHash, DataError, DataReport, Filter, Problem, ScannedImage, decode, square,
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
            for Problem { name, kind } in self.source.problems() {
                if kind.is_of_image() {
                    report.add_problem(name, &kind.to_string(), kind.name());
                } else {
                    report.add_note(name, &kind.to_string(), kind.name());
                }
            }
            report.several_lines(self.source.several_lines());
        }
        let (range, start) = (self.range(), Instant::now());
        let (source, limits) = (self.source, self.limits);
        let scan_one = |index: usize| {
            let bytes = source.read(index)?;
            let name = || source.records()[index].name.clone();
            let image = decode(&bytes, &limits).map_err(|kind| Problem { name: name(), kind })?;
            let (width, height) = image.dimensions();
            // Of the pixels: other files may hold the same.
            let sides = [width.to_le_bytes(), height.to_le_bytes()].concat();
            let content = ContentHash::of_parts(&[&sides, image.as_raw()]);
            let tile = square(&image, TILE as usize, Filter::Bicubic);
            Ok(Scanned { content, width, height, tile })
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
                    Err(Problem { name, kind }) => {
                        report.add_problem(&name, &kind.to_string(), kind.name());
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
                    attributes: record.face,
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
