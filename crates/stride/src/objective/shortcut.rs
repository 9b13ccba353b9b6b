//! Shortcut models: flow matching, and one step of size d equals two consecutive steps of d / 2.

use burn::tensor::Tensor;
use serde::{Deserialize, Serialize};

use super::assignment::pair_by_transport;
use super::contract::{
    Batch, Conditioning, Head, LossWeight, Network, Objective, Teacher, TrainingTargets,
};
use super::error::{ObjectiveError, check, check_fractions, check_positive};
use super::path::{Leading, path_targets, wide};
use super::row::{FlowTime, Row, RowKind};
use crate::network_input::{BASE_LEVEL, NetworkInput, column};
use crate::noise::{self, ChaCha8Rng};
use crate::sampler::{Guidance, Sampler};

/// Settings of the shortcut objective; the defaults are the paper's.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ShortcutConfig {
    /// Fraction of the rows trained by self-consistency: 0.25 in the paper, 0.125 in its code.
    #[serde(alias = "bootstrap_share")]
    pub bootstrap_fraction: f64,
    /// How these rows are dealt to the levels.
    pub levels: LevelAllocation,
    /// Probability that a row whose level is drawn at random goes to the one-step level d = 1
    /// instead.
    pub one_step_bias: f64,
    /// Fraction of the run after which self-consistency rows begin; flow matching alone before.
    pub bootstrap_start: f64,
    /// How t is drawn for flow-matching rows.
    pub flow_time: FlowTime,
    /// Teacher states and targets are clamped to this magnitude (latents of unit scale).
    pub clip: f64,
    /// Fraction of flow-matching rows trained on the empty caption.
    pub cond_dropout_prob: f64,
    /// Whether self-consistency rows drop captions too. The reference does not, so that
    /// its few-step samplers know no empty caption.
    pub bootstrap_cond_dropout: bool,
    /// Guidance scale inside the targets of the finest self-consistency level (d = 1/64), from
    /// which all larger steps inherit it; 1 disables guidance.
    pub guidance_scale: f64,
    /// Makes the guidance scale an input of the network instead: self-consistency rows draw it
    /// from [1, this value] with a density that falls as 1 / w.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_guidance_scale: Option<f64>,
    /// Divides the loss of a row by its error plus this offset; the plain error if absent. An
    /// offset far below the error of flow-matching rows is sound only where their errors hardly
    /// differ, as those of images do; else rows near a mode of the data outweigh the others.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub adaptive_offset: Option<f64>,
    /// Which noise goes with which image.
    pub noise_pairing: NoisePairing,
}

/// How self-consistency rows are dealt to the levels k = 0..=6.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LevelAllocation {
    /// The same number of rows for every level, finest first, and the remainder to d = 1.
    #[default]
    Even,
    /// Every row draws its level uniformly.
    Random,
}

/// Which noise goes with which image of a batch.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum NoisePairing {
    /// As drawn.
    #[default]
    Independent,
    /// The assignment that shortens the paths of the batch most. It looks at the images alone:
    /// with captions it leaves a small dependence between caption and noise.
    OptimalTransport,
}

impl Default for ShortcutConfig {
    fn default() -> Self {
        Self {
            bootstrap_fraction: 0.25,
            levels: LevelAllocation::default(),
            one_step_bias: 0.0,
            bootstrap_start: 0.0,
            flow_time: FlowTime::default(),
            clip: 4.0,
            cond_dropout_prob: 0.1,
            bootstrap_cond_dropout: false,
            guidance_scale: 1.0,
            max_guidance_scale: None,
            adaptive_offset: None,
            noise_pairing: NoisePairing::default(),
        }
    }
}

/// # Source
/// One Step Diffusion via Shortcut Models (Frans et al. 2024, arXiv 2410.12557), algorithm 1;
/// levels in a fixed order from the finest, the remainder to d = 1, and t on the grid
/// {0, d, ..., 1 - d} from its code (kvfrans/shortcut-models, `targets_shortcut.py`).
/// # Deviations
/// Every image of the batch is used once (the reference uses the first twice and the last
/// never); levels may be drawn at random, so that small batches reach all of them.
impl Objective for ShortcutConfig {
    fn validate(&self, batch_size: usize) -> Result<(), ObjectiveError> {
        check_fractions(&[
            ("bootstrap_fraction", self.bootstrap_fraction),
            ("one_step_bias", self.one_step_bias),
            ("bootstrap_start", self.bootstrap_start),
            ("cond_dropout_prob", self.cond_dropout_prob),
        ])?;
        check_positive("clip", self.clip)?;
        check_positive("guidance_scale", self.guidance_scale)?;
        if let Some(offset) = self.adaptive_offset {
            check_positive("adaptive_offset", offset)?;
        }
        if let Some(max) = self.max_guidance_scale {
            check(max.is_finite() && max > 1.0, "max_guidance_scale", "a number above 1", max)?;
            check(
                self.guidance_scale == 1.0,
                "guidance_scale",
                "1 where max_guidance_scale makes the scale an input",
                self.guidance_scale,
            )?;
            check(
                self.cond_dropout_prob > 0.0,
                "cond_dropout_prob",
                "above 0, since guidance needs the empty caption",
                self.cond_dropout_prob,
            )?;
        }
        self.flow_time.validate()?;
        let (rows, levels) = (self.bootstrap_rows(batch_size), BASE_LEVEL as usize);
        if self.levels == LevelAllocation::Even && rows < levels {
            return Err(ObjectiveError::TooFewRows {
                fraction: self.bootstrap_fraction,
                batch_size,
                rows,
                levels,
            });
        }
        Ok(())
    }

