//! Which rows of an embedding table the tokens use: all of CLIP's, or those that the training captions had.

use std::collections::{BTreeSet, HashMap};
use std::ops::Range;

use burn::tensor::{Device, Int, Tensor};
use serde::{Deserialize, Serialize};

use super::bpe::{ClipTokenizer, END_TOKEN, START_TOKEN};
use super::byte_pairs::VOCABULARY_SIZE;
use super::error::TokenizerError;
use super::tokens::{Tokens, pad_token_ids};

/// The map from CLIP token ids to rows of a text encoder's embedding table.
///
/// The full vocabulary is the identity. A compact one has rows only for the ids that a set of captions uses, which
/// spares a small model tens of megabytes: row 0 is the start token, row 1 the end token, row 2 stands for every id
/// that was not there, and the others follow in the order of their ids. As JSON: `{"kind": "full"}` or
/// `{"kind": "compact", "token_ids": [49406, 49407, null, 256, ..]}`, where `null` is the unknown row.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "StoredVocabulary", into = "StoredVocabulary")]
pub struct Vocabulary {
    rows: Rows,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Rows {
    Full,
    Compact { token_ids: Vec<Option<u32>>, row_of: HashMap<u32, u32>, unknown: u32 },
}

/// A caption in rows of the embedding table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MappedTokens {
    /// Rows from the start to the end token, without padding and without punctuation that the model never saw.
    pub rows: Vec<u32>,
    /// The words, as typed, that have at least one token the model never saw; each is named once, and punctuation is
    /// not named.
    pub unknown_words: Vec<String>,
}

impl Vocabulary {
    /// CLIP's whole vocabulary; rows are token ids.
    pub fn full() -> Self {
        Self { rows: Rows::Full }
    }

    /// The vocabulary of a set of captions.
    ///
    /// # Errors
    /// When a caption cannot be tokenized.
    pub fn from_captions<C: AsRef<str>>(
        tokenizer: &ClipTokenizer,
        captions: impl IntoIterator<Item = C>,
    ) -> Result<Self, TokenizerError> {
        let ids = captions
            .into_iter()
            .map(|caption| Ok(tokenizer.encode(caption.as_ref())?.ids))
            .collect::<Result<Vec<_>, TokenizerError>>()?;
        Ok(Self::from_token_ids(ids.into_iter().flatten()))
    }

    /// The vocabulary of captions that are tokenized already.
    pub fn from_token_ids(ids: impl IntoIterator<Item = u32>) -> Self {
        let seen: BTreeSet<u32> = ids.into_iter().collect();
        let others = seen.into_iter().filter(|id| ![START_TOKEN, END_TOKEN].contains(id)).map(Some);
        Self::compact(
            [Some(START_TOKEN), Some(END_TOKEN), None].into_iter().chain(others).collect(),
        )
    }

    /// Number of rows, which is the text encoder's `vocab_size`.
    pub fn len(&self) -> usize {
        match &self.rows {
            Rows::Full => VOCABULARY_SIZE,
            Rows::Compact { token_ids, .. } => token_ids.len(),
        }
    }

    /// Never: start, end and unknown are always there.
    pub fn is_empty(&self) -> bool {
        false
    }

    /// Row of the end token, which is the text encoder's `eos_token_id` and the padding of batches.
    pub fn end_row(&self) -> u32 {
        match self.rows {
            Rows::Full => END_TOKEN,
            Rows::Compact { .. } => 1,
        }
    }

    /// Row that stands for ids the captions did not have; the full vocabulary needs none.
    pub fn unknown_row(&self) -> Option<u32> {
        match self.rows {
            Rows::Full => None,
            Rows::Compact { unknown, .. } => Some(unknown),
        }
    }

    /// CLIP id of a row; `None` for the unknown row and for rows that are not there.
    pub fn token_id(&self, row: u32) -> Option<u32> {
        match &self.rows {
            Rows::Full => Some(row).filter(|row| (*row as usize) < VOCABULARY_SIZE),
            Rows::Compact { token_ids, .. } => token_ids.get(row as usize).copied().flatten(),
        }
    }

    /// The rows of token ids; ids that this vocabulary lacks have the unknown row.
    pub fn rows(&self, token_ids: &[u32]) -> Vec<u32> {
        match &self.rows {
            Rows::Full => token_ids.to_vec(),
            Rows::Compact { row_of, unknown, .. } => {
                token_ids.iter().map(|id| row_of.get(id).copied().unwrap_or(*unknown)).collect()
            }
        }
    }

    /// The rows of a caption, and the words that this vocabulary lacks.
    ///
    /// Words that a compact vocabulary lacks have the unknown row. Punctuation that it lacks is left out, since it tells
    /// nothing and the unknown row would change the image; punctuation of the training captions stays.
    pub fn map(&self, tokens: &Tokens) -> MappedTokens {
        let Rows::Compact { unknown, .. } = &self.rows else {
            return MappedTokens { rows: tokens.ids.clone(), unknown_words: Vec::new() };
        };
        let mut rows = self.rows(&tokens.ids);
        let mut unknown_words: Vec<String> = Vec::new();
        let mut left_out: Vec<Range<usize>> = Vec::new();
        for (index, word) in tokens.words.iter().enumerate() {
            let text = tokens.word_text(index);
            let lacks = rows.get(word.tokens.clone()).is_some_and(|rows| rows.contains(unknown));
            let is_word = text.contains(char::is_alphanumeric);
            if lacks && !is_word {
                left_out.push(word.tokens.clone());
            } else if lacks && !unknown_words.iter().any(|known| known == text) {
                unknown_words.push(text.to_owned());
            }
        }
        for tokens in left_out.into_iter().rev() {
            rows.drain(tokens);
        }
        MappedTokens { rows, unknown_words }
    }

