//! Recognises dates in digits and dates with a month in words, with both sets of Arabic month names.
//!
//! The names are data (`data/months.tsv`). Hijri dates are not converted. Works on canonical and on folded text.

use std::collections::{BTreeSet, HashMap};
use std::fmt;
use std::sync::LazyLock;

use super::chars::{Chars, Part};
use super::data::rows;

/// The calendar of a date.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Calendar {
    /// January to December, under any of their names.
    Gregorian,
    /// Muharram to Dhu al-Hijja; never converted.
    Hijri,
}

/// A date, possibly partial. In digits the day comes before the month unless it cannot (`5/21/2021`) or the year is
/// first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Date {
    /// As written: two digits stay two digits.
    pub year: Option<i32>,
    /// 1 to 12.
    pub month: Option<u8>,
    /// 1 to 31.
    pub day: Option<u8>,
    /// Hijri where the month or the year is marked as such.
    pub calendar: Calendar,
}

/// As in ISO 8601, dashes for missing parts, `AH` after a Hijri date.
impl fmt::Display for Date {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.year {
            Some(year) => write!(out, "{year:04}")?,
            None => write!(out, "-")?,
        }
        if let Some(month) = self.month {
            write!(out, "-{month:02}")?;
        }
        if let Some(day) = self.day {
            write!(out, "-{day:02}")?;
        }
        if self.calendar == Calendar::Hijri { write!(out, " AH") } else { Ok(()) }
    }
}

/// Whether a month that may be another word ("may", "march") must begin with a capital letter.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Case {
    /// The text is as written.
    Kept,
    /// The text is folded; the date was recognised before folding.
    Folded,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Month {
    number: u8,
    calendar: Calendar,
}

struct Months {
    /// By folded name.
    names: HashMap<&'static str, Month>,
    /// First words of two-word names.
    pair_firsts: Vec<&'static str>,
}

static MONTHS: LazyLock<Months> = LazyLock::new(|| {
    let names: HashMap<&str, Month> = rows(include_str!("data/months.tsv"))
        .filter_map(|columns| {
            let calendar = match *columns.get(1)? {
                "gregorian" => Calendar::Gregorian,
                _ => Calendar::Hijri,
            };
            Some((*columns.get(2)?, Month { number: columns[0].parse().ok()?, calendar }))
        })
        .collect();
    let firsts = names.keys().filter_map(|name| Some(name.split_once(' ')?.0));
    Months { pair_firsts: firsts.collect::<BTreeSet<_>>().into_iter().collect(), names }
});

/// Whether a word of `length` bytes at the start of `rest` may begin a date: a cheap check for every word.
pub(super) fn may_be_month(rest: &str, length: usize) -> bool {
    let mut after = rest[length..].chars();
    match after.next() {
        // A second name, or a year in brackets or after a comma.
        Some('/' | ',') => true,
        Some(' ') => match after.next() {
            Some(next) if next.is_ascii_digit() || part(next) == Part::Digit => true,
            Some('(') => true,
            Some(next) if !next.is_ascii() => is_first_of_pair(&rest[..length]),
            _ => false,
        },
        _ => false,
    }
}

/// Whether a word is the first of a two-word name.
fn is_first_of_pair(word: &str) -> bool {
    let chars = Chars::get();
    // The first letter rules out nearly all names.
    let letter = word.chars().next().and_then(|it| chars.folded_letter(it));
    let fits = |first: &&&str| letter.is_none_or(|letter| first.starts_with(letter));
    MONTHS.pair_firsts.iter().filter(fits).any(|first| chars.folds_to(word, first))
}

/// The date at the start of `text`, and its length in bytes.
///
/// `21 May 2021`, `21 May`, `21st of May`, `May 21, 2021`, `May 21`, `May 2021`; in Arabic without the forms with the
/// month before the day, with two names of a month (`x/y`, `x (y)`) and with the era after the year; `1442 h` alone.
pub(super) fn in_words(text: &str, case: Case) -> Option<(Date, usize)> {
    let mut at = Reader { text, place: 0, case };
    let date = if at.next().is_some_and(|it| part(it) == Part::Digit) {
        at.beginning_with_digits()?
    } else {
        at.beginning_with_month()?
    };
    Some((date, at.place))
}

