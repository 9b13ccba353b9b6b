//! Files of other programs: statistics, samples and weights, as they write and read them.

use std::fs;
use std::io::Cursor;
use std::path::{Path, PathBuf};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use nalgebra::{DMatrix, DVector};
use serde_json::Value;
use stride::image::RgbImage;
use stride_data::Pixels;
use stride_eval::EvalError;
use stride_eval::images::ImageSet;
use stride_eval::inception::{Inception, Variant};
use stride_eval::npz::{has_statistics, read_statistics, statistics_bytes};
use stride_eval::statistics::Gaussian;

use crate::formula::image;

pub(crate) fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures").join(name)
}

#[test]
fn statistics_of_pytorch_fid_are_read() {
    let path = fixture("pytorch_fid_statistics.npz");
    assert!(has_statistics(&path).expect("readable"));
    let gaussian = read_statistics(&path, Some(64)).expect("readable");
    assert_eq!(gaussian.covariance.shape(), (64, 64));
    // 12 images: a covariance of rank 11, symmetric and positive semidefinite.
    let eigenvalues = gaussian.covariance.clone().symmetric_eigenvalues();
    let largest = eigenvalues.max();
    let rank = eigenvalues.iter().filter(|&&value| value > 1e-6 * largest).count();
    assert!(rank == 11 && eigenvalues.min() > -1e-6 * largest, "{eigenvalues}");
    let asymmetry = (&gaussian.covariance - gaussian.covariance.transpose()).amax();
    assert!(asymmetry < 1e-12 * largest, "{asymmetry}");
    let text = read_statistics(&path, Some(2048)).expect_err("another width").to_string();
    assert!(text.contains("expected 2048, found 64"), "{text}");
}

#[test]
fn statistics_are_written_as_pytorch_fid_reads_them() {
    // `export_evaluation.py` reads the committed file through pytorch-fid.
    let mut covariance = DMatrix::from_diagonal(&DVector::from_row_slice(&[2.0, 1.0, 0.5]));
    covariance.add_scalar_mut(0.125);
    let mean = DVector::from_row_slice(&[0.25, -1.5, 3.0]);
    let bytes = statistics_bytes(&Gaussian { mean, covariance, count: None }).expect("writable");
    assert!(bytes == fs::read(fixture("stride_statistics.npz")).expect("readable"));
}

#[test]
fn samples_of_the_adm_suite_are_read_and_cut_ones_refused() {
    let path = fixture("samples.npz");
    assert!(!has_statistics(&path).expect("readable"));
    let mut found = Vec::new();
    let set = ImageSet::open(&path, None).expect("images");
    set.for_each_batch(2, Pixels::Shown, |batch| {
        found.push(batch.to_vec());
        Ok(())
    })
    .expect("readable");
    let expected = [50, 52, 54].map(|stream| image(stream, 12, 10));
    assert_eq!(found, [expected[..2].to_vec(), expected[2..].to_vec()]);

    let dir = tempfile::tempdir().expect("temporary folder");
    let cut = dir.path().join("cut.npz");
    let bytes = fs::read(&path).expect("readable");
    for end in (0..bytes.len()).step_by(97) {
        fs::write(&cut, &bytes[..end]).expect("writable");
        let text = ImageSet::open(&cut, None).expect_err("cut").to_string();
        assert!(text.contains("cut.npz") && text.contains("not a complete .npz"), "{text}");
    }
    let statistics =
        ImageSet::open(&fixture("stride_statistics.npz"), None).expect_err("no images");
    assert!(statistics.to_string().contains("expected an array arr_0"), "{statistics}");
}

/// The images of a folder, or why they are none.
fn read_folder(folder: &Path) -> Result<Vec<RgbImage>, EvalError> {
    let mut found = Vec::new();
    ImageSet::open(folder, None)?.for_each_batch(2, Pixels::Shown, |batch| {
        found.extend_from_slice(batch);
        Ok(())
    })?;
    Ok(found)
}

#[test]
fn jpegs_become_the_pixels_of_libjpeg_turbo() {
    let json: Value =
        serde_json::from_slice(&fs::read(fixture("jpeg.json")).expect("readable")).expect("JSON");
    let bytes = |case: &Value, name: &str| {
        STANDARD.decode(case[name].as_str().expect("text")).expect("base64")
    };
    for (name, case) in json["cases"].as_object().expect("cases") {
        let dir = tempfile::tempdir().expect("temporary folder");
        for file in ["a.jpg", "b.jpeg"] {
            fs::write(dir.path().join(file), bytes(case, "file")).expect("writable");
        }
        let images = read_folder(dir.path()).expect("readable");
        let expected = bytes(case, "pixels");
        let differs = images[0].pixels.iter().zip(&expected).map(|(a, b)| a.abs_diff(*b)).max();
        let bound = if name == "CMYK" { 4 } else { 0 };
        assert!(differs <= Some(bound), "{name}: by {differs:?}");
        assert_eq!((images[0].pixels.len(), images.len()), (expected.len(), 2));
    }
}

