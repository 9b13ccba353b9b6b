//! Images outside tensors.

use burn::tensor::{Device, Tensor, TensorData};

use super::error::ImageError;
use crate::floats::floats;

/// A channel's value from 0 to 255 as networks take it: v / 127.5 - 1, in [-1, 1].
pub fn signed_unit(value: impl Into<f32>) -> f32 {
    value.into() / 127.5 - 1.0
}

/// An RGB image with 8 bits a channel.
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
    /// The images of a batch `[B, 3, H, W]` with values in [-1, 1]; one channel alone is gray.
    ///
    /// v becomes round((v + 1) 127.5), halves upwards; values outside are clamped, and what is no
    /// number becomes 0.
    pub fn from_tensor(pixels: Tensor<4>) -> Vec<Self> {
        let [_, channels, height, width] = pixels.dims();
        let plane = height * width;
        if channels * plane == 0 {
            return Vec::new();
        }
        let values = floats(pixels);
        // The conversion cuts off what stands behind the point, and clamps.
        let byte = |value: f32| ((value + 1.0) * 127.5 + 0.5) as u8;
        let image = |image: &[f32]| {
            let mut pixels = vec![0; 3 * plane];
            for channel in 0..3 {
                let values = &image[channel.min(channels - 1) * plane..][..plane];
                for (pixel, &value) in pixels[channel..].iter_mut().step_by(3).zip(values) {
                    *pixel = byte(value);
                }
            }
            Self { width, height, pixels }
        };
        values.chunks_exact(channels * plane).map(image).collect()
    }

    /// The images as a batch `[B, 3, H, W]` with values in [-1, 1].
    ///
    /// # Panics
    /// The images differ in size, or one has another number of pixels than its sides say.
    pub fn to_tensor(images: &[Self], device: &Device) -> Tensor<4> {
        let [height, width] = images.first().map_or([0, 0], |image| [image.height, image.width]);
        let values: Vec<f32> = images
            .iter()
            .flat_map(|image| (0..3).flat_map(|channel| image.channel(channel).map(signed_unit)))
            .collect();
        Tensor::from_data(TensorData::new(values, [images.len(), 3, height, width]), device)
    }

    /// Width and height, if there are pixels, and as many as these say.
    pub(super) fn checked_sides(&self) -> Result<[u32; 2], ImageError> {
        let Self { width, height, ref pixels } = *self;
        let size = || ImageError::Size { width, height, found: pixels.len() };
        let (Ok(columns @ 1..), Ok(rows @ 1..)) = (u32::try_from(width), u32::try_from(height))
        else {
            return Err(size());
        };
        let expected = u64::from(columns) * u64::from(rows) * 3;
        if expected == pixels.len() as u64 { Ok([columns, rows]) } else { Err(size()) }
    }

    /// The bytes of one channel, row by row.
    pub fn channel(&self, channel: usize) -> impl Iterator<Item = u8> {
        self.pixels.iter().skip(channel).step_by(3).copied()
    }

    /// Rows of images as one, with white gaps of `gap` pixels between them; one row is a strip.
    ///
    /// Every image has a tile of the largest width and height. Tiles without image stay
    /// white; no images give an empty one.
    pub fn sheet(rows: &[Vec<Self>], gap: usize) -> Self {
        let largest = |side: fn(&Self) -> usize| rows.iter().flatten().map(side).max().unwrap_or(0);
        let (tile_width, tile_height) =
            (largest(|image| image.width), largest(|image| image.height));
        if tile_width * tile_height == 0 {
            return Self { width: 0, height: 0, pixels: Vec::new() };
        }
        let columns = rows.iter().map(Vec::len).max().unwrap_or(0);
        let width = columns * (tile_width + gap) - gap;
        let height = rows.len() * (tile_height + gap) - gap;
        let mut pixels = vec![u8::MAX; width * height * 3];
        for (row, images) in rows.iter().enumerate() {
            for (column, image) in images.iter().enumerate() {
                let (left, top) = (column * (tile_width + gap), row * (tile_height + gap));
                for (y, line) in image
                    .pixels
                    .chunks_exact((image.width * 3).max(1))
                    .take(image.height)
                    .enumerate()
                {
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

    #[test]
    fn values_are_scaled_rounded_and_clamped() {
        let values = [[[[-1.0f32, 1.0]], [[0.0, 7.0]], [[-9.0, 0.5]]]];
        let images = RgbImage::from_tensor(Tensor::from_floats(values, &Device::flex()));
        let expected = RgbImage { width: 2, height: 1, pixels: vec![0, 128, 0, 255, 255, 191] };
        assert_eq!(images, [expected]);
    }

    #[test]
    fn every_byte_survives_the_way_to_a_tensor_and_back() {
        let image = |shift: u8| RgbImage {
            width: 16,
            height: 16,
            pixels: (0..768).map(|i| (i as u8).wrapping_add(shift)).collect(),
        };
        let images = [image(0), image(100)];
        let tensor = RgbImage::to_tensor(&images, &Device::flex());
        assert_eq!(RgbImage::from_tensor(tensor), images);
        assert_eq!([0u8, 255].map(signed_unit), [-1.0, 1.0]);
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

        let wide = RgbImage { width: 3, height: 2, pixels: vec![4; 18] };
        let mixed = RgbImage::sheet(&[vec![tile(1), wide]], 1);
        assert_eq!((mixed.width, mixed.height), (7, 2));
        let reds: Vec<u8> = mixed.pixels.chunks_exact(3).map(|rgb| rgb[0]).collect();
        assert_eq!(reds[..7], [1, 1, 255, 255, 4, 4, 4]);
        assert_eq!(reds[7..], [255, 255, 255, 255, 4, 4, 4]);
    }

    #[test]
    fn one_channel_is_gray_and_nothing_is_nothing() {
        let device = Device::flex();
        let gray = RgbImage::from_tensor(Tensor::from_floats([[[[1.0f32, f32::NAN]]]], &device));
        assert_eq!(gray, [RgbImage { width: 2, height: 1, pixels: vec![255, 255, 255, 0, 0, 0] }]);
        assert_eq!(RgbImage::from_tensor(Tensor::zeros([2, 3, 0, 4], &device)), []);
    }
}
