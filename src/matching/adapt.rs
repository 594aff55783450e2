//! What would the stored translation be with the values of the query? Numbers, links, placeholders and their like are
//! carried over where there is no doubt which place of the target stands for them.
//!
//! No doubt: the value stands once in the stored source and once in its target. Everything else stays as it is stored.

use std::ops::Range;

use crate::text::{Analysis, Token, TokenKind, Value};

/// A stored value that was replaced by one of the query; UTF-8 bytes of the original texts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Substitution {
    /// In the query.
    pub query: Range<usize>,
    /// In the stored source.
    pub source: Range<usize>,
    /// In the stored target.
    pub target: Range<usize>,
    /// In the adapted text.
    pub adapted: Range<usize>,
}

/// A target with values of the query.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Adapted {
    /// The text.
    pub text: String,
    /// What was put in, in the order of the target.
    pub substitutions: Vec<Substitution>,
}

/// Placeables of the query that stand for other ones of the source, as numbers of tokens that count; `pairs` as in
/// [`Comparison`](super::Comparison). Empty for most matches: the target need not be analysed then.
pub fn changed_placeables(
    query: &Analysis,
    source: &Analysis,
    pairs: &[Option<usize>],
) -> Vec<(usize, usize)> {
    let query_words: Vec<&Token> = query.words().collect();
    let words = source.words().zip(pairs).enumerate();
    words
        .filter_map(|(number, (stored, &asked))| {
            let asked = asked?;
            let token = query_words[asked];
            let differ = stored.kind != TokenKind::Word
                && token.kind == stored.kind
                && Key::of(query, token) != Key::of(source, stored);
            differ.then_some((asked, number))
        })
        .collect()
}

/// Carries the `changed` placeables over; `None` when there is doubt about every one of them.
pub fn adapt(
    query: &Analysis,
    source: &Analysis,
    target: &Analysis,
    target_text: &str,
    changed: &[(usize, usize)],
) -> Option<Adapted> {
    let query_words: Vec<&Token> = query.words().collect();
    let source_words: Vec<&Token> = source.words().collect();
    let mut places: Vec<(Range<usize>, String, &Token, &Token)> = Vec::new();
    for &(asked, stored) in changed {
        let (asked, stored) = (query_words[asked], source_words[stored]);
        let key = Key::of(source, stored);
        let once = |text: &Analysis| {
            let mut same = text.words().filter(|token| Key::of(text, token) == key).copied();
            same.next().filter(|_| same.next().is_none())
        };
        let (Some(_), Some(place)) = (once(source), once(target)) else { continue };
        let Some(written) = rewrite((query, asked), (source, stored), (target, &place)) else {
            continue;
        };
        places.push((target.span(&place), written, asked, stored));
    }
    places.sort_by_key(|(place, ..)| place.start);
    let mut adapted = Adapted { text: String::new(), substitutions: Vec::new() };
    let mut from = 0;
    for (place, written, asked, stored) in places {
        adapted.text.push_str(&target_text[from..place.start]);
        let start = adapted.text.len();
        adapted.text.push_str(&written);
        from = place.end;
        adapted.substitutions.push(Substitution {
            query: query.span(asked),
            source: source.span(stored),
            target: place,
            adapted: start..adapted.text.len(),
        });
    }
    adapted.text.push_str(&target_text[from..]);
    (!adapted.substitutions.is_empty()).then_some(adapted)
}

/// What makes two placeables the same, in whatever language.
#[derive(Debug, PartialEq, Eq)]
enum Key<'a> {
    Value(Value),
    Text(TokenKind, &'a str),
}

impl<'a> Key<'a> {
    fn of(text: &'a Analysis, token: &Token) -> Self {
        match text.value(token) {
            Some(value) => Self::Value(value),
            None if token.kind.is_number_like() => Self::Text(token.kind, text.folded(token)),
            None => Self::Text(token.kind, text.surface(token)),
        }
    }
}

/// The value of the query as the target writes such values.
fn rewrite(
    (query, asked): (&Analysis, &Token),
    (source, stored): (&Analysis, &Token),
    (target, place): (&Analysis, &Token),
) -> Option<String> {
    let number = match (query.value(asked), source.value(stored)) {
        (Some(Value::Number(new, unit)), Some(Value::Number(_, old))) if unit == old => Some(new),
        (Some(Value::Percent(new)), Some(Value::Percent(_))) => Some(new),
        (Some(Value::Amount(new, unit)), Some(Value::Amount(_, old))) if unit == old => Some(new),
        _ => None,
    };
    let written = target.surface(place);
    if let Some(number) = number {
        let is_number = |it: char| it.is_ascii_digit() || matches!(it, '.' | ',' | '-' | '+');
        let (start, end) = (written.find(is_number)?, written.rfind(is_number)? + 1);
        let old = &written[start..end];
        // Thousands are parted as in the target, or as in the query where the target has none to part.
        let whole_digits = old.split('.').next()?.bytes().filter(u8::is_ascii_digit).count();
        let parted = old.contains(',')
            || whole_digits < 4 && query.surface(asked).contains([',', '\u{66c}']);
        let number = number.to_string();
        let number = if parted { part_thousands(&number) } else { number };
        return Some(format!("{}{number}{}", &written[..start], &written[end..]));
    }
    // A date in digits, a link, a placeholder: where the target repeats the source, it repeats the query.
    if !asked.kind.is_number_like() {
        return Some(query.surface(asked).to_owned());
    }
    let new = query.folded(asked);
    let repeated = target.folded(place) == source.folded(stored)
        && is_ascii_number(written)
        && is_ascii_number(new);
    repeated.then(|| new.to_owned())
}

fn is_ascii_number(text: &str) -> bool {
    text.bytes().all(|it| it.is_ascii_digit() || it.is_ascii_punctuation())
}

/// `1234567.5` to `1,234,567.5`.
fn part_thousands(number: &str) -> String {
    let (sign, digits) = number.split_at(usize::from(number.starts_with('-')));
    let (whole, fraction) = digits.split_at(digits.find('.').unwrap_or(digits.len()));
    let mut parted = sign.to_owned();
    for (place, digit) in whole.chars().enumerate() {
        if place > 0 && (whole.len() - place).is_multiple_of(3) {
            parted.push(',');
        }
        parted.push(digit);
    }
    parted + fraction
}
