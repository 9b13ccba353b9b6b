//! Sampling of coherent attributes.

use crate::attributes::{
    Attributes, Expression, Eyes, Eyewear, FacialHair, Garment, Gender, Hair, Headwear, Style,
};
use crate::draw::{Draw, Purpose};
use crate::named::named_values;
use crate::palette::{Background, Color, HairColor, Skin};
use crate::split::{HeldOutPair, Split};

named_values! {
    /// How often each value appears. Both distributions leave the same combinations out, but for one: flat ones
    /// show hats in the color of the garment, too.
    Distribution {
        /// As models are tested: hats, beards and glasses on fewer than half of the people, common
        /// values more often.
        Natural = "natural",
        /// For training: every value that the others leave possible is equally likely, and hats, beards
        /// and glasses are common.
        Flat = "flat",
    }
}

impl Attributes {
    /// The attributes of image `index` under `seed` in the natural distribution.
    ///
    /// They depend on the arguments only, so any image can be made alone, in any order.
    pub fn sample(seed: u64, index: u64, split: Split) -> Self {
        Distribution::Natural.sample(seed, index, split)
    }
}

impl Distribution {
    /// The attributes of image `index` under `seed`; see [`Attributes::sample`].
    pub fn sample(self, seed: u64, index: u64, split: Split) -> Attributes {
        let mut draw = Draw::new(seed, index, Purpose::Attributes);
        let target = draw.pick(HeldOutPair::ALL);
        // Every pair is met by at least one in a thousand free draws, so this ends.
        loop {
            let attributes = self.draw(&mut draw);
            let wanted = match split {
                Split::Train => !HeldOutPair::ALL.iter().any(|pair| pair.matches(&attributes)),
                Split::HeldOut => target.matches(&attributes) && attributes.garment_visible(),
            };
            if wanted {
                return attributes;
            }
        }
    }

