//! Finds the spelling differences between two texts that fold to the same.

use super::differences::Differences;
use super::fold::folding;

/// The differences between two surfaces of tokens that fold to the same.
///
/// Compares the folded characters side by side. A character that only one side has is named by the rule that drops
/// it; two that are written differently are named by the rules that change them. Where the folded characters differ,
/// hamza has different seats, and only marks are compared from there.
pub fn token_differences(a: &str, b: &str) -> Differences {
    if let Some(found) = number_differences(a, b) {
        return found;
    }
    let mut found = Differences::default();
    let (mut left, mut right) = (units(a).peekable(), units(b).peekable());
    loop {
        match (left.peek(), right.peek()) {
            (None, None) => return found,
            (Some(one), Some(other)) if one == other => {
                left.next();
                right.next();
            }
            (Some(Unit { written, folded: None }), _) => {
                found |= difference(*written);
                left.next();
            }
            (_, Some(Unit { written, folded: None })) => {
                found |= difference(*written);
                right.next();
            }
            (Some(one), Some(other)) if one.folded == other.folded => {
                let named = difference(one.written) | difference(other.written);
                found |= if named.is_empty() { Differences::OTHER } else { named };
                left.next();
                right.next();
            }
            _ => return found | other_seat(a, b),
        }
    }
}

/// The differences between two notations of one number, with its signs; `None` for other tokens.
fn number_differences(a: &str, b: &str) -> Option<Differences> {
    let [one, other] = [NumberParts::of(a)?, NumberParts::of(b)?];
    let mut found = Differences::default();
    if one.digits != other.digits || one.code != other.code || one.signs != other.signs {
        found |= Differences::DIGITS;
    } else if one.spaces != other.spaces {
        found |= Differences::SPACING;
    }
    Some(found)
}

/// What a number is written with.
#[derive(Default)]
struct NumberParts {
    digits: String,
    /// A currency code, and whether it is before the digits.
    code: (String, bool),
    /// Separators and signs, each with the number of digits before it.
    signs: Vec<(usize, char)>,
    spaces: Vec<(usize, char)>,
}

impl NumberParts {
    fn of(text: &str) -> Option<Self> {
        let mut parts = Self::default();
        let mut count = 0;
        for character in text.chars() {
            match character {
                '0'..='9' | '\u{660}'..='\u{669}' | '\u{6f0}'..='\u{6f9}' => {
                    parts.digits.push(character);
                    count += 1;
                }
                'A'..='Z' => {
                    parts.code.0.push(character);
                    parts.code.1 = count == 0;
                }
                _ if character.is_alphanumeric() => return None,
                _ if character.is_whitespace() => parts.spaces.push((count, character)),
                _ => parts.signs.push((count, character)),
            }
        }
        (count > 0 && (parts.code.0.is_empty() || parts.code.0.len() == 3)).then_some(parts)
    }
}

/// A character of a surface, once for each character it folds to; `None` when it is dropped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Unit {
    written: char,
    folded: Option<char>,
}

fn units(surface: &str) -> impl Iterator<Item = Unit> + '_ {
    surface.chars().flat_map(|written| {
        let rule = folding(written);
        let count = rule.map_or(usize::from(written != ' '), |rule| rule.chars().count());
        (0..count.max(1)).map(move |number| {
            let folded = match rule {
                Some(rule) => rule.chars().nth(number),
                None => (count > 0).then_some(written),
            };
            Unit { written, folded }
        })
    })
}

/// The differences between two words with hamza on different seats.
fn other_seat(a: &str, b: &str) -> Differences {
    if [a, b].iter().any(|text| text.contains(char::is_numeric)) {
        return Differences::OTHER;
    }
    let of_kind = |kind: Differences| {
        let marks = move |text: &str| -> String {
            text.chars().filter(|&it| is_dropped(it) && difference(it) == kind).collect()
        };
        let differ = marks(a) != marks(b);
        if differ { kind } else { Differences::default() }
    };
    Differences::LETTERS | of_kind(Differences::MARKS) | of_kind(Differences::TATWEEL)
}

/// The differences between two gaps: white space, or else markup, punctuation, or both.
pub fn gap_differences(a: &str, b: &str) -> Differences {
    if a == b {
        return Differences::default();
    }
    let visible = |text: &str| text.chars().filter(|it| !it.is_whitespace()).collect::<String>();
    let (one, other) = (visible(a), visible(b));
    if one == other {
        return Differences::SPACING;
    }
    let marks = |text: &str| text.chars().filter(|&it| is_markup(it)).collect::<String>();
    if marks(&one) == marks(&other) {
        return punctuation_differences(&one, &other);
    }
    let others = |text: &str| text.chars().filter(|&it| !is_markup(it)).collect::<String>();
    Differences::MARKUP | punctuation_differences(&others(&one), &others(&other))
}

/// Whether Markdown uses a character for emphasis, headings, lists or code. Underscores belong to words, and brackets
/// and dashes are mostly punctuation.
fn is_markup(character: char) -> bool {
    matches!(character, '*' | '#' | '`' | '~')
}

/// The differences between two gaps without white space and with the same markup.
fn punctuation_differences(one: &str, other: &str) -> Differences {
    if one == other {
        return Differences::default();
    }
    let stripped = |text: &str| {
        let kept = text.chars().filter(|&it| !is_dropped(it));
        kept.collect::<String>()
    };
    if stripped(one) == stripped(other) {
        return token_differences(one, other);
    }
    Differences::PUNCTUATION
}

fn is_dropped(character: char) -> bool {
    // A space inside a token: `12 %`.
    character == ' ' || folding(character).is_some_and(|folding| folding.is_dropped())
}

fn difference(character: char) -> Differences {
    if character == ' ' {
        return Differences::SPACING;
    }
    folding(character).map_or(Differences::default(), |folding| folding.difference)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn markup_and_punctuation_are_told_apart() {
        let (markup, punctuation) = (Differences::MARKUP, Differences::PUNCTUATION);
        for (a, b, expected) in [
            (" **", " ", markup),
            ("** ", " ", markup),
            ("# ", "## ", markup),
            (" `", " ", markup),
            (" \"", " ", punctuation),
            (" \"", " \u{ab}", punctuation),
            (" **\"", " \"", markup),
            (" **\"", " **", punctuation),
            (" **\"", " ", markup | punctuation),
            (" **", " \"", markup | punctuation),
            // The same signs in another order.
            (" \"**", " **\"", punctuation),
            ("** ", " **", Differences::SPACING),
            (" ** ", " ** ", Differences::default()),
        ] {
            assert_eq!(gap_differences(a, b), expected, "{a:?} {b:?}");
            assert_eq!(gap_differences(b, a), expected, "{b:?} {a:?}");
        }
    }
}
