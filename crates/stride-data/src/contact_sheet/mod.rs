//! A sheet of images with their captions, for a person to look over a data set.

mod lettering;
mod style;
mod table;

use image::RgbImage;

use crate::{Filter, square};
use lettering::{Lettering, blend};
use style::{BACKGROUND, CARD, EDGE, INK, LINE_HEIGHT, TEXT_SIZE};
pub use table::image_table;

/// Images on a sheet by default.
const DEFAULT_IMAGES: usize = 24;

/// Side of an image on the sheet, in pixels, as all lengths here.
pub(crate) const TILE: u32 = 256;
const GAP: u32 = 28;
const MARGIN: u32 = 36;
/// Space around the caption inside its card.
const PADDING: u32 = 14;
const RADIUS: f32 = 10.0;
/// A longer caption ends in dots; the longest that CLIP reads takes about this many.
const MAX_LINES: usize = 14;

/// Collects evenly spaced images of a set that is read once, and draws them on one sheet.
///
/// The length of the set need not be known: the sheet keeps every k-th image, and k doubles
/// whenever twice as many are kept as asked for. Images are kept as squares of 256 pixels.
#[derive(Clone, Debug)]
pub struct ContactSheet {
    images: usize,
    seen: usize,
    stride: usize,
    kept: Vec<(RgbImage, String)>,
}

impl Default for ContactSheet {
    fn default() -> Self {
        Self::new(DEFAULT_IMAGES)
    }
}

impl ContactSheet {
    /// A sheet of at most this many images.
    pub fn new(images: usize) -> Self {
        Self { images, seen: 0, stride: 1, kept: Vec::new() }
    }

    /// Takes the next image of the set; most are only counted. The largest central square is kept,
    /// and an image without pixels is ignored.
    pub fn add(&mut self, image: &RgbImage, caption: &str) {
        if image.width().min(image.height()) == 0 || self.images == 0 {
            return;
        }
        let is_kept = self.seen.is_multiple_of(self.stride);
        self.seen += 1;
        if !is_kept {
            return;
        }
        let tile = square(image, TILE as usize, Filter::Bicubic);
        self.kept.push((tile, caption.to_owned()));
        if self.kept.len() >= 2 * self.images && self.images > 1 {
            let mut index = 0;
            self.kept.retain(|_| {
                index += 1;
                index % 2 == 1
            });
            self.stride *= 2;
        } else if self.images == 1 {
            self.kept.truncate(1);
        }
    }

    /// The sheet: rows of cards, each an image with its caption below. Without images it is an
    /// empty margin.
    pub fn to_image(&self) -> RgbImage {
        let shown = self.shown();
        let lettering = Lettering::new(TEXT_SIZE);
        let width = (TILE - 2 * PADDING) as f32;
        let texts: Vec<Vec<String>> =
            shown.iter().map(|(_, caption)| lettering.wrap(caption, width, MAX_LINES)).collect();
        let columns = columns(shown.len());
        let rows: Vec<_> = shown.chunks(columns).zip(texts.chunks(columns)).collect();
        let heights: Vec<u32> = rows.iter().map(|(_, texts)| card_height(texts)).collect();

        let across = columns.min(shown.len()) as u32;
        let down = rows.len() as u32;
        let mut sheet = RgbImage::from_pixel(
            2 * MARGIN + across * TILE + across.saturating_sub(1) * GAP,
            2 * MARGIN + heights.iter().sum::<u32>() + down.saturating_sub(1) * GAP,
            BACKGROUND,
        );
        let mut top = MARGIN;
        for ((images, texts), height) in rows.into_iter().zip(heights) {
            for (column, ((image, _), lines)) in images.iter().zip(texts).enumerate() {
                let left = MARGIN + column as u32 * (TILE + GAP);
                draw_card(&mut sheet, left, top, height, image);
                let mut baseline = top + TILE + PADDING + lettering.ascent();
                for line in lines {
                    lettering.draw(&mut sheet, line, left + PADDING, baseline, INK);
                    baseline += LINE_HEIGHT;
                }
            }
            top += height + GAP;
        }
        sheet
    }

    /// As many of the kept images as were asked for, the first and the last among them.
    fn shown(&self) -> Vec<&(RgbImage, String)> {
        let (kept, wanted) = (self.kept.len(), self.images.min(self.kept.len()));
        let place = |index: usize| (index * (kept - 1)).checked_div(wanted - 1).unwrap_or(0);
        (0..wanted).map(|index| &self.kept[place(index)]).collect()
    }
}

/// Six in a row, or fewer where that gives a sheet of better form.
fn columns(images: usize) -> usize {
    (1..=6).find(|&columns| columns * columns * 2 >= images * 3).unwrap_or(6)
}

