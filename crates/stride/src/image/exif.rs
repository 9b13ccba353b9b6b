//! Text in EXIF, which JPEG and WebP files carry.
//!
//! `UserComment` has the `parameters` text, as web interfaces write it: eight bytes that name the encoding, then UTF-16
//! with the high byte first. `ImageDescription`, which is ASCII, has our JSON behind the word `stride:`, in the manner of
//! ComfyUI's `prompt:` and `workflow:`.

use std::io::Cursor;

use exif::experimental::Writer;
use exif::{Field, In, Reader, Tag, Value};

use super::metadata::ImageMetadata;

const UTF16: &[u8; 8] = b"UNICODE\0";
const ASCII: &[u8; 8] = b"ASCII\0\0\0";
/// What begins our JSON.
const STRIDE: &str = "stride:";

/// The EXIF of an image; none if there is nothing to say.
pub(super) fn to_bytes(metadata: &ImageMetadata) -> Option<Vec<u8>> {
    let field = |tag, value| Field { tag, ifd_num: In::PRIMARY, value };
    let comment = metadata.parameters.as_deref().map(|text| {
        let units = text.encode_utf16().flat_map(u16::to_be_bytes);
        let bytes = UTF16.iter().copied().chain(units).collect();
        field(Tag::UserComment, Value::Undefined(bytes, 0))
    });
    let description = metadata.json.as_deref().map(|json| {
        let text = format!("{STRIDE}{}", ascii_json(json));
        field(Tag::ImageDescription, Value::Ascii(vec![text.into_bytes()]))
    });
    let fields: Vec<Field> = comment.into_iter().chain(description).collect();
    if fields.is_empty() {
        return None;
    }
    let mut writer = Writer::new();
    for field in &fields {
        writer.push_field(field);
    }
    let mut bytes = Cursor::new(Vec::new());
    writer.write(&mut bytes, false).expect("two fields of types that they have");
    Some(bytes.into_inner())
}

/// What EXIF says about how the image was made, and another program's description. EXIF that is damaged says nothing.
pub(super) fn read(bytes: Vec<u8>) -> (ImageMetadata, Option<String>) {
    let Ok(exif) = Reader::new().read_raw(bytes) else {
        return (ImageMetadata::default(), None);
    };
    let value = |tag| exif.get_field(tag, In::PRIMARY).map(|field| &field.value);
    let parameters = match value(Tag::UserComment) {
        Some(Value::Undefined(bytes, _) | Value::Byte(bytes)) => comment_text(bytes),
        _ => None,
    };
    let description = match value(Tag::ImageDescription) {
        Some(Value::Ascii(parts)) => {
            parts.first().map(|part| String::from_utf8_lossy(part).into_owned())
        }
        _ => None,
    };
    let ours = description.as_deref().and_then(|text| text.strip_prefix(STRIDE));
    let json = ours.map(str::to_owned);
    let other = if json.is_some() { None } else { description };
    (ImageMetadata { parameters, json }, other)
}

/// The text of a `UserComment`. Its two bytes a letter come in either order, whatever the rest of the file has.
fn comment_text(bytes: &[u8]) -> Option<String> {
    let (encoding, text) = bytes.split_first_chunk()?;
    let text = match encoding {
        UTF16 => {
            let decode = |unit: fn([u8; 2]) -> u16| {
                let units: Vec<u16> =
                    text.chunks_exact(2).map(|pair| unit([pair[0], pair[1]])).collect();
                String::from_utf16_lossy(&units)
            };
            let ascii = |text: &String| text.chars().filter(char::is_ascii).count();
            let (high, low) = (decode(u16::from_be_bytes), decode(u16::from_le_bytes));
            if ascii(&low) > ascii(&high) { low } else { high }
        }
        ASCII | [0, 0, 0, 0, 0, 0, 0, 0] => String::from_utf8_lossy(text).into_owned(),
        _ => return None,
    };
    let text = text.trim_end_matches('\0');
    (!text.is_empty()).then(|| text.to_owned())
}

/// JSON of the same meaning in ASCII.
fn ascii_json(json: &str) -> String {
    let mut text = String::with_capacity(json.len());
    for c in json.chars() {
        if c.is_ascii() && c != '\0' {
            text.push(c);
        } else {
            // Beyond ASCII, JSON has letters in strings alone.
            let mut units = [0; 2];
            for unit in c.encode_utf16(&mut units) {
                text.push_str(&format!("\\u{unit:04x}"));
            }
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_survive_in_any_script() {
        for prompt in ["a man with glasses", "größer", "眼鏡の男 😀"] {
            let json = serde_json::json!({ "prompt": prompt });
            let metadata = ImageMetadata {
                parameters: Some(format!("{prompt}\nSteps: 4, Seed: 1, Size: 2x2")),
                json: Some(json.to_string()),
            };
            let bytes = to_bytes(&metadata).expect("something to say");
            let (found, other) = read(bytes);
            assert_eq!(found.parameters, metadata.parameters);
            let read: serde_json::Value =
                serde_json::from_str(&found.json.expect("JSON")).expect("JSON");
            assert_eq!((read, other), (json, None));
        }
        assert_eq!(to_bytes(&ImageMetadata::default()), None);
    }

    #[test]
    fn comments_of_other_programs_are_read() {
        let little: Vec<u8> = "a hat, größer".encode_utf16().flat_map(u16::to_le_bytes).collect();
        assert_eq!(comment_text(&[UTF16, &little[..]].concat()).as_deref(), Some("a hat, größer"));
        assert_eq!(comment_text(b"ASCII\0\0\0a hat\0").as_deref(), Some("a hat"));
        assert_eq!(comment_text(b"\0\0\0\0\0\0\0\0a hat").as_deref(), Some("a hat"));
        for nothing in [&b""[..], b"ASCII", b"ASCII\0\0\0", b"JIS\0\0\0\0\0abc"] {
            assert_eq!(comment_text(nothing), None);
        }
        assert_eq!(read(b"no EXIF".to_vec()), (ImageMetadata::default(), None));
    }
}
