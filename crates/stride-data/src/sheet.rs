//! Writes contact sheets: rows of pictures in one PNG.

use std::path::Path;

use crate::DataError;

/// Writes rows of equally large square pictures, given as RGB bytes, as one PNG.
///
/// Every picture has `size * size * 3` bytes; rows may have different lengths.
///
/// # Errors
/// When the file cannot be written.
pub fn write_sheet(path: &Path, rows: &[Vec<Vec<u8>>], size: usize) -> Result<(), DataError> {
    let columns = rows.iter().map(Vec::len).max().unwrap_or(0);
    let mut sheet = image::RgbImage::new((columns * size) as u32, (rows.len() * size) as u32);
    for (row, pictures) in rows.iter().enumerate() {
        for (column, picture) in pictures.iter().enumerate() {
            for (index, rgb) in picture.chunks_exact(3).take(size * size).enumerate() {
                let (x, y) = (column * size + index % size, row * size + index / size);
                sheet.put_pixel(x as u32, y as u32, image::Rgb([rgb[0], rgb[1], rgb[2]]));
            }
        }
    }
    sheet.save(path).map_err(|source| DataError::Encode { path: path.to_owned(), source })
}
