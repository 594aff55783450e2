//! Reads and writes tokens of digits: numbers, what joins them (`08:30`, `10-21`, `1.2.3`), and the signs around
//! them.
//!
//! Works on canonical text.

use std::ops::Range;

use super::conventions::Convention;
use super::numerals::{Numeral, is_digit, is_sign, may_group};

/// The notation of a token of digits.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Written<'a> {
    /// A percent or currency sign before the digits, with its space.
    before: &'a str,
    /// From the first sign or digit to the last digit.
    body: &'a str,
    /// What follows the last digit.
    after: &'a str,
    /// At least one.
    parts: Vec<Numeral>,
    /// What joins them.
    joints: Vec<char>,
}

impl<'a> Written<'a> {
    /// Reads the surface of a token; `None` if it has more than digits, separators and signs around them, such as the
    /// name of a month.
    pub(super) fn read(surface: &'a str, convention: Convention) -> Option<Self> {
        let mut start = surface.find(is_digit)?;
        let last = surface.rfind(is_digit)?;
        let end = last + surface[last..].chars().next().map_or(0, char::len_utf8);
        if let Some(sign) = surface[..start].chars().next_back().filter(|it| is_sign(*it)) {
            start -= sign.len_utf8();
        }
        let body = &surface[start..end];
        let (mut parts, mut joints) = (Vec::new(), Vec::new());
        let mut from = 0;
        let unsigned = body.trim_start_matches(is_sign);
        let offset = body.len() - unsigned.len();
        for (at, joint) in unsigned.char_indices().filter(|&(_, it)| is_joint(it)) {
            read_parts(&body[from..offset + at], convention, &mut parts, &mut joints)?;
            joints.push(joint);
            from = offset + at + joint.len_utf8();
        }
        read_parts(&body[from..], convention, &mut parts, &mut joints)?;
        Some(Self { before: &surface[..start], body, after: &surface[end..], parts, joints })
    }

    /// The number, if there is only one.
    fn single(&self) -> Option<&Numeral> {
        match self.parts.as_slice() {
            [one] => Some(one),
            _ => None,
        }
    }

    /// Appends the numbers in plain notation with their joints, without the signs around them.
    pub(super) fn write_plain(&self, out: &mut String) {
        for (number, part) in self.parts.iter().enumerate() {
            if let Some(joint) = number.checked_sub(1).map(|before| self.joints[before]) {
                out.push(plain_joint(joint));
            }
            part.write_plain(out);
        }
    }

    /// The numbers in plain notation: equal for the same numbers with the same zeros, in any digits and separators.
    pub fn plain(&self) -> String {
        let mut plain = String::new();
        self.write_plain(&mut plain);
        plain
    }

    /// The signs around the numbers without spaces, those before them last.
    pub(super) fn signs(&self) -> impl Iterator<Item = char> + '_ {
        let signs = self.after.chars().chain(self.before.chars());
        signs.filter(|it| !it.is_whitespace())
    }

    /// Whether there is no percent or currency sign.
    pub(super) fn is_bare(&self) -> bool {
        self.before.is_empty() && self.after.is_empty()
    }

    /// The whole digits of a single number, and whether it has a fraction.
    pub(super) fn counted(&self) -> Option<(&str, bool)> {
        self.single().map(|it| (it.whole.as_str(), it.fraction.is_some()))
    }

    /// The digits before the fraction of each number.
    pub fn wholes(&self) -> impl Iterator<Item = &str> {
        self.parts.iter().map(|it| it.whole.as_str())
    }

    /// The digits of a single whole number.
    pub fn whole(&self) -> Option<&str> {
        self.single().filter(|it| it.fraction.is_none()).map(|it| it.whole.as_str())
    }

    /// The bytes of the surface that the numbers take.
    pub(super) fn place(&self) -> Range<usize> {
        self.before.len()..self.before.len() + self.body.len()
    }

    /// Writes the numbers of this token of a query as `target` is written, which corresponds to `stored` in its
    /// source: all zeros are kept, script and separators are those of the target. `None` where the notation is not
    /// evident.
    pub(super) fn rewritten(
        &self,
        stored: &Self,
        target: &Self,
        convention: Convention,
    ) -> Option<String> {
        let lower = |it: &Self| it.signs().flat_map(char::to_lowercase).collect::<String>();
        if !percent_signs_alike(&lower(self), &lower(stored)) {
            return None;
        }
        let same_shape = |one: &Self, other: &Self| {
            one.parts.len() == other.parts.len()
                && one
                    .joints
                    .iter()
                    .zip(&other.joints)
                    .all(|(a, b)| plain_joint(*a) == plain_joint(*b))
        };
        let body = if same_shape(self, stored) && same_shape(stored, target) {
            if stored.is_unclear_date() {
                return None;
            }
            let mut body = String::new();
            for (number, part) in self.parts.iter().enumerate() {
                let joint = number.checked_sub(1).map(|before| target.joints[before]);
                body.extend(joint);
                let (stored, target) = (&stored.parts[number], &target.parts[number]);
                body.push_str(&part.rewritten(stored, target, convention)?);
            }
            body
        } else {
            // `1.2` and `1.2.3` are versions, written alike everywhere.
            let dotted =
                |it: &Self| it.body.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.');
            let fits = stored.body == target.body && dotted(self) && dotted(stored);
            fits.then(|| self.body.to_owned())?
        };
        Some(body)
    }

    /// `05/05/2021`: whether day or month is first is not evident.
    fn is_unclear_date(&self) -> bool {
        match self.parts.as_slice() {
            [first, second, year] => {
                first.whole == second.whole
                    && first.whole.len() <= 2
                    && (year.whole.len() == 4 || self.joints[0] == '/')
            }
            _ => false,
        }
    }
}

/// The joint of two numbers in ASCII.
fn plain_joint(joint: char) -> char {
    match joint {
        '\u{2010}'..='\u{2013}' => '-',
        '\u{66b}' => '.',
        '\u{66c}' | '\u{60c}' => ',',
        _ => joint,
    }
}

fn percent_signs_alike(a: &str, b: &str) -> bool {
    let unified = |text: &str| text.replace('\u{66a}', "%");
    unified(a) == unified(b)
}

/// Reads what is between two joints: one number, or several joined by separators.
fn read_parts(
    text: &str,
    convention: Convention,
    parts: &mut Vec<Numeral>,
    joints: &mut Vec<char>,
) -> Option<()> {
    if let Some(numeral) = Numeral::read(text, convention) {
        parts.push(numeral);
        return Some(());
    }
    let mut from = 0;
    let separators = text.char_indices().filter(|&(_, it)| may_group(it));
    for (at, joint) in separators {
        parts.push(Numeral::read(&text[from..at], convention)?);
        joints.push(joint);
        from = at + joint.len_utf8();
    }
    // Without a separator it was read above.
    (from > 0).then_some(())?;
    parts.push(Numeral::read(&text[from..], convention)?);
    Some(())
}

fn is_joint(character: char) -> bool {
    matches!(character, ':' | '/' | '-' | '\u{2010}'..='\u{2013}')
}
