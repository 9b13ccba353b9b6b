//! Captions are found by the names that people use, or the set is refused: none is lost in silence.

use std::path::Path;

use stride_data::{CaptionSource, Problem, Source, SourceOptions};
use tar::{Builder, Header};
use tempfile::TempDir;

use crate::sets::{captions, error_with, fixture, folder, names, png, problems};

/// What `stride prepare` asks for by default, but for attributes.
fn strict() -> SourceOptions {
    SourceOptions::default()
}

fn open(path: &Path) -> Source {
    Source::open(path, &strict()).unwrap_or_else(|error| panic!("{error}"))
}

fn with_caption_column(name: &str) -> SourceOptions {
    SourceOptions { caption_column: Some(name.to_owned()), ..strict() }
}

fn with_image_column(name: &str) -> SourceOptions {
    SourceOptions { image_column: Some(name.to_owned()), ..strict() }
}

/// A folder with two images and these files.
fn beside_two(files: &[(&str, &[u8])]) -> TempDir {
    let (a, b) = (png(1), png(2));
    folder(&[&[("a.png", &a[..]), ("b.png", &b[..])][..], files].concat())
}

/// A tar with these members.
fn tar(members: &[(&str, &[u8])]) -> (TempDir, std::path::PathBuf) {
    let mut builder = Builder::new(Vec::new());
    for (name, content) in members {
        let mut header = Header::new_ustar();
        header.set_size(content.len() as u64);
        builder.append_data(&mut header, name, *content).expect("in memory");
    }
    let dir = folder(&[("set.tar", &builder.into_inner().expect("in memory"))]);
    let path = dir.path().join("set.tar");
    (dir, path)
}

#[test]
fn no_captions_is_a_choice() {
    let (_dir, labels) =
        tar(&[("0.png", &png(1)), ("0.cls", b"3"), ("0.json", b"{\"titel\":\"x\",\"n\":1}")]);
    let table = b"2\nBald Young Male\na.png 1 -1 1\nb.png -1 -1 1\n";
    let sets = [
        beside_two(&[]),
        beside_two(&[("metadata.jsonl", b"{\"file_name\":\"a.png\",\"captoin\":\"x\",\"n\":1}\n")]),
        beside_two(&[("metadata.csv", b"file_name,caption_id,label\na.png,1,x\nb.png,2,y\n")]),
        beside_two(&[("captions.csv", b"file_name,text\na.png,x\n"), ("c.txt", b"one")]),
        beside_two(&[("a.txt", b"caf\xe9"), ("b.txt", b" \n")]),
        beside_two(&[("list_attr_celeba.txt", table)]),
        beside_two(&[("captions_hq.json", b"{\"images\": [1, 2], \"annotations\": []}")]),
    ];
    let expected: [&[&str]; 7] = [
        &["none of 2 images has a caption", "nothing is there but images", "--captions none"],
        &["the fields `captoin`; is it `captoin`?", "--caption-column"],
        &["the fields `caption_id`, `label`; is it `caption_id`?"],
        &[
            "the files `c.txt`, `captions.csv`",
            "c.txt: captions without an image",
            "is it `c.txt`, `captions.csv`?",
        ],
        &["a.txt: not UTF-8"],
        &["the files `list_attr_celeba.txt`"],
        &["the files `captions_hq.json`; is it `captions_hq.json`?"],
    ];
    let paths = sets.iter().map(|dir| dir.path()).zip(expected);
    let tar: (&Path, &[&str]) =
        (&labels, &["the fields `titel`; the members `.cls`", "is it `titel`?"]);
    for (path, expected) in paths.chain([tar]) {
        let message = error_with(path, &strict());
        assert!(expected.iter().all(|part| message.contains(part)), "{message}");
        let images = Source::open(path, &SourceOptions::without_captions()).expect("images");
        assert!(!images.records().is_empty());
        let none = images.records().iter().all(|record| record.captions.is_empty());
        assert!(none, "{:?}", captions(&images));
    }
    let both = SourceOptions { captions: CaptionSource::Both, ..strict() };
    let named = SourceOptions { captions: CaptionSource::Both, ..with_caption_column("story") };
    assert!(error_with(sets[5].path(), &named).contains("none of 2 images has a caption"));
    assert_eq!(Source::open(sets[5].path(), &both).expect("attributes").records().len(), 2);
    let (message, both) = (error_with(sets[0].path(), &both), strict().captions);
    assert!(message.contains("none of 2 images") && both == CaptionSource::File, "{message}");
}

