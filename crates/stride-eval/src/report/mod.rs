//! Reports for people: one HTML page that needs no other file, and Markdown.
//!
//! * `evaluation`: the report of a model at every step count; `prompts`: of what a model makes of prompts;
//!   `comparison`: the report of objectives side by side. Each has its tables, its images, its page and its Markdown.
//! * `page`: the frame of a page, its key numbers and tables. Pages are written with `maud`, which escapes every text
//!   by construction.
//! * `chart`: curves as SVG, inside a page or in a file of their own; `scale` places their values; `heat_map` are
//!   numbers as colours.
//! * `samples`: the images that a report shows of a model; `images`: images in the size of a page, in grids and strips.
//! * `attributes`: how often attributes are shown, as a table. `markdown`: tables in Markdown.
//! * `text`: numbers as text.

mod attributes;
pub mod chart;
pub mod comparison;
pub mod evaluation;
pub mod heat_map;
mod images;
mod markdown;
mod page;
pub mod prompts;
mod samples;
mod scale;
mod text;

pub use images::{Strip, Tile};
pub use samples::Samples;
