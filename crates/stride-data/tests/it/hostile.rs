//! Sets that are broken, or made to do harm: what can be used is, the rest is named, nothing is written.

use std::fs::{self, File};
use std::io::{Cursor, Write as _};
use std::path::Path;

use stride_data::{Limits, ProblemKind, Source, decode};
use tar::{Builder, EntryType, Header};
use tempfile::TempDir;
use zip::write::SimpleFileOptions;
use zip::{CompressionMethod, ZipWriter};

use crate::sets::{
    captions, error, fixture, folder, images_alone, lenient, names, open, png, problems,
};

/// A tar with members of these names, kinds and contents; names are written as they are.
fn tar_of(members: &[(&str, EntryType, &[u8])]) -> Vec<u8> {
    let mut builder = Builder::new(Vec::new());
    for (name, kind, content) in members {
        let mut header = Header::new_ustar();
        header.as_old_mut().name[..name.len()].copy_from_slice(name.as_bytes());
        header.set_entry_type(*kind);
        header.set_size(content.len() as u64);
        header.as_old_mut().linkname[..11].copy_from_slice(b"/etc/passwd");
        header.set_cksum();
        builder.append(&header, *content).expect("in memory");
    }
    builder.into_inner().expect("in memory")
}

fn write(name: &str, bytes: &[u8]) -> (TempDir, std::path::PathBuf) {
    let dir = folder(&[(name, bytes)]);
    let path = dir.path().join(name);
    (dir, path)
}

#[test]
fn members_that_lead_out_of_a_tar_are_refused() {
    let (file, image) = (EntryType::Regular, png(1));
    let bytes = tar_of(&[
        ("../a.png", file, &image),
        ("/b.png", file, &image),
        ("c/../../d.png", file, &image),
        ("e.png", EntryType::Symlink, b""),
        ("f.png", EntryType::Link, b""),
        ("pipe.png", EntryType::Fifo, b""),
        ("g.png", file, &image),
        ("g.png", file, &png(2)),
        ("./h.png", file, &image),
    ]);
    let (dir, path) = write("a.tar", &bytes);
    let source = Source::open(&path, &images_alone(Limits::default())).expect("images");
    assert_eq!(names(&source), ["a.tar/g.png", "a.tar/h.png"]);
    assert_eq!(source.read(0), Ok(png(1)));
    let unsafe_path = "unsafe path; expected a relative path without `..`";
    assert_eq!(
        problems(&source),
        [
            format!("a.tar/../a.png: {unsafe_path}"),
            format!("a.tar//b.png: {unsafe_path}"),
            format!("a.tar/c/../../d.png: {unsafe_path}"),
            "a.tar/e.png: a link; expected the file itself".to_owned(),
            "a.tar/f.png: a link; expected the file itself".to_owned(),
            "a.tar/pipe.png: not supported: a tar member of kind Fifo".to_owned(),
            "a.tar/g.png: has the name of an earlier image".to_owned(),
        ]
    );
    let left: Vec<_> = fs::read_dir(dir.path()).expect("a folder").collect();
    assert_eq!(left.len(), 1, "nothing is written");
}

#[test]
fn a_tar_is_used_up_to_its_break() {
    let file = EntryType::Regular;
    let (image, large) = (png(1), vec![7; 5000]);
    let bytes = tar_of(&[
        ("a.png", file, &image),
        ("a.txt", file, b"caf\xe9"),
        ("b.png", file, &image),
        ("b.txt", file, b"one"),
        ("b.json", file, b"{"),
        ("c.png", file, &large),
    ]);
    let (_dir, path) = write("a.tar", &bytes[..bytes.len() - 3000]);
    let source = open(&path);
    assert_eq!((names(&source), captions(&source)), (vec!["a.tar/b.png"], vec![vec!["one"]]));
    let found = problems(&source);
    assert_eq!(found[0], "a.tar/a.txt: not UTF-8; write it in UTF-8");
    assert!(found[1].starts_with("a.tar/b.json: broken: EOF"), "{found:?}");
    assert_eq!(found[2], "a.tar/c.png: broken: cut off");
    assert_eq!(found[3], "a.tar: broken: the tar ends too early");
    assert!(found[4].starts_with("a.tar/a.png: has no caption"), "{found:?}");
    assert!(error(&write("b.tar", &[b'x'; 2000]).1).contains("no usable image"));
}

