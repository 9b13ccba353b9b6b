//! Numbers as text.

/// `1 step`, `4 steps`.
pub(super) fn in_steps(steps: usize) -> String {
    format!("{steps} {}", if steps == 1 { "step" } else { "steps" })
}

/// A number rounded to so many significant digits, without zeros at the end.
pub(super) fn significant(value: f64, digits: i32) -> String {
    let scale = 10f64.powi(digits - 1 - value.abs().log10().floor() as i32);
    if value == 0.0 || !(value * scale).is_finite() {
        return value.to_string();
    }
    format!("{}", (value * scale).round() / scale)
}

#[cfg(test)]
mod tests {
    use super::significant;

    #[test]
    fn numbers_keep_their_significant_digits() {
        let cases = [
            (0.012_345, "0.0123"),
            (1690.2, "1690"),
            (-48_288.4, "-48300"),
            (2.5, "2.5"),
            (0.0, "0"),
            (f64::NAN, "NaN"),
            (f64::INFINITY, "inf"),
        ];
        for (value, text) in cases {
            assert_eq!(significant(value, 3), text);
        }
    }
}
