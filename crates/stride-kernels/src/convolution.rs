//! Two-dimensional convolution of images whose channels lie together, as a product over
//! neighbourhoods that are never written down.

use crate::activation::Activation;
use crate::gemm::{self, Compute, Epilogue, MatrixRef, PackedRhs, Patches, Taps};
use crate::storage_element::StorageElement;

/// Sizes of a convolution of images `[B, H, W, C]` to `[B, H', W', O]`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Geometry {
    /// Images B.
    pub batch: usize,
    /// H and W.
    pub size: [usize; 2],
    /// C.
    pub channels: usize,
    /// O.
    pub out_channels: usize,
    /// Height and width of the kernel.
    pub kernel: [usize; 2],
    /// Distance between the places of the kernel, downwards and across; at least 1.
    pub stride: [usize; 2],
    /// Rows of zeros above and below, columns of zeros on the left and on the right.
    pub padding: [[usize; 2]; 2],
    /// How often every row and column of the image is repeated before the kernel sees it.
    pub upsample: usize,
}

impl Geometry {
    /// H' and W'; 0 where the kernel does not fit.
    pub fn out_size(&self) -> [usize; 2] {
        [0, 1].map(|axis| {
            let padded = self.seen_size()[axis] + self.padding[axis].iter().sum::<usize>();
            (padded + self.stride[axis]).saturating_sub(self.kernel[axis]) / self.stride[axis]
        })
    }

    /// Height and width of the image that the kernel sees, without zeros.
    fn seen_size(&self) -> [usize; 2] {
        self.size.map(|size| size * self.upsample)
    }

    /// Numbers of the input.
    pub fn input_len(&self) -> usize {
        self.batch * self.size.iter().product::<usize>() * self.channels
    }

    fn kernel_len(&self) -> usize {
        self.kernel.iter().product()
    }

    /// What every position of the result sees of the input.
    fn patches<'a, T: StorageElement>(&self, x: &'a [T]) -> Patches<'a, T> {
        let (out, seen) = (self.out_size(), self.seen_size());
        let taps = [0, 1].map(|axis| {
            Taps::new(self.kernel[axis], out[axis], |position, tap| {
                let place = position * self.stride[axis] + tap;
                let place = place.checked_sub(self.padding[axis][0])?;
                (place < seen[axis]).then_some(place / self.upsample)
            })
        });
        Patches::new(x, self.batch, self.size, self.channels, taps)
    }

    /// The positions of the result that see a position of the image that the kernel sees.
    fn seen_by<'a>(&self, grad: &'a [f32]) -> Patches<'a> {
        let (out, seen) = (self.out_size(), self.seen_size());
        let taps = [0, 1].map(|axis| {
            Taps::new(self.kernel[axis], seen[axis], |position, tap| {
                let place = (position + self.padding[axis][0]).checked_sub(tap)?;
                let is_step = place.is_multiple_of(self.stride[axis]);
                let place = place / self.stride[axis];
                (is_step && place < out[axis]).then_some(place)
            })
        });
        Patches::new(grad, self.batch, out, self.out_channels, taps)
    }

    /// The matrix `[C, O]` of every tap of a weight `[O, C, kernel]`.
    fn taps_of<'a>(&self, weight: &'a [f32]) -> impl Iterator<Item = MatrixRef<'a>> + use<'a> {
        let length = self.kernel_len();
        let (channels, out_channels) = (self.channels, self.out_channels);
        assert_eq!(weight.len(), out_channels * channels * length, "convolution: weight");
        (0..length).map(move |tap| MatrixRef {
            data: weight.get(tap..).unwrap_or_default(),
            rows: channels,
            cols: out_channels,
            row_stride: length,
            col_stride: channels * length,
        })
    }

    /// A weight `[O, C, kernel]` packed for [`forward`].
    ///
    /// # Panics
    /// The length is another.
    pub fn pack(&self, weight: &[f32], compute: Compute) -> PackedRhs {
        PackedRhs::stacked(&self.taps_of(weight).collect::<Vec<_>>(), compute)
    }
}

