//! Central square crop and resize, as Pillow does it.

use image::{RgbImage, imageops};
use stride::image::{Filter, resize};

use crate::DataError;

/// The largest height and width of the squares that images become.
///
/// An encoder holds a hundred numbers and more for each pixel, some gigabytes at this size.
pub const MAX_RESOLUTION: usize = 2048;

/// Refuses a resolution before memory is asked for.
///
/// # Errors
/// When it is 0 or more than [`MAX_RESOLUTION`].
pub fn check_resolution(resolution: usize) -> Result<(), DataError> {
    if (1..=MAX_RESOLUTION).contains(&resolution) {
        Ok(())
    } else {
        Err(DataError::Resolution { found: resolution, limit: MAX_RESOLUTION })
    }
}

/// Crops the central square of the smaller side and resizes it to `resolution` x `resolution`.
///
/// If the margin is odd, the extra pixel is cut at the right or bottom. An empty image gives a black square. See
/// [`resize`] for the equation; the numbers are Pillow's to the last bit.
pub fn square(image: &RgbImage, resolution: usize, filter: Filter) -> RgbImage {
    let side = image.width().min(image.height());
    let (left, top) = ((image.width() - side) / 2, (image.height() - side) / 2);
    let target = u32::try_from(resolution).unwrap_or(u32::MAX);
    if side == 0 || target == 0 {
        return RgbImage::new(target, target);
    }
    let cropped = imageops::crop_imm(image, left, top, side, side).to_image();
    if side == target {
        return cropped;
    }
    let side = side as usize;
    let pixels = resize(cropped.as_raw(), (side, side), (resolution, resolution), filter);
    RgbImage::from_raw(target, target, pixels).expect("a square of the target's side")
}

#[cfg(test)]
mod tests {
    use image::Rgb;

    use super::*;

    #[test]
    fn flat_images_stay_flat_and_equal_sizes_stay_equal() {
        let flat = RgbImage::from_pixel(37, 23, Rgb([7, 130, 255]));
        for filter in [Filter::Bicubic, Filter::Bilinear] {
            for side in [1, 8, 23, 50] {
                let out = square(&flat, side, filter);
                assert_eq!(out.dimensions(), (side as u32, side as u32));
                assert!(out.pixels().all(|p| p.0 == [7, 130, 255]), "{filter:?} {side}");
            }
        }
    }

    #[test]
    fn the_middle_is_kept() {
        let wide = RgbImage::from_fn(11, 4, |x, y| Rgb([x as u8, y as u8, 0]));
        let out = square(&wide, 4, Filter::Bicubic);
        assert_eq!(out.get_pixel(0, 0).0, [3, 0, 0]);
        assert_eq!(out.get_pixel(3, 3).0, [6, 3, 0]);
        let tall = RgbImage::from_fn(4, 10, |x, y| Rgb([x as u8, y as u8, 0]));
        assert_eq!(square(&tall, 4, Filter::Bilinear).get_pixel(0, 0).0, [0, 3, 0]);
    }

    #[test]
    fn resolutions_are_bounded() {
        for resolution in [1, 256, MAX_RESOLUTION] {
            check_resolution(resolution).expect("within the bound");
        }
        for resolution in [0, MAX_RESOLUTION + 1, 16_384, usize::MAX] {
            let text = check_resolution(resolution).expect_err("refused").to_string();
            assert!(text.contains("resolution: expected 1 to 2048 pixels"), "{text}");
        }
    }

    #[test]
    fn nothing_is_black() {
        assert!(square(&RgbImage::new(0, 5), 3, Filter::Bicubic).pixels().all(|p| p.0 == [0; 3]));
        assert_eq!(square(&RgbImage::new(5, 5), 0, Filter::Bicubic).dimensions(), (0, 0));
    }
}
