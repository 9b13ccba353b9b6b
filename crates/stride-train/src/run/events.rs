//! TensorBoard's event files: scalars, images and texts by name and step.

use std::fs::{self, File};
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use crate::TrainError;

/// Their folder in the run folder.
pub(super) const EVENTS: &str = "tensorboard";

/// An event file, made at the first event.
///
/// A file is records of `length, checksum of the length, event, checksum of the event`, and an event is a message in
/// Protocol Buffers' encoding. Source: `tensorflow/core/lib/io/record_writer.cc`, and `event.proto`, `summary.proto`
/// and `tensor.proto` of tensorboard/compat/proto, of which the few fields used here keep their numbers.
#[derive(Debug)]
pub(super) struct Events {
    dir: PathBuf,
    /// Steps that the run has at its beginning.
    step: u64,
    file: Option<(PathBuf, File)>,
}

/// Something to show at a step.
#[derive(Clone, Copy, Debug)]
pub(super) enum Shown<'a> {
    Scalar(f64),
    /// A PNG file.
    Image(&'a [u8]),
    /// In Markdown.
    Text(&'a str),
}

impl Events {
    /// The events of a run that begins, or goes on, at `step`; those of later steps in earlier files count no more.
    pub(super) fn new(run_dir: &Path, step: u64) -> Self {
        Self { dir: run_dir.join(EVENTS), step, file: None }
    }

    /// Appends an event of several values, which have the names of their tags.
    ///
    /// # Errors
    /// The file cannot be written.
    pub(super) fn write<'a>(
        &mut self,
        step: u64,
        values: impl IntoIterator<Item = (String, Shown<'a>)>,
    ) -> Result<(), TrainError> {
        let mut summary = Message::default();
        for (tag, value) in values {
            summary.message(1, &value.to_message(&tag));
        }
        let mut event = Message::at(step);
        event.message(5, &summary);
        self.append(&event)
    }

    fn append(&mut self, event: &Message) -> Result<(), TrainError> {
        if self.file.is_none() {
            fs::create_dir_all(&self.dir).map_err(TrainError::io(&self.dir))?;
            // TensorBoard looks for the first part of the name, and reads files in the order of their names.
            let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
            let id = std::process::id();
            let name =
                format!("events.out.tfevents.{:010}.{:09}.{id}", now.as_secs(), now.subsec_nanos());
            let path = self.dir.join(name);
            let file = File::create_new(&path).map_err(TrainError::io(&path))?;
            self.file = Some((path, file));
            let mut version = Message::at(0);
            version.bytes(3, b"brain.Event:2");
            self.put(&version)?;
            if self.step > 0 {
                // A session that starts makes the reader drop what earlier files have of its steps.
                let mut session = Message::default();
                session.varint(1, 1);
                let mut start = Message::at(self.step + 1);
                start.message(7, &session);
                self.put(&start)?;
            }
        }
        self.put(event)
    }

    fn put(&mut self, event: &Message) -> Result<(), TrainError> {
        let Some((path, file)) = &mut self.file else { return Ok(()) };
        file.write_all(&record(&event.0)).map_err(TrainError::io(path))
    }
}

impl Shown<'_> {
    /// A `Summary.Value`.
    fn to_message(self, tag: &str) -> Message {
        let mut value = Message::default();
        value.bytes(1, tag.as_bytes());
        match self {
            Self::Scalar(number) => value.float(2, number as f32),
            Self::Image(png) => {
                let [width, height] = png_size(png);
                let mut image = Message::default();
                image.varint(1, height.into());
                image.varint(2, width.into());
                // Red, green and blue.
                image.varint(3, 3);
                image.bytes(4, png);
                value.message(4, &image);
            }
            Self::Text(text) => {
                /// The number of the type of strings.
                const DT_STRING: u64 = 7;
                let mut tensor = Message::default();
                tensor.varint(1, DT_STRING);
                tensor.bytes(8, text.as_bytes());
                value.message(8, &tensor);
                let mut plugin = Message::default();
                plugin.bytes(1, b"text");
                let mut metadata = Message::default();
                metadata.message(1, &plugin);
                value.message(9, &metadata);
            }
        }
        value
    }
}

/// Width and height, which stand behind the signature and the name of the first chunk.
fn png_size(png: &[u8]) -> [u32; 2] {
    let number = |at: usize| {
        let bytes = png.get(at..at + 4).and_then(|bytes| bytes.try_into().ok());
        u32::from_be_bytes(bytes.unwrap_or_default())
    };
    [number(16), number(20)]
}

/// A record with its checksums.
fn record(event: &[u8]) -> Vec<u8> {
    let length = (event.len() as u64).to_le_bytes();
    let checksum = |bytes: &[u8]| masked(crc32c::crc32c(bytes)).to_le_bytes();
    [&length[..], &checksum(&length), event, &checksum(event)].concat()
}

/// A checksum of data that may hold checksums itself.
fn masked(checksum: u32) -> u32 {
    checksum.rotate_right(15).wrapping_add(0xa282_ead8)
}

/// A message in Protocol Buffers' encoding.
#[derive(Default)]
struct Message(Vec<u8>);

impl Message {
    /// An `Event` at a step, with the time of now.
    fn at(step: u64) -> Self {
        let mut event = Self::default();
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        event.key(1, 1);
        event.0.extend(now.as_secs_f64().to_le_bytes());
        event.varint(2, step);
        event
    }

    fn key(&mut self, field: u64, wire_type: u64) {
        self.number((field << 3) | wire_type);
    }

    /// Seven bits a byte, the lowest first.
    fn number(&mut self, mut value: u64) {
        while value >= 0x80 {
            self.0.push((value as u8) | 0x80);
            value >>= 7;
        }
        self.0.push(value as u8);
    }

    fn varint(&mut self, field: u64, value: u64) {
        self.key(field, 0);
        self.number(value);
    }

    fn float(&mut self, field: u64, value: f32) {
        self.key(field, 5);
        self.0.extend(value.to_le_bytes());
    }

    fn bytes(&mut self, field: u64, bytes: &[u8]) {
        self.key(field, 2);
        self.number(bytes.len() as u64);
        self.0.extend(bytes);
    }

    fn message(&mut self, field: u64, message: &Self) {
        self.bytes(field, &message.0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The example of RFC 3720, appendix B.4, and what TensorFlow makes of it.
    #[test]
    fn checksums_are_tensorflows() {
        let zeros = crc32c::crc32c(&[0; 32]);
        assert_eq!(zeros, 0x8a91_36aa);
        assert_eq!(masked(zeros), 0x0fd7_fffa);
    }

    #[test]
    fn an_event_is_made_of_fields() {
        let mut value = Shown::Scalar(0.5).to_message("a");
        value.varint(2, 300);
        assert_eq!(value.0, [0x0a, 1, b'a', 0x15, 0, 0, 0, 0x3f, 0x10, 0xac, 2]);
        let found = record(&value.0);
        assert_eq!(found.len(), 8 + 4 + value.0.len() + 4);
        assert_eq!(found[..8], 11u64.to_le_bytes());
    }
}
