//! Images that a report shows of a model: prompts at several step counts, from the same noise, and intermediate steps.

use maud::{Markup, html};
use stride::image::RgbImage;

use super::images::{STRIP_STEPS, Strip, Tile, is_in_strip, strip};
use crate::EvalError;
use crate::generator::IntermediateStep;

/// Images of some prompts by one model.
#[derive(Clone, Debug)]
pub struct Samples {
    /// The prompts.
    pub prompts: Vec<String>,
    /// The step counts.
    pub steps: Vec<usize>,
    /// A row for each prompt, an image for each step count.
    pub rows: Vec<Vec<Tile>>,
    /// Intermediate steps of the first prompt.
    pub strips: Vec<Strip>,
}

impl Samples {
    /// Generates the images. `generate` is asked for the image of a prompt, its index and a number of steps.
    ///
    /// # Errors
    /// Those of `generate`.
    pub fn generate(
        prompts: Vec<String>,
        steps: &[usize],
        generate: impl Fn(
            &str,
            usize,
            usize,
            &mut dyn FnMut(IntermediateStep<'_>),
        ) -> Result<RgbImage, EvalError>,
    ) -> Result<Self, EvalError> {
        let row = |(index, prompt): (usize, &String)| {
            let tile = |&steps: &usize| Tile::new(&generate(prompt, index, steps, &mut |_| {})?);
            steps.iter().map(tile).collect()
        };
        let strip = |(prompt, num_steps): (&String, usize)| {
            let mut states = Vec::new();
            generate(prompt, 0, num_steps, &mut |state| {
                if is_in_strip(state.step, num_steps) {
                    states.push(Tile::new(&(state.preview)()));
                }
            })?;
            Ok(Strip { steps: num_steps, states: states.into_iter().collect::<Result<_, _>>()? })
        };
        let first = prompts.first().into_iter();
        let strips = first.flat_map(|prompt| STRIP_STEPS.map(|steps| (prompt, steps)));
        Ok(Self {
            rows: prompts.iter().enumerate().map(row).collect::<Result<_, EvalError>>()?,
            strips: strips.map(strip).collect::<Result<_, EvalError>>()?,
            steps: steps.to_vec(),
            prompts,
        })
    }

    /// The intermediate steps.
    pub(super) fn strips(&self) -> Markup {
        html! { @for states in &self.strips { (strip(states)) } }
    }
}
