//! A data report as Markdown.

use super::{DUPLICATE, DataReport, LISTED, MAX_TOKENS};
use crate::CELEBA_ATTRIBUTES;

/// Characters of the longest bar.
const BAR: f64 = 30.0;

impl DataReport {
    /// The report for readers: tables in Markdown.
    pub fn to_markdown(&self) -> String {
        let mut text = String::from("# Data report\n\n");
        text.push_str(&headline(self));
        if !self.short_sides.is_empty() {
            text.push_str(&sizes(self));
        }
        if !self.tokens.is_empty() {
            text.push_str(&caption_lengths(self));
        }
        if self.with_attributes > 0 {
            text.push_str(&attributes(self));
        }
        text.push_str(&problems(self));
        text
    }
}

fn headline(report: &DataReport) -> String {
    let mut text = String::from("| | |\n|---|---:|\n");
    let mut row = |name: &str, value: String| text.push_str(&format!("| {name} | {value} |\n"));
    row("Images", grouped(report.images()));
    row("used", format!("{}{}", grouped(report.used), percentage(report.used, report.images())));
    row("left out", grouped(report.refused));
    row("different", grouped(report.contents.len() as u64));
    row("Resolution", format!("{0} x {0}", report.resolution));
    if let (Some((narrow, wide)), Some((low, high))) = (report.widths, report.heights) {
        row("Widths", format!("{narrow} to {wide}"));
        row("Heights", format!("{low} to {high}"));
    }
    let captions = report.caption_count();
    row("Captions", grouped(captions));
    if let (Some((fewest, _)), Some((most, _))) =
        (report.captions.first_key_value(), report.captions.last_key_value())
    {
        let mean = captions as f64 / report.used as f64;
        row("Captions of an image", format!("{fewest} to {most}, {mean:.1} on average"));
    }
    if report.several_lines > 0 {
        row("Texts of several lines, each a caption", grouped(report.several_lines));
    }
    if report.with_sides > 0 {
        row("With left or right in a caption, never mirrored", grouped(report.with_sides));
    }
    for (kind, problems) in report.all_problems() {
        row(&capital(&plain(&kind)), grouped(problems.count));
    }
    text.push('\n');
    text
}

fn sizes(report: &DataReport) -> String {
    let mut text = String::from("## Sizes\n\n| Shorter side | Images | |\n|---|---:|---|\n");
    let most = report.short_sides.values().max().copied().unwrap_or(0);
    for (&power, &count) in &report.short_sides {
        let from = 1_u64 << power.min(32);
        let range = format!("{from} to {}", 2 * from - 1);
        text.push_str(&format!("| {range} | {} | {} |\n", grouped(count), bar(count, most)));
    }
    text.push('\n');
    text
}

fn caption_lengths(report: &DataReport) -> String {
    let mut text =
        String::from("## Lengths of captions\n\n| Tokens | Captions | |\n|---|---:|---|\n");
    // Bins of ten up to CLIP's limit, and one for what does not fit.
    let bins = (0..MAX_TOKENS)
        .step_by(10)
        .map(|from| (from, (from + 9).min(MAX_TOKENS)))
        .chain([(MAX_TOKENS + 1, usize::MAX)]);
    let counts: Vec<_> = bins
        .map(|(from, to)| (from, to, report.tokens.range(from..=to).map(|(_, n)| n).sum()))
        .collect();
    let most = counts.iter().map(|&(.., count)| count).max().unwrap_or(0);
    for (from, to, count) in counts.into_iter().filter(|&(.., count)| count > 0) {
        let range =
            if to == usize::MAX { format!("over {MAX_TOKENS}") } else { format!("{from} to {to}") };
        text.push_str(&format!("| {range} | {} | {} |\n", grouped(count), bar(count, most)));
    }
    text.push('\n');
    text
}

fn attributes(report: &DataReport) -> String {
    let of = report.with_attributes;
    let mut text = format!(
        "## Attributes\n\nOf {} images with marks.\n\n| Attribute | Images | Fraction | |\n|---|---:|---:|---|\n",
        grouped(of)
    );
    for name in CELEBA_ATTRIBUTES {
        let count = report.attributes.get(name).copied().unwrap_or(0);
        let percent = 100.0 * count as f64 / of as f64;
        text.push_str(&format!(
            "| {} | {} | {percent:.1} % | {} |\n",
            name.replace('_', " "),
            grouped(count),
            bar(count, of)
        ));
    }
    text.push('\n');
    text
}

fn problems(report: &DataReport) -> String {
    let all = report.all_problems();
    if all.is_empty() {
        return "## Problems\n\nNone found.\n".to_owned();
    }
    let mut text = String::from("## Problems\n");
    for (kind, problems) in all {
        let first = if problems.count as usize > LISTED {
            format!(", the first {LISTED}")
        } else {
            String::new()
        };
        let title = capital(&plain(&kind));
        text.push_str(&format!("\n### {title}: {}{first}\n\n", grouped(problems.count)));
        if kind == DUPLICATE {
            text.push_str("Training leaves out the copies of what it holds out.\n\n");
        }
        text.push_str("| Image | Problem |\n|---|---|\n");
        for problem in &problems.listed {
            let (name, problem) = (plain(&problem.name), plain(&problem.problem));
            text.push_str(&format!("| `{name}` | {problem} |\n"));
        }
    }
    text
}

/// Names come from outside: nothing in them may break a table or become markup.
fn plain(text: &str) -> String {
    text.chars()
        .map(|c| match c {
            '|' => '/',
            '`' => '\'',
            '<' => '(',
            '>' => ')',
            c if c.is_control() => ' ',
            c => c,
        })
        .take(200)
        .collect()
}

fn capital(text: &str) -> String {
    let mut characters = text.chars();
    let first = characters.next().map(|c| c.to_uppercase().to_string()).unwrap_or_default();
    first + characters.as_str()
}

fn percentage(count: u64, of: u64) -> String {
    if of == 0 { String::new() } else { format!(" ({:.1} %)", 100.0 * count as f64 / of as f64) }
}

fn bar(count: u64, most: u64) -> String {
    if count == 0 || most == 0 {
        return String::new();
    }
    "█".repeat(((BAR * count as f64 / most as f64).round() as usize).max(1))
}

/// Digits in groups of three.
fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_and_names_are_written_for_readers() {
        assert_eq!(grouped(7), "7");
        assert_eq!(grouped(123_456), "123,456");
        assert_eq!(grouped(1_202_599), "1,202,599");
        assert_eq!(plain("a|b`<img>\n"), "a/b'(img) ");
        assert_eq!(bar(1, 1000), "█");
    }
}
