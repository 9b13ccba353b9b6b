//! SVG text to pixels.

use resvg::{tiny_skia, usvg};

use crate::Error;
use crate::palette::Rgb;

/// An image: `resolution` x `resolution` pixels, RGB, 8 bits a channel, row by row.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Image {
    /// Width and height in pixels.
    pub resolution: u32,
    /// `3 * resolution * resolution` bytes.
    pub rgb: Vec<u8>,
}

impl Image {
    /// The pixel at column `x` and row `y`, `None` outside the image.
    pub fn pixel(&self, x: u32, y: u32) -> Option<Rgb> {
        if x >= self.resolution || y >= self.resolution {
            return None;
        }
        let at = 3 * (y as usize * self.resolution as usize + x as usize);
        let bytes = self.rgb.get(at..at + 3)?;
        Some(Rgb([bytes[0], bytes[1], bytes[2]]))
    }
}

/// Draws `svg` (canvas side `canvas_size` units) on a plain background.
pub(crate) fn rasterize(
    svg: &str,
    canvas_size: f32,
    background: Rgb,
    resolution: u32,
) -> Result<Image, Error> {
    let tree = usvg::Tree::from_str(svg, &usvg::Options::default())
        .map_err(|source| Error::Svg(source.to_string()))?;
    let mut pixmap =
        tiny_skia::Pixmap::new(resolution, resolution).ok_or(Error::Resolution { resolution })?;
    let [r, g, b] = background.0;
    pixmap.fill(tiny_skia::Color::from_rgba8(r, g, b, 255));
    let scale = resolution as f32 / canvas_size;
    resvg::render(&tree, tiny_skia::Transform::from_scale(scale, scale), &mut pixmap.as_mut());
    // The background is opaque, so the premultiplied bytes are the plain colors.
    let rgb = pixmap.data().chunks_exact(4).flat_map(|p| [p[0], p[1], p[2]]).collect();
    Ok(Image { resolution, rgb })
}
