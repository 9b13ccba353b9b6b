//! A table of numbers as colours.

use maud::{Markup, html};

use super::text::significant;

/// Height of a row, and of what stands below them.
const ROW: f64 = 26.0;
const BELOW: f64 = 40.0;
/// Colours of the smallest and the largest value, in red, green and blue.
const COLOURS: [[f64; 3]; 2] = [[232.0, 240.0, 252.0], [24.0, 62.0, 148.0]];
/// From this place between the smallest and the largest on, text is white.
const DARK: f64 = 0.5;

/// A table whose cells are coloured by their values, on a logarithmic scale where all of them are positive.
#[derive(Clone, Debug)]
pub struct HeatMap {
    /// What the values are.
    pub title: String,
    /// What the columns are.
    pub axis: String,
    /// Names of the rows, from top to bottom.
    pub rows: Vec<String>,
    /// Names of the columns, from left to right.
    pub columns: Vec<String>,
    /// The values by row and column; empty cells have none.
    pub cells: Vec<Vec<Option<f64>>>,
}

impl HeatMap {
    pub(super) fn height(&self) -> f64 {
        ROW * self.rows.len() as f64 + BELOW
    }

    pub(super) fn drawing(&self, left: f64, right: f64) -> Markup {
        let values = || self.cells.iter().flatten().flatten().copied().filter(|v| v.is_finite());
        let is_log = values().all(|value| value > 0.0);
        let scaled = |value: f64| if is_log { value.ln() } else { value };
        let least = values().map(scaled).fold(f64::INFINITY, f64::min);
        let most = values().map(scaled).fold(f64::NEG_INFINITY, f64::max);
        let place = |value: f64| match most - least {
            range if range > 0.0 => (scaled(value) - least) / range,
            _ => 0.0,
        };
        let width = (right - left) / self.columns.len().max(1) as f64;
        let below = ROW * self.rows.len() as f64;
        html! {
            @for (row, (name, cells)) in self.rows.iter().zip(&self.cells).enumerate() {
                @let y = ROW * row as f64;
                text class="tick" x=(left - 8.0) y=(y + ROW / 2.0 + 4.0) text-anchor="end" { (name) }
                @for (column, value) in cells.iter().enumerate() {
                    @if let Some(value) = value.filter(|value| value.is_finite()) {
                        @let x = left + width * column as f64;
                        rect x=(format!("{x:.1}")) y=(y) width=(format!("{:.1}", width - 1.0)) height=(ROW - 1.0)
                            fill=(colour(place(value))) {}
                        text x=(format!("{:.1}", x + width / 2.0)) y=(y + ROW / 2.0 + 4.0) text-anchor="middle"
                            font-size="10" fill=(if place(value) > DARK { "#fff" } else { "#1c1d21" }) {
                            (label(value))
                        }
                    }
                }
            }
            @for (column, name) in self.columns.iter().enumerate() {
                text class="tick" x=(format!("{:.1}", left + width * (column as f64 + 0.5))) y=(below + 16.0)
                    text-anchor="middle" { (name) }
            }
            text class="axis" x=((left + right) / 2.0) y=(below + 34.0) text-anchor="middle" { (self.axis) }
        }
    }
}

/// A value in the width of a cell.
fn label(value: f64) -> String {
    let is_small = value != 0.0 && value.abs() < 1e-3;
    if is_small { format!("{value:.0e}") } else { significant(value, 3) }
}

fn colour(place: f64) -> String {
    let [low, high] = COLOURS;
    let part = |index: usize| (low[index] + (high[index] - low[index]) * place).round() as u8;
    format!("#{:02x}{:02x}{:02x}", part(0), part(1), part(2))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn larger_is_darker_and_empty_is_empty() {
        let map = HeatMap {
            title: "loss".to_owned(),
            axis: "t".to_owned(),
            rows: vec!["1".to_owned(), "1/2".to_owned()],
            columns: vec!["0".to_owned(), "0.5".to_owned()],
            cells: vec![vec![Some(0.01), Some(0.1)], vec![Some(1.0), None]],
        };
        let svg = map.drawing(50.0, 250.0).into_string();
        assert_eq!(svg.matches("<rect").count(), 3);
        // A tenth lies half-way between a hundredth and one.
        for colour in ["#e8f0fc", "#8097c8", "#183e94"] {
            assert!(svg.contains(colour), "{colour}: {svg}");
        }
    }
}
