//! Data-anchored steps: the first part of a step follows the data, the model itself does the rest.

use burn::tensor::Tensor;
use serde::{Deserialize, Serialize};
use stride_kernels::gemm::Compute;

use super::contract::{
    Batch, Conditioning, Head, LossWeight, Network, Objective, Teacher, TrainingTargets,
};
use super::error::{ObjectiveError, check, check_fractions, check_positive};
use super::path::{Leading, path_targets, wide};
use super::row::{FlowTime, Row, RowKind, draw_sigmoid};
use crate::network_input::{column, step_level};
use crate::noise::{self, ChaCha8Rng};
use crate::sampler::{Guidance, Sampler};

/// Settings of the data-anchored objective.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct DataAnchoredConfig {
    /// Fraction of the rows with a step size above 0.
    #[serde(alias = "consistency_share")]
    pub consistency_fraction: f64,
    /// Fraction of the run after which these rows begin; flow matching alone before.
    pub consistency_start: f64,
    /// The fraction a of the step that follows the data, at the first consistency row of the run ...
    pub anchor_start: f64,
    /// ... and at its end; geometric in between. The error is divided by a, so that rounding of
    /// the network counts 1 / a times: below 0.02 it must compute in f32.
    pub anchor_end: f64,
    /// How t is drawn for flow-matching rows.
    pub flow_time: FlowTime,
    /// Mean of the logit of the noise level 1 - t at which a step starts.
    pub start_mean: f64,
    /// Its standard deviation.
    pub start_std: f64,
    /// Fraction of steps that start at pure noise instead.
    #[serde(alias = "noise_start_share")]
    pub noise_start_fraction: f64,
    /// Mean of the logit of the noise level 1 - t - d at which a step ends.
    pub end_mean: f64,
    /// Its standard deviation.
    pub end_std: f64,
    /// Fraction of steps that end at data instead.
    #[serde(alias = "data_end_share")]
    pub data_end_fraction: f64,
    /// Below this mean square of error / a, rows count less.
    pub adaptive_offset: f64,
    /// How much consistency rows count beside flow-matching rows.
    pub weighting: AnchorWeighting,
    /// Fraction of rows trained on the empty caption.
    pub cond_dropout_prob: f64,
    /// Guidance inside the targets of consistency rows; none if absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub guidance: Option<TargetGuidance>,
}

/// How much consistency rows count beside flow-matching rows. The loss of either is near 1; the gradient is that of the
/// error over its size, which is of order a on consistency rows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AnchorWeighting {
    /// The loss as it is: their gradients are 1 / a times as large, and few-step images come first.
    #[default]
    SoFlow,
    /// Times a: gradients of one size, so that flow matching is learned as well as alone.
    AlphaFlow,
}

/// Guidance of the velocity that consistency rows follow,
/// v~ = w v + k s(x, t, 0 | text) + (1 - w - k) s(x, t, 0 | null), of effective scale w / (1 - k).
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TargetGuidance {
    /// The factor w of the data's velocity; 1 with k = 0 is no guidance.
    pub scale: f64,
    /// The fraction k of the model's own velocity, in [0, 1): less noise for the same scale.
    #[serde(default)]
    pub mix: f64,
    /// The time before which guidance fades out linearly towards pure noise.
    #[serde(default = "default_fade_time")]
    pub fade_time: f64,
}

fn default_fade_time() -> f64 {
    0.1
}

/// The error is divided by the anchor; below this, what is left is the rounding of bfloat16.
const SMALLEST_ANCHOR_IN_BF16: f64 = 0.02;
/// A step is never shorter than this.
const SHORTEST_STEP: f64 = 1e-4;

impl Default for DataAnchoredConfig {
    fn default() -> Self {
        Self {
            consistency_fraction: 0.25,
            consistency_start: 0.0,
            anchor_start: 0.1,
            anchor_end: 0.002,
            flow_time: FlowTime::LogitNormal { mean: 0.2, std: 1.0, uniform_fraction: 0.0 },
            start_mean: 0.2,
            start_std: 0.8,
            noise_start_fraction: 0.1,
            end_mean: -1.0,
            end_std: 0.8,
            data_end_fraction: 0.1,
            adaptive_offset: 0.01,
            weighting: AnchorWeighting::default(),
            cond_dropout_prob: 0.1,
            guidance: None,
        }
    }
}

