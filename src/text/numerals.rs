//! Reads and writes one number in the notation of a text: sign, digits, separators, leading and trailing zeros.
//!
//! A [`Numeral`] keeps the notation; `values` has what a number is worth. Works on canonical text.

use super::conventions::Convention;

/// A script of digits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Script {
    Ascii,
    ArabicIndic,
    ExtendedArabicIndic,
}

impl Script {
    fn zero(self) -> u32 {
        match self {
            Self::Ascii => 0x30,
            Self::ArabicIndic => 0x660,
            Self::ExtendedArabicIndic => 0x6f0,
        }
    }

    fn write(self, ascii: char) -> char {
        let value = ascii.to_digit(10).unwrap_or(0);
        char::from_u32(self.zero() + value).unwrap_or(ascii)
    }

    /// The decimal sign where a text shows no other.
    fn decimal(self, convention: Convention) -> Option<char> {
        if self == Self::Ascii { convention.decimal } else { Some('\u{66b}') }
    }

    fn group(self, convention: Convention) -> Option<char> {
        if self == Self::Ascii { convention.group } else { Some('\u{66c}') }
    }
}

/// The script of a digit, and the ASCII digit.
fn digit(character: char) -> Option<(Script, char)> {
    let script = match character {
        '0'..='9' => Script::Ascii,
        '\u{660}'..='\u{669}' => Script::ArabicIndic,
        '\u{6f0}'..='\u{6f9}' => Script::ExtendedArabicIndic,
        _ => return None,
    };
    Some((script, char::from_digit(character as u32 - script.zero(), 10)?))
}

pub(super) fn is_digit(character: char) -> bool {
    digit(character).is_some()
}

pub(super) fn is_sign(character: char) -> bool {
    matches!(character, '-' | '+' | '\u{2212}')
}

pub(super) fn may_group(sign: char) -> bool {
    may_begin_fraction(sign) || groups_only(sign)
}

/// Signs that separate groups of three digits, are between digits for other reasons too, and never begin a fraction:
/// spaces, the Arabic comma, apostrophes.
fn groups_only(sign: char) -> bool {
    matches!(sign, ' ' | '\u{a0}' | '\u{60c}' | '\'' | '\u{2019}')
}

fn may_begin_fraction(sign: char) -> bool {
    matches!(sign, '.' | ',' | '\u{66b}' | '\u{66c}')
}

/// Most groups of three digits in a number.
const GROUPS_MAX: usize = 8;

/// Length in bytes of a whole number at the start of a text whose groups are separated by spaces, Arabic commas or
/// apostrophes; 0 if there is none.
///
/// The first group has one to three digits and no leading zero, all others have three, and the same sign is between
/// all groups. A plain space may also be between two numbers (`10 250`), so it must separate at least three groups.
pub(super) fn grouped_len(text: &str) -> usize {
    let digits = |text: &str| {
        let mut places = text.char_indices();
        let mut count = 0;
        let end = places.find(|&(_, it)| {
            count += usize::from(is_digit(it));
            !is_digit(it) || count > 3
        });
        (count, end.map_or(text.len(), |(end, _)| end))
    };
    let (count, mut end) = digits(text);
    let sign = text[end..].chars().next().filter(|it| groups_only(*it));
    let zero = text.chars().next().and_then(digit).is_none_or(|(_, first)| first == '0');
    let Some(sign) = sign.filter(|_| (1..=3).contains(&count) && !zero) else { return 0 };
    let mut groups = 0;
    while let Some(rest) = text[end..].strip_prefix(sign)
        && rest.starts_with(is_digit)
    {
        let (count, length) = digits(rest);
        if count != 3 || groups == GROUPS_MAX {
            return 0;
        }
        end += sign.len_utf8() + length;
        groups += 1;
    }
    if groups > usize::from(sign == ' ') { end } else { 0 }
}

/// A number in its notation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Numeral {
    sign: Option<char>,
    /// ASCII digits before the fraction, without group signs.
    pub(super) whole: String,
    /// ASCII digits of the fraction.
    pub(super) fraction: Option<String>,
    script: Script,
    group: Option<char>,
    decimal: Option<char>,
}

impl Numeral {
    /// Reads digits with separators and an optional sign; `None` when they are not one number (`1.2.3`, `1,2,3`) or
    /// mix scripts.
    pub(super) fn read(text: &str, convention: Convention) -> Option<Self> {
        let sign = text.chars().next().filter(|it| is_sign(*it));
        let text = &text[sign.map_or(0, char::len_utf8)..];
        let script = digit(text.chars().next()?)?.0;
        let (mut runs, mut separators) = (vec![String::new()], Vec::new());
        for character in text.chars() {
            match digit(character) {
                Some((of, ascii)) if of == script => runs.last_mut()?.push(ascii),
                Some(_) => return None,
                None => {
                    separators.push(character);
                    runs.push(String::new());
                }
            }
        }
        if runs.iter().any(String::is_empty) {
            return None;
        }
        let (group, decimal) = separated(&runs, &separators, convention)?;
        let fraction = decimal.and_then(|_| runs.pop());
        Some(Self { sign, whole: runs.concat(), fraction, script, group, decimal })
    }

