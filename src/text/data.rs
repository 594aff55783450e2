//! How are the tables of this folder written? One row a line, columns between tabs, `#` before a remark.

/// The rows of a table: their columns.
pub(super) fn rows(table: &str) -> impl Iterator<Item = Vec<&str>> {
    let lines = table.lines().filter(|line| !line.starts_with('#') && !line.is_empty());
    lines.map(|line| line.split('\t').collect())
}
