//! Finds tokens: placeables first, then dates, numbers and words.
//!
//! Words follow UAX #29 with rules for Arabic: marks stay with their word (isolated marks are not words), and digits
//! are separated from Arabic letters. Works on canonical text.

use super::chars::{Chars, Part};
use super::dates;
use super::kinds::TokenKind;
use super::measures;
use super::numerals::{grouped_len, is_sign};
use super::placeables::{Numbered, placeable};

const TATWEEL: char = '\u{640}';

/// Finds tokens in canonical text.
#[derive(Clone, Copy)]
pub(super) struct Scanner {
    chars: &'static Chars,
    numbered: Numbered,
}

impl Scanner {
    /// Creates a scanner for one text.
    pub(super) fn new(chars: &'static Chars, text: &str) -> Self {
        Self { chars, numbered: Numbered::of(text) }
    }

    /// The token at the start of `rest`, which is not white space: kind and length in bytes. `before` is the
    /// character before it.
    pub(super) fn token(self, rest: &str, before: Option<char>) -> (TokenKind, usize) {
        let Some(first) = rest.chars().next() else { return (TokenKind::Punctuation, 0) };
        // Most tokens are Arabic words; nothing else begins with an Arabic letter.
        let part = self.chars.part(first);
        if part != Part::Arabic
            && let Some(found) = placeable(rest, before, self.numbered)
        {
            return found;
        }
        match part {
            Part::Digit => self.number(rest),
            _ if part.is_word() => match self.marks(rest) {
                0 => self.word_or_date(rest),
                alone => (TokenKind::Punctuation, alone),
            },
            _ => self
                .signed_number(rest, first, before)
                .unwrap_or((TokenKind::Punctuation, first.len_utf8())),
        }
    }

    fn word_or_date(self, rest: &str) -> (TokenKind, usize) {
        let length = self.word(rest);
        if dates::may_be_month(rest, length)
            && let Some((_, length)) = dates::in_words(rest, dates::Case::Kept)
        {
            return (TokenKind::Date, length);
        }
        match self.code_and_amount(rest, length) {
            Some(length) => (TokenKind::Currency, length),
            None => (TokenKind::Word, length),
        }
    }

    /// A currency code with its amount, with or without a space between them; `word` is the length of the first word.
    fn code_and_amount(self, rest: &str, word: usize) -> Option<usize> {
        let (code, after) = rest.split_at_checked(3)?;
        if word < 3 || !rest.starts_with(|it: char| it.is_ascii_uppercase()) {
            return None;
        }
        let amount = if word == 3 { after.strip_prefix(' ')? } else { after };
        let first = amount.chars().next()?;
        if self.chars.part(first) != Part::Digit || !measures::is_currency_code(code) {
            return None;
        }
        match self.number(amount) {
            (TokenKind::Number, length) => Some(rest.len() - amount.len() + length),
            _ => None,
        }
    }

    /// A number with the sign before it: plus, minus, percent or a currency.
    fn signed_number(
        self,
        rest: &str,
        first: char,
        before: Option<char>,
    ) -> Option<(TokenKind, usize)> {
        let around = if is_currency_sign(first) {
            Some(TokenKind::Currency)
        } else if is_percent_sign(first) {
            Some(TokenKind::Percent)
        } else {
            None
        };
        let glued = before.is_some_and(|it| match self.chars.part(it) {
            Part::Space | Part::Other => false,
            // US$5
            Part::Letter => around != Some(TokenKind::Currency),
            _ => true,
        });
        if glued || around.is_none() && !is_sign(first) {
            return None;
        }
        let mut start = first.len_utf8();
        if around.is_some() && rest.as_bytes().get(start) == Some(&b' ') {
            start += 1;
        }
        let mut next = rest[start..].chars();
        let mut digits = start;
        let mut character = next.next()?;
        if around.is_some() && is_sign(character) {
            digits += character.len_utf8();
            character = next.next()?;
        }
        if self.chars.part(character) != Part::Digit {
            return None;
        }
        match self.number(&rest[digits..]) {
            (TokenKind::Word, _) => None,
            (TokenKind::Number, length) => {
                Some((around.unwrap_or(TokenKind::Number), digits + length))
            }
            (kind, length) => Some((kind, digits + length)),
        }
    }

