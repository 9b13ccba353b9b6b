//! Whatever happens to a preparation, the folder ends as if nothing had.

use std::cell::Cell;
use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::SystemTime;

use stride::noise::keyed_rng;
use stride_files::{FileError, FolderLock};
use tempfile::TempDir;

use super::store::shard_path;
use super::*;
use crate::{ContentHash, DataError, Filter, Part, Record, Source, SourceOptions};

const SIDE: usize = 4;
const SHARD_SIZE: usize = 4;

/// Halves images by averages, in one channel of red and one of blue; the log-variance is what it is told.
struct Halving {
    resolution: usize,
    weights: u8,
    dtype: &'static str,
    logvar: f32,
    encoded: Cell<usize>,
}

impl Halving {
    fn new() -> Self {
        Self { resolution: SIDE, weights: 1, dtype: "f32", logvar: -2.0, encoded: Cell::new(0) }
    }
}

impl LatentEncoder for Halving {
    fn resolution(&self) -> usize {
        self.resolution
    }

    fn latent_shape(&self) -> LatentShape {
        LatentShape { channels: 2, height: self.resolution / 2, width: self.resolution / 2 }
    }

    fn is_variational(&self) -> bool {
        true
    }

    fn identity(&self) -> ContentHash {
        ContentHash::of(&[self.weights])
    }

    fn dtype(&self) -> &'static str {
        self.dtype
    }

    fn batch_size(&self) -> usize {
        3
    }

    fn encode(&self, pixels: Vec<f32>) -> Vec<f32> {
        let (side, half) = (self.resolution, self.resolution / 2);
        let mut moments = Vec::new();
        for image in pixels.chunks_exact(3 * side * side) {
            self.encoded.set(self.encoded.get() + 1);
            for channel in [0, 2] {
                let plane = &image[channel * side * side..][..side * side];
                for place in 0..half * half {
                    let (row, column) = (place / half * 2, place % half * 2);
                    let at = |y: usize, x: usize| plane[(row + y) * side + column + x];
                    let sum = at(0, 0) + at(0, 1) + at(1, 0) + at(1, 1);
                    moments.push(sum / 4.0 * f32::from(self.weights));
                }
            }
            moments.extend(vec![self.logvar; 2 * half * half]);
        }
        moments
    }
}

/// A folder of `names`, each with an image and a caption of its own.
fn data(names: &[&str]) -> TempDir {
    let dir = tempfile::tempdir().expect("temporary folder");
    for name in names {
        draw(dir.path(), name, name);
    }
    list(dir.path(), names, |name| format!("a {name}"));
    dir
}

fn draw(dir: &Path, name: &str, content: &str) {
    let hash = ContentHash::of(content.as_bytes());
    let value = |x: u32, y: u32| hash.as_bytes()[(4 * y + x) as usize];
    let size = SIDE as u32;
    let image = image::RgbImage::from_fn(size, size, |x, y| image::Rgb([value(x, y), 9, 99]));
    image.save(dir.join(format!("{name}.png"))).expect("writable");
}

fn list(dir: &Path, names: &[&str], caption: impl Fn(&str) -> String) {
    let line =
        |name: &&str| format!("{{\"file_name\":\"{name}.png\",\"text\":\"{}\"}}\n", caption(name));
    fs::write(dir.join("metadata.jsonl"), names.iter().map(line).collect::<String>())
        .expect("writable");
}

