//! A table of images with a label for every row and column.

use image::{RgbImage, imageops};

use super::lettering::Lettering;
use super::style::{BACKGROUND, INK, LINE_HEIGHT, TEXT_SIZE};

/// Pixels around the table and between labels and images.
const MARGIN: u32 = 16;
/// Pixels between images.
const GAP: u32 = 4;
/// Room for the label of a row, and the least for that of a column.
const ROW_LABEL: u32 = 190;
const LEAST_COLUMN: u32 = 96;
/// Lines of a column's label, at most.
const MOST_LINES: usize = 4;

/// Images in rows and columns, each with a label; where there is no image the table stays empty.
///
/// Labels are wrapped to the room that they have, and end in dots where they do not fit. All images should have one size.
///
/// # Panics
/// There are not as many rows and columns as labels: the caller's to fix.
pub fn image_table(
    columns: &[String],
    rows: &[String],
    images: &[Vec<Option<RgbImage>>],
) -> RgbImage {
    assert_eq!(rows.len(), images.len(), "image_table: labels and rows");
    let lettering = Lettering::new(TEXT_SIZE);
    let all = || images.iter().flatten().flatten();
    let width = all().map(RgbImage::width).max().unwrap_or(0).max(LEAST_COLUMN);
    let height = all().map(RgbImage::height).max().unwrap_or(0).max(LINE_HEIGHT);
    let room = (width - 2 * GAP) as f32;
    let tops: Vec<Vec<String>> =
        columns.iter().map(|label| lettering.wrap(label, room, MOST_LINES)).collect();
    let top_lines = tops.iter().map(Vec::len).max().unwrap_or(0) as u32;
    let (left, top) = (MARGIN + ROW_LABEL, MARGIN + top_lines * LINE_HEIGHT + GAP);
    let mut sheet = RgbImage::from_pixel(
        left + columns.len() as u32 * (width + GAP) + MARGIN,
        top + rows.len() as u32 * (height + GAP) + MARGIN,
        BACKGROUND,
    );
    let mut write = |lines: &[String], left: u32, top: u32| {
        for (line, text) in (0..).zip(lines) {
            let baseline = top + line * LINE_HEIGHT + lettering.ascent();
            lettering.draw(&mut sheet, text, left, baseline, INK);
        }
    };
    for (column, lines) in (0..).zip(&tops) {
        // Short labels stand just above their images.
        let above = (top_lines - lines.len() as u32) * LINE_HEIGHT;
        write(lines, left + column * (width + GAP) + GAP, MARGIN + above);
    }
    let most_lines = (height / LINE_HEIGHT).max(1) as usize;
    for (row, label) in (0..).zip(rows) {
        let lines = lettering.wrap(label, (ROW_LABEL - MARGIN) as f32, most_lines);
        let below = (height.saturating_sub(lines.len() as u32 * LINE_HEIGHT)) / 2;
        write(&lines, MARGIN, top + row * (height + GAP) + below);
    }
    for (row, images) in (0..).zip(images) {
        assert_eq!(columns.len(), images.len(), "image_table: labels and columns");
        for (column, image) in (0..).zip(images) {
            let Some(image) = image else { continue };
            let x = left + column * (width + GAP) + (width - image.width()) / 2;
            let y = top + row * (height + GAP) + (height - image.height()) / 2;
            imageops::replace(&mut sheet, image, x.into(), y.into());
        }
    }
    sheet
}

#[cfg(test)]
mod tests {
    use image::Rgb;

    use super::*;

    #[test]
    fn images_stand_in_their_rows_and_columns_beside_their_labels() {
        let image = |value: u8| Some(RgbImage::from_pixel(100, 60, Rgb([value; 3])));
        let labels = |texts: &[&str]| texts.iter().map(ToString::to_string).collect::<Vec<_>>();
        let columns = labels(&["seed 5", "a label of many words that take several lines"]);
        let rows = labels(&["4 steps", ""]);
        let table = [vec![image(10), image(20)], vec![None, image(30)]];
        let sheet = image_table(&columns, &rows, &table);
        let top = MARGIN + 4 * LINE_HEIGHT + GAP;
        let at = |column: u32, row: u32| {
            let (x, y) = (MARGIN + ROW_LABEL + column * 104 + 50, top + row * 64 + 30);
            sheet.get_pixel(x, y).0[0]
        };
        assert_eq!([at(0, 0), at(1, 0), at(1, 1)], [10, 20, 30]);
        assert_eq!(at(0, 1), BACKGROUND.0[0]);
        let has_ink = |x: std::ops::Range<u32>, y: std::ops::Range<u32>| {
            y.flat_map(|y| x.clone().map(move |x| (x, y)))
                .any(|(x, y)| sheet.get_pixel(x, y).0[0] < 80)
        };
        assert!(has_ink(MARGIN..ROW_LABEL, top..top + 60), "label of the first row");
        assert!(!has_ink(MARGIN..ROW_LABEL, top + 64..top + 120), "an empty label");
        assert!(has_ink(MARGIN + ROW_LABEL..MARGIN + ROW_LABEL + 100, 0..top), "of a column");
        assert_eq!(image_table(&[], &[], &[]).dimensions(), (222, 36));
    }
}
