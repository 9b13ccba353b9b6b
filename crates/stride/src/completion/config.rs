//! What a completion knows of a data set: its attributes, how they are told, and which of them go together.

use serde::{Deserialize, Serialize};
use thiserror::Error;

use super::choice::Choice;
use crate::bounds::MAX_WIDTH;
use crate::text::{QueryTextConfig, TextEncoderConfigError};
use crate::tokenizer::{MAX_LENGTH, Vocabulary};

/// Most examples that a completion may have.
const MAX_EXAMPLES: usize = 1 << 16;

/// The contents of `completion/config.json`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CompletionConfig {
    /// The text encoder that reads prompts.
    pub text_encoder: QueryTextConfig,
    /// One for every query of the text encoder, in their order.
    pub attributes: Vec<CompletedAttribute>,
    /// Images of the training data: the place of the value of every attribute.
    pub examples: Vec<Vec<usize>>,
}

/// An attribute, its values, and how a prompt tells each of them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CompletedAttribute {
    /// Its name, such as `hair_color`.
    pub name: String,
    /// Its values, such as `black` and `red`; at least two.
    pub values: Vec<String>,
    /// A phrase for each value, such as `black hair`; empty where nothing needs to be said. The name of another attribute in
    /// braces stands for the phrase of that attribute's value, as in `black {garment}`.
    pub phrases: Vec<String>,
}

/// Why prompts cannot be completed so.
#[derive(Debug, Error)]
pub enum CompletionError {
    /// A part does not fit the others.
    #[error("{field}: expected {expected}, found {found}")]
    Mismatch {
        /// The part.
        field: String,
        /// What it must be.
        expected: String,
        /// What it is.
        found: String,
    },
    /// The text encoder's sizes do not fit together.
    #[error(transparent)]
    TextEncoder(#[from] TextEncoderConfigError),
}

impl CompletionConfig {
    /// Checks that the parts fit each other and the vocabulary.
    ///
    /// # Errors
    /// Names the field that does not fit.
    pub fn validate(&self, vocabulary: &Vocabulary) -> Result<(), CompletionError> {
        let check = |holds: bool, field: String, expected: String, found: String| {
            if holds { Ok(()) } else { Err(CompletionError::Mismatch { field, expected, found }) }
        };
        let count = self.attributes.len();
        let text_encoder = &self.text_encoder;
        let (rows, end) = (vocabulary.len(), vocabulary.end_row() as usize);
        for (name, found, expected) in [
            ("vocab_size", text_encoder.vocab_size, rows),
            ("eos_token_id", text_encoder.eos_token_id, end),
            ("num_queries", text_encoder.num_queries, count),
            ("max_position_embeddings", text_encoder.max_position_embeddings, MAX_LENGTH),
        ] {
            let field = format!("text_encoder.{name}");
            check(found == expected, field, expected.to_string(), found.to_string())?;
        }
        text_encoder.validate()?;
        for attribute in &self.attributes {
            let field = |part: &str| format!("{part} of {}", attribute.name);
            let values = attribute.values.len();
            let expected = format!("2 to {MAX_WIDTH} of them");
            let fits = (2..=MAX_WIDTH).contains(&values);
            check(fits, field("values"), expected, values.to_string())?;
            let phrases = attribute.phrases.len();
            let expected = format!("one for each of {values} values");
            check(phrases == values, field("phrases"), expected, phrases.to_string())?;
            for phrase in &attribute.phrases {
                let others = self.attributes.iter().filter(|other| other.name != attribute.name);
                let rest =
                    others.fold(phrase.clone(), |rest, other| rest.replace(&braced(other), ""));
                let expected = "names of other attributes in braces".to_owned();
                check(!rest.contains(['{', '}']), field("phrases"), expected, phrase.clone())?;
            }
        }
        let examples = self.examples.len();
        let expected = format!("1 to {MAX_EXAMPLES} of them");
        let fits = (1..=MAX_EXAMPLES).contains(&examples);
        check(fits, "examples".to_owned(), expected, examples.to_string())?;
        let is_example = |example: &&Vec<usize>| {
            let values = example.iter().zip(&self.attributes);
            example.len() == count && values.into_iter().all(|(&at, of)| at < of.values.len())
        };
        let wrong = self.examples.iter().find(|example| !is_example(example));
        let found = format!("{:?}", wrong.map_or(&[][..], |example| example));
        let expected = "the place of a value of every attribute in each".to_owned();
        check(wrong.is_none(), "examples".to_owned(), expected, found)
    }

