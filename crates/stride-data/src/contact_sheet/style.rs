//! How sheets look.

use image::Rgb;

/// Pixels per em.
pub(super) const TEXT_SIZE: f32 = 16.0;
/// Pixels from one line of text to the next.
pub(super) const LINE_HEIGHT: u32 = 22;

pub(super) const BACKGROUND: Rgb<u8> = Rgb([239, 239, 235]);
pub(super) const CARD: Rgb<u8> = Rgb([255, 255, 255]);
pub(super) const EDGE: Rgb<u8> = Rgb([214, 214, 208]);
pub(super) const INK: Rgb<u8> = Rgb([38, 38, 42]);
