//! Prompts and the attributes that each of them asks for, as JSON lines.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use serde::Deserialize;
use stride::classifier::Attribute;
use stride::spelling::nearest;
use stride_files::ContentHash;

use crate::EvalError;

/// Bytes of a file, at most.
const MAX_BYTES: u64 = 16 << 20;
/// Prompts of a file, at most.
const MAX_PROMPTS: usize = 10_000;
/// Characters of a prompt, at most; encoders read some hundred.
const MAX_LENGTH: usize = 4096;

/// Prompts, and how often each of them is drawn.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PromptSet {
    /// Name of the file, without the path to it, which means nothing to readers of a report.
    pub name: String,
    /// The prompts; at least one.
    pub prompts: Vec<Prompt>,
    /// Images of each prompt; at least one.
    pub seeds: usize,
    /// Content hash of the file.
    pub fingerprint: String,
}

/// A prompt and what it asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Prompt {
    /// Line of the file, from 1.
    pub line: usize,
    /// The prompt.
    pub text: String,
    /// The values of which each will do, by attribute; never empty.
    pub attributes: BTreeMap<String, Vec<String>>,
}

/// One line; other fields are ignored, so that people can keep notes in them.
#[derive(Deserialize)]
struct Line {
    text: String,
    attributes: BTreeMap<String, Asked>,
}

#[derive(Deserialize)]
#[serde(untagged, expecting = "expected a value such as \"red\", or a list of acceptable ones")]
enum Asked {
    Value(String),
    AnyOf(Vec<String>),
}

impl PromptSet {
    /// Reads a file whose lines are objects such as `{"text": "dude in a red hoodie", "attributes": {"gender": "man",
    /// "garment": ["hoodie"]}}`; `known` are the attributes of the classifier that will judge the images.
    ///
    /// # Errors
    /// The file cannot be read, is too large or has no line; or a line is no such object, or asks for what the
    /// classifier does not know.
    pub fn open(path: &Path, seeds: usize, known: &[Attribute]) -> Result<Self, EvalError> {
        let problem = |problem| EvalError::Format { path: path.display().to_string(), problem };
        let size = fs::metadata(path).map_err(EvalError::io(path))?.len();
        if size > MAX_BYTES {
            let most = MAX_BYTES >> 20;
            return Err(problem(format!(
                "{size} bytes; expected a list of prompts, at most {most} MiB"
            )));
        }
        let bytes = stride_files::read_file(path).map_err(EvalError::io(path))?;
        let text = str::from_utf8(&bytes).map_err(|error| {
            let before = bytes[..error.valid_up_to()].iter().filter(|&&byte| byte == b'\n').count();
            problem(format!("line {}: not UTF-8; save the file as UTF-8", before + 1))
        })?;
        // Some editors begin a file with a mark.
        let lines = text.strip_prefix('\u{feff}').unwrap_or(text).lines();
        let prompts = (1..).zip(lines).filter(|(_, line)| !line.trim().is_empty());
        let prompts = prompts
            .take(MAX_PROMPTS + 1)
            .map(|(number, line)| {
                Prompt::parse(number, line, known)
                    .map_err(|text| problem(format!("line {number}: {text}")))
            })
            .collect::<Result<Vec<_>, _>>()?;
        if prompts.is_empty() {
            return Err(problem(
                "no prompts; expected lines such as {\"text\": \"a man\", \"attributes\": {\"gender\": \"man\"}}".to_owned(),
            ));
        }
        if prompts.len() > MAX_PROMPTS {
            return Err(problem(format!("expected at most {MAX_PROMPTS} prompts, found more")));
        }
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let fingerprint = ContentHash::of(&bytes).to_string();
        Ok(Self { name, prompts, seeds, fingerprint })
    }

    /// Number of images for each step count.
    pub fn num_images(&self) -> usize {
        self.prompts.len() * self.seeds
    }

    /// The prompt of an image: those of the first prompt come first.
    pub fn of_image(&self, index: usize) -> &Prompt {
        &self.prompts[index / self.seeds]
    }
}

impl Prompt {
    fn parse(number: usize, line: &str, known: &[Attribute]) -> Result<Self, String> {
        let Line { text, attributes } = serde_json::from_str(line)
            // The reader gets one line, and would call each the first.
            .map_err(|error| error.to_string().replace(" at line 1 column", " at column"))?;
        let length = text.chars().count();
        if length > MAX_LENGTH {
            return Err(format!("text: expected at most {MAX_LENGTH} characters, found {length}"));
        }
        if text.trim().is_empty() {
            return Err("text: expected a prompt, found nothing".to_owned());
        }
        if text.contains('\0') {
            return Err("text: a NUL character; no prompt has one".to_owned());
        }
        if attributes.is_empty() {
            return Err("attributes: expected at least one; nothing could be judged".to_owned());
        }
        let asked = |(name, asked): (String, Asked)| {
            let values = match asked {
                Asked::Value(value) => vec![value],
                Asked::AnyOf(values) => values,
            };
            let attribute = known.iter().find(|attribute| attribute.name == name);
            let attribute = attribute.ok_or_else(|| {
                let names = known.iter().map(|attribute| attribute.name.as_str());
                unknown(&format!("attribute {name:?}"), &name, &names.collect::<Vec<_>>())
            })?;
            if values.is_empty() {
                return Err(format!("{name}: expected at least one value, found an empty list"));
            }
            match values.iter().find(|value| !attribute.values.contains(value)) {
                Some(value) => {
                    let names: Vec<&str> = attribute.values.iter().map(String::as_str).collect();
                    Err(unknown(&format!("{name}: value {value:?}"), value, &names))
                }
                None => Ok((name, values)),
            }
        };
        let attributes = attributes.into_iter().map(asked).collect::<Result<_, _>>()?;
        Ok(Self { line: number, text, attributes })
    }
}