    fn is_negative(&self) -> bool {
        self.sign.is_some_and(|it| it != '+')
    }

    /// Appends ASCII digits with a decimal point and without groups; all zeros are kept.
    pub(super) fn write_plain(&self, out: &mut String) {
        if let Some(sign) = self.sign {
            out.push(if sign == '+' { '+' } else { '-' });
        }
        out.push_str(&self.whole);
        if let Some(fraction) = &self.fraction {
            out.push('.');
            out.push_str(fraction);
        }
    }

    fn plain(&self) -> String {
        let mut plain = String::new();
        self.write_plain(&mut plain);
        plain
    }

    fn is_grouped(&self) -> bool {
        self.group.is_some()
    }

    /// Whether it is long enough for groups and has none.
    fn is_ungrouped(&self) -> bool {
        !self.is_grouped() && self.whole.len() > 3
    }

    /// Writes this number in the notation of `target`, which corresponds to `stored`; `None` where the notation is
    /// not evident.
    pub(super) fn rewritten(
        &self,
        stored: &Self,
        target: &Self,
        convention: Convention,
    ) -> Option<String> {
        if stored.plain() != target.plain() {
            return None;
        }
        let sign = match (self.sign, target.sign) {
            (None, _) => None,
            // Which side of such digits a sign belongs on is not evident.
            (Some(_), None) if target.script != Script::Ascii => return None,
            (Some(sign), None) => Some(sign),
            (Some(sign), Some(other)) => {
                Some(if self.is_negative() == target.is_negative() { other } else { sign })
            }
        };
        let group = self.group_in(stored, target, convention).ok()?;
        let mut decimal = None;
        if self.fraction.is_some() {
            let shown = target.decimal.or_else(|| target.script.decimal(convention))?;
            decimal = Some(shown).filter(|it| Some(*it) != target.group);
            decimal?;
        }
        let mut written = String::new();
        written.extend(sign);
        for (place, ascii) in self.whole.chars().enumerate() {
            if place > 0 && (self.whole.len() - place).is_multiple_of(3) {
                written.extend(group);
            }
            written.push(target.script.write(ascii));
        }
        written.extend(decimal);
        let fraction = self.fraction.iter().flat_map(|it| it.chars());
        written.extend(fraction.map(|it| target.script.write(it)));
        // `1,250` for 1.250 would be read as another number.
        let read = Self::read(&written, convention)?;
        (read.plain() == self.plain()).then_some(written)
    }

    /// The group sign for this number in the notation of `target`, if it has groups there.
    fn group_in(
        &self,
        stored: &Self,
        target: &Self,
        convention: Convention,
    ) -> Result<Option<char>, Unclear> {
        // Source and target of the unit differ in grouping, so the query may differ in the same way.
        let (gained, lost) = (
            stored.is_ungrouped() && target.is_grouped(),
            stored.is_grouped() && target.is_ungrouped(),
        );
        if !self.is_grouped() {
            return if gained && self.is_ungrouped() { Err(Unclear) } else { Ok(None) };
        }
        let shown = target.group.or_else(|| target.script.group(convention));
        match shown.filter(|it| !lost && Some(*it) != target.decimal) {
            Some(group) => Ok(Some(group)),
            None => Err(Unclear),
        }
    }
}

/// The notation of a number is not evident from source and target.
struct Unclear;

/// Which of the signs between runs of digits separates groups, and which begins the fraction. Of two different signs
/// the last begins the fraction; a single sign before three digits is read by convention.
fn separated(
    runs: &[String],
    signs: &[char],
    convention: Convention,
) -> Option<(Option<char>, Option<char>)> {
    let Some((&last, before)) = signs.split_last() else { return Some((None, None)) };
    let in_groups = |runs: &[String]| {
        let (first, others) = (&runs[0], &runs[1..]);
        first.len() <= 3 && !first.starts_with('0') && others.iter().all(|it| it.len() == 3)
    };
    let first = *before.first().unwrap_or(&last);
    if before.iter().any(|it| *it != first) || !may_group(first) {
        return None;
    }
    if first != last {
        let whole = &runs[..runs.len() - 1];
        return (may_begin_fraction(last) && in_groups(whole)).then_some((Some(first), Some(last)));
    }
    let alone = before.is_empty();
    if in_groups(runs) && !(alone && convention.begins_fraction(last)) {
        return Some((Some(last), None));
    }
    (alone && may_begin_fraction(last)).then_some((None, Some(last)))
}
