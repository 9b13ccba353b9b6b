//! Tables in Markdown.

/// A table: names of columns, and rows of as many cells.
pub(super) fn table<Cell: AsRef<str>>(
    columns: &[Cell],
    rows: impl IntoIterator<Item = Vec<String>>,
) -> String {
    let mut text = format!("{}|{}\n", line(columns), "---|".repeat(columns.len()));
    rows.into_iter().for_each(|row| text += &line(&row));
    text
}

fn line<Cell: AsRef<str>>(cells: &[Cell]) -> String {
    let cells: Vec<&str> = cells.iter().map(AsRef::as_ref).collect();
    format!("| {} |\n", cells.join(" | "))
}

#[cfg(test)]
mod tests {
    use super::table;

    #[test]
    fn a_table_has_a_line_for_every_row() {
        let rows = [vec!["1".to_owned(), "0.5".to_owned()]];
        assert_eq!(
            table(&["steps", "distance ↓"], rows),
            "| steps | distance ↓ |\n|---|---|\n| 1 | 0.5 |\n"
        );
    }
}
