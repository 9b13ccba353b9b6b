//! Values in Thrift's compact protocol, in which Parquet writes its metadata.
//!
//! Source: Apache Thrift, "Thrift Compact protocol encoding" (thrift-compact-protocol.md).

/// Structures within structures that are read.
const MAX_DEPTH: usize = 16;

/// A value; maps, doubles and unknown kinds are passed over as `Other`.
#[derive(Debug)]
pub(super) enum Value<'a> {
    Bool(bool),
    Int(i64),
    Bytes(&'a [u8]),
    List(Vec<Value<'a>>),
    Struct(Vec<(i16, Value<'a>)>),
    Other,
}

impl<'a> Value<'a> {
    /// The field of a structure with this number.
    pub(super) fn field(&self, id: i16) -> Option<&Value<'a>> {
        match self {
            Self::Struct(fields) => fields.iter().find(|(found, _)| *found == id).map(|(_, v)| v),
            _ => None,
        }
    }

    pub(super) fn int(&self, id: i16) -> Option<i64> {
        match self.field(id)? {
            Self::Int(value) => Some(*value),
            _ => None,
        }
    }

    pub(super) fn list(&self, id: i16) -> Option<&[Value<'a>]> {
        match self.field(id)? {
            Self::List(values) => Some(values),
            _ => None,
        }
    }

    pub(super) fn text(&self, id: i16) -> Option<&'a str> {
        match self.field(id)? {
            Self::Bytes(bytes) => std::str::from_utf8(bytes).ok(),
            _ => None,
        }
    }
}

/// Reads a structure; nothing if the bytes are none or end too early. Also says how many it took.
pub(super) fn read_struct(bytes: &[u8]) -> Option<(Value<'_>, usize)> {
    let mut reader = Reader { bytes, at: 0 };
    let value = reader.structure(0)?;
    Some((value, reader.at))
}

struct Reader<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Reader<'a> {
    fn byte(&mut self) -> Option<u8> {
        let byte = *self.bytes.get(self.at)?;
        self.at += 1;
        Some(byte)
    }

    fn take(&mut self, count: usize) -> Option<&'a [u8]> {
        let end = self.at.checked_add(count)?;
        let taken = self.bytes.get(self.at..end)?;
        self.at = end;
        Some(taken)
    }

    fn varint(&mut self) -> Option<u64> {
        let mut value = 0;
        for shift in (0..64).step_by(7) {
            let byte = self.byte()?;
            value |= u64::from(byte & 0x7f) << shift;
            if byte & 0x80 == 0 {
                return Some(value);
            }
        }
        None
    }

    /// Signs lie in the lowest bit.
    fn int(&mut self) -> Option<i64> {
        let raw = self.varint()?;
        Some((raw >> 1) as i64 ^ -((raw & 1) as i64))
    }

    fn structure(&mut self, depth: usize) -> Option<Value<'a>> {
        if depth > MAX_DEPTH {
            return None;
        }
        let mut fields = Vec::new();
        let mut id = 0i16;
        loop {
            let head = self.byte()?;
            if head == 0 {
                return Some(Value::Struct(fields));
            }
            id = match head >> 4 {
                0 => i16::try_from(self.int()?).ok()?,
                delta => id.checked_add(i16::from(delta))?,
            };
            let value = match head & 15 {
                1 => Value::Bool(true),
                2 => Value::Bool(false),
                kind => self.value(kind, depth)?,
            };
            fields.push((id, value));
        }
    }

    fn value(&mut self, kind: u8, depth: usize) -> Option<Value<'a>> {
        Some(match kind {
            1 | 2 => Value::Bool(self.byte()? == 1),
            3 => Value::Int(i64::from(self.byte()? as i8)),
            4..=6 => Value::Int(self.int()?),
            7 => self.take(8).map(|_| Value::Other)?,
            8 => {
                let length = usize::try_from(self.varint()?).ok()?;
                Value::Bytes(self.take(length)?)
            }
            9 | 10 => {
                let head = self.byte()?;
                let count = match head >> 4 {
                    15 => usize::try_from(self.varint()?).ok()?,
                    count => usize::from(count),
                };
                self.values(count, head & 15, depth + 1).map(Value::List)?
            }
            11 => {
                let count = usize::try_from(self.varint()?).ok()?;
                let kinds = if count == 0 { 0 } else { self.byte()? };
                for _ in 0..count {
                    self.value(kinds >> 4, depth + 1)?;
                    self.value(kinds & 15, depth + 1)?;
                }
                Value::Other
            }
            12 => self.structure(depth + 1)?,
            _ => return None,
        })
    }

    fn values(&mut self, count: usize, kind: u8, depth: usize) -> Option<Vec<Value<'a>>> {
        // Each takes a byte or more: no room is made for what cannot be there.
        if depth > MAX_DEPTH || count > self.bytes.len() - self.at {
            return None;
        }
        (0..count).map(|_| self.value(kind, depth)).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_have_numbers() {
        // 1: i32 -2; 3: "ab"; 4: list of i32 1, -1; 20: true; 21: struct { 1: 300 }
        let bytes = [
            0x15, 0x03, 0x28, 2, b'a', b'b', 0x19, 0x25, 0x02, 0x01, 0x01, 0x28, 0x1c, 0x15, 0xd8,
            0x04, 0, 0, 99,
        ];
        let (value, length) = read_struct(&bytes).expect("a structure");
        assert_eq!(length, bytes.len() - 1);
        assert_eq!((value.int(1), value.text(3)), (Some(-2), Some("ab")));
        assert!(matches!(value.list(4), Some([Value::Int(1), Value::Int(-1)])));
        assert!(matches!(value.field(20), Some(Value::Bool(true))));
        assert_eq!(value.field(21).and_then(|inner| inner.int(1)), Some(300));
        for cut in 0..length {
            assert!(read_struct(&bytes[..cut]).is_none(), "{cut}");
        }
    }

    #[test]
    fn depth_and_counts_are_bounded() {
        assert!(read_struct(&[0x1c; 1000]).is_none());
        assert!(read_struct(&[0x19, 0xf5, 0xff, 0xff, 0xff, 0xff, 0x7f]).is_none());
        assert!(read_struct(&[0x19; 1000]).is_none());
    }
}
