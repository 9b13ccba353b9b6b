//! Numbers, images and weights by formulas that `parity/export_evaluation.py` computes too.

use std::collections::BTreeMap;

use safetensors::tensor::{Dtype, TensorView};
use stride::image::RgbImage;
use stride_eval::Features;

/// Uniform in [0, 1): SplitMix64 of (stream, index).
pub(crate) fn uniform(stream: u64, index: u64) -> f64 {
    let mut z =
        (stream << 40).wrapping_add(index).wrapping_add(1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    ((z ^ (z >> 31)) >> 11) as f64 / (1u64 << 53) as f64
}

/// Correlated features: sums of three uniforms, shifted and mixed with their neighbour.
pub(crate) fn features(stream: u64, count: usize, width: usize, shift: f64) -> Features {
    let noise = |i: usize| (0..3).map(|k| uniform(stream, (3 * i + k) as u64)).sum::<f64>() - 1.5;
    let values = (0..count * width).map(|i| {
        let left = if i % width == 0 { i } else { i - 1 };
        (noise(i) + 0.5 * noise(left) + shift) as f32
    });
    Features::new("formula", width, values.collect()).expect("finite")
}

/// Blocks of colour with noise.
pub(crate) fn image(stream: u64, width: usize, height: usize) -> RgbImage {
    let pixels = (0..width * height * 3).map(|i| {
        let (x, y, c) = (i / 3 % width, i / 3 / width, i % 3);
        let block = (x / 8 + y / 8 * 16 + c * 1000) as u64;
        (200.0 * uniform(stream, block) + 55.0 * uniform(stream + 1, i as u64)) as u8
    });
    RgbImage { width, height, pixels: pixels.collect() }
}

/// Weights of the shapes in `shapes`, as bytes of a safetensors file.
///
/// Kernels are uniform with variance 2 / fan-in, norms near the identity.
pub(crate) fn weights(shapes: &BTreeMap<String, Vec<usize>>) -> Vec<u8> {
    let tensors: Vec<(&String, &Vec<usize>, Vec<u8>)> = shapes
        .iter()
        .enumerate()
        .map(|(stream, (name, shape))| {
            let fan_in: usize = shape[1..].iter().product();
            let bound = (6.0 / fan_in as f64).sqrt();
            let value = |u: f64| match name.rsplit('.').next() {
                _ if shape.len() > 1 => bound * (2.0 * u - 1.0),
                Some("weight" | "running_var") => 0.75 + 0.5 * u,
                _ => 0.2 * (u - 0.5),
            };
            let count: usize = shape.iter().product();
            let numbers = (0..count).map(|i| value(uniform(stream as u64 + 100, i as u64)) as f32);
            (name, shape, numbers.flat_map(f32::to_le_bytes).collect())
        })
        .collect();
    let views = tensors.iter().map(|(name, shape, bytes)| {
        (name.as_str(), TensorView::new(Dtype::F32, shape.to_vec(), bytes).expect("a tensor"))
    });
    safetensors::serialize(views, None).expect("serialisable")
}
