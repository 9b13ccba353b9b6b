//! Tests of training as a whole, in one binary.

mod toy;
