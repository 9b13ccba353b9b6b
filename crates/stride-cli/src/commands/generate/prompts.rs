//! Where prompts come from: arguments, a file, or an image that was generated.

use std::io::Read as _;
use std::path::Path;

use anyhow::Context as _;
use serde_json::Value;
use stride::image::read_image_file;

use super::Generate;
use super::settings::{Seed, Settings};
use crate::usage::usage;
use stride::pipeline::NEGATIVE_PROMPT;

/// A file of prompts has at most this many bytes.
const MOST_BYTES: u64 = 64 << 20;

impl Generate {
    /// The prompts, each with what is said about it alone.
    pub(super) fn entries(&self) -> anyhow::Result<Vec<Settings>> {
        if let Some(file) = &self.prompt_file {
            return read_prompts(file);
        }
        let mut base = match &self.from {
            Some(file) => read_image(file)?,
            None => Settings::default(),
        };
        // What is given on the command line counts more than what the image says.
        if self.negative_prompt.is_some() {
            base.negative_prompt = None;
        }
        if self.as_typed {
            base.as_typed = None;
        }
        if !self.steps.is_empty() {
            base.steps = None;
        }
        if !self.cfg_scale.is_empty() {
            base.cfg_scale = None;
        }
        if self.seed.is_some() || self.seeds.is_some() {
            base.seed = None;
        }
        if !self.prompts.is_empty() {
            let with = |prompt: &String| Settings { prompt: prompt.clone(), ..base.clone() };
            return Ok(self.prompts.iter().map(with).collect());
        }
        if !self.words.is_empty() {
            base.prompt = self.words.join(" ");
        }
        Ok(vec![base])
    }
}

/// The prompts of a file, `-` for stdin.
fn read_prompts(path: &Path) -> anyhow::Result<Vec<Settings>> {
    let is_stdin = path.as_os_str() == "-";
    let place = if is_stdin { "stdin".to_owned() } else { path.display().to_string() };
    let mut text = String::new();
    let read = if is_stdin {
        std::io::stdin().lock().take(MOST_BYTES).read_to_string(&mut text)
    } else {
        // A pipe is read as well: shells make them for `<(command)`.
        std::fs::File::open(path).and_then(|file| file.take(MOST_BYTES).read_to_string(&mut text))
    };
    read.with_context(|| format!("cannot read prompts from {place}"))?;
    if text.len() as u64 == MOST_BYTES {
        return usage(format!("{place}: expected prompts of less than {MOST_BYTES} bytes"));
    }
    let mut prompts = Vec::new();
    for (number, line) in (1..).zip(text.trim_start_matches('\u{feff}').lines()) {
        let line = line.trim();
        if line.is_empty() {
            continue;
        }
        let place = format!("{place}, line {number}");
        let settings = read_line(line).or_else(|error| usage(format!("{place}: {error}")))?;
        settings.check(&place)?;
        prompts.push(settings);
    }
    if prompts.is_empty() {
        return usage(format!("{place}: expected a prompt a line, found none"));
    }
    Ok(prompts)
}

/// A prompt, or a JSON object; `{red|blue} hats` is a prompt.
fn read_line(line: &str) -> Result<Settings, serde_json::Error> {
    let is_json = line.strip_prefix('{').is_some_and(|rest| rest.trim_start().starts_with('"'));
    if is_json { serde_json::from_str(line) } else { Ok(Settings::of(line)) }
}

/// How an image says that it was made.
fn read_image(path: &Path) -> anyhow::Result<Settings> {
    let bytes =
        stride_files::read_file(path).with_context(|| format!("cannot read {}", path.display()))?;
    let metadata = read_image_file(&bytes).with_context(|| path.display().to_string())?.metadata;
    let json = metadata.json.as_deref().and_then(|json| serde_json::from_str(json).ok());
    let settings = match (json, metadata.parameters) {
        (Some(json), _) => from_json(&json),
        (None, Some(parameters)) => from_parameters(&parameters),
        (None, None) => {
            return usage(format!(
                "{}: it does not say how it was made; expected an image of stride generate or of a web interface",
                path.display()
            ));
        }
    };
    settings.check(&path.display().to_string())?;
    Ok(settings)
}

/// From the JSON that this program writes.
fn from_json(json: &Value) -> Settings {
    if json["strength"].is_number() {
        tracing::warn!("the image was drawn from another one; name that with --init-image");
    }
    let text = |name: &str| json[name].as_str().map(str::to_owned);
    Settings {
        prompt: text("prompt").unwrap_or_default(),
        negative_prompt: text("negative_prompt"),
        as_typed: json["as_typed"].as_bool(),
        steps: json["steps"].as_u64().map(|steps| steps as usize),
        cfg_scale: json["cfg_scale"].as_f64(),
        seed: json["seed"].as_u64().map(Seed::Is),
        ..Settings::default()
    }
}

/// From the text that web interfaces write: prompt, negative prompt, and a last line of `Key: value` pairs.
fn from_parameters(text: &str) -> Settings {
    let (mut body, last) = text.rsplit_once('\n').unwrap_or(("", text));
    let value = |key: &str| {
        let start = if last.starts_with(&format!("{key}: ")) {
            key.len() + 2
        } else {
            let key = format!(", {key}: ");
            last.find(&key)? + key.len()
        };
        last[start..].split(',').next().map(str::trim)
    };
    let steps = value("Steps").and_then(|steps| steps.parse().ok());
    if steps.is_none() {
        body = text;
    }
    let (prompt, negative_prompt) = match body.split_once(&format!("\n{NEGATIVE_PROMPT}")) {
        Some((prompt, negative)) => (prompt, Some(negative.trim().to_owned())),
        None => (body, None),
    };
    Settings {
        prompt: prompt.to_owned(),
        negative_prompt,
        steps,
        cfg_scale: value("CFG scale").and_then(|scale| scale.parse().ok()),
        seed: value("Seed").and_then(|seed| seed.parse().ok()).map(Seed::Is),
        ..Settings::default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_a_prompt_or_an_object() {
        assert_eq!(read_line("{red|blue} hats").ok(), Some(Settings::of("{red|blue} hats")));
        let line = r#"{"prompt": "a man", "steps": 8, "seed": -1, "output": "man.jpg"}"#;
        let expected = Settings {
            steps: Some(8),
            seed: Some(Seed::Random),
            output: Some("man.jpg".to_owned()),
            ..Settings::of("a man")
        };
        assert_eq!(read_line(line).ok(), Some(expected));
        for wrong in [r#"{"prompt": "a", "stesp": 8}"#, r#"{"steps": 8}"#, r#"{"prompt""#] {
            assert!(read_line(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn parameters_of_web_interfaces_are_read() {
        let text = "a man,\nwith glasses\nNegative prompt: beard, hat\nSteps: 4, Sampler: Euler, CFG scale: 1.5, \
                    Seed: 42, Size: 256x256";
        let expected = Settings {
            negative_prompt: Some("beard, hat".to_owned()),
            steps: Some(4),
            cfg_scale: Some(1.5),
            seed: Some(Seed::Is(42)),
            ..Settings::of("a man,\nwith glasses")
        };
        assert_eq!(from_parameters(text), expected);
        assert_eq!(from_parameters("only a prompt"), Settings::of("only a prompt"));
        assert_eq!(from_parameters(""), Settings::of(""));
    }
}
