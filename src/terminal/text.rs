//! Text for people: isolated from its surroundings, in tables, and counts with their nouns.

use unicode_width::UnicodeWidthStr as _;

/// FIRST STRONG ISOLATE: text between it and [`ISOLATE_END`] is laid out by itself and does not move its neighbours.
const ISOLATE_BEGIN: char = '\u{2068}';
/// POP DIRECTIONAL ISOLATE.
pub(super) const ISOLATE_END: char = '\u{2069}';

/// Text of any direction, safe beside text of another.
pub(crate) fn isolate(text: &str) -> String {
    format!("{ISOLATE_BEGIN}{text}{ISOLATE_END}")
}

/// Columns padded to their widest cell; the last one is not padded.
pub(crate) fn table(rows: &[Vec<String>]) -> String {
    let columns = rows.iter().map(Vec::len).max().unwrap_or(0);
    let widths: Vec<usize> = (0..columns)
        .map(|column| {
            rows.iter()
                .filter_map(|row| row.get(column))
                .map(|cell| cell.width())
                .max()
                .unwrap_or(0)
        })
        .collect();
    let mut text = String::new();
    for row in rows {
        for (column, cell) in row.iter().enumerate() {
            text.push_str(cell);
            if column + 1 < row.len() {
                let padding = widths[column].saturating_sub(cell.width()) + 2;
                text.extend(std::iter::repeat_n(' ', padding));
            }
        }
        text.push('\n');
    }
    text
}

/// A count with its noun: `1 file`, `127,292 files`, `2 memories`.
pub(crate) fn counted(number: impl TryInto<u64>, noun: &str) -> String {
    let number = number.try_into().unwrap_or(u64::MAX);
    let shown = grouped(number);
    match noun.strip_suffix('y') {
        _ if number == 1 => format!("{shown} {noun}"),
        Some(stem) => format!("{shown} {stem}ies"),
        None => format!("{shown} {noun}s"),
    }
}

/// A number with its thousands apart: `127,292`.
pub(crate) fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::with_capacity(digits.len() + digits.len() / 3);
    for (position, digit) in digits.chars().enumerate() {
        if position > 0 && (digits.len() - position).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn thousands_are_apart() {
        assert_eq!(grouped(0), "0");
        assert_eq!(grouped(999), "999");
        assert_eq!(grouped(1_000), "1,000");
        assert_eq!(grouped(1_234_567), "1,234,567");
        assert_eq!([counted(0_u64, "unit"), counted(1_u64, "memory")], ["0 units", "1 memory"]);
        assert_eq!(counted(2_usize, "memory"), "2 memories");
    }

    #[test]
    fn columns_line_up_whatever_the_script() {
        let rows =
            [vec![isolate("\u{62d}\u{641}\u{638}"), "x".into()], vec!["abcd".into(), "y".into()]];
        let text = table(&rows);
        let widths: Vec<usize> = text.lines().map(|line| line[..line.len() - 1].width()).collect();
        assert_eq!(widths, [6, 6]);
    }
}
