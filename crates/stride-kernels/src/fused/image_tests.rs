//! Convolutions and group norms against the plain ones, as in [`tests`](super::tests).

use burn::module::{Param, ParamId};
use burn::nn::conv::{Conv2d, Conv2dConfig};
use burn::nn::{GroupNorm, GroupNormConfig, PaddingConfig2d};
use burn::tensor::{DType, Device, Tensor};

use super::tests::{check, close, in_both_precisions, inputs, numbers, to_f64};
use super::*;
use crate::gemm::Compute;
use crate::pool::Pooling;

/// A convolution of images `[B, H, W, C]`.
#[derive(Clone, Debug)]
struct Case {
    batch: usize,
    size: [usize; 2],
    channels: [usize; 2],
    kernel: [usize; 2],
    stride: usize,
    /// Above, left, below, right.
    padding: [usize; 4],
    upsample: usize,
}

impl Case {
    /// A 3x3 convolution that keeps the size.
    fn same(batch: usize, size: [usize; 2], channels: [usize; 2]) -> Self {
        Self { batch, size, channels, kernel: [3, 3], stride: 1, padding: [1; 4], upsample: 1 }
    }

    /// A small one for each way in which convolutions differ.
    fn all() -> Vec<Self> {
        vec![
            Self::same(2, [5, 7], [3, 4]),
            Self::same(1, [20, 18], [17, 33]),
            // Tiles of another shape, and sums in several stretches.
            Self::same(1, [9, 7], [90, 64]),
            Self { kernel: [1, 1], padding: [0; 4], ..Self::same(2, [4, 5], [6, 3]) },
            Self { kernel: [1, 5], padding: [0, 2, 0, 2], ..Self::same(1, [3, 9], [2, 2]) },
            Self { stride: 2, ..Self::same(2, [8, 6], [5, 4]) },
            Self { stride: 2, padding: [0, 0, 1, 1], ..Self::same(1, [8, 6], [4, 5]) },
            Self { upsample: 2, ..Self::same(2, [4, 3], [4, 6]) },
            Self { upsample: 2, stride: 3, ..Self::same(1, [5, 4], [2, 3]) },
        ]
    }

    fn lengths(&self) -> [usize; 3] {
        let [channels, out] = self.channels;
        let weight = out * channels * self.kernel[0] * self.kernel[1];
        [self.batch * self.size[0] * self.size[1] * channels, weight, out]
    }

    fn layer(&self, weight: Tensor<1>, bias: Option<Tensor<1>>) -> Conv2d {
        let [top, left, bottom, right] = self.padding;
        let ([channels, out], [down, across]) = (self.channels, self.kernel);
        let mut layer = Conv2dConfig::new([channels, out], self.kernel)
            .with_stride([self.stride; 2])
            .with_padding(PaddingConfig2d::Explicit(top, left, bottom, right))
            .init(&Device::flex());
        let weight = weight.reshape([out, channels, down, across]);
        layer.weight = Param::initialized(ParamId::new(), weight);
        layer.bias = bias.map(|bias| Param::initialized(ParamId::new(), bias));
        layer
    }

    fn input(&self, x: Tensor<1>) -> Tensor<4> {
        x.reshape([self.batch, self.size[0], self.size[1], self.channels[0]])
    }

    fn options(&self) -> Conv2dOptions {
        Conv2dOptions { upsample: self.upsample, ..Conv2dOptions::default() }
    }
}

#[test]
fn convolutions_agree() {
    for case in Case::all() {
        check(&format!("{case:?}"), &case.lengths(), &|x| {
            let layer = case.layer(x[1].clone(), Some(x[2].clone()));
            conv2d(&layer, case.input(x[0].clone()), case.options()).reshape([-1])
        });
    }
}

#[test]
fn what_follows_a_convolution_agrees_with_and_without_gradients() {
    for activation in [None, Some(Activation::Relu), Some(Activation::Silu)] {
        let case = Case::same(1, [6, 5], [8, 20]);
        let [input, weight, _] = case.lengths();
        let operation = |x: &[Tensor<1>]| {
            let residual = Some(x[2].clone().reshape([1, 6, 5, 20]));
            let options = Conv2dOptions { residual, activation, ..case.options() };
            let layer = case.layer(x[1].clone(), None);
            conv2d(&layer, case.input(x[0].clone()), options).reshape([-1])
        };
        let lengths = [input, weight, 6 * 5 * 20];
        check(&format!("{activation:?}"), &lengths, &operation);
        let values: Vec<_> = lengths.iter().enumerate().map(|(i, &n)| numbers(n, i)).collect();
        let run = |dtype| to_f64(operation(&inputs(&values, dtype, &Device::flex())));
        close("without gradient", &run(DType::F32), &run(DType::F64), 3e-6);
    }
}

