//! What a model makes of the words of a prompt.

use std::borrow::Cow;
use std::fmt;

use serde::Serialize;

use super::Pipeline;
use super::emphasis::without_emphasis;
use crate::spelling::nearest;
use crate::tokenizer::TokenizerError;

/// What the model makes of a prompt's words.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct PromptReport {
    /// Words it never saw in training, each once.
    pub unknown_words: Vec<UnknownWord>,
    /// What is read instead of the prompt where weights of other programs, `(glasses:1.3)` or `((red hair))`, are left out.
    pub without_weights: Option<String>,
    /// Tokens that were cut off because the prompt is too long.
    pub dropped_tokens: usize,
    /// The end of the prompt that they stand for.
    pub dropped_text: String,
}

/// Characters of a prompt that warnings repeat, at most.
const SHOWN: usize = 80;

impl PromptReport {
    /// What a person should know before the prompt is drawn, a sentence each; `what` is what they call it.
    pub fn warnings(&self, what: &str) -> Vec<String> {
        let weights = self.without_weights.as_ref().map(|read| {
            format!(
                "brackets and weights, as in (word:1.3) or ((word)), have no effect; the {what} is read as: {}",
                shortened(read)
            )
        });
        let words: Vec<String> = self.unknown_words.iter().map(ToString::to_string).collect();
        let unknown = (!words.is_empty()).then(|| {
            format!(
                "the model never saw these words of the {what}, and treats them as unknown: {}",
                words.join(", ")
            )
        });
        let dropped = (self.dropped_tokens > 0).then(|| {
            format!(
                "the {what} is too long for the model; its last {} tokens are left out: {}",
                self.dropped_tokens,
                shortened(&self.dropped_text)
            )
        });
        [weights, unknown, dropped].into_iter().flatten().collect()
    }
}

/// The start of a long text.
fn shortened(text: &str) -> String {
    match text.char_indices().nth(SHOWN) {
        Some((end, _)) => format!("{}...", &text[..end]),
        None => text.to_owned(),
    }
}

/// A word that a model never saw.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct UnknownWord {
    /// As typed.
    pub word: String,
    /// A word that it saw, and that is spelled nearly so.
    pub meant: Option<String>,
}

impl fmt::Display for UnknownWord {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.word)?;
        match &self.meant {
            Some(meant) => write!(f, " (did you mean {meant}?)"),
            None => Ok(()),
        }
    }
}

/// A token of a prompt.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct PromptToken {
    /// CLIP's id.
    pub id: u32,
    /// Its text; `</w>` ends a word, and bytes that are no letters have signs of their own.
    pub token: String,
    /// The word that it is part of, as typed; empty for start and end.
    pub word: String,
    /// Row of the text encoder's embedding table; absent for punctuation that is left out.
    pub row: Option<u32>,
    /// Whether the model saw it in training.
    pub is_known: bool,
}

impl Pipeline {
    /// What the model makes of a prompt's words.
    ///
    /// # Errors
    /// The prompt cannot be tokenised.
    pub fn prompt_report(&self, prompt: &str) -> Result<PromptReport, TokenizerError> {
        let read = without_emphasis(prompt);
        let tokens = self.tokenizer.encode(&read)?;
        let unknown = self.parts.vocabulary.map(&tokens).unknown_words;
        let known = if unknown.is_empty() { Vec::new() } else { self.known_words() };
        let unknown = unknown.into_iter().map(|word| UnknownWord {
            meant: nearest(&word, known.iter().map(String::as_str)).map(str::to_owned),
            word,
        });
        Ok(PromptReport {
            unknown_words: unknown.collect(),
            without_weights: match &read {
                Cow::Owned(read) => Some(read.clone()),
                Cow::Borrowed(_) => None,
            },
            dropped_tokens: tokens.dropped_tokens,
            dropped_text: tokens.dropped_text.trim().to_owned(),
        })
    }

    /// The tokens of a prompt, from the start to the end token.
    ///
    /// # Errors
    /// The prompt cannot be tokenised.
    pub fn prompt_tokens(&self, prompt: &str) -> Result<Vec<PromptToken>, TokenizerError> {
        let tokens = self.tokenizer.encode(&without_emphasis(prompt))?;
        let vocabulary = &self.parts.vocabulary;
        let rows = vocabulary.rows(&tokens.ids);
        let mut words = vec![""; tokens.ids.len()];
        for (index, word) in tokens.words.iter().enumerate() {
            words[word.tokens.clone()].fill(tokens.word_text(index));
        }
        let unknown = vocabulary.unknown_row();
        let unseen: Vec<bool> = rows.iter().map(|&row| Some(row) == unknown).collect();
        let lacks = |index: usize| {
            let word = tokens.words.iter().find(|word| word.tokens.contains(&index));
            word.is_some_and(|word| unseen[word.tokens.clone()].contains(&true))
        };
        let token = |(index, &id): (usize, &u32)| {
            let is_word = words[index].contains(char::is_alphanumeric);
            PromptToken {
                id,
                token: self.tokenizer.token(id).unwrap_or_default(),
                word: words[index].to_owned(),
                row: (is_word || !lacks(index)).then_some(rows[index]),
                is_known: !unseen[index],
            }
        };
        Ok(tokens.ids.iter().enumerate().map(token).collect())
    }

    /// The tokens of a compact vocabulary that are whole words, or the ends of longer ones.
    fn known_words(&self) -> Vec<String> {
        let vocabulary = &self.parts.vocabulary;
        let ids = (0..vocabulary.len() as u32).filter_map(|row| vocabulary.token_id(row));
        ids.filter_map(|id| self.tokenizer.whole_word(id)).collect()
    }
}
