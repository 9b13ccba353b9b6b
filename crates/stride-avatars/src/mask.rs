//! Where the small named parts of an avatar are.

use crate::attributes::Attributes;
use crate::error::Error;
use crate::image::{render, render_without};

/// The small parts that captions name, or that show what they name: components of the drawings, and [`GLASSES`].
///
/// [`GLASSES`]: crate::image::GLASSES
const SMALL_PARTS: [&str; 6] =
    ["eyebrows", "eyes", crate::image::GLASSES, "facialHair", "beard", "mouth"];

/// Draws where facial hair, eyes, eyebrows, mouth and glasses are seen: `resolution` rows of as many bytes, 255 there
/// and 0 elsewhere.
///
/// A pixel is theirs if the image without them has another there, so that what is hidden or has the color of what
/// is below does not count.
///
/// # Errors
/// As [`render`].
pub fn small_parts_mask(attributes: &Attributes, resolution: u32) -> Result<Vec<u8>, Error> {
    let whole = render(attributes, resolution)?;
    let rest = render_without(attributes, resolution, &SMALL_PARTS)?;
    let pixels = whole.rgb.chunks_exact(3).zip(rest.rgb.chunks_exact(3));
    Ok(pixels.map(|(whole, rest)| if whole == rest { 0 } else { u8::MAX }).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::attributes::Style;
    use crate::split::Split;

    #[test]
    fn masks_lie_on_the_face_and_grow_with_beards_and_glasses() {
        let share = |a: &Attributes| {
            let mask = small_parts_mask(a, 64).expect("renders");
            // Nothing above the brows or beside the ears.
            let is_face =
                |at: usize| (16..60).contains(&(at / 64)) && (12..52).contains(&(at % 64));
            let outside = (0..64 * 64).find(|&at| mask[at] > 0 && !is_face(at));
            assert_eq!(outside, None, "{a:?}");
            mask.iter().filter(|&&value| value > 0).count()
        };
        for style in [Style::Flat, Style::Toon] {
            let samples = (0..400).map(|index| Attributes::sample(5, index, Split::Train));
            let with_both = samples
                .filter(|a| a.style == style && a.facial_hair.is_some() && a.eyewear.is_some());
            for whole in with_both.take(5) {
                let shaved = Attributes { facial_hair: None, ..whole.clone() };
                let bare = Attributes { eyewear: None, ..shaved.clone() };
                let shares = [&whole, &shaved, &bare].map(share);
                assert!(shares[0] > shares[1] && shares[1] > shares[2], "{shares:?} {whole:?}");
                assert!(shares[2] > 40, "eyes, eyebrows and mouth: {shares:?}");
            }
        }
    }
}