#[test]
fn few_captions_are_an_error_unless_they_are_allowed() {
    let lines = |with: usize| -> String {
        let text = |k| if k < with { format!(",\"text\":\"n {k}\"") } else { String::new() };
        (0..8).map(|k| format!("{{\"file_name\":\"{k}.png\"{}}}\n", text(k))).collect()
    };
    let images: Vec<(String, Vec<u8>)> = (0..8).map(|k| (format!("{k}.png"), png(k))).collect();
    for (with, is_used) in [(6, true), (5, false)] {
        let listing = lines(with);
        let files = images.iter().map(|(name, bytes)| (name.as_str(), bytes.as_slice()));
        let files: Vec<_> = files.chain([("metadata.jsonl", listing.as_bytes())]).collect();
        let dir = folder(&files);
        if is_used {
            let source = open(dir.path());
            assert_eq!(source.records().len(), 6);
            assert_eq!(
                problems(&source)[0],
                "6.png: has no caption, though other images of the set have"
            );
        } else {
            let message = error_with(dir.path(), &strict());
            let expected =
                "3 of 8 images have no caption, the first is 5.png; at most 25 % are left out";
            assert!(
                message.contains(expected) && message.contains("--max-uncaptioned"),
                "{message}"
            );
            let all = SourceOptions { max_uncaptioned: 1.0, ..strict() };
            assert_eq!(Source::open(dir.path(), &all).expect("allowed").records().len(), 5);
        }
    }
}

#[test]
fn fields_of_captions_are_found_or_named() {
    let lines = b"{\"file_name\":\"a.png\",\"caption\":\"one\",\"alt\":\"x\"}\n\
                  {\"filename\":\"b.png\",\"prompt\":\"two\",\"alt\":\"y\"}\n";
    let dir = beside_two(&[("metadata.jsonl", lines)]);
    assert_eq!(captions(&open(dir.path())), [["one"], ["two"]]);
    let alt = Source::open(dir.path(), &with_caption_column("alt")).expect("two captions");
    assert_eq!(captions(&alt), [["x"], ["y"]]);
    let message = error_with(dir.path(), &with_caption_column("alternative"));
    assert!(message.contains("`alt`, `caption`, `prompt`"), "{message}");

    let dir = beside_two(&[(
        "metadata.csv",
        b"image,blip caption,k\na.png,one,NaN\nb.png,\"two, too\",\n",
    )]);
    assert_eq!(captions(&open(dir.path())), [["one"], ["two, too"]]);
    let dir = beside_two(&[("metadata.csv", b"where,text\na.png,one\nb.png,two\n")]);
    let message = error_with(dir.path(), &strict());
    assert!(message.contains("found where, text; name it with --image-column"), "{message}");
    let named = Source::open(dir.path(), &with_image_column("where")).expect("named");
    assert_eq!(captions(&named), [["one"], ["two"]]);
}

#[test]
fn columns_of_parquet_are_found_by_their_innermost_names() {
    let path = fixture("pyarrow_nested.parquet");
    let source = open(&path);
    assert_eq!(captions(&source)[0], ["picture 0, été", "Bild 0"]);
    assert_eq!(source.records().len(), 6);
    let labels = Source::open(&path, &with_caption_column("label")).expect("named");
    assert_eq!(captions(&labels)[1], ["label 1"]);
    let masks = Source::open(&path, &with_image_column("mask")).expect("named");
    assert_ne!(masks.read(0), source.read(0));
    let message = error_with(&path, &with_caption_column("title"));
    assert!(
        message.contains("`captions.caption`, `captions.language`, `label`, `mask.bytes`"),
        "{message}"
    );
}

