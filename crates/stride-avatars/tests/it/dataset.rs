//! Folders of images with captions.

use std::fs::{self, File};
use std::io::BufReader;
use std::path::Path;

use stride_avatars::{
    Attributes, CAPTIONS_PER_IMAGE, CaptionKind, DatasetRequest, Distribution, Error, Split,
    captions, render, small_parts_mask, write_dataset, write_masks,
};

fn request(out: &Path) -> DatasetRequest {
    DatasetRequest {
        out: out.to_owned(),
        count: 12,
        seed: 40,
        resolution: 48,
        split: Split::Train,
        distribution: Distribution::Natural,
        captions: CaptionKind::Mixed,
    }
}

fn read_png(path: &Path) -> Vec<u8> {
    let file = BufReader::new(File::open(path).expect("opens"));
    let mut reader = png::Decoder::new(file).read_info().expect("is PNG");
    let mut bytes = vec![0; reader.output_buffer_size().expect("fits")];
    let info = reader.next_frame(&mut bytes).expect("decodes");
    assert_eq!((info.width, info.height, info.color_type), (48, 48, png::ColorType::Rgb));
    bytes.truncate(info.buffer_size());
    bytes
}

#[test]
fn the_folder_holds_what_the_library_makes() {
    let folder = tempfile::tempdir().expect("folder");
    let out = folder.path().join("a").join("b");
    let summary = write_dataset(&request(&out), |_| ()).expect("writes");
    assert_eq!((summary.images, summary.captions), (12, 12 * CAPTIONS_PER_IMAGE as u64));
    let metadata = fs::read_to_string(out.join("metadata.jsonl")).expect("metadata");
    assert_eq!(metadata.lines().count(), 12);
    for (index, line) in (0u64..).zip(metadata.lines()) {
        let line: serde_json::Value = serde_json::from_str(line).expect("is JSON");
        let a = Attributes::sample(40, index, Split::Train);
        assert_eq!(line["file_name"], format!("{index:06}.png"));
        assert_eq!(line["text"], line["captions"][0]);
        assert_eq!(line["captions"], serde_json::json!(captions(&a, 40, index, 8)));
        assert_eq!(line["attributes"], serde_json::json!(a.to_map()));
        let pixels = read_png(&out.join(format!("{index:06}.png")));
        assert_eq!(pixels, render(&a, 48).expect("renders").rgb);
    }
    // 12 images and the metadata, nothing half-written.
    assert_eq!(fs::read_dir(&out).expect("folder").count(), 13);
}

#[test]
fn the_number_of_threads_changes_nothing() {
    let folder = tempfile::tempdir().expect("folder");
    let contents = [1, 3].map(|threads| {
        let out = folder.path().join(threads.to_string());
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().expect("pool");
        pool.install(|| write_dataset(&request(&out), |_| ())).expect("writes");
        let mut paths: Vec<_> =
            fs::read_dir(&out).expect("folder").map(|entry| entry.expect("entry").path()).collect();
        paths.sort();
        paths.iter().map(|path| fs::read(path).expect("reads")).collect::<Vec<_>>()
    });
    assert_eq!(contents[0], contents[1]);
}

#[test]
fn the_kind_of_captions_changes_no_image() {
    let folder = tempfile::tempdir().expect("folder");
    let [people, short] = [CaptionKind::People, CaptionKind::Short].map(|captions| {
        let out = folder.path().join(captions.name());
        let distribution = Distribution::Flat;
        let request = DatasetRequest { distribution, captions, ..request(&out) };
        write_dataset(&request, |_| ()).expect("writes");
        out
    });
    for index in 0..12 {
        let image = format!("{index:06}.png");
        assert_eq!(fs::read(people.join(&image)).ok(), fs::read(short.join(&image)).ok());
    }
    let listing = |out: &Path| fs::read_to_string(out.join("metadata.jsonl")).expect("metadata");
    assert_ne!(listing(&people), listing(&short));
    let num_words = |out: &Path| listing(out).split_whitespace().count();
    assert!(num_words(&short) < num_words(&people));
}

#[test]
fn masks_have_the_names_of_the_images_and_no_listing() {
    let folder = tempfile::tempdir().expect("folder");
    let out = folder.path().join("masks");
    let summary = write_masks(&request(&out), |_| ()).expect("writes");
    assert_eq!((summary.images, summary.captions), (12, 0));
    assert_eq!(fs::read_dir(&out).expect("folder").count(), 12);
    let file = BufReader::new(File::open(out.join("000007.png")).expect("there"));
    let mut reader = png::Decoder::new(file).read_info().expect("is PNG");
    let mut mask = vec![0; reader.output_buffer_size().expect("fits")];
    reader.next_frame(&mut mask).expect("decodes");
    let attributes = Attributes::sample(40, 7, Split::Train);
    assert_eq!(mask, small_parts_mask(&attributes, 48).expect("renders"));
}

#[test]
fn a_folder_with_something_in_it_is_left_alone() {
    let folder = tempfile::tempdir().expect("folder");
    fs::write(folder.path().join("mine.txt"), "mine").expect("writes");
    let error = write_dataset(&request(folder.path()), |_| ()).expect_err("not empty");
    assert!(matches!(error, Error::OutputNotEmpty { .. }), "{error}");
    assert!(error.to_string().contains("choose another folder"), "{error}");
    assert_eq!(fs::read_dir(folder.path()).expect("folder").count(), 1);
}

#[test]
fn impossible_requests_write_nothing() {
    let folder = tempfile::tempdir().expect("folder");
    let out = folder.path().join("new");
    for (count, resolution) in [(0, 48), (1_000_001, 48), (3, 0), (3, 100_000)] {
        let request = DatasetRequest { count, resolution, ..request(&out) };
        assert!(write_dataset(&request, |_| ()).is_err(), "{count} images of {resolution}");
        assert!(!out.exists(), "{count} images of {resolution}");
    }
}
