//! The vocabulary and the merges of a byte-pair tokenizer, from the program itself or from the files of a model folder.

use std::collections::HashMap;

use serde::Deserialize;
use tokenizers::models::bpe::{Merges, Vocab};

use super::error::TokenizerError;

/// Number of tokens of the original vocabulary: 2 x 256 bytes, 48,894 merges, start and end.
pub const VOCABULARY_SIZE: usize = 49_408;
/// The tokens that open and close every caption, as text.
pub(super) const START_TEXT: &str = "<|startoftext|>";
pub(super) const END_TEXT: &str = "<|endoftext|>";
/// What CLIP appends to the last symbol of a word.
pub(super) const END_OF_WORD: &str = "</w>";
/// The merges of `bpe_simple_vocab_16e6.txt` that CLIP uses (its lines 2 to 48,895), see `NOTICE`.
pub(super) const ORIGINAL_MERGES: &str = include_str!("../../assets/clip_merges.txt");

/// A vocabulary and merges that fit together and cover every byte.
pub(super) struct BytePairs {
    pub(super) vocab: Vocab,
    pub(super) merges: Merges,
}

impl BytePairs {
    /// CLIP's own: bytes, bytes at a word's end, one symbol per merge, start and end.
    pub(super) fn original() -> Result<Self, TokenizerError> {
        let merges = parse_merges(ORIGINAL_MERGES)?;
        let mut vocab = Vocab::with_capacity(VOCABULARY_SIZE);
        let bytes = byte_symbols();
        let whole = bytes.iter().map(char::to_string);
        let last = bytes.iter().map(|symbol| format!("{symbol}{END_OF_WORD}"));
        let merged = merges.iter().map(|(left, right)| [left.as_str(), right].concat());
        let special = [START_TEXT, END_TEXT].map(str::to_owned);
        for (token, id) in whole.chain(last).chain(merged).chain(special).zip(0..) {
            vocab.insert(token, id);
        }
        Ok(Self { vocab, merges })
    }

    /// From the bytes of `vocab.json` and `merges.txt`.
    pub(super) fn from_files(vocab_json: &[u8], merges: &[u8]) -> Result<Self, TokenizerError> {
        let vocab: HashMap<String, u32> = serde_json::from_slice(vocab_json)
            .map_err(|error| TokenizerError::Json { file: "vocab.json", error })?;
        let merges = std::str::from_utf8(merges)
            .map_err(|_| TokenizerError::Encoding { file: "merges.txt" })?;
        Self::checked(vocab, parse_merges(merges)?)
    }

    /// From the bytes of `tokenizer.json`.
    pub(super) fn from_tokenizer_json(bytes: &[u8]) -> Result<Self, TokenizerError> {
        let file: TokenizerFile = serde_json::from_slice(bytes)
            .map_err(|error| TokenizerError::Json { file: "tokenizer.json", error })?;
        let model = file.model;
        if let Some(found) = model.kind.filter(|kind| kind != "BPE") {
            return Err(TokenizerError::NotClip { expected: "a model of type BPE", found });
        }
        if model.end_of_word_suffix.as_deref() != Some(END_OF_WORD) {
            let found = format!("{:?}", model.end_of_word_suffix);
            return Err(TokenizerError::NotClip {
                expected: "the end-of-word suffix \"</w>\"",
                found,
            });
        }
        let merges = model.merges.into_iter().zip(1..).map(|(merge, number)| match merge {
            MergeEntry::Pair(left, right) => Ok((left, right)),
            MergeEntry::Line(line) => parse_merge(&line, number),
        });
        Self::checked(model.vocab, merges.collect::<Result<_, _>>()?)
    }

