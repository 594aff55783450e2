//! Values of numbers, dates and amounts: equal when they mean the same in any notation.
//!
//! Works on folded text: numbers in plain notation, signs of one shape. `numerals` reads notations.

use std::fmt;

use super::dates::{self, Date};
use super::kinds::TokenKind;

/// The value of a token.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Value {
    /// A number.
    Number(Decimal),
    /// A range of numbers: `10-21`.
    Range(Decimal, Decimal),
    /// A percentage.
    Percent(Decimal),
    /// Money: amount, and the currency sign or ISO 4217 code as written, in lower case.
    Amount(Decimal, String),
    /// A day, a month or a year.
    Date(Date),
    /// Hour, minute and second.
    Time(u8, u8, u8),
}

impl fmt::Display for Value {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Number(number) => write!(out, "{number}"),
            Self::Range(from, to) => write!(out, "{from}..{to}"),
            Self::Percent(number) => write!(out, "{number}%"),
            Self::Amount(number, currency) => write!(out, "{number} {currency}"),
            Self::Date(date) => write!(out, "{date}"),
            Self::Time(hour, minute, second) => write!(out, "{hour:02}:{minute:02}:{second:02}"),
        }
    }
}

/// An exact decimal number: no `+`, no redundant zeros, a point before the fraction.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Decimal(String);

impl Decimal {
    /// The nearest floating-point number.
    pub fn to_f64(&self) -> f64 {
        self.0.parse().unwrap_or(f64::NAN)
    }
}

impl fmt::Display for Decimal {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(&self.0)
    }
}

/// The value of a token, from its folded form; `None` if it has none, as `1.2.3` or a word.
pub(super) fn value(kind: TokenKind, folded: &str) -> Option<Value> {
    match kind {
        TokenKind::Number => number(folded),
        TokenKind::Percent => decimal(folded.trim_end_matches(['%', ' '])).map(Value::Percent),
        TokenKind::Currency => amount(folded),
        TokenKind::Date => dates::in_digits(folded)
            .or_else(|| dates::in_words(folded, dates::Case::Folded).map(|(date, _)| date))
            .map(Value::Date),
        _ => None,
    }
}

fn number(folded: &str) -> Option<Value> {
    if let Some(decimal) = decimal(folded) {
        return Some(Value::Number(decimal));
    }
    if folded.contains(':') {
        return time(folded);
    }
    let (from, to) = folded.get(1..)?.split_once('-')?;
    Some(Value::Range(decimal(&folded[..=from.len()])?, decimal(to)?))
}

fn time(folded: &str) -> Option<Value> {
    let parts: Option<Vec<u8>> = folded.split(':').map(|part| part.parse().ok()).collect();
    match *parts?.as_slice() {
        [hour, minute] if hour < 25 && minute < 60 => Some(Value::Time(hour, minute, 0)),
        [hour, minute, second] if hour < 25 && minute < 60 && second < 61 => {
            Some(Value::Time(hour, minute, second))
        }
        _ => None,
    }
}

fn amount(folded: &str) -> Option<Value> {
    let is_number = |it: char| it.is_ascii_digit() || matches!(it, '.' | '-' | '+');
    let end = folded.find(|it| !is_number(it))?;
    Some(Value::Amount(decimal(&folded[..end])?, folded[end..].to_owned()))
}

/// Reads a number in plain notation, as written by [`Written::plain`](super::Written::plain): a sign, digits, a point
/// before the fraction.
fn decimal(plain: &str) -> Option<Decimal> {
    let (negative, digits) = match plain.strip_prefix('-') {
        Some(digits) => (true, digits),
        None => (false, plain.strip_prefix('+').unwrap_or(plain)),
    };
    let (whole, fraction) = match digits.split_once('.') {
        Some((_, "")) => return None,
        Some(parts) => parts,
        None => (digits, ""),
    };
    let is_number = |text: &str| text.bytes().all(|it| it.is_ascii_digit());
    if whole.is_empty() || !is_number(whole) || !is_number(fraction) {
        return None;
    }
    let fraction = fraction.trim_end_matches('0');
    let whole = match whole.trim_start_matches('0') {
        "" => "0",
        whole => whole,
    };
    let sign = if negative && (whole, fraction) != ("0", "") { "-" } else { "" };
    let point = if fraction.is_empty() { "" } else { "." };
    Some(Decimal(format!("{sign}{whole}{point}{fraction}")))
}