#[derive(Clone, Copy)]
struct Reader<'a> {
    text: &'a str,
    place: usize,
    case: Case,
}

impl Reader<'_> {
    fn next(&self) -> Option<char> {
        self.text[self.place..].chars().next()
    }

    fn eat(&mut self, text: &str) -> bool {
        let eaten = self.text[self.place..].starts_with(text);
        if eaten {
            self.place += text.len();
        }
        eaten
    }

    fn beginning_with_digits(&mut self) -> Option<Date> {
        let (number, digits) = self.digits()?;
        if let Some(date) = self.hijri_year(number, digits) {
            return Some(date);
        }
        let day = u8::try_from(number).ok().filter(|day| (1..=31).contains(day))?;
        if digits > 2 {
            return None;
        }
        let _ordinal = ["st", "nd", "rd", "th"].into_iter().any(|ending| self.eat(ending));
        if !self.eat(" ") {
            return None;
        }
        // "21 of May", "21 min mayu".
        let _of = self.eat("of ") || self.eat("\u{645}\u{646} ");
        let month = self.month()?;
        let year = self.year();
        Some(Date { year, month: Some(month.number), day: Some(day), calendar: month.calendar })
    }

    fn beginning_with_month(&mut self) -> Option<Date> {
        let latin = self.next().is_some_and(|it| it.is_ascii());
        let month = self.month()?;
        let date =
            |year, day| Date { year, month: Some(month.number), day, calendar: month.calendar };
        let with_year = |mut at: Self| {
            let year = at.year();
            year.map(|year| (date(Some(year), None), at.place))
        };
        if let Some((date, place)) = with_year(*self) {
            self.place = place;
            return Some(date);
        }
        if !latin || !self.eat(" ") {
            return None;
        }
        let (day, digits) = self.digits()?;
        let day = u8::try_from(day).ok().filter(|day| (1..=31).contains(day) && digits <= 2)?;
        let _ordinal = ["st", "nd", "rd", "th"].into_iter().any(|ending| self.eat(ending));
        let glued = self.next().is_some_and(|it| {
            let goes_on = self.text[self.place + it.len_utf8()..].chars().next();
            part(it).is_word()
                || matches!(it, '.' | ',' | ':' | '/' | '-' | '%')
                    && goes_on.is_some_and(|it| part(it) == Part::Digit)
                || it == '%'
        });
        (!glued).then(|| date(self.year(), Some(day)))
    }

    /// A whole number, and its number of digits.
    fn digits(&mut self) -> Option<(u32, usize)> {
        let (mut number, mut count) = (0_u32, 0);
        while let Some(character) = self.next() {
            if part(character) != Part::Digit {
                break;
            }
            let value = (character as u32).checked_sub(digit_zero(character))?;
            number = number.checked_mul(10)?.checked_add(value)?;
            count += 1;
            self.place += character.len_utf8();
        }
        (count > 0).then_some((number, count))
    }

    /// `1442 h`: heh stands for Hijri, with or without tatweel and space.
    fn hijri_year(&mut self, number: u32, digits: usize) -> Option<Date> {
        let mut at = *self;
        let year = i32::try_from(number).ok().filter(|year| digits == 4 && *year < 2_000)?;
        at.eat(" ");
        if at.word() != "\u{647}" {
            return None;
        }
        self.place = at.place;
        Some(Date { year: Some(year), month: None, day: None, calendar: Calendar::Hijri })
    }

    /// A year of four digits after a month, with its era.
    fn year(&mut self) -> Option<i32> {
        let mut at = *self;
        at.eat(",");
        if !at.eat(" ") {
            return None;
        }
        let (year, digits) = at.digits()?;
        let goes_on = at.next().is_some_and(|it| {
            let after = at.text[at.place + it.len_utf8()..].chars().next();
            part(it) == Part::Letter
                || matches!(it, '.' | ',' | '/' | ':' | '-')
                    && after.is_some_and(|it| part(it) == Part::Digit)
        });
        if digits != 4 || goes_on {
            return None;
        }
        self.place = at.place;
        at.eat(" ");
        // heh for Hijri, meem for AD.
        if matches!(at.word().as_str(), "\u{647}" | "\u{645}") {
            self.place = at.place;
        }
        i32::try_from(year).ok()
    }

    /// A month, by one name or two.
    fn month(&mut self) -> Option<Month> {
        let month = self.month_name()?;
        let mut other = *self;
        let bracket = if other.eat("/") {
            ""
        } else if other.eat(" (") || other.eat("(") {
            ")"
        } else {
            return Some(month);
        };
        if other.month_name() == Some(month) && other.eat(bracket) {
            self.place = other.place;
        }
        Some(month)
    }

    fn month_name(&mut self) -> Option<Month> {
        let begins_small = self.next()?.is_ascii_lowercase();
        let mut at = *self;
        let mut name = at.word();
        if let Some(month) = MONTHS.names.get(name.as_str()) {
            if begins_small && self.case == Case::Kept {
                return None;
            }
            self.place = at.place;
            return Some(*month);
        }
        if name.is_empty() || !at.eat(" ") {
            return None;
        }
        name.push(' ');
        name.push_str(&at.word());
        let month = MONTHS.names.get(name.as_str())?;
        self.place = at.place;
        Some(*month)
    }

    /// The folded form of the next word; empty if there is none.
    fn word(&mut self) -> String {
        let mut folded = String::new();
        while let Some(character) = self.next() {
            if !part(character).is_word() || folded.len() > NAME_BYTES_MAX {
                break;
            }
            Chars::get().fold_into(&mut folded, character);
            self.place += character.len_utf8();
        }
        folded
    }
}