/// Prepares after `change`, and says how many images were encoded.
fn prepare_as(
    data: &Path,
    out: &Path,
    encoder: &Halving,
    change: impl Fn(&mut Preparation<'_>),
) -> Result<PrepareSummary, DataError> {
    let source = Source::open(data, &SourceOptions::without_captions())?;
    let stop = AtomicBool::new(false);
    let captions = |record: &Record| record.captions.clone();
    let mut preparation = Preparation::new(&source, encoder, &captions, &stop);
    preparation.shard_size = SHARD_SIZE;
    change(&mut preparation);
    preparation.run(out, &mut |_| {})
}

fn prepare(data: &Path, out: &Path) -> PrepareSummary {
    prepare_as(data, out, &Halving::new(), |_| {}).expect("prepared")
}

/// Every file below a folder.
fn contents(dir: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let mut files = BTreeMap::new();
    for entry in fs::read_dir(dir).expect("a folder") {
        let path = entry.expect("readable").path();
        if path.is_dir() {
            files.extend(contents(&path).into_iter().map(|(name, bytes)| {
                (Path::new(path.file_name().expect("a name")).join(name), bytes)
            }));
        } else {
            let bytes = fs::read(&path).expect("readable");
            files.insert(PathBuf::from(path.file_name().expect("a name")), bytes);
        }
    }
    files
}

/// What preparing a data set into a new folder gives.
fn fresh(data: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let out = tempfile::tempdir().expect("temporary folder");
    prepare(data, out.path());
    contents(out.path())
}

const NAMES: [&str; 10] = ["a", "b", "c", "d", "e", "f", "g", "h", "i", "j"];

#[test]
fn a_stopped_run_goes_on_to_the_same_bytes() {
    let data = data(&NAMES);
    let expected = fresh(data.path());
    assert_eq!(expected.len(), 3 + 3, "three shards, manifest, tokens, header");
    for stop_after in [3, 6, 9] {
        let out = tempfile::tempdir().expect("temporary folder");
        let source = Source::open(data.path(), &SourceOptions::without_captions()).expect("valid");
        let (stop, encoder) = (AtomicBool::new(false), Halving::new());
        let captions = |record: &Record| record.captions.clone();
        let mut preparation = Preparation::new(&source, &encoder, &captions, &stop);
        preparation.shard_size = SHARD_SIZE;
        let mut progress =
            |at: PrepareProgress| stop.store(at.done >= stop_after, Ordering::Relaxed);
        let stopped = preparation.run(out.path(), &mut progress).expect("stopped");
        assert!(stopped.was_stopped && stopped.made == stop_after, "{stopped:?}");
        let error = PreparedSet::open(out.path(), None).err().expect("unfinished").to_string();
        assert!(error.contains("unfinished"), "{error}");
        let resumed = prepare(data.path(), out.path());
        assert_eq!((resumed.reused, resumed.made), (stop_after, NAMES.len() - stop_after));
        assert_eq!(contents(out.path()), expected, "stopped after {stop_after}");
    }
}

#[test]
fn a_run_killed_while_it_put_things_in_place_loses_nothing() {
    let data = data(&NAMES);
    let out = tempfile::tempdir().expect("temporary folder");
    prepare(data.path(), out.path());
    let expected = contents(out.path());
    let unfinished = out.path().join("unfinished");
    fs::create_dir(&unfinished).expect("writable");
    fs::remove_file(out.path().join("prepared.json")).expect("there");
    fs::remove_file(out.path().join("manifest.jsonl")).expect("there");
    for (number, piece) in [(1, 7), (2, 3)] {
        fs::rename(shard_path(out.path(), number), shard_path(&unfinished, piece)).expect("there");
    }
    for folder in [out.path(), &unfinished] {
        fs::write(folder.join(".stride-x.tmp"), b"half a file").expect("writable");
    }
    let again = prepare(data.path(), out.path());
    assert_eq!((again.reused, again.made), (10, 0));
    assert_eq!(contents(out.path()), expected);
}

#[test]
fn parts_join_to_the_whole() {
    let data = data(&NAMES);
    for count in [1, 2, 3] {
        let place = tempfile::tempdir().expect("temporary folder");
        let parts: Vec<PathBuf> =
            (0..count).map(|index| place.path().join(index.to_string())).collect();
        for (index, part) in parts.iter().enumerate() {
            let of_part = |p: &mut Preparation<'_>| p.part = Some(Part { index, count });
            prepare_as(data.path(), part, &Halving::new(), of_part).expect("prepared");
        }
        let error = PreparedSet::open(&parts[0], None).err().expect("a part").to_string();
        assert!(error.contains("stride prepare merge"), "{error}");
        let out = place.path().join("whole");
        let backwards: Vec<PathBuf> = parts.iter().rev().cloned().collect();
        assert_eq!(merge_prepared(&backwards, &out).expect("joined"), NAMES.len());
        assert_eq!(contents(&out), fresh(data.path()), "{count} parts");
        assert_eq!(merge_prepared(&parts, &out).expect("again"), NAMES.len());
    }
}

#[test]
fn parts_that_do_not_belong_together_are_refused() {
    let data = data(&NAMES);
    let place = tempfile::tempdir().expect("temporary folder");
    let part = |name: &str, index, count, encoder: &Halving| {
        let out = place.path().join(name);
        let of_part = |p: &mut Preparation<'_>| p.part = Some(Part { index, count });
        prepare_as(data.path(), &out, encoder, of_part).expect("prepared");
        out
    };
    let (first, second) =
        (part("first", 0, 2, &Halving::new()), part("second", 1, 2, &Halving::new()));
    let other = part("other", 1, 2, &Halving { weights: 2, ..Halving::new() });
    let third = part("third", 1, 3, &Halving::new());
    let whole = place.path().join("whole");
    prepare(data.path(), &whole);
    let out = place.path().join("out");
    for (parts, expected) in [
        (vec![first.clone()], "every part of 2 once, found 0/2"),
        (vec![first.clone(), first.clone(), second.clone()], "found 0/2, 0/2, 1/2"),
        (vec![first.clone(), other], "autoencoder"),
        (vec![first.clone(), third], "number of parts"),
        (vec![first.clone(), whole], "found a whole"),
        (vec![place.path().join("nowhere")], "nowhere"),
        (vec![], "found none"),
    ] {
        let error = merge_prepared(&parts, &out).expect_err("must fail").to_string();
        assert!(error.contains(expected), "{error}");
    }
    let error = merge_prepared(&[first.clone(), second], &first).expect_err("into itself");
    assert!(error.to_string().contains("another folder"), "{error}");
}

#[test]
fn only_what_changed_is_made_again() {
    let place = data(&NAMES);
    let out = tempfile::tempdir().expect("temporary folder");
    prepare(place.path(), out.path());
    let check = |expected: [usize; 4]| {
        let encoder = Halving::new();
        let summary = prepare_as(place.path(), out.path(), &encoder, |_| {}).expect("prepared");
        let PrepareSummary { reused, made, remade, dropped, .. } = summary;
        assert_eq!([reused, made, remade, dropped], expected);
        assert_eq!(encoder.encoded.get(), 2 * (made + remade), "both views of each");
        assert_eq!(contents(out.path()), fresh(place.path()));
    };
    check([10, 0, 0, 0]);
    draw(place.path(), "c", "another image");
    check([9, 0, 1, 0]);
    // Every row moves by one.
    draw(place.path(), "z", "z");
    let mut names = vec!["z"];
    names.extend(NAMES);
    list(place.path(), &names, |name| format!("a {name}"));
    check([10, 1, 0, 0]);
    names.reverse();
    list(place.path(), &names, |name| format!("a {name}"));
    check([11, 0, 0, 0]);
    let fewer = ["j", "a", "d"];
    list(place.path(), &fewer, |name| format!("a {name}"));
    check([3, 0, 0, 8]);
}

#[test]
fn other_weights_or_transforms_make_everything_again() {
    let data = data(&NAMES);
    let out = tempfile::tempdir().expect("temporary folder");
    prepare(data.path(), out.path());
    let before = contents(out.path());
    type Change = fn(&mut Preparation<'_>);
    let plain: Change = |_| {};
    let cases: [(Halving, Change); 5] = [
        (Halving { weights: 2, ..Halving::new() }, plain),
        (Halving { dtype: "bf16", ..Halving::new() }, plain),
        (Halving { resolution: 2, ..Halving::new() }, plain),
        (Halving::new(), |p| p.filter = Filter::Bilinear),
        (Halving::new(), |p| p.mirrored = false),
    ];
    for (encoder, change) in cases {
        let summary = prepare_as(data.path(), out.path(), &encoder, change).expect("prepared");
        assert_eq!((summary.remade, summary.reused), (10, 0));
        let set = PreparedSet::open(out.path(), None).expect("whole");
        assert_eq!(set.shape(), encoder.latent_shape());
        assert_eq!(set.header().autoencoder, encoder.identity());
        prepare(data.path(), out.path());
        assert_eq!(contents(out.path()), before);
    }
}

#[test]
fn new_captions_leave_the_latents_alone() {
    let place = data(&NAMES);
    let out = tempfile::tempdir().expect("temporary folder");
    prepare(place.path(), out.path());
    let shards = || -> Vec<SystemTime> {
        let written = |number| fs::metadata(shard_path(out.path(), number)).expect("there");
        (0..3).map(|number| written(number).modified().expect("known")).collect()
    };
    let before = shards();
    list(place.path(), &NAMES, |name| match name {
        "b" => "something else".to_owned(),
        _ => format!("a {name}"),
    });
    let encoder = Halving::new();
    let summary = prepare_as(place.path(), out.path(), &encoder, |_| {}).expect("prepared");
    assert_eq!((summary.reused, summary.recaptioned, encoder.encoded.get()), (10, 1, 0));
    assert_eq!(shards(), before, "not written again");
    assert_eq!(contents(out.path()), fresh(place.path()));
    let set = PreparedSet::open(out.path(), None).expect("whole");
    assert_eq!(set.image(1).captions, ["something else"]);
    let tokenizer = stride::tokenizer::ClipTokenizer::new().expect("built in");
    assert_eq!(set.captions(1), [tokenizer.encode("something else").expect("short").ids]);

    let uncaptioned = |p: &mut Preparation<'_>| p.captions = &|_| Vec::new();
    let summary = prepare_as(place.path(), out.path(), &encoder, uncaptioned).expect("prepared");
    assert_eq!((summary.without_caption, summary.recaptioned), (10, 10));
    assert_eq!(PreparedSet::open(out.path(), None).expect("whole").image(0).captions, [""]);
}

#[test]
fn a_damaged_file_is_named_and_made_again() {
    let data = data(&NAMES);
    let out = tempfile::tempdir().expect("temporary folder");
    prepare(data.path(), out.path());
    let before = contents(out.path());
    for (name, made) in [
        ("latents-00001.safetensors", 4),
        ("tokens.safetensors", 0),
        ("manifest.jsonl", 0),
        ("prepared.json", 0),
    ] {
        let path = out.path().join(name);
        let mut bytes = fs::read(&path).expect("there");
        let middle = bytes.len() / 2;
        bytes[middle] ^= 64;
        fs::write(&path, bytes).expect("writable");
        let error = PreparedSet::open(out.path(), None).err().expect("damaged").to_string();
        assert!(error.contains(name) || name == "prepared.json", "{name}: {error}");
        let summary = prepare(data.path(), out.path());
        assert_eq!(summary.made + summary.remade, made, "{name}");
        assert_eq!(summary.damaged, if made > 0 { vec![path] } else { Vec::new() });
        assert_eq!(contents(out.path()), before, "{name}");
    }
    fs::remove_file(shard_path(out.path(), 2)).expect("there");
    let error = PreparedSet::open(out.path(), None).err().expect("missing").to_string();
    assert!(error.contains("latents-00002"), "{error}");
    assert_eq!(prepare(data.path(), out.path()).remade, 2);
    assert_eq!(contents(out.path()), before);
}

#[test]
fn a_folder_that_cannot_be_written_is_named() {
    let data = data(&NAMES);
    let place = tempfile::tempdir().expect("temporary folder");
    let file = place.path().join("file");
    fs::write(&file, b"").expect("writable");
    for out in [file.clone(), file.join("below")] {
        let error = prepare_as(data.path(), &out, &Halving::new(), |_| {}).expect_err("no folder");
        assert!(error.to_string().contains("file"), "{error}");
        assert!(matches!(error, DataError::Files(FileError::Io { .. })), "{error:?}");
    }
    // A file whose place is taken by a folder stands for any write that the disk refuses.
    for taken in ["latents-00001.safetensors", "tokens.safetensors"] {
        let out = place.path().join(format!("no {taken}"));
        fs::create_dir_all(out.join(taken).join("x")).expect("writable");
        let error = prepare_as(data.path(), &out, &Halving::new(), |_| {}).expect_err("taken");
        assert!(error.to_string().contains(taken), "{error}");
        fs::remove_dir_all(out.join(taken)).expect("there");
        prepare(data.path(), &out);
        assert_eq!(contents(&out), fresh(data.path()), "it goes on");
    }
}

#[test]
fn images_that_cannot_be_used_are_left_out() {
    let data = data(&NAMES);
    fs::write(data.path().join("d.png"), b"no image").expect("writable");
    let out = tempfile::tempdir().expect("temporary folder");
    let summary = prepare(data.path(), out.path());
    let names: Vec<&str> = summary.problems.iter().map(|p| p.name.as_str()).collect();
    assert_eq!((summary.images, names), (9, vec!["d.png"]));
    let set = PreparedSet::open(out.path(), None).expect("whole");
    assert_eq!((set.len(), set.image(3).name.as_str()), (9, "e.png"));
    for name in NAMES {
        fs::write(data.path().join(format!("{name}.png")), b"no image").expect("writable");
    }
    let error = prepare_as(data.path(), out.path(), &Halving::new(), |_| {}).expect_err("none");
    assert!(matches!(error, DataError::NothingUsable { skipped: 10, .. }), "{error}");
    assert!(error.to_string().contains("; the first is "), "{error}");
}

#[test]
fn an_encoder_that_gives_no_number_is_noticed() {
    let data = data(&NAMES);
    let out = tempfile::tempdir().expect("temporary folder");
    let broken = Halving { logvar: f32::NAN, ..Halving::new() };
    let error = prepare_as(data.path(), out.path(), &broken, |_| {}).expect_err("no number");
    assert!(error.to_string().contains("a.png"), "{error}");
}

#[test]
fn what_is_held_does_not_grow_with_the_set() {
    let names: Vec<String> = (0..160).map(|index| format!("n{index:03}")).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let peak = |count: usize, shard_size: usize| {
        let data = data(&names[..count]);
        let out = tempfile::tempdir().expect("temporary folder");
        let sized = |p: &mut Preparation<'_>| p.shard_size = shard_size;
        prepare_as(data.path(), out.path(), &Halving::new(), sized).expect("prepared").peak_bytes
    };
    // A row: two views of mean and log-variance, 2 x 2 x 2 numbers of two bytes.
    let row = 2 * 2 * 8 * 2;
    // Batches that are read ahead, waited with, or in the encoder; and one in f32.
    let pixels = 3 * SIDE * SIDE * (4 * 3 + 4 * 3);
    for (count, shard_size) in [(16, 16), (160, 16), (160, 80)] {
        let found = peak(count, shard_size);
        let bound = row * shard_size + pixels;
        assert!((row * (shard_size - 1)..=bound).contains(&found), "{found} of {bound}");
    }
}

#[test]
fn training_reads_means_samples_and_mirror_images() {
    let data = data(&NAMES);
    let out = tempfile::tempdir().expect("temporary folder");
    let encoder = Halving { logvar: (0.25f32).ln(), ..Halving::new() };
    prepare_as(data.path(), out.path(), &encoder, |_| {}).expect("prepared");
    let set = PreparedSet::open(out.path(), Some(7)).expect("whole");
    assert_eq!((set.len(), set.shape().len()), (7, 8));
    let mut mean = [0.0; 8];
    set.write_mean(6, &mut mean);
    let bytes = *ContentHash::of(b"g").as_bytes();
    let red = |x: usize, y: usize| f32::from(bytes[4 * y + x]) / 127.5 - 1.0;
    let expected = (red(0, 0) + red(1, 0) + red(0, 1) + red(1, 1)) / 4.0;
    assert!((mean[0] - expected).abs() < 1e-3, "{} {expected}", mean[0]);

    let sample = |view, draw| {
        let mut out = [0.0; 8];
        set.write_sample(6, view, &mut keyed_rng(1, 2, 3, draw), &mut out);
        out
    };
    assert_eq!(sample(View::Plain, 5), sample(View::Plain, 5));
    assert_ne!(sample(View::Plain, 5), sample(View::Plain, 6));
    let moments = |view| {
        let draws: Vec<f32> = (0..4000).map(|draw| sample(view, draw)[0]).collect();
        let mean = draws.iter().sum::<f32>() / 4000.0;
        let variance = draws.iter().map(|v| (v - mean).powi(2)).sum::<f32>() / 4000.0;
        (mean, variance)
    };
    // Mirrored, the first number is the second of the row.
    for (view, expected) in [(View::Plain, mean[0]), (View::Mirrored, mean[1])] {
        let (mean, variance) = moments(view);
        assert!((mean - expected).abs() < 0.03, "{view:?}: mean {mean}, expected {expected}");
        assert!((variance - 0.25).abs() < 0.03, "{view:?}: variance {variance}");
    }
}

#[test]
fn two_preparations_of_one_folder_take_turns() {
    let data = data(&["a", "b", "c", "d", "e", "f"]);
    let (out, alone) = (tempfile::tempdir().expect("folder"), tempfile::tempdir().expect("folder"));
    prepare(data.path(), alone.path());
    let stop = AtomicBool::new(true);
    let held = FolderLock::acquire(out.path(), &stop).expect("lockable").expect("free");
    assert!(FolderLock::acquire(out.path(), &stop).expect("lockable").is_none(), "is held");
    drop(held);
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| assert_eq!(prepare(data.path(), out.path()).images, 6));
        }
    });
    assert_eq!(contents(out.path()), contents(alone.path()));
}
