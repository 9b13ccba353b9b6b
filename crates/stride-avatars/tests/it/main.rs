//! Tests of the avatars: attributes, captions, images, folders and the program.

mod captions;
mod dataset;
mod images;
mod program;
mod reader;
mod sampling;
