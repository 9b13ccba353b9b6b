//! The server as its clients see it, without a network where none is needed.

mod access;
mod bodies;
mod client;
mod connections;
mod images;
mod jobs;
mod kept;
