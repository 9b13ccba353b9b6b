//! The captions that an image is listed with: how many of them tell how much.

use crate::attributes::Attributes;
use crate::caption::{Choice, Length, sentence};
use crate::draw::{Draw, Purpose};
use crate::named::named_values;
use crate::prompts::is_prompt;
use crate::typed::typed;

/// Captions written for every image.
pub const CAPTIONS_PER_IMAGE: usize = 8;

named_values! {
    /// Which captions an image is listed with. The first tells everything; of those for training, the ones that
    /// tell most come first.
    CaptionKind {
        /// One sentence in four tells everything, the others one to five things: what models are tested with.
        Mixed = "mixed",
        /// Three sentences in four tell everything, and the others whatever is rare in the image.
        Complete = "complete",
        /// Half of them as people type prompts; lengths as of the complete ones.
        People = "people",
        /// As people type prompts and as sentences, three in four of them short: for the end of a training.
        Short = "short",
    }
}

/// Whose words a caption is in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Wording {
    /// A sentence in few words.
    Sentence,
    /// As people type prompts.
    Typed,
}

impl CaptionKind {
    /// Up to `count` different captions of image `index` under `seed`.
    ///
    /// Fewer come back only when `count` is larger than the number of different captions
    /// that were found in 20 tries each.
    pub fn captions(
        self,
        attributes: &Attributes,
        seed: u64,
        index: u64,
        count: usize,
    ) -> Vec<String> {
        let mut draw = Draw::new(seed, index, Purpose::Captions);
        let mut found: Vec<String> = Vec::with_capacity(count);
        let wanted = self.wanted();
        let first_and_rest = wanted.into_iter().chain(wanted.into_iter().skip(1).cycle());
        for (wording, length) in first_and_rest.take(count) {
            for _ in 0..20 {
                let text = match wording {
                    Wording::Sentence => sentence(attributes, &mut draw, length, self.choice()),
                    Wording::Typed => typed(attributes, &mut draw, length, self.choice()),
                };
                // Mixed captions are older than the prompts and stay as models were tested with them.
                let is_free = self == Self::Mixed || !is_prompt(&text);
                if is_free && !found.contains(&text) {
                    found.push(text);
                    break;
                }
            }
        }
        found
    }

    fn wanted(self) -> [(Wording, Length); CAPTIONS_PER_IMAGE] {
        use Length::{Complete, Full, Medium, Short, Tiny};
        use Wording::{Sentence, Typed};
        match self {
            Self::Mixed => [Complete, Medium, Short, Tiny, Full, Medium, Short, Tiny]
                .map(|length| (Sentence, length)),
            Self::Complete => [Complete, Full, Complete, Full, Complete, Full, Medium, Short]
                .map(|length| (Sentence, length)),
            Self::People => [
                (Sentence, Complete),
                (Typed, Complete),
                (Sentence, Full),
                (Typed, Full),
                (Sentence, Complete),
                (Typed, Full),
                (Sentence, Medium),
                (Typed, Short),
            ],
            Self::Short => [
                (Sentence, Complete),
                (Typed, Full),
                (Sentence, Medium),
                (Typed, Medium),
                (Sentence, Short),
                (Typed, Short),
                (Sentence, Tiny),
                (Typed, Tiny),
            ],
        }
    }

    const fn choice(self) -> Choice {
        match self {
            Self::Mixed => Choice::Random,
            Self::Complete | Self::People | Self::Short => Choice::RareFirst,
        }
    }
}

/// `count` different sentences about image `index` under `seed`, as [`CaptionKind::Mixed`] lists them.
pub fn captions(attributes: &Attributes, seed: u64, index: u64, count: usize) -> Vec<String> {
    CaptionKind::Mixed.captions(attributes, seed, index, count)
}
