//! Text of a page.

/// Text inside HTML.
pub(crate) fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

/// `1 step`, `4 steps`.
pub(crate) fn in_steps(steps: usize) -> String {
    format!("{steps} {}", if steps == 1 { "step" } else { "steps" })
}

/// A number with so many digits that count, without zeros at the end.
pub(crate) fn figure(value: f64, digits: i32) -> String {
    if value == 0.0 || !value.is_finite() {
        return value.to_string();
    }
    let scale = 10f64.powi(digits - 1 - value.abs().log10().floor() as i32);
    format!("{}", (value * scale).round() / scale)
}

#[cfg(test)]
mod tests {
    use super::figure;

    #[test]
    fn figures_keep_the_digits_that_count() {
        let cases = [
            (0.012_345, "0.0123"),
            (1690.2, "1690"),
            (-48_288.4, "-48300"),
            (2.5, "2.5"),
            (0.0, "0"),
        ];
        for (value, text) in cases {
            assert_eq!(figure(value, 3), text);
        }
    }
}
