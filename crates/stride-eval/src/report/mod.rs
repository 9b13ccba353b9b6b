//! Reports for people: one HTML page that needs no other file, and Markdown.
//!
//! * `page`: the frame of a page, its key numbers and tables. Pages are written with `maud`, which
//!   escapes every text by construction.
//! * `chart`: curves as SVG, inside a page or in a file of their own; `scale` places their values.
//! * `images`: images in the size of a page, in grids and strips.
//! * `markdown`: tables in Markdown.
//! * `text`: numbers as text.

pub mod chart;
pub mod images;
pub mod markdown;
pub mod page;
mod scale;
pub mod text;
