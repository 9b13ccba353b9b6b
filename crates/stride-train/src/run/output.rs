//! Images in the run folder.

use std::path::Path;

use stride::image::{ImageMetadata, RgbImage, png_bytes};

use crate::TrainError;

/// Writes rows of equally large images as one PNG file, edge to edge.
pub(crate) fn write_sheet(path: &Path, rows: &[Vec<RgbImage>]) -> Result<(), TrainError> {
    let sheet = RgbImage::sheet(rows, 0);
    let bytes = png_bytes(&sheet, &ImageMetadata::default()).map_err(TrainError::image(path))?;
    std::fs::write(path, bytes).map_err(TrainError::io(path))
}
