//! The files that clients get.

use image::codecs::jpeg::JpegEncoder;
use image::codecs::webp::WebPEncoder;
use image::{ExtendedColorType, ImageEncoder as _};
use stride::image::{ImageMetadata, RgbImage, png_bytes};
use thiserror::Error;

/// Quality of previews, which are looked at for a moment.
const PREVIEW_QUALITY: u8 = 80;

/// A file format.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Format {
    /// Says how its image was made.
    Png,
    /// With a quality from 1 to 100.
    Jpeg(u8),
    /// Without loss.
    Webp,
}

impl Format {
    /// What previews are sent in.
    pub(crate) const PREVIEW: Self = Self::Jpeg(PREVIEW_QUALITY);

    /// Its name in OpenAI's service.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Png => "png",
            Self::Jpeg(_) => "jpeg",
            Self::Webp => "webp",
        }
    }

    /// Its name in HTTP.
    pub(crate) fn content_type(self) -> &'static str {
        match self {
            Self::Png => "image/png",
            Self::Jpeg(_) => "image/jpeg",
            Self::Webp => "image/webp",
        }
    }

    /// A file of the image; only PNG holds the metadata.
    ///
    /// # Errors
    /// The image is larger than the format takes.
    pub(crate) fn encode(
        self,
        image: &RgbImage,
        metadata: &ImageMetadata,
    ) -> Result<Vec<u8>, EncodeError> {
        let (pixels, colors) = (&image.pixels, ExtendedColorType::Rgb8);
        let [width, height] =
            [image.width, image.height].map(|side| u32::try_from(side).unwrap_or(u32::MAX));
        let mut bytes = Vec::new();
        match self {
            Self::Png => bytes = png_bytes(image, metadata)?,
            Self::Jpeg(quality) => JpegEncoder::new_with_quality(&mut bytes, quality)
                .write_image(pixels, width, height, colors)?,
            Self::Webp => {
                WebPEncoder::new_lossless(&mut bytes).write_image(pixels, width, height, colors)?
            }
        }
        Ok(bytes)
    }
}

/// An image that does not fit its format.
#[derive(Debug, Error)]
pub(crate) enum EncodeError {
    /// A PNG file.
    #[error(transparent)]
    Png(#[from] stride::image::ImageError),
    /// Another one.
    #[error(transparent)]
    Other(#[from] image::ImageError),
}
