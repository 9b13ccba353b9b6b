//! Wording of single attributes: synonyms, and where in the sentence they go.

use crate::attributes::{
    Attributes, Expression, Eyes, Eyewear, FacialHair, Garment, Hair, Headwear,
};
use crate::draw::Draw;
use crate::palette::{Background, HairColor, Skin};

/// Something that a caption can tell.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Topic {
    Skin,
    Hair,
    Headwear,
    FacialHair,
    Eyewear,
    Expression,
    Eyes,
    Garment,
    Background,
    NoGlasses,
    NoBeard,
    NoHat,
}

/// How a clause is tied to the noun.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Link {
    With,
    Wearing,
    In,
    Doing,
    Without,
    /// The text brings its own preposition.
    Place,
}

impl Link {
    /// The word before the text, with a space.
    pub(crate) const fn word(self) -> &'static str {
        match self {
            Self::With => "with ",
            Self::Wearing => "wearing ",
            Self::In => "in ",
            Self::Without => "without ",
            Self::Doing | Self::Place => "",
        }
    }
}

/// One attribute in words.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Clause {
    pub(crate) link: Link,
    pub(crate) text: String,
    /// The same as an adjective, when this wording was drawn; it may go before the noun.
    pub(crate) adjective: Option<String>,
}

impl Clause {
    fn new(link: Link, text: impl Into<String>) -> Self {
        Self { link, text: text.into(), adjective: None }
    }

    fn or_adjective(mut self, draw: &mut Draw, percent: usize, adjective: &str) -> Self {
        if draw.chance(percent) {
            self.adjective = Some(adjective.to_owned());
        }
        self
    }
}

/// Everything that can be seen in the image and told about it.
pub(crate) fn topics(a: &Attributes) -> Vec<Topic> {
    let mut seen = vec![Topic::Skin, Topic::Expression, Topic::Background];
    let mut add = |visible: bool, topic| {
        if visible {
            seen.push(topic);
        }
    };
    add(a.hair_visible() || a.hair == Hair::Bald, Topic::Hair);
    add(a.headwear.is_some(), Topic::Headwear);
    add(a.facial_hair.is_some(), Topic::FacialHair);
    add(a.eyewear.is_some(), Topic::Eyewear);
    add(a.eyes_visible() && a.eyes != Eyes::Open, Topic::Eyes);
    add(a.garment_visible(), Topic::Garment);
    seen
}

/// Words one topic; `short` allows wordings that leave a color or a style out.
pub(crate) fn clause(topic: Topic, a: &Attributes, draw: &mut Draw, short: bool) -> Clause {
    match topic {
        Topic::Skin => skin(a, draw),
        Topic::Hair => hair(a, draw, short),
        Topic::Headwear => headwear(a, draw, short),
        Topic::FacialHair => facial_hair(a, draw),
        Topic::Eyewear => eyewear(a, draw),
        Topic::Expression => expression(a, draw),
        Topic::Eyes => eyes(a, draw),
        Topic::Garment => garment(a, draw, short),
        Topic::Background => background(a, draw),
        Topic::NoGlasses => absence(draw, &["glasses", "glasses", "eyeglasses"], None),
        Topic::NoBeard => absence(draw, &["a beard"], Some("clean-shaven")),
        Topic::NoHat => absence(draw, &["a hat"], None),
    }
}

fn absence(draw: &mut Draw, things: &[&'static str], adjective: Option<&str>) -> Clause {
    let thing = draw.pick(things);
    let clause = if draw.chance(60) {
        Clause::new(Link::Without, thing)
    } else {
        let bare = thing.strip_prefix("a ").unwrap_or(thing);
        Clause::new(Link::With, format!("no {bare}"))
    };
    match adjective {
        Some(adjective) => clause.or_adjective(draw, 35, adjective),
        None => clause,
    }
}

fn skin(a: &Attributes, draw: &mut Draw) -> Clause {
    let word = match a.skin {
        Skin::Light => draw.weighted(&[("light", 75), ("pale", 25)]),
        Skin::Tan => "tan",
        Skin::Brown => "brown",
        Skin::Dark => "dark",
    };
    Clause::new(Link::With, format!("{word} skin")).or_adjective(
        draw,
        45,
        &format!("{word}-skinned"),
    )
}

fn hair_color(a: &Attributes, draw: &mut Draw) -> &'static str {
    match a.hair_color {
        HairColor::Black => "black",
        HairColor::Brown => "brown",
        HairColor::Red => draw.weighted(&[("red", 80), ("ginger", 20)]),
        HairColor::Blond => draw.weighted(&[("blond", 60), ("blonde", 30), ("fair", 10)]),
        HairColor::Gray => draw.weighted(&[("gray", 75), ("grey", 25)]),
        HairColor::Pink => "pink",
    }
}

