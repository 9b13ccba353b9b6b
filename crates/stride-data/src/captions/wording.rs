//! Facts in words: what goes before the noun, what the face has, what it wears.

use super::choice::Choice;
use super::english::{Voice, list};
use super::fact::Fact::{self, *};

/// The phrases of a caption, before they are joined into a sentence.
#[derive(Clone, Debug, Default)]
pub(super) struct Phrases {
    /// Before the noun, in their order.
    pub(super) adjectives: Vec<&'static str>,
    /// After "has" or "with".
    pub(super) has: Vec<String>,
    /// After "wearing".
    pub(super) wears: Vec<&'static str>,
    /// What is not worn, without articles.
    pub(super) wears_no: Vec<&'static str>,
    pub(super) has_no_beard: bool,
    pub(super) smiles: Option<bool>,
    pub(super) mouth_open: bool,
    pub(super) has_full_lips: bool,
    pub(super) is_blurry: bool,
}

impl Phrases {
    /// Puts facts into words.
    pub(super) fn new(facts: &[Fact], voice: Voice, choice: &mut Choice) -> Self {
        let said = |fact: Fact| facts.contains(&fact);
        let mut phrases = Self {
            has: has(&said, voice, choice),
            wears: wears(&said, choice),
            wears_no: [(NoGlasses, "glasses"), (NoHat, "hat")]
                .into_iter()
                .filter(|&(fact, _)| said(fact))
                .map(|(_, word)| word)
                .collect(),
            smiles: if said(NotSmiling) { Some(false) } else { said(Smiling).then_some(true) },
            mouth_open: said(MouthOpen),
            has_full_lips: said(FullLips),
            is_blurry: said(Blurry),
            ..Self::default()
        };
        if said(NoBeard) && choice.chance(0.5) {
            phrases.adjectives.push("clean-shaven");
        } else {
            phrases.has_no_beard = said(NoBeard);
        }
        if said(Young) {
            phrases.adjectives.push("young");
        } else if said(Elderly) {
            phrases.adjectives.push(choice.pick(&["older", "elderly"]));
        } else if said(Older) {
            phrases.adjectives.push("older");
        }
        if said(Bald) {
            phrases.adjectives.push("bald");
        }
        phrases
    }
}

/// What the face has, top to bottom; sometimes in another order, with the hair still first or last.
fn has(said: &impl Fn(Fact) -> bool, voice: Voice, choice: &mut Choice) -> Vec<String> {
    let hair = hair(said, voice, choice);
    let mut below: Vec<String> = eyes(said, voice, choice);
    below.extend(features(said, choice));
    let facial = [
        (Beard, "a beard"),
        (Goatee, "a goatee"),
        (Mustache, "a mustache"),
        (Sideburns, "sideburns"),
        (Stubble, choice.pick(&["stubble", "stubble", "a five o'clock shadow"])),
    ];
    let facial: Vec<String> =
        facial.into_iter().filter(|&(fact, _)| said(fact)).map(|(_, text)| text.into()).collect();
    if choice.chance(0.4) {
        choice.shuffle(&mut below);
    }
    // Hair and beard together read better than a beard at the end of a long list.
    let mut has = hair;
    has.extend(facial);
    if choice.chance(0.15) {
        below.append(&mut has);
        return below;
    }
    has.append(&mut below);
    has
}

fn hair(said: &impl Fn(Fact) -> bool, voice: Voice, choice: &mut Choice) -> Vec<String> {
    let blond = match voice {
        Voice::Woman => choice.pick(&["blond", "blonde"]),
        Voice::Man | Voice::Person => "blond",
    };
    let colors = [(Black, "black"), (Blond, blond), (Brown, "brown"), (Gray, "gray")];
    let colors: Vec<_> =
        colors.into_iter().filter(|&(fact, _)| said(fact)).map(|(_, word)| word).collect();
    let texture = [(Straight, "straight"), (Wavy, "wavy")];
    let mut words: Vec<String> = texture
        .into_iter()
        .filter(|&(fact, _)| said(fact))
        .map(|(_, word)| word.to_owned())
        .collect();
    if !colors.is_empty() {
        words.push(list(&colors, "and"));
    }
    let mut items = Vec::new();
    if !words.is_empty() {
        items.push(format!("{} hair", words.join(" ")));
    }
    if said(Bangs) {
        items.push("bangs".to_owned());
    }
    if said(RecedingHairline) {
        items.push("a receding hairline".to_owned());
    }
    items
}

fn eyes(said: &impl Fn(Fact) -> bool, voice: Voice, choice: &mut Choice) -> Vec<String> {
    let bushy = choice.pick(&["thick", "bushy"]);
    let mut items: Vec<String> =
        adjectives(said, &[(BushyEyebrows, bushy), (ArchedEyebrows, "arched")], "eyebrows")
            .into_iter()
            .collect();
    if said(NarrowEyes) {
        items.push("narrow eyes".to_owned());
    }
    if said(BagsUnderEyes) {
        let whose = choice.pick(&["the", voice.possessive()]);
        items.push(format!("bags under {whose} eyes"));
    }
    items
}

fn features(said: &impl Fn(Fact) -> bool, choice: &mut Choice) -> Vec<String> {
    let big = choice.pick(&["big", "large"]);
    let pointy = choice.pick(&["pointed", "pointy"]);
    let full = choice.pick(&["full", "chubby"]);
    let mut items = Vec::new();
    if let Some(nose) = adjectives(said, &[(BigNose, big), (PointyNose, pointy)], "nose") {
        items.push(format!("a {nose}"));
    }
    if said(FullLips) {
        items.push("full lips".to_owned());
    }
    items.extend(adjectives(said, &[(FullCheeks, full), (RosyCheeks, "rosy")], "cheeks"));
    let rest = [
        (HighCheekbones, "high cheekbones"),
        (OvalFace, "an oval face"),
        (PaleSkin, choice.pick(&["pale skin", "a pale complexion"])),
        (DoubleChin, "a double chin"),
    ];
    items.extend(rest.into_iter().filter(|&(fact, _)| said(fact)).map(|(_, text)| text.to_owned()));
    items
}

/// The noun behind those adjectives that are said, or nothing.
fn adjectives(said: &impl Fn(Fact) -> bool, words: &[(Fact, &str)], noun: &str) -> Option<String> {
    let mut words: Vec<&str> =
        words.iter().filter(|(fact, _)| said(*fact)).map(|&(_, word)| word).collect();
    if words.is_empty() {
        return None;
    }
    words.push(noun);
    Some(words.join(" "))
}

fn wears(said: &impl Fn(Fact) -> bool, choice: &mut Choice) -> Vec<&'static str> {
    let items = [
        (Eyeglasses, choice.pick(&["glasses", "eyeglasses"])),
        (Hat, "a hat"),
        (Earrings, "earrings"),
        (Necklace, "a necklace"),
        (Necktie, choice.pick(&["a tie", "a necktie"])),
        (HeavyMakeup, "heavy makeup"),
        (Lipstick, "lipstick"),
    ];
    let mut items: Vec<_> =
        items.into_iter().filter(|&(fact, _)| said(fact)).map(|(_, text)| text).collect();
    if choice.chance(0.3) {
        choice.shuffle(&mut items);
    }
    items
}
