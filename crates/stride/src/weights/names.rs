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

/// Transposes a row-major `rows` x `cols` matrix.
pub(super) fn transpose(values: &[f32], rows: usize, cols: usize) -> Vec<f32> {
    (0..cols).flat_map(|col| (0..rows).map(move |row| values[row * cols + col])).collect()
}
