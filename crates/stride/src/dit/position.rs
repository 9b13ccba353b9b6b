//! Where a token lies: fixed sine-cosine codes and rotary angles in two dimensions.

use burn::tensor::{Device, Tensor, TensorData};

/// The base of the geometric series of wavelengths.
const MAX_PERIOD: f64 = 10_000.0;

/// Fixed 2-D position codes, `[1, side * side, dim]` with `dim` a multiple of 4.
///
/// The first half of the numbers codes the column, the second the row, each as `dim / 4` sines
/// followed by `dim / 4` cosines of position / 10000^(4 i / dim).
///
/// # Source
/// MAE's and DiT's `get_2d_sincos_pos_embed` (facebookresearch/DiT, `models.py`).
pub fn sincos_2d(side: usize, dim: usize, device: &Device) -> Tensor<3> {
    let quarter = dim / 4;
    let code = |position: usize| -> Vec<f32> {
        let angle = |i: usize| position as f64 / MAX_PERIOD.powf(i as f64 / quarter as f64);
        let part = |f: fn(f64) -> f64| (0..quarter).map(move |i| f(angle(i)) as f32);
        part(f64::sin).chain(part(f64::cos)).collect()
    };
    // A position's code stands in many tokens, and takes long to compute.
    let codes: Vec<_> = (0..side).map(code).collect();
    let values: Vec<f32> = (0..side * side)
        .flat_map(|token| codes[token % side].iter().chain(&codes[token / side]))
        .copied()
        .collect();
    Tensor::from_data(TensorData::new(values, [1, side * side, dim]), device)
}

/// Cosines and sines that turn queries and keys by their token's row and column.
#[derive(Clone, Debug)]
pub(super) struct Rotary {
    /// `[1, 1, T, head_dim]`
    cos: Tensor<4>,
    /// `[1, 1, T, head_dim]`
    sin: Tensor<4>,
}

impl Rotary {
    /// Angles for a square of `side` x `side` tokens; `head_dim` is a multiple of 4.
    ///
    /// Pair i and i + head_dim / 2 of a head turn together: the first half of the pairs by the
    /// token's column, the second half by its row, with wavelengths 10000^(4 i / head_dim).
    ///
    /// # Source
    /// Rotary position embedding (Su et al. 2021, arXiv 2104.09864), its axial form for images.
    pub(super) fn new(side: usize, head_dim: usize, device: &Device) -> Self {
        let quarter = head_dim / 4;
        let table = |f: fn(f64) -> f64| {
            let value = |position: usize, i: usize| {
                f(position as f64 / MAX_PERIOD.powf(i as f64 / quarter as f64)) as f32
            };
            let of = |position: usize| (0..quarter).map(|i| value(position, i)).collect::<Vec<_>>();
            // A position's angles stand in many tokens, and take long to compute.
            let codes: Vec<_> = (0..side).map(of).collect();
            let token = |token: usize| codes[token % side].iter().chain(&codes[token / side]);
            let values: Vec<f32> =
                (0..side * side).flat_map(|i| token(i).chain(token(i))).copied().collect();
            Tensor::from_data(TensorData::new(values, [1, 1, side * side, head_dim]), device)
        };
        Self { cos: table(f64::cos), sin: table(f64::sin) }
    }

    /// Turns `[B, N, T, head_dim]`.
    pub(super) fn apply(&self, x: Tensor<4>) -> Tensor<4> {
        let half = x.dims()[3] / 2;
        let (a, b) = (x.clone().narrow(3, 0, half), x.clone().narrow(3, half, half));
        let turned = Tensor::cat(vec![-b, a], 3);
        x * self.cos.clone() + turned * self.sin.clone()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use burn::tensor::{Distribution, Tolerance};

    #[test]
    fn codes_separate_rows_from_columns() {
        let codes = sincos_2d(4, 16, &Device::flex());
        let row = |token: usize| codes.clone().slice([0..1, token..token + 1, 8..16]).into_data();
        let col = |token: usize| codes.clone().slice([0..1, token..token + 1, 0..8]).into_data();
        row(4).assert_eq(&row(6), true);
        col(1).assert_eq(&col(13), true);
        assert_ne!(row(1), row(5));
        assert_ne!(col(1), col(2));
    }

    #[test]
    fn rotary_products_depend_on_the_offset_alone() {
        let device = Device::flex();
        let (side, dim) = (4, 16);
        let rotary = Rotary::new(side, dim, &device);
        let vector = || {
            Tensor::<4>::random([1, 1, 1, dim], Distribution::Default, &device)
                .repeat_dim(2, side * side)
        };
        let (q, k) = (rotary.apply(vector()), rotary.apply(vector()));
        let products = q.matmul(k.swap_dims(2, 3));
        let at = |a: usize, b: usize| {
            products.clone().slice([0..1, 0..1, a..a + 1, b..b + 1]).into_data()
        };
        // One column to the right, then one row down, from two places each.
        at(0, 1).assert_approx_eq::<f32>(&at(9, 10), Tolerance::relative(1e-4));
        at(0, 4).assert_approx_eq::<f32>(&at(6, 10), Tolerance::relative(1e-4));
    }
}
