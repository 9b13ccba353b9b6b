//! The prompts in people's own words, which judge models and never train them.

use std::collections::{BTreeMap, BTreeSet};

use serde::Deserialize;
use stride_avatars::{Distribution, PEOPLES_PROMPTS, Split};

/// A value, or several of which each will do.
#[derive(Deserialize)]
#[serde(untagged)]
enum Wanted {
    One(String),
    AnyOf(Vec<String>),
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Prompt {
    text: String,
    attributes: BTreeMap<String, Wanted>,
}

fn prompts() -> Vec<Prompt> {
    let parse = |line| serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}"));
    PEOPLES_PROMPTS.lines().map(parse).collect()
}

/// Every value of every attribute, as metadata has them.
fn known_values() -> BTreeSet<(&'static str, &'static str)> {
    (0..20_000)
        .flat_map(|index| Distribution::Flat.sample(1, index, Split::Train).to_map())
        .collect()
}

#[test]
fn every_prompt_asks_for_known_attributes() {
    let (prompts, known) = (prompts(), known_values());
    assert_eq!(prompts.len(), 200);
    let texts: BTreeSet<_> = prompts.iter().map(|prompt| prompt.text.to_lowercase()).collect();
    assert_eq!(texts.len(), prompts.len(), "a prompt stands twice");
    for Prompt { text, attributes } in &prompts {
        assert!(!attributes.is_empty(), "{text} asks for nothing");
        for (name, wanted) in attributes {
            let values = match wanted {
                Wanted::One(value) => std::slice::from_ref(value),
                Wanted::AnyOf(values) => values,
            };
            assert!(!values.is_empty(), "{text}: no value of {name} will do");
            for value in values {
                let is_known = known.contains(&(name.as_str(), value.as_str()));
                assert!(is_known, "{text}: {name} = {value} is not known");
            }
        }
    }
}

#[test]
fn prompts_ask_for_every_attribute_often_enough_to_judge_it() {
    let mut counts = BTreeMap::<String, usize>::new();
    for name in prompts().into_iter().flat_map(|prompt| prompt.attributes.into_keys()) {
        *counts.entry(name).or_default() += 1;
    }
    for (name, _) in known_values() {
        let count = counts.get(name).copied().unwrap_or_default();
        assert!(count >= 7, "{name} is asked for {count} times");
    }
}
