//! `stride evaluate`: distances between sets of pictures, with a certificate.

mod arguments;
mod collect;
mod folders;
mod import;
mod model;
mod report;
mod result;

pub(crate) use arguments::Evaluate;
