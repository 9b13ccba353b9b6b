//! Sampling of coherent attributes, and the pairs that the training split never shows.

use crate::attributes::{
    Attributes, Expression, Eyes, Eyewear, FacialHair, Garment, Gender, Hair, Headwear, Style,
};
use crate::draw::{Draw, Purpose};
use crate::named::named_values;
use crate::palette::{Background, Color, HairColor, Skin};

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

impl FacialHair {
    /// Whether the word "beard" fits (a moustache alone is none).
    pub fn is_beard(self) -> bool {
        self != Self::Moustache
    }
}

impl Attributes {
    /// The attributes of image `index` under `seed`.
    ///
    /// They depend on the arguments only, so any image can be made alone, in any order.
    pub fn sample(seed: u64, index: u64, split: Split) -> Self {
        let mut draw = Draw::new(seed, index, Purpose::Attributes);
        let target = draw.pick(HeldOutPair::ALL);
        // Every pair is met by at least one in a thousand free draws, so this ends.
        loop {
            let attributes = free(&mut draw);
            let wanted = match split {
                Split::Train => !HeldOutPair::ALL.iter().any(|pair| pair.matches(&attributes)),
                Split::HeldOut => target.matches(&attributes) && attributes.garment_visible(),
            };
            if wanted {
                return attributes;
            }
        }
    }
}

/// Draws attributes without regard to the split.
fn free(draw: &mut Draw) -> Attributes {
    let style = draw.pick(Style::ALL);
    let gender = draw.pick(Gender::ALL);
    let headwear = (style == Style::Flat && draw.chance(22)).then(|| headwear(draw, gender));
    let hair = match headwear {
        Some((Headwear::FlowerCrown, _)) => Hair::PinnedUp,
        Some(_) => Hair::Covered,
        None => draw.weighted(hair_styles(style, gender)),
    };
    let facial_hair = facial_hair(draw, style, gender, hair);
    let eyewear = draw.chance(38).then(|| {
        draw.weighted(&[
            (Eyewear::Glasses, 40),
            (Eyewear::RoundGlasses, 30),
            (Eyewear::Sunglasses, 30),
        ])
    });
    let expression = expression(draw, style, facial_hair);
    let eyes = eyes(draw, style, expression, eyewear);
    let garment = garment(draw, style, gender, facial_hair);
    let skin = draw.pick(Skin::ALL);
    let (garment_color, background) = loop {
        let (garment_color, background) = (draw.pick(Color::ALL), draw.pick(Background::ALL));
        let white = garment_color == Color::White;
        // White on white would vanish, and so would the strings and the collar, which are white.
        let lost = white
            && (background == Background::White
                || matches!(garment, Garment::Hoodie | Garment::CollaredShirt));
        if !lost && headwear.is_none_or(|(_, color)| color != garment_color) {
            break (garment_color, background);
        }
    };
    Attributes {
        style,
        gender,
        skin,
        hair,
        hair_color: hair_color(draw, skin),
        headwear,
        facial_hair,
        eyewear,
        expression,
        eyes,
        garment,
        garment_color,
        background,
        drawing: draw.below(256) as u8,
    }
}

fn hair_color(draw: &mut Draw, skin: Skin) -> HairColor {
    draw.weighted(&[
        (HairColor::Black, 20),
        // Hardly to be told from dark skin.
        (HairColor::Brown, if skin == Skin::Dark { 0 } else { 25 }),
        (HairColor::Red, 17),
        (HairColor::Blond, 20),
        (HairColor::Gray, 13),
        (HairColor::Pink, 10),
    ])
}

fn headwear(draw: &mut Draw, gender: Gender) -> (Headwear, Color) {
    let kind = draw.pick(match gender {
        Gender::Man => &[Headwear::WideHat, Headwear::Beanie, Headwear::Turban][..],
        Gender::Woman => {
            &[Headwear::Hijab, Headwear::FlowerCrown, Headwear::WinterHat, Headwear::CatHat]
        }
    });
    // Three of the hats have white parts, so a white hat could not be told from its trim.
    let color = loop {
        let color = draw.pick(Color::ALL);
        if color != Color::White {
            break color;
        }
    };
    (kind, color)
}

