//! Serves a model over HTTP: OpenAI's images API, jobs with progress, and a page for people.
//!
//! [`Server`] is all of it. Requests become orders, which the engine draws: images of different requests take
//! their steps together, and join and leave between any two steps. The engine's threads compute; those of the
//! runtime only wait and pass on.

mod app;
mod body;
mod connections;
mod engine;
mod error;
mod facts;
mod format;
mod gallery;
mod guard;
mod job;
mod job_store;
mod limits;
mod metrics;
mod order;
mod routes;
mod server;

pub use gallery::GalleryError;
pub use guard::Access;
pub use limits::Limits;
pub use server::{Server, ServerError, Settings};
