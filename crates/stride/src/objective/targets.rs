//! What an objective hands to the trainer.

use burn::tensor::{Device, Tensor};

use super::NetworkInput;

/// One training batch: the student sees `input` and the captions, and is asked for `target`.
#[derive(Clone, Debug)]
pub struct TrainingTargets {
    /// What the student sees.
    pub input: NetworkInput,
    /// What the student should answer, `[B, C, H, W]`, without gradient.
    pub target: Tensor<4>,
    /// How the errors of the rows add up.
    pub weight: LossWeight,
}

/// How the errors of rows add up to a loss: the mean of factor x error, or of
/// factor x error / (error + offset), where the error below the line has no gradient, so that rows
/// of large error count no more than others.
#[derive(Clone, Debug, Default)]
pub struct LossWeight {
    /// The factor of every row, `[B]`; 1 if absent.
    pub factor: Option<Tensor<1>>,
    /// The error below which a row fades out, `[B]`, positive; the plain error if absent.
    pub offset: Option<Tensor<1>>,
}

impl TrainingTargets {
    /// The mean squared error of every row, `[B]`.
    ///
    /// `prediction` may live on an autodiff device; the targets carry no gradient.
    pub fn row_losses(&self, prediction: Tensor<4>) -> Tensor<1> {
        let target = if prediction.is_autodiff() {
            Tensor::from_inner(self.target.clone())
        } else {
            self.target.clone()
        };
        (prediction - target).square().mean_dims(&[1, 2, 3]).flatten(0, 3)
    }

    /// The loss, `[1]`: the weighted mean of the row losses.
    ///
    /// # Source
    /// The adaptive weight: Consistency Models Made Easy (Geng et al. 2024, arXiv 2406.14548) and
    /// alpha-Flow (2025, arXiv 2510.20771).
    pub fn loss(&self, row_losses: Tensor<1>) -> Tensor<1> {
        let constant = |values: &Tensor<1>| match row_losses.is_autodiff() {
            true => Tensor::from_inner(values.clone()),
            false => values.clone(),
        };
        let mut losses = row_losses.clone();
        if let Some(factor) = &self.weight.factor {
            losses = losses * constant(factor);
        }
        if let Some(offset) = &self.weight.offset {
            losses = losses / (row_losses.clone().detach() + constant(offset));
        }
        losses.mean()
    }
}

/// Numbers of rows as a column `[B]`.
pub(super) fn column<T>(rows: &[T], f: impl Fn(&T) -> f64, device: &Device) -> Tensor<1> {
    let values: Vec<f32> = rows.iter().map(|row| f(row) as f32).collect();
    Tensor::from_floats(values.as_slice(), device)
}

/// A column `[B]` as a factor of `[B, C, H, W]`.
pub(super) fn wide(column: Tensor<1>) -> Tensor<4> {
    column.reshape([-1, 1, 1, 1])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn targets(weight: LossWeight) -> TrainingTargets {
        let device = Device::flex();
        let column = |values: [f32; 2]| Tensor::<1>::from_floats(values, &device);
        let x_t = Tensor::<4>::zeros([2, 1, 1, 2], &device);
        let input = NetworkInput {
            x_t: x_t.clone(),
            t: column([0.0; 2]),
            log2_steps: column([7.0; 2]),
            guidance_scale: None,
        };
        TrainingTargets { input, target: x_t, weight }
    }

    #[test]
    fn weights_are_constants_of_the_loss() {
        let device = Device::flex();
        let autodiff = device.clone().autodiff();
        let column = |values: [f32; 2]| Tensor::<1>::from_floats(values, &device);
        let (factor, offset) = (column([1.0, 0.5]), column([0.1, 0.2]));
        for (factor, offset, expected) in [
            (None, None, [1.0, 1.0]),
            (Some(factor.clone()), None, [1.0, 0.5]),
            (None, Some(offset.clone()), [1.0 / 4.1, 1.0 / 9.2]),
            (Some(factor), Some(offset), [1.0 / 4.1, 0.5 / 9.2]),
        ] {
            let targets = targets(LossWeight { factor, offset });
            // Row errors are 4 and 9.
            let prediction = Tensor::<4>::from_floats([[[[2.0, 2.0]]], [[[3.0, 3.0]]]], &autodiff)
                .require_grad();
            let loss = targets.loss(targets.row_losses(prediction.clone()));
            let value: f32 = loss.clone().inner().into_scalar();
            let expected_loss = (4.0 * expected[0] + 9.0 * expected[1]) / 2.0;
            assert!((value - expected_loss).abs() < 1e-5, "{value} {expected_loss}");
            let gradient = prediction.grad(&loss.backward()).expect("used").into_data();
            let gradient: Vec<f32> = gradient.iter().collect();
            // d/dp of w/2 * mean(p^2) over two numbers is w p / 2.
            for (found, expected) in
                gradient.iter().step_by(2).zip([expected[0], 1.5 * expected[1]])
            {
                assert!((found - expected).abs() < 1e-5, "{gradient:?} {expected}");
            }
        }
    }
}
