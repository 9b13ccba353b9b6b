//! Parquet of datasets and pyarrow, tars of webdataset, zips of Python.

use std::fs;

use rayon::prelude::*;
use stride_data::{Layout, Limits, Source, decode};

use crate::sets::{captions, error, fixture, folder, names, open, png, problems, rgb, tensors};

/// Checks that the images are those of the fixtures, over and over.
fn check_images(source: &Source) {
    let expected = tensors("sets.safetensors");
    (0..source.records().len()).into_par_iter().for_each(|index| {
        let bytes = source.read(index).unwrap_or_else(|problem| panic!("{problem}"));
        let found = decode(&bytes, &Limits::default()).expect("an image");
        let wanted = (index % 6).to_string();
        let (_, shape, pixels) = expected.iter().find(|(n, ..)| *n == wanted).expect("one of six");
        assert_eq!(found, rgb(shape, pixels), "{index}");
    });
}

fn text(index: usize) -> String {
    format!("picture {index}, été")
}

fn with_another(first: impl Fn(usize) -> String) -> Vec<Vec<String>> {
    let another = |index| if index == 2 { vec!["another".to_owned()] } else { Vec::new() };
    (0..6).map(|index| [vec![first(index)], another(index)].concat()).collect()
}

#[test]
fn parquet_of_datasets_is_read() {
    let source = open(&fixture("datasets.parquet"));
    assert_eq!((source.layout(), source.records().len()), (Layout::Parquet, 6));
    assert_eq!(names(&source)[5], "datasets.parquet/5");
    assert_eq!(captions(&source), (0..6).map(|i| vec![text(i)]).collect::<Vec<_>>());
    assert!(problems(&source).is_empty());
    check_images(&source);
}

#[test]
fn parquet_of_pyarrow_is_read_in_every_encoding() {
    for case in ["plain", "gzip", "zstd", "delta"] {
        let source = open(&fixture(&format!("pyarrow_{case}.parquet")));
        assert_eq!(problems(&source), [""; 0], "{case}");
        assert_eq!(captions(&source), with_another(text), "{case}");
        check_images(&source);
    }
}

#[test]
fn parquet_of_many_pages_is_read_in_any_order() {
    let source = open(&fixture("pyarrow_pages.parquet"));
    assert_eq!(source.records().len(), 120);
    check_images(&source);
    for (step, index) in (0..120).map(|step| (step, step * 77 % 120)) {
        let same = source.read(index % 6).expect("readable");
        assert_eq!(source.read(index).expect("readable"), same, "{step}");
        assert_eq!(source.records()[index].captions, [text(index % 6)]);
    }
}

#[test]
fn folders_of_archives_are_read_by_name() {
    let parquet = fs::read(fixture("datasets.parquet")).expect("a fixture");
    let tar = fs::read(fixture("shard.tar")).expect("a fixture");
    let dir = folder(&[
        ("data/b.parquet", &parquet),
        ("data/a.parquet", &parquet),
        ("README.md", b"# Words"),
    ]);
    let source = open(dir.path());
    assert_eq!((names(&source)[0], names(&source)[11]), ("data/a.parquet/0", "data/b.parquet/5"));
    check_images(&source);
    let dir = folder(&[("train-1.tar", &tar), ("train-0.tar", &tar), ("train-0.json", b"{}")]);
    let source = open(dir.path());
    assert_eq!(source.layout(), Layout::WebDataset);
    assert_eq!(names(&source)[..2], ["train-0.tar/000000.png", "train-0.tar/000001.png"]);
    assert_eq!(names(&source)[6], "train-1.tar/000000.png");
    check_images(&source);
}

#[test]
fn tables_without_images_do_not_hide_the_images() {
    let table = fs::read(fixture("pyarrow_table.parquet")).expect("a fixture");
    assert!(error(&fixture("pyarrow_table.parquet")).contains("found url, caption"));
    let tar = fs::read(fixture("shard.tar")).expect("a fixture");
    let dir = folder(&[("0.tar", &tar), ("0.parquet", &table)]);
    assert_eq!(open(dir.path()).layout(), Layout::WebDataset);
    let dir = folder(&[("0/1.png", &png(1)), ("0/1.txt", b"one"), ("0.parquet", &table)]);
    let source = open(dir.path());
    assert_eq!((source.layout(), names(&source)), (Layout::TextFiles, vec!["0/1.png"]));
    assert!(problems(&source).is_empty());
}

#[test]
fn tars_of_webdataset_are_read() {
    let source = open(&fixture("shard.tar"));
    assert_eq!(names(&source)[3], "shard.tar/000003.png");
    assert_eq!(captions(&source), with_another(text));
    assert!(problems(&source).is_empty());
    check_images(&source);
}

#[test]
fn zips_are_read_like_folders() {
    let source = open(&fixture("archive.zip"));
    assert_eq!((source.layout(), names(&source)[4]), (Layout::Metadata, "img/4.png"));
    assert_eq!(captions(&source), with_another(text));
    let smiling: Vec<bool> =
        source.records().iter().map(|r| r.face.is_some_and(|a| a.has("Smiling"))).collect();
    assert_eq!(smiling, [true, false, true, false, true, false]);
    check_images(&source);
}
