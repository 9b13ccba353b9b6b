//! Writes tables of bytes as Parquet files in their plainest form, independently of the reader: one row group, one page a
//! column, nothing compressed, nothing missing.

/// A value in Thrift's compact protocol.
enum Value {
    Int32(i64),
    Int64(i64),
    Text(Vec<u8>),
    Structure(Vec<u8>),
    /// Of a type, its elements without headers.
    List(u8, Vec<Vec<u8>>),
}

use Value::{Int32, Int64, List, Structure, Text};

/// The types of elements.
const INT32: u8 = 5;
const TEXT: u8 = 8;
const STRUCTURE: u8 = 12;

fn varint(mut value: u64, out: &mut Vec<u8>) {
    while value >= 0x80 {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

fn integer(value: i64) -> Vec<u8> {
    let mut out = Vec::new();
    varint(((value << 1) ^ (value >> 63)) as u64, &mut out);
    out
}

fn text(value: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    varint(value.len() as u64, &mut out);
    out.extend_from_slice(value);
    out
}

/// The fields of a structure by their numbers, in order.
fn structure(fields: Vec<(u8, Value)>) -> Vec<u8> {
    let (mut out, mut last) = (Vec::new(), 0);
    for (number, value) in fields {
        let (kind, bytes) = match value {
            Int32(value) => (INT32, integer(value)),
            Int64(value) => (6, integer(value)),
            Text(value) => (TEXT, text(&value)),
            Structure(bytes) => (STRUCTURE, bytes),
            List(kind, elements) => {
                assert!(elements.len() < 15, "a short list");
                let mut bytes = vec![(elements.len() as u8) << 4 | kind];
                elements.iter().for_each(|element| bytes.extend_from_slice(element));
                (9, bytes)
            }
        };
        out.push((number - last) << 4 | kind);
        out.extend(bytes);
        last = number;
    }
    out.push(0);
    out
}

/// A file with these columns: name, whether they are texts, and a value for every row.
pub(crate) fn table(columns: &[(&str, bool, &[Vec<u8>])]) -> Vec<u8> {
    let rows = columns[0].2.len() as i64;
    let mut file = b"PAR1".to_vec();
    let mut schema =
        vec![structure(vec![(4, Text(b"schema".to_vec())), (5, Int32(columns.len() as i64))])];
    let mut chunks = Vec::new();
    for (name, is_text, values) in columns {
        let (name, start) = (name.as_bytes().to_vec(), file.len() as i64);
        let with_length =
            |value: &Vec<u8>| [&(value.len() as u32).to_le_bytes()[..], value].concat();
        let page: Vec<u8> = values.iter().flat_map(with_length).collect();
        let size = page.len() as i64;
        // Plain values; levels in runs, of which there are none.
        let data = vec![(1, Int32(rows)), (2, Int32(0)), (3, Int32(3)), (4, Int32(3))];
        let header = vec![
            (1, Int32(0)),
            (2, Int32(size)),
            (3, Int32(size)),
            (5, Structure(structure(data))),
        ];
        file.extend(structure(header));
        file.extend(page);
        let mut element = vec![(1, Int32(6)), (3, Int32(0)), (4, Text(name.clone()))];
        element.extend(is_text.then_some((6, Int32(0))));
        schema.push(structure(element));
        let length = file.len() as i64 - start;
        let metadata = vec![
            (1, Int32(6)),
            (2, List(INT32, vec![integer(0)])),
            (3, List(TEXT, vec![text(&name)])),
            (4, Int32(0)),
            (5, Int64(rows)),
            (6, Int64(length)),
            (7, Int64(length)),
            (9, Int64(start)),
        ];
        chunks.push(structure(vec![(2, Int64(start)), (3, Structure(structure(metadata)))]));
    }
    let group = vec![(1, List(STRUCTURE, chunks)), (2, Int64(file.len() as i64)), (3, Int64(rows))];
    let footer = structure(vec![
        (1, Int32(1)),
        (2, List(STRUCTURE, schema)),
        (3, Int64(rows)),
        (4, List(STRUCTURE, vec![structure(group)])),
    ]);
    file.extend_from_slice(&footer);
    file.extend((footer.len() as u32).to_le_bytes());
    file.extend(b"PAR1");
    file
}
