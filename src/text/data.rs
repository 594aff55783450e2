//! Reads the tables of this folder: one row a line, columns separated by tabs, `#` before comments.

/// The rows of a table as columns.
pub(super) fn rows(table: &str) -> impl Iterator<Item = Vec<&str>> {
    let lines = table.lines().filter(|line| !line.starts_with('#') && !line.is_empty());
    lines.map(|line| line.split('\t').collect())
}
