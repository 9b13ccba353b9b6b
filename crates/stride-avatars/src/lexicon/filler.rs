//! Words around a prompt: they say nothing about the attributes, apart from the style.

use super::Words;
use crate::attributes::Style;

/// Words before the person.
pub(crate) const OPENERS: &[&str] = &[
    "a picture of",
    "an image of",
    "a portrait of",
    "portrait of",
    "an avatar of",
    "avatar of",
    "a drawing of",
    "a cartoon of",
    "cartoon",
    "draw",
    "draw me",
    "please draw",
    "show me",
    "generate",
    "generate an image of",
    "create",
    "create an avatar of",
    "make",
    "make me",
    "i want",
    "i would like",
    "i need",
    "give me",
    "can you draw",
    "could you make",
    "profile picture of",
    "a profile picture of",
    "profile pic:",
    "an icon of",
    "icon of",
    "an illustration of",
    "illustration of",
    "a headshot of",
    "headshot of",
    "a sketch of",
    "the face of",
    "face of",
    "a photo of",
    "my friend,",
    "an emoji of",
    "the avatar shows",
    "a cartoon avatar of",
    "a simple drawing of",
];

/// Words behind everything.
pub(crate) const CLOSERS: &[&str] = &[
    "please",
    "pls",
    "thanks",
    "thank you",
    "high quality",
    "hd",
    "4k",
    "detailed",
    "digital art",
    "vector art",
    "simple",
    "cartoon",
    "avatar",
    "portrait",
    "profile picture",
    "illustration",
    "clean lines",
    "for my profile",
    "front view",
    "headshot",
    "masterpiece",
    "best quality",
    "centered",
    "icon",
    "minimalist",
    "looking good",
    "that's it",
];

/// Adjectives that nothing shows.
pub(crate) const ADJECTIVES: &[&str] = &[
    "nice",
    "cool",
    "cute",
    "beautiful",
    "handsome",
    "pretty",
    "lovely",
    "stylish",
    "elegant",
    "modern",
    "trendy",
    "tall",
    "random",
    "attractive",
    "good looking",
    "fashionable",
    "funny",
    "normal",
    "ordinary",
    "charming",
];

pub(crate) const STYLES: &Words<Style> = &[
    (
        Style::Flat,
        &["flat style", "flat", "flat design", "in flat style", "flat art style", "flat drawing"],
    ),
    (
        Style::Toon,
        &["toon style", "toon", "toon drawing", "in toon style", "toon art style", "toon look"],
    ),
];

/// Phrases for the background.
pub(crate) const BACKDROPS: &[&str] = &["_ background", "_ background", "_ backdrop", "_ bg"];
