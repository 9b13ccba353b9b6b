//! Plain features of a picture, until the project computes those of a trained network.

use stride::image::RgbImage;

/// What the features are called in a report.
pub(super) const NAME: &str = "colours and edges on a 4x4 grid";
/// Numbers per picture.
pub(super) const SIZE: usize = GRID * GRID * PER_CELL;

/// Cells along a side.
const GRID: usize = 4;
/// Mean red, green, blue, and mean size of the differences of brightness along x and y.
const PER_CELL: usize = 5;

/// The features of a picture of at least 4x4 pixels, about in [0, 1] each.
pub(super) fn features(image: &RgbImage) -> [f64; SIZE] {
    let (width, height) = (image.width, image.height);
    let channel =
        |x: usize, y: usize, c: usize| f64::from(image.pixels[(y * width + x) * 3 + c]) / 255.0;
    let brightness = |x: usize, y: usize| (0..3).map(|c| channel(x, y, c)).sum::<f64>() / 3.0;
    let mut sums = [0.0; SIZE];
    let mut counts = [0.0; GRID * GRID];
    for y in 0..height {
        for x in 0..width {
            let cell = y * GRID / height * GRID + x * GRID / width;
            counts[cell] += 1.0;
            let along_x = brightness((x + 1).min(width - 1), y) - brightness(x, y);
            let along_y = brightness(x, (y + 1).min(height - 1)) - brightness(x, y);
            let of_pixel = [
                channel(x, y, 0),
                channel(x, y, 1),
                channel(x, y, 2),
                // Edges are few: this brings them to the scale of colours.
                8.0 * along_x.abs(),
                8.0 * along_y.abs(),
            ];
            for (sum, value) in sums[cell * PER_CELL..].iter_mut().zip(of_pixel) {
                *sum += value;
            }
        }
    }
    for (sum, cell) in sums.iter_mut().zip((0..).map(|index| index / PER_CELL)) {
        *sum /= f64::max(counts[cell], 1.0);
    }
    sums
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn colours_and_edges_fall_into_their_cells() {
        // White, but for a red cell at the upper left.
        let mut image = RgbImage { width: 16, height: 16, pixels: vec![255; 16 * 16 * 3] };
        for y in 0..4 {
            for x in 0..4 {
                image.pixels[(y * 16 + x) * 3 + 1..(y * 16 + x) * 3 + 3].fill(0);
            }
        }
        let found = features(&image);
        let step = 8.0 * (2.0 / 3.0) / 4.0;
        let expected = [1.0, 0.0, 0.0, step, step];
        for (found, expected) in found.iter().zip(expected) {
            assert!((found - expected).abs() < 1e-12, "{found} {expected}");
        }
        assert!(found[PER_CELL..].chunks(PER_CELL).all(|cell| cell == [1.0, 1.0, 1.0, 0.0, 0.0]));
    }
}
