//! What a data set is made of: counts, sizes, captions, attributes, and what is wrong with it.

mod markdown;

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::{CELEBA_ATTRIBUTES, CelebaAttributes, DataError, names_a_side};

/// Names listed for each kind of problem; further ones are only counted.
const LISTED: usize = 20;

/// The kind of images with the content of another.
const DUPLICATE: &str = "duplicate";

/// CLIP's longest caption in tokens, start and end included.
const MAX_TOKENS: usize = 77;

/// The report of a data set, built image by image and joined from parts.
///
/// [`add`](Self::add) takes images that go into the data set, and
/// [`add_problem`](Self::add_problem) those that are left out. A report knows the content hash of every
/// image, about 100 bytes each, so that duplicates are found across parts as well.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct DataReport {
    /// Side of the squares that training sees; smaller images are enlarged.
    resolution: usize,
    used: u64,
    refused: u64,
    /// Images by the power of two below their shorter side.
    short_sides: BTreeMap<u32, u64>,
    /// Smallest and largest width and height.
    widths: Option<(u32, u32)>,
    heights: Option<(u32, u32)>,
    /// Images by their number of captions.
    captions: BTreeMap<usize, u64>,
    /// Captions by their number of tokens.
    tokens: BTreeMap<usize, u64>,
    with_attributes: u64,
    attributes: BTreeMap<String, u64>,
    problems: BTreeMap<String, Problems>,
    /// Texts with several lines, each of which is a caption.
    #[serde(default)]
    several_lines: u64,
    /// Images with a caption that tells left from right.
    #[serde(default)]
    with_sides: u64,
    /// Names of the images that have this content, in the order of adding.
    contents: BTreeMap<String, Vec<String>>,
}

/// Problems of one kind.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
struct Problems {
    count: u64,
    /// The first of them.
    listed: Vec<Problem>,
}

/// What is wrong with one image.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Problem {
    name: String,
    problem: String,
}

/// What a report needs of an image.
#[derive(Clone, Copy, Debug)]
pub struct ScannedImage<'a> {
    /// Its name in the data set.
    pub name: &'a str,
    /// A hash of its content, e.g. SHA-256 of the pixels; images with equal hashes are duplicates.
    pub content: [u8; 32],
    /// Width in pixels, before any scaling.
    pub width: u32,
    /// Height in pixels.
    pub height: u32,
    /// Its captions.
    pub captions: &'a [String],
    /// Tokens of each caption, start and end included, before anything is cut off.
    pub token_counts: &'a [usize],
    /// Its CelebA attributes, if the data set has them.
    pub attributes: Option<CelebaAttributes>,
}

impl DataReport {
    /// An empty report of a data set at this resolution.
    pub fn new(resolution: usize) -> Self {
        Self {
            resolution,
            used: 0,
            refused: 0,
            short_sides: BTreeMap::new(),
            widths: None,
            heights: None,
            captions: BTreeMap::new(),
            tokens: BTreeMap::new(),
            with_attributes: 0,
            attributes: CELEBA_ATTRIBUTES.iter().map(|name| ((*name).to_owned(), 0)).collect(),
            problems: BTreeMap::new(),
            several_lines: 0,
            with_sides: 0,
            contents: BTreeMap::new(),
        }
    }

    /// Counts an image that the data set uses, and notes what is odd about it.
    pub fn add(&mut self, image: &ScannedImage) {
        let ScannedImage { name, width, height, .. } = *image;
        self.used += 1;
        let short_side = width.min(height);
        *self.short_sides.entry(short_side.checked_ilog2().unwrap_or(0)).or_default() += 1;
        self.widths = joined(self.widths, Some((width, width)));
        self.heights = joined(self.heights, Some((height, height)));
        if (short_side as usize) < self.resolution {
            let resolution = self.resolution;
            self.note(name, &format!("{width}x{height}, enlarged to {resolution}"), "too small");
        }

        *self.captions.entry(image.captions.len()).or_default() += 1;
        let has_side = image.captions.iter().any(|caption| names_a_side(caption));
        self.with_sides += u64::from(has_side);
        if image.captions.is_empty() {
            self.note(name, "no caption", "without caption");
        }
        for (number, _) in
            (1..).zip(image.captions).filter(|(_, caption)| caption.trim().is_empty())
        {
            self.note(name, &format!("caption {number} is empty"), "empty caption");
        }
        for (number, &count) in (1..).zip(image.token_counts) {
            *self.tokens.entry(count).or_default() += 1;
            if count > MAX_TOKENS {
                let problem = format!("caption {number} has {count} tokens of {MAX_TOKENS}");
                self.note(name, &problem, "long caption");
            }
        }
        if let Some(attributes) = image.attributes {
            self.with_attributes += 1;
            for attribute in attributes.present() {
                *self.attributes.entry(attribute.to_owned()).or_default() += 1;
            }
        }
        let content = hex::encode(image.content);
        self.contents.entry(content).or_default().push(name.to_owned());
    }

