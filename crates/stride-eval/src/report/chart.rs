//! Curves as SVG, inside a page or in a file of their own.

use std::collections::BTreeMap;

use maud::{Markup, PreEscaped, html};

use super::heat_map::HeatMap;
use super::scale::Scale;
use super::text::significant;

/// The looks of a chart, light and dark; the page has them among its own.
pub(super) const STYLE: &str = include_str!("chart.css");

/// Size of a drawing inside a page, and in a file.
const IN_PAGE: [f64; 2] = [420.0, 250.0];
const IN_FILE: [f64; 2] = [720.0, 280.0];
/// Room around the curves for the names of the axes.
const LEFT: f64 = 50.0;
const RIGHT: f64 = 16.0;
const TOP: f64 = 14.0;
const BOTTOM: f64 = 40.0;
/// Room between the frame and the first and the last point.
const INSET: f64 = 8.0;
/// Height of a title in a file.
const TITLE: f64 = 30.0;
/// Legend in a file: height of a line, place of its text, and width of a letter, about.
const LEGEND_LINE: f64 = 18.0;
const LEGEND_TEXT: f64 = 24.0;
const LETTER: f64 = 7.0;
/// Colours; more lines share them.
const COLOURS: usize = 9;
/// Digits that tell the ticks of an axis apart.
const TICK_DIGITS: i32 = 6;
/// Values beyond this, and what is no number, are not drawn.
const LARGEST: f64 = 1e100;

/// Places and values.
pub type Points = Vec<(f64, f64)>;

/// Named curves over one axis.
#[derive(Clone, Debug)]
pub struct Chart {
    /// What the values are.
    pub title: String,
    /// What the places are.
    pub axis: Axis,
    /// The curves.
    pub lines: Vec<Line>,
    /// A level to compare with: its name and value.
    pub level: Option<(String, f64)>,
}

/// What runs along x.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Axis {
    /// Steps of sampling: every number of them has a tick, and doublings are evenly spaced.
    SamplingSteps,
    /// Steps of training.
    TrainingSteps,
}

/// A named curve.
#[derive(Clone, Debug)]
pub struct Line {
    /// The name in the legend.
    pub name: String,
    /// What the line joins.
    pub points: Points,
    /// Where dots are: on the points, nowhere, or at the single values that the points are means of.
    pub dots: Points,
}

impl Line {
    /// A curve without dots.
    pub fn plain(name: impl Into<String>, points: Points) -> Self {
        Self { name: name.into(), points, dots: Points::new() }
    }

    /// A curve with a dot on every point.
    pub fn dotted(name: impl Into<String>, points: Points) -> Self {
        Self { name: name.into(), dots: points.clone(), points }
    }

    /// The dots; a curve of a single point would be invisible without one.
    fn dots(&self) -> &Points {
        if self.dots.is_empty() && drawable(&self.points).count() == 1 {
            &self.points
        } else {
            &self.dots
        }
    }

    /// Points and dots that can be drawn.
    fn drawable(&self) -> impl Iterator<Item = (f64, f64)> + Clone {
        drawable(&self.points).chain(drawable(&self.dots))
    }
}

impl Chart {
    /// The curves of a training run whose names start with `prefix`.
    pub fn over_training(title: &str, curves: &BTreeMap<String, Points>, prefix: &str) -> Self {
        let of_chart = curves.iter().filter(|(name, _)| name.starts_with(prefix));
        let lines = of_chart
            .map(|(name, points)| Line::plain(name.replace('_', " "), points.clone()))
            .collect();
        Self { title: title.to_owned(), axis: Axis::TrainingSteps, lines, level: None }
    }

    /// A figure of a page, with a legend; nothing where there are no points.
    pub fn figure(&self) -> Markup {
        let [width, height] = IN_PAGE;
        html! {
            @if !self.is_empty() {
                figure class="chart" {
                    figcaption { (self.title) }
                    svg viewBox=(format!("0 0 {width} {height}")) role="img" aria-label=(self.title) {
                        (self.drawing(IN_PAGE))
                    }
                    p class="legend" {
                        @for (index, line) in self.coloured() {
                            span { i class=(format!("c{index}")) {} (line.name) }
                        }
                        @if let Some((name, value)) = self.level() {
                            span { i class="dash" {} (name) " " (significant(value, 3)) }
                        }
                    }
                }
            }
        }
    }

    /// Whether there is nothing to draw.
    pub fn is_empty(&self) -> bool {
        self.lines.iter().all(|line| line.drawable().next().is_none())
    }

