//! The converter of the npm package, on a package of the same form with bytes by a formula.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;
use std::path::Path;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use burn::tensor::Device;
use safetensors::SafeTensors;
use stride_eval::inception::{Inception, Variant, convert_nsfwjs};

use crate::metrics::fixture;

/// Shards of the package.
const SHARDS: usize = 6;

/// Names and shapes of the 94 convolutions in the order of Keras, as PyTorch has them: `[O, I, H, W]`.
fn convolutions() -> Vec<(String, [usize; 4])> {
    let shapes: BTreeMap<String, Vec<usize>> =
        serde_json::from_value(fixture()["shapes fid"].clone()).expect("names and shapes");
    let stem =
        ["1a_3x3", "2a_3x3", "2b_3x3", "3b_1x1", "4a_3x3"].map(|end| format!("Conv2d_{end}"));
    let a = "1x1 5x5_1 5x5_2 3x3dbl_1 3x3dbl_2 3x3dbl_3 _pool";
    let c = "1x1 7x7_1 7x7_2 7x7_3 7x7dbl_1 7x7dbl_2 7x7dbl_3 7x7dbl_4 7x7dbl_5 _pool";
    let e = "1x1 3x3_1 3x3_2a 3x3_2b 3x3dbl_1 3x3dbl_2 3x3dbl_3a 3x3dbl_3b _pool";
    let blocks = [
        ("5b 5c 5d", a),
        ("6a", "3x3 3x3dbl_1 3x3dbl_2 3x3dbl_3"),
        ("6b 6c 6d 6e", c),
        ("7a", "3x3_1 3x3_2 7x7x3_1 7x7x3_2 7x7x3_3 7x7x3_4"),
        ("7b 7c", e),
    ];
    let mut names: Vec<String> = stem.to_vec();
    for (blocks, branches) in blocks {
        for block in blocks.split(' ') {
            names.extend(branches.split(' ').map(|end| format!("Mixed_{block}.branch{end}")));
        }
    }
    let shape = |name: &String| {
        let shape = &shapes[&format!("{name}.conv.weight")];
        [shape[0], shape[1], shape[2], shape[3]]
    };
    names
        .into_iter()
        .map(|name| {
            let shape = shape(&name);
            (name, shape)
        })
        .collect()
}

/// Byte `index` of convolution `number`.
fn byte(number: usize, index: usize) -> u8 {
    (number * 31 + index * 7 + index / 251) as u8
}

fn write_package(folder: &Path, convolutions: &[(String, [usize; 4])]) {
    let mut script = String::from("x({weightsManifest:[{paths:[],weights:[");
    let mut bytes = Vec::new();
    for (index, (_, [out, inner, height, width])) in convolutions.iter().enumerate() {
        let number = index + 1;
        let mut add = |name: String, shape: &[usize], min: f64, scale: f64| {
            let count: usize = shape.iter().product();
            let shape: Vec<String> = shape.iter().map(usize::to_string).collect();
            let _ = write!(
                script,
                "{{name:\"{name}\",shape:[{}],dtype:\"float32\",quantization:{{dtype:\"uint8\",min:{min},\
                 scale:{scale},original_dtype:\"float32\"}}}},",
                shape.join(",")
            );
            bytes.extend((0..count).map(|i| byte(number, i)));
        };
        add(format!("conv2d_{number}/kernel"), &[*height, *width, *inner, *out], -1.0, 0.0078125);
        for part in ["beta", "moving_mean", "moving_variance"] {
            add(format!("batch_normalization_{number}/{part}"), &[*out], 0.25, 0.00390625);
        }
    }
    script.push_str("]}]})");
    fs::write(folder.join("model.min.js"), script).expect("writable");
    for (shard, part) in bytes.chunks(bytes.len().div_ceil(SHARDS)).enumerate() {
        let script = format!("module.exports=\"{}\";", STANDARD.encode(part));
        let name = format!("group1-shard{}of6.min.js", shard + 1);
        fs::write(folder.join(name), script).expect("writable");
    }
}

#[test]
fn kernels_are_turned_numbers_are_widened_and_the_first_layer_takes_other_pixels() {
    let dir = tempfile::tempdir().expect("temporary folder");
    let convolutions = convolutions();
    assert_eq!(convolutions.len(), 94);
    write_package(dir.path(), &convolutions);
    let bytes = convert_nsfwjs(dir.path()).expect("convertible");
    let file = SafeTensors::deserialize(&bytes).expect("safetensors");
    let values = |name: &str| -> Vec<f32> {
        let view = file.tensor(name).expect("there");
        let numbers = view.data().chunks_exact(4);
        numbers.map(|b| f32::from_le_bytes([b[0], b[1], b[2], b[3]])).collect()
    };
    let kernel_byte = |number: usize, index: usize| f32::from(byte(number, index)) / 128.0 - 1.0;
    let norm_byte = |number: usize, index: usize| f32::from(byte(number, index)) / 256.0 + 0.25;
    for (index, (name, [out, inner, height, width])) in convolutions.iter().enumerate() {
        let number = index + 1;
        let kernel = values(&format!("{name}.conv.weight"));
        let half = if index == 0 { 0.5 } else { 1.0 };
        // A few places of [O, I, H, W], which lie at [H, W, I, O].
        for k in 0..17 {
            let (o, i) = (k * 13 % out, k * 5 % inner);
            let (y, x) = (k % height, k / 2 % width);
            let found = kernel[((o * inner + i) * height + y) * width + x];
            let expected = half * kernel_byte(number, ((y * width + x) * inner + i) * out + o);
            assert_eq!(found, expected, "{name} at {o} {i} {y} {x}");
        }
        assert_eq!(values(&format!("{name}.bn.weight")), vec![1.0; *out], "{name}");
        let norm: Vec<f32> = (0..*out).map(|o| norm_byte(number, o)).collect();
        assert_eq!(values(&format!("{name}.bn.bias")), norm, "{name}");
        assert_eq!(values(&format!("{name}.bn.running_var")), norm, "{name}");
        if index > 0 {
            assert_eq!(values(&format!("{name}.bn.running_mean")), norm, "{name}");
        }
    }
    // k (x + 1) / 2 = (k / 2) x + sum k / 2 over a flat image x: the mean moves by that sum.
    let (name, [out, ..]) = &convolutions[0];
    let kernel = values(&format!("{name}.conv.weight"));
    let mean = values(&format!("{name}.bn.running_mean"));
    for o in 0..*out {
        let sum: f32 = kernel[o * 27..(o + 1) * 27].iter().sum();
        assert!((mean[o] - (norm_byte(1, o) - sum)).abs() < 1e-5, "channel {o}");
    }
    Inception::load("converted", &bytes, Variant::Keras, &Device::flex()).expect("loadable");

    fs::remove_file(dir.path().join("group1-shard3of6.min.js")).expect("there");
    let text = convert_nsfwjs(dir.path()).expect_err("a shard is missing").to_string();
    assert!(text.contains("group1-shard3of6.min.js"), "{text}");
}
