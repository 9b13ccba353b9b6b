//! Decoded pixels of a whole data set in memory.

use rayon::prelude::*;
use stride::image::signed_unit;

use crate::holdout::train_images;
use crate::{
    CaptionedImage, DataError, Filter, ImageFolder, Limits, Problem, check_resolution, decode,
    square,
};

/// Cells each way of the grid that images are compared on.
const COARSE: usize = 16;

/// Square RGB images as 8-bit pixels, one after the other, rows of R G B.
///
/// 16,000 images of 256x256 take 3.1 GB; bound them with `max_images` of [`ImageFolder::open`].
pub struct ImageSet {
    resolution: usize,
    pixels: Vec<u8>,
}

impl ImageSet {
    /// Decodes every image of a folder at `resolution`, in parallel.
    ///
    /// # Errors
    /// When an image cannot be read or decoded. When the resolution is out of
    /// bounds or the pixels do not fit into memory.
    pub fn load(folder: &ImageFolder, resolution: usize) -> Result<Self, DataError> {
        check_resolution(resolution)?;
        let (size, images) = (resolution * resolution * 3, folder.images.len());
        let too_many = DataError::Memory { images, resolution };
        let Some(bytes) = size.checked_mul(images) else { return Err(too_many) };
        let mut pixels = Vec::new();
        if pixels.try_reserve_exact(bytes).is_err() {
            return Err(too_many);
        }
        pixels.resize(bytes, 0);
        pixels.par_chunks_mut(size).zip(&folder.images).try_for_each(|(out, image)| {
            out.copy_from_slice(&decode_rgb(image, resolution)?);
            Ok::<_, DataError>(())
        })?;
        Ok(Self { resolution, pixels })
    }

    /// Number of images.
    pub fn len(&self) -> usize {
        self.pixels.len() / self.image_size()
    }

    /// Whether it is empty.
    pub fn is_empty(&self) -> bool {
        self.pixels.is_empty()
    }

    /// Height and width of every image.
    pub fn resolution(&self) -> usize {
        self.resolution
    }

    /// Copies the crop of side `size` at (`top`, `left`) of image `index` into `out` as
    /// `[3, size, size]` values in [-1, 1].
    ///
    /// # Panics
    /// When the crop exceeds the image or `out` has another length: both are bugs of the caller.
    pub fn crop(&self, index: usize, top: usize, left: usize, size: usize, out: &mut [f32]) {
        let image = &self.pixels[index * self.image_size()..][..self.image_size()];
        assert!(
            top + size <= self.resolution && left + size <= self.resolution,
            "crop leaves the image"
        );
        assert_eq!(out.len(), 3 * size * size, "length of the output");
        let (red, rest) = out.split_at_mut(size * size);
        let (green, blue) = rest.split_at_mut(size * size);
        for row in 0..size {
            let source = &image[((top + row) * self.resolution + left) * 3..][..size * 3];
            let target = row * size..(row + 1) * size;
            let planes = red[target.clone()]
                .iter_mut()
                .zip(&mut green[target.clone()])
                .zip(&mut blue[target]);
            for (((r, g), b), rgb) in planes.zip(source.chunks_exact(3)) {
                *r = signed_unit(rgb[0]);
                *g = signed_unit(rgb[1]);
                *b = signed_unit(rgb[2]);
            }
        }
    }

    /// The images to train on, where the last `held_out` are kept out of training: none whose pixels are those of one
    /// of these, or nearly so, as those of the same image in another encoding are.
    pub fn train_images(&self, held_out: usize) -> Vec<usize> {
        train_images(self.len(), held_out, |index| self.coarse(index))
    }

    /// An image's mean colours over a grid of at most [`COARSE`] x [`COARSE`], which encodings leave as they are.
    fn coarse(&self, index: usize) -> Vec<f32> {
        let side = self.resolution.min(COARSE);
        let (mut sums, mut counts) = (vec![0.0; 3 * side * side], vec![0.0; side * side]);
        let pixels = &self.pixels[index * self.image_size()..][..self.image_size()];
        for (place, rgb) in pixels.chunks_exact(3).enumerate() {
            let [row, column] = [place / self.resolution, place % self.resolution]
                .map(|at| at * side / self.resolution);
            let cell = row * side + column;
            counts[cell] += 1.0;
            for (sum, &value) in sums[3 * cell..][..3].iter_mut().zip(rgb) {
                *sum += f32::from(value);
            }
        }
        sums.chunks_exact(3)
            .zip(counts)
            .flat_map(|(rgb, count)| [0, 1, 2].map(|c| rgb[c] / count))
            .collect()
    }