    /// Curves, axes and ticks.
    fn drawing(&self, [width, height]: [f64; 2]) -> Markup {
        let points = self.lines.iter().flat_map(Line::drawable);
        let values = points.clone().map(|point| point.1);
        let y =
            Scale::roomy(values.chain(self.level().map(|level| level.1)), [height - BOTTOM, TOP]);
        let places = points.map(|point| self.axis.coordinate(point.0));
        let x = Scale::tight(places.clone(), [LEFT + INSET, width - RIGHT - INSET]);
        let x_of = |place: f64| x.place(self.axis.coordinate(place));
        let horizontal = |class: &str, y: f64| {
            html! { line class=(class) x1=(LEFT) x2=(width - RIGHT) y1=(pixel(y)) y2=(pixel(y)) {} }
        };
        html! {
            @for value in y.ticks() {
                (horizontal("rule", y.place(value)))
                text class="tick" x=(LEFT - 8.0) y=(pixel(y.place(value) + 4.0)) text-anchor="end" {
                    (significant(value, TICK_DIGITS))
                }
            }
            @for (coordinate, label) in self.axis.ticks(&x, places) {
                text class="tick" x=(pixel(x.place(coordinate))) y=(height - BOTTOM + 18.0) text-anchor="middle" {
                    (label)
                }
            }
            text class="axis" x=((LEFT + width - RIGHT) / 2.0) y=(height - 4.0) text-anchor="middle" {
                (self.axis.name())
            }
            @if let Some((_, value)) = self.level() { (horizontal("level", y.place(value))) }
            @for (index, line) in self.coloured() {
                polyline class=(format!("line c{index}")) points=(path(&line.points, x_of, &y)) {}
                @for (place, value) in drawable(line.dots()) {
                    circle class=(format!("dot c{index}")) cx=(pixel(x_of(place))) cy=(pixel(y.place(value))) r="3.5" {
                        title { (line.name) ": " (significant(value, 3)) }
                    }
                }
            }
        }
    }

    /// The legend as a column that begins at `x`.
    fn legend_beside(&self, x: f64) -> Markup {
        let entry = |class: &str, row: usize, name: &str| {
            let y = TOP + LEGEND_LINE * (row as f64 + 0.5);
            html! {
                line class=(class) x1=(x) x2=(x + 16.0) y1=(y) y2=(y) {}
                text class="tick" x=(x + LEGEND_TEXT) y=(y + 4.0) { (name) }
            }
        };
        html! {
            @for (row, (index, line)) in self.coloured().enumerate() {
                (entry(&format!("line c{index}"), row, &line.name))
            }
            @if let Some((name, _)) = self.level() { (entry("level", self.lines.len(), name)) }
        }
    }

    /// The lines with the numbers of their colours.
    fn coloured(&self) -> impl Iterator<Item = (usize, &Line)> {
        (0..COLOURS).cycle().zip(&self.lines)
    }

    fn level(&self) -> Option<(&str, f64)> {
        let (name, value) = self.level.as_ref()?;
        is_drawable(*value).then_some((name.as_str(), *value))
    }
}

impl Axis {
    fn name(self) -> &'static str {
        match self {
            Self::SamplingSteps => "steps",
            Self::TrainingSteps => "training step",
        }
    }

    /// Where a number of steps lies on a linear scale.
    fn coordinate(self, steps: f64) -> f64 {
        match self {
            Self::SamplingSteps => steps.max(1.0).log2(),
            Self::TrainingSteps => steps,
        }
    }

    /// Coordinates and labels.
    fn ticks(self, scale: &Scale, places: impl Iterator<Item = f64>) -> Vec<(f64, String)> {
        match self {
            Self::SamplingSteps => {
                let mut places: Vec<f64> = places.collect();
                places.sort_unstable_by(f64::total_cmp);
                places.dedup();
                places.into_iter().map(|place| (place, format!("{:.0}", place.exp2()))).collect()
            }
            Self::TrainingSteps => {
                let label = |place| (place, significant(place, TICK_DIGITS));
                scale.ticks().into_iter().map(label).collect()
            }
        }
    }
}

/// Charts below each other, with their legends beside them, as an SVG file.
pub fn svg_file(charts: &[Chart]) -> String {
    svg_file_with(charts, &[])
}

