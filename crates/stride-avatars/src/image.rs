//! From attributes to an image: which drawings stand for which values.

use std::sync::OnceLock;

use crate::art::{Meta, Selection, StyleArt};
use crate::attributes::{
    Attributes, Expression, Eyes, Eyewear, FacialHair, Garment, Hair, Headwear, Style,
};
use crate::error::{Error, MAX_RESOLUTION};
use crate::palette::{Color, Rgb};
use crate::raster::{Image, rasterize};

/// Draws `attributes` as a square image with a side of `resolution` pixels.
///
/// # Errors
/// [`Error::Resolution`] outside `1..=`[`MAX_RESOLUTION`]; [`Error::NotDrawn`] for a value
/// that the style has no drawing of (sampled attributes never have one); [`Error::Style`]
/// or [`Error::Svg`] when the embedded drawings are damaged.
pub fn render(attributes: &Attributes, resolution: u32) -> Result<Image, Error> {
    render_without(attributes, resolution, &[])
}

/// The component of the flat style that glasses are, which stands for those of the toon style as well.
pub(crate) const GLASSES: &str = "accessories";

/// As [`render`], without these components of the drawings.
pub(crate) fn render_without(
    attributes: &Attributes,
    resolution: u32,
    left_out: &[&str],
) -> Result<Image, Error> {
    if !(1..=MAX_RESOLUTION).contains(&resolution) {
        return Err(Error::Resolution { resolution });
    }
    let art = style_art(attributes.style)?;
    let mut selection = selection(attributes)?;
    selection.variants.retain(|(component, _)| !left_out.contains(component));
    if left_out.contains(&GLASSES) {
        selection.overlay = "";
    }
    let svg = art.svg(&selection)?;
    rasterize(&svg, art.canvas_size(), attributes.background.rgb(), resolution)
}

/// Artist and licence of a style.
///
/// # Errors
/// [`Error::Style`] when the embedded definition is damaged.
pub fn style_meta(style: Style) -> Result<&'static Meta, Error> {
    style_art(style).map(|art| &art.meta)
}

/// The parsed definition of `style`; parsed once per process.
fn style_art(style: Style) -> Result<&'static StyleArt, Error> {
    static FLAT: OnceLock<StyleArt> = OnceLock::new();
    static TOON: OnceLock<StyleArt> = OnceLock::new();
    let (cell, name, json) = match style {
        Style::Flat => (&FLAT, "avataaars", dicebear_styles::AVATAAARS),
        Style::Toon => (&TOON, "toon-head", dicebear_styles::TOON_HEAD),
    };
    if let Some(art) = cell.get() {
        return Ok(art);
    }
    let art = StyleArt::parse(name, json)?;
    Ok(cell.get_or_init(|| art))
}

fn selection(a: &Attributes) -> Result<Selection, Error> {
    let (variants, overlay) = match a.style {
        Style::Flat => (flat(a)?, ""),
        Style::Toon => (toon(a)?, toon_eyewear(a)),
    };
    let colors = vec![
        ("skin", a.skin.rgb()),
        ("hair", a.hair_color.rgb()),
        ("facialHair", a.hair_color.rgb()),
        ("clothes", a.garment_color.rgb()),
        ("hat", a.headwear.map_or(Color::Gray, |(_, color)| color).rgb()),
        ("accessories", Color::Black.rgb()),
        ("stroke", Rgb([0, 0, 0])),
    ];
    Ok(Selection { variants, colors, overlay })
}

