//! What the network is asked for: states, their times, and the sizes of the steps to take.

use burn::tensor::{Device, Tensor};

/// What the network sees beside the captions.
#[derive(Clone, Debug)]
pub struct NetworkInput {
    /// States, `[B, C, H, W]`.
    pub x_t: Tensor<4>,
    /// Times in [0, 1), `[B]`.
    pub t: Tensor<1>,
    /// Levels k of the step sizes d = 2^-k, real numbers in [0, 7], `[B]`.
    pub log2_steps: Tensor<1>,
    /// Guidance scales of at least 1, `[B]`, if they are an input; otherwise 1.
    pub guidance_scale: Option<Tensor<1>>,
}

/// What the network is asked for in one row: a time and a level k of the step size d = 2^-k.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct NetworkTime {
    /// The time t, in [0, 1).
    pub t: f64,
    /// The level k, a real number in [0, 7].
    pub log2_steps: f64,
}

/// The number of steps of the finest sampler; its step size stands for d = 0.
pub const BASE_STEPS: usize = 128;

/// log2 of [`BASE_STEPS`]: the level k of the flow-matching rows. Levels k = 0..=6 are trained
/// by self-consistency.
pub const BASE_LEVEL: u32 = BASE_STEPS.ilog2();

/// The level k = -log2 d of a step size in (0, 1]; sizes below 1/128 count as d = 0.
pub fn step_level(size: f64) -> f64 {
    (-size.log2()).min(f64::from(BASE_LEVEL))
}

impl NetworkInput {
    /// Every state of `x_t`, `[B, C, H, W]`, at a time of its own, without guidance as an input.
    pub fn at_times(x_t: Tensor<4>, times: &[NetworkTime]) -> Self {
        let device = x_t.device();
        let t = column(times, |time| time.t, &device);
        let log2_steps = column(times, |time| time.log2_steps, &device);
        Self { x_t, t, log2_steps, guidance_scale: None }
    }

    /// The same input on the autodiff device, without gradient of its own.
    pub fn for_student(&self) -> Self {
        Self {
            x_t: Tensor::from_inner(self.x_t.clone()),
            t: Tensor::from_inner(self.t.clone()),
            log2_steps: Tensor::from_inner(self.log2_steps.clone()),
            guidance_scale: self.guidance_scale.clone().map(Tensor::from_inner),
        }
    }
}

impl NetworkTime {
    /// The time at the finest level, which stands for d = 0.
    pub fn base(t: f64) -> Self {
        Self { t, log2_steps: f64::from(BASE_LEVEL) }
    }

    /// Whether the level is the finest one.
    pub fn is_base_level(&self) -> bool {
        self.log2_steps >= f64::from(BASE_LEVEL)
    }
}

/// A number of every row as a column `[B]`.
pub(crate) fn column<T>(rows: &[T], f: impl Fn(&T) -> f64, device: &Device) -> Tensor<1> {
    let values: Vec<f32> = rows.iter().map(|row| f(row) as f32).collect();
    Tensor::from_floats(values.as_slice(), device)
}
