//! Prepared folders: latents, captions and tokens of a data set, as transformer training reads them.
//!
//! | file | content |
//! |---|---|
//! | `manifest.jsonl` | one line per image: name, hashes, captions, attributes |
//! | `latents-NNNNN.safetensors` | a shard: latents of 512 images in f16, each with the hash of what it was made from |
//! | `tokens.safetensors` | token ids of all captions |
//! | `prepared.json` | how it was made, and hashes of manifest and tokens; written last |
//! | `unfinished/` | what an unfinished run has made so far |

mod encoder;
mod manifest;
mod merge;
mod prepare;
mod scan;
mod set;
mod shard;
mod store;
mod summary;
#[cfg(test)]
mod tests;

pub use encoder::LatentEncoder;
pub(crate) use manifest::HEADER;
pub use manifest::{PREPARED_REPORT, PreparedHeader, PreparedImage};
pub use merge::merge_prepared;
pub use prepare::Preparation;
pub use set::{PreparedSet, View};
pub use shard::LatentShape;
pub use summary::{PrepareProgress, PrepareSummary};
