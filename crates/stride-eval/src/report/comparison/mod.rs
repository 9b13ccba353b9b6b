//! The report of objectives side by side.

mod images;
mod markdown;
mod page;
mod runs;
mod summary;

use std::path::Path;

use stride_files::write_whole;

use self::summary::Group;
use super::chart::svg_file;
use crate::EvalError;

pub use images::ComparisonImages;
pub use runs::{ComparedRun, ComparisonReport};

impl ComparisonReport {
    /// Writes `report.html`, which needs no other file, `report.md` with its images, and `report.json`.
    ///
    /// # Errors
    /// A file cannot be written.
    pub fn write(&self, images: &ComparisonImages, dir: &Path) -> Result<(), EvalError> {
        let groups = Group::of(self);
        let chart = |(measure, real)| page::chart(&groups, measure, real);
        let curves = svg_file(&self.measures().map(chart).collect::<Vec<_>>());
        let json = serde_json::to_vec_pretty(self).expect("a report has only string keys");
        for (name, bytes) in [
            ("report.json", json),
            ("report.html", page::html(self, &groups, images).into_bytes()),
            ("report.md", markdown::with_images(self, &groups, images).into_bytes()),
            ("curves.svg", curves.into_bytes()),
            ("steps.jpg", images.sheet()?),
        ] {
            write_whole(&dir.join(name), &bytes)?;
        }
        Ok(())
    }

    /// Its tables in Markdown.
    pub fn tables(&self) -> String {
        markdown::tables(self, &Group::of(self))
    }
}
