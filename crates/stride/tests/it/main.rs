//! Tests of `stride` against the Python originals, in one binary.

mod dit;
mod tokenizer;
