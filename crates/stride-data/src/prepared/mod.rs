//! Prepared folders: latents, captions and tokens of a data set, as transformer training reads them.
//!
//! | file | content |
//! |---|---|
//! | `manifest.jsonl` | a line an image: name, hashes, captions, attributes |
//! | `latents-NNNNN.safetensors` | latents of 512 images in f16, with the hash of what each was made from |
//! | `tokens.safetensors` | token ids of all captions |
//! | `prepared.json` | how it was made, and hashes of manifest and tokens; written last |
//! | `unfinished/` | what a run has made that is not at its end |

mod encoder;
mod examine;
mod manifest;
mod merge;
mod prepare;
mod set;
mod shard;
mod store;
mod summary;
#[cfg(test)]
mod tests;

pub use encoder::LatentEncoder;
pub use manifest::{Part, PreparedHeader, PreparedImage};
pub use merge::merge_prepared;
pub use prepare::Preparation;
pub use set::{PreparedSet, View};
pub use shard::LatentShape;
pub use summary::{PrepareProgress, PrepareSummary};
