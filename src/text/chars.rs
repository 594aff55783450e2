//! Classifies and folds characters by one table.
//!
//! Called for every character of every text: Latin and Arabic blocks are precomputed, the rest of Unicode is computed
//! on demand.

use std::sync::LazyLock;

use unicode_normalization::char::is_combining_mark;

use super::fold::{Folding, folding};

/// The role of a character in words.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Part {
    /// Between words.
    Space,
    /// A letter of the Arabic script.
    Arabic,
    /// A letter of another script that is written with spaces, or an underscore.
    Letter,
    /// A character of a script without spaces: a token of its own (UAX #29).
    Ideograph,
    /// A mark or joiner on the letter before it.
    Mark,
    /// ASCII, Arabic-Indic or extended Arabic-Indic.
    Digit,
    /// Punctuation, symbols.
    Other,
}

impl Part {
    /// Whether words consist of it.
    #[inline]
    pub(super) fn is_word(self) -> bool {
        matches!(self, Self::Arabic | Self::Letter | Self::Ideograph | Self::Mark)
    }

    /// Whether words or numbers consist of it.
    #[inline]
    pub(super) fn is_word_or_digit(self) -> bool {
        self.is_word() || self == Self::Digit
    }
}

/// Characters below this have an entry in the table: Latin to Arabic.
const DENSE: usize = 0x0900;
/// Entry of characters that fold to more than one character.
const SEVERAL: char = char::MAX;
/// Entry of characters that the folded form drops.
const NOTHING: char = '\0';

/// The table of common characters.
pub(super) struct Chars {
    parts: [Part; DENSE],
    folded: [char; DENSE],
}

static CHARS: LazyLock<Chars> = LazyLock::new(|| {
    let dense = |code: usize| u32::try_from(code).ok().and_then(char::from_u32).unwrap_or(SEVERAL);
    Chars {
        parts: std::array::from_fn(|code| part_of(dense(code))),
        folded: std::array::from_fn(|code| match folding(dense(code)) {
            None => dense(code),
            Some(folding) => single(&folding),
        }),
    }
});

fn single(folding: &Folding) -> char {
    let mut to = folding.chars();
    match (to.next(), to.next()) {
        (None, _) => NOTHING,
        (Some(one), None) => one,
        _ => SEVERAL,
    }
}

impl Chars {
    /// The table, built at the first call.
    pub(super) fn get() -> &'static Self {
        &CHARS
    }

    /// The role of a character in words.
    #[inline]
    pub(super) fn part(&self, character: char) -> Part {
        match self.parts.get(character as usize) {
            Some(part) => *part,
            None => part_of(character),
        }
    }

    /// The folded form of a character if it is one letter from the table.
    #[inline]
    pub(super) fn folded_letter(&self, character: char) -> Option<char> {
        let folded = self.folded.get(character as usize).copied();
        folded.filter(|it| !matches!(*it, NOTHING | SEVERAL))
    }

    /// Whether a text folds to another; mostly decided by the first character.
    pub(super) fn folds_to(&self, text: &str, folded: &str) -> bool {
        let mut rest = folded;
        text.chars().all(|character| match self.folded.get(character as usize) {
            Some(&NOTHING) if character != NOTHING => true,
            Some(&SEVERAL) | None => {
                let mut several = String::new();
                self.fold_into(&mut several, character);
                let after = rest.strip_prefix(several.as_str());
                after.is_some_and(|after| {
                    rest = after;
                    true
                })
            }
            Some(&one) => rest.strip_prefix(one).is_some_and(|after| {
                rest = after;
                true
            }),
        }) && rest.is_empty()
    }

    /// Appends the folded form of a character.
    #[inline]
    pub(super) fn fold_into(&self, out: &mut String, character: char) {
        match self.folded.get(character as usize) {
            Some(&NOTHING) if character != NOTHING => {}
            Some(&SEVERAL) | None => match folding(character) {
                None => out.push(character),
                Some(folding) => out.extend(folding.chars()),
            },
            Some(&folded) => out.push(folded),
        }
    }
}

fn part_of(character: char) -> Part {
    match character {
        '0'..='9' | '\u{660}'..='\u{669}' | '\u{6f0}'..='\u{6f9}' => Part::Digit,
        '_' => Part::Letter,
        '\u{200c}' | '\u{200d}' => Part::Mark,
        _ if is_arabic_mark(character) || is_other_mark(character) => Part::Mark,
        // Scripts whose marks are among their letters.
        '\u{900}'.. if is_combining_mark(character) => Part::Mark,
        _ if is_arabic_letter(character) => Part::Arabic,
        _ if is_ideograph(character) => Part::Ideograph,
        _ if character.is_whitespace() => Part::Space,
        _ if character.is_alphanumeric() => Part::Letter,
        _ => Part::Other,
    }
}

/// The longest prefix of a text of at most `bytes_max` bytes.
pub fn beginning(text: &str, bytes_max: usize) -> &str {
    let mut end = text.len().min(bytes_max);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    &text[..end]
}

/// Whether a character is a letter of the Arabic script, tatweel included.
pub fn is_arabic_letter(character: char) -> bool {
    matches!(character, '\u{620}'..='\u{64a}' | '\u{66e}'..='\u{6d3}' | '\u{6d5}'
        | '\u{6ee}'..='\u{6ef}' | '\u{6fa}'..='\u{6fc}' | '\u{6ff}' | '\u{750}'..='\u{77f}' | '\u{870}'..='\u{887}'
        | '\u{889}'..='\u{88e}' | '\u{8a0}'..='\u{8c8}')
        && !is_arabic_mark(character)
}

/// Whether a character is invisible: direction and joining controls, zero widths, soft hyphens, variation selectors
/// (UAX #9, and `Default_Ignorable_Code_Point` of the Unicode Character Database).
pub(super) fn is_invisible(character: char) -> bool {
    matches!(character, '\u{ad}' | '\u{34f}' | '\u{61c}' | '\u{180b}'..='\u{180e}' | '\u{200b}'..='\u{200f}'
        | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{fe00}'..='\u{fe0f}' | '\u{feff}'
        | '\u{e0000}'..='\u{e0fff}')
}

/// Whether a character is an Arabic mark.
pub(super) fn is_arabic_mark(character: char) -> bool {
    matches!(character,
        '\u{610}'..='\u{61a}' | '\u{64b}'..='\u{65f}' | '\u{670}' | '\u{6d6}'..='\u{6dc}'
        | '\u{6df}'..='\u{6e8}' | '\u{6ea}'..='\u{6ed}' | '\u{897}'..='\u{89f}' | '\u{8c9}'..='\u{8e1}'
        | '\u{8e3}'..='\u{8ff}')
}

/// Whether a character is a mark of another script with a block for its marks.
fn is_other_mark(character: char) -> bool {
    matches!(character, '\u{300}'..='\u{36f}' | '\u{591}'..='\u{5bd}' | '\u{1ab0}'..='\u{1aff}'
        | '\u{1dc0}'..='\u{1dff}' | '\u{20d0}'..='\u{20ff}')
}

fn is_ideograph(character: char) -> bool {
    matches!(character, '\u{3040}'..='\u{30ff}' | '\u{3400}'..='\u{4dbf}' | '\u{4e00}'..='\u{9fff}'
        | '\u{20000}'..='\u{3ffff}')
}
