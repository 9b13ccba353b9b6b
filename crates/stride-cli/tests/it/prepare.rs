//! `stride prepare`.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

#[cfg(unix)]
use std::sync::atomic::AtomicBool;

#[cfg(unix)]
use stride_files::FolderLock;

use crate::compare::{BASE, place};
use crate::program::{Run, names_in, run};
#[cfg(unix)]
use crate::program::{Running, command};

const PREPARE: [&str; 7] =
    ["prepare", "--source", "data", "--vae", "model/vae", "--resolution", "16"];

fn prepare(place: &Path, more: &[&str]) -> Run {
    run(place, &[&PREPARE[..], more].concat())
}

fn contents(folder: &Path) -> BTreeMap<String, Vec<u8>> {
    let file = |name: String| {
        let bytes = fs::read(folder.join(&name)).expect("a file");
        (name, bytes)
    };
    names_in(folder).into_iter().map(file).collect()
}

#[test]
fn a_data_set_is_prepared_once_and_trains() {
    let place = place();
    let first = prepare(place.path(), &["--out", "prepared"]).expect(0);
    assert!(first.stdout.starts_with("12 images: 0 reused, 12 made"), "{}", first.stdout);
    assert!(first.stdout.contains("outside the encoder"), "{}", first.stdout);
    let files = contents(&place.path().join("prepared"));
    let names: Vec<&str> = files.keys().map(String::as_str).collect();
    let expected = [
        "contact-sheet.png",
        "latents-00000.safetensors",
        "manifest.jsonl",
        "prepared.json",
        "report.json",
        "report.md",
        "tokens.safetensors",
    ];
    assert_eq!(names, expected);
    let second = prepare(place.path(), &["--out", "prepared"]).expect(0);
    assert!(second.stdout.starts_with("12 images: 12 reused, 0 made"), "{}", second.stdout);
    assert_eq!(contents(&place.path().join("prepared")), files);

    // The images are not needed any more.
    fs::rename(place.path().join("data"), place.path().join("away")).expect("there");
    let config = BASE
        .replace("dir = \"data\"", "prepared = \"prepared\"\nflip = true")
        .replace("latent_cache = \"latents\"\n", "")
        .replace("max_seconds = 1000", "max_steps = 2");
    fs::write(place.path().join("prepared.toml"), config).expect("writable");
    run(place.path(), &["train", "--config", "prepared.toml"]).expect(0).says(&["2 steps"]);
}

#[test]
fn parts_join_to_the_whole() {
    let place = place();
    prepare(place.path(), &["--out", "whole"]).expect(0);
    for (part, shard) in [("a", "0/2"), ("b", "1/2")] {
        let part = prepare(place.path(), &["--out", part, "--shard", shard]).expect(0);
        assert!(part.stdout.starts_with("6 images"), "{}", part.stdout);
    }
    let merged = run(place.path(), &["prepare", "merge", "a", "b", "--out", "merged"]).expect(0);
    assert_eq!(merged.stdout, "12 images\n");
    let again = ["prepare", "merge", "a", "b", "--out", "again", "--json"];
    let told = run(place.path(), &again).expect(0).json();
    assert_eq!(told, serde_json::json!({"folder": "again", "images": 12}));
    let (merged, whole) = (place.path().join("merged"), place.path().join("whole"));
    let mut whole = contents(&whole);
    // Every part has a sheet of its own.
    whole.remove("contact-sheet.png");
    assert_eq!(contents(&merged), whole);
    run(place.path(), &["prepare", "merge", "a", "--out", "other"])
        .expect(1)
        .says(&["every part of 2 once, found 0/2"]);
}

#[test]
fn broken_images_are_left_out_by_name() {
    let place = place();
    fs::write(place.path().join("data/3.png"), b"no image").expect("writable");
    let found = prepare(place.path(), &["--out", "prepared"]).expect(0).says(&["left out: 3.png"]);
    assert!(found.stdout.starts_with("11 images"), "{}", found.stdout);
    assert!(found.stdout.contains("1 left out"), "{}", found.stdout);
}

