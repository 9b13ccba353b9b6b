//! The name and layout of a parameter in a file, from its place in a module.

/// Follows a walk through a module.
#[derive(Debug, Default)]
pub(super) struct Path {
    /// Field name and container type of every level, such as `("proj", "Struct:Linear")`.
    levels: Vec<(String, String)>,
}

impl Path {
    pub(super) fn enter(&mut self, name: &str, container_type: &str) {
        self.levels.push((name.to_owned(), container_type.to_owned()));
    }

    pub(super) fn exit(&mut self) {
        self.levels.pop();
    }

    /// The parameter's name in a file: variants of enums leave no trace in it.
    pub(super) fn file_name(&self, prefix: &str) -> String {
        let is_norm = self.container().is_some_and(|kind| kind.ends_with("Norm"));
        let last = self.levels.len().saturating_sub(1);
        let levels = self.levels.iter().enumerate();
        let parts =
            levels.filter(|(_, (_, kind))| !kind.starts_with("Enum:")).map(|(level, (name, _))| {
                match (level == last && is_norm, name.as_str()) {
                    (true, "gamma") => "weight",
                    (true, "beta") => "bias",
                    (_, name) => name,
                }
            });
        format!("{prefix}{}", parts.collect::<Vec<_>>().join("."))
    }

    /// Whether the file holds the transpose of the parameter.
    pub(super) fn is_transposed(&self) -> bool {
        self.container() == Some("Struct:Linear")
            && self.levels.last().is_some_and(|(name, _)| name == "weight")
    }

    /// The type of the module that owns the parameter.
    fn container(&self) -> Option<&str> {
        self.levels.last().map(|(_, kind)| kind.as_str())
    }
}

/// The transpose of a row-major `rows` x `cols` matrix, of which `value` gives the number at an index.
pub(super) fn transpose(rows: usize, cols: usize, value: impl Fn(usize) -> f32) -> Vec<f32> {
    /// Rows at a time: their numbers of a column fill a line of the cache.
    const STRIP: usize = 16;
    let mut transposed = vec![0.0; rows * cols];
    for first in (0..rows).step_by(STRIP) {
        let strip = first..rows.min(first + STRIP);
        for col in 0..cols {
            let numbers = &mut transposed[col * rows..][strip.clone()];
            for (row, number) in strip.clone().zip(numbers) {
                *number = value(row * cols + col);
            }
        }
    }
    transposed
}

#[cfg(test)]
mod tests {
    use super::transpose;

    #[test]
    fn every_number_finds_its_place() {
        for (rows, cols) in [(0, 3), (1, 1), (5, 2), (16, 3), (17, 40), (33, 1)] {
            let transposed = transpose(rows, cols, |index| index as f32);
            let expected = (0..cols).flat_map(|col| (0..rows).map(move |row| row * cols + col));
            assert!(transposed.into_iter().eq(expected.map(|index| index as f32)), "{rows}x{cols}");
        }
    }
}
