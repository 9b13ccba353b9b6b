//! What can go wrong when a tokenizer is built or used.

use thiserror::Error;

/// Why a tokenizer could not be built.
#[derive(Debug, Error)]
pub enum TokenizerError {
    /// A file is not the JSON it should be.
    #[error("{file}: not a valid tokenizer file: {error}")]
    Json {
        /// Name of the file as Hugging Face folders have it.
        file: &'static str,
        /// What the JSON parser says.
        error: serde_json::Error,
    },
    /// A file is not UTF-8.
    #[error("{file}: not UTF-8 text")]
    Encoding {
        /// Name of the file as Hugging Face folders have it.
        file: &'static str,
    },
    /// A line of `merges.txt` is not a pair of symbols.
    #[error("merges.txt line {line}: expected two symbols with one space between, found {found:?}")]
    MergeLine {
        /// Line number, from 1.
        line: usize,
        /// The line, cut to a readable length.
        found: String,
    },
    /// A merge names a symbol that the vocabulary lacks.
    #[error(
        "merge {left:?} + {right:?} needs the symbol {missing:?}, which the vocabulary lacks: are vocabulary and merges from one model?"
    )]
    MergeOutOfVocabulary {
        /// Left symbol of the merge.
        left: String,
        /// Right symbol of the merge.
        right: String,
        /// The symbol looked for.
        missing: String,
    },
    /// The vocabulary lacks a token that every CLIP vocabulary has.
    #[error("the vocabulary has no {token:?}: this is not a CLIP tokenizer")]
    MissingToken {
        /// The token looked for.
        token: String,
    },
    /// The file describes another kind of tokenizer.
    #[error("tokenizer.json: expected {expected}, found {found}: this is not a CLIP tokenizer")]
    NotClip {
        /// What a CLIP tokenizer has there.
        expected: &'static str,
        /// What the file has.
        found: String,
    },
    /// The tokenizer is like CLIP's, and another.
    #[error(
        "expected CLIP's own vocabulary, which is inside this program, found another: {difference}"
    )]
    NotOriginal {
        /// Where it differs first.
        difference: String,
    },
    /// The caption length is too small to hold a caption.
    #[error(
        "a caption length of {found} tokens cannot hold the start token, the end token and one word: use at least 3"
    )]
    MaxLength {
        /// The length asked for.
        found: usize,
    },
    /// The crate `tokenizers` refused what it was given.
    #[error("tokenizer: {0}")]
    Engine(tokenizers::Error),
}
