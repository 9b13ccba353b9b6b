//! Every fused operation against the plain one: outputs and gradients in f32 against f64, and the
//! plain gradients against differences.

use burn::module::{Param, ParamId};
use burn::nn::LayerNormConfig;
use burn::tensor::{DType, Device, Tensor, TensorData};

use super::*;
use crate::gemm::Compute;

/// Numbers in [-1.5, 1.5] that look random.
pub(super) fn numbers(count: usize, seed: usize) -> Vec<f32> {
    let number = |i: usize| ((i + 1) * 7919 + seed * 104_729) % 3001;
    (0..count).map(|i| number(i) as f32 / 1000.0 - 1.5).collect()
}

pub(super) fn inputs(values: &[Vec<f32>], dtype: DType, device: &Device) -> Vec<Tensor<1>> {
    let input = |values: &Vec<f32>| {
        let data = TensorData::new(values.clone(), [values.len()]);
        Tensor::<1>::from_data(data, (device, dtype))
    };
    values.iter().map(input).collect()
}

pub(super) fn to_f64(tensor: Tensor<1>) -> Vec<f64> {
    tensor.into_data().iter::<f64>().collect()
}

/// Output and gradients of `sum of w_i out_i` with fixed weights w.
fn run(
    values: &[Vec<f32>],
    dtype: DType,
    operation: &dyn Fn(&[Tensor<1>]) -> Tensor<1>,
) -> (Vec<f64>, Vec<Vec<f64>>) {
    let device = Device::flex().autodiff();
    let inputs: Vec<_> =
        inputs(values, dtype, &device).into_iter().map(Tensor::require_grad).collect();
    let out = operation(&inputs);
    let weights = &self::inputs(&[numbers(out.dims()[0], 99)], dtype, &device)[0];
    let grads = (out.clone() * weights.clone()).sum().backward();
    let grad = |input: &Tensor<1>| to_f64(input.grad(&grads).expect("a gradient"));
    (to_f64(out.inner()), inputs.iter().map(grad).collect())
}

/// `sum of w_i out_i` in f64, with `step` added to one number of one input.
fn shifted(
    values: &[Vec<f32>],
    (input, place, step): (usize, usize, f64),
    operation: &dyn Fn(&[Tensor<1>]) -> Tensor<1>,
) -> f64 {
    let device = Device::flex();
    let mut inputs = inputs(values, DType::F64, &device);
    let mut shift = vec![0.0; values[input].len()];
    shift[place] = step;
    let shift = TensorData::new(shift, [values[input].len()]);
    let shift: Tensor<1> = Tensor::from_data(shift, (&device, DType::F64));
    inputs[input] = inputs[input].clone() + shift;
    let out = to_f64(operation(&inputs));
    out.iter().zip(numbers(out.len(), 99)).map(|(out, w)| out * f64::from(w)).sum()
}

pub(super) fn close(what: &str, found: &[f64], expected: &[f64], tolerance: f64) {
    assert_eq!(found.len(), expected.len(), "{what}");
    let size = expected.iter().fold(0.1, |size: f64, x| size.max(x.abs()));
    let error = found.iter().zip(expected).fold(0.0, |e: f64, (x, y)| e.max((x - y).abs())) / size;
    assert!(error <= tolerance, "{what}: largest error {error:.1e} of {size:.1e}");
}

/// Checks an operation on inputs of these lengths.
pub(super) fn check(name: &str, lengths: &[usize], operation: &dyn Fn(&[Tensor<1>]) -> Tensor<1>) {
    let values: Vec<_> = lengths.iter().enumerate().map(|(i, &n)| numbers(n, i)).collect();
    let (fused, fused_grads) = run(&values, DType::F32, operation);
    let (plain, plain_grads) = run(&values, DType::F64, operation);
    close(name, &fused, &plain, 3e-6);
    for (input, (fused, plain)) in fused_grads.iter().zip(&plain_grads).enumerate() {
        close(&format!("{name}, gradient {input}"), fused, plain, 1e-5);
        for place in (0..plain.len()).step_by(plain.len().div_ceil(5)) {
            let at = |step| shifted(&values, (input, place, step), operation);
            let difference = (at(1e-4) - at(-1e-4)) / 2e-4;
            let what = format!("{name}, difference {input}:{place}");
            close(&what, &[plain[place]], &[difference], 1e-5);
        }
    }
}