    /// Refuses lists that do not fit together. `BpeBuilder::build` writes merged symbols into a buffer as long as the
    /// longest token and panics when a foreign merge makes a longer one; and without all byte symbols some text would
    /// silently become the unknown token.
    fn checked(vocab: HashMap<String, u32>, merges: Merges) -> Result<Self, TokenizerError> {
        let mut merged = String::new();
        for (left, right) in &merges {
            merged.clear();
            merged.push_str(left);
            merged.push_str(right);
            if let Some(missing) =
                [left, right, &merged].into_iter().find(|symbol| !vocab.contains_key(*symbol))
            {
                return Err(TokenizerError::MergeOutOfVocabulary {
                    left: left.clone(),
                    right: right.clone(),
                    missing: missing.clone(),
                });
            }
        }
        let bytes = byte_symbols().into_iter();
        let symbols =
            bytes.flat_map(|symbol| [symbol.to_string(), format!("{symbol}{END_OF_WORD}")]);
        let special = [START_TEXT, END_TEXT].map(str::to_owned);
        match special.into_iter().chain(symbols).find(|token| !vocab.contains_key(token)) {
            Some(token) => Err(TokenizerError::MissingToken { token }),
            None => Ok(Self { vocab: vocab.into_iter().collect(), merges }),
        }
    }
}

impl BytePairs {
    /// Refuses what is not CLIP's own, and says where it differs first.
    pub(super) fn check_original(&self) -> Result<(), TokenizerError> {
        let original = Self::original()?;
        let other = |difference| Err(TokenizerError::NotOriginal { difference });
        let differs = |(token, id): &(&String, &u32)| self.vocab.get(*token) != Some(*id);
        if let Some((token, id)) = original.vocab.iter().filter(differs).min_by_key(|(_, id)| **id)
        {
            return other(match self.vocab.get(token) {
                Some(found) => format!("{token:?} is number {found} and not {id}"),
                None => format!("{token:?}, number {id}, is missing"),
            });
        }
        let more = self.vocab.iter().filter(|(token, _)| !original.vocab.contains_key(*token));
        if let Some((token, id)) = more.min_by_key(|(_, id)| **id) {
            return other(format!("{token:?}, number {id}, is one too many"));
        }
        let (found, expected) = (self.merges.len(), original.merges.len());
        if let Some(line) =
            (0..expected).find(|&line| self.merges.get(line) != original.merges.get(line))
        {
            return other(format!(
                "merge {line} is {:?} and not {:?}",
                self.merges.get(line),
                original.merges[line]
            ));
        }
        if found > expected {
            return other(format!("{found} merges and not {expected}"));
        }
        Ok(())
    }
}

/// The part of `tokenizer.json` that is read.
#[derive(Deserialize)]
struct TokenizerFile {
    model: ModelEntry,
}

#[derive(Deserialize)]
struct ModelEntry {
    #[serde(rename = "type")]
    kind: Option<String>,
    end_of_word_suffix: Option<String>,
    vocab: HashMap<String, u32>,
    merges: Vec<MergeEntry>,
}

/// Older files hold a merge as one line, newer ones as a pair.
#[derive(Deserialize)]
#[serde(untagged)]
enum MergeEntry {
    Line(String),
    Pair(String, String),
}

fn parse_merges(text: &str) -> Result<Merges, TokenizerError> {
    text.lines()
        .enumerate()
        .filter(|(_, line)| !line.is_empty() && !line.starts_with("#version"))
        .map(|(index, line)| parse_merge(line, index + 1))
        .collect()
}

fn parse_merge(line: &str, number: usize) -> Result<(String, String), TokenizerError> {
    match line.split_once(' ') {
        Some((left, right)) if !left.is_empty() && !right.is_empty() && !right.contains(' ') => {
            Ok((left.to_owned(), right.to_owned()))
        }
        _ => {
            Err(TokenizerError::MergeLine { line: number, found: line.chars().take(60).collect() })
        }
    }
}

/// The printable character that stands for each byte, in the order of CLIP's vocabulary: first the bytes that are
/// printable in Latin-1, which stand for themselves, then the others, numbered from U+0100.
fn byte_symbols() -> Vec<char> {
    let printable = (b'!'..=b'~').chain(0xA1..=0xAC).chain(0xAE..=0xFF).map(char::from);
    let others = (0x100..0x144).filter_map(char::from_u32);
    printable.chain(others).collect()
}
