//! Group normalisation of images whose channels lie together, with an activation.

use rayon::prelude::*;

use crate::lanes::silu;
use crate::parallel_init::in_pieces;
use crate::storage_element::StorageElement;
use crate::vectorized::vectorized;

/// Sizes of a group normalisation of `[B, P, C]`, P positions.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Geometry {
    /// Images B.
    pub batch: usize,
    /// C.
    pub channels: usize,
    /// Groups of neighbouring channels that share mean and variance; C is a multiple of it.
    pub groups: usize,
    /// Added to the variance.
    pub epsilon: f64,
    /// Whether x sigmoid(x) follows.
    pub silu: bool,
}

/// Mean and 1 / sqrt(variance + epsilon) of every group of every image, `[B, groups]` each.
#[derive(Clone, Debug)]
pub struct Statistics {
    mean: Vec<f32>,
    inverse_std: Vec<f32>,
}

/// The gradients of [`forward`].
#[derive(Clone, Debug)]
pub struct Gradients {
    /// For `x`, `[B, P, C]`.
    pub x: Vec<f32>,
    /// For the gain, `[C]`.
    pub gain: Vec<f32>,
    /// For the bias, `[C]`.
    pub bias: Vec<f32>,
}

/// Numbers of the stretches that tasks take: they stay in the cache between two looks.
const STRETCH: usize = 1 << 15;

/// `y = gain (x - mean) / sqrt(variance + epsilon) + bias`, and SiLU of it where asked for; mean and
/// variance are those of a group of channels over all positions of an image.
///
/// `x` and the result are `[B, P, C]`, `gain` and `bias` `[C]`.
///
/// # Source
/// Wu and He, "Group Normalization" (2018), equations 1 to 7.
///
/// # Panics
/// The lengths do not fit together.
pub fn forward<T: StorageElement>(
    geometry: &Geometry,
    x: &[T],
    gain: &[f32],
    bias: &[f32],
) -> (Vec<T>, Statistics) {
    geometry.check(x, gain);
    assert_eq!(bias.len(), gain.len(), "group_norm: lengths differ");
    let statistics = geometry.statistics(x);
    let lines = geometry.lines(&statistics, gain, bias);
    let stretches = geometry.stretches(x);
    let y = in_pieces(stretches.iter().map(|(_, x)| x.len()), |index, y| {
        let (image, x) = stretches[index];
        let (x, (slope, offset)) = (T::widened(x), &lines[image]);
        if geometry.silu { line_silu(slope, offset, &x, y) } else { line(slope, offset, &x, y) }
    });
    (y, statistics)
}

/// The gradients of [`forward`] from that of the result.
///
/// With the normalised `n`, the gradient `g` before the activation, `h = gain g`, and means over a
/// group:
/// ```text
/// grad_x = (h - mean(h) - n mean(h n)) / sqrt(variance + epsilon)
/// grad_gain = sum of g n        grad_bias = sum of g
/// ```
///
/// # Panics
/// The lengths do not fit together.
pub fn backward(
    geometry: &Geometry,
    x: &[f32],
    gain: &[f32],
    bias: &[f32],
    statistics: &Statistics,
    grad: &[f32],
) -> Gradients {
    geometry.check(x, gain);
    assert_eq!((bias.len(), grad.len()), (gain.len(), x.len()), "group_norm: lengths differ");
    let Geometry { channels, groups, silu, .. } = *geometry;
    let lines = geometry.lines(statistics, gain, bias);
    let normalizers = geometry.normalizers(statistics);
    // Sums of g and of g n for every channel; each stretch by itself and then in order, so that
    // they do not depend on the threads.
    let parts: Vec<(usize, [Vec<f32>; 2])> = geometry
        .stretches(x)
        .into_par_iter()
        .zip(geometry.stretches(grad))
        .map(|((image, x), (_, grad))| {
            let ((slope, offset), (scale, shift)) = (&lines[image], &normalizers[image]);
            let mut sums = [vec![0.0; channels], vec![0.0; channels]];
            let [sum_g, sum_gn] = &mut sums;
            gradient_sums(silu, slope, offset, scale, shift, x, grad, sum_g, sum_gn);
            (image, sums)
        })
        .collect();
    let mut sums = vec![[vec![0.0f64; channels], vec![0.0f64; channels]]; geometry.batch];
    for (image, part) in &parts {
        for (sums, part) in sums[*image].iter_mut().zip(part) {
            sums.iter_mut().zip(part).for_each(|(sum, &part)| *sum += f64::from(part));
        }
    }

    let width = channels / groups;
    let count = (geometry.image_len(x) / groups) as f64;
    // grad_x = a g + b + c x, with a, b and c for every channel of every image.
    let coefficients: Vec<[Vec<f32>; 3]> = (0..geometry.batch)
        .map(|image| {
            let [sum_g, sum_gn] = &sums[image];
            let mut of = [vec![0.0; channels], vec![0.0; channels], vec![0.0; channels]];
            for group in 0..groups {
                let range = group * width..(group + 1) * width;
                let mean_of = |sums: &[f64]| {
                    let terms = gain[range.clone()].iter().zip(&sums[range.clone()]);
                    terms.map(|(&gain, sum)| f64::from(gain) * sum).sum::<f64>() / count
                };
                let (mean_h, mean_hn) = (mean_of(sum_g), mean_of(sum_gn));
                let mean = f64::from(statistics.mean[image * groups + group]);
                let scale = f64::from(statistics.inverse_std[image * groups + group]);
                for channel in range {
                    of[0][channel] = (scale * f64::from(gain[channel])) as f32;
                    of[1][channel] = (scale * (mean * scale * mean_hn - mean_h)) as f32;
                    of[2][channel] = (-scale * scale * mean_hn) as f32;
                }
            }
            of
        })
        .collect();
    let (of_x, of_grad) = (geometry.stretches(x), geometry.stretches(grad));
    let grad_x = in_pieces(of_x.iter().map(|(_, x)| x.len()), |index, grad_x| {
        let (image, x) = of_x[index];
        let (slope, offset) = &lines[image];
        let [a, b, c] = &coefficients[image];
        grad_x.copy_from_slice(of_grad[index].1);
        gradient(silu, slope, offset, a, b, c, x, grad_x);
    });
    let total = |which: usize| {
        (0..channels)
            .map(|channel| sums.iter().map(|sums| sums[which][channel]).sum::<f64>() as f32)
            .collect()
    };
    Gradients { x: grad_x, gain: total(1), bias: total(0) }
}

