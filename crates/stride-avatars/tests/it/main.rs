//! Tests of the avatars: attributes, captions, pictures, folders and the program.

mod captions;
mod dataset;
mod pictures;
mod program;
mod reader;
mod sampling;
