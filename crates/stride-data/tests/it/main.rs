//! Data sets of every layout, as other libraries write them, broken and hostile ones among them.

// Every comparison prints its largest error.
#![allow(clippy::print_stdout)]

mod containers;
mod folders;
mod fuzz;
mod hostile;
mod pictures;
mod sets;
