//! The facts that may be told about a face, once contradictions between its attributes are resolved.

use crate::CelebaAttributes;

/// One thing that a caption can tell; the gender is told by the noun.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fact {
    Young,
    /// Not young.
    Older,
    /// Not young, and gray.
    Elderly,
    Bald,
    Black,
    Blond,
    Brown,
    Gray,
    Straight,
    Wavy,
    Bangs,
    RecedingHairline,
    Beard,
    Goatee,
    Mustache,
    Sideburns,
    Stubble,
    Eyeglasses,
    Hat,
    Smiling,
    HeavyMakeup,
    Lipstick,
    Earrings,
    Necklace,
    Necktie,
    MouthOpen,
    BushyEyebrows,
    ArchedEyebrows,
    NarrowEyes,
    BagsUnderEyes,
    BigNose,
    PointyNose,
    FullLips,
    FullCheeks,
    RosyCheeks,
    HighCheekbones,
    OvalFace,
    PaleSkin,
    DoubleChin,
    Blurry,
    /// A man without any attribute of facial hair.
    NoBeard,
    NoGlasses,
    NoHat,
    NotSmiling,
}

use Fact::*;

/// Attributes that are told as they are.
const PLAIN: [(&str, Fact); 24] = [
    ("Blurry", Blurry),
    ("Eyeglasses", Eyeglasses),
    ("Wearing_Hat", Hat),
    ("Smiling", Smiling),
    ("Heavy_Makeup", HeavyMakeup),
    ("Wearing_Lipstick", Lipstick),
    ("Wearing_Earrings", Earrings),
    ("Wearing_Necklace", Necklace),
    ("Wearing_Necktie", Necktie),
    ("Mouth_Slightly_Open", MouthOpen),
    ("Bushy_Eyebrows", BushyEyebrows),
    ("Arched_Eyebrows", ArchedEyebrows),
    ("Narrow_Eyes", NarrowEyes),
    ("Bags_Under_Eyes", BagsUnderEyes),
    ("Big_Nose", BigNose),
    ("Pointy_Nose", PointyNose),
    ("Big_Lips", FullLips),
    ("Rosy_Cheeks", RosyCheeks),
    ("Chubby", FullCheeks),
    ("High_Cheekbones", HighCheekbones),
    ("Oval_Face", OvalFace),
    ("Pale_Skin", PaleSkin),
    ("Double_Chin", DoubleChin),
    ("Bald", Bald),
];

const COLORS: [(&str, Fact); 4] =
    [("Black_Hair", Black), ("Blond_Hair", Blond), ("Brown_Hair", Brown), ("Gray_Hair", Gray)];

const FACIAL_HAIR: [(&str, Fact); 4] = [
    ("Goatee", Goatee),
    ("Mustache", Mustache),
    ("Sideburns", Sideburns),
    ("5_o_Clock_Shadow", Stubble),
];

/// Everything that may be told about a face by the rules in the module's documentation, most
/// important first.
pub(super) fn facts(face: CelebaAttributes) -> Vec<Fact> {
    let marked = |table: &[(&str, Fact)]| -> Vec<Fact> {
        table.iter().filter(|(name, _)| face.has(name)).map(|&(_, fact)| fact).collect()
    };
    let mut facts = vec![match (face.has("Young"), face.has("Gray_Hair")) {
        (true, _) => Young,
        (false, false) => Older,
        (false, true) => Elderly,
    }];
    if face.has("Bald") {
        facts.push(Bald);
    } else {
        facts.extend(hair(face, marked(&COLORS)));
    }
    if face.has("Male") {
        let marks = marked(&FACIAL_HAIR);
        // A goatee is a beard, and stubble is why a face was not marked beardless.
        if !face.has("No_Beard") && !marks.contains(&Goatee) && !marks.contains(&Stubble) {
            facts.push(Beard);
        }
        facts.extend(marks);
    }
    facts.extend(marked(&PLAIN).into_iter().filter(|&fact| fact != Bald));
    facts
}

fn hair(face: CelebaAttributes, colors: Vec<Fact>) -> Vec<Fact> {
    // Two colours are hair of two colours; three are an annotation error.
    let mut hair = if colors.len() < 3 { colors } else { Vec::new() };
    match (face.has("Straight_Hair"), face.has("Wavy_Hair")) {
        (true, false) => hair.push(Straight),
        (false, true) => hair.push(Wavy),
        _ => {}
    }
    // Bangs hide the hairline.
    if face.has("Bangs") {
        hair.push(Bangs);
    } else if face.has("Receding_Hairline") {
        hair.push(RecedingHairline);
    }
    hair
}

/// What may be said to be absent: things that a reader of the caption would otherwise leave open.
pub(super) fn negations(face: CelebaAttributes) -> Vec<Fact> {
    let mut missing = Vec::new();
    let has_facial_hair = FACIAL_HAIR.iter().any(|(name, _)| face.has(name));
    if face.has("Male") && face.has("No_Beard") && !has_facial_hair {
        missing.push(NoBeard);
    }
    for (name, fact) in [("Eyeglasses", NoGlasses), ("Wearing_Hat", NoHat), ("Smiling", NotSmiling)]
    {
        if !face.has(name) {
            missing.push(fact);
        }
    }
    missing
}
