//! Phrases for hair and beards.

use super::Words;
use crate::attributes::{FacialHair, Hair};

pub(crate) const HAIR: &Words<Hair> = &[
    (Hair::Bald, &["a bald head", "no hair", "a shaved head", "no hair at all"]),
    (
        Hair::Short,
        &[
            "short _ hair",
            "_ short hair",
            "neat _ hair",
            "neat short _ hair",
            "a short _ haircut",
            "short combed _ hair",
        ],
    ),
    (
        Hair::Cropped,
        &[
            "cropped _ hair",
            "very short _ hair",
            "a _ buzz cut",
            "a _ crew cut",
            "close-cropped _ hair",
            "short _ hair",
            "a very short _ haircut",
        ],
    ),
    (
        Hair::ShortWavy,
        &["short wavy _ hair", "wavy _ hair", "short _ waves", "short _ hair", "wavy short _ hair"],
    ),
    (
        Hair::ShortCurly,
        &["short curly _ hair", "curly _ hair", "short _ curls", "curly short _ hair", "_ curls"],
    ),
    (
        Hair::Spiky,
        &[
            "spiky _ hair",
            "spiked _ hair",
            "_ spikes",
            "spikey _ hair",
            "_ spiky hair",
            "wild spiky _ hair",
        ],
    ),
    (
        Hair::Undercut,
        &[
            "a _ undercut",
            "_ hair shaved at the sides",
            "_ hair with shaved sides",
            "an _ undercut hairstyle",
        ],
    ),
    (
        Hair::LongStraight,
        &[
            "long straight _ hair",
            "straight long _ hair",
            "long _ hair",
            "straight _ hair",
            "_ long hair",
            "long sleek _ hair",
        ],
    ),
    (
        Hair::LongWavy,
        &[
            "long wavy _ hair",
            "wavy long _ hair",
            "wavy _ hair",
            "long _ hair",
            "long _ waves",
            "_ long hair",
            "long flowing wavy _ hair",
        ],
    ),
    (
        Hair::ShoulderLength,
        &[
            "shoulder-length _ hair",
            "shoulder length _ hair",
            "medium-length _ hair",
            "medium length _ hair",
            "mid-length _ hair",
            "_ shoulder-length hair",
            "_ hair down to the shoulders",
        ],
    ),
    (
        Hair::Bob,
        &[
            "a _ bob",
            "_ hair in a bob",
            "a _ bob cut",
            "a _ bob haircut",
            "chin-length _ hair",
            "a short _ bob",
        ],
    ),
    (
        Hair::Bun,
        &[
            "a _ bun",
            "_ hair in a bun",
            "_ hair tied up",
            "a _ topknot",
            "_ hair up in a bun",
            "_ hair tied in a bun",
            "a _ hair bun",
            "_ hair put up",
        ],
    ),
    (
        Hair::Curly,
        &[
            "curly _ hair",
            "big curly _ hair",
            "_ curls",
            "big _ curls",
            "thick curly _ hair",
            "_ curly hair",
        ],
    ),
    (Hair::Afro, &["an _ afro", "_ afro hair", "a big _ afro", "a round _ afro", "a huge _ afro"]),
    (
        Hair::Dreadlocks,
        &[
            "_ dreadlocks",
            "_ dreads",
            "long _ dreads",
            "long _ dreadlocks",
            "_ locs",
            "_ dreadlock hair",
        ],
    ),
];

/// Phrases that tell the color of the hair only.
pub(crate) const COLOR_ALONE: &[&str] = &["_ hair", "_ colored hair"];

/// Adjectives for somebody without hair.
pub(crate) const BALD_ADJECTIVES: &[&str] = &["bald", "bald-headed", "hairless"];

pub(crate) const FACIAL_HAIR: &Words<FacialHair> = &[
    (
        FacialHair::ShortBeard,
        &["a short _ beard", "a _ beard", "a trimmed _ beard", "a neat _ beard", "a small _ beard"],
    ),
    (
        FacialHair::FullBeard,
        &[
            "a full _ beard",
            "a _ beard",
            "a thick _ beard",
            "a bushy _ beard",
            "a big _ beard",
            "a _ full beard",
        ],
    ),
    (
        FacialHair::LongBeard,
        &[
            "a long _ beard",
            "a _ beard",
            "a very long _ beard",
            "a huge _ beard",
            "a _ long beard",
            "a big _ beard",
        ],
    ),
    (FacialHair::Moustache, &["a _ moustache", "a _ mustache", "a _ stache", "a _ tache"]),
    (FacialHair::Goatee, &["a _ goatee", "a _ goatee beard", "a _ chin beard", "a small _ goatee"]),
];

/// Adjectives for somebody with a beard.
pub(crate) const BEARDED: &[&str] = &["bearded"];

/// Adjectives for somebody with a moustache.
pub(crate) const MOUSTACHED: &[&str] = &["moustached", "mustached", "mustachioed"];

/// Phrases for somebody without beard and moustache.
pub(crate) const BEARDLESS: &[&str] = &["clean-shaven", "clean shaven", "beardless", "cleanshaven"];