    fn plan_rows(&self, progress: f64, rngs: &mut [ChaCha8Rng]) -> Vec<Row> {
        let num_bootstrap =
            if progress < self.bootstrap_start { 0 } else { self.bootstrap_rows(rngs.len()) };
        let leading = |index, rng: &mut ChaCha8Rng| self.bootstrap_row(index, num_bootstrap, rng);
        self.flow_time.draw_rows_after(num_bootstrap, leading, self.cond_dropout_prob, rngs)
    }

    fn pair_noise(&self, x_0: &mut [f32], x_1: &[f32], num_rows: usize) {
        if self.noise_pairing == NoisePairing::OptimalTransport {
            pair_by_transport(x_0, x_1, num_rows);
        }
    }

    fn teacher(&self) -> Teacher {
        Teacher::Average
    }

    fn targets(&self, batch: Batch<'_>, teacher: &Network<'_>) -> TrainingTargets {
        let (rows, device) = (batch.rows, batch.x_0.device());
        let targets = path_targets(batch, |leading| self.bootstrap_targets(leading, teacher));
        let offset = self.adaptive_offset.map(|offset| column(rows, |_| offset, &device));
        TrainingTargets { weight: LossWeight { offset, ..LossWeight::default() }, ..targets }
    }

    fn sampler(&self) -> Sampler {
        Sampler::default()
    }

    fn guidance(&self) -> Guidance {
        match self.max_guidance_scale {
            Some(max_scale) => Guidance::ScaleInput { max_scale, at_base_level: false },
            None if self.cond_dropout_prob == 0.0 => Guidance::Never,
            None if self.bootstrap_cond_dropout => Guidance::AnyLevel,
            None => Guidance::BaseLevel,
        }
    }
}

impl ShortcutConfig {
    /// Self-consistency rows in a batch: their fraction of it, rounded down.
    fn bootstrap_rows(&self, batch_size: usize) -> usize {
        (self.bootstrap_fraction * batch_size as f64) as usize
    }

    fn bootstrap_row(&self, index: usize, num_bootstrap: usize, rng: &mut ChaCha8Rng) -> Row {
        let level = match self.levels {
            LevelAllocation::Even => {
                let rows_per_level = num_bootstrap / BASE_LEVEL as usize;
                (BASE_LEVEL as usize - 1).saturating_sub(index / rows_per_level.max(1))
            }
            LevelAllocation::Random if noise::uniform(rng) < self.one_step_bias => 0,
            LevelAllocation::Random => noise::below(rng, BASE_LEVEL as usize),
        };
        let num_steps = 1usize << level;
        Row {
            kind: RowKind::Bootstrap,
            t: noise::below(rng, num_steps) as f64 / num_steps as f64,
            log2_steps: level as f64,
            drop_caption: self.bootstrap_cond_dropout
                && noise::uniform(rng) < self.cond_dropout_prob,
            // The logarithm of w is uniform.
            guidance_scale: self
                .max_guidance_scale
                .map_or(1.0, |max| max.powf(noise::uniform(rng))),
        }
    }

    /// The targets of self-consistency rows, without gradient.
    ///
    /// With s' the teacher (an exponential moving average of the student) and h = d / 2,
    ///
    /// v_1 = s'(x_t, t, h), x' = clip(x_t + h v_1), v_2 = s'(x', t + h, h),
    /// target = clip((v_1 + v_2) / 2).
    ///
    /// The student is asked for level k, the teacher for k + 1. Guidance with scale w makes both
    /// teacher velocities of the rows at d = 1/64, which stand at the base level, v_null +
    /// w (v_text - v_null); where w is an input, larger steps are asked for w instead.
    ///
    /// # Source
    /// arXiv 2410.12557, equation 5; clips and guidance from its code. The scale as an input:
    /// Improved Mean Flows (2025, arXiv 2512.02012).
    fn bootstrap_targets(&self, leading: Leading<'_>, teacher: &Network<'_>) -> Tensor<4> {
        let level = leading.column(|row| row.log2_steps + 1.0);
        let asks_base = |row: &Row| row.log2_steps + 1.0 == f64::from(BASE_LEVEL);
        let scale_is_input = self.max_guidance_scale.is_some();
        // The base level itself is never guided by an input.
        let input_scale = scale_is_input
            .then(|| leading.column(|row| if asks_base(row) { 1.0 } else { row.guidance_scale }));
        // How much of v_text - v_null is added to v_text.
        let extra = |row: &Row| {
            let scale = if scale_is_input { row.guidance_scale } else { self.guidance_scale };
            if asks_base(row) { scale - 1.0 } else { 0.0 }
        };
        let is_guided = leading.rows.iter().any(|row| extra(row) != 0.0);
        let extra = leading.column(extra);

        let velocity = |x_t: Tensor<4>, t: Tensor<1>| {
            let guidance_scale = input_scale.clone();
            let input = NetworkInput { x_t, t, log2_steps: level.clone(), guidance_scale };
            let v = teacher(input.clone(), Conditioning::Caption, Head::MeanVelocity);
            if !is_guided {
                return v;
            }
            let v_null = teacher(input, Conditioning::Null, Head::MeanVelocity);
            v.clone() + (v - v_null) * wide(extra.clone())
        };

        let t = leading.column(|row| row.t);
        let h = leading.column(|row| row.step_size() * 0.5);
        let v_1 = velocity(leading.x_t.clone(), t.clone());
        let x_next = leading.x_t + v_1.clone() * wide(h.clone());
        let v_2 = velocity(x_next.clamp(-self.clip, self.clip), t + h);
        ((v_1 + v_2) * 0.5).clamp(-self.clip, self.clip)
    }
}

#[cfg(test)]
mod tests;
