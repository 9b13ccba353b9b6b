//! Captions as people type prompts: a list of things, a phrase, words in a row, or a few sentences.
//!
//! What is told comes from the attributes, so that a caption is true however it is typed.

mod noise;
mod parts;

use crate::attributes::{Attributes, Gender, Hair, Style};
use crate::caption::{Choice, Length, choose_topics};
use crate::clause::with_article;
use crate::draw::Draw;
use crate::lexicon::filler::STYLES;
use crate::lexicon::people::{ANYONE, Age, MEN, WOMEN};
use crate::lexicon::words;
use crate::palette::HairColor;
use parts::{Part, Role, parts, without_article};

/// How the parts of a caption are joined.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Form {
    /// "blonde woman, blue shirt, red background".
    List,
    /// "a blonde woman in a blue shirt on a red background".
    Phrase,
    /// "blonde woman blue shirt red background".
    Row,
    /// "A blonde woman. She wears a blue shirt. The background is red."
    Sentences,
}

/// Words `a` as people type prompts.
pub(crate) fn typed(a: &Attributes, draw: &mut Draw, length: Length, choice: Choice) -> String {
    let topics = choose_topics(a, draw, length, choice);
    let told: Vec<Part> =
        topics.into_iter().flat_map(|topic| parts(topic, a, draw, length)).collect();
    let form = draw.weighted(&[
        (Form::List, 42),
        (Form::Phrase, 36),
        (Form::Row, 10),
        (Form::Sentences, if told.len() > 2 { 12 } else { 0 }),
    ]);
    let is_anonymous = length != Length::Complete && !told.is_empty() && draw.chance(8);
    // "red hair", "sunglasses, hat"
    let is_without_person = is_anonymous
        && form == Form::List
        && told.iter().all(|part| part.role != Role::Front)
        && draw.chance(50);
    let (person, mut rest) = if is_without_person {
        (None, told)
    } else {
        let (person, rest) = person(a, draw, form, told, is_anonymous);
        (Some(person), rest)
    };
    draw.shuffle(&mut rest);
    // The background usually comes last.
    if draw.chance(70) {
        rest.sort_by_key(|part| part.role == Role::Place);
    }
    let opener = (person.is_some() && draw.chance(22)).then(|| noise::opener(draw));
    let text = match form {
        Form::List => list(person, &rest, opener.is_some(), draw),
        Form::Row => row(person, &rest),
        Form::Phrase => phrase(person.unwrap_or_default(), rest, draw),
        Form::Sentences => sentences(person.unwrap_or_default(), rest, a, is_anonymous, draw),
    };
    let text = match opener {
        Some(opener) => format!("{opener} {text}"),
        None => text,
    };
    let text = with_style(a, draw, length, form, opener.is_some(), text);
    noise::as_typed(text, draw)
}

/// The person with the adjectives before the noun, and the parts that are told behind it.
fn person(
    a: &Attributes,
    draw: &mut Draw,
    form: Form,
    told: Vec<Part>,
    is_anonymous: bool,
) -> (String, Vec<Part>) {
    let most = if form == Form::Phrase { 2 } else { draw.below(3) };
    let (mut before, mut behind) = (vec![], vec![]);
    for part in told {
        let is_before = match part.role {
            Role::Front => true,
            Role::Adjective => before.len() < most,
            _ => false,
        };
        if is_before { before.push(part) } else { behind.push(part) }
    }
    // "a smiling bald white man": what only stands before a noun is next to it.
    before.sort_by_key(|part| part.role == Role::Front);
    let mut words: Vec<String> = before.into_iter().map(|part| part.text).collect();
    if draw.chance(12) {
        words.insert(0, noise::empty_adjective(draw).to_owned());
    }
    words.push(noun(a, draw, is_anonymous).to_owned());
    (words.join(" "), behind)
}

/// A word for the person, by the age that hair and beard leave possible.
fn noun(a: &Attributes, draw: &mut Draw, is_anonymous: bool) -> &'static str {
    let is_gray = a.hair_color_visible() && a.hair_color == HairColor::Gray;
    let is_young = !is_gray && a.hair != Hair::Bald && a.facial_hair.is_none();
    let age = draw.weighted(&[
        (Age::Any, 70),
        (Age::Young, if is_young { 20 } else { 0 }),
        (Age::Old, if is_gray { 30 } else { 0 }),
    ]);
    let (table, plain) = match a.gender {
        _ if is_anonymous => (ANYONE, "person"),
        Gender::Man => (MEN, "man"),
        Gender::Woman => (WOMEN, "woman"),
    };
    // The plainest word is the most frequent one.
    if age == Age::Any && draw.chance(35) { plain } else { draw.pick(words(table, age)) }
}

