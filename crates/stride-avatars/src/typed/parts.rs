//! From what is told to pieces of text that can stand in any form of caption.

use crate::attributes::{Attributes, FacialHair, Hair, Headwear};
use crate::caption::Length;
use crate::clause::Topic;
use crate::clause::with_article;
use crate::draw::Draw;
use crate::lexicon::filler::BACKDROPS;
use crate::lexicon::{clothes, colors, face, hair, people, words};

/// How a part belongs to the person.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Role {
    /// "bald": before the noun, or behind "is".
    Adjective,
    /// "white": before the noun only, since elsewhere it would tell of something else.
    Front,
    /// "looking sad".
    Doing,
    /// "curly hair".
    Has,
    /// "a red hat".
    Worn,
    /// "blue background".
    Place,
}

/// One thing that is told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Part {
    pub(super) role: Role,
    /// With the article that a sentence would have.
    pub(super) text: String,
}

impl Part {
    fn new(role: Role, text: impl Into<String>) -> Self {
        Self { role, text: text.into() }
    }
}

/// The text without "a" or "an" in front.
pub(super) fn without_article(text: &str) -> &str {
    ["a ", "an "].iter().find_map(|article| text.strip_prefix(article)).unwrap_or(text)
}

/// Tells `topic` in one part, or in two ("blonde" and "curly hair").
pub(super) fn parts(topic: Topic, a: &Attributes, draw: &mut Draw, length: Length) -> Vec<Part> {
    let is_full = matches!(length, Length::Complete | Length::Full);
    let one = match topic {
        Topic::Hair => return hair_parts(a, draw, is_full),
        Topic::Skin if draw.chance(50) => {
            Part::new(Role::Front, draw.pick(words(people::SKIN_ADJECTIVES, a.skin)))
        }
        Topic::Skin => Part::new(Role::Has, draw.pick(words(people::SKIN, a.skin))),
        Topic::Headwear => headwear(a, draw, is_full),
        Topic::FacialHair => facial_hair(a, draw),
        Topic::Eyewear => match a.eyewear {
            Some(kind) => Part::new(Role::Worn, draw.pick(words(face::EYEWEAR, kind))),
            None => Part::new(Role::Has, "no glasses"),
        },
        Topic::Expression => said(
            draw,
            words(face::EXPRESSION_ADJECTIVES, a.expression),
            words(face::EXPRESSION_DOINGS, a.expression),
            words(face::EXPRESSIONS, a.expression),
        ),
        Topic::Eyes => said(
            draw,
            words(face::EYES_ADJECTIVES, a.eyes),
            words(face::EYES_DOINGS, a.eyes),
            words(face::EYES, a.eyes),
        ),
        Topic::Garment => garment(a, draw, is_full),
        Topic::Background => {
            let color = draw.pick(words(colors::BACKGROUND, a.background));
            Part::new(Role::Place, filled(draw.pick(BACKDROPS), Some(color)))
        }
        Topic::NoGlasses => absence(draw.pick(face::NO_GLASSES)),
        Topic::NoHat => absence(draw.pick(clothes::NO_HAT)),
        Topic::NoBeard if draw.chance(60) => Part::new(Role::Adjective, draw.pick(hair::BEARDLESS)),
        Topic::NoBeard => absence(draw.pick(&["no beard", "without a beard", "no facial hair"])),
    };
    vec![one]
}

/// "no glasses" is what somebody has, "without glasses" how somebody is.
fn absence(text: &'static str) -> Part {
    Part::new(if text.starts_with("no ") { Role::Has } else { Role::Doing }, text)
}

