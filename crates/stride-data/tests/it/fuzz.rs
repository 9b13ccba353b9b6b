//! Thousands of broken files, the same in every run: each gives an answer or an error, in little memory.

use std::fs;
use std::path::Path;

use stride_data::{Filter, Limits, Source, decode, square};

use crate::mutations::{Draws, check_peak, rounds};
use crate::sets::{fixture, folder, images, lenient, png};

/// Small images only, so that what a broken header announces is refused.
const LIMITS: Limits = Limits {
    max_file_bytes: 1 << 20,
    max_pixels: 1 << 16,
    max_side: 1 << 12,
    min_side: 1,
    max_caption_bytes: 1 << 10,
    max_captions: 16,
};

/// Megabytes that all tests of this binary may take together.
const BOUND: u64 = 800;

#[test]
fn broken_images_are_refused() {
    let mut draws = Draws(1);
    let mut refused = 0;
    let images = images();
    let rounds = rounds(150);
    for (_, bytes, _) in &images {
        for _ in 0..rounds {
            match decode(&draws.mutate(bytes), &LIMITS) {
                Ok(image) => {
                    assert!(u64::from(image.width()) * u64::from(image.height()) <= 1 << 16);
                    assert_eq!(square(&image, 9, Filter::Bicubic).dimensions(), (9, 9));
                }
                Err(_) => refused += 1,
            }
        }
    }
    println!("{refused} of {} refused", images.len() * rounds);
    assert!(refused > rounds);
    check_peak(BOUND);
}

/// Opens a set and reads all of it; how many images could be decoded.
fn use_all(path: &Path) -> usize {
    let Ok(source) = Source::open(path, &lenient(LIMITS)) else { return 0 };
    assert!(source.records().iter().all(|record| record.captions.len() <= LIMITS.max_captions));
    let shown: usize = source.problems().iter().map(|problem| problem.to_string().len()).sum();
    assert!(shown < 1 << 20);
    let decoded = (0..source.records().len().min(500)).filter(|&index| {
        source.read(index).is_ok_and(|bytes| {
            assert!(bytes.len() as u64 <= LIMITS.max_file_bytes);
            decode(&bytes, &LIMITS).is_ok()
        })
    });
    decoded.count()
}

#[test]
fn broken_archives_are_refused_or_used_in_part() {
    let mut draws = Draws(2);
    for (name, few) in [
        ("archive.zip", 300),
        ("shard.tar", 300),
        ("datasets.parquet", 300),
        ("pyarrow_plain.parquet", 200),
        ("pyarrow_gzip.parquet", 200),
        ("pyarrow_zstd.parquet", 200),
        ("pyarrow_delta.parquet", 200),
        ("pyarrow_pages.parquet", 40),
    ] {
        let bytes = fs::read(fixture(name)).expect("a fixture");
        let dir = folder(&[(name, &bytes)]);
        let path = dir.path().join(name);
        assert!(use_all(&path) >= 6, "{name}");
        let mut decoded = 0;
        let rounds = rounds(few);
        for _ in 0..rounds {
            fs::write(&path, draws.mutate(&bytes)).expect("writable");
            decoded += use_all(&path);
        }
        println!("{name}: {decoded} images of {rounds} broken files");
    }
    check_peak(BOUND);
}

#[test]
fn broken_listings_are_refused_or_used_in_part() {
    let mut draws = Draws(3);
    let table = b"2\nBald Young Male\na.png 1 -1 1\nb.png -1 -1 1\n";
    for (name, content) in [
        (
            "metadata.jsonl",
            &b"{\"file_name\":\"a.png\",\"text\":\"one\",\"attributes\":{\"Male\":1}}\n\
               {\"file_name\":\"b.png\",\"captions\":[\"two\",\"three\"]}\n"[..],
        ),
        ("metadata.csv", b"file_name,text\na.png,\"one, \"\"two\"\"\"\nb.png,three\n"),
        ("captions.json", b"{\"a.png\": {\"overall_caption\": \"one\"}, \"b.png\": [\"two\"]}"),
        ("list_attr_celeba.txt", table),
        ("a.txt", "one été\ntwo\n".as_bytes()),
    ] {
        let dir = folder(&[("a.png", &png(1)), ("b.png", &png(2)), (name, content)]);
        assert!(use_all(dir.path()) >= 1, "{name}");
        for _ in 0..rounds(300) {
            fs::write(dir.path().join(name), draws.mutate_text(content)).expect("writable");
            use_all(dir.path());
        }
    }
    check_peak(BOUND);
}
