//! Checks of the repository: what CI runs.

fn main() {}
