//! Draws accepted orders, many at a time.

mod costs;
mod finisher;
mod outlook;
mod painter;
mod queue;
mod scheduler;

pub(crate) use queue::{Engine, Refusal};
