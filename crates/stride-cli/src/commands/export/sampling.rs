//! What exports need around the networks: steps, guidance, noise, and prompts as rows of a table.

/// The Python file, and its name in exported folders.
pub(super) const SAMPLING: (&str, &[u8]) =
    ("stride_sampling.py", include_bytes!("stride_sampling.py").as_slice());