#[test]
fn members_of_a_tar_are_bounded() {
    let file = EntryType::Regular;
    let bytes = tar_of(&[("a.png", file, &png(1)), ("b.png", file, &[0; 4000])]);
    let (_dir, path) = write("a.tar", &bytes);
    let limits = Limits { max_file_bytes: 3999, ..Limits::default() };
    let source = Source::open(&path, &images_alone(limits)).expect("a tar");
    assert_eq!(names(&source), ["a.tar/a.png"]);
    assert_eq!(problems(&source), ["a.tar/b.png: too large: 4000 bytes, at most 3999 are read"]);
    // A name of two megabytes in a header before the member.
    let long = vec![b'n'; 2 << 20];
    let bytes = tar_of(&[
        ("a.png", file, &png(1)),
        ("././@LongLink", EntryType::GNULongName, &long),
        ("b.png", file, &png(2)),
    ]);
    let (_dir, path) = write("a.tar", &bytes);
    let source = Source::open(&path, &images_alone(Limits::default())).expect("images");
    assert_eq!(names(&source), ["a.tar/a.png"]);
    assert!(problems(&source)[0].contains("header has more than 1048576 bytes"));
}

fn zip_of(write: impl FnOnce(&mut ZipWriter<Cursor<Vec<u8>>>)) -> Vec<u8> {
    let mut writer = ZipWriter::new(Cursor::new(Vec::new()));
    write(&mut writer);
    writer.finish().expect("in memory").into_inner()
}

fn add(zip: &mut ZipWriter<Cursor<Vec<u8>>>, name: &str, bytes: &[u8]) {
    let options = SimpleFileOptions::default().compression_method(CompressionMethod::Deflated);
    zip.start_file(name, options).expect("in memory");
    zip.write_all(bytes).expect("in memory");
}

#[test]
fn members_that_lead_out_of_a_zip_are_refused() {
    let bytes = zip_of(|zip| {
        add(zip, "../a.png", &png(1));
        add(zip, "/b.png", &png(1));
        zip.add_symlink("c.png", "/etc/passwd", SimpleFileOptions::default()).expect("in memory");
        add(zip, "d.png", &png(2));
        add(zip, "./d.png", &png(3));
        add(zip, "__MACOSX/d.png", &png(3));
    });
    let (dir, path) = write("a.zip", &bytes);
    let source = Source::open(&path, &images_alone(Limits::default())).expect("images");
    assert_eq!((names(&source), source.read(0)), (vec!["d.png"], Ok(png(2))));
    assert_eq!(
        problems(&source),
        [
            "../a.png: unsafe path; expected a relative path without `..`",
            "/b.png: unsafe path; expected a relative path without `..`",
            "c.png: a link; expected the file itself",
            "d.png: has the name of an earlier image",
        ]
    );
    assert_eq!(fs::read_dir(dir.path()).expect("a folder").count(), 1, "nothing is written");
}

