//! CLIP's byte-pair tokenizer, and the compact vocabularies of small models.

mod bpe;
mod byte_pairs;
mod error;
mod tokens;
mod vocabulary;

pub use bpe::{ClipTokenizer, END_TOKEN, MAX_LENGTH, START_TOKEN};
pub use byte_pairs::VOCABULARY_SIZE;
pub use error::TokenizerError;
pub use tokens::{Tokens, Word, pad_token_ids};
pub use vocabulary::{MappedTokens, Vocabulary};