/// What follows a convolution.
#[derive(Clone, Copy, Debug)]
pub struct After<'a, T = f32> {
    /// Added, one number for each of O.
    pub bias: Option<&'a [f32]>,
    /// Added, `[B, H', W', O]`.
    pub residual: Option<&'a [T]>,
    /// Applied last.
    pub activation: Option<Activation>,
}

/// `y = act(x * w + bias + residual)`, where `*` is the cross-correlation that networks call
/// convolution:
///
/// `y[p, o] = sum over taps t, channels c of x[p stride + t - padding, c] w[o, c, t]`, and 0 outside.
///
/// `x` is `[B, H, W, C]`; the result is `[B, H', W', O]`.
///
/// # Panics
/// The lengths do not fit the geometry, or the weight was packed for another.
pub fn forward<T: StorageElement>(
    geometry: &Geometry,
    x: &[T],
    weight: &PackedRhs,
    after: After<'_, T>,
) -> Vec<T> {
    let After { bias, residual, activation } = after;
    let epilogue = Epilogue { accumulate: false, bias, activation };
    gemm::patches_product(&geometry.patches(x), weight, &epilogue, residual)
}

/// The gradient of [`forward`] for the input, from that of the result: `[B, H, W, C]`.
///
/// # Panics
/// The lengths do not fit the geometry.
pub fn grad_input(geometry: &Geometry, compute: Compute, weight: &[f32], grad: &[f32]) -> Vec<f32> {
    let taps: Vec<_> = geometry.taps_of(weight).map(MatrixRef::transposed).collect();
    let weight = PackedRhs::stacked(&taps, compute);
    let seen_by = geometry.seen_by(grad);
    let seen: Vec<f32> = gemm::patches_product(&seen_by, &weight, &Epilogue::default(), None);
    if geometry.upsample == 1 { seen } else { sum_of_repeats(geometry, &seen) }
}

/// The gradient for the weight, `[O, C, kernel]`.
///
/// # Panics
/// The lengths do not fit the geometry.
pub fn grad_weight(geometry: &Geometry, compute: Compute, x: &[f32], grad: &[f32]) -> Vec<f32> {
    let Geometry { channels, out_channels, .. } = *geometry;
    let patches = geometry.patches(x);
    let grad = MatrixRef::row_major(grad, patches.positions(), out_channels);
    let of_taps = gemm::patches_transposed_product(&patches, grad, compute);
    let taps = geometry.kernel_len();
    let mut weight = vec![0.0; of_taps.len()];
    for (tap, of_tap) in of_taps.chunks_exact((channels * out_channels).max(1)).enumerate() {
        for (channel, row) in of_tap.chunks_exact(out_channels).enumerate() {
            let place = channel * taps + tap;
            for (weight, &grad) in weight[place..].iter_mut().step_by(channels * taps).zip(row) {
                *weight = grad;
            }
        }
    }
    weight
}

/// The sums over the squares of positions that repeat one: `[B, H, W, C]`.
fn sum_of_repeats(geometry: &Geometry, repeated: &[f32]) -> Vec<f32> {
    let Geometry { size: [_, width], channels, upsample, .. } = *geometry;
    let mut sums = vec![0.0; geometry.input_len()];
    let (row, wide_row) = (width * channels, width * upsample * channels);
    let rows = sums.chunks_exact_mut(row.max(1)).zip(repeated.chunks_exact(wide_row * upsample));
    for (sums, rows) in rows {
        for wide in rows.chunks_exact(wide_row) {
            for (sum, pixels) in
                sums.chunks_exact_mut(channels).zip(wide.chunks_exact(channels * upsample))
            {
                for pixel in pixels.chunks_exact(channels) {
                    sum.iter_mut().zip(pixel).for_each(|(sum, x)| *sum += x);
                }
            }
        }
    }
    sums
}