#[test]
fn captions_come_from_attributes() {
    let place = place();
    fs::remove_file(place.path().join("data/metadata.jsonl")).expect("there");
    let faces = (0..12).map(|k| format!("{k}.png {} 1\n", if k == 0 { 1 } else { -1 }));
    let table = format!("12\nMale Smiling\n{}", faces.collect::<String>());
    fs::write(place.path().join("data/list_attr_celeba.txt"), table).expect("writable");
    prepare(place.path(), &["--out", "prepared"]).expect(0);
    let manifest = || {
        let text = fs::read_to_string(place.path().join("prepared/manifest.jsonl"));
        let text = text.expect("written");
        let line = |line: &str| serde_json::from_str::<serde_json::Value>(line).expect("JSON");
        text.lines().map(line).collect::<Vec<_>>()
    };
    let lines = manifest();
    for line in &lines {
        let is_man = line["name"] == "0.png";
        assert_eq!(line["attributes"][0], if is_man { "Male" } else { "Smiling" }, "{line}");
        let first = line["captions"][0].as_str().expect("a caption");
        assert_eq!(first.contains("woman"), !is_man, "{first}");
    }
    prepare(place.path(), &["--out", "prepared", "--captions", "file"]).expect(1).says(&[
        "none of 12 images has a caption",
        "list_attr_celeba.txt",
        "--captions none",
    ]);
    // Words alone have changed.
    let plain = prepare(place.path(), &["--out", "prepared", "--captions", "none"]).expect(0);
    assert!(plain.stdout.starts_with("12 images: 12 reused"), "{}", plain.stdout);
    assert!(plain.stdout.contains("new captions for 12; 12 without a caption"), "{}", plain.stdout);
    assert_eq!(manifest()[3]["captions"], serde_json::json!([""]));
}

#[test]
fn captions_are_not_lost_in_silence() {
    let place = place();
    let listing = place.path().join("data/metadata.jsonl");
    let lines = fs::read_to_string(&listing).expect("there");
    fs::write(&listing, lines.replace("\"text\"", "\"captoin\"")).expect("writable");
    let out = ["--out", "prepared"];
    prepare(place.path(), &out).expect(1).says(&[
        "none of 12 images has a caption",
        "is it `captoin`?",
        "--caption-column",
    ]);
    let named = prepare(place.path(), &[&out[..], &["--caption-column", "captoin"]].concat());
    assert!(named.expect(0).stdout.starts_with("12 images: 0 reused, 12 made"));

    let ten: String = lines.lines().take(10).map(|line| format!("{line}\n")).collect();
    fs::write(&listing, ten.replacen("\"text\"", "\"note\"", 3)).expect("writable");
    prepare(place.path(), &out).expect(1).says(&[
        "3 of 10 images have no caption",
        "at most 25 %",
        "--max-uncaptioned 1",
    ]);
    let few = prepare(place.path(), &[&out[..], &["--max-uncaptioned", "0.3"]].concat()).expect(0);
    let few = few.says(&["has no caption", "not listed: 2; the first is"]);
    assert!(few.stdout.starts_with("7 images"), "{}", few.stdout);
    let report = fs::read_to_string(place.path().join("prepared/report.md")).expect("written");
    assert!(report.contains("| Not listed | 2 |"), "{report}");
    assert!(report.contains("| left out | 5 |"), "{report}");
    prepare(place.path(), &[&out[..], &["--max-uncaptioned", "2"]].concat())
        .expect(2)
        .says(&["a fraction from 0 to 1"]);
}

