//! How often images show what their captions name.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use stride::classifier::Attribute;

/// How often an attribute was named or asked for, and how often the image showed it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tally {
    /// Captions that name the attribute.
    pub named: usize,
    /// Images for these that show it.
    pub shown: usize,
}

/// An image that shows something else than its caption names.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Miss {
    /// The attribute.
    pub attribute: String,
    /// The value that the caption names; where it asks for one of several, all of them.
    pub wanted: String,
    /// The value that the classifier predicts.
    pub seen: String,
}

/// Attribute accuracy over captions and the images that were drawn for them.
///
/// An attribute counts where the caption says its value in the same words (`"black"` of `hair_color` in "a
/// black bob"), or its name where the value is `yes`. What a caption leaves out, or says in other words, an
/// image cannot get wrong. Words that name two attributes count for both.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct AttributeAccuracy {
    tallies: BTreeMap<String, Tally>,
}

impl Tally {
    /// The fraction that is shown, and its standard error; none if nothing was named.
    pub fn fraction(&self) -> Option<(f64, f64)> {
        let count = self.named as f64;
        let fraction = self.shown as f64 / count;
        (self.named > 0).then(|| (fraction, (fraction * (1.0 - fraction) / count).sqrt()))
    }

    fn join(&mut self, other: Self) {
        self.named += other.named;
        self.shown += other.shown;
    }
}

impl AttributeAccuracy {
    /// Counts an image: its caption, the values that are true of the caption, and the index of the value that a
    /// classifier predicts for each of its attributes. Returns what was missed.
    pub fn add(
        &mut self,
        caption: &str,
        values: &BTreeMap<String, String>,
        attributes: &[Attribute],
        labels: &[usize],
    ) -> Vec<Miss> {
        let words: Vec<String> = words(caption).collect();
        let named = values.iter().filter(|(name, value)| names(&words, name, value));
        let asked = named.map(|(name, value)| (name.clone(), vec![value.clone()])).collect();
        self.add_asked(&asked, attributes, labels)
    }

    /// Counts an image: the values of which each will do, by attribute, and the index of the value that a classifier
    /// predicts for each of its attributes. Returns what was missed.
    pub fn add_asked(
        &mut self,
        asked: &BTreeMap<String, Vec<String>>,
        attributes: &[Attribute],
        labels: &[usize],
    ) -> Vec<Miss> {
        let mut misses = Vec::new();
        for (attribute, &label) in attributes.iter().zip(labels) {
            let Some(wanted) = asked.get(&attribute.name) else { continue };
            let seen = attribute.values.get(label);
            let is_shown = seen.is_some_and(|seen| wanted.contains(seen));
            let tally = self.tallies.entry(attribute.name.clone()).or_default();
            tally.join(Tally { named: 1, shown: usize::from(is_shown) });
            if let (false, Some(seen)) = (is_shown, seen) {
                let (attribute, seen) = (attribute.name.clone(), seen.clone());
                misses.push(Miss { attribute, wanted: wanted.join(" or "), seen });
            }
        }
        misses
    }

    /// Joins the counts over two sets of images.
    pub fn merge(&mut self, other: &Self) {
        for (name, &tally) in &other.tallies {
            self.tallies.entry(name.clone()).or_default().join(tally);
        }
    }

    /// The counts of every attribute that was named.
    pub fn by_attribute(&self) -> impl Iterator<Item = (&str, Tally)> {
        self.tallies.iter().map(|(name, &tally)| (name.as_str(), tally))
    }

    /// The counts of all attributes together.
    pub fn total(&self) -> Tally {
        let mut total = Tally::default();
        self.tallies.values().for_each(|&tally| total.join(tally));
        total
    }
}

/// Whether a caption says a value, or the attribute's name where the value is `yes`.
fn names(caption: &[String], attribute: &str, value: &str) -> bool {
    let said = match value {
        "none" | "no" => return false,
        "yes" => attribute,
        value => value,
    };
    let said: Vec<String> = words(said).collect();
    !said.is_empty() && caption.windows(said.len()).any(|part| part == said)
}

/// The words of a text in small letters; hyphens and underscores part words.
fn words(text: &str) -> impl Iterator<Item = String> {
    let parts = text.split(|c: char| !c.is_alphanumeric()).filter(|part| !part.is_empty());
    parts.map(str::to_lowercase)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn attribute(name: &str, values: &[&str]) -> Attribute {
        let values = values.iter().map(|&value| value.to_owned()).collect();
        Attribute { name: name.to_owned(), values }
    }

    fn known(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
        pairs.iter().map(|&(name, value)| (name.to_owned(), value.to_owned())).collect()
    }

    #[test]
    fn only_what_a_caption_names_can_be_missed() {
        let attributes = [
            attribute("Eyeglasses", &["no", "yes"]),
            attribute("garment", &["hoodie", "t-shirt"]),
            attribute("hair", &["bob", "short wavy"]),
            attribute("hair_color", &["black", "red"]),
        ];
        let values = known(&[
            ("Eyeglasses", "yes"),
            ("garment", "t-shirt"),
            ("hair", "short wavy"),
            ("hair_color", "black"),
            ("skin", "tan"),
        ]);
        let mut accuracy = AttributeAccuracy::default();
        let caption = "A lady with short, wavy hair and eyeglasses in a red T-shirt.";
        // The colour is not named, and skin is no attribute of the classifier.
        let misses = accuracy.add(caption, &values, &attributes, &[1, 0, 1, 1]);
        let missed = Miss {
            attribute: "garment".to_owned(),
            wanted: "t-shirt".to_owned(),
            seen: "hoodie".to_owned(),
        };
        assert_eq!(misses, [missed]);
        assert_eq!(accuracy.total(), Tally { named: 3, shown: 2 });
        let without = known(&[("Eyeglasses", "no"), ("hair", "none")]);
        assert!(accuracy.add("no eyeglasses, none", &without, &attributes, &[1; 4]).is_empty());
        assert_eq!(accuracy.total().named, 3);
    }

    #[test]
    fn counts_join_and_fractions_have_errors() {
        let attributes = [attribute("gender", &["man", "woman"])];
        let values = known(&[("gender", "man")]);
        let mut all = AttributeAccuracy::default();
        for labels in [[0], [0], [1], [0]] {
            let mut one = AttributeAccuracy::default();
            one.add("a man", &values, &attributes, &labels);
            all.merge(&one);
        }
        let by_attribute: Vec<_> = all.by_attribute().collect();
        assert_eq!(by_attribute, [("gender", Tally { named: 4, shown: 3 })]);
        let (fraction, error) = all.total().fraction().expect("named");
        assert!((fraction - 0.75).abs() < 1e-12 && (error - 0.1875f64.sqrt() / 2.0).abs() < 1e-12);
        assert_eq!(AttributeAccuracy::default().total().fraction(), None);
    }
}
