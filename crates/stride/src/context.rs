//! The text context that conditions the transformer.

use burn::tensor::{Bool, Tensor};

/// What the text encoder hands to the transformer for a batch of captions.
#[derive(Clone, Debug)]
pub struct TextContext {
    /// Final hidden states of the text encoder, `[B, L, E]`: of the caption's tokens, behind those of the encoder's
    /// queries where it has some.
    pub tokens: Tensor<3>,
    /// `true` at positions after a caption's end token, which attention must ignore, `[B, L]`.
    pub padding_mask: Tensor<2, Bool>,
    /// One vector per caption: the hidden state at the end token (projected where the encoder
    /// has a projection), or the mean of the queries' states, `[B, E]`.
    pub pooled: Tensor<2>,
}

/// A score this low leaves no weight after the softmax, and stays finite in half precision.
const HIDDEN_SCORE: f64 = -3e4;

/// What is added to the scores of keys, so that attention ignores those that `padding_mask` names.
pub(crate) fn key_bias(padding_mask: &Tensor<2, Bool>) -> Tensor<2> {
    padding_mask.clone().float() * HIDDEN_SCORE
}

impl TextContext {
    /// The captions of several contexts as one batch, all padded to the length of the longest.
    ///
    /// # Panics
    /// There is no context, or their widths differ.
    pub fn cat<'a>(contexts: impl IntoIterator<Item = &'a Self>) -> Self {
        let contexts: Vec<&Self> = contexts.into_iter().collect();
        let length = |context: &&Self| context.tokens.dims()[1];
        let longest = contexts.iter().map(length).max().expect("at least one context");
        let padded = || contexts.iter().map(|context| context.padded_to(longest));
        Self {
            tokens: Tensor::cat(padded().map(|context| context.tokens).collect(), 0),
            padding_mask: Tensor::cat(padded().map(|context| context.padding_mask).collect(), 0),
            pooled: Tensor::cat(padded().map(|context| context.pooled).collect(), 0),
        }
    }

    /// The first captions.
    pub fn first(&self, count: usize) -> Self {
        Self {
            tokens: self.tokens.clone().narrow(0, 0, count),
            padding_mask: self.padding_mask.clone().narrow(0, 0, count),
            pooled: self.pooled.clone().narrow(0, 0, count),
        }
    }

    /// The context between those of two captions: (1 - f) a + f b for pooled vectors and tokens. The end of a shorter
    /// caption stands for the tokens that it lacks. At f = 0 and 1, `fraction`, it is the context of one of them.
    ///
    /// # Panics
    /// One holds more than one caption, or their widths differ.
    pub fn between(a: &Self, b: &Self, fraction: f64) -> Self {
        if fraction == 0.0 || fraction == 1.0 {
            return if fraction == 0.0 { a.clone() } else { b.clone() };
        }
        let length = a.visible().max(b.visible());
        let (first, second) = (1.0 - fraction, fraction);
        let device = a.tokens.device();
        Self {
            tokens: a.prolonged_to(length) * first + b.prolonged_to(length) * second,
            padding_mask: Tensor::<2>::zeros([1, length], &device).bool(),
            pooled: a.pooled.clone() * first + b.pooled.clone() * second,
        }
    }

    /// Tokens of a single caption that attention sees.
    fn visible(&self) -> usize {
        let hidden = self.padding_mask.clone().into_data();
        hidden.iter::<bool>().take_while(|hidden| !hidden).count()
    }

    /// The visible tokens of a single caption, the last of them again and again, `length` in all.
    fn prolonged_to(&self, length: usize) -> Tensor<3> {
        let visible = self.visible();
        let tokens = self.tokens.clone().narrow(1, 0, visible);
        if visible == length {
            return tokens;
        }
        let end = tokens.clone().narrow(1, visible - 1, 1).repeat_dim(1, length - visible);
        Tensor::cat(vec![tokens, end], 1)
    }

    /// The same captions with hidden positions behind them, `length` in all.
    fn padded_to(&self, length: usize) -> Self {
        let [batch, own, width] = self.tokens.dims();
        if own == length {
            return self.clone();
        }
        let device = self.tokens.device();
        let tokens = Tensor::zeros([batch, length - own, width], (&device, self.tokens.dtype()));
        let hidden = Tensor::<2>::ones([batch, length - own], &device).bool();
        Self {
            tokens: Tensor::cat(vec![self.tokens.clone(), tokens], 1),
            padding_mask: Tensor::cat(vec![self.padding_mask.clone(), hidden], 1),
            pooled: self.pooled.clone(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use burn::tensor::Device;

    #[test]
    fn between_captions_the_shorter_ends_later() {
        let device = Device::flex();
        let context = |value: f32, length: usize, visible: usize| {
            let hidden: Vec<f32> =
                (0..length).map(|k| if k < visible { 0.0 } else { 1.0 }).collect();
            TextContext {
                tokens: Tensor::full([1, length, 2], value, &device),
                padding_mask: Tensor::<1>::from_floats(&hidden[..], &device).unsqueeze().bool(),
                pooled: Tensor::full([1, 2], value, &device),
            }
        };
        let (short, long) = (context(1.0, 6, 2), context(3.0, 5, 5));
        let found = TextContext::between(&short, &long, 0.25);
        assert_eq!(found.tokens.dims(), [1, 5, 2]);
        assert_eq!(found.tokens.into_data().iter::<f32>().collect::<Vec<_>>(), [1.5; 10]);
        assert_eq!(found.pooled.into_data().iter::<f32>().collect::<Vec<_>>(), [1.5; 2]);
        assert!(found.padding_mask.into_data().iter::<bool>().all(|hidden| !hidden));
        assert_eq!(TextContext::between(&short, &long, 0.0).tokens.dims(), [1, 6, 2]);
        assert_eq!(TextContext::between(&short, &long, 1.0).tokens.dims(), [1, 5, 2]);
    }

    #[test]
    fn shorter_captions_are_hidden_behind_their_end() {
        let device = Device::flex();
        let context = |batch, length| TextContext {
            tokens: Tensor::ones([batch, length, 3], &device),
            padding_mask: Tensor::<2>::zeros([batch, length], &device).bool(),
            pooled: Tensor::ones([batch, 3], &device),
        };
        let (short, long) = (context(1, 2), context(2, 4));
        let batch = TextContext::cat([&short, &long, &short]);
        assert_eq!((batch.tokens.dims(), batch.pooled.dims()), ([4, 4, 3], [4, 3]));
        let hidden: Vec<bool> = batch.padding_mask.clone().into_data().iter::<bool>().collect();
        let (end, all) = ([false, false, true, true], [false; 4]);
        assert_eq!(hidden, [end, all, all, end].concat());
        let one = TextContext::cat([&short]);
        assert_eq!((one.tokens.dims(), one.padding_mask.dims()), ([1, 2, 3], [1, 2]));
        let two = batch.first(2);
        assert_eq!((two.tokens.dims(), two.pooled.dims()), ([2, 4, 3], [2, 3]));
        let hidden: Vec<bool> = two.padding_mask.into_data().iter::<bool>().collect();
        assert_eq!(hidden, [end, all].concat());
    }
}
