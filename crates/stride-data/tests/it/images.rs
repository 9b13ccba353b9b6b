//! Decoding and resizing against Pillow.

use image::RgbImage;
use stride_data::{Filter, Limits, decode, square};

use crate::sets::{images, largest_difference, rgb, tensors};

/// How far a decoder may be from Pillow's: nothing where the format is lossless or the decoder is the same, a few
/// levels where the colours of CMYK and WebP are rounded in another way.
fn tolerance(name: &str) -> u8 {
    match name {
        "cmyk.jpg" => 4,
        "lossy.webp" => 8,
        _ => 0,
    }
}

#[test]
fn images_of_every_kind_are_pillows() {
    let images = images();
    assert_eq!(images.len(), 26);
    for (name, bytes, expected) in images {
        let found = decode(&bytes, &Limits::default());
        let found = found.unwrap_or_else(|kind| panic!("{name}: {kind}"));
        let error = largest_difference(&found, &expected);
        println!("{name}: {error}");
        assert!(error <= tolerance(&name), "{name}: {error}");
    }
}

#[test]
fn resizing_is_pillows() {
    let tensors = tensors("resized.safetensors");
    let source = |size: &str| -> RgbImage {
        let (_, shape, pixels) = tensors.iter().find(|(name, ..)| name == size).expect("a source");
        rgb(shape, pixels)
    };
    let mut cases = 0;
    for (name, shape, pixels) in &tensors {
        let [size, filter, target] = name.split('.').collect::<Vec<_>>()[..] else { continue };
        let filter = if filter == "bicubic" { Filter::Bicubic } else { Filter::Bilinear };
        let found = square(&source(size), target.parse().expect("a number"), filter);
        assert_eq!(largest_difference(&found, &rgb(shape, pixels)), 0, "{name}");
        cases += 1;
    }
    assert_eq!(cases, 24);
}