/// A layer of a flat weight and a bias.
fn layer(parts: &[Tensor<1>], dims: [usize; 2]) -> Linear {
    Linear {
        weight: Param::initialized(ParamId::new(), parts[0].clone().reshape(dims)),
        bias: parts.get(1).map(|bias| Param::initialized(ParamId::new(), bias.clone())),
    }
}

#[test]
fn linear_agrees() {
    for [rows, inner, width] in [[1, 3, 5], [70, 40, 96], [33, 130, 17]] {
        check("linear", &[rows * inner, inner * width, width], &|x| {
            let input = x[0].clone().reshape([rows, inner]);
            linear(&layer(&x[1..], [inner, width]), input).reshape([-1])
        });
    }
}

#[test]
fn a_layer_without_a_bias_and_any_number_of_axes_before_the_last() {
    check("linear of a batch", &[2 * 3 * 4, 4 * 5], &|x| {
        let input = x[0].clone().reshape([2, 3, 4]);
        let y = linear(&layer(&x[1..], [4, 5]), input);
        assert_eq!(y.dims(), [2, 3, 5]);
        y.reshape([-1])
    });
}

#[test]
fn a_transposed_view_is_read_as_what_it_is() {
    check("linear of a view", &[6 * 4, 6 * 5, 5], &|x| {
        let input = x[0].clone().reshape([6, 4]).transpose();
        linear(&layer(&x[1..], [6, 5]), input).reshape([-1])
    });
}

#[test]
fn activations_agree() {
    for activation in [
        Activation::GeluTanh,
        Activation::Gelu,
        Activation::Silu,
        Activation::QuickGelu,
        Activation::Relu,
    ] {
        check(&format!("{activation:?}"), &[100], &|x| activate(x[0].clone() * 3.0, activation));
    }
}

#[test]
fn an_activation_on_the_way_out_is_the_same() {
    for activation in [Activation::GeluTanh, Activation::Gelu] {
        let operation = |x: &[Tensor<1>]| {
            let input = x[0].clone().reshape([20, 9]);
            linear_activate(&layer(&x[1..], [9, 50]), input, activation).reshape([-1])
        };
        check("linear and activation", &[20 * 9, 9 * 50, 50], &operation);
        let values = [numbers(20 * 9, 0), numbers(9 * 50, 1), numbers(50, 2)];
        let run = |dtype| to_f64(operation(&inputs(&values, dtype, &Device::flex())));
        close("without gradient", &run(DType::F32), &run(DType::F64), 3e-6);
    }
}

#[test]
fn norm_modulate_agrees() {
    for norm in [Norm::Layer, Norm::Rms] {
        for [b, t, d] in [[1, 40, 24], [3, 5, 33]] {
            check(&format!("{norm:?} norm"), &[b * t * d, b * d, b * d], &|x| {
                let vector = |i: usize| x[i].clone().reshape([b, 1, d]);
                let input = x[0].clone().reshape([b, t, d]);
                norm_modulate(input, norm, vector(1), vector(2)).reshape([-1])
            });
        }
    }
}

#[test]
fn layer_norm_agrees() {
    let (rows, width) = (40, 24);
    check("layer norm", &[rows * width, width, width], &|x| {
        let mut layer = LayerNormConfig::new(width).init(&Device::flex());
        layer.gamma = Param::initialized(ParamId::new(), x[1].clone());
        layer.beta = Some(Param::initialized(ParamId::new(), x[2].clone()));
        layer_norm(&layer, 1e-5, x[0].clone().reshape([2, rows / 2, width])).reshape([-1])
    });
}

