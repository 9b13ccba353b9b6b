//! Normalisation without learned parameters.

use burn::tensor::Tensor;
use stride_kernels::fused::norm_modulate;
use stride_kernels::norm_modulate::Norm;

use super::NormKind;

/// Normalises the last axis of `x`, `[B, T, D]`.
pub(super) fn normalize(x: Tensor<3>, kind: NormKind) -> Tensor<3> {
    let [b, _, d] = x.dims();
    let zeros = Tensor::zeros([b, 1, d], (&x.device(), x.dtype()));
    norm_modulate(x, kind.into(), zeros.clone(), zeros)
}

impl From<NormKind> for Norm {
    fn from(kind: NormKind) -> Self {
        match kind {
            NormKind::LayerNorm => Self::Layer,
            NormKind::RmsNorm => Self::Rms,
        }
    }
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
}