/// The hair styles that tell the gender and exist in the style, with weights.
///
/// The faces are the same for both genders, so nothing else would show it. Afro and
/// dreadlocks are given to men too, but then with facial hair.
fn hair_styles(style: Style, gender: Gender) -> &'static [(Hair, usize)] {
    match (style, gender) {
        (Style::Flat, Gender::Man) => &[
            (Hair::Short, 16),
            (Hair::Cropped, 12),
            (Hair::ShortWavy, 12),
            (Hair::ShortCurly, 12),
            (Hair::Spiky, 14),
            (Hair::Undercut, 12),
            (Hair::Bald, 12),
            (Hair::Afro, 6),
            (Hair::Dreadlocks, 6),
        ],
        (Style::Flat, Gender::Woman) => &[
            (Hair::LongStraight, 18),
            (Hair::LongWavy, 13),
            (Hair::ShoulderLength, 13),
            (Hair::Bob, 15),
            (Hair::Bun, 13),
            (Hair::Curly, 12),
            (Hair::Afro, 10),
            (Hair::Dreadlocks, 7),
        ],
        (Style::Toon, Gender::Man) => {
            &[(Hair::Short, 32), (Hair::Spiky, 28), (Hair::Undercut, 25), (Hair::Bald, 15)]
        }
        (Style::Toon, Gender::Woman) => &[
            (Hair::LongStraight, 22),
            (Hair::LongWavy, 20),
            (Hair::ShoulderLength, 18),
            (Hair::Bob, 18),
            (Hair::Bun, 22),
        ],
    }
}

fn facial_hair(draw: &mut Draw, style: Style, gender: Gender, hair: Hair) -> Option<FacialHair> {
    let needed = matches!(hair, Hair::Afro | Hair::Dreadlocks);
    if gender == Gender::Woman || !(needed || draw.chance(45)) {
        return None;
    }
    Some(draw.pick(match style {
        Style::Flat => &[
            FacialHair::ShortBeard,
            FacialHair::FullBeard,
            FacialHair::LongBeard,
            FacialHair::Moustache,
        ],
        Style::Toon => &[
            FacialHair::Goatee,
            FacialHair::FullBeard,
            FacialHair::LongBeard,
            FacialHair::Moustache,
        ],
    }))
}

fn expression(draw: &mut Draw, style: Style, facial_hair: Option<FacialHair>) -> Expression {
    let flat = style == Style::Flat;
    // The small smile of the toon style would be hidden under a moustache.
    let lips = flat || !matches!(facial_hair, Some(FacialHair::Moustache | FacialHair::Goatee));
    draw.weighted(&[
        (Expression::Smiling, if lips { 28 } else { 0 }),
        (Expression::Laughing, 22),
        (Expression::Sad, 14),
        (Expression::Surprised, 13),
        (Expression::Angry, 11),
        (Expression::Serious, if flat { 12 } else { 0 }),
    ])
}

fn eyes(draw: &mut Draw, style: Style, expression: Expression, eyewear: Option<Eyewear>) -> Eyes {
    if eyewear == Some(Eyewear::Sunglasses) {
        return Eyes::Open;
    }
    let playful = matches!(expression, Expression::Smiling | Expression::Laughing);
    draw.weighted(&[
        (Eyes::Open, 55),
        (Eyes::Closed, if expression == Expression::Surprised { 0 } else { 13 }),
        (Eyes::Winking, if playful { 20 } else { 0 }),
        (Eyes::Wide, 9),
        (Eyes::Sideways, if style == Style::Flat { 11 } else { 0 }),
    ])
}

fn garment(
    draw: &mut Draw,
    style: Style,
    gender: Gender,
    facial_hair: Option<FacialHair>,
) -> Garment {
    let dress = if gender == Gender::Woman { 26 } else { 0 };
    // A long beard hides the collar, by which these garments are told.
    let collar = if facial_hair == Some(FacialHair::LongBeard) { 0 } else { 1 };
    match style {
        Style::Flat => draw.weighted(&[
            (Garment::TShirt, 20),
            (Garment::Jacket, 18),
            (Garment::CollaredShirt, 14 * collar),
            (Garment::Hoodie, 18),
            (Garment::VNeck, 14 * collar),
            (Garment::Overalls, 16),
        ]),
        Style::Toon => draw.weighted(&[
            (Garment::TShirt, 24),
            (Garment::Jacket, 22),
            (Garment::CollaredShirt, 20 * collar),
            (Garment::Turtleneck, 22 * collar),
            (Garment::Dress, dress),
        ]),
    }
}
