//! The captions that training reads: those of every image, and others that join them late in the run.

use std::collections::HashMap;

use rayon::prelude::*;
use stride::noise::{ChaCha8Rng, below, uniform};
use stride::tokenizer::{ClipTokenizer, Vocabulary};
use stride_data::{CaptionedImage, ContentHash, ImageFolder, PreparedSet};

use crate::TrainError;
use crate::run::LateCaptionsConfig;

/// Images that are compared with those of the second listing.
const COMPARED: usize = 16;

/// The captions of all images of a data set, in rows of a vocabulary.
pub(crate) struct Captions {
    pub(crate) vocabulary: Vocabulary,
    /// Of every image; the first describes it in full.
    of_images: Vec<Vec<Vec<u32>>>,
    late: Option<LateCaptions>,
    /// The empty caption.
    empty: Vec<u32>,
}

/// What some rows read from a point of the run on.
struct LateCaptions {
    start: f64,
    fraction: f64,
    of_images: Vec<Vec<Vec<u32>>>,
}

impl Captions {
    /// Captions in rows of `vocabulary`, or of one of their own words, early and late, if there is none.
    pub(crate) fn new(
        set: &PreparedSet,
        late: Option<&LateListing<'_>>,
        vocabulary: Option<Vocabulary>,
    ) -> Result<Self, TrainError> {
        let early = (0..set.len()).map(|image| set.captions(image));
        let late = match late {
            Some(late) => Some((late.config, late.token_ids(set)?)),
            None => None,
        };
        let vocabulary = vocabulary.unwrap_or_else(|| {
            let late = late.iter().flat_map(|(_, ids)| ids).map(Vec::as_slice);
            Vocabulary::from_token_ids(early.clone().chain(late).flatten().flatten().copied())
        });
        let rows = |captions: &[Vec<u32>]| -> Vec<Vec<u32>> {
            captions.iter().map(|ids| vocabulary.rows(ids)).collect()
        };
        let of_images = early.map(rows).collect();
        let late = late.map(|(config, ids)| LateCaptions {
            start: config.start,
            fraction: config.fraction,
            of_images: ids.iter().map(|captions| rows(captions)).collect(),
        });
        let empty = vocabulary.rows(&ClipTokenizer::new()?.encode("")?.ids);
        Ok(Self { vocabulary, of_images, late, empty })
    }

    /// A caption of an image at a point of the run, `progress` in [0, 1], drawn by `rng`.
    pub(crate) fn draw(&self, image: usize, progress: f64, rng: &mut ChaCha8Rng) -> &[u32] {
        let late = self.late.as_ref().filter(|late| progress >= late.start);
        let late = late.filter(|late| uniform(rng) < late.fraction);
        let captions = &late.map_or(&self.of_images, |late| &late.of_images)[image];
        &captions[below(rng, captions.len())]
    }

    /// The caption that describes an image in full.
    pub(crate) fn full(&self, image: usize) -> &[u32] {
        &self.of_images[image][0]
    }

    /// The empty caption.
    pub(crate) fn empty(&self) -> &[u32] {
        &self.empty
    }
}

/// A second listing of the same images.
pub(crate) struct LateListing<'a> {
    config: &'a LateCaptionsConfig,
    images: HashMap<String, CaptionedImage>,
}

impl<'a> LateListing<'a> {
    /// Reads the listing.
    pub(crate) fn open(config: &'a LateCaptionsConfig) -> Result<Self, TrainError> {
        let listed = ImageFolder::captions_alone(&config.dir, None)?.images.into_iter();
        let named = |image: CaptionedImage| (image.name.clone(), image);
        Ok(Self { config, images: listed.map(named).collect() })
    }

    /// Checks that images of these names are listed.
    pub(crate) fn check_names<'b>(
        &self,
        names: impl IntoIterator<Item = &'b str>,
    ) -> Result<(), TrainError> {
        names.into_iter().try_for_each(|name| self.image(name).map(drop))
    }

    /// The captions of an image.
    pub(crate) fn captions(&self, name: &str) -> Result<&[String], TrainError> {
        self.image(name).map(|image| image.captions.as_slice())
    }

    fn image(&self, name: &str) -> Result<&CaptionedImage, TrainError> {
        self.images.get(name).ok_or_else(|| self.misfit(format!("no line for {name}")))
    }

    fn misfit(&self, problem: String) -> TrainError {
        TrainError::LateCaptions { path: self.config.dir.clone(), problem }
    }

    /// Token ids of all captions of the images of a set.
    fn token_ids(&self, set: &PreparedSet) -> Result<Vec<Vec<Vec<u32>>>, TrainError> {
        for image in (0..set.len()).step_by(set.len().div_ceil(COMPARED).max(1)) {
            let (expected, listed) = (set.image(image), self.image(&set.image(image).name)?);
            // A listing may have come without its images.
            if !listed.is_there() {
                continue;
            }
            let bytes = listed.read().map_err(|problem| self.misfit(problem.to_string()))?;
            if ContentHash::of(&bytes) != expected.sha256 {
                let path = self.config.dir.join(&listed.name);
                let problem = format!("{} is not the image of this name", path.display());
                return Err(self.misfit(problem));
            }
        }
        let tokenizer = ClipTokenizer::new()?;
        let of_image = |image: usize| {
            let captions = self.captions(&set.image(image).name)?;
            captions.iter().map(|caption| Ok(tokenizer.encode(caption)?.ids)).collect()
        };
        (0..set.len()).into_par_iter().map(of_image).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use stride::noise::keyed_rng;

    /// Three images with three captions each, all of one word; the late ones of another.
    fn captions(late: Option<(f64, f64)>) -> Captions {
        let of_images = |word| vec![vec![vec![word]; 3]; 3];
        let late =
            late.map(|(start, fraction)| LateCaptions { start, fraction, of_images: of_images(7) });
        let vocabulary = Vocabulary::from_token_ids([]);
        Captions { vocabulary, of_images: of_images(5), late, empty: Vec::new() }
    }

    #[test]
    fn late_captions_have_their_fraction_of_the_rows_from_their_start_on() {
        let captions = captions(Some((0.7, 0.4)));
        let count = |progress| {
            let mut rngs = (0..8000).map(|row| keyed_rng(0, 2, 0, row));
            rngs.by_ref().filter(|rng| captions.draw(1, progress, &mut rng.clone())[0] == 7).count()
        };
        assert_eq!([0.0, 0.3, 0.6999].map(count), [0; 3]);
        for progress in [0.7, 0.9, 1.0] {
            let found = count(progress) as f64 / 8000.0;
            assert!((found - 0.4).abs() < 0.02, "{found} at {progress}");
        }
    }

    #[test]
    fn draws_before_the_start_are_those_of_a_run_without_late_captions() {
        let (with, without) = (captions(Some((0.7, 1.0))), captions(None));
        let after = |captions: &Captions, progress| {
            let mut rng = keyed_rng(3, 2, 1, 0);
            captions.draw(2, progress, &mut rng);
            uniform(&mut rng)
        };
        assert_eq!(after(&with, 0.5), after(&without, 0.5));
        assert_eq!(with.draw(0, 0.7, &mut keyed_rng(3, 2, 1, 0)), [7]);
    }
}