/// Longer than every name of a month.
const NAME_BYTES_MAX: usize = 40;

fn part(character: char) -> Part {
    Chars::get().part(character)
}

fn digit_zero(digit: char) -> u32 {
    match digit {
        '\u{660}'..='\u{669}' => 0x660,
        '\u{6f0}'..='\u{6f9}' => 0x6f0,
        _ => 0x30,
    }
}

/// Whether digits with separators, in any script, are a date.
pub(super) fn is_date(digits: &str) -> bool {
    let is_separator =
        |it: char| matches!(it, '/' | '-' | '.' | '\u{66b}' | '\u{2010}'..='\u{2013}');
    if digits.chars().filter(|it| is_separator(*it)).count() != 2 {
        return false;
    }
    let chars = Chars::get();
    let mut folded = String::with_capacity(digits.len());
    digits.chars().for_each(|it| chars.fold_into(&mut folded, it));
    in_digits(&folded).is_some()
}

/// Reads a folded date in digits.
pub(super) fn in_digits(folded: &str) -> Option<Date> {
    let separator = folded.chars().find(|it| matches!(it, '/' | '-' | '.'))?;
    let parts: Vec<&str> = folded.split(separator).collect();
    let [first, second, third] = *parts.as_slice() else { return None };
    if parts.iter().any(|part| part.len() > 4 || !part.bytes().all(|it| it.is_ascii_digit())) {
        return None;
    }
    let year_first = first.len() == 4;
    let year = if year_first { first } else { third };
    // Points make a date only with a four-digit year: `1.2.3` is a version.
    if year.len() != 4 && (separator == '.' || year.len() != 2) {
        return None;
    }
    let part = |text: &str| text.parse::<u8>().ok().filter(|_| text.len() <= 2);
    let (day, month) = if year_first {
        (part(third)?, part(second)?)
    } else {
        let (day, month) = (part(first)?, part(second)?);
        if month > 12 { (month, day) } else { (day, month) }
    };
    let valid = (1..=31).contains(&day) && (1..=12).contains(&month);
    let year = year.parse().ok()?;
    let calendar =
        if (1_300..1_600).contains(&year) { Calendar::Hijri } else { Calendar::Gregorian };
    valid.then_some(Date { year: Some(year), month: Some(month), day: Some(day), calendar })
}