fn hair(a: &Attributes, draw: &mut Draw, short: bool) -> Clause {
    if a.hair == Hair::Bald {
        return Clause::new(Link::With, draw.pick(&["a bald head", "no hair"]))
            .or_adjective(draw, 75, "bald");
    }
    let color = hair_color(a, draw);
    if draw.chance(if short { 35 } else { 8 }) {
        return Clause::new(Link::With, format!("{color} hair")).or_adjective(
            draw,
            30,
            &format!("{color}-haired"),
        );
    }
    // The style alone, without its color.
    let c = if short && draw.chance(30) { String::new() } else { format!("{color} ") };
    let article = |rest: &str| with_article(&format!("{c}{rest}"));
    let text = match a.hair {
        Hair::Bald | Hair::Covered | Hair::PinnedUp => format!("{color} hair"),
        Hair::Short => format!("short {c}hair"),
        Hair::Cropped => match draw.below(2) {
            0 => format!("cropped {c}hair"),
            _ => format!("very short {c}hair"),
        },
        Hair::ShortWavy => match draw.below(3) {
            0 => format!("wavy {c}hair"),
            _ => format!("short wavy {c}hair"),
        },
        Hair::ShortCurly => match draw.below(3) {
            0 => format!("curly {c}hair"),
            _ => format!("short curly {c}hair"),
        },
        Hair::Spiky => format!("spiky {c}hair"),
        Hair::Undercut => match draw.below(3) {
            0 => format!("{c}hair shaved at the sides"),
            _ => article("undercut"),
        },
        Hair::LongStraight => match draw.below(4) {
            0 => format!("long {c}hair"),
            1 => format!("straight {c}hair"),
            _ => format!("long straight {c}hair"),
        },
        Hair::LongWavy => match draw.below(4) {
            0 => format!("long {c}hair"),
            1 => format!("wavy {c}hair"),
            _ => format!("long wavy {c}hair"),
        },
        Hair::ShoulderLength => match draw.below(3) {
            0 => format!("medium-length {c}hair"),
            _ => format!("shoulder-length {c}hair"),
        },
        Hair::Bob => match draw.below(2) {
            0 => article("bob"),
            _ => format!("{c}hair in a bob"),
        },
        Hair::Bun => match draw.below(3) {
            0 => article("bun"),
            _ => format!("{c}hair in a bun"),
        },
        Hair::Curly => match draw.below(2) {
            0 => format!("curly {c}hair"),
            _ => format!("big curly {c}hair"),
        },
        Hair::Afro => article("afro"),
        Hair::Dreadlocks => match draw.below(3) {
            0 => format!("long {c}dreadlocks"),
            _ => format!("{c}dreadlocks"),
        },
    };
    Clause::new(Link::With, text)
}

fn worn(draw: &mut Draw, links: &[(Link, usize)], text: String) -> Clause {
    Clause::new(draw.weighted(links), text)
}

fn headwear(a: &Attributes, draw: &mut Draw, short: bool) -> Clause {
    let Some((kind, color)) = a.headwear else {
        return Clause::new(Link::Without, "a hat");
    };
    let links = [(Link::With, 25), (Link::Wearing, 50), (Link::In, 25)];
    let noun = match kind {
        Headwear::FlowerCrown => {
            let text = draw.pick(&["a flower crown", "flowers in the hair", "a crown of flowers"]);
            // One wears a crown, but is not in one.
            let link = if text == "flowers in the hair" || draw.chance(50) {
                Link::With
            } else {
                Link::Wearing
            };
            return Clause::new(link, text);
        }
        Headwear::WideHat => draw.pick(&["wide-brimmed hat", "hat", "wide hat"]),
        Headwear::Beanie => draw.pick(&["beanie", "knit hat"]),
        Headwear::Turban => "turban",
        Headwear::Hijab => draw.weighted(&[("hijab", 75), ("headscarf", 25)]),
        Headwear::WinterHat => draw.pick(&["winter hat", "hat with earflaps"]),
        Headwear::CatHat => draw.pick(&["cat-ear hat", "hat with cat ears"]),
    };
    let text = if short && draw.chance(35) {
        with_article(noun)
    } else {
        with_article(&format!("{} {noun}", color.name()))
    };
    worn(draw, &links, text)
}

