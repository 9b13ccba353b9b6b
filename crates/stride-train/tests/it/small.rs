//! Small data sets and the small transformer that several tests train.

use std::fmt::Write as _;
use std::fs;
use std::path::Path;

use stride::image::{ImageMetadata, RgbImage, png_bytes};

/// A transformer of one block on latents of 4x4, without a text encoder.
pub(crate) const DIT: &str = r#"
kind = "dit"
run_dir = "set by the test"
[data]
resolution = 16
held_out = 2
[training.budget]
max_steps = 2
[dit]
batch_size = 4
autoencoder = "set by the test"
[dit.objective]
kind = "flow_matching"
[dit.model]
input_size = 4
patch_size = 2
in_channels = 4
hidden_size = 16
depth = 1
num_heads = 2
context_dim = 16
"#;

/// Writes square images `0.png`, `1.png` and so on with their listing; `fields` follow the file name in its lines.
pub(crate) fn write_images(
    dir: &Path,
    side: usize,
    count: usize,
    pixels: impl Fn(usize) -> Vec<u8>,
    fields: impl Fn(usize) -> String,
) {
    fs::create_dir_all(dir).expect("writable");
    let mut lines = String::new();
    for index in 0..count {
        let image = RgbImage { width: side, height: side, pixels: pixels(index) };
        let bytes = png_bytes(&image, &ImageMetadata::default()).expect("an image");
        fs::write(dir.join(format!("{index}.png")), bytes).expect("writable");
        writeln!(lines, "{{\"file_name\":\"{index}.png\",{}}}", fields(index)).expect("string");
    }
    fs::write(dir.join("metadata.jsonl"), lines).expect("writable");
}
