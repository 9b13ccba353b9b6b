//! Inputs and features of Inception, against pytorch-fid, torchvision, clean-fid and torch-fidelity.

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use burn::tensor::Device;
use serde_json::Value;
use stride::image::RgbImage;
use stride_eval::frechet::{EpsilonRule, frechet_distance};
use stride_eval::images::ImageSet;
use stride_eval::inception::{Inception, Variant};
use stride_eval::inception_score::inception_score;
use stride_eval::kid::kernel_distance;
use stride_eval::network::FeatureNetwork as _;
use stride_eval::prdc::prdc;
use stride_eval::protocol::Protocol;
use stride_eval::statistics::Gaussian;

use crate::formula::{image, weights};
use crate::metrics::{close, fixture};

fn numbers(value: &Value) -> Vec<f64> {
    value.as_array().expect("a list").iter().map(|v| v.as_f64().expect("a number")).collect()
}

fn shapes(fixture: &Value, variant: Variant) -> BTreeMap<String, Vec<usize>> {
    // Keras' graph has the tensors of the network of FID.
    let name = if variant == Variant::Keras { "fid" } else { variant.name() };
    let shapes = fixture[format!("shapes {name}")].clone();
    serde_json::from_value(shapes).expect("names and shapes")
}

#[test]
fn inputs_agree_with_every_package() {
    let fixture = fixture();
    let small = [image(50, 72, 56), image(52, 72, 56)];
    let large = [image(60, 320, 340)];
    for (size, images) in [("small", &small[..]), ("large", &large[..])] {
        for protocol in Protocol::ALL {
            let input = protocol.input(images, &Device::flex()).into_data();
            let first = input.iter::<f32>().take(3 * 299 * 299).step_by(2999);
            let first: Vec<f64> = first.map(f64::from).collect();
            // Which pixels of a file count shows in files alone.
            let name = protocol.name().trim_end_matches("-stored");
            let expected = numbers(&fixture["inputs"][format!("{size} {name}")]);
            assert_eq!(expected.len(), first.len());
            let error = first.iter().zip(&expected).map(|(a, b)| (a - b).abs()).fold(0.0, f64::max);
            println!("{size} {}: error {error:.1e}", protocol.name());
            assert!(error < 2e-5, "{size} {}: {error}", protocol.name());
        }
    }
}

