//! Thousands of broken files of other programs, the same in every run: each is read or refused, in little memory.

use std::fs;
use std::path::Path;

use stride_data::Pixels;
use stride_eval::images::ImageSet;
use stride_eval::npz::{has_statistics, read_statistics};
use stride_models::PytorchFile;

use crate::files::fixture;
use crate::mutations::{Draws, check_peak, rounds};

/// Megabytes that all tests of this binary may take together.
const BOUND: u64 = 4000;

/// Breaks a file again and again; `is_used` reads it.
fn attack(seed: u64, name: &str, is_used: impl Fn(&Path) -> bool) {
    let dir = tempfile::tempdir().expect("temporary folder");
    let path = dir.path().join(name);
    let whole = fs::read(fixture(name)).expect("a fixture");
    let mut draws = Draws(seed);
    let rounds = rounds(200);
    let mut used = 0;
    for round in 0..rounds {
        // Headers of arrays are text.
        let is_text = round % 2 == 0;
        let broken = if is_text { draws.mutate_text(&whole) } else { draws.mutate(&whole) };
        fs::write(&path, broken).expect("writable");
        used += usize::from(is_used(&path));
    }
    println!("{name}: {used} of {rounds} used");
    check_peak(BOUND);
}

#[test]
fn broken_statistics_are_read_or_refused() {
    for (seed, name) in [(1, "stride_statistics.npz"), (2, "pytorch_fid_statistics.npz")] {
        attack(seed, name, |path| {
            let is_one = has_statistics(path).is_ok_and(|is_one| is_one);
            read_statistics(path, None).is_ok_and(|gaussian| {
                assert!(is_one && gaussian.covariance.nrows() == gaussian.mean.len());
                true
            })
        });
    }
}

#[test]
fn broken_samples_are_read_or_refused() {
    attack(3, "samples.npz", |path| {
        let Ok(set) = ImageSet::open(path, None) else { return false };
        assert!(set.len() < 1 << 20);
        set.for_each_batch(2, Pixels::Shown, |batch| {
            assert!(batch.len() <= 2);
            Ok(())
        })
        .is_ok()
    });
}

#[test]
fn broken_pickles_are_read_or_refused() {
    for (seed, name) in
        [(4, "weights_zip.pth"), (5, "weights_legacy.pth"), (6, "weights_command.pth")]
    {
        attack(seed, name, |path| {
            let Ok(file) = PytorchFile::open(path) else { return false };
            assert!(file.shapes().count() < 1 << 16);
            file.to_safetensors().is_ok()
        });
    }
    assert!(!Path::new("executed-by-a-pickle").exists());
}