#[test]
fn names_in_tars_may_have_dots() {
    let (_dir, path) = tar(&[
        ("20.05.png", &png(1)),
        ("20.05.txt", b"one"),
        ("20.06.png", &png(2)),
        ("20.06.json", b"{\"caption\": \"two\", \"score\": NaN}"),
    ]);
    let source = open(&path);
    assert_eq!((captions(&source), problems(&source)), (vec![vec!["one"], vec!["two"]], vec![]));
}

#[test]
fn one_image_of_a_key_is_used() {
    let (photo, mask) = (png(1), png(2));
    let (_dir, path) = tar(&[
        ("0.mask.png", &mask),
        ("0.jpg", &photo),
        ("0.txt", b"one"),
        ("1.txt", b"two"),
        ("1.tiff", b"x"),
    ]);
    let source = open(&path);
    assert_eq!((names(&source), captions(&source)), (vec!["set.tar/0.jpg"], vec![vec!["one"]]));
    assert_eq!(source.read(0).as_ref(), Ok(&photo));
    assert_eq!(
        problems(&source),
        [
            "set.tar/1.tiff: not used: .tiff is not read; write it as PNG",
            "set.tar/0.mask.png: not used: set.tar/0.jpg is the image of this name; --image-column mask.png takes this one",
            "set.tar/1.txt: captions without an image",
        ]
    );
    let masks = Source::open(&path, &with_image_column("mask.png")).expect("named");
    assert_eq!(names(&masks), ["set.tar/0.mask.png"]);
    assert_eq!(masks.read(0).as_ref(), Ok(&mask));
    assert!(problems(&masks)[1].starts_with("set.tar/0.jpg: not used: set.tar/0.mask.png is the"));
    let message = error_with(&path, &with_image_column("depth"));
    assert!(message.contains("no usable image"), "{message}");
    // Files of a folder can be chosen in the same way.
    let dir = folder(&[
        ("0.mask.png", &mask),
        ("0.png", &photo),
        ("0.txt", b"one"),
        ("1.mask.png", &mask),
        ("1.png", &photo),
        ("1.txt", b"two"),
        ("2.png", &photo),
    ]);
    let masks = Source::open(dir.path(), &with_image_column("mask")).expect("named");
    assert_eq!(
        (names(&masks), captions(&masks)),
        (vec!["0.mask.png", "1.mask.png"], vec![vec!["one"], vec!["two"]])
    );
    assert_eq!(masks.read(1).as_ref(), Ok(&mask));
    assert!(
        problems(&masks)[0].starts_with("0.png: not used: 0.mask.png is the image of this name")
    );
    assert!(problems(&masks)[2].starts_with("2.png: not used: it is not the member"));
    let message = error_with(dir.path(), &with_image_column("depth"));
    assert!(message.contains("no usable image") && message.contains("--image-column"), "{message}");
    let (_dir, unclear) = tar(&[("0.a.png", &png(1)), ("0.b.png", &png(2)), ("0.txt", b"one")]);
    assert!(
        error_with(&unclear, &strict()).contains("choose with --image-column from a.png, b.png")
    );
}

