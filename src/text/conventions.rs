//! Number conventions of languages, from a table: decimal and group signs, and which numbers take which form of a
//! noun.

use std::collections::HashMap;
use std::sync::LazyLock;

use crate::unit::Lang;

use super::data::rows;

/// The conventions of a language; `None` where they are unknown or vary.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Convention {
    /// Decimal sign between ASCII digits.
    pub(super) decimal: Option<char>,
    /// Group sign between ASCII digits.
    pub(super) group: Option<char>,
    pub(super) nouns: Nouns,
}

/// The rule by which a number decides the form of its noun (plural rules of CLDR).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) enum Nouns {
    /// Unknown: every number may need another form.
    #[default]
    Unknown,
    /// One form for all numbers.
    Invariant,
    /// One, and all others.
    One,
    /// As [`One`](Self::One), and an article whose form depends on the number.
    English,
    /// Zero or one, and all others.
    ZeroOne,
    /// Zero, one, two, 3 to 10, 11 to 99, hundreds, fractions.
    Arabic,
    /// 1, 21, 31…; 2 to 4, 22 to 24…; all others.
    Slavic,
    /// 1; 2 to 4, 22 to 24…; all others.
    Polish,
    /// 1; 2 to 4; all others.
    Czech,
}

static CONVENTIONS: LazyLock<HashMap<&str, Convention>> = LazyLock::new(|| {
    let sign = |column: &str| column.chars().next().filter(|it| *it != '-');
    rows(include_str!("data/numbers.tsv"))
        .filter_map(|columns| {
            let [language, decimal, group, nouns] = *columns.as_slice() else { return None };
            let nouns = match nouns {
                "none" => Nouns::Invariant,
                "one" => Nouns::One,
                "english" => Nouns::English,
                "zero-one" => Nouns::ZeroOne,
                "arabic" => Nouns::Arabic,
                "slavic" => Nouns::Slavic,
                "polish" => Nouns::Polish,
                "czech" => Nouns::Czech,
                _ => Nouns::Unknown,
            };
            Some((language, Convention { decimal: sign(decimal), group: sign(group), nouns }))
        })
        .collect()
});

/// The languages of the table, some in a region.
pub(super) fn languages() -> impl Iterator<Item = &'static str> {
    CONVENTIONS.keys().copied()
}

impl Convention {
    /// The conventions of a language in its region, or else of the language.
    pub(super) fn of(lang: &Lang) -> Self {
        let primary = lang.primary();
        let regions = lang.as_str().split('-').skip(1);
        let in_region = regions
            .filter(|part| part.len() == 2 || part.starts_with(|it: char| it.is_ascii_digit()))
            .find_map(|region| CONVENTIONS.get(format!("{primary}-{region}").as_str()));
        in_region.or_else(|| CONVENTIONS.get(primary)).copied().unwrap_or_default()
    }

    /// Whether a single sign before exactly three digits begins a fraction.
    pub(super) fn begins_fraction(self, sign: char) -> bool {
        match sign {
            '\u{66b}' => true,
            '.' => self.decimal != Some(','),
            _ => self.decimal == Some(sign),
        }
    }
}

impl Nouns {
    /// The form of the noun that a number takes; numbers with equal forms are interchangeable.
    pub(super) fn form(self, whole: &str, fraction: bool) -> Option<u8> {
        let whole = whole.trim_start_matches('0');
        let last = whole[whole.len().saturating_sub(2)..].parse::<u8>().unwrap_or(0);
        let (small, units) = (whole.len() <= 2, last % 10);
        let is = |number: u8| small && !fraction && last == number;
        let teen = (11..=14).contains(&last);
        Some(match self {
            Self::Unknown => return None,
            Self::Invariant => 0,
            Self::One | Self::English => u8::from(is(1)),
            Self::ZeroOne => u8::from(small && last < 2),
            _ if fraction => 9,
            Self::Arabic => match last {
                0..=2 if small => last,
                3..=10 => 3,
                11..=99 => 4,
                _ => 5,
            },
            Self::Slavic if units == 1 && !teen => 1,
            Self::Polish | Self::Czech if is(1) => 1,
            Self::Slavic | Self::Polish if (2..=4).contains(&units) && !teen => 2,
            Self::Czech if small && (2..=4).contains(&last) => 2,
            Self::Slavic | Self::Polish | Self::Czech => 0,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(lang: &str) -> Convention {
        Convention::of(&lang.parse().unwrap())
    }

    #[test]
    fn regions_come_before_their_language() {
        assert_eq!(of("pt-BR").group, Some('.'));
        assert_eq!(of("pt").group, None);
        assert_eq!(of("ar-MA").decimal, Some(','));
        assert_eq!(of("ar-SA").decimal, Some('.'));
        assert_eq!(of("es-419").decimal, Some('.'));
        assert_eq!(of("xx"), Convention::default());
    }

    #[test]
    fn nouns_take_their_forms() {
        let form = |lang, whole| of(lang).nouns.form(whole, false);
        for (lang, same, other) in [
            ("en", "2 7 11 21 101 0", "1 01"),
            ("ar", "3 9 10 103 1007", "1 2 11 100"),
            ("ar", "11 24 99 1915", "3 100 101"),
            ("ru", "1 21 101", "11 2 5"),
            ("pl", "2 24 102", "1 12 5 21"),
            ("cs", "5 21 22 100", "1 2 4"),
            ("fr", "0 1", "2 10"),
            ("ja", "1 2 100", ""),
        ] {
            let first = form(lang, same.split(' ').next().unwrap());
            assert!(first.is_some());
            assert!(same.split(' ').all(|it| form(lang, it) == first), "{lang} {same}");
            assert!(other.split_whitespace().all(|it| form(lang, it) != first), "{lang} {other}");
        }
        assert_eq!(form("xx", "5"), None);
    }
}
