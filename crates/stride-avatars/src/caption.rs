//! Captions of an image, worded from its attributes.
//!
//! A caption is a noun ("a man") with up to two adjectives in front and clauses behind.
//! Which attributes are told, in which order and in which words is drawn at random; what
//! is told is always true, because the words come from the attributes.

use crate::attributes::{Attributes, Gender, Hair, Style};
use crate::clause::{Clause, Link, Topic, clause, topics, with_article};
use crate::draw::Draw;

/// Words `a` as a sentence.
pub(crate) fn sentence(a: &Attributes, draw: &mut Draw, length: Length, choice: Choice) -> String {
    let chosen = choose_topics(a, draw, length, choice);
    let short = chosen.len() <= 2;
    let clauses: Vec<Clause> =
        chosen.into_iter().map(|topic| clause(topic, a, draw, short)).collect();

    let (adjectives, clauses) = split_adjectives(clauses);
    // "A person" hides the gender, and alone it tells nothing.
    let bare = clauses.is_empty() && adjectives.is_empty();
    let anonymous = length != Length::Complete && !bare && draw.chance(7);
    let subject = subject(a, draw, &adjectives, anonymous);
    let mut text = arrange(draw, subject, clauses);
    add_style(a, draw, length, &mut text);
    finish(draw, length, text)
}

/// How much a caption tells.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Length {
    /// Every attribute, gender and style included.
    Complete,
    /// Every attribute; gender and style may be left out.
    Full,
    /// Three to five attributes.
    Medium,
    /// Two attributes.
    Short,
    /// One attribute.
    Tiny,
}

/// What a caption that does not tell everything tells.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Choice {
    /// Any of it.
    Random,
    /// All that is rare, then any of the rest.
    RareFirst,
}

/// What a caption of that length tells, in a random order.
pub(crate) fn choose_topics(
    a: &Attributes,
    draw: &mut Draw,
    length: Length,
    choice: Choice,
) -> Vec<Topic> {
    let mut seen = topics(a);
    draw.shuffle(&mut seen);
    let rare = |topic: &Topic| choice == Choice::RareFirst && is_rare(*topic, a);
    seen.sort_by_key(|topic| !rare(topic));
    let num_rare = seen.iter().filter(|topic| rare(topic)).count();
    let count = match length {
        Length::Complete | Length::Full => seen.len(),
        Length::Medium => 3 + draw.below(3),
        Length::Short => 2,
        Length::Tiny => 1,
    };
    seen.truncate(count.max(num_rare));
    // What is absent is told now and then, in place of nothing else.
    if draw.chance(if length == Length::Tiny { 6 } else { 10 }) {
        let absent = absences(a);
        if !absent.is_empty() {
            let absence = draw.pick(&absent);
            if length == Length::Tiny && num_rare == 0 {
                seen.clear();
            }
            seen.push(absence);
        }
    }
    seen
}

/// Whether few people show what the topic would tell.
pub(crate) fn is_rare(topic: Topic, a: &Attributes) -> bool {
    match topic {
        Topic::Headwear | Topic::FacialHair | Topic::Eyewear | Topic::Eyes => true,
        Topic::Hair => a.hair == Hair::Bald,
        _ => false,
    }
}

fn absences(a: &Attributes) -> Vec<Topic> {
    let mut absent = vec![];
    if a.eyewear.is_none() {
        absent.push(Topic::NoGlasses);
    }
    if a.gender == Gender::Man && a.facial_hair.is_none() {
        absent.push(Topic::NoBeard);
    }
    if a.headwear.is_none() {
        absent.push(Topic::NoHat);
    }
    absent
}

/// Moves up to two adjectives before the noun; further ones take their other wording.
fn split_adjectives(clauses: Vec<Clause>) -> (Vec<String>, Vec<Clause>) {
    let mut adjectives: Vec<Clause> = vec![];
    let mut rest = vec![];
    for clause in clauses {
        if clause.adjective.is_some() && adjectives.len() < 2 {
            adjectives.push(clause);
        } else {
            rest.push(clause);
        }
    }
    // "a smiling bald man": what somebody does comes before what somebody is.
    adjectives.sort_by_key(|clause| clause.link != Link::Doing);
    (adjectives.into_iter().filter_map(|clause| clause.adjective).collect(), rest)
}

