//! Captions of faces: true, complete, in correct English, and short enough.

// Every comparison prints what it measured.
#![allow(clippy::print_stdout)]

mod caption_reader;
mod captions;