#[test]
fn reports_of_parts_are_the_report_of_the_whole() {
    let place = place();
    fs::write(place.path().join("data/9.png"), b"no image").expect("writable");
    prepare(place.path(), &["--out", "whole"]).expect(0);
    for (part, shard) in [("a", "0/2"), ("b", "1/2")] {
        prepare(place.path(), &["--out", part, "--shard", shard]).expect(0);
    }
    run(place.path(), &["prepare", "merge", "b", "a", "--out", "merged"]).expect(0);
    let read = |name: &str| fs::read_to_string(place.path().join(name)).expect("written");
    for name in ["report.md", "report.json"] {
        assert_eq!(read(&format!("merged/{name}")), read(&format!("whole/{name}")));
    }
    let report = read("whole/report.md");
    assert!(report.contains("9.png") && report.contains("not an image"), "{report}");
    let sheet = fs::read(place.path().join("whole/contact-sheet.png")).expect("written");
    assert!(sheet.starts_with(b"\x89PNG"));
}

#[test]
fn the_reason_is_named_where_every_image_is_broken() {
    let place = place();
    for k in 0..12 {
        fs::write(place.path().join(format!("data/{k}.png")), b"no image").expect("writable");
    }
    prepare(place.path(), &["--out", "prepared"])
        .expect(1)
        .says(&["12 are listed", "the first is 0.png: not an image: expected JPEG"]);
}

#[test]
fn prepared_data_inside_its_source_is_no_image_of_it() {
    let place = place();
    fs::remove_file(place.path().join("data/metadata.jsonl")).expect("there");
    let out = ["--out", "data/prepared", "--captions", "none"];
    let first = prepare(place.path(), &out).expect(0);
    assert!(first.stdout.starts_with("12 images: 0 reused, 12 made"), "{}", first.stdout);
    let second = prepare(place.path(), &out).expect(0);
    assert!(second.stdout.starts_with("12 images: 12 reused, 0 made"), "{}", second.stdout);
}

#[test]
fn wrong_arguments_are_named() {
    let place = place();
    fs::write(place.path().join("file"), b"").expect("writable");
    for (arguments, code, expected) in [
        (&["prepare", "--source", "data"][..], 2, "--out"),
        (&["prepare", "merge", "--out", "x"], 2, "PARTS"),
        (&[&PREPARE[..], &["--out", "x", "--shard", "2/2"]].concat(), 2, "I/N"),
        (&[&PREPARE[..], &["--out", "file/below"]].concat(), 1, "file/below"),
        (&["prepare", "--source", "nowhere", "--out", "x", "--vae", "model/vae"], 1, "nowhere"),
        (&["prepare", "--source", "data", "--out", "x", "--vae", "nowhere"], 1, "nowhere"),
        (&[&PREPARE[..5], &["--out", "x", "--resolution", "18"]].concat(), 1, "multiple of 4"),
        (
            &[&PREPARE[..5], &["--out", "x", "--resolution", "16384"]].concat(),
            1,
            "1 to 2048 pixels",
        ),
        (&[&PREPARE[..5], &["--out", "x", "--resolution", "0"]].concat(), 1, "resolution"),
        (
            &[&PREPARE[..5], &["--out", "x", "--resolution", "18446744073709551612"]].concat(),
            1,
            "found 18446744073709551612",
        ),
        (&[&PREPARE[..], &["--out", "data"]].concat(), 2, "another folder than --source"),
        (
            &[&PREPARE[..], &["--out", "./model/../data"]].concat(),
            2,
            "another folder than --source",
        ),
    ] {
        run(place.path(), arguments).expect(code).says(&[expected]);
    }
}

#[cfg(unix)]
#[test]
fn an_interruption_ends_what_comes_after() {
    let place = place();
    let out = place.path().join("prepared");
    let lock = FolderLock::acquire(&out, &AtomicBool::new(false)).expect("writable");
    for (signal, code) in [("INT", 130), ("TERM", 143)] {
        let arguments = [&PREPARE[..], &["--out", "prepared"]].concat();
        let mut running = Running::start(command(place.path(), &arguments));
        running.wait_for("waits for another process");
        running.send(signal);
        let (found, rest) = running.end();
        assert_eq!(found, Some(code), "{rest}");
        assert!(rest.contains("the same command goes on"), "{rest}");
    }
    drop(lock);
    prepare(place.path(), &["--out", "prepared"]).expect(0);
}
