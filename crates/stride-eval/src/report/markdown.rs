//! Tables in Markdown.

/// A table: names of columns, and rows of as many cells. Bars and line breaks of a cell end neither it nor its row.
pub(super) fn table<Cell: AsRef<str>>(
    columns: &[Cell],
    rows: impl IntoIterator<Item = Vec<String>>,
) -> String {
    let mut text = format!("{}|{}\n", line(columns), "---|".repeat(columns.len()));
    rows.into_iter().for_each(|row| text += &line(&row));
    text
}

fn line<Cell: AsRef<str>>(cells: &[Cell]) -> String {
    let escaped = |cell: &Cell| cell.as_ref().replace('|', "\\|").replace(['\n', '\r'], " ");
    let cells: Vec<String> = cells.iter().map(escaped).collect();
    format!("| {} |\n", cells.join(" | "))
}

#[cfg(test)]
mod tests {
    use super::table;

    #[test]
    fn a_table_has_a_line_for_every_row() {
        let rows = [["1", "0.5"], ["a|b", "c\nd"]].map(|row| row.map(str::to_owned).to_vec());
        assert_eq!(
            table(&["steps", "distance ↓"], rows),
            "| steps | distance ↓ |\n|---|---|\n| 1 | 0.5 |\n| a\\|b | c d |\n"
        );
    }
}