fn list(person: Option<String>, rest: &[Part], has_opener: bool, draw: &mut Draw) -> String {
    let separator = draw.weighted(&[(", ", 84), (" / ", 4), ("; ", 4), (". ", 4), (" + ", 4)]);
    let rest = rest.iter().map(|part| without_article(&part.text).to_owned());
    let mut items: Vec<String> = person.into_iter().chain(rest).collect();
    // Now and then the person is not what is typed first.
    if !has_opener && draw.chance(12) {
        let last = items.len() - 1;
        items.swap(0, last);
    }
    items.join(separator)
}

fn row(person: Option<String>, rest: &[Part]) -> String {
    let mut text = person.unwrap_or_default();
    for part in rest {
        text.push(' ');
        text.push_str(without_article(&part.text));
        // "in red glasses" would tell of the glasses.
        if part.role == Role::Doing && rest.last() != Some(part) {
            text.push(',');
        }
    }
    text
}

/// The person, and behind it the parts grouped by the word that ties them to it.
fn phrase(person: String, mut rest: Vec<Part>, draw: &mut Draw) -> String {
    let has_articles = draw.chance(60);
    let mut text = if has_articles { with_article(&person) } else { person };
    let mut order = [Role::Adjective, Role::Has, Role::Worn, Role::Doing];
    draw.shuffle(&mut order[1..]);
    let place = |role| order.iter().position(|of| *of == role).unwrap_or(order.len());
    rest.sort_by_key(|part| place(part.role));
    let mut last = None;
    for Part { role, text: part } in rest {
        let part = if has_articles { part.as_str() } else { without_article(&part) };
        let joined = if last == Some(role) {
            if draw.chance(70) { " and " } else { ", " }
        } else {
            match role {
                Role::Has => " with ",
                Role::Worn => draw.weighted(&[(" wearing ", 45), (" in ", 35), (" with ", 20)]),
                Role::Doing => draw.pick(&[", ", " "]),
                Role::Place => draw.pick(&[" on ", " against ", " with ", ", "]),
                Role::Adjective | Role::Front => ", ",
            }
        };
        text.push_str(joined);
        if role == Role::Place && has_articles {
            text.push_str(&with_article(part));
        } else {
            text.push_str(part);
        }
        last = Some(role);
    }
    text
}

/// A phrase of the first parts, and a sentence for each of the others.
fn sentences(
    person: String,
    mut rest: Vec<Part>,
    a: &Attributes,
    is_anonymous: bool,
    draw: &mut Draw,
) -> String {
    let later = rest.split_off(draw.below(3).min(rest.len()));
    let mut text = phrase(person, rest, draw);
    let (pronoun, is, has, wears) = match a.gender {
        _ if is_anonymous => ("they", "are", "have", "wear"),
        Gender::Man => ("he", "is", "has", "wears"),
        Gender::Woman => ("she", "is", "has", "wears"),
    };
    for Part { role, text: part } in later {
        let sentence = match role {
            Role::Has => format!("{pronoun} {has} {part}"),
            Role::Worn if draw.chance(40) => format!("{pronoun} {is} wearing {part}"),
            Role::Worn => format!("{pronoun} {wears} {part}"),
            Role::Place => match part.strip_suffix(" background") {
                Some(color) => format!("the background is {color}"),
                None => format!("there is {}", with_article(&part)),
            },
            Role::Adjective | Role::Doing | Role::Front => format!("{pronoun} {is} {part}"),
        };
        text.push_str(". ");
        text.push_str(&noise::capitalized(&sentence));
    }
    text.push('.');
    text
}

fn with_style(
    a: &Attributes,
    draw: &mut Draw,
    length: Length,
    form: Form,
    has_opener: bool,
    text: String,
) -> String {
    let percent = match length {
        Length::Complete => 100,
        Length::Full => 60,
        Length::Medium => 40,
        Length::Short | Length::Tiny => 20,
    };
    if !draw.chance(percent) {
        return text;
    }
    let style = draw.pick(words(STYLES, a.style));
    let name = match a.style {
        Style::Flat => "flat",
        Style::Toon => "toon",
    };
    match (form, draw.below(4)) {
        (Form::Sentences, _) => format!("{name} style. {}", noise::capitalized(&text)),
        (Form::Phrase, 0) if !has_opener => format!("{name} avatar of {text}"),
        (Form::Phrase, 1) if !has_opener => format!("{name} portrait of {text}"),
        (Form::Row, _) => format!("{style} {text}"),
        (_, 0 | 1) => format!("{style}, {text}"),
        _ => format!("{text}, {style}"),
    }
}
