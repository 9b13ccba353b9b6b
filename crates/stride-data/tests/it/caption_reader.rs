//! Reads captions back into marks, written without a look at the grammar that writes them.

use std::collections::BTreeSet;

use stride_data::CelebaAttributes;

/// What a caption says: marks that it names, and marks that it denies.
#[derive(Debug, Default)]
pub(crate) struct Reading {
    pub(crate) named: BTreeSet<&'static str>,
    pub(crate) denied: BTreeSet<&'static str>,
}

/// Words that name a mark whatever stands around them.
const NAMES: [(&str, &str); 42] = [
    ("young", "Young"),
    ("bald", "Bald"),
    ("black", "Black_Hair"),
    ("blond", "Blond_Hair"),
    ("blonde", "Blond_Hair"),
    ("brown", "Brown_Hair"),
    ("gray", "Gray_Hair"),
    ("straight", "Straight_Hair"),
    ("wavy", "Wavy_Hair"),
    ("bangs", "Bangs"),
    ("receding", "Receding_Hairline"),
    ("goatee", "Goatee"),
    ("mustache", "Mustache"),
    ("sideburns", "Sideburns"),
    ("stubble", "5_o_Clock_Shadow"),
    ("shadow", "5_o_Clock_Shadow"),
    ("glasses", "Eyeglasses"),
    ("eyeglasses", "Eyeglasses"),
    ("hat", "Wearing_Hat"),
    ("earrings", "Wearing_Earrings"),
    ("necklace", "Wearing_Necklace"),
    ("necktie", "Wearing_Necktie"),
    ("tie", "Wearing_Necktie"),
    ("makeup", "Heavy_Makeup"),
    ("lipstick", "Wearing_Lipstick"),
    ("smiling", "Smiling"),
    ("smile", "Smiling"),
    ("mouth", "Mouth_Slightly_Open"),
    ("parted", "Mouth_Slightly_Open"),
    ("bushy", "Bushy_Eyebrows"),
    ("thick", "Bushy_Eyebrows"),
    ("arched", "Arched_Eyebrows"),
    ("narrow", "Narrow_Eyes"),
    ("bags", "Bags_Under_Eyes"),
    ("big", "Big_Nose"),
    ("large", "Big_Nose"),
    ("rosy", "Rosy_Cheeks"),
    ("cheekbones", "High_Cheekbones"),
    ("oval", "Oval_Face"),
    ("pale", "Pale_Skin"),
    ("chin", "Double_Chin"),
    ("blurry", "Blurry"),
];

/// Words that say nothing by themselves; any other word is a claim that this reader must know.
const SILENT: &str = "a an and are but cheeks clock complexion double eyebrows eyes face five \
    hair hairline has heavy high in is light lips no nose not o of open or person photo picture portrait \
    skin slightly the their they this under wearing with without";

/// Reads one caption.
///
/// # Panics
/// When it has a word that is not known here.
pub(crate) fn read(caption: &str) -> Reading {
    let mut reading = Reading::default();
    let caption = caption.to_lowercase().replace("out-of-focus", "blurry");
    for clause in caption.split([',', '.']) {
        let clause = clause.replace("clean-shaven", "cleanshaven").replace('\'', " ");
        let words: Vec<&str> = clause.split_whitespace().collect();
        let mut is_denied = false;
        for (index, &word) in words.iter().enumerate() {
            match word {
                "no" | "not" | "without" => is_denied = true,
                "and" | "but" | "with" => is_denied = false,
                _ => {}
            }
            let set = if is_denied { &mut reading.denied } else { &mut reading.named };
            let next_noun = words[index..].iter().find(|w| ["lips", "cheeks"].contains(w));
            if let Some((_, mark)) = NAMES.iter().find(|(name, _)| *name == word) {
                set.insert(mark);
            } else {
                match (word, next_noun) {
                    ("man" | "he" | "his", _) => drop(reading.named.insert("Male")),
                    ("woman" | "she" | "her", _) => drop(reading.denied.insert("Male")),
                    ("older", _) => drop(reading.denied.insert("Young")),
                    ("elderly", _) => {
                        reading.denied.insert("Young");
                        reading.named.insert("Gray_Hair");
                    }
                    ("cleanshaven", _) => drop(set.insert("No_Beard")),
                    // A beard is the absence of the mark that says there is none.
                    ("beard", _) if is_denied => drop(reading.named.insert("No_Beard")),
                    ("beard", _) => drop(reading.denied.insert("No_Beard")),
                    ("full", Some(&"lips")) => drop(set.insert("Big_Lips")),
                    ("full" | "chubby", Some(&"cheeks")) => drop(set.insert("Chubby")),
                    ("pointy" | "pointed", _) => drop(set.insert("Pointy_Nose")),
                    _ => assert!(
                        SILENT.split_whitespace().any(|silent| silent == word),
                        "unknown word \"{word}\" in: {caption}"
                    ),
                }
            }
        }
    }
    reading
}

/// The marks that a caption with everything must name and deny, from the rules in words.
pub(crate) fn nameable(face: CelebaAttributes) -> Reading {
    let mut named: BTreeSet<_> = face.present().collect();
    let mut denied = BTreeSet::new();
    let mut remove = |names: &[&'static str]| {
        for name in names {
            named.remove(name);
        }
    };
    let colors = ["Black_Hair", "Blond_Hair", "Brown_Hair", "Gray_Hair"];
    let facial_hair = ["Goatee", "Mustache", "Sideburns", "5_o_Clock_Shadow"];
    remove(&["Attractive", "No_Beard"]);
    if face.has("Bald") {
        remove(&colors);
        remove(&["Straight_Hair", "Wavy_Hair", "Bangs", "Receding_Hairline"]);
    }
    if colors.iter().filter(|color| face.has(color)).count() > 2 {
        remove(&colors);
    }
    if face.has("Straight_Hair") && face.has("Wavy_Hair") {
        remove(&["Straight_Hair", "Wavy_Hair"]);
    }
    if face.has("Bangs") {
        remove(&["Receding_Hairline"]);
    }
    if !face.has("Male") {
        denied.insert("Male");
        remove(&facial_hair);
    } else if !face.has("No_Beard") && !face.has("Goatee") && !face.has("5_o_Clock_Shadow") {
        denied.insert("No_Beard");
    }
    if !face.has("Young") {
        denied.insert("Young");
    }
    Reading { named, denied }
}
