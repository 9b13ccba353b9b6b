//! Attention of image tokens to each other and to the text.

use burn::module::{Initializer, Module, Param};
use burn::nn::Linear;
use burn::tensor::{Device, Tensor, TensorData};
use stride_kernels::fused::plain::rms_normalize;
use stride_kernels::fused::{self, cross_attention, self_attention};

use super::DitConfig;
use super::embedders::MAX_PERIOD;
use super::init;

/// Self-attention over the image tokens.
#[derive(Module, Debug)]
pub(super) struct SelfAttention {
    qkv: Linear,
    proj: Linear,
    q_norm: Option<HeadNorm>,
    k_norm: Option<HeadNorm>,
    num_heads: usize,
}

impl SelfAttention {
    pub(super) fn new(config: &DitConfig, device: &Device) -> Self {
        let d = config.hidden_size;
        let head_norm = || config.qk_norm.then(|| HeadNorm::new(config.head_dim(), device));
        Self {
            qkv: init::xavier(d, 3 * d, device),
            proj: init::xavier(d, d, device),
            q_norm: head_norm(),
            k_norm: head_norm(),
            num_heads: config.num_heads,
        }
    }

    /// `[B, T, D]` to `[B, T, D]`.
    pub(super) fn forward(&self, x: Tensor<3>, rotary: Option<&Rotary>) -> Tensor<3> {
        let qkv = fused::linear(&self.qkv, x); // [B, T, 3 D]
        let mixed = match rotary {
            None => self_attention(qkv, self.num_heads, gains(&self.q_norm, &self.k_norm)),
            Some(rotary) => self.rotated(qkv, rotary),
        };
        fused::linear(&self.proj, mixed)
    }

    /// Attention with queries and keys turned by their position: `[B, T, 3 D]` to `[B, T, D]`.
    fn rotated(&self, qkv: Tensor<3>, rotary: &Rotary) -> Tensor<3> {
        let [b, t, triple] = qkv.dims();
        let (n, d) = (self.num_heads, triple / 3);
        let part = |i: usize| qkv.clone().narrow(2, i * d, d);
        let turn = |x: Tensor<3>, norm: &Option<HeadNorm>| {
            let heads = x.reshape([b, t, n, d / n]).swap_dims(1, 2); // [B, N, T, head_dim]
            let heads = match norm {
                Some(norm) => rms_normalize(heads) * norm.weight.val().unsqueeze(),
                None => heads,
            };
            rotary.apply(heads).swap_dims(1, 2).reshape([b, t, d])
        };
        let (q, k) = (turn(part(0), &self.q_norm), turn(part(1), &self.k_norm));
        cross_attention(q, k, part(2), None, n, None)
    }
}

/// Attention of the image tokens to the text tokens.
///
/// # Source
/// The cross-attention of PixArt-alpha (Chen et al. 2023, arXiv 2310.00426): after
/// self-attention, not modulated, its output projection zero at the start.
#[derive(Module, Debug)]
pub(super) struct CrossAttention {
    to_q: Linear,
    to_k: Linear,
    to_v: Linear,
    to_out: Linear,
    q_norm: Option<HeadNorm>,
    k_norm: Option<HeadNorm>,
    num_heads: usize,
}

impl CrossAttention {
    pub(super) fn new(config: &DitConfig, device: &Device) -> Self {
        let (d, e) = (config.hidden_size, config.context_dim);
        let head_norm = || config.qk_norm.then(|| HeadNorm::new(config.head_dim(), device));
        Self {
            to_q: init::xavier(d, d, device),
            to_k: init::xavier(e, d, device),
            to_v: init::xavier(e, d, device),
            to_out: init::zeros(d, d, device),
            q_norm: head_norm(),
            k_norm: head_norm(),
            num_heads: config.num_heads,
        }
    }

    /// `x` `[B, T, D]`, `context` `[B, L, E]`, `bias` `[B, L]` added to the scores.
    pub(super) fn forward(&self, x: Tensor<3>, context: Tensor<3>, bias: Tensor<2>) -> Tensor<3> {
        let q = fused::linear(&self.to_q, x);
        let k = fused::linear(&self.to_k, context.clone());
        let v = fused::linear(&self.to_v, context);
        let gains = gains(&self.q_norm, &self.k_norm);
        fused::linear(&self.to_out, cross_attention(q, k, v, Some(bias), self.num_heads, gains))
    }
}

/// RMS norm of every head's queries or keys with a learned gain.
#[derive(Module, Debug)]
struct HeadNorm {
    weight: Param<Tensor<1>>,
}

impl HeadNorm {
    fn new(head_dim: usize, device: &Device) -> Self {
        Self { weight: Initializer::Ones.init([head_dim], device) }
    }
}

/// The gains of queries and keys, where there are norms.
fn gains(q: &Option<HeadNorm>, k: &Option<HeadNorm>) -> Option<(Tensor<1>, Tensor<1>)> {
    Some((q.as_ref()?.weight.val(), k.as_ref()?.weight.val()))
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
