//! Pooling of images whose channels lie together.

use crate::parallel_init::in_chunks;
use crate::vectorized::vectorized;

/// What becomes of the numbers in a window.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pooling {
    /// The largest of them; padding does not count.
    Max,
    /// Their mean; padding does not count.
    Mean,
    /// Their mean, in which padding counts as zeros.
    MeanWithPadding,
}

/// Sizes of a pooling of `[B, H, W, C]` by square windows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Geometry {
    /// Images B.
    pub batch: usize,
    /// H and W.
    pub size: [usize; 2],
    /// C.
    pub channels: usize,
    /// Side of a window.
    pub side: usize,
    /// Positions from one window to the next, down and across.
    pub stride: usize,
    /// Positions around the image, on all four sides; fewer than `side`.
    pub padding: usize,
}

impl Geometry {
    /// H' and W': how many windows fit.
    pub fn out_size(&self) -> [usize; 2] {
        self.size
            .map(|length| (length + 2 * self.padding).saturating_sub(self.side) / self.stride + 1)
    }

    /// The part inside the image of window `index` along an axis of this length.
    fn window(&self, index: usize, length: usize) -> std::ops::Range<usize> {
        let first = index * self.stride;
        first.saturating_sub(self.padding)
            ..(first + self.side).saturating_sub(self.padding).min(length)
    }
}

/// The windows of every channel by themselves: `[B, H, W, C]` to `[B, H', W', C]`.
///
/// # Panics
/// A side or stride is 0, a window does not fit, padding holds a whole window, or the lengths do not fit together.
pub fn forward(geometry: &Geometry, pooling: Pooling, x: &[f32]) -> Vec<f32> {
    let &Geometry { batch, size: [height, width], channels, side, stride, padding } = geometry;
    assert!(stride > 0 && side > padding, "pool: side {side}, stride {stride}, padding {padding}");
    assert!(height.min(width) + 2 * padding >= side, "pool: a window of {side} does not fit");
    assert_eq!(x.len(), batch * height * width * channels, "pool: length of the images");
    let [out_height, out_width] = geometry.out_size();
    let row = width * channels;
    in_chunks(batch * out_height * out_width * channels, out_width * channels, |index, y| {
        let (image, line) = (index / out_height, index % out_height);
        let rows = geometry.window(line, height);
        let first = (image * height + rows.start) * row;
        let x = &x[first..first + rows.len() * row];
        for (column, y) in y.chunks_exact_mut(channels).enumerate() {
            let columns = geometry.window(column, width);
            let window = Window { row, first: columns.start * channels, columns: columns.len() };
            match pooling {
                Pooling::Max => maxima(x, window, y),
                Pooling::Mean => means(x, window, (rows.len() * columns.len()) as f32, y),
                Pooling::MeanWithPadding => means(x, window, (side * side) as f32, y),
            }
        }
    })
}

/// Where a window lies in some rows of an image.
#[derive(Clone, Copy)]
struct Window {
    /// Numbers of a row.
    row: usize,
    /// Numbers before the window in a row.
    first: usize,
    /// Positions of the window in a row.
    columns: usize,
}

vectorized! {
    /// The largest number of every channel, `y.len()` of them.
    fn maxima(x: &[f32], window: Window, y: &mut [f32]) {
        y.fill(f32::NEG_INFINITY);
        for row in x.chunks_exact(window.row) {
            for x in row[window.first..].chunks_exact(y.len()).take(window.columns) {
                for (y, &x) in y.iter_mut().zip(x) {
                    // Not `max`, which would hide what is not a number.
                    *y = if *y >= x { *y } else { x };
                }
            }
        }
    }

    /// The sum of every channel, divided by `count`.
    fn means(x: &[f32], window: Window, count: f32, y: &mut [f32]) {
        y.fill(0.0);
        for row in x.chunks_exact(window.row) {
            for x in row[window.first..].chunks_exact(y.len()).take(window.columns) {
                for (y, &x) in y.iter_mut().zip(x) {
                    *y += x;
                }
            }
        }
        for y in y {
            *y /= count;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn windows_at_the_border_hold_what_is_inside() {
        let geometry =
            Geometry { batch: 1, size: [2, 3], channels: 2, side: 3, stride: 1, padding: 1 };
        // Channel 0 counts from 1, channel 1 down from -1.
        let x: Vec<f32> = (1..=6).flat_map(|v| [v as f32, -v as f32]).collect();
        assert_eq!(geometry.out_size(), [2, 3]);
        let even = |y: Vec<f32>| y.chunks(2).map(|pair| pair[0]).collect::<Vec<_>>();
        let odd = |y: Vec<f32>| y.chunks(2).map(|pair| pair[1]).collect::<Vec<_>>();
        let run = |pooling| forward(&geometry, pooling, &x);
        assert_eq!(even(run(Pooling::Max)), [5.0, 6.0, 6.0, 5.0, 6.0, 6.0]);
        assert_eq!(odd(run(Pooling::Max)), [-1.0, -1.0, -2.0, -1.0, -1.0, -2.0]);
        assert_eq!(even(run(Pooling::Mean)), [3.0, 3.5, 4.0, 3.0, 3.5, 4.0]);
        let with_padding = [12.0, 21.0, 16.0, 12.0, 21.0, 16.0].map(|sum| sum / 9.0);
        assert_eq!(even(run(Pooling::MeanWithPadding)), with_padding);
    }

    #[test]
    fn strides_leave_out_what_does_not_fit() {
        let geometry =
            Geometry { batch: 2, size: [4, 5], channels: 1, side: 3, stride: 2, padding: 0 };
        let x: Vec<f32> = (0..40).map(|v| v as f32).collect();
        assert_eq!(forward(&geometry, Pooling::Max, &x), [12.0, 14.0, 32.0, 34.0]);
        assert_eq!(forward(&geometry, Pooling::Mean, &x), [6.0, 8.0, 26.0, 28.0]);
    }

    #[test]
    fn what_is_not_a_number_shows() {
        let geometry =
            Geometry { batch: 1, size: [3, 3], channels: 1, side: 3, stride: 1, padding: 0 };
        let mut x = vec![1.0; 9];
        x[8] = f32::NAN;
        assert!(forward(&geometry, Pooling::Max, &x)[0].is_nan());
        assert!(forward(&geometry, Pooling::Mean, &x)[0].is_nan());
    }
}
