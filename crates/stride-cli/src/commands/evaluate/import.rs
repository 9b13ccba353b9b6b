//! Weights of Inception-v3 from a package that has them.

use std::path::PathBuf;

use clap::Args;
use stride_eval::inception::convert_nsfwjs;
use stride_files::{check_writable, write_whole};

/// Convert the Inception-v3 of the npm package nsfwjs 4 to safetensors
///
/// Get it with `npm pack nsfwjs@4.3.0`, unpack it, and pass its folder package/dist/models/inception_v3. Use the
/// result with --variant keras. It is not the FID network: its distances compare only with each other.
#[derive(Debug, Args)]
pub(crate) struct ConvertInception {
    /// Folder with model.min.js
    folder: PathBuf,
    /// Safetensors file to write (87 MB)
    #[arg(short, long, value_name = "FILE")]
    output: PathBuf,
}

impl ConvertInception {
    pub(super) fn run(self) -> anyhow::Result<()> {
        check_writable(&self.output)?;
        Ok(write_whole(&self.output, &convert_nsfwjs(&self.folder)?)?)
    }
}
