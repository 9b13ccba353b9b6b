//! Data sets of every layout, as other libraries write them, broken and hostile ones among them; and captions of faces:
//! true, complete, in correct English, and short enough.

// Every comparison prints what it measured.
#![allow(clippy::print_stdout)]

mod caption_reader;
mod captions;
mod containers;
mod finding;
mod folders;
mod fuzz;
mod hostile;
mod images;
mod mutations;
mod parquet_writer;
mod plain_reader;
mod prepared_folders;
mod sets;
