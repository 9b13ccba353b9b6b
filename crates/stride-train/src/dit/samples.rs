//! Images that show how far transformer training is.

use burn::tensor::{Device, Tensor};
use stride::image::RgbImage;
use stride::noise;
use stride::objective::NetworkInput;
use stride::sampler::{Sampler, StepPlan};
use stride::tokenizer::{ClipTokenizer, Vocabulary, pad_token_ids};
use stride::vae::Autoencoder;

use super::TextToLatent;
use crate::TrainError;
use crate::run::sheet;

/// Step counts of a sheet, from top to bottom; the last takes most of the time, and is for the end of a run.
const STEP_COUNTS: [usize; 6] = [1, 2, 4, 8, 32, 128];
/// Prompts of a sheet, from left to right: these, then captions of held-out images.
const PROMPTS: [&str; 6] = [
    "A man with glasses",
    "A smiling woman with long blond hair on a blue background",
    "A bald man with a full beard, wearing a red t-shirt",
    "A woman with short black hair and sunglasses on a yellow background",
    "A man with gray hair and a moustache in a green jacket",
    "",
];
/// Prompts in all.
pub(super) const COLUMNS: usize = 12;

/// Draws the same prompts and seeds at every report.
pub(crate) struct SampleSheet {
    pub(super) autoencoder: Autoencoder,
    /// `[C, h, w]`.
    pub(super) latent_shape: [usize; 3],
    pub(super) sampler: Sampler,
    pub(super) device: Device,
    /// Prompts that take the place of all others.
    pub(super) own_prompts: Vec<String>,
}

impl SampleSheet {
    /// The prompts of the columns.
    pub(super) fn prompts<'a>(&'a self, held_out: &[&'a str]) -> Vec<&'a str> {
        if self.own_prompts.is_empty() {
            PROMPTS.iter().chain(held_out).copied().take(COLUMNS).collect()
        } else {
            self.own_prompts.iter().map(String::as_str).collect()
        }
    }

    /// A sheet with one row per step count and one column per prompt as a PNG file, and the standard deviation of the
    /// one-step latents (1 is right: a smaller one means blurred images). `is_end` adds the row of most steps.
    pub(super) fn draw(
        &self,
        model: &TextToLatent,
        vocabulary: &Vocabulary,
        prompts: &[&str],
        is_end: bool,
    ) -> Result<(Vec<u8>, f64), TrainError> {
        let tokenizer = ClipTokenizer::new()?;
        let rows = prompts
            .iter()
            .map(|prompt| Ok(vocabulary.map(&tokenizer.encode(prompt)?).rows))
            .collect::<Result<Vec<_>, TrainError>>()?;
        let context =
            model.text_encoder.forward(pad_token_ids(&rows, vocabulary.end_row(), &self.device));
        let (count, shape, device) = (prompts.len(), self.latent_shape, self.device.clone());
        let noise = move |step| {
            let of_seed = |seed| noise::gaussian_at_step(seed, step, shape, &device);
            Tensor::stack::<4>((0..count as u64).map(of_seed).collect(), 0)
        };

        let mut one_step_std = f64::NAN;
        let mut images = Vec::new();
        let counts = STEP_COUNTS.len() - usize::from(!is_end);
        for num_steps in STEP_COUNTS.into_iter().take(counts) {
            let plan = StepPlan::new(num_steps).expect("the counts above are in range");
            let mut trajectory = self.sampler.start(plan, noise.clone());
            while let Some(time) = trajectory.time() {
                let x = trajectory.state().clone();
                let input = NetworkInput::at_times(x, &vec![time; count]);
                trajectory.advance(model.dit.forward_guided(input, &context));
            }
            let x = trajectory.state();
            if num_steps == 1 {
                let values: Vec<f64> = x.to_data().iter::<f64>().collect();
                one_step_std = standard_deviation(&values);
            }
            // One image at a time: decoding holds the most memory.
            let row = x
                .clone()
                .iter_dim(0)
                .flat_map(|latents| RgbImage::from_tensor(self.autoencoder.decode(latents)));
            images.push(row.collect());
        }
        Ok((sheet("step", &images)?, one_step_std))
    }
}

fn standard_deviation(values: &[f64]) -> f64 {
    let n = values.len() as f64;
    let mean = values.iter().sum::<f64>() / n;
    (values.iter().map(|value| (value - mean).powi(2)).sum::<f64>() / n).sqrt()
}