/// One of several drawings of the same value.
fn either(a: &Attributes, drawings: &[&'static str]) -> &'static str {
    drawings[usize::from(a.drawing) % drawings.len()]
}

fn not_drawn(a: &Attributes, value: &'static str) -> Error {
    Error::NotDrawn { style: a.style.name(), value }
}

/// Component and variant pairs of the flat style.
fn flat(a: &Attributes) -> Result<Vec<(&'static str, &'static str)>, Error> {
    let mut variants = vec![];
    let top = match a.headwear {
        Some((headwear, _)) => Some(flat_headwear(a, headwear)),
        None => flat_hair(a)?,
    };
    variants.extend(top.map(|v| ("top", v)));
    if let Some(kind) = a.facial_hair {
        let drawing = match kind {
            FacialHair::ShortBeard => "beardLight",
            FacialHair::FullBeard => "beardMedium",
            FacialHair::LongBeard => "beardMajestic",
            FacialHair::Moustache => either(a, &["moustacheFancy", "moustacheMagnum"]),
            FacialHair::Goatee => return Err(not_drawn(a, kind.name())),
        };
        variants.push(("facialHair", drawing));
    }
    if let Some(kind) = a.eyewear {
        let drawing = match kind {
            Eyewear::Glasses => either(a, &["prescription01", "prescription02"]),
            Eyewear::RoundGlasses => "round",
            Eyewear::Sunglasses => either(a, &["sunglasses", "wayfarers", "kurt"]),
        };
        variants.push((GLASSES, drawing));
    }
    let (mouth, eyebrows) = match a.expression {
        Expression::Smiling => ("twinkle", "defaultNatural"),
        Expression::Laughing => ("smile", "defaultNatural"),
        Expression::Sad => ("sad", "sadConcernedNatural"),
        Expression::Surprised => ("screamOpen", "raisedExcitedNatural"),
        Expression::Angry => ("grimace", "angryNatural"),
        Expression::Serious => ("serious", "flatNatural"),
    };
    let eyes = match a.eyes {
        Eyes::Open => "default",
        Eyes::Closed => either(a, &["closed", "happy"]),
        Eyes::Winking => "wink",
        Eyes::Wide => "surprised",
        Eyes::Sideways => "side",
    };
    let clothes = match a.garment {
        Garment::TShirt => "shirtCrewNeck",
        Garment::Jacket => "blazerAndShirt",
        Garment::CollaredShirt => "collarAndSweater",
        Garment::Hoodie => "hoodie",
        Garment::VNeck => "shirtVNeck",
        Garment::Overalls => "overall",
        Garment::Turtleneck | Garment::Dress => return Err(not_drawn(a, a.garment.name())),
    };
    variants.extend([
        ("mouth", mouth),
        ("eyebrows", eyebrows),
        ("eyes", eyes),
        ("clothes", clothes),
    ]);
    Ok(variants)
}

fn flat_headwear(a: &Attributes, headwear: Headwear) -> &'static str {
    match headwear {
        Headwear::WideHat => "hat",
        Headwear::Beanie => "winterHat03",
        Headwear::Turban => "turban",
        Headwear::Hijab => "hijab",
        Headwear::FlowerCrown => "frida",
        Headwear::WinterHat => either(a, &["winterHat02", "winterHat1"]),
        Headwear::CatHat => "winterHat04",
    }
}

fn flat_hair(a: &Attributes) -> Result<Option<&'static str>, Error> {
    Ok(Some(match a.hair {
        Hair::Bald => return Ok(None),
        // Both come with headwear only.
        Hair::Covered | Hair::PinnedUp => return Err(not_drawn(a, a.hair.name())),
        Hair::Short => either(a, &["shortFlat", "shortRound"]),
        Hair::Cropped => either(a, &["theCaesar", "theCaesarAndSidePart"]),
        Hair::ShortWavy => "shortWaved",
        Hair::ShortCurly => "shortCurly",
        Hair::Spiky => "dreads02",
        Hair::Undercut => "frizzle",
        Hair::LongStraight => either(a, &["straight01", "straight02"]),
        Hair::LongWavy => "curvy",
        Hair::ShoulderLength => either(a, &["longButNotTooLong", "straightAndStrand"]),
        Hair::Bob => either(a, &["bob", "miaWallace"]),
        Hair::Bun => "bun",
        Hair::Curly => "curly",
        Hair::Afro => "fro",
        Hair::Dreadlocks => "dreads",
    }))
}