    fn image_size(&self) -> usize {
        self.resolution * self.resolution * 3
    }
}

/// Decodes one image to `resolution * resolution * 3` bytes of RGB, by the rules of [`decode`]; an image of another
/// size is cropped to its central square and resized ([`square`], bicubic).
///
/// # Errors
/// When the file cannot be read or decoded.
pub fn decode_rgb(image: &CaptionedImage, resolution: usize) -> Result<Vec<u8>, DataError> {
    let bytes = image.read().map_err(DataError::Image)?;
    let decoded = decode(&bytes, &Limits::default())
        .map_err(|kind| DataError::Image(Problem::new(&image.name, kind)))?;
    Ok(square(&decoded, resolution, Filter::Bicubic).into_raw())
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use std::fs;

    use super::*;

    fn folder(dir: &Path) -> ImageFolder {
        fs::write(
            dir.join("metadata.jsonl"),
            "{\"file_name\":\"a.png\",\"text\":\"x\"}\n{\"file_name\":\"b.png\",\"text\":\"y\"}\n",
        )
        .expect("writable");
        let gradient =
            image::RgbImage::from_fn(8, 8, |x, y| image::Rgb([x as u8 * 10, y as u8 * 10, 255]));
        gradient.save(dir.join("a.png")).expect("writable");
        image::RgbImage::from_pixel(20, 16, image::Rgb([0, 100, 200]))
            .save(dir.join("b.png"))
            .expect("writable");
        ImageFolder::open(dir, None).expect("valid listing")
    }

    #[test]
    fn crops_are_planar_and_scaled() {
        let dir = tempfile::tempdir().expect("temporary folder");
        let set = ImageSet::load(&folder(dir.path()), 8).expect("decodable");
        assert_eq!((set.len(), set.resolution()), (2, 8));
        let mut crop = [0.0; 3 * 2 * 2];
        set.crop(0, 3, 5, 2, &mut crop);
        let scaled = |v: [u8; 4]| v.map(|v| f32::from(v) / 127.5 - 1.0);
        assert_eq!(crop[0..4], scaled([50, 60, 50, 60]));
        assert_eq!(crop[4..8], scaled([30, 30, 40, 40]));
        assert_eq!(crop[8..12], [1.0; 4]);
        set.crop(1, 0, 0, 2, &mut crop);
        assert_eq!(crop[4..8], scaled([100; 4]), "a flat image stays flat when resized");
    }

    #[test]
    fn a_held_out_image_that_was_encoded_anew_is_not_trained_on() {
        let dir = tempfile::tempdir().expect("temporary folder");
        let mut lines = String::new();
        let drawing = |seed: u32| {
            image::RgbImage::from_fn(64, 64, move |x, y| {
                let is_inside =
                    (x / 9 + seed).is_multiple_of(3) != (y / 7 + seed * seed).is_multiple_of(4);
                image::Rgb([
                    if is_inside { 200 } else { 30 },
                    (x * 2 + seed * 40) as u8,
                    (y * 3) as u8,
                ])
            })
        };
        for (name, seed) in [("a.png", 0), ("b.jpg", 3), ("c.webp", 3), ("d.png", 1), ("e.png", 3)]
        {
            drawing(seed).save(dir.path().join(name)).expect("writable");
            lines += &format!("{{\"file_name\":\"{name}\",\"text\":\"x\"}}\n");
        }
        fs::write(dir.path().join("metadata.jsonl"), lines).expect("writable");
        let folder = ImageFolder::open(dir.path(), None).expect("valid listing");
        let set = ImageSet::load(&folder, 64).expect("decodable");
        assert_eq!(set.train_images(1), [0, 3]);
    }

    #[test]
    fn a_broken_image_is_named() {
        let dir = tempfile::tempdir().expect("temporary folder");
        let folder = folder(dir.path());
        fs::write(dir.path().join("b.png"), b"not an image").expect("writable");
        let message = ImageSet::load(&folder, 8).err().expect("must fail").to_string();
        assert!(message.contains("b.png: not an image"), "{message}");
    }
}
