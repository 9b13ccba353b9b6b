//! Single operations that networks and training are made of.

use anyhow::Result;
use burn::nn::PaddingConfig2d;
use burn::nn::conv::Conv2dConfig;
use burn::tensor::{Device, Tensor};
use stride_kernels::adamw::AdamwStep;
use stride_kernels::fused::{self, Conv2dOptions};
use stride_kernels::gemm::Compute;
use stride_kernels::muon::MuonStep;
use stride_kernels::pool::Pooling;

use super::comparison::{Case, Computation, Outcome};
use super::samples::{differentiated, on, opened, random};

/// Everything, by name.
pub(super) fn all() -> Vec<Case> {
    let all: [Case; 3] = [
        ("products, softmax", products),
        ("convolutions, pooling", convolutions),
        ("AdamW, Muon, average", updates),
    ];
    all.into()
}

fn products() -> Result<Computation> {
    const SHAPES: [[usize; 3]; 5] =
        [[4, 4, 4], [1, 33, 7], [65, 16, 130], [17, 96, 64], [128, 64, 32]];
    Ok(Box::new(|device| {
        let mut outcome = Outcome::default();
        for (stream, [rows, inner, cols]) in SHAPES.into_iter().enumerate() {
            let a = random(stream as u64, [2, rows, inner], device);
            let b = random(100 + stream as u64, [2, inner, cols], device);
            outcome = outcome.with(&format!("{rows}x{inner}x{cols}"), a.matmul(b));
        }
        let x = random(50, [9, 77], device);
        Ok(outcome.with("softmax", burn::tensor::activation::softmax(x * 3.0, 1)))
    }))
}

/// Kernels and strides as Inception has them.
fn convolutions() -> Result<Computation> {
    let cpu = Device::flex().autodiff();
    let kernels = [([1, 1], 1), ([3, 3], 2), ([1, 7], 1), ([7, 1], 1), ([5, 5], 1)];
    let layers: Vec<_> = kernels
        .into_iter()
        .map(|([down, across], stride)| {
            let [h, w] = [down / 2, across / 2];
            Conv2dConfig::new([6, 5], [down, across])
                .with_stride([stride; 2])
                .with_padding(PaddingConfig2d::Explicit(h, w, h, w))
                .init(&cpu)
        })
        .collect();
    let layers = opened(layers);
    Ok(Box::new(move |device| {
        let layers = on(&layers, device);
        let x = random(0, [2, 9, 9, 6], device);
        let outputs = layers.iter().map(|layer| {
            let x = Tensor::from_inner(x.clone());
            fused::conv2d(layer, x, Conv2dOptions::default()).flatten::<1>(0, 3)
        });
        let mut outcome =
            differentiated(&layers, "convolutions", Tensor::cat(outputs.collect(), 0));
        for pooling in [Pooling::Max, Pooling::Mean, Pooling::MeanWithPadding] {
            let pooled = fused::pool(x.clone(), pooling, 3, 2, 1);
            outcome = outcome.with(&format!("{pooling:?}"), pooled);
        }
        Ok(outcome)
    }))
}

fn updates() -> Result<Computation> {
    let adamw = AdamwStep {
        gradient_scale: 0.5,
        learning_rate: 0.01,
        betas: [0.9, 0.95],
        corrections: [0.1, 0.05],
        epsilon: 1e-8,
        decay: 0.001,
    };
    let muon = MuonStep {
        gradient_scale: 0.5,
        learning_rate: 0.02,
        momentum: 0.95,
        decay: 0.001,
        compute: Compute::F32,
    };
    Ok(Box::new(move |device| {
        let flat = |stream| random(stream, [24 * 16], device);
        let moments = [flat(2) * 0.1, flat(3).square() * 0.01];
        let (value, [first, second]) = fused::adamw(flat(0), flat(1), moments, adamw);
        let (matrix, momentum) = fused::muon(flat(0), flat(1), flat(2), [24, 16], muon);
        Ok(Outcome::of("AdamW, value", value)
            .with("AdamW, first moment", first)
            .with("AdamW, second moment", second)
            .with("Muon, value", matrix)
            .with("Muon, momentum", momentum)
            .with("average", fused::follow(flat(0), flat(1), 0.9)))
    }))
}