/// Component and variant pairs of the toon style.
fn toon(a: &Attributes) -> Result<Vec<(&'static str, &'static str)>, Error> {
    if let Some((kind, _)) = a.headwear {
        return Err(not_drawn(a, kind.name()));
    }
    let mut variants = vec![];
    // Long hair is a fringe in front of the face and a part behind the shoulders.
    let (front, rear) = match a.hair {
        Hair::Bald => (None, None),
        Hair::Short => (Some("sideComed"), None),
        Hair::Spiky => (Some("spiky"), None),
        Hair::Undercut => (Some("undercut"), None),
        Hair::Bun => (Some("bun"), None),
        Hair::LongStraight => (Some("sideComed"), Some("longStraight")),
        Hair::LongWavy => (Some("sideComed"), Some("longWavy")),
        Hair::ShoulderLength => (Some("sideComed"), Some("shoulderHigh")),
        Hair::Bob => (Some("sideComed"), Some("neckHigh")),
        Hair::Covered
        | Hair::Cropped
        | Hair::ShortWavy
        | Hair::ShortCurly
        | Hair::Curly
        | Hair::Afro
        | Hair::Dreadlocks
        | Hair::PinnedUp => return Err(not_drawn(a, a.hair.name())),
    };
    variants.extend(front.map(|v| ("hair", v)));
    variants.extend(rear.map(|v| ("rearHair", v)));
    if let Some(kind) = a.facial_hair {
        let drawing = match kind {
            FacialHair::ShortBeard => return Err(not_drawn(a, kind.name())),
            FacialHair::FullBeard => "fullBeard",
            FacialHair::LongBeard => "longBeard",
            FacialHair::Moustache => "moustacheTwirl",
            FacialHair::Goatee => "chinMoustache",
        };
        variants.push(("beard", drawing));
    }
    let (mouth, eyebrows) = match a.expression {
        Expression::Smiling => ("smile", "happy"),
        Expression::Laughing => ("laugh", "happy"),
        Expression::Sad => ("sad", "sad"),
        Expression::Surprised => ("agape", "raised"),
        Expression::Angry => ("angry", "angry"),
        Expression::Serious => return Err(not_drawn(a, a.expression.name())),
    };
    let eyes = match a.eyes {
        Eyes::Open => "happy",
        Eyes::Closed => either(a, &["bow", "humble"]),
        Eyes::Winking => "wink",
        Eyes::Wide => "wide",
        Eyes::Sideways => return Err(not_drawn(a, a.eyes.name())),
    };
    let clothes = match a.garment {
        Garment::TShirt => "tShirt",
        Garment::Jacket => "openJacket",
        Garment::CollaredShirt => "shirt",
        Garment::Turtleneck => "turtleNeck",
        Garment::Dress => "dress",
        Garment::Hoodie | Garment::VNeck | Garment::Overalls => {
            return Err(not_drawn(a, a.garment.name()));
        }
    };
    variants.extend([
        ("mouth", mouth),
        ("eyebrows", eyebrows),
        ("eyes", eyes),
        ("clothes", clothes),
    ]);
    Ok(variants)
}

fn toon_eyewear(a: &Attributes) -> &'static str {
    match a.eyewear {
        None => "",
        Some(Eyewear::Glasses) => TOON_GLASSES,
        Some(Eyewear::RoundGlasses) => TOON_ROUND_GLASSES,
        Some(Eyewear::Sunglasses) => TOON_SUNGLASSES,
    }
}

// The toon style has no glasses; these are our own, in its 768 x 768 canvas.
const TOON_GLASSES: &str = r##"<g fill="#fff" fill-opacity=".14" stroke="#22262b" stroke-width="12"><rect x="246" y="352" width="128" height="102" rx="22"/><rect x="398" y="352" width="128" height="102" rx="22"/><path d="M374 392q12-12 24 0M246 388l-34-10M526 388l34-10" fill="none"/></g>"##;
const TOON_ROUND_GLASSES: &str = r##"<g fill="#fff" fill-opacity=".14" stroke="#22262b" stroke-width="11"><circle cx="312" cy="403" r="62"/><circle cx="460" cy="403" r="62"/><path d="M374 398q12-12 24 0M251 392l-39-12M521 392l39-12" fill="none"/></g>"##;
const TOON_SUNGLASSES: &str = r##"<g fill="#22262b" stroke="#22262b" stroke-width="12"><path d="M244 362q66-18 132 0 6 92-66 92t-66-92zM396 362q66-18 132 0 6 92-66 92t-66-92z" stroke-linejoin="round"/><path d="M374 376q12-10 24 0M246 380l-34-8M526 380l34-8" fill="none"/><path d="M268 372l30 0-28 44zM420 372l30 0-28 44z" fill="#fff" fill-opacity=".3" stroke="none"/></g>"##;
