//! How an image was made, as its file tells it.

use std::fmt::Write as _;

use serde::Serialize;
use stride_kernels::gemm::Compute;

use super::{GenerateRequest, Pipeline};
use crate::image::ImageMetadata;

/// What begins the negative prompt in the `parameters` text.
pub const NEGATIVE_PROMPT: &str = "Negative prompt:";

/// What made images.
#[derive(Clone, Copy, Debug)]
pub struct Record<'a> {
    /// What drew them.
    pub pipeline: &'a Pipeline,
    /// The hash that names the model's weights.
    pub hash: &'a str,
    /// Of the image to begin with, if there was one.
    pub strength: Option<f64>,
}

/// How an image was made.
#[derive(Clone, Debug, Serialize)]
pub struct ImageRecord<'a> {
    seed: u64,
    prompt: &'a str,
    /// The prompt that it was drawn from, where it is not the one that was typed.
    #[serde(skip_serializing_if = "Option::is_none")]
    completed_prompt: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    negative_prompt: Option<&'a str>,
    steps: usize,
    cfg_scale: f64,
    #[serde(skip_serializing_if = "Option::is_none")]
    strength: Option<f64>,
    /// Whether the prompt was not to be completed.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    as_typed: bool,
}

/// What is the same for all images of a model.
#[derive(Clone, Debug, Serialize)]
pub struct ModelRecord<'a> {
    width: usize,
    height: usize,
    dtype: Compute,
    model: &'a str,
    model_hash: &'a str,
    version: &'static str,
}

/// The JSON of an image.
#[derive(Serialize)]
struct StoredRecord<'a> {
    #[serde(flatten)]
    image: ImageRecord<'a>,
    #[serde(flatten)]
    model: ModelRecord<'a>,
}

impl<'a> Record<'a> {
    /// How the image of `seed` was made for a request; `drawn_from` is the prompt as the model completed it.
    pub fn image<'r>(
        &self,
        request: &'r GenerateRequest,
        seed: u64,
        drawn_from: &'r str,
    ) -> ImageRecord<'r> {
        ImageRecord {
            seed,
            prompt: &request.prompt,
            completed_prompt: request.completed(drawn_from),
            negative_prompt: request.negative_prompt.as_deref(),
            steps: request.num_steps,
            cfg_scale: request.cfg_scale,
            strength: self.strength,
            as_typed: request.as_typed,
        }
    }

    /// What is the same for all images.
    pub fn model(&self) -> ModelRecord<'a> {
        let side = self.pipeline.index().resolution;
        ModelRecord {
            width: side,
            height: side,
            dtype: self.pipeline.precision().compute(),
            model: &self.pipeline.index().name,
            model_hash: self.hash,
            version: env!("CARGO_PKG_VERSION"),
        }
    }

    /// What the file of an image says.
    pub fn metadata(
        &self,
        request: &GenerateRequest,
        seed: u64,
        drawn_from: &str,
    ) -> ImageMetadata {
        let (image, model) = (self.image(request, seed, drawn_from), self.model());
        let parameters = Parameters {
            prompt: image.prompt,
            completed_prompt: image.completed_prompt,
            negative_prompt: image.negative_prompt,
            steps: image.steps,
            sampler: self.pipeline.index().sampler.description(),
            cfg_scale: image.cfg_scale,
            seed: image.seed,
            width: model.width,
            height: model.height,
            strength: self.strength,
            model: model.model,
            model_hash: model.model_hash,
        };
        let parameters = Some(parameters.to_text());
        let json = serde_json::to_string(&StoredRecord { image, model });
        ImageMetadata { parameters, json: Some(json.expect("texts and numbers are JSON")) }
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
    /// Of the image that it was drawn from, if any.
    strength: Option<f64>,
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
            "Steps: {}, Sampler: {}, CFG scale: {}, Seed: {}, Size: {}x{}, ",
            self.steps, self.sampler, self.cfg_scale, self.seed, self.width, self.height,
        );
        if let Some(strength) = self.strength {
            let _ = write!(text, "Denoising strength: {strength}, ");
        }
        let _ = write!(
            text,
            "Model: {}, Model hash: {}, Version: stride {}",
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
            strength: None,
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
