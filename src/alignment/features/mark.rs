//! Tells which punctuation mark ends a sentence.

/// The end of a sentence.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Mark {
    Stop,
    Question,
    Exclamation,
    /// A comma, a semicolon, a colon or a dash: the sentence continues.
    Pause,
    /// No mark at all.
    None,
    /// Any mark, if the next sentence begins with a lower-case letter.
    Continued,
}

impl Mark {
    /// The mark at the end of a text, ignoring closing quotation marks and brackets.
    pub(crate) fn at_end(text: &str) -> Self {
        let closes = |it: &char| {
            it.is_alphanumeric()
                || matches!(it, '.' | '\u{2026}' | '\u{6d4}' | '?' | '\u{61f}' | '!')
                || is_pause(*it)
        };
        match text.chars().rev().find(closes) {
            Some('.' | '\u{2026}' | '\u{6d4}') => Self::Stop,
            Some('?' | '\u{61f}') => Self::Question,
            Some('!') => Self::Exclamation,
            Some(it) if is_pause(it) => Self::Pause,
            _ => Self::None,
        }
    }

    pub(crate) fn continues(self) -> bool {
        matches!(self, Self::Pause | Self::None | Self::Continued)
    }

    pub(crate) fn is_like(self, other: Self) -> bool {
        self == other || self.continues() && other.continues()
    }
}

/// Arabic and Latin commas and semicolons, the colon and dashes.
fn is_pause(letter: char) -> bool {
    matches!(letter, ',' | '\u{60c}' | ';' | '\u{61b}' | ':' | '-' | '\u{2013}' | '\u{2014}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_mark_at_the_end_of_a_sentence_stands_behind_what_closes() {
        for (text, mark) in [
            ("Go.\u{201d} ", Mark::Stop),
            ("(Really?)", Mark::Question),
            ("\u{623}\u{62d}\u{642}\u{627}\u{61f}\u{bb}", Mark::Question),
            ("\u{646}\u{639}\u{645}\u{60c}", Mark::Pause),
            ("and so on:", Mark::Pause),
            ("A title", Mark::None),
            ("", Mark::None),
        ] {
            assert_eq!(Mark::at_end(text), mark, "{text}");
        }
    }
}
