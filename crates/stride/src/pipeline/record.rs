//! How an image was made, as its file tells it.

use std::fmt::Write as _;

use serde::Serialize;
use stride_kernels::gemm::Compute;

use super::{GenerateRequest, GeneratedImage, Pipeline};
use crate::image::ImageMetadata;

/// What begins the negative prompt in the `parameters` text.
const NEGATIVE_PROMPT: &str = "Negative prompt:";

/// How the images of a request are made.
#[derive(Clone, Copy, Debug)]
pub struct Record<'a> {
    /// What was asked for.
    pub request: &'a GenerateRequest,
    /// What draws it.
    pub pipeline: &'a Pipeline,
    /// The hash that names the model's weights.
    pub hash: &'a str,
}

/// What all images of a request have in common.
#[derive(Clone, Debug, Serialize)]
pub struct RecordSettings<'a> {
    prompt: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    negative_prompt: Option<&'a str>,
    steps: usize,
    cfg_scale: f64,
    width: usize,
    height: usize,
    dtype: Compute,
    model: &'a str,
    model_hash: &'a str,
    version: &'static str,
    /// Whether the prompt was not to be completed.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    as_typed: bool,
}

/// The JSON chunk of an image.
#[derive(Serialize)]
struct ImageRecord<'a> {
    seed: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    completed_prompt: Option<&'a str>,
    #[serde(flatten)]
    settings: RecordSettings<'a>,
}

impl<'a> Record<'a> {
    /// What all images of the request have in common.
    pub fn settings(&self) -> RecordSettings<'a> {
        let side = self.pipeline.index().resolution;
        RecordSettings {
            prompt: &self.request.prompt,
            negative_prompt: self.request.negative_prompt.as_deref(),
            steps: self.request.num_steps,
            cfg_scale: self.request.cfg_scale,
            width: side,
            height: side,
            dtype: self.pipeline.precision().compute(),
            model: &self.pipeline.index().name,
            model_hash: self.hash,
            version: env!("CARGO_PKG_VERSION"),
            as_typed: self.request.as_typed,
        }
    }

    /// The prompt that an image was drawn from, where it is not the one that was typed.
    pub fn completed<'p>(&self, prompt: &'p str) -> Option<&'p str> {
        (prompt != self.request.prompt).then_some(prompt)
    }

    /// What the file of an image says.
    pub fn metadata(&self, image: &GeneratedImage) -> ImageMetadata {
        let settings = self.settings();
        let completed_prompt = self.completed(&image.prompt);
        let parameters = Parameters {
            prompt: settings.prompt,
            completed_prompt,
            negative_prompt: settings.negative_prompt,
            steps: settings.steps,
            sampler: self.pipeline.index().sampler.description(),
            cfg_scale: settings.cfg_scale,
            seed: image.seed,
            width: image.image.width,
            height: image.image.height,
            model: settings.model,
            model_hash: settings.model_hash,
        };
        let record = ImageRecord { seed: image.seed, completed_prompt, settings };
        let json = serde_json::to_string(&record).expect("texts and numbers are JSON");
        ImageMetadata { parameters: Some(parameters.to_text()), json: Some(json) }
    }
}

/// The `parameters` text that web interfaces read back from an image.
#[derive(Debug)]
struct Parameters<'a> {
    prompt: &'a str,
    completed_prompt: Option<&'a str>,
    negative_prompt: Option<&'a str>,
    steps: usize,
    /// The sampler's name.
    sampler: &'a str,
    cfg_scale: f64,
    seed: u64,
    width: usize,
    height: usize,
    model: &'a str,
    model_hash: &'a str,
}

impl Parameters<'_> {
    /// The prompt, the negative prompt, and a last line of `Key: value` pairs.
    ///
    /// Readers split the last line at commas and take values that hold a comma, colon or line break
    /// from JSON strings. Of the other lines, the negative prompt begins at the first that says so.
    fn to_text(&self) -> String {
        let mut text = String::new();
        // Writing to a string cannot fail.
        let _ = writeln!(text, "{}", plain_lines(self.prompt));
        if let Some(negative_prompt) = self.negative_prompt {
            let _ = writeln!(text, "{NEGATIVE_PROMPT} {}", plain_lines(negative_prompt));
        }
        let _ = write!(
            text,
            "Steps: {}, Sampler: {}, CFG scale: {}, Seed: {}, Size: {}x{}, Model: {}, Model hash: {}, \
             Version: stride {}",
            self.steps,
            self.sampler,
            self.cfg_scale,
            self.seed,
            self.width,
            self.height,
            quote(self.model),
            self.model_hash,
            env!("CARGO_PKG_VERSION"),
        );
        if let Some(prompt) = self.completed_prompt {
            let _ = write!(text, ", Completed prompt: {}", quote(prompt));
        }
        text
    }
}

/// The text with a small letter in lines that would read back as the negative prompt; the tokenizer makes letters small
/// anyway, so that it means the same.
fn plain_lines(text: &str) -> String {
    let plain = |line: &str| match line.trim_start().strip_prefix(NEGATIVE_PROMPT) {
        Some(rest) => {
            let indent = &line[..line.len() - NEGATIVE_PROMPT.len() - rest.len()];
            format!("{indent}{}{rest}", NEGATIVE_PROMPT.to_lowercase())
        }
        None => line.to_owned(),
    };
    text.split('\n').map(plain).collect::<Vec<_>>().join("\n")
}

fn quote(value: &str) -> String {
    if value.contains([',', ':', '\n']) {
        serde_json::Value::from(value).to_string()
    } else {
        value.to_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_prompt_does_not_read_back_as_a_negative_one() {
        for (prompt, expected) in [
            ("a man\nNegative prompt: beard", "a man\nnegative prompt: beard"),
            ("Negative prompt: é", "negative prompt: é"),
            ("a\r\n \tNegative prompt:", "a\r\n \tnegative prompt:"),
            ("a man, Negative prompt: beard", "a man, Negative prompt: beard"),
            ("a\n\nman ", "a\n\nman "),
        ] {
            assert_eq!(plain_lines(prompt), expected);
        }
    }

    #[test]
    fn the_last_line_holds_the_pairs() {
        let parameters = Parameters {
            prompt: "a man\nwith glasses",
            completed_prompt: Some("a man with glasses, no hat"),
            negative_prompt: Some("beard"),
            steps: 4,
            sampler: "Euler shortcut",
            cfg_scale: 1.0,
            seed: 42,
            width: 256,
            height: 256,
            model: "avatars, small",
            model_hash: "0123456789",
        };
        let version = env!("CARGO_PKG_VERSION");
        assert_eq!(
            parameters.to_text(),
            format!(
                "a man\nwith glasses\nNegative prompt: beard\nSteps: 4, Sampler: Euler shortcut, CFG scale: 1, \
                 Seed: 42, Size: 256x256, Model: \"avatars, small\", Model hash: 0123456789, Version: stride {version}, \
                 Completed prompt: \"a man with glasses, no hat\""
            )
        );
    }
}
