//! Normalisation without learned parameters, and adaLN modulation.

use burn::tensor::Tensor;

use super::NormKind;

/// Added to the variance or mean square before the square root, as in DiT.
const EPSILON: f64 = 1e-6;

/// Normalises the last axis of `x`, `[B, T, D]`.
pub(super) fn normalize(x: Tensor<3>, kind: NormKind) -> Tensor<3> {
    match kind {
        NormKind::LayerNorm => {
            let centered = x.clone() - x.mean_dim(2);
            rms_normalize(centered)
        }
        NormKind::RmsNorm => rms_normalize(x),
    }
}

/// Divides by the root mean square of the last axis.
pub(super) fn rms_normalize<const N: usize>(x: Tensor<N>) -> Tensor<N> {
    let mean_square = x.clone().square().mean_dim(N - 1);
    x * (mean_square + EPSILON).sqrt().recip()
}

/// x (1 + scale) + shift, with `shift` and `scale` `[B, 1, D]` the same for every token.
pub(super) fn modulate(x: Tensor<3>, shift: Tensor<3>, scale: Tensor<3>) -> Tensor<3> {
    x * (scale + 1.0) + shift
}

#[cfg(test)]
mod tests {
    use super::*;
    use burn::tensor::{Device, Distribution, Tolerance};

    #[test]
    fn layer_norm_has_zero_mean_and_unit_variance() {
        let device = Device::flex();
        let x = Tensor::<3>::random([2, 3, 64], Distribution::Normal(3.0, 5.0), &device);
        let y = normalize(x, NormKind::LayerNorm);
        let (mean, var) = (y.clone().mean_dim(2), y.square().mean_dim(2));
        mean.to_data().assert_approx_eq::<f32>(
            &Tensor::<3>::zeros([2, 3, 1], &device).to_data(),
            Tolerance::absolute(1e-5),
        );
        var.to_data().assert_approx_eq::<f32>(
            &Tensor::<3>::ones([2, 3, 1], &device).to_data(),
            Tolerance::absolute(1e-4),
        );
    }

    #[test]
    fn modulating_with_zeros_is_the_identity() {
        let device = Device::flex();
        let x = Tensor::<3>::random([2, 3, 8], Distribution::Default, &device);
        let zero = Tensor::<3>::zeros([2, 1, 8], &device);
        modulate(x.clone(), zero.clone(), zero).to_data().assert_eq(&x.to_data(), true);
    }
}
