//! Words for colors; a word that names a shade stands with the color that comes nearest.

use super::Words;
use crate::palette::{Background, Color, HairColor};

/// Colors of garments and headwear.
pub(crate) const GARMENT: &Words<Color> = &[
    (
        Color::Black,
        &[
            "black",
            "jet black",
            "pitch black",
            "ebony",
            "plain black",
            "midnight black",
            "solid black",
        ],
    ),
    (Color::White, &["white", "off-white", "snow white", "ivory", "plain white"]),
    (
        Color::Gray,
        &[
            "gray",
            "grey",
            "silver",
            "ash gray",
            "slate gray",
            "steel gray",
            "light grey",
            "dark grey",
            "medium gray",
        ],
    ),
    (
        Color::Red,
        &[
            "red",
            "crimson",
            "scarlet",
            "maroon",
            "burgundy",
            "ruby",
            "cherry red",
            "dark red",
            "bright red",
            "wine red",
            "brick red",
            "candy red",
        ],
    ),
    (Color::Orange, &["orange", "bright orange", "tangerine", "pumpkin", "dark orange"]),
    (
        Color::Yellow,
        &[
            "yellow",
            "gold",
            "golden",
            "mustard",
            "lemon",
            "bright yellow",
            "sunny yellow",
            "canary yellow",
            "neon yellow",
        ],
    ),
    (
        Color::Green,
        &[
            "green",
            "emerald",
            "lime",
            "olive",
            "forest green",
            "dark green",
            "bright green",
            "lime green",
            "grass green",
            "neon green",
            "emerald green",
            "teal",
        ],
    ),
    (
        Color::Blue,
        &[
            "blue",
            "navy",
            "navy blue",
            "royal blue",
            "cobalt",
            "turquoise",
            "cyan",
            "sky blue",
            "azure",
            "bright blue",
            "dark blue",
            "cobalt blue",
            "ocean blue",
            "electric blue",
            "midnight blue",
        ],
    ),
    (
        Color::Purple,
        &[
            "purple",
            "violet",
            "lavender",
            "lilac",
            "plum",
            "dark purple",
            "royal purple",
            "deep purple",
            "mauve",
        ],
    ),
    (
        Color::Pink,
        &[
            "pink",
            "rose",
            "magenta",
            "fuchsia",
            "hot pink",
            "light pink",
            "bubblegum pink",
            "neon pink",
            "dark pink",
            "salmon",
        ],
    ),
];

/// Colors of hair and beards.
pub(crate) const HAIR: &Words<HairColor> = &[
    (HairColor::Black, &["black", "jet black", "raven", "dark", "pitch black"]),
    (
        HairColor::Brown,
        &["brown", "chestnut", "dark brown", "dark", "chocolate brown", "light brown"],
    ),
    (
        HairColor::Red,
        &["red", "ginger", "copper", "orange", "bright red", "fiery red", "carrot red"],
    ),
    (
        HairColor::Blond,
        &[
            "blond",
            "blonde",
            "fair",
            "golden",
            "yellow",
            "dirty blond",
            "light blond",
            "golden blond",
            "sandy",
        ],
    ),
    (HairColor::Gray, &["gray", "grey", "silver", "white", "graying", "silver gray", "light gray"]),
    (HairColor::Pink, &["pink", "hot pink", "rose", "bright pink", "magenta"]),
];

/// Colors of the background, which are pale.
pub(crate) const BACKGROUND: &Words<Background> = &[
    (Background::White, &["white", "plain white", "pure white", "clean white"]),
    (Background::Gray, &["gray", "grey", "light gray", "light grey", "silver", "pale gray"]),
    (
        Background::Yellow,
        &["yellow", "light yellow", "pale yellow", "cream", "pastel yellow", "lemon"],
    ),
    (
        Background::Green,
        &["green", "light green", "pale green", "mint", "mint green", "pastel green", "lime"],
    ),
    (
        Background::Blue,
        &["blue", "light blue", "sky blue", "baby blue", "pale blue", "pastel blue", "cyan"],
    ),
    (
        Background::Purple,
        &["purple", "light purple", "lavender", "lilac", "violet", "pastel purple", "pale purple"],
    ),
    (Background::Pink, &["pink", "light pink", "baby pink", "rose", "pastel pink", "pale pink"]),
];
