//! Sentences around phrases: one long noun phrase, or a sentence that goes on with a pronoun.

use super::choice::Choice;
use super::english::{Voice, list, sentence, with_article};
use super::wording::Phrases;

/// The form of a caption.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Frame {
    /// "A photo of a young man with brown hair, wearing a hat."
    Phrase,
    /// "This young man has brown hair. He is wearing a hat."
    Sentences,
    /// "Wearing a hat, this young man has brown hair."
    WearingFirst,
}

/// One caption.
pub(super) fn caption(frame: Frame, phrases: Phrases, voice: Voice, choice: &mut Choice) -> String {
    match frame {
        Frame::Phrase => phrase(phrases, voice, choice),
        Frame::Sentences => sentences(phrases, voice, choice, false),
        Frame::WearingFirst => sentences(phrases, voice, choice, true),
    }
}

fn phrase(mut phrases: Phrases, voice: Voice, choice: &mut Choice) -> String {
    if phrases.smiles == Some(true) {
        if choice.chance(0.2) {
            phrases.has.push("a smile".to_owned());
        } else {
            phrases.adjectives.insert(0, "smiling");
        }
    }
    // "A man with glasses" is as good as "a man wearing glasses".
    let (with, wears): (Vec<_>, Vec<_>) = phrases.wears.iter().partition(|_| choice.chance(0.25));
    phrases.has.extend(with.into_iter().map(str::to_owned));
    if phrases.mouth_open {
        let open = open_mouth(&phrases, choice);
        let whose = format!("{} mouth slightly open", voice.possessive());
        phrases.has.push(if choice.chance(0.5) { whose } else { open.to_owned() });
    }
    let mut without = phrases.wears_no.clone();
    if phrases.has_no_beard {
        without.push("beard");
    }

    let mut text = with_article(&noun(&phrases, voice));
    if !phrases.has.is_empty() {
        phrases.has.extend(without.iter().map(|word| format!("no {word}")));
        text.push_str(&format!(" with {}", list(&phrases.has, "and")));
    } else if !without.is_empty() {
        let without: Vec<_> = without.into_iter().map(indefinite).collect();
        text.push_str(&format!(" without {}", list(&without, "or")));
    }
    if !wears.is_empty() {
        let comma = if text.contains(" with") { "," } else { "" };
        text.push_str(&format!("{comma} wearing {}", list(&wears, "and")));
    }
    in_image(&text, &phrases, choice)
}

/// The phrase as it stands, or as what an image shows.
fn in_image(text: &str, phrases: &Phrases, choice: &mut Choice) -> String {
    if phrases.is_blurry {
        let openings = ["a blurry photo of", "a blurry picture of", "an out-of-focus photo of", ""];
        return match choice.pick(&openings) {
            "" => format!("{} The photo is blurry.", sentence(text)),
            opening => sentence(&format!("{opening} {text}")),
        };
    }
    let openings = ["", "", "", "a photo of ", "a picture of ", "a portrait of ", "this is "];
    sentence(&format!("{}{text}", choice.pick(&openings)))
}

fn sentences(
    mut phrases: Phrases,
    voice: Voice,
    choice: &mut Choice,
    wearing_first: bool,
) -> String {
    let mut doing = Vec::new();
    match (phrases.smiles, phrases.mouth_open) {
        (Some(true), true) => {
            doing.push(format!("smiling with {} mouth slightly open", voice.possessive()));
        }
        (Some(true), false) => doing.push("smiling".to_owned()),
        (_, true) => phrases.has.push(open_mouth(&phrases, choice).to_owned()),
        _ => {}
    }
    if phrases.has_no_beard {
        phrases.has.push("no beard".to_owned());
    }
    let mut not_worn = phrases.wears_no.clone();
    let mut opening = String::new();
    if !phrases.wears.is_empty() {
        let mut wearing = format!("wearing {}", list(&phrases.wears, "and"));
        if !not_worn.is_empty() {
            wearing.push_str(&format!(" but no {}", list(&not_worn, "or")));
            not_worn.clear();
        }
        // Without anything to follow, the opening would hang in the air.
        if wearing_first && !(phrases.has.is_empty() && doing.is_empty()) {
            opening = format!("{wearing}, ");
        } else {
            doing.push(wearing);
        }
    }
    let mut not_doing = Vec::new();
    if phrases.smiles == Some(false) {
        not_doing.push("not smiling".to_owned());
    }
    if !not_worn.is_empty() {
        let not_worn: Vec<_> = not_worn.into_iter().map(indefinite).collect();
        not_doing.push(format!("not wearing {}", list(&not_worn, "or")));
    }

    let subject = subject(&phrases, voice, choice, opening.is_empty());
    let mut acts = doing;
    acts.extend(not_doing);
    let is_short = phrases.has.len() == 1 && acts.len() == 1;
    let acts = list(&acts, "and");
    let mut text = if !phrases.has.is_empty() {
        let has = format!("{opening}{subject} has {}", list(&phrases.has, "and"));
        if acts.is_empty() {
            sentence(&has)
        } else if is_short && choice.chance(0.5) {
            sentence(&format!("{has} and is {acts}"))
        } else {
            format!("{} {}", sentence(&has), sentence(&format!("{} {acts}", voice.pronoun_is())))
        }
    } else if !acts.is_empty() {
        sentence(&format!("{opening}{subject} is {acts}"))
    } else {
        sentence(&format!("this is {}", with_article(&noun(&phrases, voice))))
    };
    // The subject may have said so, and may not have been needed.
    if phrases.is_blurry && !text.contains("blurry") {
        text.push_str(" The photo is blurry.");
    }
    text
}

/// Who the sentence is about, sometimes as part of the image.
fn subject(phrases: &Phrases, voice: Voice, choice: &mut Choice, may_name_image: bool) -> String {
    let noun = noun(phrases, voice);
    let image = choice.pick(&["photo", "picture"]);
    if !may_name_image || choice.chance(0.6) {
        return format!("this {noun}");
    }
    let blurry = if phrases.is_blurry { "blurry " } else { "" };
    format!("the {noun} in this {blurry}{image}")
}

fn noun(phrases: &Phrases, voice: Voice) -> String {
    let mut words = phrases.adjectives.clone();
    words.push(voice.noun());
    words.join(" ")
}

fn open_mouth(phrases: &Phrases, choice: &mut Choice) -> &'static str {
    // Lips are not named twice.
    let wordings = ["a slightly open mouth", "slightly parted lips"];
    choice.pick(&wordings[..if phrases.has_full_lips { 1 } else { 2 }])
}

/// What is not worn or grown, with its article.
fn indefinite(word: &str) -> String {
    if word.ends_with('s') { word.to_owned() } else { with_article(word) }
}
