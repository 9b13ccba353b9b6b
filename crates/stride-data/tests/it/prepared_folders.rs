//! Broken prepared folders, the same in every run: each is refused, and preparing again mends it.

use std::fs;
use std::path::Path;
use std::sync::atomic::AtomicBool;

use stride_data::{
    ContentHash, LatentEncoder, LatentShape, Preparation, PreparedSet, Source, View, merge_prepared,
};

use crate::mutations::{Draws, check_peak, rounds};
use crate::sets::{folder, png};

/// Megabytes that all tests of this binary may take together.
const BOUND: u64 = 800;

/// Takes the first value of each image for its latent.
struct First;

impl LatentEncoder for First {
    fn resolution(&self) -> usize {
        4
    }

    fn latent_shape(&self) -> LatentShape {
        LatentShape { channels: 1, height: 1, width: 1 }
    }

    fn is_variational(&self) -> bool {
        true
    }

    fn identity(&self) -> ContentHash {
        ContentHash::of(b"first")
    }

    fn dtype(&self) -> &'static str {
        "f32"
    }

    fn batch_size(&self) -> usize {
        2
    }

    fn encode(&self, pixels: Vec<f32>) -> Vec<f32> {
        pixels.chunks_exact(3 * 4 * 4).flat_map(|image| [image[0], -2.0]).collect()
    }
}

fn prepare(data: &Path, out: &Path) {
    let source = Source::open(data, &stride_data::SourceOptions::default()).expect("readable");
    let captions = |record: &stride_data::Record| record.captions.clone();
    let stop = AtomicBool::new(false);
    let preparation = Preparation::new(&source, &First, &captions, &stop);
    preparation.run(out, &mut |_| ()).expect("prepared, whatever was there");
}

/// Names and bytes of the files in a folder, sorted.
fn contents(dir: &Path) -> Vec<(String, Vec<u8>)> {
    let file = |entry: std::io::Result<fs::DirEntry>| {
        let path = entry.expect("readable").path();
        let name = path.file_name().expect("a name").to_string_lossy().into_owned();
        (name, fs::read(&path).expect("a file"))
    };
    let mut files: Vec<_> = fs::read_dir(dir).expect("a folder").map(file).collect();
    files.sort();
    files
}

/// Reads all that training reads.
fn use_all(dir: &Path) -> bool {
    let Ok(set) = PreparedSet::open(dir, None) else { return false };
    let mut latent = vec![0.0; set.shape().len()];
    let mut rng = stride::noise::keyed_rng(1, 2, 3, 4);
    for index in 0..set.len() {
        assert!(set.captions(index).iter().all(|ids| ids.len() <= 77));
        set.write_mean(index, &mut latent);
        set.write_sample(index, View::Mirrored, &mut rng, &mut latent);
    }
    true
}

#[test]
fn broken_prepared_folders_are_refused_and_mended() {
    let listing = (0..3)
        .map(|k| format!("{{\"file_name\":\"{k}.png\",\"text\":\"a man {k}\"}}\n"))
        .collect::<String>();
    let data = folder(&[
        ("0.png", &png(1)),
        ("1.png", &png(2)),
        ("2.png", &png(3)),
        ("metadata.jsonl", listing.as_bytes()),
    ]);
    let place = tempfile::tempdir().expect("folder");
    let out = place.path().join("out");
    prepare(data.path(), &out);
    assert!(use_all(&out));
    let whole = contents(&out);
    let mut draws = Draws(1);
    for (name, bytes) in &whole {
        let is_text = !name.ends_with("safetensors");
        let rounds = rounds(100);
        let mut used = 0;
        for round in 0..rounds {
            let broken = if is_text { draws.mutate_text(bytes) } else { draws.mutate(bytes) };
            fs::write(out.join(name), &broken).expect("writable");
            let is_used = use_all(&out);
            used += usize::from(is_used);
            if name != "prepared.json" && broken != *bytes {
                assert!(!is_used, "{name} was used though changed");
            }
            _ = merge_prepared(std::slice::from_ref(&out), &place.path().join("merged"));
            // Preparing takes longer than reading.
            if round % 20 == 0 {
                prepare(data.path(), &out);
                assert_eq!(contents(&out), whole, "after a broken {name}");
            }
        }
        fs::write(out.join(name), bytes).expect("writable");
        println!("{name}: {used} of {rounds} used");
    }
    check_peak(BOUND);
}
