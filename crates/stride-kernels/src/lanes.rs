//! Sums and elementary functions that the compiler turns into vector instructions.
//!
//! Everything here is inlined into the loops of [`vectorized`](crate::vectorized) functions.

/// Partial sums kept side by side: the width of the widest vector registers.
const LANES: usize = 16;

/// `sum of f(x_i)`.
#[inline(always)]
pub(crate) fn sum(x: &[f32], f: impl Fn(f32) -> f32) -> f32 {
    let (chunks, rest) = x.as_chunks::<LANES>();
    let mut partial = [0.0; LANES];
    for chunk in chunks {
        for (partial, &x) in partial.iter_mut().zip(chunk) {
            *partial += f(x);
        }
    }
    partial.iter().sum::<f32>() + rest.iter().map(|&x| f(x)).sum::<f32>()
}

/// `sum of x_i^2` in f64.
#[inline(always)]
pub(crate) fn sum_of_squares(x: &[f32]) -> f64 {
    let (chunks, rest) = x.as_chunks::<LANES>();
    let mut partial = [0.0; LANES];
    for chunk in chunks {
        for (partial, &x) in partial.iter_mut().zip(chunk) {
            *partial += f64::from(x) * f64::from(x);
        }
    }
    let rest: f64 = rest.iter().map(|&x| f64::from(x) * f64::from(x)).sum();
    partial.iter().sum::<f64>() + rest
}

/// `sum of x_i y_i` over the shorter length.
#[inline(always)]
pub(crate) fn dot(x: &[f32], y: &[f32]) -> f32 {
    let count = x.len().min(y.len());
    let ((x, x_rest), (y, y_rest)) =
        (x[..count].as_chunks::<LANES>(), y[..count].as_chunks::<LANES>());
    let mut partial = [0.0; LANES];
    for (x, y) in x.iter().zip(y) {
        for ((partial, &x), &y) in partial.iter_mut().zip(x).zip(y) {
            *partial += x * y;
        }
    }
    partial.iter().sum::<f32>() + x_rest.iter().zip(y_rest).map(|(x, y)| x * y).sum::<f32>()
}

/// The largest of `x`; negative infinity when there is none.
#[inline(always)]
pub(crate) fn max(x: &[f32]) -> f32 {
    let (chunks, rest) = x.as_chunks::<LANES>();
    let mut partial = [f32::NEG_INFINITY; LANES];
    for chunk in chunks {
        for (partial, &value) in partial.iter_mut().zip(chunk) {
            *partial = if value > *partial { value } else { *partial };
        }
    }
    partial.iter().chain(rest).copied().fold(f32::NEG_INFINITY, f32::max)
}

/// e^x, to 2 units in the last place; arguments outside [-87, 88] are moved to the nearer end.
///
/// `e^x = 2^n e^r` with `n = round(x / ln 2)` and `|r| <= ln 2 / 2`, where a polynomial of degree 6
/// stands for `e^r` (Taylor's coefficients; the remainder is below 2e-7 there).
#[inline(always)]
pub(crate) fn exp(x: f32) -> f32 {
    /// Adding it leaves the rounded integer in the lowest bits of the sum.
    const ROUND: f32 = 12_582_912.0;
    /// ln 2 in two parts, of which the first has few digits, so that `n LN2_HIGH` is exact.
    const LN2_HIGH: f32 = 0.693_359_4;
    const LN2_LOW: f32 = -2.121_944_4e-4;
    let x = x.clamp(-87.0, 88.0);
    let rounded = x * std::f32::consts::LOG2_E + ROUND;
    let n = rounded - ROUND;
    let r = x - n * LN2_HIGH - n * LN2_LOW;
    let mut p = 1.0 / 720.0;
    for coefficient in [1.0 / 120.0, 1.0 / 24.0, 1.0 / 6.0, 0.5, 1.0, 1.0] {
        p = p * r + coefficient;
    }
    f32::from_bits(p.to_bits().wrapping_add(rounded.to_bits() << 23))
}

/// 1 / (1 + e^-x).
#[inline(always)]
pub(crate) fn sigmoid(x: f32) -> f32 {
    1.0 / (1.0 + exp(-x))
}

/// x sigmoid(x) and its derivative.
#[inline(always)]
pub(crate) fn silu(x: f32) -> (f32, f32) {
    let s = sigmoid(x);
    (x * s, s + x * s * (1.0 - s))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn exp_is_accurate_over_its_whole_range() {
        let worst = (-8700..8800)
            .map(|i| i as f32 / 100.0 + 0.003)
            .map(|x| (f64::from(exp(x)) / f64::from(x).exp() - 1.0).abs())
            .fold(0.0, f64::max);
        assert!(worst < 3e-7, "{worst}");
        assert!(exp(-1e30) < 2e-38 && exp(1e30).is_finite());
    }

    #[test]
    fn sums_and_maxima_take_every_element() {
        for count in [0, 1, 15, 16, 17, 100] {
            let x: Vec<f32> = (0..count).map(|i| (i * 7 % 31) as f32).collect();
            assert_eq!(sum(&x, |x| x), x.iter().sum::<f32>());
            assert_eq!(dot(&x, &x), sum(&x, |x| x * x));
            assert_eq!(max(&x), x.iter().copied().fold(f32::NEG_INFINITY, f32::max));
        }
    }
}