#[test]
fn convolutions_in_bf16_stay_close_forwards_and_backwards() {
    let case = Case::same(1, [9, 8], [15, 30]);
    let device = Device::flex().autodiff();
    let values: Vec<_> = case.lengths().iter().enumerate().map(|(i, &n)| numbers(n, i)).collect();
    let [full, half] = [Compute::F32, Compute::Bf16].map(|compute| {
        let x: Vec<_> =
            inputs(&values, DType::F32, &device).into_iter().map(Tensor::require_grad).collect();
        let layer = case.layer(x[1].clone(), Some(x[2].clone()));
        let y = Precision::training(compute)
            .scope(|| conv2d(&layer, case.input(x[0].clone()), case.options()));
        let gradients = y.clone().square().sum().backward();
        let grads = x.iter().map(|x| to_f64(x.grad(&gradients).expect("tracked")));
        let grads: Vec<_> = grads.collect();
        [vec![to_f64(y.inner().reshape([-1]))], grads].concat()
    });
    for (place, (full, half)) in full.iter().zip(&half).enumerate() {
        let norm = |x: &[f64]| x.iter().map(|x| x * x).sum::<f64>().sqrt();
        let difference: Vec<f64> = full.iter().zip(half).map(|(x, y)| x - y).collect();
        let error = norm(&difference) / norm(full);
        assert!(error > 0.0 && error < 2e-2, "result {place}: relative error {error:.1e}");
    }
}

#[test]
fn plain_convolutions_in_bf16_are_near_those_of_the_kernels() {
    for case in
        [Case::same(1, [9, 8], [15, 30]), Case { upsample: 2, ..Case::same(2, [4, 3], [4, 6]) }]
    {
        let run = |conv2d: fn(&Conv2d, Tensor<4>, Conv2dOptions) -> Tensor<4>| {
            in_both_precisions(&case.lengths(), &|x| {
                let layer = case.layer(x[1].clone(), Some(x[2].clone()));
                conv2d(&layer, case.input(x[0].clone()), case.options()).reshape([-1])
            })
        };
        let ([full, half], [_, kernels]) = (run(plain::conv2d), run(conv2d));
        assert_ne!(full, half, "{case:?}");
        close(&format!("{case:?}"), &half, &kernels, 2e-2);
    }
}

#[test]
fn packed_kernels_give_the_same_numbers() {
    let case = Case::same(1, [9, 8], [15, 30]);
    let values: Vec<_> = case.lengths().iter().enumerate().map(|(i, &n)| numbers(n, i)).collect();
    let x = inputs(&values, DType::F32, &Device::flex());
    let layer = case.layer(x[1].clone(), Some(x[2].clone()));
    for compute in [Compute::F32, Compute::Bf16] {
        let run = |precision: &Precision| {
            let run = || conv2d(&layer, case.input(x[0].clone()), case.options());
            to_f64(precision.scope(run).reshape([-1]))
        };
        let keeping = Precision::inference(compute);
        let expected = run(&Precision::training(compute));
        assert_eq!([run(&keeping), run(&keeping)], [expected.clone(), expected]);
    }
}

/// Compares what a layer makes of images stored in bfloat16 with what it makes of the same numbers
/// in f32: they may differ by the rounding of the result.
fn check_in_bf16(what: &str, x: Tensor<4>, layer: impl Fn(Tensor<4>) -> Tensor<4>) {
    let stored = x.cast(DType::BF16);
    let exact = to_f64(layer(stored.clone().cast(DType::F32)).reshape([-1]));
    let found = layer(stored);
    assert_eq!(found.dtype(), DType::BF16, "{what}");
    let found = to_f64(found.reshape([-1]));
    assert_eq!(found.len(), exact.len(), "{what}");
    for (found, exact) in found.iter().zip(&exact) {
        let allowed = exact.abs() / 256.0 + 1e-5;
        assert!((found - exact).abs() <= allowed, "{what}: {found} is not {exact} rounded");
    }
}