#[test]
fn features_agree_for_every_variant() {
    let fixture = fixture();
    let device = Device::flex();
    let images = [image(50, 72, 56), image(52, 72, 56)];
    for variant in [Variant::Fid, Variant::Keras, Variant::Torchvision] {
        let bytes = weights(&shapes(&fixture, variant));
        let network = Inception::load("w.safetensors", &bytes, variant, &device).expect("loadable");
        let output = network.features(&images, Protocol::PytorchFid).expect("finite");
        let features = ("features", &output.features);
        let logits = output.logits.as_ref().map(|logits| ("logits", logits));
        assert_eq!(logits.is_none(), variant == Variant::Keras);
        for (what, found) in std::iter::once(features).chain(logits) {
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
fn scores_of_images_agree() {
    let fixture = fixture();
    let bytes = weights(&shapes(&fixture, Variant::Fid));
    let network =
        Inception::load("w.safetensors", &bytes, Variant::Fid, &Device::flex()).expect("loadable");
    let features = |stream: u64, brightness: f64| {
        let images: Vec<RgbImage> = (0..100)
            .map(|k| {
                let RgbImage { width, height, mut pixels } = image(stream + 2 * k, 64, 64);
                for value in &mut pixels {
                    *value = (brightness * f64::from(*value)) as u8;
                }
                RgbImage { width, height, pixels }
            })
            .collect();
        let mut outputs = images
            .chunks(10)
            .map(|batch| network.features(batch, Protocol::PytorchFid).expect("finite"));
        let mut all = outputs.next().expect("a batch");
        for output in outputs {
            all.features.extend(&output.features).expect("same width");
            let logits = output.logits.expect("classes");
            all.logits.as_mut().expect("classes").extend(&logits).expect("same width");
        }
        all
    };
    let (real, fake) = (features(10_000, 1.0), features(20_000, 0.8));
    let [a, b] = [&real, &fake].map(|set| Gaussian::of(&set.features).expect("enough"));
    let expected = &fixture["pictures"];
    let pair = |name: &str| [0, 1].map(|i| expected[name][i].as_f64().expect("a number"));
    let number = |name: &str| expected[name].as_f64().expect("a number");
    let distance = frechet_distance(&a, &b, EpsilonRule::None).expect("same width");
    close("fid", distance, number("fid"), 1e-3);
    let kernel = kernel_distance(&fake.features, &real.features, 2, 100, 0).expect("enough");
    close("kid", kernel.mean, number("kid"), 1e-3);
    let score = inception_score(&fake.logits.expect("classes"), 10).expect("enough");
    let [mean, std] = pair("inception_score");
    close("inception score", score.mean, mean, 1e-5);
    close("its deviation", score.std, std, 1e-2);
    let overlap = prdc(&fake.features, &real.features, 3).expect("enough");
    // An image on the edge of a ball may fall on either side.
    let [precision, recall] = pair("precision_recall");
    println!("{overlap:?} for {precision} {recall}");
    assert!(
        (overlap.precision - precision).abs() < 0.011 && (overlap.recall - recall).abs() < 0.011
    );
}

#[test]
fn distances_of_files_are_those_of_pytorch_fid() {
    let json = include_str!("../fixtures/fid_of_files.json");
    let expected: Value = serde_json::from_str(json).expect("JSON");
    let bytes = weights(&shapes(&fixture(), Variant::Fid));
    let device = Device::flex();
    let network =
        Inception::load("w.safetensors", &bytes, Variant::Fid, &device).expect("loadable");
    let place = tempfile::tempdir().expect("temporary folder");
    for (name, file) in expected["files"].as_object().expect("files") {
        let path = place.path().join(name);
        std::fs::create_dir_all(path.parent().expect("a folder")).expect("writable");
        let bytes = STANDARD.decode(file.as_str().expect("text")).expect("base64");
        std::fs::write(path, bytes).expect("writable");
    }
    let gaussian = |name: &str, images: &[RgbImage]| {
        let features =
            network.features(images, Protocol::PytorchFidStored).expect("finite").features;
        let gaussian = Gaussian::of(&features).expect("enough");
        let mean = numbers(&expected["mean"][name]);
        let found = gaussian.mean.iter().step_by(2048 / 48);
        let error = found.zip(&mean).map(|(a, b)| (a - b).abs()).fold(0.0, f64::max);
        let scale = mean.iter().fold(0.0, |a: f64, b| a.max(b.abs()));
        println!("{name}: error {error:.1e} of {scale:.1e}");
        assert!(error < 1e-4 * scale, "{name}: {error} of {scale}");
        gaussian
    };
    let reference: Vec<RgbImage> = (0..8).map(|k| image(50_000 + 2 * k, 64, 64)).collect();
    let reference = gaussian("reference", &reference);
    for (name, protocol) in
        [("jpeg", Protocol::PytorchFid), ("special", Protocol::PytorchFidStored)]
    {
        let mut images = Vec::new();
        let set = ImageSet::open(&place.path().join(name), None).expect("images");
        set.for_each_batch(8, protocol.pixels(), |batch| {
            images.extend_from_slice(batch);
            Ok(())
        })
        .expect("readable");
        let distance = frechet_distance(&gaussian(name, &images), &reference, EpsilonRule::None);
        let of_package = expected["distance"][name].as_f64().expect("a number");
        // Both covariances are singular, which the package's root of the product feels.
        close(name, distance.expect("same width"), of_package, 1e-3);
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