/// A row of step size d regresses a v~ + (1 - a) sg s(x + a d v~, t + a d, d - a d), where v~ is
/// the velocity of the path (or its guided version) and sg the student without gradient; its loss
/// is |e|^2 / (|e|^2 + c a^2) in mean squares, with the denominator held constant and a = 1 on
/// flow-matching rows; [`AnchorWeighting::AlphaFlow`] multiplies it by a.
///
/// # Source
/// SoFlow (2025, arXiv 2512.15657) and alpha-Flow (2025, arXiv 2510.20771), whose discrete
/// objectives are the same estimator; the schedule of a and the noise levels are SoFlow's.
/// # Deviations
/// alpha-Flow's c is not multiplied by a^2. Some steps start at pure noise and some end at data, so that the one-step sampler is trained
/// where it is used. d enters the network as its level -log2 d, a real number.
impl Objective for DataAnchoredConfig {
    fn validate(&self, _batch_size: usize) -> Result<(), ObjectiveError> {
        check_fractions(&[
            ("consistency_fraction", self.consistency_fraction),
            ("consistency_start", self.consistency_start),
            ("noise_start_fraction", self.noise_start_fraction),
            ("data_end_fraction", self.data_end_fraction),
            ("cond_dropout_prob", self.cond_dropout_prob),
            ("anchor_start", self.anchor_start),
            ("anchor_end", self.anchor_end),
        ])?;
        for (name, value) in [
            ("anchor_start", self.anchor_start),
            ("anchor_end", self.anchor_end),
            ("start_std", self.start_std),
            ("end_std", self.end_std),
            ("adaptive_offset", self.adaptive_offset),
            // The means may be negative; their exponentials tell whether they are numbers.
            ("exp(start_mean)", self.start_mean.exp()),
            ("exp(end_mean)", self.end_mean.exp()),
        ] {
            check_positive(name, value)?;
        }
        if let Some(guidance) = self.guidance {
            check_positive("guidance.scale", guidance.scale)?;
            check_positive("guidance.fade_time", guidance.fade_time)?;
            let mix = guidance.mix;
            check((0.0..1.0).contains(&mix), "guidance.mix", "a number in [0, 1)", mix)?;
            check(
                self.cond_dropout_prob > 0.0,
                "cond_dropout_prob",
                "above 0, since guidance needs the empty caption",
                self.cond_dropout_prob,
            )?;
        }
        self.flow_time.validate()
    }

    fn validate_compute(&self, compute: Compute) -> Result<(), ObjectiveError> {
        let enough = compute == Compute::F32 || self.anchor_end >= SMALLEST_ANCHOR_IN_BF16;
        let expected = "at least 0.02 where training computes in bf16 (or compute_dtype = \"f32\")";
        check(enough, "anchor_end", expected, self.anchor_end)
    }

    fn plan_rows(&self, progress: f64, rngs: &mut [ChaCha8Rng]) -> Vec<Row> {
        let started = progress >= self.consistency_start;
        let fraction = if started { self.consistency_fraction } else { 0.0 };
        let num_consistency = (fraction * rngs.len() as f64) as usize;
        let leading = |_, rng: &mut ChaCha8Rng| self.consistency_row(rng);
        self.flow_time.draw_rows_after(num_consistency, leading, self.cond_dropout_prob, rngs)
    }

    fn teacher(&self) -> Teacher {
        Teacher::Student
    }

    fn targets(&self, batch: Batch<'_>, teacher: &Network<'_>) -> TrainingTargets {
        let (rows, device) = (batch.rows, batch.x_0.device());
        let anchor = self.anchor(batch.progress);
        let targets = path_targets(batch, |leading| {
            let v = self.guided_velocity(&leading, teacher);
            anchored_targets(leading, v, anchor, teacher)
        });
        let scale = |row: &Row| if row.needs_teacher() { anchor } else { 1.0 };
        let factor = match self.weighting {
            AnchorWeighting::SoFlow => None,
            AnchorWeighting::AlphaFlow => Some(column(rows, scale, &device)),
        };
        let offset = |row: &Row| self.adaptive_offset * scale(row).powi(2);
        let offset = Some(column(rows, offset, &device));
        TrainingTargets { weight: LossWeight { factor, offset, positions: None }, ..targets }
    }

    fn sampler(&self) -> Sampler {
        Sampler::default()
    }

    fn guidance(&self) -> Guidance {
        Guidance::learned_by_dropout(self.cond_dropout_prob)
    }
}

impl DataAnchoredConfig {
    /// The fraction a at a point of the run.
    fn anchor(&self, progress: f64) -> f64 {
        let length = (1.0 - self.consistency_start).max(f64::MIN_POSITIVE);
        let done = ((progress - self.consistency_start) / length).clamp(0.0, 1.0);
        self.anchor_start * (self.anchor_end / self.anchor_start).powf(done)
    }

    fn consistency_row(&self, rng: &mut ChaCha8Rng) -> Row {
        let start = draw_sigmoid(self.start_mean, self.start_std, rng);
        let end = draw_sigmoid(self.end_mean, self.end_std, rng);
        let start = if noise::uniform(rng) < self.noise_start_fraction { 1.0 } else { start };
        let end = if noise::uniform(rng) < self.data_end_fraction { 0.0 } else { end };
        let end = end.min(start - SHORTEST_STEP).max(0.0);
        Row {
            kind: RowKind::Bootstrap,
            log2_steps: -(start - end).max(SHORTEST_STEP).log2(),
            drop_caption: noise::uniform(rng) < self.cond_dropout_prob,
            ..Row::flow(1.0 - start)
        }
    }