#[test]
fn layers_answer_in_the_type_that_images_are_stored_in() {
    for (case, compute) in
        Case::all().iter().flat_map(|case| [Compute::F32, Compute::Bf16].map(|c| (case, c)))
    {
        let [input, weight, bias] = case.lengths();
        let values = [numbers(input, 0), numbers(weight, 1), numbers(bias, 2)];
        let x = inputs(&values, DType::F32, &Device::flex());
        let layer = case.layer(x[1].clone(), Some(x[2].clone()));
        let precision = Precision::inference(compute);
        let run = |x: Tensor<4>| precision.scope(|| conv2d(&layer, x, case.options()));
        let what = format!("{case:?} {compute:?}");
        check_in_bf16(&what, case.input(x[0].clone()), run);
        let [b, h, w, c] = run(case.input(x[0].clone())).dims();
        let residual = inputs(&[numbers(b * h * w * c, 3)], DType::BF16, &Device::flex());
        let residual = residual[0].clone().reshape([b, h, w, c]);
        for activation in [Activation::Relu, Activation::Silu] {
            check_in_bf16(&format!("{what} {activation:?}"), case.input(x[0].clone()), |x| {
                let residual = Some(residual.clone().cast(x.dtype()));
                let options =
                    Conv2dOptions { residual, activation: Some(activation), ..case.options() };
                precision.scope(|| conv2d(&layer, x, options))
            });
        }
    }
    for silu in [false, true] {
        let values = [numbers(40 * 20 * 64, 0), numbers(64, 1), numbers(64, 2)];
        let x = inputs(&values, DType::F32, &Device::flex());
        let layer = norm(8, 64, x[1].clone(), x[2].clone());
        let images = x[0].clone().reshape([1, 40, 20, 64]);
        check_in_bf16("group norm", images, |x| group_norm(&layer, x, silu));
    }
}

#[test]
fn images_are_stored_in_bf16_for_inference_alone() {
    let x = Tensor::<4>::ones([1, 2, 2, 2], &Device::flex());
    let dtype = |precision: Precision, x: &Tensor<4>| {
        precision.scope(|| to_compute_dtype(x.clone()).dtype())
    };
    let in_bf16 = match Isa::detect() {
        Isa::Avx512Bf16 => DType::BF16,
        _ => DType::F32,
    };
    assert_eq!(dtype(Precision::inference(Compute::Bf16), &x), in_bf16);
    assert_eq!(dtype(Precision::inference(Compute::F32), &x), DType::F32);
    assert_eq!(dtype(Precision::training(Compute::Bf16), &x), DType::F32);
    let tracked = Tensor::<4>::ones([1, 2, 2, 2], &Device::flex().autodiff());
    assert_eq!(dtype(Precision::inference(Compute::Bf16), &tracked), DType::F32);
}

fn norm(groups: usize, channels: usize, gain: Tensor<1>, bias: Tensor<1>) -> GroupNorm {
    let mut norm = GroupNormConfig::new(groups, channels).with_epsilon(1e-3).init(&Device::flex());
    norm.gamma = Some(Param::initialized(ParamId::new(), gain));
    norm.beta = Some(Param::initialized(ParamId::new(), bias));
    norm
}

#[test]
fn group_norms_agree() {
    for silu in [false, true] {
        // The last one is cut into several stretches.
        for [b, h, w, c, groups] in
            [[2, 3, 5, 8, 4], [1, 4, 4, 6, 1], [3, 1, 1, 6, 2], [2, 40, 20, 64, 8]]
        {
            check(&format!("group norm of {c} in {groups}"), &[b * h * w * c, c, c], &|x| {
                let layer = norm(groups, c, x[1].clone(), x[2].clone());
                group_norm(&layer, x[0].clone().reshape([b, h, w, c]), silu).reshape([-1])
            });
        }
    }
}

#[test]
fn a_large_mean_costs_a_group_norm_no_digits() {
    let values = [numbers(30 * 20 * 64, 0), numbers(64, 1), numbers(64, 2)];
    let run = |dtype| {
        let x = inputs(&values, dtype, &Device::flex());
        let images = (x[0].clone() + 1000.0).reshape([1, 30, 20, 64]);
        to_f64(group_norm(&norm(8, 64, x[1].clone(), x[2].clone()), images, false).reshape([-1]))
    };
    // The sum with 1000 itself rounds by 3e-5.
    close("shifted", &run(DType::F32), &run(DType::F64), 1e-4);
}

#[test]
fn pooling_agrees() {
    for pooling in [Pooling::Max, Pooling::Mean, Pooling::MeanWithPadding] {
        for (stride, padding) in [(1, 0), (1, 1), (2, 0), (2, 1)] {
            let what = format!("{pooling:?}, stride {stride}, padding {padding}");
            let operation = |x: &[Tensor<1>]| {
                pool(x[0].clone().reshape([2, 7, 5, 19]), pooling, 3, stride, padding).reshape([-1])
            };
            let values = [numbers(2 * 7 * 5 * 19, 0)];
            let run = |dtype| to_f64(operation(&inputs(&values, dtype, &Device::flex())));
            close(&what, &run(DType::F32), &run(DType::F64), 1e-6);
        }
    }
}
