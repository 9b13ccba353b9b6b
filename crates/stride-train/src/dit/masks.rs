//! Masks of the images: where the error of a transformer counts more.

use std::path::{Path, PathBuf};

use rayon::prelude::*;
use stride_data::{Filter, LatentShape, Limits, PreparedSet, View, decode, square};

use crate::TrainError;
use crate::run::MasksConfig;

/// The share of white of every latent position of every image, and how much more it counts.
pub(crate) struct Masks {
    weight: f32,
    side: usize,
    /// `[N, h, w]`, 255 for all white.
    shares: Vec<u8>,
}

impl Masks {
    /// Reads the mask of every image of a set: the PNG file of the image's name.
    ///
    /// # Errors
    /// An image has no mask, or one that is broken or has fewer pixels than the latents have positions.
    pub(crate) fn load(config: &MasksConfig, set: &PreparedSet) -> Result<Self, TrainError> {
        let LatentShape { height: side, .. } = set.shape();
        let mut shares = vec![0; set.len() * side * side];
        shares.par_chunks_exact_mut(side * side).enumerate().try_for_each(|(image, out)| {
            let path = path(config, &set.image(image).name);
            write_shares(&path, side, out).map_err(|problem| unusable(&path, &problem))
        })?;
        Ok(Self { weight: config.weight as f32, side, shares })
    }

    /// How much the squared error of every latent position of an image counts, `[h, w]`:
    /// `w = (1 + weight s) / mean(1 + weight s)` with `s` the share of the mask that is white there.
    ///
    /// # Source
    /// That the size of a concept in the image sets how fast it is learned: Emergence of Hidden Capabilities (Park et
    /// al. 2024, arXiv 2406.19370). The weight makes up for a small size.
    pub(crate) fn weights(&self, image: usize, view: View) -> Vec<f32> {
        let positions = self.side * self.side;
        let shares = &self.shares[image * positions..][..positions];
        let raised = |&share: &u8| 1.0 + self.weight * (f32::from(share) / 255.0);
        let mean = shares.iter().map(raised).sum::<f32>() / positions as f32;
        let rows = shares.chunks_exact(self.side);
        let weight = |share| raised(share) / mean;
        match view {
            View::Plain => rows.flatten().map(weight).collect(),
            View::Mirrored => rows.flat_map(|row| row.iter().rev()).map(weight).collect(),
        }
    }
}

/// Checks that every image of these names has a mask, without reading any.
///
/// # Errors
/// The first one that has none.
pub(crate) fn check_names<'a>(
    config: &MasksConfig,
    mut names: impl Iterator<Item = &'a str>,
) -> Result<(), TrainError> {
    let without = names.find(|name| !path(config, name).is_file());
    without.map_or(Ok(()), |name| Err(unusable(&path(config, name), "no such file")))
}

/// The mask of an image.
fn path(config: &MasksConfig, name: &str) -> PathBuf {
    config.dir.join(name).with_extension("png")
}

fn unusable(path: &Path, problem: &str) -> TrainError {
    TrainError::setting(format!(
        "data.masks.dir: expected a mask for every image of the data, found none to use at {}: {problem}; \
         make masks of the very images that are trained on",
        path.display()
    ))
}

/// The mean brightness of the pixels of every position of a grid of `side` x `side` over the central square of
/// a mask, as images are cropped.
fn write_shares(path: &Path, side: usize, out: &mut [u8]) -> Result<(), String> {
    let bytes = stride_files::read_file(path).map_err(|error| error.to_string())?;
    let mask = decode(&bytes, &Limits::default()).map_err(|problem| problem.to_string())?;
    let length = mask.width().min(mask.height()) as usize;
    if length < side {
        return Err(format!("expected at least {side} pixels each way, found {length}"));
    }
    let mut sums = vec![(0u64, 0u64); out.len()];
    let pixels = square(&mask, length, Filter::default());
    for (x, y, pixel) in pixels.enumerate_pixels() {
        let [x, y] = [x, y].map(|place| place as usize * side / length);
        let (sum, count) = &mut sums[y * side + x];
        (*sum, *count) = (*sum + u64::from(pixel.0[0]), *count + 1);
    }
    for (share, (sum, count)) in out.iter_mut().zip(sums) {
        *share = (sum / count) as u8;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use stride::image::{ImageMetadata, RgbImage, png_bytes};

    #[test]
    fn positions_have_the_share_of_their_pixels() {
        let dir = tempfile::tempdir().expect("folder");
        let path = dir.path().join("0.png");
        // 6 x 4: the central square is columns 1 to 4. White: its left column, and one pixel at its lower right.
        let is_white = |x: usize, y: usize| x == 1 || (x, y) == (4, 3);
        let pixels = (0..24).flat_map(|at| [if is_white(at % 6, at / 6) { 255 } else { 0 }; 3]);
        let image = RgbImage { width: 6, height: 4, pixels: pixels.collect() };
        let bytes = png_bytes(&image, &ImageMetadata::default()).expect("an image");
        std::fs::write(&path, bytes).expect("writable");
        let mut shares = vec![0; 4];
        write_shares(&path, 2, &mut shares).expect("fits");
        assert_eq!(shares, [127, 0, 127, 63]);
        let error = write_shares(&path, 5, &mut [0; 25]).expect_err("too small");
        assert!(error.contains("at least 5 pixels each way, found 4"), "{error}");

        let masks = Masks { weight: 4.0, side: 2, shares: vec![255, 0, 255, 51] };
        // 5, 1, 5, 1.8 over their mean.
        let expected = [5.0, 1.0, 5.0, 1.8].map(|weight: f32| weight / 3.2);
        let [a, b, c, d] = expected;
        for (view, expected) in [(View::Plain, expected), (View::Mirrored, [b, a, d, c])] {
            for (found, expected) in masks.weights(0, view).iter().zip(expected) {
                assert!((found - expected).abs() < 1e-6, "{view:?}: {found} {expected}");
            }
        }
    }
}
