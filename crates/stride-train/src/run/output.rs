//! Images of reports.

use std::path::Path;

use stride::image::{ImageMetadata, RgbImage, png_bytes};

use crate::TrainError;

/// Rows of equally large images as one PNG file, edge to edge.
pub(crate) fn sheet(name: &str, rows: &[Vec<RgbImage>]) -> Result<Vec<u8>, TrainError> {
    let sheet = RgbImage::sheet(rows, 0);
    png_bytes(&sheet, &ImageMetadata::default()).map_err(TrainError::image(Path::new(name)))
}
