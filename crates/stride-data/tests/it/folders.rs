//! Folders with listings, texts, and the tables of CelebA and its descendants.

use stride_data::{CELEBA_ATTRIBUTES, Layout, Limits, Source, decode};

use crate::sets::{captions, error, folder, lenient, names, open, png, problems};

#[test]
fn listings_in_json_keep_their_order() {
    let dir = folder(&[
        (
            "metadata.jsonl",
            b"{\"file_name\":\"b.png\",\"text\":\"one\",\"captions\":[\"one\",\"two\"],\"seed\":1}\n\
              {\"file_name\":\"./img/a.jpg\",\"captions\":[\"three\"],\"attributes\":{\"Male\":true}}\n\
              {\"file_name\":\"c.png\",\"text\":\"not there\"}\n\
              {\"file_name\":\"b.png\",\"text\":\"again\"}\n\
              {\"file_name\":\"d.png\"}\n\
              {\"text\":\"no name\"}\n",
        ),
        ("b.png", &png(1)),
        ("img/a.jpg", &png(2)),
        ("d.png", &png(3)),
        ("unlisted.png", &png(4)),
    ]);
    let source = open(dir.path());
    assert_eq!((source.layout(), names(&source)), (Layout::Metadata, vec!["b.png", "img/a.jpg"]));
    assert_eq!(captions(&source), [vec!["one", "two", "again"], vec!["three"]]);
    let male = source.records()[1].face.expect("has attributes");
    assert_eq!(male.present().collect::<Vec<_>>(), ["Male"]);
    let found = problems(&source);
    assert_eq!(found[0], "c.png: listed in metadata.jsonl, but not there");
    assert_eq!(found[1], "b.png: listed again; the captions of all its lines are kept");
    let expected = "metadata.jsonl: line 6: expected the field `file_name` with the name of an image, found text";
    assert!(found[2].starts_with(expected), "{found:?}");
    assert_eq!(found[3], "unlisted.png: not used: no listing names it");
    assert_eq!(found[4], "d.png: has no caption, though other images of the set have");
    // A PNG with another ending is a PNG.
    assert_eq!(source.read(1), Ok(png(2)));
    assert!(decode(&png(2), &Limits::default()).is_ok());
}

#[test]
fn listings_in_csv_are_read() {
    let dir = folder(&[
        ("train/metadata.csv", b"text,file_name\r\n\"a, \"\"b\"\"\",1.png\r\nlast,2.png\r\n"),
        ("train/1.png", &png(1)),
        ("train/2.png", &png(2)),
    ]);
    let source = open(dir.path());
    assert_eq!(names(&source), ["train/1.png", "train/2.png"]);
    assert_eq!(captions(&source), [["a, \"b\""], ["last"]]);
}

#[test]
fn texts_beside_images_have_a_caption_a_line() {
    let dir = folder(&[
        ("b/2.PNG", &png(2)),
        ("b/2.txt", b"\xef\xbb\xbfone\r\n\r\ntwo \n"),
        ("a.png", &png(1)),
        ("a.txt", b"three"),
        ("c.png", &png(3)),
        ("readme.txt", b"about"),
        (".hidden/d.png", &png(4)),
    ]);
    let source = open(dir.path());
    assert_eq!((source.layout(), names(&source)), (Layout::TextFiles, vec!["a.png", "b/2.PNG"]));
    assert_eq!(captions(&source), [vec!["three"], vec!["one", "two"]]);
    let expected = [
        "readme.txt: captions without an image",
        "c.png: has no caption, though other images of the set have",
    ];
    assert_eq!(problems(&source), expected);
}

/// A table in CelebA's form: the count, the names, and rows where only the given ones are 1.
fn table(rows: &[(&str, &[&str])], comma: bool) -> Vec<u8> {
    let part = if comma { "," } else { "  " };
    let mut lines = if comma {
        vec![format!("image_id,{}", CELEBA_ATTRIBUTES.join(","))]
    } else {
        vec![rows.len().to_string(), CELEBA_ATTRIBUTES.join(" ")]
    };
    for (name, present) in rows {
        let signs = CELEBA_ATTRIBUTES.map(|a| if present.contains(&a) { "1" } else { "-1" });
        lines.push(format!("{name}{part}{}", signs.join(part)));
    }
    lines.join("\n").into_bytes()
}

fn present(source: &Source) -> Vec<Vec<&'static str>> {
    let of = |attributes: stride_data::CelebaAttributes| attributes.present().collect();
    source.records().iter().map(|r| r.face.map(of).unwrap_or_default()).collect()
}

