//! What an image shows, as typed values: the one source of drawing and captions.

use std::collections::BTreeMap;

use crate::named::named_values;
use crate::palette::{Background, Color, HairColor, Skin};

/// Everything that is decided about one image.
///
/// Values come from [`Distribution::sample`](crate::Distribution::sample), which keeps them coherent: facial hair only
/// on men, no hair style under a hat, open eyes behind sunglasses.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Attributes {
    /// Drawing style.
    pub style: Style,
    /// Gender, shown by hair, headwear and facial hair.
    pub gender: Gender,
    /// Skin tone.
    pub skin: Skin,
    /// Hair style.
    pub hair: Hair,
    /// Color of hair and facial hair; see [`Attributes::hair_color_visible`].
    pub hair_color: HairColor,
    /// Hat or the like, with its color.
    pub headwear: Option<(Headwear, Color)>,
    /// Beard or moustache; men only.
    pub facial_hair: Option<FacialHair>,
    /// Glasses or sunglasses.
    pub eyewear: Option<Eyewear>,
    /// Mouth and eyebrows.
    pub expression: Expression,
    /// Eyes.
    pub eyes: Eyes,
    /// Garment.
    pub garment: Garment,
    /// Color of the garment.
    pub garment_color: Color,
    /// Color of the background.
    pub background: Background,
    /// Which of several drawings of the same values is used; any number is valid.
    pub drawing: u8,
}

named_values! {
    /// Drawing style.
    Style {
        /// Avataaars by Pablo Stanley: flat shapes without outlines.
        Flat = "flat",
        /// Toon Head by Johan Melin: shaded faces with thin outlines.
        Toon = "toon",
    }
}

named_values! {
    /// Gender.
    Gender {
        /// A man.
        Man = "man",
        /// A woman.
        Woman = "woman",
    }
}

named_values! {
    /// Hair style. Each value is drawn for the genders and styles of the table in `sample.rs`.
    Hair {
        /// Nothing on the head.
        Bald = "bald",
        /// Hidden by headwear.
        Covered = "covered",
        /// Short and plain.
        Short = "short",
        /// Cut very short all over.
        Cropped = "cropped",
        /// Short with waves.
        ShortWavy = "short wavy",
        /// Short with curls.
        ShortCurly = "short curly",
        /// Standing in spikes.
        Spiky = "spiky",
        /// Shaved sides.
        Undercut = "undercut",
        /// Long and straight.
        LongStraight = "long straight",
        /// Long with waves.
        LongWavy = "long wavy",
        /// Down to the shoulders.
        ShoulderLength = "shoulder-length",
        /// Cut straight at the neck.
        Bob = "bob",
        /// In a bun.
        Bun = "bun",
        /// Big curls.
        Curly = "curly",
        /// Afro.
        Afro = "afro",
        /// Long dreadlocks.
        Dreadlocks = "dreadlocks",
        /// Seen around a flower crown; only its color is told.
        PinnedUp = "pinned up",
    }
}

named_values! {
    /// Headwear (flat style only; the toon drawings have none).
    Headwear {
        /// Hat with a wide brim, on men.
        WideHat = "wide-brimmed hat",
        /// Knitted hat with a white brim, on men.
        Beanie = "beanie",
        /// Turban, on men.
        Turban = "turban",
        /// Hijab, on women; hides most of the garment.
        Hijab = "hijab",
        /// Crown of flowers, on women; it has its own colors.
        FlowerCrown = "flower crown",
        /// Winter hat with long flaps, on women.
        WinterHat = "winter hat",
        /// Hat with cat ears, on women.
        CatHat = "cat-ear hat",
    }
}

named_values! {
    /// Beard or moustache.
    FacialHair {
        /// Narrow beard along the jaw (flat style).
        ShortBeard = "short beard",
        /// Full beard.
        FullBeard = "full beard",
        /// Long beard.
        LongBeard = "long beard",
        /// Moustache.
        Moustache = "moustache",
        /// Moustache with a tuft on the chin (toon style).
        Goatee = "goatee",
    }
}

