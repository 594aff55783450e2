//! Fills figures into sentences: `p50 {engine_p50_us:us}` becomes `p50 58 µs`.

use std::fmt::Write as _;

use crate::bench::record::{FiguresByName, Record, significant};
use crate::terminal::grouped;

/// A table of rows of what was measured, by which part, and its figures; `None` when none was measured.
pub(super) fn table<'a>(
    record: &Record,
    rows: impl Iterator<Item = (&'a str, String, &'a str)>,
) -> Option<String> {
    let mut table = String::new();
    let mut above = None;
    for (what, part, figures) in rows {
        let Some(measured) = record.figures.get(&part) else { continue };
        let (Some(what), Some(figures)) = (fill(what, measured), fill(figures, measured)) else {
            continue;
        };
        let command = match record.commands.get(&part) {
            Some(_) if above.as_ref() == Some(&part) => "the same".to_owned(),
            Some(command) => format!("`{command}`"),
            None => String::new(),
        };
        above = Some(part);
        // Writing to a string cannot fail.
        let _ = writeln!(table, "| {what} | {command} | {figures} |");
    }
    (!table.is_empty()).then(|| format!("| what | command | figure |\n|---|---|---|\n{table}"))
}

/// A sentence with its figures; `None` when one was not measured.
fn fill(template: &str, figures: &FiguresByName) -> Option<String> {
    let mut filled = String::new();
    let mut rest = template;
    while let Some((before, after)) = rest.split_once('{') {
        let (figure, after) = after.split_once('}')?;
        let (name, unit) = figure.split_once(':')?;
        filled.push_str(before);
        filled.push_str(&written(*figures.get(name)?, unit)?);
        rest = after;
    }
    filled.push_str(rest);
    Some(filled)
}

/// A figure in a unit: `n` a number to three digits, `count` an exact one, `us` a time from microseconds, `s` seconds, `mb`
/// megabytes, `share` three decimals.
pub(super) fn written(value: f64, unit: &str) -> Option<String> {
    Some(match unit {
        "n" => digits(value),
        "count" => grouped(whole(value)),
        "us" if value < 1e3 => format!("{} µs", digits(value)),
        "us" if value < 1e6 => format!("{} ms", digits(value / 1e3)),
        "us" => format!("{} s", digits(value / 1e6)),
        "s" => format!("{} s", digits(value)),
        "mb" => format!("{} MB", digits(value)),
        "share" => format!("{value:.3}"),
        _ => return None,
    })
}

/// Three significant digits, and thousands apart.
fn digits(value: f64) -> String {
    let rounded = significant(value, 3);
    if rounded.abs() >= 1e3 { grouped(whole(rounded)) } else { rounded.to_string() }
}

fn whole(value: f64) -> u64 {
    // Figures are counts and times: neither negative nor near 2^64.
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
    let whole = value.round() as u64;
    whole
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_are_written_in_their_unit() {
        for (value, unit, text) in [
            (68_249.7, "n", "68,200"),
            (1.234_5, "n", "1.23"),
            (1_190_432.0, "count", "1,190,432"),
            (58.349, "us", "58.3 µs"),
            (999.96, "us", "1,000 µs"),
            (1_449.0, "us", "1.45 ms"),
            (2_500_000.0, "us", "2.5 s"),
            (0.298_7, "s", "0.299 s"),
            (413.4, "mb", "413 MB"),
            (0.98, "share", "0.980"),
        ] {
            assert_eq!(written(value, unit).as_deref(), Some(text), "{value} {unit}");
        }
        assert_eq!(written(1.0, "furlongs"), None);
    }

    #[test]
    fn a_sentence_without_one_of_its_figures_is_left_out() {
        let figures = FiguresByName::from([("a".to_owned(), 1.0), ("b".to_owned(), 2_000.0)]);
        assert_eq!(fill("a {a:n}, b {b:n}.", &figures).as_deref(), Some("a 1, b 2,000."));
        assert_eq!(fill("none", &figures).as_deref(), Some("none"));
        assert_eq!(fill("{a:n} {c:n}", &figures), None);
    }
}