#[test]
fn zips_that_unpack_to_more_than_they_say_are_stopped() {
    let bytes = zip_of(|zip| {
        add(zip, "bomb.png", &vec![0; 8 << 20]);
        add(zip, "fine.png", &png(1));
    });
    assert!(bytes.len() < 20_000);
    let (_dir, path) = write("a.zip", &bytes);
    let limits = Limits { max_file_bytes: 1 << 20, ..Limits::default() };
    let source = Source::open(&path, &images_alone(limits)).expect("a zip");
    let kind = source.read(0).expect_err("too large").kind;
    assert_eq!(kind, ProblemKind::TooLarge { unit: "bytes", found: 8 << 20, limit: 1 << 20 });
    assert_eq!(source.read(1), Ok(png(1)));
    // The directory at the end says 100 bytes.
    let mut lying = bytes;
    let entry = lying.windows(4).position(|four| four == b"PK\x01\x02").expect("a directory");
    lying[entry + 24..entry + 28].copy_from_slice(&100u32.to_le_bytes());
    let (_dir, path) = write("a.zip", &lying);
    let source = Source::open(&path, &images_alone(limits)).expect("a zip");
    let kind = source.read(0).expect_err("too large").kind;
    assert!(matches!(kind, ProblemKind::TooLarge { .. } | ProblemKind::Corrupt(_)), "{kind}");
}

#[test]
fn archives_that_are_cut_off_are_named() {
    for (name, expected) in [
        ("archive.zip", "not a readable zip"),
        ("datasets.parquet", "does not end in `PAR1`; it is cut off or not Parquet"),
    ] {
        let bytes = fs::read(fixture(name)).expect("a fixture");
        let (_dir, path) = write(name, &bytes[..bytes.len() - 10]);
        let message = error(&path);
        assert!(message.contains(expected), "{message}");
    }
}

#[test]
fn one_broken_parquet_leaves_the_others() {
    let bytes = fs::read(fixture("datasets.parquet")).expect("a fixture");
    let dir = folder(&[("a.parquet", &bytes[..bytes.len() / 2]), ("b.parquet", &bytes)]);
    let source = open(dir.path());
    assert_eq!(names(&source)[0], "b.parquet/0");
    assert!(problems(&source)[0].starts_with("a.parquet: broken: "), "{:?}", problems(&source));
    // A byte of a page changes: its images are lost or other, the file is still a set.
    let mut broken = bytes;
    broken[4..200].fill(0xff);
    let dir = folder(&[("a.parquet", &broken)]);
    match Source::open(&dir.path().join("a.parquet"), &lenient(Limits::default())) {
        Ok(source) => assert!(!problems(&source).is_empty() || source.read(0).is_err()),
        Err(error) => assert!(error.to_string().contains("broken"), "{error}"),
    }
    let limits = Limits { max_file_bytes: 100, ..Limits::default() };
    let source = Source::open(&fixture("datasets.parquet"), &lenient(limits)).expect("a set");
    let kind = source.read(0).expect_err("too large").kind;
    assert!(matches!(kind, ProblemKind::TooLarge { limit: 100, .. }), "{kind}");
}

#[test]
fn rows_of_parquet_may_lack_what_others_have() {
    let source = open(&fixture("pyarrow_odd.parquet"));
    let (first, third) = ("pyarrow_odd.parquet/0", "pyarrow_odd.parquet/2");
    assert_eq!(
        (names(&source), captions(&source)),
        (vec![first, third], vec![vec!["fine"], vec!["no picture"]])
    );
    assert!(source.read(0).is_ok());
    let problem = source.read(1).expect_err("no image");
    assert_eq!(problem.to_string(), format!("{third}: broken: the row has no bytes of an image"));
    let no_caption = "has no caption, though other images of the set have";
    assert_eq!(
        problems(&source),
        [
            "pyarrow_odd.parquet (group 0 of rows), row 1: not UTF-8; write it in UTF-8".to_owned(),
            format!("pyarrow_odd.parquet/1: {no_caption}"),
            format!("pyarrow_odd.parquet/3: {no_caption}"),
        ]
    );
}