named_values! {
    /// What is worn on the eyes.
    Eyewear {
        /// Glasses with angular lenses.
        Glasses = "glasses",
        /// Glasses with round lenses.
        RoundGlasses = "round glasses",
        /// Sunglasses; they hide the eyes.
        Sunglasses = "sunglasses",
    }
}

named_values! {
    /// Mouth, with fitting eyebrows.
    Expression {
        /// A smile with closed lips.
        Smiling = "smiling",
        /// A wide open smile.
        Laughing = "laughing",
        /// Corners of the mouth down.
        Sad = "sad",
        /// Open mouth, raised eyebrows.
        Surprised = "surprised",
        /// Bared teeth, lowered eyebrows.
        Angry = "angry",
        /// A straight mouth (flat style).
        Serious = "serious",
    }
}

named_values! {
    /// Eyes.
    Eyes {
        /// Open, never told.
        Open = "open",
        /// Closed.
        Closed = "closed",
        /// One eye closed.
        Winking = "winking",
        /// Wide open.
        Wide = "wide",
        /// Looking sideways (flat style).
        Sideways = "sideways",
    }
}

named_values! {
    /// Garment.
    Garment {
        /// T-shirt.
        TShirt = "t-shirt",
        /// Open jacket.
        Jacket = "jacket",
        /// Top with a pale shirt collar.
        CollaredShirt = "collared shirt",
        /// Hoodie with strings (flat style).
        Hoodie = "hoodie",
        /// V-neck (flat style).
        VNeck = "v-neck",
        /// Overalls with bare shoulders (flat style).
        Overalls = "overalls",
        /// Turtleneck (toon style).
        Turtleneck = "turtleneck",
        /// Sleeveless dress, on women (toon style).
        Dress = "dress",
    }
}

impl FacialHair {
    /// Whether the word "beard" fits (a moustache alone is none).
    pub fn is_beard(self) -> bool {
        self != Self::Moustache
    }
}

impl Attributes {
    /// Whether hair is seen on the head.
    pub fn hair_visible(&self) -> bool {
        !matches!(self.hair, Hair::Bald | Hair::Covered)
    }

    /// Whether the hair color is seen anywhere, on the head or as facial hair.
    pub fn hair_color_visible(&self) -> bool {
        self.hair_visible() || self.facial_hair.is_some()
    }

    /// Whether the eyes are seen.
    pub fn eyes_visible(&self) -> bool {
        self.eyewear != Some(Eyewear::Sunglasses)
    }

    /// Whether enough of the garment is seen to tell what it is.
    pub fn garment_visible(&self) -> bool {
        !matches!(self.headwear, Some((Headwear::Hijab, _)))
    }

    /// The color of the headwear, when it has one that can be chosen.
    pub fn headwear_color(&self) -> Option<Color> {
        self.headwear.and_then(|(kind, color)| (kind != Headwear::FlowerCrown).then_some(color))
    }

    /// The values as words, for `metadata.jsonl`; `"none"` where there is nothing to see.
    pub fn to_map(&self) -> BTreeMap<&'static str, &'static str> {
        let none = "none";
        BTreeMap::from([
            ("style", self.style.name()),
            ("gender", self.gender.name()),
            ("skin", self.skin.name()),
            ("hair", self.hair.name()),
            ("hair_color", if self.hair_color_visible() { self.hair_color.name() } else { none }),
            ("headwear", self.headwear.map_or(none, |(kind, _)| kind.name())),
            ("headwear_color", self.headwear_color().map_or(none, Color::name)),
            ("facial_hair", self.facial_hair.map_or(none, FacialHair::name)),
            ("glasses", self.eyewear.map_or(none, Eyewear::name)),
            ("expression", self.expression.name()),
            ("eyes", if self.eyes_visible() { self.eyes.name() } else { none }),
            ("garment", if self.garment_visible() { self.garment.name() } else { none }),
            (
                "garment_color",
                if self.garment_visible() { self.garment_color.name() } else { none },
            ),
            ("background", self.background.name()),
        ])
    }
}
