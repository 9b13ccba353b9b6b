//! The tokens of one caption, and the padding of several to a batch.

use std::ops::Range;

use burn::tensor::{Device, Int, Tensor, TensorData};

/// One caption as the tokenizer hands it out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tokens {
    /// CLIP token ids from the start to the end token, without padding.
    pub ids: Vec<u32>,
    /// The caption as typed.
    pub text: String,
    /// The words that the ids stand for, in order.
    pub words: Vec<Word>,
    /// How many tokens did not fit.
    pub dropped_tokens: usize,
    /// The end of the caption that did not fit; empty when everything did.
    pub dropped_text: String,
}

/// A run of letters, a digit or a run of other signs inside a caption.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Word {
    /// Where the word stands in [`Tokens::text`], in bytes.
    pub bytes: Range<usize>,
    /// Which positions of [`Tokens::ids`] it became.
    pub tokens: Range<usize>,
}

impl Tokens {
    /// Word `index` as it was typed, or "" when there is no such word.
    pub fn word_text(&self, index: usize) -> &str {
        self.words.get(index).and_then(|word| self.text.get(word.bytes.clone())).unwrap_or_default()
    }
}

/// Joins captions to a batch as long as the longest of them.
///
/// `captions` are token ids (or rows of a compact vocabulary) with their start and end; `pad_id` fills the rest and
/// should be the end token's id. Returns `[B, L]`. An empty list gives `[0, 0]`.
pub fn pad_token_ids<C: AsRef<[u32]>>(
    captions: &[C],
    pad_id: u32,
    device: &Device,
) -> Tensor<2, Int> {
    let length = captions.iter().map(|caption| caption.as_ref().len()).max().unwrap_or(0);
    let mut ids = vec![i64::from(pad_id); captions.len() * length];
    if length > 0 {
        for (row, caption) in ids.chunks_exact_mut(length).zip(captions) {
            for (slot, id) in row.iter_mut().zip(caption.as_ref()) {
                *slot = i64::from(*id);
            }
        }
    }
    Tensor::from_data(TensorData::new(ids, [captions.len(), length]), device)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn shorter_captions_are_filled_up() {
        let batch = pad_token_ids(&[vec![7, 9], vec![7, 8, 5, 9]], 9, &Device::flex());
        assert_eq!(batch.dims(), [2, 4]);
        let ids: Vec<i64> = batch.into_data().convert::<i64>().try_into_vec().unwrap();
        assert_eq!(ids, [7, 9, 9, 9, 7, 8, 5, 9]);
    }
}