    /// Counts an image that is left out: `kind` groups problems in a word or two, e.g. "corrupt";
    /// `problem` says what is wrong with this one.
    pub fn add_problem(&mut self, name: &str, problem: &str, kind: &str) {
        self.refused += 1;
        self.note(name, problem, kind);
    }

    /// Adds the images of another part of the same data set, as if they had been added here in
    /// their order. A part for another resolution is noted as a problem: what it found too small was
    /// measured by another size.
    pub fn merge(&mut self, other: &Self) {
        if self.resolution != other.resolution {
            let problem =
                format!("{} pixels, the report has {}", other.resolution, self.resolution);
            self.note("a part of the report", &problem, "other resolution");
        }
        self.used += other.used;
        self.refused += other.refused;
        self.several_lines += other.several_lines;
        self.with_sides += other.with_sides;
        self.widths = joined(self.widths, other.widths);
        self.heights = joined(self.heights, other.heights);
        add_counts(&mut self.short_sides, &other.short_sides);
        add_counts(&mut self.captions, &other.captions);
        add_counts(&mut self.tokens, &other.tokens);
        self.with_attributes += other.with_attributes;
        add_counts(&mut self.attributes, &other.attributes);
        for (kind, problems) in &other.problems {
            let own = self.problems.entry(kind.clone()).or_default();
            own.count += problems.count;
            let room = LISTED.saturating_sub(own.listed.len());
            own.listed.extend(problems.listed.iter().take(room).cloned());
        }
        for (content, names) in &other.contents {
            self.contents.entry(content.clone()).or_default().extend(names.iter().cloned());
        }
    }

    /// The whole report, for [`from_json`](Self::from_json), and under `summary` what readers of the
    /// file look for.
    pub fn to_json(&self) -> Value {
        // Plain counts, texts and maps with keys that JSON can write.
        let mut json = serde_json::to_value(self).expect("a report is plain data");
        let problems: BTreeMap<_, _> = self
            .all_problems()
            .into_iter()
            .map(|(kind, problems)| (kind, problems.count))
            .collect();
        json["summary"] = json!({
            "pictures": self.images(),
            "used": self.used,
            "different": self.contents.len(),
            "captions": self.caption_count(),
            "longest_caption_tokens": self.tokens.keys().last(),
            "problems": problems,
        });
        json
    }

    /// Reads what [`to_json`](Self::to_json) wrote.
    ///
    /// # Errors
    /// When the value is not such a report.
    pub fn from_json(json: &Value) -> Result<Self, DataError> {
        Self::deserialize(json).map_err(|error| DataError::Report { problem: error.to_string() })
    }

    /// Notes what is no image and could not be used, or not be matched with anything.
    pub fn add_note(&mut self, name: &str, problem: &str, kind: &str) {
        self.note(name, problem, kind);
    }

    /// Counts texts with several lines, each of which is a caption of its own.
    pub fn several_lines(&mut self, texts: u64) {
        self.several_lines += texts;
    }

    fn note(&mut self, name: &str, problem: &str, kind: &str) {
        let problems = self.problems.entry(kind.to_owned()).or_default();
        problems.count += 1;
        if problems.listed.len() < LISTED {
            problems.listed.push(Problem { name: name.to_owned(), problem: problem.to_owned() });
        }
    }

    fn images(&self) -> u64 {
        self.used + self.refused
    }

    fn caption_count(&self) -> u64 {
        self.captions.iter().map(|(&captions, &images)| captions as u64 * images).sum()
    }

    /// The problems by kind, including duplicates, which only show in the whole set.
    fn all_problems(&self) -> BTreeMap<String, Problems> {
        let mut problems = self.problems.clone();
        let mut doubles: Vec<(&String, &String)> = Vec::new();
        for names in self.contents.values() {
            if let Some((first, again)) = names.split_first() {
                doubles.extend(again.iter().map(|name| (name, first)));
            }
        }
        doubles.sort();
        if !doubles.is_empty() {
            let own = problems.entry(DUPLICATE.to_owned()).or_default();
            own.count += doubles.len() as u64;
            let room = LISTED.saturating_sub(own.listed.len());
            own.listed.extend(doubles.into_iter().take(room).map(|(name, first)| Problem {
                name: name.clone(),
                problem: format!("the same content as {first}"),
            }));
        }
        problems
    }
}

