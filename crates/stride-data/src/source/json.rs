//! JSON as Python writes it: `NaN` and infinities, which JSON does not have, are null.

use std::io::{self, BufRead, Read};

use serde_json::Value;

/// Letters of the longest number that is looked at.
const LONGEST: usize = 512;

/// Reads one value.
///
/// # Errors
/// When it is no JSON.
pub(super) fn parse(text: &str) -> Result<Value, String> {
    serde_json::from_str(text).or_else(|error| {
        // A number that is none, in a field that nobody needs, costs nothing.
        serde_json::from_reader(WithoutNan::new(text.as_bytes())).map_err(|_| error.to_string())
    })
}

/// The same JSON with null in place of numbers that are not finite.
pub(super) struct WithoutNan<R> {
    inner: R,
    is_in_string: bool,
    is_escaped: bool,
    /// A number or word that has not ended yet.
    word: Vec<u8>,
    /// What is ready, from `at` on.
    ready: Vec<u8>,
    at: usize,
}

impl<R: BufRead> WithoutNan<R> {
    pub(super) fn new(inner: R) -> Self {
        let (word, ready) = (Vec::new(), Vec::new());
        Self { inner, is_in_string: false, is_escaped: false, word, ready, at: 0 }
    }

    fn take(&mut self, byte: u8) {
        let is_of_word = byte.is_ascii_alphanumeric() || b"+-.".contains(&byte);
        if !self.is_in_string && is_of_word && self.word.len() < LONGEST {
            return self.word.push(byte);
        }
        self.end_word();
        self.ready.push(byte);
        if self.is_escaped {
            self.is_escaped = false;
        } else if byte == b'"' {
            self.is_in_string = !self.is_in_string;
        } else {
            self.is_escaped = self.is_in_string && byte == b'\\';
        }
    }

    fn end_word(&mut self) {
        let number = str::from_utf8(&self.word).ok().and_then(|word| word.parse::<f64>().ok());
        if number.is_some_and(|number| !number.is_finite()) {
            self.ready.extend(b"null");
        } else {
            self.ready.extend(&self.word);
        }
        self.word.clear();
    }
}

impl<R: BufRead> Read for WithoutNan<R> {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        while self.at == self.ready.len() {
            self.ready.clear();
            self.at = 0;
            let bytes = self.inner.fill_buf()?.to_vec();
            if bytes.is_empty() {
                self.end_word();
                if self.ready.is_empty() {
                    return Ok(0);
                }
                break;
            }
            bytes.iter().for_each(|&byte| self.take(byte));
            self.inner.consume(bytes.len());
        }
        let count = out.len().min(self.ready.len() - self.at);
        out[..count].copy_from_slice(&self.ready[self.at..self.at + count]);
        self.at += count;
        Ok(count)
    }
}

#[cfg(test)]
mod tests {
    use std::io::BufReader;

    use serde_json::json;

    use super::*;

    #[test]
    fn what_is_no_number_is_null() {
        let text =
            r#"{"text":"NaN \" NaN","a":NaN,"b":[-Infinity,Infinity,1e999,-1.5e3],"c":true}"#;
        let expected = json!({"text": "NaN \" NaN", "a": null, "b": [null, null, null, -1500.0],
            "c": true});
        assert_eq!(parse(text), Ok(expected.clone()));
        let in_bits = BufReader::with_capacity(1, text.as_bytes());
        assert_eq!(
            serde_json::from_reader::<_, Value>(WithoutNan::new(in_bits)).ok(),
            Some(expected)
        );
        assert_eq!(parse("NaN"), Ok(Value::Null));
    }

    #[test]
    fn other_mistakes_stay() {
        for text in ["{", "{\"a\":NaM}", "\"NaN", "", "nul"] {
            assert!(parse(text).is_err(), "{text}");
        }
    }
}