#[test]
fn a_line_is_a_caption_wherever_it_stands() {
    let text = "A letter.\r\n\r\n Style: flat. \nA letter.\n- no people\n";
    let json = serde_json::json!({"file_name": "a.png", "text": text}).to_string();
    let csv = format!("file_name,text\na.png,\"{text}\"\n");
    let (image, text) = (png(1), text.as_bytes());
    let folders =
        [("a.txt", text), ("metadata.jsonl", json.as_bytes()), ("metadata.csv", csv.as_bytes())];
    let folders = folders.map(|file| folder(&[("a.png", &image), file]));
    let tars =
        [("a.txt", text), ("a.json", json.as_bytes())].map(|file| tar(&[("a.png", &image), file]));
    for path in
        folders.iter().map(|dir| dir.path()).chain(tars.iter().map(|(_, path)| path.as_path()))
    {
        let source = open(path);
        assert_eq!(
            captions(&source),
            [["A letter.", "Style: flat.", "- no people"]],
            "{}",
            path.display()
        );
        assert_eq!(source.several_lines(), 1);
    }
}

#[test]
fn what_is_missing_costs_nothing_else() {
    let dir = beside_two(&[(
        "metadata.jsonl",
        b"{\"file_name\":\"a.png\",\"text\":NaN,\"prompt\":\"one\"}\n\
          {\"file_name\":\"b.png\",\"text\":[null,\"two\"],\"score\":-Infinity,\"size\":1e999}\n",
    )]);
    assert_eq!(captions(&open(dir.path())), [["one"], ["two"]]);
    let dir = beside_two(&[("metadata.csv", b"file_name,text\na.png,one\nb.png,NaN\n")]);
    let message = error_with(dir.path(), &strict());
    assert!(message.contains("1 of 2 images have no caption, the first is b.png"), "{message}");
    let table = b"{\"a.png\": {\"overall_caption\": \"one\", \"x\": NaN}, \"b.png\": {\"overall_caption\": \"two\"}}";
    let dir = beside_two(&[("captions_hq.json", table)]);
    assert_eq!(captions(&open(dir.path())), [["one"], ["two"]]);
}

#[test]
fn texts_come_in_two_encodings() {
    let wide = |text: &str, big: bool| -> Vec<u8> {
        let unit = |u: u16| if big { u.to_be_bytes() } else { u.to_le_bytes() };
        format!("\u{feff}{text}").encode_utf16().flat_map(unit).collect()
    };
    let lines = "{\"file_name\":\"a.png\",\"text\":\"été\"}\r\n{\"file_name\":\"b.png\",\"text\":\"zwei\"}\r\n";
    let csv = "file_name,text\r\na.png,été\r\nb.png,zwei\r\n";
    let table = "{\"a.png\":\"été\",\"b.png\":\"zwei\"}";
    for (name, content) in
        [("metadata.jsonl", lines), ("metadata.csv", csv), ("captions.json", table)]
    {
        for bytes in [wide(content, true), wide(content, false), content.into()] {
            let dir = beside_two(&[(name, &bytes)]);
            assert_eq!(captions(&open(dir.path())), [["été"], ["zwei"]], "{name}");
        }
    }
    let dir = beside_two(&[("a.txt", &wide("été", false)), ("b.txt", b"\xff\xfe\0\0z\0\0\0")]);
    let source = Source::open(dir.path(), &SourceOptions { max_uncaptioned: 1.0, ..strict() });
    let source = source.expect("a set");
    assert_eq!(captions(&source), [["été"]]);
    assert_eq!(problems(&source)[0], "b.txt: in UTF-32; write it in UTF-8");
}

#[test]
fn listings_and_files_are_compared() {
    let (one, two) = (png(1), png(2));
    let dir = folder(&[
        ("sub/0.png", &one),
        ("sub/1.png", &two),
        ("sub/2.bmp", b"BM"),
        (
            "metadata.jsonl",
            b"{\"file_name\":\"sub\\\\0.png\",\"text\":\"one\"}\n{\"file_name\":\"sub/0.png\",\"text\":\"again\"}\n\
              {\"file_name\":\"..\\\\0.png\",\"text\":\"no\"}\n",
        ),
    ]);
    let source = open(dir.path());
    assert_eq!(
        (names(&source), captions(&source)),
        (vec!["sub/0.png"], vec![vec!["one", "again"]])
    );
    assert_eq!(
        problems(&source),
        [
            "sub/0.png: listed again; the captions of all its lines are kept",
            "..\\0.png: unsafe path; expected a relative path without `..`",
            "sub/1.png: not used: no listing names it",
            "sub/2.bmp: not used: .bmp is not read; write it as PNG",
        ]
    );
    let is_note: Vec<bool> =
        source.problems().iter().map(|problem| problem.kind.is_note()).collect();
    assert_eq!(is_note, [true, false, true, true]);
}

