//! The program `stride`.

fn main() {}
