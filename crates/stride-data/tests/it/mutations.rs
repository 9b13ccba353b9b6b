//! Broken versions of files, the same in every run; the tests of other crates take this file in, too.

use std::fs;

/// Values that a reader of numbers, names and texts may not expect.
const HOSTILE: [&str; 28] = [
    "0",
    "-1",
    "1",
    "2",
    "7",
    "65536",
    "1000000000",
    "4611686018427387904",
    "9223372036854775807",
    "18446744073709551615",
    "18446744073709551616",
    "-9223372036854775808",
    "1e9",
    "1e300",
    "1e-300",
    "1e999",
    "nan",
    "NaN",
    "inf",
    "-inf",
    "null",
    "true",
    "",
    "\"\"",
    "[]",
    "{}",
    "../../x",
    "\\ud800",
];

/// How many broken versions of a file are tried: 10,000 where `RUN_SLOW_TESTS` is set.
pub(crate) fn rounds(few: usize) -> usize {
    if std::env::var_os("RUN_SLOW_TESTS").is_some() { 10_000 } else { few }
}

/// SplitMix64.
pub(crate) struct Draws(pub(crate) u64);

impl Draws {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    pub(crate) fn below(&mut self, bound: usize) -> usize {
        (self.next() % bound.max(1) as u64) as usize
    }

    /// The bytes with one to four changes.
    pub(crate) fn mutate(&mut self, bytes: &[u8]) -> Vec<u8> {
        let mut bytes = bytes.to_vec();
        for _ in 0..=self.below(4) {
            if bytes.is_empty() {
                break;
            }
            let at = self.below(bytes.len());
            let length = self.below(bytes.len() - at).min(64) + 1;
            match self.below(8) {
                0 => bytes[at] ^= 1 << self.below(8),
                1 => bytes[at] = [0, 0x7f, 0x80, 0xff][self.below(4)],
                2 => bytes.truncate(at),
                3 => _ = bytes.drain(at..at + length),
                4 => bytes[at..at + length].fill([0, 0xff][self.below(2)]),
                5 => {
                    let copy = bytes[at..at + length].to_vec();
                    let to = self.below(bytes.len());
                    bytes.splice(to..to, copy);
                }
                6 => bytes[at..at + length].iter_mut().for_each(|b| *b = self.next() as u8),
                _ => {
                    // Where lengths lie: the last bytes and the first.
                    let near = self.below(bytes.len().min(64));
                    let end = bytes.len() - 1 - near;
                    bytes[if at.is_multiple_of(2) { near } else { end }] = self.next() as u8;
                }
            }
        }
        bytes
    }

    /// The text with one or two of its words and numbers replaced; every fourth time broken as bytes.
    pub(crate) fn mutate_text(&mut self, text: &[u8]) -> Vec<u8> {
        if self.below(4) == 0 {
            return self.mutate(text);
        }
        let is_of_word = |byte: &u8| byte.is_ascii_alphanumeric() || b"._-+".contains(byte);
        let mut text = text.to_vec();
        for _ in 0..=self.below(2) {
            let at = self.below(text.len());
            let Some(from) = text[at..].iter().position(is_of_word).map(|skip| at + skip) else {
                continue;
            };
            let start =
                text[..from].iter().rposition(|byte| !is_of_word(byte)).map_or(0, |k| k + 1);
            let end = text[from..].iter().position(|byte| !is_of_word(byte));
            let end = end.map_or(text.len(), |length| from + length);
            text.splice(start..end, HOSTILE[self.below(HOSTILE.len())].bytes());
        }
        text
    }
}

/// Fails the test if the process has ever had more memory than `megabytes`.
pub(crate) fn check_peak(megabytes: u64) {
    let Ok(status) = fs::read_to_string("/proc/self/status") else { return };
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap_or("0");
    let kilobytes = line.trim().trim_end_matches("kB").trim().parse::<u64>().unwrap_or(0);
    let peak = kilobytes >> 10;
    println!("{peak} MB at most");
    assert!(peak < megabytes, "{peak} MB, expected less than {megabytes}");
}
