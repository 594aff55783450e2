//! Recognises units, currencies, scales (`million`) and words for rates beside numbers, from a table.

use std::collections::HashSet;
use std::sync::LazyLock;

use super::data::rows;

/// A kind of row in the table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Unit,
    Currency,
    Scale,
    Rate,
}

static MEASURES: LazyLock<[HashSet<&str>; 4]> = LazyLock::new(|| {
    let of_kind = |kind| {
        let rows = rows(include_str!("data/measures.tsv"));
        rows.filter(|columns| columns[1] == kind).map(|columns| columns[0]).collect()
    };
    ["unit", "currency", "scale", "rate"].map(of_kind)
});

fn is(kind: Kind, text: &str) -> bool {
    MEASURES[kind as usize].contains(text)
}

/// Whether letters after a number are a unit, in any case.
pub(super) fn is_unit(letters: &str) -> bool {
    /// Longer than every unit.
    const UNIT_BYTES_MAX: usize = 8;
    (1..=UNIT_BYTES_MAX).contains(&letters.len())
        && is(Kind::Unit, letters.to_ascii_lowercase().as_str())
}

/// Whether letters are an ISO 4217 currency code in upper case.
pub(super) fn is_currency_code(letters: &str) -> bool {
    is(Kind::Currency, letters)
}

/// Whether a text begins with a large number in words, as after an amount: `million`.
pub(super) fn begins_with_scale(text: &str) -> bool {
    let word = text.trim_start().split(|it: char| !it.is_alphabetic()).next();
    word.is_some_and(|it| is(Kind::Scale, it.to_lowercase().as_str()))
}

/// Whether a text ends with a word that precedes percentages.
pub(super) fn ends_with_rate(text: &str) -> bool {
    /// Longer than every such word.
    const RATE_CHARS_MAX: usize = 8;
    let end = text.trim_end();
    let start = end.char_indices().rev().take(RATE_CHARS_MAX + 1).last().map_or(0, |(at, _)| at);
    let word = end[start..].rsplit(char::is_whitespace).next();
    // With a preposition or without: bi-nisba.
    word.is_some_and(|it| is(Kind::Rate, it) || is(Kind::Rate, it.trim_start_matches('\u{628}')))
}