    /// A batch of captions as rows, padded with the end token's row: the input of the text encoder, `[B, L]`.
    pub fn batch(&self, captions: &[Tokens], device: &Device) -> Tensor<2, Int> {
        let rows: Vec<Vec<u32>> = captions.iter().map(|tokens| self.map(tokens).rows).collect();
        pad_token_ids(&rows, self.end_row(), device)
    }

    fn compact(token_ids: Vec<Option<u32>>) -> Self {
        let mut row_of = HashMap::with_capacity(token_ids.len());
        let mut unknown = 0;
        for (row, id) in (0..).zip(&token_ids) {
            match id {
                Some(id) => _ = row_of.insert(*id, row),
                None => unknown = row,
            }
        }
        Self { rows: Rows::Compact { token_ids, row_of, unknown } }
    }
}

/// The JSON form of a vocabulary.
#[derive(Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
enum StoredVocabulary {
    Full {},
    Compact { token_ids: Vec<Option<u32>> },
}

impl From<Vocabulary> for StoredVocabulary {
    fn from(vocabulary: Vocabulary) -> Self {
        match vocabulary.rows {
            Rows::Full => Self::Full {},
            Rows::Compact { token_ids, .. } => Self::Compact { token_ids },
        }
    }
}

impl TryFrom<StoredVocabulary> for Vocabulary {
    type Error = String;

    fn try_from(stored: StoredVocabulary) -> Result<Self, String> {
        let StoredVocabulary::Compact { token_ids } = stored else {
            return Ok(Self::full());
        };
        if !matches!(token_ids.as_slice(), [Some(start), Some(end), None, ..] if start != end) {
            return Err("token_ids: expected the start token, the end token and null (the unknown row) first".to_owned());
        }
        let vocabulary = Self::compact(token_ids);
        match &vocabulary.rows {
            Rows::Compact { token_ids, row_of, .. } if row_of.len() + 1 != token_ids.len() => {
                Err("token_ids: an id or null stands there twice; every row needs its own"
                    .to_owned())
            }
            _ => Ok(vocabulary),
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn the_full_vocabulary_is_the_identity() {
        let tokens = ClipTokenizer::new().unwrap().encode("a purple hat").unwrap();
        let mapped = Vocabulary::full().map(&tokens);
        assert_eq!((mapped.rows, mapped.unknown_words.len()), (tokens.ids, 0));
    }

    #[test]
    fn a_compact_vocabulary_knows_its_captions_and_names_other_words() {
        let tokenizer = ClipTokenizer::new().unwrap();
        let vocabulary =
            Vocabulary::from_captions(&tokenizer, ["a man with a red hat", "a woman"]).unwrap();
        assert_eq!(vocabulary.len(), 3 + 6);

        let seen = tokenizer.encode("A woman with a hat").unwrap();
        let mapped = vocabulary.map(&seen);
        assert!(mapped.unknown_words.is_empty());
        let back: Vec<_> = mapped.rows.iter().filter_map(|row| vocabulary.token_id(*row)).collect();
        assert_eq!(back, seen.ids);

        let other =
            vocabulary.map(&tokenizer.encode("a Zyzzyvas with a zebra, a zebra!!!").unwrap());
        assert_eq!(other.unknown_words, ["Zyzzyvas", "zebra"]);
        assert!(other.rows.contains(&vocabulary.unknown_row().unwrap()));
        assert_eq!(other.rows.last(), Some(&vocabulary.end_row()));
    }

    #[test]
    fn punctuation_that_the_captions_had_not_is_left_out() {
        let tokenizer = ClipTokenizer::new().unwrap();
        let vocabulary =
            Vocabulary::from_captions(&tokenizer, ["a man, with a t-shirt", "a hat"]).unwrap();
        let rows = |text: &str| vocabulary.map(&tokenizer.encode(text).unwrap()).rows;
        let plain = rows("a man with a hat");
        for text in [
            "a man with a hat!!!",
            "\u{201c}a man\u{201d} (with a hat) ...",
            "a man: with; a hat 😀",
        ] {
            assert_eq!(rows(text), plain, "{text}");
        }
        assert_eq!(rows("!?"), [0, vocabulary.end_row()]);
        // What it learned it still sees.
        assert_ne!(rows("a man, with a hat"), plain);
        assert!(rows("a zebra!!!").contains(&vocabulary.unknown_row().unwrap()));
        // The whole vocabulary knows every sign.
        let tokens = tokenizer.encode("a hat!!!").unwrap();
        assert_eq!(Vocabulary::full().map(&tokens).rows, tokens.ids);
    }

    #[test]
    fn json_round_trip_and_refusals() {
        let tokenizer = ClipTokenizer::new().unwrap();
        for vocabulary in
            [Vocabulary::full(), Vocabulary::from_captions(&tokenizer, ["a hat"]).unwrap()]
        {
            let json = serde_json::to_string(&vocabulary).unwrap();
            assert_eq!(serde_json::from_str::<Vocabulary>(&json).unwrap(), vocabulary);
        }
        for bad in [
            r#"{"kind":"compact","token_ids":[]}"#,
            r#"{"kind":"compact","token_ids":[1,1,null]}"#,
            r#"{"kind":"compact","token_ids":[1,2,null,5,5]}"#,
            r#"{"kind":"compact","token_ids":[1,2,null,null]}"#,
            r#"{"kind":"compact","token_ids":[1,2,null],"extra":1}"#,
            r#"{"kind":"huge"}"#,
        ] {
            assert!(serde_json::from_str::<Vocabulary>(bad).is_err(), "{bad} was accepted");
        }
    }
}