fn joined(a: Option<(u32, u32)>, b: Option<(u32, u32)>) -> Option<(u32, u32)> {
    match (a, b) {
        (Some(a), Some(b)) => Some((a.0.min(b.0), a.1.max(b.1))),
        (range, None) | (None, range) => range,
    }
}

fn add_counts<K: Ord + Clone>(own: &mut BTreeMap<K, u64>, other: &BTreeMap<K, u64>) {
    for (key, count) in other {
        *own.entry(key.clone()).or_default() += count;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Image `index` of a small set with every oddity in it.
    fn add(report: &mut DataReport, index: usize) {
        let name = format!("{index:03}.jpg");
        if index % 10 == 9 {
            report.add_problem(&name, "unexpected end of file", "corrupt");
            return;
        }
        let captions =
            ["A man.", if index.is_multiple_of(7) { " " } else { "He." }].map(str::to_owned);
        let face = CelebaAttributes::new().with("Male", true).expect("in the list");
        report.add(&ScannedImage {
            name: &name,
            // Images 8 apart are doubles.
            content: [(index % 8) as u8; 32],
            width: 100 + 40 * index as u32,
            height: 300,
            captions: &captions[..index % 3],
            token_counts: &[4, 70 + index][..index % 3],
            attributes: Some(face.with("Young", index.is_multiple_of(2)).expect("in the list")),
        });
    }

    fn report(range: std::ops::Range<usize>) -> DataReport {
        let mut report = DataReport::new(256);
        range.for_each(|index| add(&mut report, index));
        report
    }

    #[test]
    fn every_kind_is_counted() {
        let report = report(0..30);
        let json = report.to_json();
        // Numbers 9, 19 and 29 are corrupt; 0 to 3 are narrower than 256; 27 images of 8 contents.
        assert_eq!(json["summary"]["pictures"], 30);
        assert_eq!(json["summary"]["used"], 27);
        assert_eq!(json["summary"]["different"], 8);
        let problems = &json["summary"]["problems"];
        assert_eq!(problems["corrupt"], 3);
        assert_eq!(problems["too small"], 4);
        assert_eq!(problems["duplicate"], 19);
        // Second captions have the numbers 2, 5, .. 26; 14 is the one that 7 divides; above 77 are 8 to 26.
        assert_eq!(problems["empty caption"], 1);
        assert_eq!(problems["long caption"], 7);
        assert_eq!(problems["without caption"], 9);
        assert_eq!(json["attributes"]["Male"], 27);
        assert_eq!(json["attributes"]["Young"], 15);
        assert_eq!(json["attributes"]["Bald"], 0);
    }

    #[test]
    fn parts_give_the_report_of_the_whole() {
        let whole = report(0..300);
        let mut merged = report(0..70);
        for part in [70..71, 71..200, 200..300] {
            let json = serde_json::to_string(&report(part).to_json()).expect("writable");
            let json = serde_json::from_str(&json).expect("readable");
            merged.merge(&DataReport::from_json(&json).expect("a report"));
        }
        assert_eq!(merged, whole);
        assert_eq!(merged.to_json(), whole.to_json());
        assert_eq!(merged.to_markdown(), whole.to_markdown());
        let listed = whole.to_json()["problems"]["corrupt"]["listed"].as_array().map(Vec::len);
        assert_eq!(listed, Some(LISTED));
    }

    #[test]
    fn duplicates_across_parts_are_found() {
        let (mut a, b) = (report(0..4), report(8..9));
        for part in [&a, &b] {
            assert_eq!(part.to_json()["summary"]["problems"]["duplicate"], Value::Null);
        }
        a.merge(&b);
        assert_eq!(a.to_json()["summary"]["problems"]["duplicate"], 1);
        assert!(a.to_markdown().contains("| `008.jpg` | the same content as 000.jpg |"));
    }

    #[test]
    fn foreign_parts_are_told() {
        let mut report = DataReport::new(256);
        report.merge(&DataReport::new(128));
        assert!(report.to_markdown().contains("128 pixels, the report has 256"));
        let error = DataReport::from_json(&json!({"pictures": 3})).expect_err("must fail");
        assert!(error.to_string().contains("missing field"), "{error}");
    }

    #[test]
    fn an_empty_report_can_be_read() {
        let text = DataReport::new(256).to_markdown();
        assert!(text.contains("| Images | 0 |"), "{text}");
        assert!(!text.contains("NaN"), "{text}");
    }
}