    /// Draws attributes without regard to the split.
    fn draw(self, draw: &mut Draw) -> Attributes {
        let style = draw.pick(Style::ALL);
        let gender = draw.pick(Gender::ALL);
        let hatted = style == Style::Flat && draw.chance(self.either(22, 40));
        let headwear = hatted.then(|| headwear(draw, gender));
        let hair = match headwear {
            Some((Headwear::FlowerCrown, _)) => Hair::PinnedUp,
            Some(_) => Hair::Covered,
            None => self.choose(draw, hair_styles(style, gender)),
        };
        let bearded = gender == Gender::Man
            // Nothing else would show that it is a man.
            && (matches!(hair, Hair::Afro | Hair::Dreadlocks) || draw.chance(self.either(45, 70)));
        let facial_hair = bearded.then(|| draw.pick(facial_hair_kinds(style)));
        let eyewear = draw.chance(self.either(38, 60)).then(|| self.choose(draw, EYEWEAR));
        let expression = self.choose(draw, &expressions(style, facial_hair));
        let eyes = match eyewear {
            Some(Eyewear::Sunglasses) => Eyes::Open,
            // Nobody else winks, so that winks would be rare.
            _ if self == Self::Flat && is_playful(expression) && draw.chance(25) => Eyes::Winking,
            _ => self.choose(draw, &eyes(style, expression)),
        };
        let garment = self.choose(draw, &garments(style, gender, facial_hair));
        let skin = match (self, facial_hair) {
            // A dark beard on dark skin is the hardest to see.
            (Self::Flat, Some(_)) => draw.weighted(BEARDED_SKINS),
            _ => draw.pick(Skin::ALL),
        };
        let (garment_color, background) = loop {
            let (garment_color, background) = (draw.pick(Color::ALL), draw.pick(Background::ALL));
            let white = garment_color == Color::White;
            // White on white would vanish, and so would the strings and the collar, which are white.
            let lost = white
                && (background == Background::White
                    || matches!(garment, Garment::Hoodie | Garment::CollaredShirt));
            let alike = headwear.is_some_and(|(_, color)| color == garment_color);
            if !lost && (self == Self::Flat || !alike) {
                break (garment_color, background);
            }
        };
        Attributes {
            style,
            gender,
            skin,
            hair,
            hair_color: self.choose(draw, &hair_colors(skin)),
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

    /// What holds in this distribution.
    fn either<T>(self, natural: T, flat: T) -> T {
        match self {
            Self::Natural => natural,
            Self::Flat => flat,
        }
    }

    /// One of the items whose natural weight is not zero.
    fn choose<T: Copy>(self, draw: &mut Draw, natural: &[(T, usize)]) -> T {
        match self {
            Self::Natural => draw.weighted(natural),
            Self::Flat => {
                let possible: Vec<T> = natural
                    .iter()
                    .filter(|(_, weight)| *weight > 0)
                    .map(|(item, _)| *item)
                    .collect();
                draw.pick(&possible)
            }
        }
    }
}

const EYEWEAR: &[(Eyewear, usize)] =
    &[(Eyewear::Glasses, 40), (Eyewear::RoundGlasses, 30), (Eyewear::Sunglasses, 30)];

const BEARDED_SKINS: &[(Skin, usize)] =
    &[(Skin::Light, 20), (Skin::Tan, 20), (Skin::Brown, 25), (Skin::Dark, 35)];

fn hair_colors(skin: Skin) -> [(HairColor, usize); 6] {
    [
        (HairColor::Black, 20),
        // Hardly to be told from dark skin.
        (HairColor::Brown, if skin == Skin::Dark { 0 } else { 25 }),
        (HairColor::Red, 17),
        (HairColor::Blond, 20),
        (HairColor::Gray, 13),
        (HairColor::Pink, 10),
    ]
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

fn facial_hair_kinds(style: Style) -> &'static [FacialHair] {
    match style {
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
    }
}

fn expressions(style: Style, facial_hair: Option<FacialHair>) -> [(Expression, usize); 6] {
    let flat = style == Style::Flat;
    // The small smile of the toon style would be hidden under a moustache.
    let lips = flat || !matches!(facial_hair, Some(FacialHair::Moustache | FacialHair::Goatee));
    [
        (Expression::Smiling, if lips { 28 } else { 0 }),
        (Expression::Laughing, 22),
        (Expression::Sad, 14),
        (Expression::Surprised, 13),
        (Expression::Angry, 11),
        (Expression::Serious, if flat { 12 } else { 0 }),
    ]
}

fn is_playful(expression: Expression) -> bool {
    matches!(expression, Expression::Smiling | Expression::Laughing)
}

fn eyes(style: Style, expression: Expression) -> [(Eyes, usize); 5] {
    let playful = is_playful(expression);
    [
        (Eyes::Open, 55),
        (Eyes::Closed, if expression == Expression::Surprised { 0 } else { 13 }),
        (Eyes::Winking, if playful { 20 } else { 0 }),
        (Eyes::Wide, 9),
        (Eyes::Sideways, if style == Style::Flat { 11 } else { 0 }),
    ]
}

fn garments(
    style: Style,
    gender: Gender,
    facial_hair: Option<FacialHair>,
) -> Vec<(Garment, usize)> {
    let dress = if gender == Gender::Woman { 26 } else { 0 };
    // A long beard hides the collar, by which these garments are told.
    let collar = if facial_hair == Some(FacialHair::LongBeard) { 0 } else { 1 };
    match style {
        Style::Flat => vec![
            (Garment::TShirt, 20),
            (Garment::Jacket, 18),
            (Garment::CollaredShirt, 14 * collar),
            (Garment::Hoodie, 18),
            (Garment::VNeck, 14 * collar),
            (Garment::Overalls, 16),
        ],
        Style::Toon => vec![
            (Garment::TShirt, 24),
            (Garment::Jacket, 22),
            (Garment::CollaredShirt, 20 * collar),
            (Garment::Turtleneck, 22 * collar),
            (Garment::Dress, dress),
        ],
    }
}