#[cfg(unix)]
#[test]
fn links_are_followed_inside_the_folder_only() {
    use std::os::unix::fs::symlink;
    let outside = folder(&[("secret.png", &png(1))]);
    let dir = folder(&[
        ("a.png", &png(2)),
        ("metadata.jsonl", b"{\"file_name\":\"a.png\",\"text\":\"1\"}\n\
          {\"file_name\":\"inside.png\",\"text\":\"2\"}\n{\"file_name\":\"out.png\",\"text\":\"3\"}\n\
          {\"file_name\":\"../secret.png\",\"text\":\"4\"}\n{\"file_name\":\"/etc/passwd\",\"text\":\"5\"}"),
    ]);
    let link = |target: &Path, name: &str| symlink(target, dir.path().join(name)).expect("a link");
    link(&dir.path().join("a.png"), "inside.png");
    link(&outside.path().join("secret.png"), "out.png");
    link(outside.path(), "folder");
    link(dir.path(), "itself");
    link(Path::new("nowhere"), "broken.png");
    let source = open(dir.path());
    assert_eq!(names(&source), ["a.png", "inside.png"]);
    assert_eq!(source.read(1), Ok(png(2)));
    let mut found = problems(&source);
    found.sort();
    assert_eq!(
        found[..2],
        [
            "../secret.png: unsafe path; expected a relative path without `..`",
            "/etc/passwd: unsafe path; expected a relative path without `..`",
        ]
    );
    assert!(found[2].starts_with("broken.png: cannot be read"), "{found:?}");
    assert_eq!(
        found[3..],
        [
            "folder: a link out of the folder; expected the file itself, or a link to what lies inside",
            "itself: a link to a folder that is listed already",
            "out.png: a link out of the folder; expected the file itself, or a link to what lies inside",
        ]
    );
}

#[test]
fn captions_in_another_encoding_are_left_out() {
    let dir = folder(&[
        ("a.png", &png(1)),
        ("a.txt", b"caf\xe9"),
        ("b.png", &png(2)),
        ("b.txt", "café".as_bytes()),
    ]);
    let source = open(dir.path());
    assert_eq!((names(&source), captions(&source)), (vec!["b.png"], vec![vec!["café"]]));
    assert_eq!(problems(&source)[0], "a.txt: not UTF-8; write it in UTF-8");
    let dir = folder(&[
        ("metadata.csv", b"file_name,text\na.png,caf\xe9\nb.png,fine\n"),
        ("a.png", &png(1)),
        ("b.png", &png(2)),
    ]);
    let source = open(dir.path());
    assert_eq!(names(&source), ["b.png"]);
    let expected = [
        "metadata.csv: line 2: not UTF-8; write it in UTF-8",
        "a.png: not used: no listing names it",
    ];
    assert_eq!(problems(&source), expected);
}

#[test]
fn images_that_claim_to_be_huge_get_no_memory() {
    let mut bytes = png(1);
    bytes[16..20].copy_from_slice(&60_000u32.to_be_bytes());
    bytes[20..24].copy_from_slice(&60_000u32.to_be_bytes());
    let mut sum = flate2::Crc::new();
    sum.update(&bytes[12..29]);
    bytes[29..33].copy_from_slice(&sum.sum().to_be_bytes());
    let kind = decode(&bytes, &Limits::default()).expect_err("too large");
    let expected = ProblemKind::TooLarge { unit: "pixels a side", found: 60_000, limit: 16_384 };
    assert_eq!(kind, expected);
    let limits = Limits { max_side: u32::MAX, ..Limits::default() };
    let kind = decode(&bytes, &limits).expect_err("too large");
    let (found, limit) = (3_600_000_000, 100_000_000);
    assert_eq!(kind, ProblemKind::TooLarge { unit: "pixels", found, limit });
}

#[test]
fn files_that_go_away_are_problems() {
    let dir = folder(&[("a.png", &png(1)), ("b.png", &png(2))]);
    let source = Source::open(dir.path(), &images_alone(Limits::default())).expect("images");
    fs::remove_file(dir.path().join("a.png")).expect("there");
    File::create(dir.path().join("b.png")).expect("writable").set_len(1 << 40).expect("sparse");
    assert!(matches!(source.read(0).expect_err("gone").kind, ProblemKind::Io(_)));
    assert!(matches!(source.read(1).expect_err("huge").kind, ProblemKind::TooLarge { .. }));
}
