//! Pictures outside tensors.

use burn::tensor::Tensor;

/// An RGB picture with 8 bits a channel.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RgbImage {
    /// Pixels in a row.
    pub width: usize,
    /// Rows.
    pub height: usize,
    /// Red, green and blue of every pixel, row by row.
    pub pixels: Vec<u8>,
}

impl RgbImage {
    /// The pictures of a batch `[B, 3, H, W]` with values in [-1, 1].
    ///
    /// v becomes round((v + 1) 127.5), halves away from zero; values outside are clamped.
    pub fn from_tensor(pixels: Tensor<4>) -> Vec<Self> {
        let [_, channels, height, width] = pixels.dims();
        let values: Vec<f32> = pixels.into_data().iter::<f32>().collect();
        let plane = height * width;
        let byte = |value: f32| ((value + 1.0) * 127.5).round().clamp(0.0, 255.0) as u8;
        values
            .chunks_exact(channels * plane)
            .map(|picture| Self {
                width,
                height,
                pixels: (0..plane)
                    .flat_map(|i| [0, 1, 2].map(|channel| byte(picture[channel * plane + i])))
                    .collect(),
            })
            .collect()
    }

    /// Rows of pictures of equal size as one, with white gaps of `gap` pixels between them.
    ///
    /// Missing pictures at the ends of rows stay white; no pictures give an empty one.
    pub fn sheet(rows: &[Vec<Self>], gap: usize) -> Self {
        let Some(first) = rows.iter().flatten().next() else {
            return Self { width: 0, height: 0, pixels: Vec::new() };
        };
        let (tile_width, tile_height) = (first.width, first.height);
        let columns = rows.iter().map(Vec::len).max().unwrap_or(0);
        let width = columns * (tile_width + gap) - gap;
        let height = rows.len() * (tile_height + gap) - gap;
        let mut pixels = vec![u8::MAX; width * height * 3];
        for (row, pictures) in rows.iter().enumerate() {
            for (column, picture) in pictures.iter().enumerate() {
                let (left, top) = (column * (tile_width + gap), row * (tile_height + gap));
                for (y, line) in picture.pixels.chunks_exact(tile_width * 3).enumerate() {
                    let start = ((top + y) * width + left) * 3;
                    pixels[start..start + line.len()].copy_from_slice(line);
                }
            }
        }
        Self { width, height, pixels }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use burn::tensor::Device;

    #[test]
    fn values_are_scaled_rounded_and_clamped() {
        let values = [[[[-1.0f32, 1.0]], [[0.0, 7.0]], [[-9.0, 0.5]]]];
        let images = RgbImage::from_tensor(Tensor::from_floats(values, &Device::flex()));
        let expected = RgbImage { width: 2, height: 1, pixels: vec![0, 128, 0, 255, 255, 191] };
        assert_eq!(images, [expected]);
    }

    #[test]
    fn a_sheet_has_white_gaps() {
        let tile = |v: u8| RgbImage { width: 2, height: 1, pixels: vec![v; 6] };
        let sheet = RgbImage::sheet(&[vec![tile(1), tile(2)], vec![tile(3)]], 1);
        assert_eq!((sheet.width, sheet.height), (5, 3));
        let reds: Vec<u8> = sheet.pixels.chunks_exact(3).map(|rgb| rgb[0]).collect();
        assert_eq!(reds[..5], [1, 1, 255, 2, 2]);
        assert_eq!(reds[5..10], [255; 5]);
        assert_eq!(reds[10..], [3, 3, 255, 255, 255]);
        assert_eq!(RgbImage::sheet(&[], 1).pixels.len(), 0);
    }
}