#[test]
fn images_that_are_cut_in_their_data_are_refused_by_name() {
    let json: Value =
        serde_json::from_slice(&fs::read(fixture("jpeg.json")).expect("readable")).expect("JSON");
    let dir = tempfile::tempdir().expect("temporary folder");
    let mut png = Vec::new();
    let pixels = image::RgbImage::from_fn(27, 19, |x, y| image::Rgb([x as u8, y as u8, 9]));
    pixels.write_to(&mut Cursor::new(&mut png), image::ImageFormat::Png).expect("encodable");
    let jpeg = |case: &str| {
        let text = json["cases"][case]["file"].as_str().expect("text");
        ("b.jpg", STANDARD.decode(text).expect("base64"))
    };
    for (name, bytes) in [jpeg("4:2:0"), jpeg("4:2:0 progressive"), jpeg("CMYK"), ("b.png", png)] {
        fs::write(dir.path().join("a.jpg"), jpeg("4:2:0").1).expect("writable");
        let path = dir.path().join(name);
        fs::write(&path, &bytes).expect("writable");
        read_folder(dir.path()).expect("whole");
        for length in [bytes.len() - 2, bytes.len() * 9 / 10, bytes.len() * 3 / 4] {
            fs::write(&path, &bytes[..length]).expect("writable");
            // The marker at the very end of a PNG holds no pixels.
            if name == "b.png" && length == bytes.len() - 2 {
                continue;
            }
            let text = read_folder(dir.path()).expect_err("cut").to_string();
            assert!(text.contains(name) && text.contains("not a readable image"), "{text}");
        }
        fs::remove_file(&path).expect("there");
    }
}

#[test]
fn webp_counts_as_pytorch_fid_counts_it() {
    let dir = tempfile::tempdir().expect("temporary folder");
    let image = image::RgbImage::from_pixel(4, 4, image::Rgb([9, 99, 199]));
    for name in ["a.webp", "b.WEBP", "c.png"] {
        let format = image::ImageFormat::from_path(name).expect("known");
        let mut bytes = Vec::new();
        image.write_to(&mut Cursor::new(&mut bytes), format).expect("encodable");
        fs::write(dir.path().join(name), bytes).expect("writable");
    }
    fs::write(dir.path().join("._a.png"), b"of a system").expect("writable");
    let images = read_folder(dir.path()).expect("readable");
    assert_eq!(images.len(), 3);
    assert!(images.iter().all(|image| image.pixels[..3] == [9, 99, 199]));
}

#[test]
fn weights_of_pytorch_are_read_without_executing_them() {
    // The files hold one tensor of the network's name, so that the first missing one tells that it was read.
    let message = |name: &str| {
        let device = burn::tensor::Device::flex();
        Inception::open(&fixture(name), Variant::Fid, &device).expect_err("incomplete").to_string()
    };
    for name in ["weights_zip.pth", "weights_legacy.pth"] {
        let text = message(name);
        assert!(text.contains("Conv2d_1a_3x3.bn.weight is missing"), "{text}");
    }
    let text = message("weights_command.pth");
    assert!(text.contains("weights_command.pth") && text.contains("nothing was run"), "{text}");
    assert!(!Path::new("executed-by-a-pickle").exists());
    let dir = tempfile::tempdir().expect("temporary folder");
    let cut = dir.path().join("cut.pth");
    let bytes = fs::read(fixture("weights_zip.pth")).expect("readable");
    fs::write(&cut, &bytes[..bytes.len() / 2]).expect("writable");
    let device = burn::tensor::Device::flex();
    let text = Inception::open(&cut, Variant::Fid, &device).expect_err("cut").to_string();
    assert!(text.contains("cut.pth: not a readable PyTorch file"), "{text}");
}

#[test]
fn images_of_every_kind_have_the_pixels_of_training() {
    // Alpha, EXIF, palettes, 16 bits, CMYK and the rest.
    let path = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../stride-data/tests/fixtures/pictures.safetensors");
    let bytes = fs::read(path).expect("a fixture");
    let fixture = safetensors::SafeTensors::deserialize(&bytes).expect("safetensors");
    let mut kinds = 0;
    for (name, view) in fixture.tensors() {
        let Some(name) = name.strip_prefix("file.") else { continue };
        let dir = tempfile::tempdir().expect("temporary folder");
        fs::write(dir.path().join(format!("a-{name}")), view.data()).expect("writable");
        let decoded = stride_data::decode(view.data(), &stride_data::Limits::default());
        decoded.expect("an image").save(dir.path().join("b.png")).expect("writable");
        let images = read_folder(dir.path()).expect("readable");
        assert!(images.len() == 2 && images[0] == images[1], "{name}");
        kinds += 1;
    }
    assert_eq!(kinds, 26);
}
