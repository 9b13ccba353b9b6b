//! Which files a `stride generate` writes.

use std::path::{Path, PathBuf};

use anyhow::bail;
use stride_files::{check_writable, place_of};

use crate::usage::usage;

/// The files of one run, known and checked before any work.
#[derive(Debug)]
pub(super) struct Targets {
    /// One file per image.
    pub(super) images: Vec<PathBuf>,
    /// Where the denoising strip goes, if anywhere.
    pub(super) strip: Option<PathBuf>,
}

impl Targets {
    /// The files for `count` images from `seed` on.
    ///
    /// Without `output`, image k is `stride-SEED.png` with its own seed. With `out.png`, a single image
    /// has that name, and several are `out-0.png`, `out-1.png` and so on.
    pub(super) fn new(
        output: Option<&Path>,
        strip: Option<&Path>,
        seed: u64,
        count: usize,
    ) -> anyhow::Result<Self> {
        for path in [output, strip].into_iter().flatten() {
            let extension = path.extension().unwrap_or_default();
            if !path.is_dir() && !extension.eq_ignore_ascii_case("png") {
                return usage(format!(
                    "{}: images are written as PNG; expected a name that ends in .png",
                    path.display()
                ));
            }
        }
        let images = match output {
            Some(output) if count == 1 => vec![output.to_owned()],
            Some(output) => (0..count).map(|k| numbered(output, k)).collect(),
            None => (0..count as u64)
                .map(|k| PathBuf::from(format!("stride-{}.png", seed + k)))
                .collect(),
        };
        let place = strip.map(place_of);
        if let Some(strip) =
            strip.filter(|_| images.iter().any(|image| Some(place_of(image)) == place))
        {
            return usage(format!(
                "{}: the image and the strip cannot be one file",
                strip.display()
            ));
        }
        Ok(Self { images, strip: strip.map(Path::to_owned) })
    }

    /// Fails where a file could not be written, or would be overwritten and may not; says which ones will be.
    pub(super) fn check(&self, no_clobber: bool) -> anyhow::Result<()> {
        let files = || self.images.iter().chain(&self.strip);
        files().try_for_each(|path| check_writable(path))?;
        let mut existing = files().filter(|path| path.exists());
        let Some(first) = existing.next() else {
            return Ok(());
        };
        let others = match existing.count() {
            0 => String::new(),
            more => format!(" and {more} more"),
        };
        let first = first.display();
        if no_clobber {
            bail!(
                "{first}{others}: exists already; name another file with -o, or leave --no-clobber out"
            );
        }
        tracing::info!("overwrites {first}{others}");
        Ok(())
    }
}

/// `out.png` and 3 give `out-3.png`.
fn numbered(path: &Path, k: usize) -> PathBuf {
    let mut name = path.file_stem().unwrap_or_default().to_owned();
    name.push(format!("-{k}."));
    name.push(path.extension().unwrap_or_default());
    path.with_file_name(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn several_images_are_numbered() {
        let targets = Targets::new(Some(Path::new("a/out.png")), None, 5, 3).expect("fits");
        assert_eq!(
            targets.images,
            ["a/out-0.png", "a/out-1.png", "a/out-2.png"].map(PathBuf::from)
        );
        let targets = Targets::new(None, None, 5, 2).expect("fits");
        assert_eq!(targets.images, ["stride-5.png", "stride-6.png"].map(PathBuf::from));
    }

    #[test]
    fn other_formats_and_one_file_for_two_things_are_refused() {
        let png = Path::new("x.png");
        assert!(Targets::new(Some(Path::new("x.jpg")), None, 0, 1).is_err());
        assert!(Targets::new(Some(Path::new("x")), None, 0, 1).is_err());
        assert!(Targets::new(Some(png), Some(png), 0, 1).is_err());
        assert!(Targets::new(Some(png), Some(Path::new("./x.png")), 0, 1).is_err());
        assert!(Targets::new(Some(png), Some(Path::new("x-1.png")), 0, 2).is_err());
    }
}