impl Geometry {
    fn check<T>(&self, x: &[T], gain: &[f32]) {
        let Self { batch, channels, groups, .. } = *self;
        assert!(groups > 0 && channels.is_multiple_of(groups), "group_norm: {groups} groups");
        assert_eq!(gain.len(), channels, "group_norm: gain");
        let unit = (batch * channels).max(1);
        assert!(x.len().is_multiple_of(unit), "group_norm: {} numbers for {self:?}", x.len());
    }

    fn image_len<T>(&self, x: &[T]) -> usize {
        x.len() / self.batch.max(1)
    }

    /// Numbers of a stretch: whole positions.
    fn stretch_len(&self) -> usize {
        (STRETCH / self.channels.max(1)).max(1) * self.channels.max(1)
    }

    /// Stretches of whole positions of one image each, with their images.
    fn stretches<'a, T>(&self, x: &'a [T]) -> Vec<(usize, &'a [T])> {
        let (image, stretch) = (self.image_len(x).max(1), self.stretch_len());
        let images = x.chunks(image).enumerate();
        images.flat_map(|(i, x)| x.chunks(stretch).map(move |x| (i, x))).collect()
    }

    fn statistics<T: StorageElement>(&self, x: &[T]) -> Statistics {
        let Self { batch, channels, groups, epsilon, .. } = *self;
        // Mean and sum of squared deviations of each channel in each stretch, joined in order by
        // the rule of Chan, Golub and LeVeque (1979), so that a large mean costs no digits.
        let parts: Vec<(usize, usize, [Vec<f32>; 2])> = self
            .stretches(x)
            .into_par_iter()
            .map(|(image, x)| {
                let mut moments = [vec![0.0; channels], vec![0.0; channels]];
                let [mean, deviation] = &mut moments;
                moments_of(&T::widened(x), mean, deviation);
                (image, x.len() / channels, moments)
            })
            .collect();
        let width = channels / groups;
        let mut joined = vec![(0.0f64, 0.0f64, 0.0f64); batch * groups];
        for (image, count, [mean, deviation]) in &parts {
            let count = *count as f64;
            for channel in 0..channels {
                let (n, m, s) = &mut joined[image * groups + channel / width];
                let gap = f64::from(mean[channel]) - *m;
                *s += f64::from(deviation[channel]) + gap * gap * *n * count / (*n + count);
                *m += gap * count / (*n + count);
                *n += count;
            }
        }
        let inverse_std = |&(n, _, s): &(f64, f64, f64)| (s / n.max(1.0) + epsilon).sqrt().recip();
        Statistics {
            mean: joined.iter().map(|&(_, mean, _)| mean as f32).collect(),
            inverse_std: joined.iter().map(|group| inverse_std(group) as f32).collect(),
        }
    }

    /// Slope and offset of y as a function of x, for every channel of every image.
    fn lines(
        &self,
        statistics: &Statistics,
        gain: &[f32],
        bias: &[f32],
    ) -> Vec<(Vec<f32>, Vec<f32>)> {
        let of = |(scale, shift): (Vec<f32>, Vec<f32>)| {
            let offset =
                shift.iter().zip(gain).zip(bias).map(|((shift, gain), b)| shift * gain + b);
            let offset = offset.collect();
            (scale.iter().zip(gain).map(|(scale, gain)| scale * gain).collect(), offset)
        };
        self.normalizers(statistics).into_iter().map(of).collect()
    }

    /// Slope and offset of the normalised x, for every channel of every image.
    fn normalizers(&self, statistics: &Statistics) -> Vec<(Vec<f32>, Vec<f32>)> {
        let Self { batch, channels, groups, .. } = *self;
        let width = channels / groups;
        let of = |image: usize| {
            let group = move |channel: usize| image * groups + channel / width;
            let scale = |channel| statistics.inverse_std[group(channel)];
            let shift = |channel| -statistics.mean[group(channel)] * scale(channel);
            ((0..channels).map(scale).collect(), (0..channels).map(shift).collect())
        };
        (0..batch).map(of).collect()
    }
}

