//! Interpreter of a DiceBear style definition: JSON in, SVG text out.
//!
//! A definition holds a canvas of elements, named components with variants, and
//! `{"type": "color", "name": ..}` references where a color goes. Which variant of
//! each component is drawn, and which colors are used, is the caller's choice: the
//! random options of DiceBear are not interpreted here.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use serde::Deserialize;
use serde_json::Value;

use crate::Error;
use crate::palette::Rgb;

/// A parsed style definition.
#[derive(Debug, Deserialize)]
pub(crate) struct StyleArt {
    /// Artist, licence and source of the drawings.
    pub(crate) meta: Meta,
    canvas: Canvas,
    #[serde(default)]
    attributes: BTreeMap<String, Value>,
    components: BTreeMap<String, Component>,
}

/// Who drew a style and under which terms.
#[derive(Debug, Deserialize)]
pub struct Meta {
    /// The licence, with the sentence of attribution as `text`.
    pub license: Credit,
    /// The artist.
    pub creator: Credit,
    /// The drawings as the artist published them.
    pub source: Credit,
}

/// A name with an address.
#[derive(Debug, Deserialize)]
pub struct Credit {
    /// Name of the artist or of the licence.
    pub name: String,
    /// Where to read more.
    pub url: String,
    /// The attribution sentence (licences only).
    #[serde(default)]
    pub text: String,
}

/// What is drawn: the variant of each component, the colors, and extra shapes on top.
#[derive(Debug, Default)]
pub(crate) struct Selection {
    /// `(component, variant)`; a component that has a choice and is not listed is left out.
    pub(crate) variants: Vec<(&'static str, &'static str)>,
    /// `(color name, value)` for the color references of the definition.
    pub(crate) colors: Vec<(&'static str, Rgb)>,
    /// SVG elements appended after the drawing, in canvas coordinates.
    pub(crate) overlay: &'static str,
}

#[derive(Debug, Deserialize)]
struct Canvas {
    width: f32,
    height: f32,
    elements: Vec<Element>,
}

#[derive(Debug, Deserialize)]
struct Component {
    variants: BTreeMap<String, Variant>,
}

#[derive(Debug, Deserialize)]
struct Variant {
    elements: Vec<Element>,
}

#[derive(Debug, Deserialize)]
struct Element {
    name: String,
    #[serde(rename = "type")]
    kind: ElementKind,
    #[serde(default)]
    attributes: BTreeMap<String, Value>,
    #[serde(default)]
    children: Vec<Element>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
enum ElementKind {
    Element,
    Component,
}

impl StyleArt {
    /// Parses a definition.
    ///
    /// # Errors
    /// [`Error::Style`] when the text is not a definition of this format.
    pub(crate) fn parse(name: &str, json: &str) -> Result<Self, Error> {
        serde_json::from_str(json)
            .map_err(|source| Error::Style { style: name.to_owned(), detail: source.to_string() })
    }

    /// Side of the (square) canvas in SVG units.
    pub(crate) fn canvas_size(&self) -> f32 {
        self.canvas.width.max(self.canvas.height)
    }

    /// Writes the SVG document of `selection`, without a background.
    ///
    /// # Errors
    /// [`Error::Style`] when the selection names a variant or the definition uses a
    /// color that is not given.
    pub(crate) fn svg(&self, selection: &Selection) -> Result<String, Error> {
        let mut out = String::with_capacity(32 * 1024);
        let (w, h) = (self.canvas.width, self.canvas.height);
        let _ = write!(
            out,
            r#"<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {w} {h}" width="{w}" height="{h}""#
        );
        self.write_attributes(&mut out, &self.attributes, selection)?;
        out.push('>');
        for element in &self.canvas.elements {
            self.write_element(&mut out, element, selection)?;
        }
        out.push_str(selection.overlay);
        out.push_str("</svg>");
        Ok(out)
    }

    fn write_element(
        &self,
        out: &mut String,
        element: &Element,
        selection: &Selection,
    ) -> Result<(), Error> {
        let (tag, children) = match element.kind {
            ElementKind::Element => (element.name.as_str(), Some(&element.children)),
            ElementKind::Component => ("g", self.chosen_elements(&element.name, selection)?),
        };
        let Some(children) = children else {
            return Ok(());
        };
        let _ = write!(out, "<{tag}");
        self.write_attributes(out, &element.attributes, selection)?;
        if children.is_empty() {
            out.push_str("/>");
            return Ok(());
        }
        out.push('>');
        for child in children {
            self.write_element(out, child, selection)?;
        }
        let _ = write!(out, "</{tag}>");
        Ok(())
    }

    /// The elements drawn for a component, or `None` when it is left out.
    fn chosen_elements(
        &self,
        name: &str,
        selection: &Selection,
    ) -> Result<Option<&Vec<Element>>, Error> {
        let Some(component) = self.components.get(name) else {
            return Err(self.fault(format!("no component `{name}`")));
        };
        // A component without a choice (nose, head, body) is always drawn.
        if component.variants.len() == 1 {
            return Ok(component.variants.values().next().map(|v| &v.elements));
        }
        let Some((_, variant)) = selection.variants.iter().find(|(c, _)| *c == name) else {
            return Ok(None);
        };
        match component.variants.get(*variant) {
            Some(v) => Ok(Some(&v.elements)),
            None => Err(self.fault(format!("component `{name}` has no variant `{variant}`"))),
        }
    }

    fn write_attributes(
        &self,
        out: &mut String,
        attributes: &BTreeMap<String, Value>,
        selection: &Selection,
    ) -> Result<(), Error> {
        for (key, value) in attributes {
            let _ = write!(out, " {key}=\"");
            match value {
                Value::String(text) => escape_into(out, text),
                Value::Number(number) => {
                    let _ = write!(out, "{number}");
                }
                Value::Object(reference) => {
                    let name = reference.get("name").and_then(Value::as_str).unwrap_or_default();
                    let Some((_, color)) = selection.colors.iter().find(|(n, _)| *n == name) else {
                        return Err(self.fault(format!("color `{name}` is not given")));
                    };
                    let _ = write!(out, "{color}");
                }
                other => return Err(self.fault(format!("attribute `{key}` is {other}"))),
            }
            out.push('"');
        }
        Ok(())
    }

    fn fault(&self, detail: String) -> Error {
        Error::Style { style: self.meta.source.name.clone(), detail }
    }
}

fn escape_into(out: &mut String, text: &str) {
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '"' => out.push_str("&quot;"),
            c => out.push(c),
        }
    }
}