fn subject(a: &Attributes, draw: &mut Draw, adjectives: &[String], anonymous: bool) -> String {
    let noun = match a.gender {
        _ if anonymous => "person",
        Gender::Man => draw.weighted(&[("man", 70), ("guy", 15), ("gentleman", 9), ("male", 6)]),
        Gender::Woman => draw.weighted(&[("woman", 72), ("lady", 18), ("female", 10)]),
    };
    let mut words = adjectives.to_vec();
    words.push(noun.to_owned());
    with_article(&words.join(" "))
}

/// Joins the subject and the clauses, in a random order, into one phrase.
fn arrange(draw: &mut Draw, subject: String, mut clauses: Vec<Clause>) -> String {
    draw.shuffle(&mut clauses);
    let grouped = draw.chance(60);
    if grouped {
        let mut order = [Link::With, Link::Wearing, Link::In, Link::Doing, Link::Without];
        draw.shuffle(&mut order);
        clauses.sort_by_key(|clause| order.iter().position(|link| *link == clause.link));
    }
    // The background usually closes the sentence, and sometimes opens it.
    let mut opening = None;
    if let Some(at) = clauses.iter().position(|clause| clause.link == Link::Place) {
        let place = clauses.remove(at);
        match draw.below(10) {
            0 => opening = Some(place.text),
            1 | 2 => clauses.insert(draw.below(clauses.len() + 1), place),
            _ => clauses.push(place),
        }
    }
    let mut groups: Vec<(Link, Vec<String>)> = vec![];
    for clause in clauses {
        match groups.last_mut() {
            Some((link, texts)) if *link == clause.link => texts.push(clause.text),
            _ => groups.push((clause.link, vec![clause.text])),
        }
    }
    // Without the comma, "in a jacket with a blue background" would tell of the jacket.
    let misread = groups.iter().any(|(link, texts)| {
        *link == Link::Place && texts.iter().any(|text| text.starts_with("with "))
    });
    let commas = groups.len() > 2 || (misread && groups.len() > 1) || draw.chance(25);
    let mut text = subject;
    for (at, (link, texts)) in groups.iter().enumerate() {
        text.push_str(if at > 0 && commas { ", " } else { " " });
        text.push_str(link.word());
        text.push_str(&enumerate(texts, *link));
    }
    match opening {
        Some(place) => format!("{place}, {text}"),
        None => text,
    }
}

fn enumerate(texts: &[String], link: Link) -> String {
    let last_word = if link == Link::Without { " or " } else { " and " };
    match texts {
        [] => String::new(),
        [one] => one.clone(),
        [first @ .., last] => format!("{}{last_word}{last}", first.join(", ")),
    }
}

fn add_style(a: &Attributes, draw: &mut Draw, length: Length, text: &mut String) {
    let word = match a.style {
        Style::Flat => "flat",
        Style::Toon => "toon",
    };
    let percent = match length {
        Length::Complete => 100,
        Length::Full => 60,
        Length::Medium => 45,
        Length::Short | Length::Tiny => 30,
    };
    if draw.chance(percent) {
        *text = match draw.below(5) {
            0 => format!("a {word} style portrait of {text}"),
            1 => format!("a {word} avatar of {text}"),
            2 => format!("{text}, {word} style"),
            3 => format!("{text}, in {word} style"),
            _ => format!("{word} style, {text}"),
        };
    } else if draw.chance(12) {
        let kind = draw.pick(&["a portrait of", "an avatar of", "a picture of"]);
        *text = format!("{kind} {text}");
    }
}

fn finish(draw: &mut Draw, length: Length, mut text: String) -> String {
    if draw.chance(10) {
        for article in ["a ", "an "] {
            if let Some(rest) = text.strip_prefix(article) {
                text = rest.to_owned();
                break;
            }
        }
    } else if let Some(first) = text.get(..1) {
        text = first.to_uppercase() + &text[1..];
    }
    if matches!(length, Length::Complete | Length::Full) || draw.chance(20) {
        text.push('.');
    }
    text
}