    /// v~ of consistency rows; rows on the empty caption follow the data alone.
    fn guided_velocity(&self, leading: &Leading<'_>, teacher: &Network<'_>) -> Tensor<4> {
        let v = leading.velocity.clone();
        let Some(TargetGuidance { scale, mix, fade_time }) = self.guidance else {
            return v;
        };
        let strength =
            |row: &Row| if row.drop_caption { 0.0 } else { (row.t / fade_time).min(1.0) };
        let strength = wide(leading.column(strength));
        let input =
            leading.input(leading.x_t.clone(), |row| row.t, |row| Row::flow(row.t).log2_steps);
        let v_text = teacher(input.clone(), Conditioning::Caption, Head::MeanVelocity);
        let v_null = teacher(input, Conditioning::Null, Head::MeanVelocity);
        let guided = v.clone() * scale + v_text * mix + v_null * (1.0 - scale - mix);
        v.clone() + (guided - v) * strength
    }
}

/// a v + (1 - a) s(x + a d v, t + a d, d - a d).
fn anchored_targets(
    leading: Leading<'_>,
    v: Tensor<4>,
    anchor: f64,
    teacher: &Network<'_>,
) -> Tensor<4> {
    let anchored = |row: &Row| anchor * row.step_size();
    let input = leading.input(
        leading.x_t.clone() + v.clone() * wide(leading.column(anchored)),
        |row| row.t + anchored(row),
        |row| step_level((1.0 - anchor) * row.step_size()),
    );
    v * anchor + teacher(input, Conditioning::Caption, Head::MeanVelocity) * (1.0 - anchor)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::noise::keyed_rng;

    fn rows(config: &DataAnchoredConfig, progress: f64) -> Vec<Row> {
        let mut rngs: Vec<_> = (0..8000).map(|i| keyed_rng(0, 2, 0, i)).collect();
        config.plan_rows(progress, &mut rngs)
    }

    #[test]
    fn steps_stay_inside_the_path_and_reach_its_ends() {
        let config = DataAnchoredConfig { consistency_start: 0.4, ..Default::default() };
        assert!(rows(&config, 0.39).iter().all(|row| row.kind == RowKind::Flow));
        let rows = rows(&config, 0.4);
        let steps: Vec<&Row> = rows.iter().filter(|row| row.needs_teacher()).collect();
        assert_eq!(steps.len(), 2000);
        for row in &steps {
            let end = row.t + row.step_size();
            assert!(row.t >= 0.0 && row.log2_steps >= 0.0 && end <= 1.0 + 1e-9, "{row:?}");
        }
        let fraction = |holds: &dyn Fn(&Row) -> bool| {
            steps.iter().filter(|row| holds(row)).count() as f64 / steps.len() as f64
        };
        assert!((fraction(&|row| row.t == 0.0) - 0.1).abs() < 0.02);
        assert!((fraction(&|row| row.t + row.step_size() > 1.0 - 1e-9) - 0.1).abs() < 0.02);
        assert!((fraction(&|row| row.log2_steps == 0.0) - 0.01).abs() < 0.01, "one-step rows");
    }

    #[test]
    fn the_anchor_falls_geometrically_from_the_start_of_its_rows() {
        let config = DataAnchoredConfig { consistency_start: 0.5, ..Default::default() };
        assert!((config.anchor(0.5) - 0.1).abs() < 1e-12);
        assert!((config.anchor(0.75) - (0.1f64 * 0.002).sqrt()).abs() < 1e-12);
        assert!((config.anchor(1.0) - 0.002).abs() < 1e-12);
    }

    #[test]
    fn impossible_settings_are_named() {
        let error = |config: DataAnchoredConfig| {
            config.validate(8).map_err(|error| error.to_string()).err().unwrap_or_default()
        };
        assert_eq!(error(DataAnchoredConfig::default()), "");
        let in_bf16 = DataAnchoredConfig::default().validate_compute(Compute::Bf16);
        assert!(in_bf16.is_err_and(|error| error.to_string().contains("anchor_end")));
        let coarse = DataAnchoredConfig { anchor_end: 0.05, ..Default::default() };
        assert_eq!(coarse.validate_compute(Compute::Bf16), Ok(()));
        let zero = DataAnchoredConfig { anchor_end: 0.0, ..Default::default() };
        assert!(error(zero).contains("anchor_end"));
        let guidance = Some(TargetGuidance { scale: 2.0, mix: 0.0, fade_time: 0.1 });
        let untrained =
            DataAnchoredConfig { guidance, cond_dropout_prob: 0.0, ..Default::default() };
        assert!(error(untrained).contains("empty caption"));
    }
}