#[test]
fn causal_attention_agrees() {
    // Less than a tile, and tiles of which the last is not full.
    for [b, t, heads, head_dim] in [[2, 9, 2, 4], [1, 150, 2, 8]] {
        let d = heads * head_dim;
        check("causal attention", &[b * t * d; 3], &|x| {
            let [q, k, v] = [0, 1, 2].map(|i| x[i].clone().reshape([b, t, d]));
            causal_attention(q, k, v, heads).reshape([-1])
        });
    }
}

#[test]
fn a_gradient_that_nobody_wants_is_left_out() {
    let device = Device::flex().autodiff();
    let values = [numbers(6 * 4, 0), numbers(4 * 5, 1), numbers(5, 2)];
    let parts = inputs(&values, DType::F32, &device);
    let weight = parts[1].clone().require_grad();
    let layer = layer(&[weight.clone(), parts[2].clone()], [4, 5]);
    let grads = linear(&layer, parts[0].clone().reshape([6, 4])).sum().backward();
    let expected: Vec<f64> =
        (0..20).map(|i| (0..6).map(|row| f64::from(values[0][row * 4 + i / 5])).sum()).collect();
    close("weight", &to_f64(weight.grad(&grads).expect("a gradient")), &expected, 1e-6);
    assert!(parts[0].grad(&grads).is_none() && parts[2].grad(&grads).is_none());
}

#[test]
fn gated_residual_agrees() {
    for [b, t, d] in [[1, 40, 24], [3, 5, 33]] {
        check("gated residual", &[b * t * d, b * t * d, b * d], &|x| {
            let tokens = |i: usize| x[i].clone().reshape([b, t, d]);
            gated_residual(tokens(0), tokens(1), x[2].clone().reshape([b, 1, d])).reshape([-1])
        });
    }
}

#[test]
fn gated_activations_agree() {
    // The last one is cut into several chunks.
    for [rows, width] in [[3, 5], [1, 16], [40, 600]] {
        check(&format!("swiglu of {rows} x {width}"), &[rows * 2 * width], &|x| {
            swiglu(x[0].clone().reshape([rows, 2 * width])).reshape([-1])
        });
    }
}

#[test]
fn self_attention_agrees() {
    for [b, t, heads, head_dim] in [[2, 5, 3, 4], [1, 150, 2, 20]] {
        let d = heads * head_dim;
        let qkv = b * t * 3 * d;
        check("self-attention", &[qkv], &|x| {
            self_attention(x[0].clone().reshape([b, t, 3 * d]), heads, None).reshape([-1])
        });
        check("normed self-attention", &[qkv, head_dim, head_dim], &|x| {
            let gains = Some((x[1].clone(), x[2].clone()));
            self_attention(x[0].clone().reshape([b, t, 3 * d]), heads, gains).reshape([-1])
        });
    }
}

#[test]
fn cross_attention_agrees() {
    let [b, t, l, heads, head_dim] = [2, 70, 7, 2, 6];
    let d = heads * head_dim;
    // The last keys of the second sample are hidden.
    let bias: Vec<f32> = (0..b * l).map(|i| if i > l + 3 { -3e4 } else { 0.0 }).collect();
    let lengths = [b * t * d, b * l * d, b * l * d, head_dim, head_dim];
    for normed in [false, true] {
        check("cross-attention", &lengths[..if normed { 5 } else { 3 }], &|x| {
            let tokens = |i: usize, count: usize| x[i].clone().reshape([b, count, d]);
            let bias = Tensor::<2>::from_data(
                TensorData::new(bias.clone(), [b, l]),
                (&x[0].device(), x[0].dtype()),
            );
            let gains = normed.then(|| (x[3].clone(), x[4].clone()));
            cross_attention(tokens(0, t), tokens(1, l), tokens(2, l), Some(bias), heads, gains)
                .reshape([-1])
        });
    }
}

/// Outputs and gradients in f32 and in bf16, each flat.
pub(super) fn in_both_precisions(
    lengths: &[usize],
    operation: &dyn Fn(&[Tensor<1>]) -> Tensor<1>,
) -> [Vec<f64>; 2] {
    let values: Vec<_> = lengths.iter().enumerate().map(|(i, &n)| numbers(n, i)).collect();
    [Compute::F32, Compute::Bf16].map(|compute| {
        // Only the forward pass is inside; the backward pass keeps to its precision.
        let inside = |x: &[Tensor<1>]| Precision::training(compute).scope(|| operation(x));
        let (out, grads) = run(&values, DType::F32, &inside);
        [vec![out], grads].concat().concat()
    })
}

