//! The classifier that comes with the project, on drawings that it was not trained on.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use burn::tensor::Device;
use serde::Deserialize;
use stride::image::RgbImage;
use stride_eval::AttributeClassifier;
use stride_eval::attribute_accuracy::AttributeAccuracy;

/// Side of a drawing on the sheet.
const SIDE: usize = 128;

#[derive(Deserialize)]
pub(crate) struct Drawing {
    text: String,
    pub(crate) attributes: BTreeMap<String, String>,
}

pub(crate) fn classifier() -> AttributeClassifier {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../models/avatars-classifier");
    AttributeClassifier::load(Some(&folder), &Device::flex()).expect("valid")
}

/// Drawings beside and below each other, and what they are.
pub(crate) fn drawings() -> (Vec<RgbImage>, Vec<Drawing>) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures");
    let sheet = image::open(folder.join("avatars.png")).expect("committed").into_rgb8();
    let listing = fs::read_to_string(folder.join("avatars.jsonl")).expect("committed");
    let lines: Vec<Drawing> =
        listing.lines().map(|line| serde_json::from_str(line).expect("a drawing")).collect();
    let columns = sheet.width() as usize / SIDE;
    let cut = |index: usize| {
        let (x, y) = (index % columns * SIDE, index / columns * SIDE);
        let (x, y, side) = (x as u32, y as u32, SIDE as u32);
        let pixels = image::imageops::crop_imm(&sheet, x, y, side, side).to_image().into_raw();
        RgbImage { width: SIDE, height: SIDE, pixels }
    };
    ((0..lines.len()).map(cut).collect(), lines)
}

fn accuracy(classifier: &AttributeClassifier, images: &[RgbImage], captions: &[&Drawing]) -> f64 {
    let predictions = classifier.predict(images).expect("finite");
    assert_eq!(predictions.features.len(), images.len());
    let mut accuracy = AttributeAccuracy::default();
    for (drawing, labels) in captions.iter().zip(&predictions.labels) {
        accuracy.add(&drawing.text, &drawing.attributes, &classifier.config().attributes, labels);
    }
    accuracy.total().fraction().expect("attributes are named").0
}

#[test]
fn drawings_show_what_their_captions_name() {
    let (classifier, (images, drawings)) = (classifier(), drawings());
    let captions: Vec<&Drawing> = drawings.iter().collect();
    let right = accuracy(&classifier, &images, &captions);
    let shuffled: Vec<&Drawing> = drawings.iter().cycle().skip(1).take(drawings.len()).collect();
    let swapped = accuracy(&classifier, &images, &shuffled);
    println!("right captions {right:.3}, those of others {swapped:.3}");
    assert!(right > 0.95, "{right}");
    assert!(swapped < 0.5, "{swapped}");
}
