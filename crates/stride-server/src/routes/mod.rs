//! The paths of the server, a file for each kind.

mod gallery;
mod images;
mod jobs;
mod models;
mod openapi;
mod page;
mod reply;
mod router;
mod status;
mod words;

pub(crate) use router::router;
