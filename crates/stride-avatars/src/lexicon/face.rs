//! Words for what a face does, and for what is worn on it.

use super::Words;
use crate::attributes::{Expression, Eyes, Eyewear};

/// Adjectives that go before the noun.
pub(crate) const EXPRESSION_ADJECTIVES: &Words<Expression> = &[
    (
        Expression::Smiling,
        &["smiling", "happy", "friendly", "cheerful", "pleased", "content", "kind"],
    ),
    (
        Expression::Laughing,
        &["laughing", "grinning", "happy", "joyful", "cheerful", "overjoyed", "jolly"],
    ),
    (
        Expression::Sad,
        &["sad", "unhappy", "gloomy", "upset", "depressed", "crying", "sorrowful", "miserable"],
    ),
    (
        Expression::Surprised,
        &["surprised", "shocked", "amazed", "astonished", "startled", "stunned", "scared"],
    ),
    (
        Expression::Angry,
        &["angry", "mad", "furious", "grumpy", "annoyed", "irritated", "raging", "outraged"],
    ),
    (
        Expression::Serious,
        &["serious", "stern", "neutral", "straight-faced", "expressionless", "unsmiling"],
    ),
];

/// What somebody does.
pub(crate) const EXPRESSION_DOINGS: &Words<Expression> = &[
    (Expression::Smiling, &["smiling", "looking happy", "smiling softly", "looking friendly"]),
    (
        Expression::Laughing,
        &[
            "laughing",
            "grinning",
            "smiling widely",
            "laughing out loud",
            "looking happy",
            "grinning widely",
        ],
    ),
    (
        Expression::Sad,
        &["looking sad", "frowning", "pouting", "looking unhappy", "looking upset", "feeling sad"],
    ),
    (
        Expression::Surprised,
        &["looking surprised", "gasping", "looking shocked", "looking amazed", "screaming"],
    ),
    (
        Expression::Angry,
        &[
            "looking angry",
            "scowling",
            "looking mad",
            "looking annoyed",
            "looking grumpy",
            "baring teeth",
        ],
    ),
    (Expression::Serious, &["looking serious", "looking stern", "looking neutral"]),
];

/// What somebody has.
pub(crate) const EXPRESSIONS: &Words<Expression> = &[
    (
        Expression::Smiling,
        &[
            "a smile",
            "a gentle smile",
            "a slight smile",
            "a happy face",
            "a happy expression",
            "a soft smile",
        ],
    ),
    (
        Expression::Laughing,
        &[
            "a big smile",
            "a grin",
            "a big grin",
            "a wide smile",
            "a happy face",
            "a broad smile",
            "a laugh",
        ],
    ),
    (Expression::Sad, &["a sad face", "a frown", "a sad look", "a sad expression", "a sad mouth"]),
    (
        Expression::Surprised,
        &[
            "an open mouth",
            "a surprised look",
            "a shocked face",
            "a surprised expression",
            "a surprised face",
        ],
    ),
    (
        Expression::Angry,
        &["an angry face", "clenched teeth", "an angry look", "an angry expression", "a scowl"],
    ),
    (
        Expression::Serious,
        &[
            "a serious face",
            "a straight face",
            "a neutral expression",
            "a serious look",
            "a stern face",
        ],
    ),
];

/// Adjectives that go before the noun.
pub(crate) const EYES_ADJECTIVES: &Words<Eyes> = &[
    (Eyes::Closed, &["sleeping", "sleepy"]),
    (Eyes::Winking, &["winking"]),
    (Eyes::Wide, &["wide-eyed", "wide eyed"]),
];

/// What somebody does.
pub(crate) const EYES_DOINGS: &Words<Eyes> = &[
    (Eyes::Closed, &["sleeping", "closing the eyes", "napping"]),
    (Eyes::Winking, &["winking", "giving a wink", "closing one eye"]),
    (Eyes::Wide, &["staring", "staring with wide eyes"]),
    (
        Eyes::Sideways,
        &[
            "looking sideways",
            "looking to the side",
            "looking away",
            "glancing sideways",
            "giving side-eye",
            "looking to one side",
            "glancing to the side",
        ],
    ),
];

/// What somebody has.
pub(crate) const EYES: &Words<Eyes> = &[
    (Eyes::Closed, &["closed eyes", "eyes closed", "eyes shut", "shut eyes", "both eyes closed"]),
    (Eyes::Winking, &["a wink", "one eye closed", "one closed eye"]),
    (Eyes::Wide, &["wide eyes", "wide open eyes", "eyes wide open", "big eyes", "huge eyes"]),
    (Eyes::Sideways, &["a side glance", "side-eye"]),
];

pub(crate) const EYEWEAR: &Words<Eyewear> = &[
    (
        Eyewear::Glasses,
        &[
            "glasses",
            "eyeglasses",
            "spectacles",
            "specs",
            "reading glasses",
            "square glasses",
            "black glasses",
            "a pair of glasses",
            "nerdy glasses",
            "eye glasses",
        ],
    ),
    (
        Eyewear::RoundGlasses,
        &[
            "round glasses",
            "round eyeglasses",
            "round spectacles",
            "round specs",
            "glasses",
            "circular glasses",
            "big round glasses",
            "a pair of round glasses",
            "specs",
            "round black glasses",
        ],
    ),
    (
        Eyewear::Sunglasses,
        &[
            "sunglasses",
            "shades",
            "dark glasses",
            "black sunglasses",
            "dark sunglasses",
            "sun glasses",
            "sunnies",
            "a pair of sunglasses",
            "dark shades",
            "cool sunglasses",
        ],
    ),
];

pub(crate) const NO_GLASSES: &[&str] =
    &["no glasses", "without glasses", "no specs", "without eyeglasses", "no eyewear"];
