//! The `parameters` text that web interfaces read back from an image.

use std::fmt::Write as _;

/// How an image was made, in words.
#[derive(Debug)]
pub(super) struct Parameters<'a> {
    pub(super) prompt: &'a str,
    pub(super) negative_prompt: Option<&'a str>,
    pub(super) steps: usize,
    /// The sampler's name.
    pub(super) sampler: &'a str,
    pub(super) cfg_scale: f64,
    pub(super) seed: u64,
    pub(super) width: usize,
    pub(super) height: usize,
    pub(super) model: &'a str,
    pub(super) model_hash: &'a str,
}

impl Parameters<'_> {
    /// The prompt, the negative prompt, and a last line of `Key: value` pairs.
    ///
    /// Readers split the last line at commas and take values that hold a comma, colon or line break
    /// from JSON strings.
    pub(super) fn to_text(&self) -> String {
        let mut text = String::new();
        // Writing to a string cannot fail.
        let _ = writeln!(text, "{}", self.prompt);
        if let Some(negative_prompt) = self.negative_prompt {
            let _ = writeln!(text, "Negative prompt: {negative_prompt}");
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
        text
    }
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
    fn the_last_line_holds_the_pairs() {
        let parameters = Parameters {
            prompt: "a man\nwith glasses",
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
                 Seed: 42, Size: 256x256, Model: \"avatars, small\", Model hash: 0123456789, Version: stride {version}"
            )
        );
    }
}