fn facial_hair(a: &Attributes, draw: &mut Draw) -> Clause {
    let Some(kind) = a.facial_hair else {
        return Clause::new(Link::Without, "a beard");
    };
    // The color is told where hair does not tell it already.
    let color_percent = if a.hair_visible() { 20 } else { 65 };
    let c = if draw.chance(color_percent) {
        format!("{} ", hair_color(a, draw))
    } else {
        String::new()
    };
    let noun = match kind {
        FacialHair::ShortBeard => draw.pick(&["short|beard", "short|beard", "|beard"]),
        FacialHair::FullBeard => draw.pick(&["full|beard", "full|beard", "|beard"]),
        FacialHair::LongBeard => draw.weighted(&[("long|beard", 80), ("|beard", 20)]),
        FacialHair::Moustache => draw.weighted(&[("|moustache", 65), ("|mustache", 35)]),
        FacialHair::Goatee => "|goatee",
    };
    let (size, noun) = noun.split_once('|').unwrap_or(("", noun));
    let gap = if size.is_empty() { "" } else { " " };
    let clause = Clause::new(Link::With, with_article(&format!("{size}{gap}{c}{noun}")));
    if noun == "beard" && size.is_empty() && c.is_empty() {
        clause.or_adjective(draw, 60, "bearded")
    } else {
        clause
    }
}

fn eyewear(a: &Attributes, draw: &mut Draw) -> Clause {
    let glasses = [("glasses", 70), ("eyeglasses", 15), ("spectacles", 15)];
    let text = match a.eyewear {
        None => return Clause::new(Link::Without, "glasses"),
        Some(Eyewear::Glasses) => draw.weighted(&glasses).to_owned(),
        Some(Eyewear::RoundGlasses) if draw.chance(35) => draw.weighted(&glasses).to_owned(),
        Some(Eyewear::RoundGlasses) => format!("round {}", draw.weighted(&glasses)),
        Some(Eyewear::Sunglasses) => {
            draw.weighted(&[("sunglasses", 80), ("shades", 20)]).to_owned()
        }
    };
    worn(draw, &[(Link::With, 50), (Link::Wearing, 50)], text)
}

fn expression(a: &Attributes, draw: &mut Draw) -> Clause {
    let (doing, having, adjective) = match a.expression {
        Expression::Smiling => ("smiling", "a smile", "smiling"),
        Expression::Laughing => (draw.pick(&["laughing", "grinning"]), "a big smile", "laughing"),
        Expression::Sad => (draw.pick(&["looking sad", "frowning"]), "a sad face", "sad"),
        Expression::Surprised => ("looking surprised", "an open mouth", "surprised"),
        Expression::Angry => ("looking angry", "an angry face", "angry"),
        Expression::Serious => ("looking serious", "a serious face", "serious"),
    };
    let clause = if draw.chance(60) {
        Clause::new(Link::Doing, doing)
    } else {
        Clause::new(Link::With, having)
    };
    clause.or_adjective(draw, 40, adjective)
}

fn eyes(a: &Attributes, draw: &mut Draw) -> Clause {
    match a.eyes {
        Eyes::Open => Clause::new(Link::With, "open eyes"),
        Eyes::Closed => Clause::new(Link::With, draw.pick(&["closed eyes", "eyes closed"])),
        Eyes::Winking => Clause::new(Link::Doing, "winking").or_adjective(draw, 30, "winking"),
        Eyes::Wide => Clause::new(Link::With, "wide eyes"),
        Eyes::Sideways => {
            Clause::new(Link::Doing, draw.pick(&["looking to the side", "looking sideways"]))
        }
    }
}

fn garment(a: &Attributes, draw: &mut Draw, short: bool) -> Clause {
    let links = [(Link::In, 60), (Link::Wearing, 40)];
    let color = a.garment_color.name();
    if draw.chance(if short { 15 } else { 4 }) {
        return worn(draw, &links, format!("{color} clothes"));
    }
    let noun = match a.garment {
        Garment::TShirt => draw.weighted(&[("t-shirt", 75), ("tee", 25)]),
        Garment::Jacket => "jacket",
        Garment::CollaredShirt => "collared shirt",
        Garment::Hoodie => "hoodie",
        Garment::VNeck => draw.pick(&["v-neck", "v-neck shirt"]),
        Garment::Overalls => "overalls",
        Garment::Turtleneck => "turtleneck",
        Garment::Dress => "dress",
    };
    let phrase = if short && draw.chance(20) { noun.to_owned() } else { format!("{color} {noun}") };
    // "overalls" is a plural and takes no article.
    let text = if a.garment == Garment::Overalls { phrase } else { with_article(&phrase) };
    worn(draw, &links, text)
}

fn background(a: &Attributes, draw: &mut Draw) -> Clause {
    let color = a.background.name();
    let phrase = if a.background != Background::White && draw.chance(35) {
        format!("light {color} background")
    } else {
        format!("{color} background")
    };
    let phrase = with_article(&phrase);
    let text = match draw.below(8) {
        0 => format!("against {phrase}"),
        1 => format!("in front of {phrase}"),
        2 => format!("with {phrase}"),
        _ => format!("on {phrase}"),
    };
    Clause::new(Link::Place, text)
}

/// Puts "a" or "an" in front.
pub(crate) fn with_article(phrase: &str) -> String {
    let vowel = phrase.starts_with(['a', 'e', 'i', 'o', 'u']);
    format!("{} {phrase}", if vowel { "an" } else { "a" })
}
