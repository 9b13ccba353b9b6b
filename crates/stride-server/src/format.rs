//! The files that clients get.

use stride::image::{ImageError, ImageFormat, ImageMetadata, RgbImage, image_bytes};

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

    /// A file of the image, which says how it was made.
    ///
    /// # Errors
    /// The image is larger than the format takes.
    pub(crate) fn encode(
        self,
        image: &RgbImage,
        metadata: &ImageMetadata,
    ) -> Result<Vec<u8>, ImageError> {
        let (format, quality) = match self {
            Self::Png => (ImageFormat::Png, 100),
            Self::Jpeg(quality) => (ImageFormat::Jpeg, quality),
            Self::Webp => (ImageFormat::Webp, 100),
        };
        image_bytes(image, format, quality, metadata)
    }
}
