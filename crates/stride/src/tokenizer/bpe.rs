//! The CLIP byte-pair tokenizer on top of the crate `tokenizers`.

use tokenizers::models::bpe::BPE;
use tokenizers::normalizers::{Lowercase, NFC, Replace, replace::ReplacePattern};
use tokenizers::pre_tokenizers::byte_level::ByteLevel;
use tokenizers::pre_tokenizers::split::{Split, SplitPattern};
use tokenizers::{
    AddedToken, NormalizerWrapper, PreTokenizerWrapper, SplitDelimiterBehavior, Tokenizer,
};

use super::byte_pairs::{BytePairs, END_OF_WORD, END_TEXT, START_TEXT};
use super::error::TokenizerError;
use super::tokens::{Tokens, Word};

/// The id that opens every caption in the original vocabulary.
pub const START_TOKEN: u32 = 49_406;
/// The id that closes every caption in the original vocabulary; it also pads batches.
pub const END_TOKEN: u32 = 49_407;
/// The longest caption CLIP was trained on, start and end token included.
pub const MAX_LENGTH: usize = 77;

/// How CLIP cuts a cleaned caption into words, as `transformers` writes the pattern.
const WORD_PATTERN: &str =
    r"<\|startoftext\|>|<\|endoftext\|>|'s|'t|'re|'ve|'m|'ll|'d|[\p{L}]+|[\p{N}]|[^\s\p{L}\p{N}]+";

/// CLIP's lower-cased byte-pair tokenizer.
///
/// Text is normalised to NFC, whitespace runs become one space, letters are lower-cased; the result is cut into
/// words, and every word into byte-pair symbols whose last one carries `</w>`. These are the steps of
/// `transformers.CLIPTokenizer`. OpenAI's own `SimpleTokenizer` also repairs mojibake (ftfy) and decodes HTML
/// entities; like `transformers`, this one leaves them alone.
#[derive(Clone, Debug)]
pub struct ClipTokenizer {
    tokenizer: Tokenizer,
    start: u32,
    end: u32,
    max_length: usize,
}

impl ClipTokenizer {
    /// The original CLIP tokenizer; its vocabulary is part of the program.
    ///
    /// # Errors
    /// None that a correct build can give.
    pub fn new() -> Result<Self, TokenizerError> {
        Self::from_byte_pairs(BytePairs::original()?)
    }

    /// The tokenizer of a Hugging Face folder that holds `vocab.json` and `merges.txt`.
    ///
    /// # Errors
    /// When the bytes are not such files, or the two do not belong together.
    pub fn from_vocab_and_merges(vocab_json: &[u8], merges: &[u8]) -> Result<Self, TokenizerError> {
        Self::from_byte_pairs(BytePairs::from_files(vocab_json, merges)?)
    }

    /// The tokenizer of a Hugging Face folder that holds `tokenizer.json`.
    ///
    /// Only the vocabulary and the merges are read: cleaning and word splitting are CLIP's own, and added tokens
    /// other than start and end (textual inversion, other padding tokens) are left out.
    ///
    /// # Errors
    /// When the bytes are not a byte-pair tokenizer with CLIP's word ending.
    pub fn from_tokenizer_json(tokenizer_json: &[u8]) -> Result<Self, TokenizerError> {
        Self::from_byte_pairs(BytePairs::from_tokenizer_json(tokenizer_json)?)
    }

    /// Checks that the `vocab.json` and `merges.txt` of a folder are those of [`new`](Self::new).
    ///
    /// # Errors
    /// They are damaged, or another tokenizer's; the error says where they differ first.
    pub fn check_vocab_and_merges(vocab_json: &[u8], merges: &[u8]) -> Result<(), TokenizerError> {
        BytePairs::from_files(vocab_json, merges)?.check_original()
    }

