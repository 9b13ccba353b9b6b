//! A part of a job that several processes divide among them.

use std::ops::Range;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// Part `index` of `count`: a stretch of the rows of a job, nearly as long as the others.
///
/// Written `I/N`, such as `0/4`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Part {
    /// From 0.
    pub index: usize,
    /// At least 1.
    pub count: usize,
}

impl Part {
    /// Everything.
    pub const ALL: Self = Self { index: 0, count: 1 };

    /// Its stretch of `total` rows.
    pub fn range(self, total: usize) -> Range<usize> {
        self.index * total / self.count..(self.index + 1) * total / self.count
    }
}

impl FromStr for Part {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let numbers =
            text.split_once('/').and_then(|(i, n)| Some((i.parse().ok()?, n.parse().ok()?)));
        match numbers {
            Some((index, count)) if index < count => Ok(Self { index, count }),
            _ => Err("expected I/N with I from 0 to N - 1, such as 0/4".to_owned()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_are_read() {
        assert_eq!("1/3".parse(), Ok(Part { index: 1, count: 3 }));
        for wrong in ["", "1", "3/3", "-1/3", "a/3", "0/0"] {
            assert!(wrong.parse::<Part>().is_err(), "{wrong}");
        }
        assert_eq!(Part::ALL.range(10), 0..10);
    }

    #[test]
    fn parts_make_the_whole() {
        for (total, count) in [(10, 3), (2, 4), (0, 2), (7, 7)] {
            let parts = (0..count).flat_map(|index| Part { index, count }.range(total));
            assert_eq!(parts.collect::<Vec<_>>(), (0..total).collect::<Vec<_>>());
        }
    }
}
