//! Which step sizes make up n steps.

use thiserror::Error;

use crate::network_input::BASE_STEPS;

/// The steps of a sampler, from t = 0 (noise) to t = 1 (data).
#[derive(Clone, Debug, PartialEq)]
pub struct StepPlan {
    steps: Vec<Step>,
}

/// One step x <- x + d s(x, t, d).
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Step {
    /// The time it starts at.
    pub t: f64,
    /// The level k of its size d = 2^-k.
    pub log2_steps: u32,
}

impl Step {
    /// The step size d.
    pub fn size(&self) -> f64 {
        1.0 / f64::from(1u32 << self.log2_steps)
    }
}

/// A step count the model was not trained for.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
#[error("the number of steps must be from 1 to {BASE_STEPS}, found {0}")]
pub struct InvalidStepCount(pub usize);

impl StepPlan {
    /// The plan for `num_steps` in 1..=128.
    ///
    /// A power of two takes equal steps. Any other count n lies between p = 2^floor(log2 n) and
    /// 2 p: the interval is cut into p equal parts and n - p of them, evenly spaced, are halved.
    /// So every step starts on the grid of its own size, as in training, no step differs from
    /// another by more than a factor of two, and the sizes sum to exactly 1.
    ///
    /// # Errors
    /// `num_steps` is 0 or more than 128.
    pub fn new(num_steps: usize) -> Result<Self, InvalidStepCount> {
        if !(1..=BASE_STEPS).contains(&num_steps) {
            return Err(InvalidStepCount(num_steps));
        }
        let log2_parts = num_steps.ilog2();
        let parts = 1usize << log2_parts;
        let halved = num_steps - parts;
        let mut steps = Vec::with_capacity(num_steps);
        for part in 0..parts {
            let t = part as f64 / parts as f64;
            // Part i is halved where the running count i * halved / parts passes a whole number.
            if (part + 1) * halved / parts > part * halved / parts {
                let log2_steps = log2_parts + 1;
                let middle = t + 0.5 / parts as f64;
                steps.extend([t, middle].map(|t| Step { t, log2_steps }));
            } else {
                steps.push(Step { t, log2_steps: log2_parts });
            }
        }
        Ok(Self { steps })
    }

    /// The steps, in order.
    pub fn steps(&self) -> &[Step] {
        &self.steps
    }

    /// The number of steps.
    pub fn len(&self) -> usize {
        self.steps.len()
    }

    /// Never: a plan has at least one step.
    pub fn is_empty(&self) -> bool {
        self.steps.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::network_input::BASE_LEVEL;

    #[test]
    fn every_count_has_a_plan_of_aligned_steps_that_sums_to_one() {
        for n in 1..=BASE_STEPS {
            let plan = StepPlan::new(n).expect("in range");
            assert_eq!(plan.len(), n);
            let mut t = 0.0;
            for step in plan.steps() {
                assert_eq!(step.t, t, "{n} steps");
                assert!(step.log2_steps <= BASE_LEVEL);
                assert_eq!(
                    (step.t / step.size()).fract(),
                    0.0,
                    "{n} steps: {step:?} is off its grid"
                );
                t += step.size();
            }
            assert_eq!(t, 1.0, "{n} steps");
        }
    }

    #[test]
    fn powers_of_two_are_uniform_and_others_mix_two_sizes() {
        for k in 0..=BASE_LEVEL {
            let plan = StepPlan::new(1 << k).expect("in range");
            assert!(plan.steps().iter().all(|step| step.log2_steps == k));
        }
        let levels = |n| {
            StepPlan::new(n)
                .expect("in range")
                .steps()
                .iter()
                .map(|s| s.log2_steps)
                .collect::<Vec<_>>()
        };
        assert_eq!(levels(3), [1, 2, 2]);
        assert_eq!(levels(6), [2, 3, 3, 2, 3, 3]);
    }

    #[test]
    fn other_counts_are_refused_with_the_range() {
        for n in [0, 129] {
            let message = StepPlan::new(n).map_err(|e| e.to_string()).err().unwrap_or_default();
            assert!(message.contains("from 1 to 128") && message.contains(&n.to_string()));
        }
    }
}