    /// Checks that the vocabulary and the merges of a `tokenizer.json` are those of [`new`](Self::new).
    ///
    /// # Errors
    /// As [`check_vocab_and_merges`](Self::check_vocab_and_merges).
    pub fn check_tokenizer_json(tokenizer_json: &[u8]) -> Result<(), TokenizerError> {
        BytePairs::from_tokenizer_json(tokenizer_json)?.check_original()
    }

    /// The same tokenizer with captions of at most `max_length` tokens, start and end included.
    ///
    /// # Errors
    /// When fewer than 3 tokens are asked for.
    pub fn with_max_length(mut self, max_length: usize) -> Result<Self, TokenizerError> {
        if max_length < 3 {
            return Err(TokenizerError::MaxLength { found: max_length });
        }
        self.max_length = max_length;
        Ok(self)
    }

    /// The tokens of a caption: start, the words, end; cut so that the end token stays.
    ///
    /// The texts `<|startoftext|>` and `<|endoftext|>` inside a caption become those tokens, as in `transformers`;
    /// what follows an end token does not reach the text encoder's pooled output.
    ///
    /// # Errors
    /// When the tokenizer's regular expressions give up on the text, which takes an adversarial input.
    pub fn encode(&self, text: &str) -> Result<Tokens, TokenizerError> {
        let encoding = self.tokenizer.encode(text, false).map_err(TokenizerError::Engine)?;
        let room = self.max_length - 2;
        let kept = encoding.get_ids().len().min(room);
        let offsets = encoding.get_offsets();

        let mut ids = Vec::with_capacity(kept + 2);
        ids.push(self.start);
        ids.extend_from_slice(&encoding.get_ids()[..kept]);
        ids.push(self.end);

        let mut words: Vec<Word> = Vec::new();
        let mut previous = None;
        for (index, (word, offset)) in
            encoding.get_word_ids().iter().zip(offsets).enumerate().take(kept)
        {
            let position = index + 1;
            match words.last_mut().filter(|_| previous == Some(word)) {
                Some(last) => {
                    last.bytes.end = last.bytes.end.max(offset.1);
                    last.tokens.end = position + 1;
                }
                None => {
                    words.push(Word { bytes: offset.0..offset.1, tokens: position..position + 1 })
                }
            }
            previous = Some(word);
        }
        let dropped_text =
            offsets.get(kept).and_then(|offset| text.get(offset.0..)).unwrap_or_default();
        Ok(Tokens {
            ids,
            text: text.to_owned(),
            words,
            dropped_tokens: offsets.len() - kept,
            dropped_text: dropped_text.to_owned(),
        })
    }

    /// The id that opens every caption.
    pub fn start_token(&self) -> u32 {
        self.start
    }

    /// The id that closes every caption and pads batches.
    pub fn end_token(&self) -> u32 {
        self.end
    }

    /// The longest caption in tokens, start and end included.
    pub fn max_length(&self) -> usize {
        self.max_length
    }

    /// Number of tokens in the vocabulary.
    pub fn vocabulary_size(&self) -> usize {
        self.tokenizer.get_vocab_size(true)
    }

    /// The text of a token; none for ids that are not there.
    pub fn token(&self, id: u32) -> Option<String> {
        self.tokenizer.id_to_token(id)
    }

    /// The tokenizer as a `tokenizer.json` of Hugging Face, with its cleaning and word splitting.
    ///
    /// # Errors
    /// None that a correct build can give.
    pub fn to_json(&self) -> Result<String, TokenizerError> {
        self.tokenizer.to_string(false).map_err(TokenizerError::Engine)
    }

    /// The word that a token ends, if it has nothing but letters.
    pub fn whole_word(&self, id: u32) -> Option<String> {
        let word = self.token(id)?.strip_suffix(END_OF_WORD)?.to_owned();
        // Other bytes stand for themselves in another alphabet.
        word.chars().all(|c| c.is_ascii_alphabetic()).then_some(word)
    }