#[test]
fn texts_beside_images_count_where_the_listing_says_nothing() {
    let lines =
        b"{\"file_name\":\"a.png\",\"k\":1}\n{\"file_name\":\"b.png\",\"text\":\"listed\"}\n";
    let dir = beside_two(&[("metadata.jsonl", lines), ("a.txt", b"beside"), ("b.txt", b"no")]);
    assert_eq!(captions(&open(dir.path())), [["beside"], ["listed"]]);
    let dir = beside_two(&[("a.caption", b"one"), ("b.json", b"{\"caption\": \"two\"}")]);
    assert_eq!(captions(&open(dir.path())), [["one"], ["two"]]);
    let dir = folder(&[("images/a.png", &png(1)), ("captions/a.txt", b"one\ntwo")]);
    assert_eq!(captions(&open(dir.path())), [["one", "two"]]);
}

#[test]
fn images_beside_archives_are_counted() {
    let (tars, _) = tar(&[("0.png", &png(1)), ("0.txt", b"one")]);
    std::fs::write(tars.path().join("a.png"), png(3)).expect("writable");
    let source = open(tars.path());
    assert_eq!(names(&source), ["set.tar/0.png"]);
    let found: Vec<&Problem> = source.problems().iter().collect();
    assert_eq!(found[0].to_string(), "a.png: not used: the set is read from the tars beside it");
}

#[cfg(unix)]
#[test]
fn caches_of_a_hub_are_followed_and_nothing_is_entered_twice() {
    use std::os::unix::fs::symlink;
    let hub =
        folder(&[("blobs/1", &png(1)), ("blobs/2", b"one"), ("snapshots/main/x/c.png", &png(2))]);
    let snapshot = hub.path().join("snapshots/main");
    symlink("../../blobs/1", snapshot.join("a.png")).expect("a link");
    symlink("../../blobs/2", snapshot.join("a.txt")).expect("a link");
    symlink("x", snapshot.join("linked")).expect("a link");
    symlink(".", snapshot.join("circle")).expect("a link");
    symlink("../..", snapshot.join("out")).expect("a link");
    symlink("/dev/zero", snapshot.join("z.png")).expect("a link");
    let options = SourceOptions { max_uncaptioned: 1.0, ..strict() };
    let source = Source::open(&snapshot, &options).expect("a snapshot");
    assert_eq!((names(&source), captions(&source)), (vec!["a.png"], vec![vec!["one"]]));
    assert_eq!(source.read(0), Ok(png(1)));
    let mut found = problems(&source);
    found.sort();
    let out = "a link out of the folder; expected the file itself, or a link to what lies inside";
    assert_eq!(
        found,
        [
            "circle: a link to a folder that is listed already".to_owned(),
            "linked: a link to a folder that is listed already".to_owned(),
            format!("out: {out}"),
            "x/c.png: has no caption, though other images of the set have".to_owned(),
            format!("z.png: {out}"),
        ]
    );
    let linked = folder(&[("x/1.png", &png(1)), ("x/1.txt", b"one")]);
    symlink("..", linked.path().join("x/up")).expect("a link");
    std::fs::rename(linked.path().join("x"), linked.path().join(".x")).expect("there");
    symlink(".x", linked.path().join("y")).expect("a link");
    let source = open(linked.path());
    assert_eq!(names(&source), ["y/1.png"]);
}
