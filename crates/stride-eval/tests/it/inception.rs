//! Inputs and features of Inception, against pytorch-fid, torchvision, clean-fid and torch-fidelity.

use std::collections::BTreeMap;

use burn::tensor::Device;
use serde_json::Value;
use stride_eval::inception::{Inception, Variant};
use stride_eval::network::FeatureNetwork as _;
use stride_eval::protocol::Protocol;

use crate::formula::{picture, weights};
use crate::metrics::fixture;

fn numbers(value: &Value) -> Vec<f64> {
    value.as_array().expect("a list").iter().map(|v| v.as_f64().expect("a number")).collect()
}

fn shapes(fixture: &Value, variant: Variant) -> BTreeMap<String, Vec<usize>> {
    let shapes = fixture[format!("shapes {}", variant.name())].clone();
    serde_json::from_value(shapes).expect("names and shapes")
}

#[test]
fn inputs_agree_with_every_package() {
    let fixture = fixture();
    let small = [picture(50, 72, 56), picture(52, 72, 56)];
    let large = [picture(60, 320, 340)];
    for (size, pictures) in [("small", &small[..]), ("large", &large[..])] {
        for protocol in Protocol::ALL {
            let input = protocol.input(pictures, &Device::flex()).into_data();
            let first = input.iter::<f32>().take(3 * 299 * 299).step_by(2999);
            let first: Vec<f64> = first.map(f64::from).collect();
            let expected = numbers(&fixture["inputs"][format!("{size} {}", protocol.name())]);
            assert_eq!(expected.len(), first.len());
            let error = first.iter().zip(&expected).map(|(a, b)| (a - b).abs()).fold(0.0, f64::max);
            println!("{size} {}: error {error:.1e}", protocol.name());
            assert!(error < 2e-5, "{size} {}: {error}", protocol.name());
        }
    }
}

#[test]
fn features_agree_for_both_variants() {
    let fixture = fixture();
    let device = Device::flex();
    let pictures = [picture(50, 72, 56), picture(52, 72, 56)];
    for variant in [Variant::Fid, Variant::Torchvision] {
        let bytes = weights(&shapes(&fixture, variant));
        let network = Inception::load("w.safetensors", &bytes, variant, &device).expect("loadable");
        let output = network.features(&pictures, Protocol::PytorchFid).expect("finite");
        let logits = output.logits.as_ref().expect("classes");
        for (what, found) in [("features", &output.features), ("logits", logits)] {
            for (row, expected) in found
                .rows()
                .zip(fixture[format!("{what} {}", variant.name())].as_array().expect("rows"))
            {
                let expected = numbers(expected);
                let step = (row.len() / 48).max(1);
                let found = row.iter().step_by(step).map(|&v| f64::from(v));
                assert_eq!(found.clone().count(), expected.len());
                let error = found.zip(&expected).map(|(a, b)| (a - b).abs()).fold(0.0, f64::max);
                let scale = expected.iter().fold(0.0, |a: f64, b| a.max(b.abs()));
                println!("{} {what}: error {error:.1e} of {scale:.1e}", variant.name());
                assert!(error < 1e-4 * scale, "{} {what}: {error} of {scale}", variant.name());
            }
        }
    }
}

#[test]
fn wrong_weights_are_refused_by_name() {
    let fixture = fixture();
    let device = Device::flex();
    let mut small: BTreeMap<String, Vec<usize>> = shapes(&fixture, Variant::Fid);
    small.retain(|name, _| name.starts_with("Conv2d_1a"));
    let message = |shapes: &BTreeMap<String, Vec<usize>>| {
        Inception::load("w.safetensors", &weights(shapes), Variant::Fid, &device)
            .expect_err("refused")
            .to_string()
    };
    let text = message(&small);
    assert!(text.contains("Conv2d_2a_3x3.conv.weight is missing"), "{text}");
    small.insert("Conv2d_1a_3x3.bn.bias".to_owned(), vec![31]);
    let text = message(&small);
    assert!(text.contains("Conv2d_1a_3x3.bn.bias") && text.contains("[31]"), "{text}");

    small.insert("Conv2d_1a_3x3.bn.bias".to_owned(), vec![32]);
    let mut bytes = weights(&small);
    let end = bytes.len() - 4;
    bytes[end..].copy_from_slice(&f32::NAN.to_le_bytes());
    let text = Inception::load("w.safetensors", &bytes, Variant::Fid, &device)
        .expect_err("refused")
        .to_string();
    assert!(text.contains("w.safetensors") && text.contains("NaN"), "{text}");
}
