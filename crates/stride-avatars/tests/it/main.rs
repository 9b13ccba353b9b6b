//! Tests of the avatars: attributes, captions, images, folders and the program.

mod captions;
mod dataset;
mod images;
mod program;
mod prompts;
mod reader;
mod sampling;
