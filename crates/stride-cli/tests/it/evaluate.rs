//! `stride evaluate`: what it refuses, before any work.

use std::fs;

use stride::image::{PngMetadata, RgbImage, png_bytes};

use crate::program::{names_in, run};

#[test]
fn wrong_usage_is_named() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let cases: [(&[&str], &str); 6] = [
        (&[], "expected SAMPLES and REFERENCE, or --data DIR"),
        (&["a"], "REFERENCE"),
        (&["a", "b", "--data", "c"], "--data"),
        (&["--data", "c", "--steps", "0"], "1..=128"),
        (&["--data", "c", "--samples", "1"], "at least 2"),
        (&["--data", "c", "--out", "missing"], "create it first"),
    ];
    for (arguments, expected) in cases {
        run(folder.path(), &[&["evaluate"], arguments].concat()).expect(2).says(&[expected]);
    }
    assert!(names_in(folder.path()).is_empty());
}

#[test]
fn unusable_inputs_are_named() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let picture = |name: &str| {
        let image = RgbImage { width: 2, height: 2, pixels: vec![9; 12] };
        let bytes = png_bytes(&image, &PngMetadata::default()).expect("a picture");
        fs::write(folder.path().join(name), bytes).expect("writable");
    };
    fs::create_dir(folder.path().join("a")).expect("writable");
    picture("a/1.png");
    run(folder.path(), &["evaluate", "a", "a"]).expect(1).says(&["at least 2 samples, found 1"]);
    picture("a/2.png");
    run(folder.path(), &["evaluate", "a", "a"])
        .expect(2)
        .says(&["--inception", "convert-inception"]);
    fs::write(folder.path().join("w.safetensors"), b"no weights").expect("writable");
    run(folder.path(), &["evaluate", "a", "a", "--inception", "w.safetensors"])
        .expect(1)
        .says(&["w.safetensors", "not a complete safetensors file"]);

    run(folder.path(), &["evaluate", "convert-inception", "a", "-o", "i.safetensors"])
        .expect(1)
        .says(&["model.min.js"]);
    fs::write(folder.path().join("a/model.min.js"), "weightsManifest:[]").expect("writable");
    run(folder.path(), &["evaluate", "convert-inception", "a", "-o", "i.safetensors"])
        .expect(1)
        .says(&["model.min.js", "expected nsfwjs 4"]);
    assert!(!folder.path().join("i.safetensors").exists());
}
