//! Text in pixels: DejaVu Sans, wrapped and drawn with smooth edges.

use ab_glyph::{Font, FontRef, Glyph, PxScaleFont, ScaleFont, point};
use image::{Rgb, RgbImage};

/// A font at one size.
pub(super) struct Lettering {
    font: PxScaleFont<FontRef<'static>>,
}

impl Lettering {
    /// DejaVu Sans at this many pixels per em.
    pub(super) fn new(size: f32) -> Self {
        let font = FontRef::try_from_slice(dejavu::sans::regular())
            .expect("the crate carries a whole TrueType file");
        // The scale of this library is ascent minus descent, not the em.
        let height = font.height_unscaled() / font.units_per_em().unwrap_or(1000.0);
        Self { font: font.into_scaled(size * height) }
    }

    /// Pixels from the top of a line to its baseline.
    pub(super) fn ascent(&self) -> u32 {
        self.font.ascent().round() as u32
    }

    /// The lines of a text, none wider than `width` pixels; if there are more than `max_lines`, the last ends in dots.
    ///
    /// Lines break between words; a word that is too wide for a line breaks anywhere.
    pub(super) fn wrap(&self, text: &str, width: f32, max_lines: usize) -> Vec<String> {
        let mut lines: Vec<String> = Vec::new();
        let mut line = String::new();
        for word in text.split_whitespace() {
            let longer = if line.is_empty() { word.to_owned() } else { format!("{line} {word}") };
            if self.width(&longer) <= width {
                line = longer;
                continue;
            }
            if !line.is_empty() {
                lines.push(std::mem::take(&mut line));
            }
            for letter in word.chars() {
                line.push(letter);
                if self.width(&line) > width && line.chars().nth(1).is_some() {
                    line.pop();
                    lines.push(std::mem::replace(&mut line, letter.into()));
                }
            }
        }
        if !line.is_empty() {
            lines.push(line);
        }
        if lines.len() > max_lines {
            lines.truncate(max_lines);
            if let Some(last) = lines.last_mut() {
                while !last.is_empty() && self.width(&format!("{last}…")) > width {
                    last.pop();
                }
                last.truncate(last.trim_end_matches([' ', ',', '.']).len());
                last.push('…');
            }
        }
        lines
    }

    /// Draws one line with its baseline at `baseline`; letters outside the image are cut off.
    pub(super) fn draw(
        &self,
        on: &mut RgbImage,
        text: &str,
        left: u32,
        baseline: u32,
        ink: Rgb<u8>,
    ) {
        for mut glyph in self.glyphs(text) {
            glyph.position.x += left as f32;
            glyph.position.y = baseline as f32;
            let Some(outline) = self.font.outline_glyph(glyph) else { continue };
            let corner = outline.px_bounds().min;
            outline.draw(|x, y, part| {
                let (x, y) = (corner.x as i64 + i64::from(x), corner.y as i64 + i64::from(y));
                let place = u32::try_from(x).ok().zip(u32::try_from(y).ok());
                if let Some(pixel) = place.and_then(|(x, y)| on.get_pixel_mut_checked(x, y)) {
                    *pixel = blend(*pixel, ink, part.clamp(0.0, 1.0));
                }
            });
        }
    }

    fn width(&self, text: &str) -> f32 {
        self.glyphs(text).last().map_or(0.0, |last| last.position.x + self.font.h_advance(last.id))
    }

    /// The letters one after the other, with kerning, from x = 0.
    fn glyphs(&self, text: &str) -> Vec<Glyph> {
        let mut glyphs: Vec<Glyph> = Vec::new();
        let mut x = 0.0;
        for letter in text.chars() {
            let mut glyph = self.font.scaled_glyph(letter);
            if let Some(last) = glyphs.last() {
                x += self.font.h_advance(last.id) + self.font.kern(last.id, glyph.id);
            }
            glyph.position = point(x, 0.0);
            glyphs.push(glyph);
        }
        glyphs
    }
}

/// The lower colour covered by the upper one with this opacity, 0 to 1.
pub(super) fn blend(lower: Rgb<u8>, upper: Rgb<u8>, part: f32) -> Rgb<u8> {
    let mut blended = lower;
    for (below, above) in blended.0.iter_mut().zip(upper.0) {
        let mixed = f32::from(*below) + (f32::from(above) - f32::from(*below)) * part;
        *below = (mixed + 0.5) as u8;
    }
    blended
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_keep_to_their_width() {
        let lettering = Lettering::new(16.0);
        let text = "A smiling young woman with wavy brown hair, incomprehensibilitiesandlongerwords, ü and 日本.";
        for width in [60.0, 120.0, 228.0] {
            let lines = lettering.wrap(text, width, 99);
            assert!(lines.iter().all(|line| lettering.width(line) <= width), "{lines:?}");
            assert_eq!(lines.concat().replace(' ', ""), text.replace(' ', ""));
        }
        let short = lettering.wrap(text, 120.0, 2);
        assert!(short.len() == 2 && short[1].ends_with('…'), "{short:?}");
        assert!(short.iter().all(|line| lettering.width(line) <= 120.0), "{short:?}");
        assert!(lettering.wrap(" \n", 120.0, 9).is_empty());
        // No letter fits: each stands alone, and nothing hangs.
        assert_eq!(lettering.wrap("abc", 1.0, 9), ["a", "b", "c"]);
    }

    #[test]
    fn letters_outside_are_cut_off() {
        let mut image = RgbImage::from_pixel(12, 9, Rgb([255; 3]));
        Lettering::new(30.0).draw(&mut image, "jW", 0, 5, Rgb([0; 3]));
        assert!(image.pixels().any(|pixel| pixel.0[0] < 128));
    }
}