/// One of the wordings of something that can be an adjective, an action or a thing.
fn said(
    draw: &mut Draw,
    adjectives: &[&'static str],
    doings: &[&'static str],
    things: &[&'static str],
) -> Part {
    let weight = |words: &[&str], weight| if words.is_empty() { 0 } else { weight };
    let (role, words) = draw.weighted(&[
        ((Role::Adjective, adjectives), weight(adjectives, 45)),
        ((Role::Doing, doings), weight(doings, 30)),
        ((Role::Has, things), weight(things, 25)),
    ]);
    Part::new(role, draw.pick(words))
}

fn hair_parts(a: &Attributes, draw: &mut Draw, is_full: bool) -> Vec<Part> {
    if a.hair == Hair::Bald {
        return vec![if draw.chance(60) {
            Part::new(Role::Adjective, draw.pick(hair::BALD_ADJECTIVES))
        } else {
            Part::new(Role::Has, draw.pick(words(hair::HAIR, Hair::Bald)))
        }];
    }
    let color = draw.pick(words(colors::HAIR, a.hair_color));
    let adjective = Part::new(Role::Front, draw.pick(words(people::BY_HAIR_COLOR, a.hair_color)));
    let shapes = words(hair::HAIR, a.hair);
    let shape = |draw: &mut Draw, color| Part::new(Role::Has, filled(draw.pick(shapes), color));
    // Seen around a crown of flowers, hair has a color and no shape.
    let color_alone = if shapes.is_empty() {
        100
    } else if is_full {
        6
    } else {
        35
    };
    if draw.chance(color_alone) {
        let has = Part::new(Role::Has, filled(draw.pick(hair::COLOR_ALONE), Some(color)));
        return vec![if draw.chance(50) { adjective } else { has }];
    }
    match draw.below(100) {
        0..25 => vec![adjective, shape(draw, None)],
        25..45 if !is_full => vec![shape(draw, None)],
        _ => vec![shape(draw, Some(color))],
    }
}

fn headwear(a: &Attributes, draw: &mut Draw, is_full: bool) -> Part {
    let Some((kind, color)) = a.headwear else {
        return Part::new(Role::Has, "no hat");
    };
    let phrase = draw.pick(words(clothes::HEADWEAR, kind));
    let color = (is_full || draw.chance(65)).then(|| draw.pick(words(colors::GARMENT, color)));
    let role = if kind == Headwear::FlowerCrown { Role::Has } else { Role::Worn };
    Part::new(role, filled(phrase, color))
}

fn facial_hair(a: &Attributes, draw: &mut Draw) -> Part {
    let Some(kind) = a.facial_hair else {
        return Part::new(Role::Has, "no beard");
    };
    // The color is told where hair does not tell it already.
    let color = draw
        .chance(if a.hair_visible() { 25 } else { 65 })
        .then(|| draw.pick(words(colors::HAIR, a.hair_color)));
    let adjectives = match kind {
        FacialHair::Moustache => hair::MOUSTACHED,
        FacialHair::Goatee => &[],
        _ => hair::BEARDED,
    };
    if color.is_none() && !adjectives.is_empty() && draw.chance(20) {
        return Part::new(Role::Adjective, draw.pick(adjectives));
    }
    Part::new(Role::Has, filled(draw.pick(words(hair::FACIAL_HAIR, kind)), color))
}

fn garment(a: &Attributes, draw: &mut Draw, is_full: bool) -> Part {
    let color = draw.pick(words(colors::GARMENT, a.garment_color));
    if draw.chance(if is_full { 4 } else { 15 }) {
        return if draw.chance(50) {
            Part::new(Role::Doing, filled(draw.pick(clothes::DRESSED), Some(color)))
        } else {
            Part::new(Role::Worn, filled(draw.pick(clothes::COLOR_ALONE), Some(color)))
        };
    }
    let phrase = draw.pick(words(clothes::GARMENTS, a.garment));
    Part::new(Role::Worn, filled(phrase, (is_full || draw.chance(80)).then_some(color)))
}

/// A phrase with its color, or without one, and with the right article.
fn filled(phrase: &str, color: Option<&str>) -> String {
    let rest = without_article(phrase);
    let text = match color {
        Some(color) => rest.replace('_', color),
        None => rest.replace("_ ", ""),
    };
    if rest.len() < phrase.len() { with_article(&text) } else { text }
}
