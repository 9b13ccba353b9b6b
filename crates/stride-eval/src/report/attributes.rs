//! How often every attribute is shown at every step count, as a table.

use maud::{Markup, html};

use super::page;
use crate::attribute_accuracy::{AttributeAccuracy, Tally};

/// Attributes and step counts.
pub(super) struct AttributeTable<'a> {
    /// What happened to an attribute that counts: it was named, or asked for.
    pub(super) counted: &'static str,
    /// Real images, where there are some.
    pub(super) real: Option<&'a AttributeAccuracy>,
    /// Step counts and what was counted with them, of the same attributes.
    pub(super) rows: Vec<(usize, &'a AttributeAccuracy)>,
}

impl AttributeTable<'_> {
    /// The table in Markdown, in percent.
    pub(super) fn markdown(&self) -> String {
        let percent = |tally: Option<Tally>| {
            let fraction = tally.and_then(|tally| tally.fraction());
            fraction.map_or_else(String::new, |(fraction, _)| format!("{:.1}", 1e2 * fraction))
        };
        let mut columns = vec!["attribute".to_owned(), self.counted.to_owned()];
        columns.extend(self.real.map(|_| "real".to_owned()));
        columns.extend(self.rows.iter().map(|(steps, _)| steps.to_string()));
        let rows = self.cells().map(|(name, named, cells)| {
            [name.to_owned(), named.to_string()].into_iter().chain(cells.map(percent)).collect()
        });
        super::markdown::table(&columns, rows)
    }

    /// The table of a page.
    pub(super) fn html(&self) -> Markup {
        let percent = |tally: Option<Tally>| match tally.and_then(|tally| tally.fraction()) {
            None => html! { td {} },
            Some((fraction, _)) => {
                // From half right on, so that differences show.
                let strength = (2.0 * fraction - 1.0).max(0.0) * 0.45;
                html! { td class="fraction" style=(format!("--a:{strength:.2}")) { (format!("{:.0} %", 1e2 * fraction)) } }
            }
        };
        let head = html! {
            th { "attribute" } th { (self.counted) }
            @if self.real.is_some() { th { "real" } }
            @for (steps, _) in &self.rows { th { (steps) } }
        };
        let body = html! {
            @for (name, named, cells) in self.cells() {
                tr {
                    td { (name.replace('_', " ")) }
                    td { (named) }
                    @for cell in cells { (percent(cell)) }
                }
            }
        };
        page::table(&head, &body)
    }

    /// For every attribute its name, how often it counted, and the counts of the columns.
    fn cells(&self) -> impl Iterator<Item = (&str, usize, impl Iterator<Item = Option<Tally>>)> {
        let columns = || self.real.into_iter().chain(self.rows.iter().map(|(_, found)| *found));
        let first = columns().next();
        first.into_iter().flat_map(AttributeAccuracy::by_attribute).map(move |(name, tally)| {
            let of = move |found: &AttributeAccuracy| {
                found.by_attribute().find(|(other, _)| *other == name).map(|(_, tally)| tally)
            };
            (name, tally.named, columns().map(of))
        })
    }
}
