//! English captions from CelebA's forty attributes.
//!
//! CelebA has attributes, not sentences. This grammar puts them into varied words: a first caption
//! with everything, then shorter ones that each leave something out. It adds nothing: no length of
//! hair, no colour of eyes, no mood, since no attribute is about them.
//!
//! Attributes were annotated one by one and contradict each other on some faces. The rules:
//!
//! 1. Bald: nothing else is said about the hair.
//! 2. Two colours of hair are both named ("brown and gray hair"); of three or four, none.
//! 3. Hair that is both straight and wavy is called neither.
//! 4. Bangs hide the hairline: with them, a receding one is not named.
//! 5. Goatee, mustache, sideburns and five o'clock shadow override `No_Beard`. A beard is named
//!    where `No_Beard` is absent, unless goatee or stubble is more precise.
//! 6. Facial hair is told of men only: elsewhere its attributes are nearly always errors.
//! 7. Not young is "older"; with gray hair also "elderly". Not male is "woman"; some captions say
//!    "person" and "they", and leave the gender open.
//! 8. `Attractive` is never told: it is the taste of a few annotators, not something visible, and a
//!    model should not learn it. Big lips are "full lips", chubby faces have "full" or "chubby" cheeks.
//! 9. Absence is told rarely, and only of beard, glasses, hat and smile, which a reader would
//!    otherwise leave open; never in the first caption.
//!
//! A caption fits CLIP's 77 tokens. If everything does not fit, the tersest wording is used; if even
//! that is too long, the first caption leaves out the least important facts.

mod choice;
mod english;
mod fact;
mod frame;
mod length;
mod wording;

use stride::noise::{keyed_rng, purpose};

use crate::CelebaAttributes;
use choice::Choice;
use english::Voice;
use fact::{Fact, facts, negations};
use frame::{Frame, caption};
use length::clip_tokens;
use wording::Phrases;

/// CLIP's longest caption in tokens, start and end included.
const MAX_TOKENS: usize = 77;

/// Attempts at a caption that differs from all earlier ones; after that the grammar counts as exhausted.
const MAX_DRAWS: usize = 100;

const FRAMES: [Frame; 5] =
    [Frame::Phrase, Frame::Phrase, Frame::Sentences, Frame::Sentences, Frame::WearingFirst];

/// Writes captions for faces from CelebA's attributes, by the rules above.
///
/// Words are drawn by a generator keyed by the seed, the image's name and the caption's index, so that
/// the captions of an image depend on no other image, and fewer captions are the first of more.
#[derive(Clone, Copy, Debug)]
pub struct CaptionWriter {
    seed: u64,
}

impl CaptionWriter {
    /// A writer whose choices depend on the seed.
    pub fn new(seed: u64) -> Self {
        Self { seed }
    }

    /// `count` different captions, or as many as the grammar can form for the face.
    ///
    /// The first tells everything that may be told, within CLIP's 77 tokens; none is longer. Each is
    /// one to three sentences or a noun phrase, with a capital and a full stop.
    pub fn write(&self, face: CelebaAttributes, name: &str, count: usize) -> Vec<String> {
        let name = name_key(name);
        let rng = |index: usize| keyed_rng(self.seed, purpose::CAPTION, name, index as u64);
        let mut captions: Vec<String> = Vec::new();
        for index in 0..count {
            let mut choice = Choice::Drawn(Box::new(rng(index)));
            let new = if index == 0 {
                Some(complete(face, &mut choice))
            } else {
                (0..MAX_DRAWS)
                    .map(|_| partial(face, &mut choice))
                    .find(|text| !captions.contains(text) && clip_tokens(text) <= MAX_TOKENS)
            };
            match new {
                Some(caption) => captions.push(caption),
                None => break,
            }
        }
        captions
    }
}

/// A caption with everything that may be told.
fn complete(face: CelebaAttributes, choice: &mut Choice) -> String {
    let voice = voice(face);
    let mut facts = facts(face);
    let phrases = Phrases::new(&facts, voice, choice);
    let drawn = caption(choice.pick(&FRAMES), phrases, voice, choice);
    if clip_tokens(&drawn) <= MAX_TOKENS {
        return drawn;
    }
    loop {
        let phrases = Phrases::new(&facts, voice, &mut Choice::Terse);
        let terse = caption(Frame::Phrase, phrases, voice, &mut Choice::Terse);
        if clip_tokens(&terse) <= MAX_TOKENS || facts.pop().is_none() {
            return terse;
        }
    }
}

/// A caption with some of what may be told, and rarely with what is absent.
fn partial(face: CelebaAttributes, choice: &mut Choice) -> String {
    let fraction = choice.pick(&[0.3_f64, 0.55, 0.85]);
    // The first fact is the age, which is told more often than the rest.
    let fraction_of = |index| if index == 0 { fraction.max(0.75) } else { fraction };
    let mut said: Vec<Fact> = facts(face)
        .into_iter()
        .enumerate()
        .filter(|&(index, _)| choice.chance(fraction_of(index)))
        .map(|(_, fact)| fact)
        .collect();
    // Absences only follow other facts.
    if said.len() >= 2 {
        said.extend(negations(face).into_iter().filter(|_| choice.chance(0.04)));
    }
    // "A person." alone would say nothing.
    let hides_gender = choice.chance(0.12) && said.len() >= 2;
    let voice = if hides_gender { Voice::Person } else { voice(face) };
    let phrases = Phrases::new(&said, voice, choice);
    caption(choice.pick(&FRAMES), phrases, voice, choice)
}

/// The key of a name for the random choices of its captions: 64-bit FNV-1a of its length and bytes.
///
/// Source: Fowler, Noll and Vo, "FNV hash" (draft-eastlake-fnv), 64-bit variant 1a.
fn name_key(name: &str) -> u64 {
    const OFFSET_BASIS: u64 = 0xcbf2_9ce4_8422_2325;
    const PRIME: u64 = 0x0000_0100_0000_01b3;
    let length = (name.len() as u64).to_le_bytes();
    let bytes = length.iter().chain(name.as_bytes());
    bytes.fold(OFFSET_BASIS, |key, &byte| (key ^ u64::from(byte)).wrapping_mul(PRIME))
}

fn voice(face: CelebaAttributes) -> Voice {
    if face.has("Male") { Voice::Man } else { Voice::Woman }
}
