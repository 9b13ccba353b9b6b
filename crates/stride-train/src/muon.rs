//! Muon: momentum whose matrix is made orthogonal before it is applied.

use burn::tensor::Tensor;

/// Decay rate of the momentum.
const MOMENTUM: f64 = 0.95;
/// Iterations of Newton-Schulz.
const ITERATIONS: usize = 5;
/// Coefficients of the odd quintic polynomial that drives singular values towards 1.
const QUINTIC: [f64; 3] = [3.4445, -4.7750, 2.0315];

/// Whether a parameter is a hidden matrix by its name: one inside a block of the diffusion
/// transformer that maps tokens to tokens.
///
/// Embeddings, input and output layers stay with AdamW. So do the modulations, which read one
/// vector a picture, start at zero and are the largest matrices of a block, and the text encoder, whose
/// steps must be small while its captions mean nothing to the transformer (docs/log.md, 2026-11-23).
pub fn applies_to(name: &str) -> bool {
    let mut parts = name.split('.');
    parts.any(|part| part == "blocks") && parts.all(|part| part != "modulation")
}

/// One step of Muon on a matrix in Burn's layout `[in, out]`.
///
/// ```text
/// buffer <- 0.95 buffer + 0.05 g        u = 0.05 g + 0.95 buffer      (Nesterov)
/// p <- (1 - lr wd) p - lr sqrt(max(1, out / in)) orthogonalize(u)
/// ```
/// Source: K. Jordan et al., "Muon: an optimizer for hidden layers in neural networks" (2024), with the
/// averaged momentum of `torch.optim.Muon` (`adjust_lr_fn="original"`); f32 throughout, not bf16.
///
/// Returns the new value and the flattened buffer.
pub(crate) fn step(
    value: Tensor<2>,
    gradient: Tensor<2>,
    buffer: Option<Tensor<1>>,
    lr: f64,
    weight_decay: f64,
) -> (Tensor<2>, Tensor<1>) {
    let [rows_in, rows_out] = value.dims();
    let scaled = gradient.mul_scalar(1.0 - MOMENTUM);
    let buffer = match buffer {
        Some(buffer) => {
            buffer.reshape([rows_in, rows_out]).mul_scalar(MOMENTUM).add(scaled.clone())
        }
        None => scaled.clone(),
    };
    let update = orthogonalize(buffer.clone().mul_scalar(MOMENTUM).add(scaled));
    let scale = (rows_out as f64 / rows_in as f64).max(1.0).sqrt();
    let value = if weight_decay > 0.0 { value.mul_scalar(1.0 - lr * weight_decay) } else { value };
    (value.sub(update.mul_scalar(lr * scale)), buffer.reshape([-1]))
}

/// Replaces the singular values of a matrix by values near 1 (0.7 to 1.2), keeping its singular vectors.
///
/// Five iterations of `X <- a X + (b A + c A^2) X`, `A = X X^T`, from `X = M / ||M||`.
pub fn orthogonalize(matrix: Tensor<2>) -> Tensor<2> {
    let [rows, columns] = matrix.dims();
    let is_tall = rows > columns;
    let mut x = if is_tall { matrix.transpose() } else { matrix };
    let norm = x.clone().square().sum().sqrt().clamp_min(1e-7);
    x = x.div(norm.reshape([1, 1]));
    let [a, b, c] = QUINTIC;
    for _ in 0..ITERATIONS {
        let gram = x.clone().matmul(x.clone().transpose());
        let polynomial = gram.clone().matmul(gram.clone()).mul_scalar(c).add(gram.mul_scalar(b));
        x = polynomial.matmul(x.clone()).add(x.mul_scalar(a));
    }
    if is_tall { x.transpose() } else { x }
}

#[cfg(test)]
mod tests {
    use burn::tensor::{Device, Distribution};

    use super::*;

    #[test]
    fn the_result_is_nearly_orthogonal_in_either_layout() {
        let device = Device::flex();
        for shape in [[6, 20], [20, 6], [8, 8]] {
            let x = orthogonalize(Tensor::random(shape, Distribution::Normal(0.0, 3.0), &device));
            assert_eq!(x.dims(), shape);
            let small = if shape[0] < shape[1] {
                x.clone().matmul(x.transpose())
            } else {
                x.clone().transpose().matmul(x)
            };
            let energy: f32 = small.clone().square().sum().sqrt().into_scalar();
            // The Frobenius norm of X X^T is sqrt(sum of s^4), s in 0.7 to 1.2 or below for tiny inputs.
            let count = shape[0].min(shape[1]) as f32;
            assert!(
                energy < 1.5 * count.sqrt() && energy > 0.4 * count.sqrt(),
                "{shape:?}: {energy}"
            );
        }
    }

    #[test]
    fn block_matrices_only() {
        assert!(applies_to("dit.blocks.3.attn.qkv.weight"));
        assert!(!applies_to("text_encoder.text_model.encoder.layers.0.mlp.fc1.weight"));
        assert!(!applies_to("text_encoder.text_model.embeddings.token_embedding.weight"));
        assert!(!applies_to("dit.blocks.3.modulation.weight"));
        assert!(!applies_to("dit.final_layer.linear.weight"));
    }
}