#[test]
fn bf16_rounds_what_is_multiplied_forwards_and_backwards() {
    let [t, heads, head_dim] = [70, 2, 16];
    let d = heads * head_dim;
    type Operation = Box<dyn Fn(&[Tensor<1>]) -> Tensor<1>>;
    let products: [(&str, Vec<usize>, Operation); 2] = [
        (
            "linear",
            vec![60 * 40, 40 * 96, 96],
            Box::new(|x| {
                linear(&layer(&x[1..], [40, 96]), x[0].clone().reshape([60, 40])).reshape([-1])
            }),
        ),
        (
            "attention",
            vec![t * 3 * d],
            Box::new(move |x| {
                self_attention(x[0].clone().reshape([1, t, 3 * d]), heads, None).reshape([-1])
            }),
        ),
    ];
    for (name, lengths, operation) in products {
        let [full, half] = in_both_precisions(&lengths, &operation);
        assert_ne!(full, half, "{name}: nothing was rounded");
        let norm = |x: &[f64]| x.iter().map(|x| x * x).sum::<f64>().sqrt();
        let difference: Vec<f64> = full.iter().zip(&half).map(|(x, y)| x - y).collect();
        let error = norm(&difference) / norm(&full);
        assert!(error < 1e-2, "{name}: relative error {error:.1e}");
    }
}

#[test]
fn plain_products_in_bf16_are_near_those_of_the_kernels() {
    let [t, heads, head_dim] = [70, 2, 16];
    let d = heads * head_dim;
    type Operation = Box<dyn Fn(&[Tensor<1>], bool) -> Tensor<1>>;
    let products: [(&str, Vec<usize>, Operation); 3] = [
        (
            "linear",
            vec![60 * 40, 40 * 96, 96],
            Box::new(|x, is_plain| {
                let (layer, rows) = (layer(&x[1..], [40, 96]), x[0].clone().reshape([60, 40]));
                let y =
                    if is_plain { plain::linear(&layer, rows, None) } else { linear(&layer, rows) };
                y.reshape([-1])
            }),
        ),
        (
            "self attention",
            vec![t * 3 * d],
            Box::new(move |x, is_plain| {
                let qkv = x[0].clone().reshape([1, t, 3 * d]);
                let f = if is_plain { plain::self_attention } else { self_attention };
                f(qkv, heads, None).reshape([-1])
            }),
        ),
        (
            "causal attention",
            vec![t * d, t * d, t * d],
            Box::new(move |x, is_plain| {
                let [q, k, v] = [0, 1, 2].map(|i| x[i].clone().reshape([1, t, d]));
                let f = if is_plain { plain::causal_attention } else { causal_attention };
                f(q, k, v, heads).reshape([-1])
            }),
        ),
    ];
    for (name, lengths, operation) in products {
        let [full, half] = in_both_precisions(&lengths, &|x| operation(x, true));
        let [_, kernels] = in_both_precisions(&lengths, &|x| operation(x, false));
        assert_ne!(full, half, "{name}");
        close(name, &half, &kernels, 2e-2);
    }
}

#[test]
fn the_precision_before_is_back_after_a_scope() {
    let half = Precision::training(Compute::Bf16);
    let inside = || Precision::inference(Compute::F32).scope(precision::compute);
    assert_eq!(half.scope(|| (inside(), precision::compute())), (Compute::F32, Compute::Bf16));
    let panicked = std::panic::catch_unwind(|| half.scope(|| panic!("on purpose")));
    assert!(panicked.is_err());
    assert_eq!(precision::compute(), Compute::F32);
}

