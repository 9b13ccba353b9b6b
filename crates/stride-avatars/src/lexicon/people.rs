//! Words for who is shown, by age as far as it can be seen, and for the skin.

use super::Words;
use crate::palette::{HairColor, Skin};

/// What the hair tells of the age.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Age {
    /// Anybody.
    Any,
    /// No gray hair, no bald head, no beard.
    Young,
    /// Gray hair.
    Old,
}

pub(crate) const MEN: &Words<Age> = &[
    (
        Age::Any,
        &[
            "man",
            "guy",
            "dude",
            "gentleman",
            "male",
            "fellow",
            "bloke",
            "chap",
            "fella",
            "bro",
            "gent",
            "husband",
            "boyfriend",
            "father",
            "dad",
            "daddy",
            "brother",
            "uncle",
            "mister",
            "male person",
            "adult man",
            "male character",
        ],
    ),
    (
        Age::Young,
        &[
            "boy",
            "young man",
            "young guy",
            "teenage boy",
            "teen boy",
            "little boy",
            "schoolboy",
            "lad",
            "son",
            "young dude",
            "young boy",
            "young male",
        ],
    ),
    (
        Age::Old,
        &[
            "old man",
            "elderly man",
            "grandpa",
            "grandfather",
            "granddad",
            "old guy",
            "older man",
            "senior man",
            "aged man",
            "old dude",
            "elderly gentleman",
            "old gentleman",
        ],
    ),
];

pub(crate) const WOMEN: &Words<Age> = &[
    (
        Age::Any,
        &[
            "woman",
            "girl",
            "lady",
            "female",
            "gal",
            "chick",
            "wife",
            "girlfriend",
            "mother",
            "mom",
            "mum",
            "mommy",
            "sister",
            "aunt",
            "auntie",
            "miss",
            "female person",
            "adult woman",
            "female character",
        ],
    ),
    (
        Age::Young,
        &[
            "young woman",
            "young lady",
            "young girl",
            "teenage girl",
            "teen girl",
            "little girl",
            "schoolgirl",
            "daughter",
            "lass",
            "young female",
        ],
    ),
    (
        Age::Old,
        &[
            "old woman",
            "old lady",
            "elderly woman",
            "elderly lady",
            "grandma",
            "grandmother",
            "granny",
            "nana",
            "older woman",
            "senior woman",
            "older lady",
            "aged woman",
        ],
    ),
];

pub(crate) const ANYONE: &Words<Age> = &[
    (
        Age::Any,
        &["person", "someone", "somebody", "human", "individual", "adult", "character", "figure"],
    ),
    (Age::Young, &["kid", "child", "teen", "teenager", "youngster", "young person"]),
    (Age::Old, &["old person", "elderly person", "senior", "pensioner", "older person"]),
];

/// Adjectives for somebody with hair of that color.
pub(crate) const BY_HAIR_COLOR: &Words<HairColor> = &[
    (HairColor::Black, &["black-haired", "black haired", "dark-haired", "dark haired"]),
    (HairColor::Brown, &["brunette", "brown-haired", "brown haired", "dark-haired"]),
    (
        HairColor::Red,
        &["ginger", "redhead", "red-haired", "red haired", "redheaded", "ginger-haired"],
    ),
    (HairColor::Blond, &["blond", "blonde", "blond-haired", "blonde-haired", "fair-haired"]),
    (
        HairColor::Gray,
        &["gray-haired", "grey-haired", "gray haired", "white-haired", "silver-haired"],
    ),
    (HairColor::Pink, &["pink-haired", "pink haired"]),
];

/// Phrases for the skin.
pub(crate) const SKIN: &Words<Skin> = &[
    (
        Skin::Light,
        &[
            "light skin",
            "pale skin",
            "fair skin",
            "white skin",
            "a light skin tone",
            "a fair complexion",
            "a pale face",
        ],
    ),
    (Skin::Tan, &["tan skin", "tanned skin", "olive skin", "suntanned skin", "a tan skin tone"]),
    (Skin::Brown, &["brown skin", "medium brown skin", "a brown skin tone", "a brown complexion"]),
    (
        Skin::Dark,
        &["dark skin", "black skin", "very dark skin", "a dark skin tone", "a dark complexion"],
    ),
];

/// Adjectives for somebody with that skin.
pub(crate) const SKIN_ADJECTIVES: &Words<Skin> = &[
    (
        Skin::Light,
        &[
            "light-skinned",
            "light skinned",
            "pale",
            "fair-skinned",
            "white",
            "caucasian",
            "pale-skinned",
        ],
    ),
    (Skin::Tan, &["tan", "tanned", "tan-skinned", "olive-skinned", "suntanned"]),
    (Skin::Brown, &["brown-skinned", "brown skinned", "black"]),
    (Skin::Dark, &["dark-skinned", "dark skinned", "black", "black-skinned"]),
];
