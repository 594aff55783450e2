//! Folds characters, and names the spelling difference that each folding removes.
//!
//! The rules are data (`data/fold.tsv`); lower case comes from the Unicode tables of the standard library.

use std::collections::HashMap;
use std::sync::LazyLock;

use super::differences::Differences;

/// The folded form of a character.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Folding {
    /// Its characters, padded with NUL.
    to: [char; 4],
    /// The spelling difference that it removes.
    pub(super) difference: Differences,
}

impl Folding {
    /// The characters of the folded form.
    pub(super) fn chars(&self) -> impl Iterator<Item = char> + '_ {
        self.to.iter().copied().filter(|&character| character != '\0')
    }

    /// Whether the folded form drops the character.
    pub(super) fn is_dropped(&self) -> bool {
        self.to[0] == '\0'
    }
}

/// How a character folds; `None` when it folds to itself.
pub(super) fn folding(character: char) -> Option<Folding> {
    if character.is_ascii() && !character.is_ascii_uppercase() {
        return None;
    }
    RULES.get(&character).copied().or_else(|| lower_case(character))
}

static RULES: LazyLock<HashMap<char, Folding>> =
    LazyLock::new(|| parse(include_str!("data/fold.tsv")).collect());

fn lower_case(character: char) -> Option<Folding> {
    let mut lower = character.to_lowercase();
    let mut next = || lower.next().unwrap_or('\0');
    let to = [next(), next(), next(), '\0'];
    (to[0] != character).then_some(Folding { to, difference: Differences::CASE })
}

/// Parses a table: `code[..code] TAB codes or '-' TAB difference TAB name`. Other lines are skipped; a test checks
/// that there are none.
fn parse(table: &str) -> impl Iterator<Item = (char, Folding)> + '_ {
    let lines = table.lines().filter(|line| !line.starts_with('#'));
    lines.filter_map(parse_line).flatten()
}

fn parse_line(line: &str) -> Option<Vec<(char, Folding)>> {
    let mut columns = line.split('\t');
    let (from, to, difference) = (columns.next()?, columns.next()?, columns.next()?);
    let code = |text: &str| u32::from_str_radix(text, 16).ok();
    let (first, last) = from.split_once("..").unwrap_or((from, from));
    let mut chars = ['\0'; 4];
    if to != "-" {
        for (place, text) in chars.iter_mut().zip(to.split(' ')) {
            *place = char::from_u32(code(text)?)?;
        }
    }
    let folding = Folding { to: chars, difference: Differences::by_name(difference)? };
    Some((code(first)?..=code(last)?).filter_map(char::from_u32).map(|it| (it, folding)).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_line_of_the_table_is_a_rule() {
        let lines = include_str!("data/fold.tsv").lines().filter(|line| !line.starts_with('#'));
        for line in lines {
            assert!(parse_line(line).is_some_and(|rules| !rules.is_empty()), "{line}");
            assert_eq!(line.split('\t').count(), 4, "{line}");
        }
    }

    #[test]
    fn what_a_character_folds_to_is_not_folded_again() {
        for character in '\0'..=char::MAX {
            if let Some(folded) = folding(character) {
                for to in folded.chars() {
                    assert_eq!(folding(to), None, "{character:?} becomes {to:?}");
                }
            }
        }
    }
}
