//! Detects the script of a text, and knows the script of languages that are written in only one.

use crate::unit::Lang;

/// A script by which languages are told apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Script {
    Arabic,
    Latin,
}

pub(super) fn script(lang: &Lang) -> Option<Script> {
    match lang.primary() {
        "ar" | "fa" | "ur" | "ps" | "ckb" => Some(Script::Arabic),
        "en" | "fr" | "de" | "es" | "it" | "pt" | "nl" | "sv" | "da" | "nb" | "fi" | "pl"
        | "cs" | "tr" | "id" | "vi" => Some(Script::Latin),
        _ => None,
    }
}

/// The script of most letters; `None` if neither prevails.
pub(super) fn script_of(text: &str) -> Option<Script> {
    let (mut arabic, mut latin) = (0_usize, 0_usize);
    for character in text.chars() {
        match character {
            '\u{0620}'..='\u{064a}'
            | '\u{066e}'..='\u{06d3}'
            | '\u{fb50}'..='\u{fdfb}'
            | '\u{fe70}'..='\u{fefc}' => arabic += 1,
            'a'..='z' | 'A'..='Z' | '\u{00c0}'..='\u{024f}' => latin += 1,
            _ => {}
        }
    }
    match arabic.cmp(&latin) {
        std::cmp::Ordering::Greater => Some(Script::Arabic),
        std::cmp::Ordering::Less => Some(Script::Latin),
        std::cmp::Ordering::Equal => None,
    }
}
