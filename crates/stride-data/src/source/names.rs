//! Names of files within a set.

use crate::ProblemKind;

/// Endings of files that are taken for images; what they are, their bytes say.
const IMAGE_ENDINGS: [&str; 4] = ["jpg", "jpeg", "png", "webp"];

/// Endings of images that are not read.
const OTHER_IMAGE_ENDINGS: [&str; 11] =
    ["bmp", "gif", "jxl", "pgm", "ppm", "tif", "tiff", "avif", "heic", "heif", "jp2"];

/// The name with `/` between its parts and without `.` parts.
///
/// # Errors
/// When it is absolute, has a part `..`, a drive or a zero byte, or is empty.
pub(super) fn clean(name: &str) -> Result<String, ProblemKind> {
    let is_absolute = name.starts_with(['/', '\\']) || name.as_bytes().get(1) == Some(&b':');
    let leaves = name.split(['/', '\\']).any(|part| part == "..");
    if is_absolute || leaves || name.contains('\0') {
        return Err(ProblemKind::UnsafePath);
    }
    let parts: Vec<&str> = name.split('/').filter(|part| !matches!(*part, "" | ".")).collect();
    if parts.is_empty() { Err(ProblemKind::UnsafePath) } else { Ok(parts.join("/")) }
}

/// The folder, with its `/`; nothing for a file at the root.
pub(super) fn folder(name: &str) -> &str {
    &name[..name.rfind('/').map_or(0, |at| at + 1)]
}

/// The last part.
pub(super) fn base(name: &str) -> &str {
    &name[folder(name).len()..]
}

/// The name without the ending of its last part.
pub(super) fn without_ending(name: &str) -> &str {
    match base(name).rfind('.') {
        Some(at) if at > 0 => &name[..folder(name).len() + at],
        _ => name,
    }
}

/// The last part without its ending: what the lists of CelebA go by.
pub(super) fn stem(name: &str) -> &str {
    base(without_ending(name))
}

/// Whether the name ends in a dot and `ending`, in either case.
pub(super) fn has_ending(name: &str, ending: &str) -> bool {
    base(name).rsplit_once('.').is_some_and(|(_, found)| found.eq_ignore_ascii_case(ending))
}

pub(super) fn is_image(name: &str) -> bool {
    IMAGE_ENDINGS.iter().any(|ending| has_ending(name, ending))
}

/// The ending of an image that other programs read.
pub(super) fn other_image(name: &str) -> Option<&'static str> {
    OTHER_IMAGE_ENDINGS.into_iter().find(|ending| has_ending(name, ending))
}

/// Whether the file belongs to an operating system or editor.
pub(super) fn is_hidden(name: &str) -> bool {
    name.split('/').any(|part| part.starts_with('.') || part == "__MACOSX")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_stay_inside() {
        assert_eq!(clean("./a//b.jpg").as_deref(), Ok("a/b.jpg"));
        assert_eq!(clean("a..b/...c").as_deref(), Ok("a..b/...c"));
        for name in ["", ".", "/a", "\\a", "C:/a", "a/../b", "..", "a\\..\\b", "a\0b"] {
            assert_eq!(clean(name), Err(ProblemKind::UnsafePath), "{name:?}");
        }
    }

    #[test]
    fn names_have_parts() {
        assert_eq!((folder("a/b/c.d.jpg"), base("a/b/c.d.jpg")), ("a/b/", "c.d.jpg"));
        assert_eq!((without_ending("a.b/c"), without_ending("a/c.d.jpg")), ("a.b/c", "a/c.d"));
        assert_eq!((stem("a/7.jpg"), stem("7")), ("7", "7"));
        assert!(is_image("a/B.JPG") && !is_image("jpg") && !is_image("a.jpg/b.txt"));
        assert!(is_hidden("a/.b/c.jpg") && !is_hidden("a/b.jpg"));
    }
}
