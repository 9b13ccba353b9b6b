//! The frame of a page, its key numbers and its tables.

use maud::{DOCTYPE, Markup, PreEscaped, html};

use super::chart;
use super::images::Tile;

const STYLE: &str = include_str!("style.css");

/// A whole page: title, one paragraph on what was done, and the rest.
pub(super) fn document(title: &str, summary: &str, body: &Markup) -> String {
    let page = html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width";
                title { (title) }
                style { (PreEscaped(STYLE)) (PreEscaped(chart::STYLE)) }
            }
            body {
                main {
                    h1 { (title) }
                    p class="dim" { (summary) }
                    (body)
                }
            }
        }
    };
    page.into_string()
}

/// The numbers that matter most: value and name.
pub(super) fn facts(facts: &[(String, String)]) -> Markup {
    html! {
        ul class="facts" {
            @for (value, name) in facts { li { b { (value) } span { (name) } } }
        }
    }
}

/// An image that misses something of its caption: for every attribute its name, what was asked for, and what is seen.
pub(super) fn failure<'a>(
    tile: &Tile,
    caption: &str,
    note: &str,
    misses: impl Iterator<Item = [&'a str; 3]>,
) -> Markup {
    html! {
        div class="failure" {
            (tile.img(caption))
            div {
                (caption)
                " " span class="dim" { (note) }
                ul {
                    @for [attribute, wanted, seen] in misses {
                        li {
                            (attribute.replace('_', " ")) ": "
                            ins { (wanted) } ", seen " del { (seen) }
                        }
                    }
                }
            }
        }
    }
}

/// A table that scrolls where the page is too narrow for it: cells of its head, and rows.
pub(super) fn table(head: &Markup, rows: &Markup) -> Markup {
    html! {
        div class="scroll" { table { thead { tr { (head) } } tbody { (rows) } } }
    }
}
