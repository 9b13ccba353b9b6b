//! Which pairs of attributes the training split never shows.

use crate::attributes::{Attributes, Eyes, Eyewear, FacialHair, Hair};
use crate::named::named_values;
use crate::palette::{Background, Color, HairColor};

named_values! {
    /// Which combinations of attributes may appear.
    Split {
        /// None of the [`HeldOutPair`]s.
        Train = "train",
        /// At least one of the [`HeldOutPair`]s, all equally likely.
        HeldOut = "heldout",
    }
}

named_values! {
    /// A pair of attributes that never meets in the training split, although each of
    /// the two is common there: the test of composition.
    HeldOutPair {
        /// Glasses (not sunglasses) and red hair.
        GlassesRedHair = "glasses + red hair",
        /// Black garment and pink background.
        BlackGarmentPinkBackground = "black garment + pink background",
        /// Green garment and blond hair.
        GreenGarmentBlondHair = "green garment + blond hair",
        /// Bun and gray hair.
        GrayBun = "bun + gray hair",
        /// Any beard (not a moustache alone) and purple garment.
        BeardPurpleGarment = "beard + purple garment",
        /// A wink and a yellow background.
        WinkYellowBackground = "winking + yellow background",
    }
}

impl HeldOutPair {
    /// Whether `attributes` shows this pair.
    pub fn matches(self, a: &Attributes) -> bool {
        let hair = |color| a.hair_visible() && a.hair_color == color;
        let garment = |color| a.garment_color == color;
        match self {
            Self::GlassesRedHair => {
                matches!(a.eyewear, Some(Eyewear::Glasses | Eyewear::RoundGlasses))
                    && hair(HairColor::Red)
            }
            Self::BlackGarmentPinkBackground => {
                garment(Color::Black) && a.background == Background::Pink
            }
            Self::GreenGarmentBlondHair => garment(Color::Green) && hair(HairColor::Blond),
            Self::GrayBun => a.hair == Hair::Bun && a.hair_color == HairColor::Gray,
            Self::BeardPurpleGarment => {
                a.facial_hair.is_some_and(FacialHair::is_beard) && garment(Color::Purple)
            }
            Self::WinkYellowBackground => {
                a.eyes == Eyes::Winking && a.background == Background::Yellow
            }
        }
    }
}