fn card_height(texts: &[Vec<String>]) -> u32 {
    let lines = texts.iter().map(Vec::len).max().unwrap_or(0) as u32;
    TILE + if lines == 0 { 0 } else { 2 * PADDING + lines * LINE_HEIGHT }
}

/// A white card with round corners and a thin edge, its upper part filled by the image.
fn draw_card(sheet: &mut RgbImage, left: u32, top: u32, height: u32, image: &RgbImage) {
    for y in 0..height {
        for x in 0..TILE {
            let inside = corner_distance(x, y, height);
            let color = if y < TILE { *image.get_pixel(x, y) } else { CARD };
            // One pixel wide, also around images, which may be as white as the card.
            let edge = (1.5 - inside).clamp(0.0, 1.0);
            let target = sheet.get_pixel_mut(left + x, top + y);
            *target = blend(*target, blend(color, EDGE, edge), (inside + 0.5).clamp(0.0, 1.0));
        }
    }
}

/// How far a pixel's middle lies inside the rounded rectangle, negative outside.
fn corner_distance(x: u32, y: u32, height: u32) -> f32 {
    let (half_width, half_height) = (TILE as f32 / 2.0, height as f32 / 2.0);
    let across = (x as f32 + 0.5 - half_width).abs() - (half_width - RADIUS);
    let down = (y as f32 + 0.5 - half_height).abs() - (half_height - RADIUS);
    let outside = across.max(0.0).hypot(down.max(0.0));
    RADIUS - outside - across.max(down).min(0.0)
}

#[cfg(test)]
mod tests {
    use image::Rgb;

    use super::*;

    fn gray(value: u8) -> RgbImage {
        RgbImage::from_pixel(20, 30, Rgb([value; 3]))
    }

    fn captions_after(images: usize, seen: usize) -> Vec<usize> {
        let mut sheet = ContactSheet::new(images);
        for index in 0..seen {
            sheet.add(&gray(0), &index.to_string());
        }
        sheet.shown().into_iter().map(|(_, caption)| caption.parse().expect("a number")).collect()
    }

    #[test]
    fn images_are_evenly_spaced() {
        assert_eq!(captions_after(4, 3), [0, 1, 2]);
        assert_eq!(captions_after(4, 4), [0, 1, 2, 3]);
        for seen in [5, 24, 25, 100, 1000, 1023] {
            let shown = captions_after(4, seen);
            assert_eq!(shown.len(), 4, "of {seen}");
            // Gaps differ by one stride at most, and neither end is left out.
            let gaps: Vec<_> = shown.windows(2).map(|pair| pair[1] - pair[0]).collect();
            let widest = gaps.iter().max().copied().unwrap_or(0);
            assert!(gaps.iter().all(|&gap| gap > 0 && gap * 2 >= widest), "{shown:?} of {seen}");
            assert!(shown[0] == 0 && shown[3] * 4 >= 3 * (seen - 1), "{shown:?} of {seen}");
        }
        assert_eq!(captions_after(1, 9), [0]);
        assert_eq!(captions_after(0, 9), [] as [usize; 0]);
    }

    #[test]
    fn images_and_letters_are_where_they_belong() {
        let mut sheet = ContactSheet::default();
        sheet.add(&gray(90), "A young man with brown hair.");
        sheet.add(&gray(160), "");
        sheet.add(&RgbImage::new(0, 4), "no pixels");
        let image = sheet.to_image();
        assert_eq!(image.width(), 2 * MARGIN + 2 * TILE + GAP);
        let at = |x: u32, y: u32| image.get_pixel(x, y).0;
        assert_eq!(at(0, 0), BACKGROUND.0);
        assert_eq!(at(MARGIN, MARGIN), BACKGROUND.0, "corners are round");
        assert_eq!(at(MARGIN + TILE / 2, MARGIN + TILE / 2), [90; 3]);
        assert_eq!(at(MARGIN + TILE + GAP + 9, MARGIN + TILE / 2), [160; 3]);
        let dark = |left: u32| {
            let below = MARGIN + TILE..image.height() - MARGIN;
            below
                .flat_map(|y| (left..left + TILE).map(move |x| (x, y)))
                .any(|(x, y)| at(x, y)[0] < 80)
        };
        assert!(dark(MARGIN) && !dark(MARGIN + TILE + GAP));
    }

    #[test]
    fn a_sheet_of_nothing_is_a_margin() {
        assert_eq!(ContactSheet::default().to_image().dimensions(), (2 * MARGIN, 2 * MARGIN));
        assert_eq!(ContactSheet::new(0).to_image().dimensions(), (2 * MARGIN, 2 * MARGIN));
    }
}