/// The same with tables of colours below the charts.
pub fn svg_file_with(charts: &[Chart], maps: &[HeatMap]) -> String {
    let charts: Vec<&Chart> = charts.iter().filter(|chart| !chart.is_empty()).collect();
    let names = |chart: &&Chart| {
        let lines = chart.lines.iter().map(|line| line.name.chars().count());
        lines.chain(chart.level().map(|(name, _)| name.chars().count())).max()
    };
    let longest = charts.iter().filter_map(names).max().unwrap_or(0);
    let [width, height] = IN_FILE;
    let page_width = width + LEGEND_TEXT + longest as f64 * LETTER;
    let panel_height = TITLE + height;
    let charts_height = panel_height * charts.len() as f64;
    let page_height =
        charts_height + maps.iter().map(|map| TITLE + map.height()).sum::<f64>() + RIGHT;
    let panels = html! {
        svg xmlns="http://www.w3.org/2000/svg" width=(page_width) height=(page_height)
            viewBox=(format!("0 0 {page_width} {page_height}")) font-family="sans-serif" font-size="12" {
            style { (PreEscaped(STYLE)) }
            rect class="paper" width="100%" height="100%" {}
            @for (index, chart) in charts.iter().enumerate() {
                g transform=(format!("translate(0 {})", panel_height * index as f64)) {
                    text class="title" x=(LEFT) y=(TITLE - 8.0) { (chart.title) }
                    g transform=(format!("translate(0 {TITLE})")) {
                        (chart.drawing(IN_FILE))
                        (chart.legend_beside(width))
                    }
                }
            }
            @let starts = maps.iter().scan(charts_height, |next, map| {
                let start = *next;
                *next += TITLE + map.height();
                Some(start)
            });
            @for (map, start) in maps.iter().zip(starts) {
                g transform=(format!("translate(0 {start})")) {
                    text class="title" x=(LEFT) y=(TITLE - 8.0) { (map.title) }
                    g transform=(format!("translate(0 {TITLE})")) { (map.drawing(LEFT, width - RIGHT)) }
                }
            }
        }
    };
    panels.into_string()
}

fn drawable(points: &Points) -> impl Iterator<Item = (f64, f64)> + Clone {
    points.iter().copied().filter(|point| is_drawable(point.0) && is_drawable(point.1))
}

fn is_drawable(value: f64) -> bool {
    value.abs() < LARGEST
}

/// The points of a polyline.
fn path(points: &Points, x: impl Fn(f64) -> f64, y: &Scale) -> String {
    let points = drawable(points);
    let points = points.map(|(place, value)| format!("{:.1},{:.1}", x(place), y.place(value)));
    points.collect::<Vec<_>>().join(" ")
}

fn pixel(place: f64) -> String {
    format!("{place:.1}")
}

/// Means over a moving window of a fortieth of the curve, so that noise does not hide the course.
pub fn smooth(points: &[(f64, f64)]) -> Points {
    let half = points.len() / 80;
    let window =
        |index: usize| &points[index.saturating_sub(half)..(index + half + 1).min(points.len())];
    let mean =
        |points: &[(f64, f64)]| points.iter().map(|p| p.1).sum::<f64>() / points.len() as f64;
    points.iter().enumerate().map(|(index, point)| (point.0, mean(window(index)))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chart(axis: Axis, points: Points) -> Chart {
        Chart {
            title: "Loss".to_owned(),
            axis,
            lines: vec![Line::dotted("a <b>", points)],
            level: Some(("real".to_owned(), f64::NAN)),
        }
    }

    #[test]
    fn a_chart_draws_what_can_be_drawn_and_nothing_else() {
        let cases: [(Points, usize); 6] = [
            (vec![], 0),
            (vec![(f64::NAN, 1.0), (1.0, f64::NAN), (f64::INFINITY, 1.0)], 0),
            (vec![(1.0, f64::MAX), (0.0, f64::MIN)], 0),
            (vec![(4.0, 2.0)], 1),
            (vec![(1.0, f64::NAN), (2.0, 3.0), (0.0, 1e-80), (8.0, 0.0)], 3),
            (vec![(1.0, -1e99), (2.0, 1e99), (3.0, 1e99)], 3),
        ];
        for axis in [Axis::SamplingSteps, Axis::TrainingSteps] {
            for (points, count) in &cases {
                let chart = chart(axis, points.clone());
                let figure = chart.figure().into_string();
                assert_eq!(figure.matches("<circle").count(), *count, "{axis:?} {points:?}");
                assert_eq!(figure.is_empty(), *count == 0, "{axis:?} {points:?}");
                let file = svg_file(&[chart]);
                assert_eq!(file.matches("<circle").count(), *count, "{axis:?} {points:?}");
                for text in [figure, file] {
                    assert!(!text.contains("NaN") && !text.contains("inf"), "{text}");
                    assert!(!text.contains("<b>"), "escaped: {text}");
                }
            }
        }
    }

    #[test]
    fn a_single_point_is_visible() {
        let line = Line::plain("loss", vec![(1.0, 2.0), (2.0, f64::NAN)]);
        let chart = Chart { lines: vec![line], ..chart(Axis::TrainingSteps, vec![]) };
        assert_eq!(chart.figure().into_string().matches("<circle").count(), 1);
    }

    #[test]
    fn doublings_of_sampling_steps_are_evenly_spaced() {
        let points = vec![(1.0, 1.0), (2.0, 1.0), (4.0, 2.0)];
        let figure = chart(Axis::SamplingSteps, points).figure().into_string();
        let centres: Vec<f64> = figure
            .split("cx=\"")
            .skip(1)
            .map(|rest| rest.split('"').next().and_then(|x| x.parse().ok()).expect("a number"))
            .collect();
        assert!((centres[2] - centres[1] - (centres[1] - centres[0])).abs() < 0.2, "{centres:?}");
    }
}