/// Says what the classifier knows instead of `name`.
fn unknown(what: &str, name: &str, known: &[&str]) -> String {
    let meant = nearest(name, known.iter().copied());
    let meant = meant.map_or_else(String::new, |meant| format!(" (did you mean {meant:?}?)"));
    format!("{what} is none that the classifier tells{meant}; it tells {}", known.join(", "))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn open(bytes: &[u8]) -> Result<PromptSet, String> {
        let attribute = |name: &str, values: &[&str]| Attribute {
            name: name.to_owned(),
            values: values.iter().map(|&value| value.to_owned()).collect(),
        };
        let known =
            [attribute("gender", &["man", "woman"]), attribute("headwear", &["none", "beanie"])];
        let dir = tempfile::tempdir().expect("temporary folder");
        let path = dir.path().join("p.jsonl");
        fs::write(&path, bytes).expect("writable");
        PromptSet::open(&path, 3, &known).map_err(|error| error.to_string())
    }

    #[test]
    fn a_value_is_a_list_of_one_and_blank_lines_count() {
        let text = "\u{feff}{\"text\": \"a man\", \"attributes\": {\"gender\": \"man\"}}\r\n\r\n\
                    {\"note\": 1, \"text\": \"x\", \"attributes\": {\"headwear\": [\"none\", \"beanie\"]}}";
        let set = open(text.as_bytes()).expect("valid");
        assert_eq!((set.name.as_str(), set.num_images()), ("p.jsonl", 6));
        assert_eq!(set.prompts[0].attributes["gender"], ["man"]);
        assert_eq!(set.prompts[1].attributes["headwear"], ["none", "beanie"]);
        let lines: Vec<usize> = (0..6).map(|index| set.of_image(index).line).collect();
        assert_eq!(lines, [1, 1, 1, 3, 3, 3]);
    }

    #[test]
    fn bad_files_are_named_with_line_and_remedy() {
        let good = "{\"text\": \"a man\", \"attributes\": {\"gender\": \"man\"}}\n";
        let line = |text: &str| format!("{good}{text}").into_bytes();
        let long = format!("{{\"text\": \"{}\", \"attributes\": {{}}}}", "a".repeat(5000));
        for (bytes, expected) in [
            (Vec::new(), "no prompts; expected lines such as"),
            (b"\n \n".to_vec(), "no prompts"),
            (line("not JSON"), "line 2: expected"),
            (line("{\"text\": \"a\"}"), "line 2: missing field `attributes` at column 13"),
            (line("{\"attributes\": {}}"), "missing field `text`"),
            (line("{\"text\": 3, \"attributes\": {}}"), "expected a string"),
            (line("{\"text\": \"a\", \"attributes\": {}}"), "attributes: expected at least one"),
            (
                line("{\"text\": \" \", \"attributes\": {}}"),
                "text: expected a prompt, found nothing",
            ),
            (line("{\"text\": \"a\\u0000\", \"attributes\": {}}"), "line 2: text: a NUL character"),
            (line("\0"), "line 2: expected value"),
            (line(&long), "text: expected at most 4096 characters, found 5000"),
            ([good.as_bytes(), b"\xff"].concat(), "line 2: not UTF-8"),
            (
                line("{\"text\": \"a\", \"attributes\": {\"gendre\": \"man\"}}"),
                "line 2: attribute \"gendre\" is none that the classifier tells (did you mean \"gender\"?); it \
                 tells gender, headwear",
            ),
            (
                line("{\"text\": \"a\", \"attributes\": {\"headwear\": [\"none\", \"beanei\"]}}"),
                "headwear: value \"beanei\" is none that the classifier tells (did you mean \"beanie\"?); it tells \
                 none, beanie",
            ),
            (
                line("{\"text\": \"a\", \"attributes\": {\"gender\": []}}"),
                "gender: expected at least one value",
            ),
            (
                line("{\"text\": \"a\", \"attributes\": {\"gender\": 3}}"),
                "expected a value such as \"red\", or a list of acceptable ones",
            ),
            (good.repeat(MAX_PROMPTS + 1).into_bytes(), "expected at most 10000 prompts"),
        ] {
            let message = open(&bytes).expect_err("must fail");
            assert!(message.contains(expected) && message.contains("p.jsonl: "), "{message}");
        }
    }
}