    /// The phrases for the values that were left open; none twice, alone and as a part of another.
    pub(super) fn phrases(&self, choices: &[Choice]) -> Vec<String> {
        let pairs = || self.attributes.iter().zip(choices);
        let own = |(attribute, choice): (&CompletedAttribute, &Choice)| {
            attribute.phrases[choice.value].clone()
        };
        let open = pairs().filter(|(_, choice)| choice.is_open);
        let said: Vec<String> = open.clone().map(own).collect();
        let is_part = |of: &CompletedAttribute| said.iter().any(|text| text.contains(&braced(of)));
        let whole = open.filter(|(attribute, _)| !is_part(attribute)).map(own);
        let filled = whole.map(|phrase| {
            let fill = |text: String, pair: (&CompletedAttribute, _)| {
                text.replace(&braced(pair.0), &own(pair))
            };
            pairs().fold(phrase, fill).trim().to_owned()
        });
        filled.filter(|phrase| !phrase.is_empty()).collect()
    }
}

/// How a phrase names an attribute.
fn braced(attribute: &CompletedAttribute) -> String {
    format!("{{{}}}", attribute.name)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn config() -> CompletionConfig {
        let attribute = |name: &str, phrases: [&str; 2]| CompletedAttribute {
            name: name.to_owned(),
            values: vec!["0".to_owned(), "1".to_owned()],
            phrases: phrases.map(str::to_owned).to_vec(),
        };
        CompletionConfig {
            text_encoder: QueryTextConfig {
                vocab_size: 49_408,
                num_queries: 3,
                eos_token_id: 49_407,
                ..QueryTextConfig::default()
            },
            attributes: vec![
                attribute("hat", ["", "beanie"]),
                attribute("color", ["red {hat}", "blue {hat}"]),
                attribute("eyes", ["", "wink"]),
            ],
            examples: vec![vec![0, 1, 0], vec![1, 1, 1]],
        }
    }

    #[test]
    fn a_phrase_takes_in_that_of_another_attribute() {
        let config = config();
        config.validate(&Vocabulary::full()).unwrap();
        let phrases = |choices: [(usize, bool); 3]| {
            config.phrases(&choices.map(|(value, is_open)| Choice { value, is_open }))
        };
        assert_eq!(phrases([(1, true), (0, true), (1, true)]), ["red beanie", "wink"]);
        // A hat that the prompt tells gets its color; one whose color it tells gets its kind.
        assert_eq!(phrases([(1, false), (1, true), (0, true)]), ["blue beanie"]);
        assert_eq!(phrases([(1, true), (1, false), (1, false)]), ["beanie"]);
        assert!(phrases([(1, false); 3]).is_empty());
    }

    #[test]
    fn parts_that_do_not_fit_are_named() {
        let refused = |change: &dyn Fn(&mut CompletionConfig)| {
            let mut config = config();
            change(&mut config);
            config.validate(&Vocabulary::full()).unwrap_err().to_string()
        };
        for (message, expected) in [
            (refused(&|c| c.attributes.clear()), "text_encoder.num_queries: expected 0, found 3"),
            (refused(&|c| c.text_encoder.vocab_size = 5), "vocab_size: expected 49408, found 5"),
            (refused(&|c| drop(c.attributes[0].values.pop())), "values of hat: expected 2 to"),
            (refused(&|c| drop(c.attributes[1].phrases.pop())), "phrases of color"),
            (refused(&|c| c.attributes[1].phrases[0] = "{shoe}".to_owned()), "found {shoe}"),
            (refused(&|c| c.attributes[0].phrases[0] = "{hat}".to_owned()), "found {hat}"),
            (refused(&|c| c.examples.clear()), "examples: expected 1 to"),
            (refused(&|c| c.examples[1][2] = 2), "found [1, 1, 2]"),
            (refused(&|c| c.examples[0].truncate(2)), "found [0, 1]"),
        ] {
            assert!(message.contains(expected), "{message}");
        }
    }
}