vectorized! {
    /// Means of the columns of rows, and sums of squared deviations from them.
    fn moments_of(x: &[f32], mean: &mut [f32], deviation: &mut [f32]) {
        let channels = mean.len();
        for row in x.chunks_exact(channels) {
            for (mean, &x) in mean.iter_mut().zip(row) {
                *mean += x;
            }
        }
        let scale = 1.0 / (x.len() / channels) as f32;
        mean.iter_mut().for_each(|mean| *mean *= scale);
        for row in x.chunks_exact(channels) {
            for ((deviation, &mean), &x) in deviation.iter_mut().zip(&*mean).zip(row) {
                *deviation += (x - mean) * (x - mean);
            }
        }
    }

    fn line(slope: &[f32], offset: &[f32], x: &[f32], y: &mut [f32]) {
        let channels = slope.len();
        for (y, x) in y.chunks_exact_mut(channels).zip(x.chunks_exact(channels)) {
            for (((y, &x), &slope), &offset) in y.iter_mut().zip(x).zip(slope).zip(offset) {
                *y = x * slope + offset;
            }
        }
    }

    fn line_silu(slope: &[f32], offset: &[f32], x: &[f32], y: &mut [f32]) {
        let channels = slope.len();
        for (y, x) in y.chunks_exact_mut(channels).zip(x.chunks_exact(channels)) {
            for (((y, &x), &slope), &offset) in y.iter_mut().zip(x).zip(slope).zip(offset) {
                *y = silu(x * slope + offset).0;
            }
        }
    }

    /// Adds up g and g n for every channel.
    fn gradient_sums(
        has_silu: bool,
        slope: &[f32],
        offset: &[f32],
        scale: &[f32],
        shift: &[f32],
        x: &[f32],
        grad: &[f32],
        sum_g: &mut [f32],
        sum_gn: &mut [f32],
    ) {
        let channels = slope.len();
        let (slope, offset) = (&slope[..channels], &offset[..channels]);
        let (scale, shift) = (&scale[..channels], &shift[..channels]);
        let (sum_g, sum_gn) = (&mut sum_g[..channels], &mut sum_gn[..channels]);
        for (x, grad) in x.chunks_exact(channels).zip(grad.chunks_exact(channels)) {
            for c in 0..channels {
                let factor = if has_silu { silu(x[c] * slope[c] + offset[c]).1 } else { 1.0 };
                let g = grad[c] * factor;
                sum_g[c] += g;
                sum_gn[c] += g * (x[c] * scale[c] + shift[c]);
            }
        }
    }

    /// Turns the gradient of the result into `a g + b + c x`.
    fn gradient(
        has_silu: bool,
        slope: &[f32],
        offset: &[f32],
        a: &[f32],
        b: &[f32],
        c: &[f32],
        x: &[f32],
        grad: &mut [f32],
    ) {
        let channels = slope.len();
        let (slope, offset) = (&slope[..channels], &offset[..channels]);
        let (a, b, c) = (&a[..channels], &b[..channels], &c[..channels]);
        for (x, grad) in x.chunks_exact(channels).zip(grad.chunks_exact_mut(channels)) {
            for i in 0..channels {
                let factor = if has_silu { silu(x[i] * slope[i] + offset[i]).1 } else { 1.0 };
                grad[i] = a[i] * grad[i] * factor + b[i] + c[i] * x[i];
            }
        }
    }
}
