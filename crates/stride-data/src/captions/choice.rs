//! Choices between wordings: random, or always the tersest.

use stride::noise::{ChaCha8Rng, below, uniform};

/// How to choose; lists of wordings begin with the tersest.
pub(super) enum Choice {
    /// The generator of one caption.
    Drawn(Box<ChaCha8Rng>),
    /// The first of every list, and nothing optional.
    Terse,
}

impl Choice {
    /// One of the wordings; the list must not be empty.
    pub(super) fn pick<T: Copy>(&mut self, wordings: &[T]) -> T {
        match self {
            Self::Drawn(rng) => wordings[below(rng, wordings.len())],
            Self::Terse => wordings[0],
        }
    }

    /// True in this fraction of captions.
    pub(super) fn chance(&mut self, fraction: f64) -> bool {
        match self {
            Self::Drawn(rng) => uniform(rng) < fraction,
            Self::Terse => false,
        }
    }

    /// Shuffles the items, all orders equally likely (Fisher-Yates).
    pub(super) fn shuffle<T>(&mut self, items: &mut [T]) {
        if let Self::Drawn(rng) = self {
            for last in (1..items.len()).rev() {
                items.swap(last, below(rng, last + 1));
            }
        }
    }
}
