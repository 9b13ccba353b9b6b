//! Classic diffusion: regress the noise, or v, of a variance-preserving process of 1000 steps.

use serde::{Deserialize, Serialize};

use super::contract::{Batch, LossWeight, Network, Objective, Teacher, TrainingTargets};
use super::error::{ObjectiveError, check_fractions, check_positive};
use super::path::wide;
use super::row::{Row, RowKind};
use crate::network_input::{NetworkInput, column};
use crate::noise::{self, ChaCha8Rng};
use crate::sampler::{
    DiffusionSampling, Guidance, NUM_DIFFUSION_STEPS, NoiseSchedule, Prediction, Sampler,
    diffusion_index, diffusion_time,
};

/// Settings of the diffusion objective.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct DiffusionConfig {
    /// How the noise grows.
    pub schedule: NoiseSchedule,
    /// What the network predicts.
    pub prediction: Prediction,
    /// Caps the signal-to-noise ratio that weighs a row's loss; every row counts alike if absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub min_snr_gamma: Option<f64>,
    /// The sampler of the trained model.
    pub sampler: DiffusionSampler,
    /// The sampler clamps its estimates of the data to this magnitude (latents of unit scale).
    pub clip: f64,
    /// Fraction of rows trained on the empty caption.
    pub cond_dropout_prob: f64,
}

/// The samplers of a diffusion model.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DiffusionSampler {
    /// Deterministic; takes large steps better.
    #[default]
    Ddim,
    /// Ancestral, with fresh noise at every step.
    Ddpm,
}

impl Default for DiffusionConfig {
    fn default() -> Self {
        Self {
            schedule: NoiseSchedule::default(),
            prediction: Prediction::default(),
            min_snr_gamma: None,
            sampler: DiffusionSampler::default(),
            clip: 4.0,
            cond_dropout_prob: 0.1,
        }
    }
}

/// With the signal's fraction s of the variance at step index n (see
/// [`NoiseSchedule::signal_variance`]), x_t = sqrt(s) x_1 + sqrt(1 - s) x_0, and the target is
/// x_0, or v = sqrt(s) x_0 - sqrt(1 - s) x_1. The network sees the index as
/// t = 1 - (n + 1) / 1000 at the base level, so that t = 0 is noise as everywhere.
///
/// With min-SNR, the weight is min(SNR, gamma) / SNR for the noise and min(SNR, gamma) / (SNR + 1)
/// for v, where SNR = s / (1 - s).
///
/// # Source
/// Denoising Diffusion Probabilistic Models (Ho et al. 2020, arXiv 2006.11239), equation 14;
/// Progressive Distillation (Salimans and Ho 2022, arXiv 2202.00512) for v; Efficient Diffusion
/// Training via Min-SNR Weighting Strategy (Hang et al. 2023, arXiv 2303.09556), section 3.4.
impl Objective for DiffusionConfig {
    fn validate(&self, _batch_size: usize) -> Result<(), ObjectiveError> {
        check_fractions(&[("cond_dropout_prob", self.cond_dropout_prob)])?;
        check_positive("clip", self.clip)?;
        self.min_snr_gamma.map_or(Ok(()), |gamma| check_positive("min_snr_gamma", gamma))
    }

    fn plan_rows(&self, _progress: f64, rngs: &mut [ChaCha8Rng]) -> Vec<Row> {
        let plan = |rng: &mut ChaCha8Rng| {
            let row = self.evaluation_row(diffusion_time(noise::below(rng, NUM_DIFFUSION_STEPS)));
            Row { drop_caption: noise::uniform(rng) < self.cond_dropout_prob, ..row }
        };
        rngs.iter_mut().map(plan).collect()
    }

    fn evaluation_row(&self, t: f64) -> Row {
        Row { kind: RowKind::Diffusion, ..Row::flow(diffusion_time(diffusion_index(t))) }
    }

    fn teacher(&self) -> Teacher {
        Teacher::Nobody
    }

    fn targets(&self, batch: Batch<'_>, _teacher: &Network<'_>) -> TrainingTargets {
        let Batch { rows, x_0, x_1, .. } = batch;
        let device = x_0.device();
        let factors: Vec<(f64, f64)> =
            rows.iter().map(|row| self.schedule.signal_and_noise(row.t)).collect();
        let signal = wide(column(&factors, |factors| factors.0, &device));
        let noise = wide(column(&factors, |factors| factors.1, &device));
        let target = match self.prediction {
            Prediction::Epsilon => x_0.clone(),
            Prediction::V => x_0.clone() * signal.clone() - x_1.clone() * noise.clone(),
        };
        let factor = self.min_snr_gamma.map(|gamma| {
            let weight = |(signal, noise): &(f64, f64)| {
                let snr = (signal / noise).powi(2);
                match self.prediction {
                    Prediction::Epsilon => gamma.min(snr) / snr,
                    Prediction::V => gamma.min(snr) / (snr + 1.0),
                }
            };
            column(&factors, weight, &device)
        });
        let input = NetworkInput {
            x_t: x_1 * signal + x_0 * noise,
            t: column(rows, |row| row.t, &device),
            log2_steps: column(rows, |row| row.log2_steps, &device),
            guidance_scale: None,
        };
        let weight = LossWeight { factor, ..LossWeight::default() };
        TrainingTargets { input, target, weight, velocity: None }
    }

    fn sampler(&self) -> Sampler {
        let Self { schedule, prediction, clip, .. } = *self;
        let process = DiffusionSampling { schedule, prediction, clip };
        match self.sampler {
            DiffusionSampler::Ddim => Sampler::Ddim(process),
            DiffusionSampler::Ddpm => Sampler::Ddpm(process),
        }
    }

    fn guidance(&self) -> Guidance {
        Guidance::learned_by_dropout(self.cond_dropout_prob)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::noise::keyed_rng;

    #[test]
    fn every_step_index_is_drawn_and_eval_rows_lie_on_them() {
        let config = DiffusionConfig::default();
        let mut rngs: Vec<_> = (0..20_000).map(|i| keyed_rng(0, 2, 0, i)).collect();
        let rows = config.plan_rows(0.0, &mut rngs);
        let indices: std::collections::BTreeSet<usize> =
            rows.iter().map(|row| diffusion_index(row.t)).collect();
        assert_eq!(indices.len(), NUM_DIFFUSION_STEPS);
        assert!(rows.iter().all(|row| row.kind == RowKind::Diffusion && !row.needs_teacher()));
        assert_eq!(config.evaluation_row(0.0).t, 0.0);
    }

    #[test]
    fn impossible_settings_are_named() {
        let wrong = DiffusionConfig { min_snr_gamma: Some(0.0), ..Default::default() };
        assert!(wrong.validate(8).is_err_and(|error| error.to_string().contains("min_snr_gamma")));
        let wrong = DiffusionConfig { clip: f64::NAN, ..Default::default() };
        assert!(wrong.validate(8).is_err_and(|error| error.to_string().contains("clip")));
    }
}