#[test]
fn celebamask_hq_is_read_with_the_captions_beside_it() {
    let rows: &[(&str, &[&str])] = &[("0.jpg", &["Smiling"]), ("1.jpg", &["Male", "Young"])];
    let dir = folder(&[
        ("CelebA-HQ-img/0.jpg", &png(0)),
        ("CelebA-HQ-img/1.jpg", &png(1)),
        ("CelebAMask-HQ-mask-anno/0/00000_hair.png", &png(9)),
        ("CelebAMask-HQ-attribute-anno.txt", &table(rows, false)),
    ]);
    let source = open(dir.path());
    assert_eq!(source.layout(), Layout::CelebaMaskHq);
    assert_eq!(names(&source), ["CelebA-HQ-img/0.jpg", "CelebA-HQ-img/1.jpg"]);
    assert_eq!(present(&source), [vec!["Smiling"], vec!["Male", "Young"]]);
    assert_eq!(captions(&source), [[""; 0], []]);
    std::fs::create_dir(dir.path().join("celeba-caption")).expect("writable");
    std::fs::write(dir.path().join("celeba-caption/1.txt"), "one\ntwo\n").expect("writable");
    let source = open(dir.path());
    assert_eq!(source.layout(), Layout::CelebaMaskHq);
    assert_eq!(captions(&source), [vec![], vec!["one", "two"]]);
    assert!(problems(&source).is_empty(), "{:?}", problems(&source));
}

#[test]
fn mm_celeba_hq_has_ten_captions_an_image() {
    let ten: String = (0..10).map(|i| format!("caption {i}\n")).collect();
    let dir = folder(&[
        ("images/7.jpg", &png(7)),
        ("text/7.txt", ten.as_bytes()),
        ("text/8.txt", b"of another image"),
    ]);
    let source = open(dir.path());
    assert_eq!((source.layout(), names(&source)), (Layout::MmCelebaHq, vec!["images/7.jpg"]));
    assert_eq!(source.records()[0].captions.len(), 10);
    assert_eq!(captions(&source)[0][9], "caption 9");
}

#[test]
fn celeba_dialog_is_read() {
    let dir = folder(&[
        ("image/000001.jpg", &png(1)),
        ("image/000002.jpg", &png(2)),
        ("image/000003.jpg", &png(3)),
        (
            "captions.json",
            b"{\"000001.jpg\": {\"attribute_wise_captions\": {\"Bangs\": \"no\"}, \"overall_caption\": \"one\"},\
               \"000002.jpg\": [\"two\", \"three\"], \"000003.jpg\": \"four\", \"000009.jpg\": \"none\"}",
        ),
    ]);
    let source = open(dir.path());
    assert_eq!(source.layout(), Layout::CelebaDialog);
    assert_eq!(captions(&source), [vec!["one"], vec!["two", "three"], vec!["four"]]);
}

#[test]
fn celeba_is_read_from_either_table() {
    let rows: &[(&str, &[&str])] =
        &[("000001.jpg", &["Bald"]), ("000002.jpg", &["5_o_Clock_Shadow", "Young"])];
    for (file, is_csv) in [("Anno/list_attr_celeba.txt", false), ("list_attr_celeba.csv", true)] {
        let dir = folder(&[
            ("img_align_celeba/img_align_celeba/000001.jpg", &png(1)),
            ("img_align_celeba/img_align_celeba/000002.jpg", &png(2)),
            ("preview.png", &png(3)),
            (file, &table(rows, is_csv)),
        ]);
        let source = open(dir.path());
        assert_eq!((source.layout(), source.records().len()), (Layout::Celeba, 2));
        assert_eq!(present(&source), [vec!["Bald"], vec!["5_o_Clock_Shadow", "Young"]]);
        assert!(problems(&source).is_empty());
    }
}

#[test]
fn broken_tables_are_named() {
    let dir = folder(&[
        ("img_align_celeba/1.jpg", &png(1)),
        ("list_attr_celeba.txt", b"1\nBald Young\n1.jpg 1\n1.jpg 1 2\n1.jpg -1 1\n"),
        ("captions.json", b"{\"1.jpg\": \"one\", \"2.jpg\":"),
    ]);
    let source = open(dir.path());
    assert_eq!((captions(&source), present(&source)), (vec![vec!["one"]], vec![vec!["Young"]]));
    let found = problems(&source);
    assert!(found[0].starts_with("captions.json: broken: EOF"), "{found:?}");
    assert!(found[1].contains("line 3: expected a name and 2 values, found 2 fields"), "{found:?}");
    assert!(found[2].contains("line 4: expected 1 or -1 for Young, found `2`"), "{found:?}");
}

#[test]
fn what_is_no_set_is_named() {
    let dir = folder(&[("a.gif", b"GIF89a"), ("b.gif", b"GIF89a"), ("c.md", b"")]);
    let message = error(dir.path());
    assert!(message.contains("found a folder with 2 .gif, 1 .md; expected"), "{message}");
    assert!(error(&dir.path().join("a.gif")).contains("a file that begins \"GIF89a\""));
    assert!(error(&dir.path().join("c.md")).contains("found an empty file"));
    assert!(error(folder(&[]).path()).contains("found an empty folder"));
    assert!(Source::open(&dir.path().join("nothing"), &lenient(Limits::default())).is_err());
    let packed = folder(&[("a.tar.gz", b"\x1f\x8b\x08\x00")]);
    assert!(error(&packed.path().join("a.tar.gz")).contains("unpack it first"));
}
