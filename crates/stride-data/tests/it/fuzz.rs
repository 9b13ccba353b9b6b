//! Thousands of broken files, the same in every run: each gives an answer or an error, in little memory.

use std::fs;
use std::path::Path;

use stride_data::{Filter, Limits, Source, decode, square};

use crate::sets::{fixture, folder, images, png};

/// Small images only, so that what a broken header announces is refused.
const LIMITS: Limits = Limits {
    max_file_bytes: 1 << 20,
    max_pixels: 1 << 16,
    max_side: 1 << 12,
    min_side: 1,
    max_caption_bytes: 1 << 10,
    max_captions: 16,
};

/// SplitMix64.
struct Draws(u64);

impl Draws {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    fn below(&mut self, bound: usize) -> usize {
        (self.next() % bound.max(1) as u64) as usize
    }

    /// The bytes with one to four changes.
    fn mutate(&mut self, bytes: &[u8]) -> Vec<u8> {
        let mut bytes = bytes.to_vec();
        for _ in 0..=self.below(4) {
            if bytes.is_empty() {
                break;
            }
            let at = self.below(bytes.len());
            let length = self.below(bytes.len() - at).min(64) + 1;
            match self.below(8) {
                0 => bytes[at] ^= 1 << self.below(8),
                1 => bytes[at] = [0, 0x7f, 0x80, 0xff][self.below(4)],
                2 => bytes.truncate(at),
                3 => _ = bytes.drain(at..at + length),
                4 => bytes[at..at + length].fill([0, 0xff][self.below(2)]),
                5 => {
                    let copy = bytes[at..at + length].to_vec();
                    let to = self.below(bytes.len());
                    bytes.splice(to..to, copy);
                }
                6 => bytes[at..at + length].iter_mut().for_each(|b| *b = self.next() as u8),
                _ => {
                    // Where lengths lie: the last bytes and the first.
                    let near = self.below(bytes.len().min(64));
                    let end = bytes.len() - 1 - near;
                    bytes[if at.is_multiple_of(2) { near } else { end }] = self.next() as u8;
                }
            }
        }
        bytes
    }
}

/// Megabytes that the process had at most.
fn peak_megabytes() -> Option<u64> {
    let status = fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    line.trim().trim_end_matches("kB").trim().parse::<u64>().ok().map(|kilobytes| kilobytes >> 10)
}

fn check_peak() {
    if let Some(peak) = peak_megabytes() {
        println!("{peak} MB at most");
        assert!(peak < 800, "{peak} MB");
    }
}

#[test]
fn broken_images_are_refused() {
    let mut draws = Draws(1);
    let mut refused = 0;
    let images = images();
    let rounds = 150;
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
    check_peak();
}

/// Opens a set and reads all of it; how many images could be decoded.
fn use_all(path: &Path) -> usize {
    let Ok(source) = Source::open(path, LIMITS) else { return 0 };
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
    for (name, rounds) in [
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
        for _ in 0..rounds {
            fs::write(&path, draws.mutate(&bytes)).expect("writable");
            decoded += use_all(&path);
        }
        println!("{name}: {decoded} images of {rounds} broken files");
    }
    check_peak();
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
        for _ in 0..300 {
            fs::write(dir.path().join(name), draws.mutate(content)).expect("writable");
            use_all(dir.path());
        }
    }
    check_peak();
}
