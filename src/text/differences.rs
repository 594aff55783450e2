//! Which spelling differences separate two texts that are the same when folded?

use super::fold::folding;

/// A set of kinds of spelling difference.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub struct Differences(u16);

impl Differences {
    /// Vowel and Quranic marks.
    pub const MARKS: Self = Self(1);
    /// Lengthening strokes.
    pub const TATWEEL: Self = Self(1 << 1);
    /// Hamza, alef maksura, teh marbuta, look-alikes of other alphabets.
    pub const LETTERS: Self = Self(1 << 2);
    /// Upper and lower case.
    pub const CASE: Self = Self(1 << 3);
    /// How a number is written: script of the digits, separators, the side of a sign.
    pub const DIGITS: Self = Self(1 << 4);
    /// Punctuation marks.
    pub const PUNCTUATION: Self = Self(1 << 5);
    /// White space.
    pub const SPACING: Self = Self(1 << 6);
    /// Anything else.
    pub const OTHER: Self = Self(1 << 7);
    /// Marks of a markup language, such as `**` and `#`.
    pub const MARKUP: Self = Self(1 << 8);

    const NAMES: [(&'static str, Self); 9] = [
        ("marks", Self::MARKS),
        ("tatweel", Self::TATWEEL),
        ("letters", Self::LETTERS),
        ("case", Self::CASE),
        ("digits", Self::DIGITS),
        ("punctuation", Self::PUNCTUATION),
        ("spacing", Self::SPACING),
        ("other", Self::OTHER),
        ("markup", Self::MARKUP),
    ];

    /// Whether there is no difference.
    pub fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// Whether all of the others are among these.
    pub fn contains(self, others: Self) -> bool {
        self.0 & others.0 == others.0
    }

    /// The set as bits, for keeping it in little room.
    pub fn bits(self) -> u16 {
        self.0
    }

    /// The set of these bits.
    pub fn from_bits_truncate(bits: u16) -> Self {
        Self(bits)
    }

    /// The kind of this name.
    pub(super) fn by_name(name: &str) -> Option<Self> {
        Self::NAMES.iter().find(|(it, _)| *it == name).map(|(_, kind)| *kind)
    }
}

impl std::ops::BitOr for Differences {
    type Output = Self;

    fn bitor(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }
}

impl std::ops::BitOrAssign for Differences {
    fn bitor_assign(&mut self, other: Self) {
        self.0 |= other.0;
    }
}

/// What separates two surfaces of tokens that fold to the same.
///
/// Walks what both fold to side by side: a character that one has and the other has not is named by the rule that drops it;
/// two that are written otherwise are named by the rules that change them. Where both part, hamza is written on another
/// seat, and nothing but marks is compared from there.
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

/// What separates two ways of writing one number, with signs around it and between its digits; `None` for other tokens.
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
    /// The code of a currency, and whether it stands before the digits.
    code: (String, bool),
    /// Separators and signs, each with how many digits stand before it.
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

/// A character of a surface, once for each that it folds to; `None` when it is left out.
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

/// What separates two words that have hamza on another seat, letter by letter apart.
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

/// What separates two gaps: white space, or else marks of markup, punctuation, or both.
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

/// Whether Markdown makes emphasis, headings, lists or code of a character. An underscore belongs to its word, and brackets
/// and dashes are punctuation far more often.
fn is_markup(character: char) -> bool {
    matches!(character, '*' | '#' | '`' | '~')
}

/// What separates two gaps without white space and with the same markup.
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
    // Space inside of a token: `12 %`.
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
