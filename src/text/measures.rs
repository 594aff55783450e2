//! What belongs to the number beside it? Units and codes of currencies, from a table.

use std::collections::HashSet;
use std::sync::LazyLock;

use super::data::rows;

static MEASURES: LazyLock<[HashSet<&str>; 2]> = LazyLock::new(|| {
    let of_kind = |kind| {
        let rows = rows(include_str!("data/measures.tsv"));
        rows.filter(|columns| columns[1] == kind).map(|columns| columns[0]).collect()
    };
    [of_kind("unit"), of_kind("currency")]
});

/// Whether letters glued to a number are a unit; case does not count.
pub(super) fn is_unit(letters: &str) -> bool {
    !letters.is_empty() && MEASURES[0].contains(letters.to_ascii_lowercase().as_str())
}

/// Whether letters are the ISO 4217 code of a currency, in upper case.
pub(super) fn is_currency_code(letters: &str) -> bool {
    MEASURES[1].contains(letters)
}