#[test]
fn packed_weights_give_the_same_numbers_and_are_kept() {
    let device = Device::flex();
    for compute in [Compute::F32, Compute::Bf16] {
        let parts = inputs(&[numbers(40 * 96, 1), numbers(96, 2)], DType::F32, &device);
        let first = layer(&parts, [40, 96]);
        let input = Tensor::<1>::from_floats(numbers(60 * 40, 0).as_slice(), &device);
        let run = |precision: &Precision, layer: &Linear| {
            to_f64(precision.scope(|| linear(layer, input.clone().reshape([60, 40]))).reshape([-1]))
        };
        let keeping = Precision::inference(compute);
        let expected = run(&Precision::training(compute), &first);
        assert_eq!(run(&keeping, &first), expected);
        // The same identity with another weight shows that the packed one is used.
        let mut other = layer(&[parts[0].clone() * 2.0, parts[1].clone()], [40, 96]);
        other.weight.id = first.weight.id;
        assert_eq!(run(&keeping, &other), expected);
        assert_ne!(run(&Precision::inference(compute), &other), expected);
    }
}

#[test]
fn updates_agree() {
    let device = Device::flex();
    let values = [0, 1, 2].map(|seed| numbers(40_000, seed));
    let second: Vec<f32> = numbers(40_000, 3).iter().map(|x| x.abs()).collect();
    let with = AdamwStep {
        gradient_scale: 0.5,
        learning_rate: 1e-2,
        betas: [0.9, 0.95],
        corrections: [0.4, 0.3],
        epsilon: 1e-8,
        decay: 1e-3,
    };
    let run = |dtype| {
        let all = [&values[..], std::slice::from_ref(&second)].concat();
        let [value, gradient, first, second] =
            inputs(&all, dtype, &device).try_into().expect("four tensors");
        let (value, [first, second]) = adamw(value, gradient, [first, second], with);
        let average = follow(first.clone(), value.clone(), 0.9);
        [value, first, second, average].map(to_f64)
    };
    for (fused, plain) in run(DType::F32).iter().zip(&run(DType::F64)) {
        close("update", fused, plain, 1e-6);
    }
}

#[test]
fn muon_agrees() {
    let device = Device::flex();
    for shape in [[24, 70], [150, 40]] {
        let values = [0, 1, 2].map(|seed| numbers(shape[0] * shape[1], seed));
        let run = |dtype, compute| {
            let with = MuonStep {
                gradient_scale: 0.5,
                learning_rate: 0.02,
                momentum: 0.95,
                decay: 1e-3,
                compute,
            };
            let [value, gradient, buffer] =
                inputs(&values, dtype, &device).try_into().expect("three tensors");
            let (after, buffer) = muon(value.clone(), gradient, buffer, shape, with);
            [after - value, buffer].map(to_f64)
        };
        let [update, buffer] = run(DType::F64, Compute::F32);
        let [fused_update, fused_buffer] = run(DType::F32, Compute::F32);
        close("momentum", &fused_buffer, &buffer, 1e-6);
        // The iteration stretches differences: a singular value near zero grows 3.4-fold each time.
        close("muon", &fused_update, &update, 1e-5);
        close("muon in bf16", &run(DType::F32, Compute::Bf16)[0], &update, 1e-2);
    }
}

#[test]
fn joined_gradients_agree() {
    let device = Device::flex();
    let values = [0, 1, 2].map(|seed| numbers(40_000, seed));
    let run = |dtype| {
        let mut squares = SumOfSquares::default();
        let sum = join_gradients(inputs(&values, dtype, &device), &mut squares);
        (sum, squares.total())
    };
    let ((fused, fused_squares), (plain, squares)) = (run(DType::F32), run(DType::F64));
    close("sum", &to_f64(fused), &to_f64(plain), 1e-6);
    assert!((fused_squares / squares - 1.0).abs() < 1e-6, "{fused_squares} {squares}");
}

#[test]
fn an_update_leaves_shared_values_alone() {
    let device = Device::flex();
    let before = Tensor::<1>::from_floats([1.0, 2.0], &device);
    let after = follow(before.clone(), Tensor::zeros([2], &device), 0.5);
    assert_eq!(to_f64(before), [1.0, 2.0]);
    assert_eq!(to_f64(after), [0.5, 1.0]);
}
