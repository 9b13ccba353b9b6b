//! What an image file is: its format, and what it says about how its image was made.

use std::fmt;

/// A format of image files that is written and read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum ImageFormat {
    /// Lossless; text in `tEXt` and `iTXt` chunks.
    #[default]
    Png,
    /// Lossy; text in EXIF.
    Jpeg,
    /// Lossless as it is written here; text in EXIF.
    Webp,
}

impl ImageFormat {
    /// All formats.
    pub const ALL: [Self; 3] = [Self::Png, Self::Jpeg, Self::Webp];

    /// The format of a file by the ending of its name, in letters of any size.
    pub fn from_extension(extension: &str) -> Option<Self> {
        match extension.to_ascii_lowercase().as_str() {
            "png" => Some(Self::Png),
            "jpg" | "jpeg" => Some(Self::Jpeg),
            "webp" => Some(Self::Webp),
            _ => None,
        }
    }

    /// The format of a file by its first bytes.
    pub fn of_bytes(bytes: &[u8]) -> Option<Self> {
        if bytes.starts_with(b"\x89PNG\r\n\x1a\n") {
            Some(Self::Png)
        } else if bytes.starts_with(b"\xff\xd8\xff") {
            Some(Self::Jpeg)
        } else if bytes.starts_with(b"RIFF") && bytes.get(8..12) == Some(b"WEBP") {
            Some(Self::Webp)
        } else {
            None
        }
    }

    /// The usual ending of its files' names, which is its name on the command line, too, but for `jpeg`.
    pub fn extension(self) -> &'static str {
        match self {
            Self::Png => "png",
            Self::Jpeg => "jpg",
            Self::Webp => "webp",
        }
    }
}

impl fmt::Display for ImageFormat {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Png => "PNG",
            Self::Jpeg => "JPEG",
            Self::Webp => "WebP",
        })
    }
}

/// What a file says about how its image was made.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ImageMetadata {
    /// The text that other programs read: prompt, negative prompt, a line of `Key: value` pairs.
    pub parameters: Option<String>,
    /// One JSON object.
    pub json: Option<String>,
}

/// What is known of an image file without its pixels.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ImageFile {
    /// Its format.
    pub format: ImageFormat,
    /// Pixels in a row.
    pub width: u32,
    /// Rows.
    pub height: u32,
    /// How its image was made.
    pub metadata: ImageMetadata,
    /// Keyword and text of whatever else programs have written into it.
    pub other_texts: Vec<(String, String)>,
}