    /// A number with its separators, a date, a percentage or an amount. Digits followed by letters are one word,
    /// except before units, which are words as after a space.
    fn number(self, rest: &str) -> (TokenKind, usize) {
        let mut end = grouped_len(rest);
        // A dash, slash or colon among the digits: several numbers.
        let mut parts = false;
        let mut characters = rest[end..].chars().peekable();
        while let Some(character) = characters.next() {
            let next = characters.peek().map(|&next| self.chars.part(next));
            match (self.chars.part(character), character) {
                (Part::Digit, _) => {}
                (_, '.' | ',' | '\u{66b}' | '\u{66c}') if next == Some(Part::Digit) => {}
                (_, ':' | '/' | '-' | '\u{2010}'..='\u{2013}') if next == Some(Part::Digit) => {
                    parts = true;
                }
                _ => break,
            }
            end += character.len_utf8();
        }
        if let Some((_, length)) = dates::in_words(rest, dates::Case::Kept)
            && length > end
        {
            return (TokenKind::Date, length);
        }
        let after = &rest[end..];
        let next = after.chars().next();
        if next.is_some_and(|it| self.chars.part(it) == Part::Letter) {
            let unit = after.bytes().take_while(u8::is_ascii_alphabetic).count();
            let ends = !after[unit..].chars().next().is_some_and(|it| {
                self.chars.part(it).is_word() || self.chars.part(it) == Part::Digit
            });
            if ends && measures::is_unit(&after[..unit]) {
                return (TokenKind::Number, end);
            }
            if ends && measures::is_currency_code(&after[..unit]) {
                return (TokenKind::Currency, end + unit);
            }
            if !parts {
                return (TokenKind::Word, self.word(rest));
            }
        }
        if dates::is_date(&rest[..end]) {
            return (TokenKind::Date, end);
        }
        match self.after_amount(after) {
            Some((kind, length)) => (kind, end + length),
            None => (TokenKind::Number, end),
        }
    }

    /// A percent sign, or a currency sign or code, with or without a space before it.
    fn after_amount(self, after: &str) -> Option<(TokenKind, usize)> {
        let space = usize::from(after.starts_with(' '));
        let rest = &after[space..];
        let sign = rest.chars().next()?;
        let code = sign.is_ascii_uppercase()
            && rest.as_bytes().get(3).is_none_or(|it| !it.is_ascii_alphanumeric());
        if code && rest.get(..3).is_some_and(measures::is_currency_code) {
            return Some((TokenKind::Currency, space + 3));
        }
        if space > 0 && placeable(rest, Some(' '), self.numbered).is_some() {
            return None;
        }
        let length = space + sign.len_utf8();
        let next = rest[sign.len_utf8()..].chars().next().map(|it| self.chars.part(it));
        match sign {
            // After a space and before digits it belongs to those: `5 %20`.
            _ if is_percent_sign(sign) && (space == 0 || next != Some(Part::Digit)) => {
                Some((TokenKind::Percent, length))
            }
            // Before digits it belongs to those.
            _ if is_currency_sign(sign) && next != Some(Part::Digit) => {
                Some((TokenKind::Currency, length))
            }
            _ => None,
        }
    }

    /// Length in bytes of marks and tatweels at the start of `rest` that no letter follows: pause signs, isolated
    /// vowels, dashes made of tatweels. 0 when a word begins.
    fn marks(self, rest: &str) -> usize {
        let is_mark = |it: char| it == TATWEEL || self.chars.part(it) == Part::Mark;
        let end = rest.find(|it| !is_mark(it)).unwrap_or(rest.len());
        let letter_follows =
            rest[end..].chars().next().is_some_and(|it| self.chars.part(it).is_word());
        if letter_follows { 0 } else { end }
    }

    /// Length in bytes of the word at the start of `rest`.
    fn word(self, rest: &str) -> usize {
        let mut end = 0;
        let mut last = Part::Space;
        let mut characters = rest.chars().peekable();
        while let Some(character) = characters.next() {
            let part = self.chars.part(character);
            match part {
                Part::Mark => {}
                Part::Arabic | Part::Letter | Part::Digit | Part::Ideograph => {
                    // Digits are separated from Arabic letters: wa-21, 10wa.
                    let parts = matches!(
                        (last, part),
                        (Part::Arabic, Part::Digit)
                            | (Part::Digit, Part::Arabic)
                            | (Part::Ideograph, _)
                    ) || part == Part::Ideograph && last != Part::Space;
                    if parts {
                        break;
                    }
                    last = part;
                }
                Part::Space => break,
                Part::Other => {
                    // UAX #29: MidNumLet between letters or between digits.
                    let joins = matches!(character, '\'' | '\u{2019}' | '.' | '\u{b7}' | '\u{66b}')
                        && matches!(last, Part::Letter | Part::Digit)
                        && characters.peek().is_some_and(|&next| self.chars.part(next) == last);
                    if !joins {
                        break;
                    }
                }
            }
            end += character.len_utf8();
        }
        end
    }
}

fn is_percent_sign(character: char) -> bool {
    matches!(character, '%' | '\u{66a}')
}

fn is_currency_sign(character: char) -> bool {
    matches!(character, '$' | '\u{a2}'..='\u{a5}' | '\u{20a0}'..='\u{20c0}' | '\u{fdfc}' | '\u{60b}')
}
