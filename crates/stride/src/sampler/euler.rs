//! Euler steps along the learned map.

use std::ops::ControlFlow;

use burn::tensor::Tensor;

use super::{Step, StepPlan};

/// The state of a sampler after a step.
#[derive(Clone, Debug)]
pub struct StepState<'a> {
    /// Steps done, from 1.
    pub step: usize,
    /// Steps of the plan.
    pub num_steps: usize,
    /// The samples so far, `[B, C, H, W]`.
    pub x: &'a Tensor<4>,
}

/// Follows x <- x + d s(x, t, d) through the plan, from noise `x_0` to data.
///
/// `velocity` answers s for a batch and a step; `observer` sees every state and may stop the
/// sampler, which then returns `None`.
///
/// # Source
/// One Step Diffusion via Shortcut Models (Frans et al. 2024, arXiv 2410.12557), algorithm 2.
pub fn euler(
    plan: &StepPlan,
    x_0: Tensor<4>,
    mut velocity: impl FnMut(Tensor<4>, Step) -> Tensor<4>,
    mut observer: impl FnMut(StepState<'_>) -> ControlFlow<()>,
) -> Option<Tensor<4>> {
    let mut x = x_0;
    for (index, &step) in plan.steps().iter().enumerate() {
        x = x.clone() + velocity(x, step) * step.size();
        let state = StepState { step: index + 1, num_steps: plan.len(), x: &x };
        if observer(state).is_break() {
            return None;
        }
    }
    Some(x)
}

#[cfg(test)]
mod tests {
    use super::*;
    use burn::tensor::{Device, Tolerance};

    #[test]
    fn a_constant_field_is_followed_exactly_for_any_step_count() {
        let device = Device::flex();
        for n in [1, 3, 6, 128] {
            let plan = StepPlan::new(n).expect("in range");
            let x_0 = Tensor::<4>::zeros([2, 1, 1, 1], &device);
            let x = euler(&plan, x_0, |x, _| x.zeros_like() + 3.0, |_| ControlFlow::Continue(()));
            let expected = Tensor::<4>::full([2, 1, 1, 1], 3.0, &device);
            x.expect("not stopped")
                .to_data()
                .assert_approx_eq::<f32>(&expected.to_data(), Tolerance::absolute(1e-5));
        }
    }

    #[test]
    fn the_observer_stops_it() {
        let plan = StepPlan::new(8).expect("in range");
        let x_0 = Tensor::<4>::zeros([1, 1, 1, 1], &Device::flex());
        let mut seen = 0;
        let stopped = euler(
            &plan,
            x_0,
            |x, _| x,
            |state| {
                seen = state.step;
                if state.step == 3 { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
            },
        );
        assert!(stopped.is_none());
        assert_eq!(seen, 3);
    }
}