    fn from_byte_pairs(BytePairs { vocab, merges }: BytePairs) -> Result<Self, TokenizerError> {
        let id_of = |token: &str| {
            let missing = || TokenizerError::MissingToken { token: token.to_owned() };
            vocab.get(token).copied().ok_or_else(missing)
        };
        let (start, end) = (id_of(START_TEXT)?, id_of(END_TEXT)?);
        let bpe = BPE::builder()
            .vocab_and_merges(vocab, merges)
            .end_of_word_suffix(END_OF_WORD.to_owned())
            .unk_token(END_TEXT.to_owned())
            .build()
            .map_err(TokenizerError::Engine)?;
        let mut tokenizer = Tokenizer::new(bpe);
        let one_space = Replace::new(ReplacePattern::Regex(r"\s+".to_owned()), " ")
            .map_err(TokenizerError::Engine)?;
        let cleaning: Vec<NormalizerWrapper> = vec![NFC.into(), one_space.into(), Lowercase.into()];
        tokenizer
            .with_normalizer(Some(tokenizers::normalizers::Sequence::new(cleaning)))
            .map_err(TokenizerError::Engine)?;
        let words = SplitPattern::Regex(WORD_PATTERN.to_owned());
        let split = Split::new(words, SplitDelimiterBehavior::Removed, true)
            .map_err(TokenizerError::Engine)?;
        let splitting: Vec<PreTokenizerWrapper> =
            vec![split.into(), ByteLevel::new(false, true, true).into()];
        tokenizer.with_pre_tokenizer(Some(tokenizers::pre_tokenizers::sequence::Sequence::new(
            splitting,
        )));
        tokenizer
            .add_special_tokens([
                AddedToken::from(START_TEXT, true),
                AddedToken::from(END_TEXT, true),
            ])
            .map_err(TokenizerError::Engine)?;
        Ok(Self { tokenizer, start, end, max_length: MAX_LENGTH })
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use std::collections::HashMap;

    use super::*;
    use crate::tokenizer::byte_pairs::{ORIGINAL_MERGES, VOCABULARY_SIZE};

    #[test]
    fn the_original_vocabulary_is_complete() {
        let tokenizer = ClipTokenizer::new().unwrap();
        assert_eq!(tokenizer.vocabulary_size(), VOCABULARY_SIZE);
        assert_eq!((tokenizer.start_token(), tokenizer.end_token()), (START_TOKEN, END_TOKEN));
    }

    #[test]
    fn known_captions_give_the_published_ids() {
        let tokenizer = ClipTokenizer::new().unwrap();
        let ids = |text: &str| tokenizer.encode(text).unwrap().ids;
        assert_eq!(ids("a photo of a cat"), [49406, 320, 1125, 539, 320, 2368, 49407]);
        assert_eq!(ids("  A  Photo\tof a CAT \n"), ids("a photo of a cat"));
        assert_eq!(ids(""), [START_TOKEN, END_TOKEN]);
    }

    #[test]
    fn a_long_caption_keeps_its_end_token_and_tells_what_fell_off() {
        let tokenizer = ClipTokenizer::new().unwrap();
        let tokens = tokenizer.encode(&"cat ".repeat(80)).unwrap();
        assert_eq!(tokens.ids.len(), MAX_LENGTH);
        assert_eq!(tokens.ids.last(), Some(&END_TOKEN));
        assert_eq!(tokens.dropped_tokens, 5);
        assert_eq!(tokens.dropped_text.trim(), "cat cat cat cat cat");

        let short = tokenizer.with_max_length(4).unwrap().encode("a red hat").unwrap();
        assert_eq!(
            (short.ids.len(), short.dropped_tokens, short.dropped_text.as_str()),
            (4, 1, "hat")
        );
    }

    #[test]
    fn words_point_into_the_caption_as_typed() {
        let tokenizer = ClipTokenizer::new().unwrap();
        let tokens = tokenizer.encode("A Zyzzyvas' hat, 42").unwrap();
        let words: Vec<_> = (0..tokens.words.len()).map(|index| tokens.word_text(index)).collect();
        assert_eq!(words, ["A", "Zyzzyvas", "'", "hat", ",", "4", "2"]);
        assert!(tokens.words[1].tokens.len() > 1);
        assert_eq!(tokens.words.last().unwrap().tokens.end, tokens.ids.len() - 1);
    }

    #[test]
    fn bad_files_are_errors() {
        let bytes: HashMap<String, u32> = HashMap::from([("a".to_owned(), 0), ("b".to_owned(), 1)]);
        let vocab = serde_json::to_vec(&bytes).unwrap();
        assert!(matches!(
            ClipTokenizer::from_vocab_and_merges(b"[1", b""),
            Err(TokenizerError::Json { .. })
        ));
        assert!(matches!(
            ClipTokenizer::from_vocab_and_merges(&vocab, b"\xff"),
            Err(TokenizerError::Encoding { .. })
        ));
        assert!(matches!(
            ClipTokenizer::from_vocab_and_merges(&vocab, b"a"),
            Err(TokenizerError::MergeLine { line: 1, .. })
        ));
        assert!(matches!(
            ClipTokenizer::from_vocab_and_merges(&vocab, b"#version: 0.2\na b"),
            Err(TokenizerError::MergeOutOfVocabulary { .. })
        ));
        assert!(matches!(
            ClipTokenizer::from_vocab_and_merges(&vocab, b""),
            Err(TokenizerError::MissingToken { .. })
        ));
        assert!(ClipTokenizer::from_tokenizer_json(b"{}").is_err());
        let other = br#"{"model": {"type": "WordPiece", "vocab": {}, "merges": []}}"#;
        assert!(matches!(
            ClipTokenizer::from_tokenizer_json(other),
            Err(TokenizerError::NotClip { .. })
        ));
    }

    #[test]
    fn files_of_a_model_folder_give_the_same_tokenizer() {
        let original = ClipTokenizer::new().unwrap();
        let vocab = original.tokenizer.get_vocab(true);
        let merges: Vec<&str> = ORIGINAL_MERGES.lines().collect();
        let pairs: Vec<_> = merges.iter().filter_map(|line| line.split_once(' ')).collect();
        let text = "An astronaut's portrait, naïve façade: 3 cats 😀";
        let expected = original.encode(text).unwrap();

        let merges_txt = format!("#version: 0.2\n{}\n", merges.join("\n"));
        let vocab_json = serde_json::to_vec(&vocab).unwrap();
        let from_pair =
            ClipTokenizer::from_vocab_and_merges(&vocab_json, merges_txt.as_bytes()).unwrap();
        assert_eq!(from_pair.encode(text).unwrap(), expected);

        for merges in [serde_json::json!(merges), serde_json::json!(pairs)] {
            let file = serde_json::json!({
                "model": {"type": "BPE", "end_of_word_suffix": "</w>", "vocab": vocab, "merges": merges}
            });
            let from_json =
                ClipTokenizer::from_tokenizer_json(file.to_string().as_bytes()).unwrap();
            assert_eq!(from_json.encode(text).unwrap(), expected);
        }
    }

    #[test]
    fn strange_text_never_panics() {
        let tokenizer = ClipTokenizer::new().unwrap();
        for text in [
            "\0",
            "\u{feff}\u{202e}",
            "👩‍👩‍👧‍👦",
            "İ",
            "<|endoftext|>",
            "'",
            "\u{1F1E9}\u{1F1EA}",
            &"x".repeat(100_000),
        ] {
            let tokens = tokenizer.encode(text).unwrap();
            assert!(tokens.ids.len() <= MAX_LENGTH);
            for index in 0..tokens.words.len() {
                let _ = tokens.word_text(index);
            }
        }
    }
}
