//! From attributes to a picture: which drawings stand for which values.

use std::sync::OnceLock;

use crate::Error;
use crate::art::{Meta, Selection, StyleArt};
use crate::attributes::{
    Attributes, Expression, Eyes, Eyewear, FacialHair, Garment, Hair, Headwear, Style,
};
use crate::palette::{Color, Rgb};
use crate::raster::{Picture, rasterize};

/// Largest width and height that is rendered, in pixels.
pub const MAX_RESOLUTION: u32 = 4096;

/// Draws `attributes` as a square picture with a side of `resolution` pixels.
///
/// # Errors
/// [`Error::Resolution`] outside `1..=`[`MAX_RESOLUTION`]; [`Error::Style`] or
/// [`Error::Svg`] when the embedded drawings are damaged.
pub fn render(attributes: &Attributes, resolution: u32) -> Result<Picture, Error> {
    if !(1..=MAX_RESOLUTION).contains(&resolution) {
        return Err(Error::Resolution { resolution });
    }
    let art = style_art(attributes.style)?;
    let svg = art.svg(&selection(attributes))?;
    rasterize(
        &svg,
        art.canvas_size(),
        attributes.background.rgb(),
        resolution,
    )
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

fn selection(a: &Attributes) -> Selection {
    let mut selection = match a.style {
        Style::Flat => flat(a),
        Style::Toon => toon(a),
    };
    selection.colors.extend([
        ("skin", a.skin.rgb()),
        ("hair", a.hair_color.rgb()),
        ("facialHair", a.hair_color.rgb()),
        ("clothes", a.garment_color.rgb()),
        (
            "hat",
            a.headwear.map_or(Color::Gray, |(_, color)| color).rgb(),
        ),
        ("accessories", Color::Black.rgb()),
        ("stroke", Rgb([0, 0, 0])),
    ]);
    selection
}

/// One of several drawings of the same value.
fn either(a: &Attributes, drawings: &[&'static str]) -> &'static str {
    drawings[usize::from(a.drawing) % drawings.len()]
}

fn flat(a: &Attributes) -> Selection {
    let mut variants = vec![];
    let top = match (a.headwear, a.hair) {
        (Some((Headwear::WideHat, _)), _) => Some("hat"),
        (Some((Headwear::Beanie, _)), _) => Some("winterHat03"),
        (Some((Headwear::Turban, _)), _) => Some("turban"),
        (Some((Headwear::Hijab, _)), _) => Some("hijab"),
        (Some((Headwear::FlowerCrown, _)), _) => Some("frida"),
        (Some((Headwear::WinterHat, _)), _) => Some(either(a, &["winterHat02", "winterHat1"])),
        (Some((Headwear::CatHat, _)), _) => Some("winterHat04"),
        (None, Hair::Bald | Hair::Covered | Hair::PinnedUp) => None,
        (None, Hair::Short) => Some(either(a, &["shortFlat", "shortRound"])),
        (None, Hair::Cropped) => Some(either(a, &["theCaesar", "theCaesarAndSidePart"])),
        (None, Hair::ShortWavy) => Some("shortWaved"),
        (None, Hair::ShortCurly) => Some("shortCurly"),
        (None, Hair::Spiky) => Some("dreads02"),
        (None, Hair::Undercut) => Some("frizzle"),
        (None, Hair::LongStraight) => Some(either(a, &["straight01", "straight02"])),
        (None, Hair::LongWavy) => Some("curvy"),
        (None, Hair::ShoulderLength) => {
            Some(either(a, &["longButNotTooLong", "straightAndStrand"]))
        }
        (None, Hair::Bob) => Some(either(a, &["bob", "miaWallace"])),
        (None, Hair::Bun) => Some("bun"),
        (None, Hair::Curly) => Some("curly"),
        (None, Hair::Afro) => Some("fro"),
        (None, Hair::Dreadlocks) => Some("dreads"),
    };
    variants.extend(top.map(|v| ("top", v)));
    variants.extend(a.facial_hair.map(|v| {
        let drawing = match v {
            FacialHair::ShortBeard => "beardLight",
            FacialHair::FullBeard | FacialHair::Goatee => "beardMedium",
            FacialHair::LongBeard => "beardMajestic",
            FacialHair::Moustache => either(a, &["moustacheFancy", "moustacheMagnum"]),
        };
        ("facialHair", drawing)
    }));
    variants.extend(a.eyewear.map(|v| {
        let drawing = match v {
            Eyewear::Glasses => either(a, &["prescription01", "prescription02"]),
            Eyewear::RoundGlasses => "round",
            Eyewear::Sunglasses => either(a, &["sunglasses", "wayfarers", "kurt"]),
        };
        ("accessories", drawing)
    }));
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
        Garment::TShirt | Garment::Turtleneck => "shirtCrewNeck",
        Garment::Jacket => "blazerAndShirt",
        Garment::CollaredShirt => "collarAndSweater",
        Garment::Hoodie => "hoodie",
        Garment::VNeck => "shirtVNeck",
        Garment::Overalls | Garment::Dress => "overall",
    };
    variants.extend([
        ("mouth", mouth),
        ("eyebrows", eyebrows),
        ("eyes", eyes),
        ("clothes", clothes),
    ]);
    Selection {
        variants,
        colors: vec![],
        overlay: "",
    }
}

fn toon(a: &Attributes) -> Selection {
    let mut variants = vec![];
    let (front, rear) = match a.hair {
        Hair::Bald | Hair::Covered => (None, None),
        Hair::Spiky => (Some("spiky"), None),
        Hair::Undercut | Hair::Cropped => (Some("undercut"), None),
        Hair::Bun | Hair::PinnedUp => (Some("bun"), None),
        Hair::LongStraight | Hair::Dreadlocks => (Some("sideComed"), Some("longStraight")),
        Hair::LongWavy | Hair::Curly | Hair::Afro => (Some("sideComed"), Some("longWavy")),
        Hair::ShoulderLength => (Some("sideComed"), Some("shoulderHigh")),
        Hair::Bob => (Some("sideComed"), Some("neckHigh")),
        Hair::Short | Hair::ShortWavy | Hair::ShortCurly => (Some("sideComed"), None),
    };
    variants.extend(front.map(|v| ("hair", v)));
    variants.extend(rear.map(|v| ("rearHair", v)));
    variants.extend(a.facial_hair.map(|v| {
        let drawing = match v {
            FacialHair::ShortBeard | FacialHair::FullBeard => "fullBeard",
            FacialHair::LongBeard => "longBeard",
            FacialHair::Moustache => "moustacheTwirl",
            FacialHair::Goatee => "chinMoustache",
        };
        ("beard", drawing)
    }));
    let (mouth, eyebrows) = match a.expression {
        Expression::Smiling => ("smile", "happy"),
        Expression::Laughing => ("laugh", "happy"),
        Expression::Sad | Expression::Serious => ("sad", "sad"),
        Expression::Surprised => ("agape", "raised"),
        Expression::Angry => ("angry", "angry"),
    };
    let eyes = match a.eyes {
        Eyes::Open | Eyes::Sideways => "happy",
        Eyes::Closed => either(a, &["bow", "humble"]),
        Eyes::Winking => "wink",
        Eyes::Wide => "wide",
    };
    let clothes = match a.garment {
        Garment::TShirt | Garment::VNeck => "tShirt",
        Garment::Jacket | Garment::Hoodie => "openJacket",
        Garment::CollaredShirt => "shirt",
        Garment::Turtleneck => "turtleNeck",
        Garment::Dress | Garment::Overalls => "dress",
    };
    variants.extend([
        ("mouth", mouth),
        ("eyebrows", eyebrows),
        ("eyes", eyes),
        ("clothes", clothes),
    ]);
    let overlay = match a.eyewear {
        None => "",
        Some(Eyewear::Glasses) => TOON_GLASSES,
        Some(Eyewear::RoundGlasses) => TOON_ROUND_GLASSES,
        Some(Eyewear::Sunglasses) => TOON_SUNGLASSES,
    };
    Selection {
        variants,
        colors: vec![],
        overlay,
    }
}

// The toon style has no glasses; these are our own, in its 768 x 768 canvas.
const TOON_GLASSES: &str = r##"<g fill="#fff" fill-opacity=".14" stroke="#22262b" stroke-width="12"><rect x="246" y="352" width="128" height="102" rx="22"/><rect x="398" y="352" width="128" height="102" rx="22"/><path d="M374 392q12-12 24 0M246 388l-34-10M526 388l34-10" fill="none"/></g>"##;
const TOON_ROUND_GLASSES: &str = r##"<g fill="#fff" fill-opacity=".14" stroke="#22262b" stroke-width="11"><circle cx="312" cy="403" r="62"/><circle cx="460" cy="403" r="62"/><path d="M374 398q12-12 24 0M251 392l-39-12M521 392l39-12" fill="none"/></g>"##;
const TOON_SUNGLASSES: &str = r##"<g fill="#22262b" stroke="#22262b" stroke-width="12"><path d="M244 362q66-18 132 0 6 92-66 92t-66-92zM396 362q66-18 132 0 6 92-66 92t-66-92z" stroke-linejoin="round"/><path d="M374 376q12-10 24 0M246 380l-34-8M526 380l34-8" fill="none"/><path d="M268 372l30 0-28 44zM420 372l30 0-28 44z" fill="#fff" fill-opacity=".3" stroke="none"/></g>"##;
