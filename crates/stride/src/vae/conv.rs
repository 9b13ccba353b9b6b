//! Convolution for training on the CPU.

use burn::nn::PaddingConfig2d;
use burn::nn::conv::Conv2d;
use burn::tensor::{Tensor, s};

/// Applies a convolution, `[B, C, H, W]` to `[B, O, h, w]`.
///
/// Where weights are trained, it is written as one product with the unfolded picture, since the library's
/// gradient of a convolution's weights is itself a convolution with a kernel as large as the
/// picture, which on the CPU takes longer than all else.
pub(super) fn conv2d(conv: &Conv2d, x: Tensor<4>) -> Tensor<4> {
    let weight = conv.weight.val();
    let [out, channels, kernel, width] = weight.dims();
    let PaddingConfig2d::Explicit(padding, ..) = conv.padding else {
        return conv.forward(x);
    };
    if !weight.is_require_grad() || kernel != width || kernel == 1 {
        return conv.forward(x);
    }
    let [stride, _] = conv.stride;
    let columns = unfold(x, kernel, stride, padding);
    let [batch, _, h, w] = columns.dims();
    let length = kernel * kernel * channels;
    let matrix = weight.permute([0, 2, 3, 1]).reshape([1, out, length]);
    let mut y = matrix.matmul(columns.reshape([batch, length, h * w]));
    if let Some(bias) = &conv.bias {
        y = y.add(bias.val().reshape([1, out, 1]));
    }
    y.reshape([batch, out, h, w])
}

/// The neighbourhood of every position as channels: `[B, C, H, W]` to `[B, k k C, h, w]`, with
/// the place in the kernel in front of the channel.
fn unfold(x: Tensor<4>, kernel: usize, stride: usize, padding: usize) -> Tensor<4> {
    let x = x.pad((padding, padding, padding, padding), 0.0);
    let [_, _, height, width] = x.dims();
    let last = kernel - 1;
    let shifts = (0..kernel).flat_map(|top| (0..kernel).map(move |left| (top, left)));
    let neighbours = shifts.map(|(top, left)| {
        let rows = s![top..height - last + top; stride as isize];
        let columns = s![left..width - last + left; stride as isize];
        x.clone().slice([s![..], s![..], rows, columns])
    });
    Tensor::cat(neighbours.collect(), 1)
}

#[cfg(test)]
mod tests {
    use super::*;
    use burn::nn::conv::Conv2dConfig;
    use burn::tensor::{Device, Distribution, Tolerance};

    #[test]
    fn it_is_the_convolution_with_its_gradients() {
        let device = Device::flex().autodiff();
        for (stride, size) in [(1, 6), (2, 8)] {
            let conv = Conv2dConfig::new([3, 5], [3, 3])
                .with_stride([stride, stride])
                .with_padding(PaddingConfig2d::Explicit(1, 1, 1, 1))
                .init(&device);
            let x = Tensor::<4>::random([2, 3, size, size + 2], Distribution::Default, &device);
            let x = x.require_grad();
            let target = Tensor::<4>::random(
                [2, 5, size / stride, (size + 2) / stride],
                Distribution::Default,
                &device,
            );
            let run = |y: Tensor<4>| {
                let gradients = y.clone().mul(target.clone()).sum().backward();
                let bias = conv.bias.as_ref().expect("bias").val();
                [
                    y.into_data(),
                    x.grad(&gradients).expect("tracked").into_data(),
                    conv.weight.val().grad(&gradients).expect("tracked").into_data(),
                    bias.grad(&gradients).expect("tracked").into_data(),
                ]
            };
            let expected = run(conv.forward(x.clone()));
            for (ours, theirs) in run(conv2d(&conv, x.clone())).iter().zip(&expected) {
                ours.assert_approx_eq::<f32>(theirs, Tolerance::rel_abs(1e-4, 1e-4));
            }
        }
    }
}
