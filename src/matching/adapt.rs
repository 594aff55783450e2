//! What would the stored translation be with the values of the query? Numbers, links, placeholders, codes and their like are
//! carried over where there is no doubt which place of the target stands for them, nor how it is written.
//!
//! No doubt: the value stands once in the stored source and once in its target, written alike. An adapted target has every
//! value of the query that the stored source has not; with one of two it would be wrong, so where one is in doubt there is
//! none.

use std::ops::Range;

use crate::text::{Analysis, Token, TokenKind};

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
/// [`Comparison`](super::Comparison). Empty where there are none, as for most matches, and where they do not stand for each
/// other one by one: the target need not be analysed then.
pub fn changed_placeables(
    query: &Analysis,
    source: &Analysis,
    pairs: &[Option<usize>],
) -> Vec<(usize, usize)> {
    let query_words: Vec<&Token> = query.words().collect();
    let is_placeable = |token: &Token| token.kind != TokenKind::Word;
    let mut unpaired = query_words.iter().filter(|it| is_placeable(it)).count();
    let mut changed = Vec::new();
    for (number, (stored, &asked)) in source.words().zip(pairs).enumerate() {
        let Some((asked, token)) = asked.map(|asked| (asked, query_words[asked])) else {
            if is_placeable(stored) {
                return Vec::new();
            }
            continue;
        };
        if token.kind != stored.kind {
            return Vec::new();
        }
        unpaired -= usize::from(is_placeable(token));
        let carried_over =
            is_placeable(stored) || query.is_code_word(token) && source.is_code_word(stored);
        if carried_over && differ((query, token), (source, stored)) {
            changed.push((asked, number));
        }
    }
    if unpaired > 0 { Vec::new() } else { changed }
}

/// Whether two placeables of one kind are different, in value or, numbers, in their zeros.
fn differ((query, asked): (&Analysis, &Token), (source, stored): (&Analysis, &Token)) -> bool {
    if !asked.kind.is_number_like() {
        return query.surface(asked) != source.surface(stored);
    }
    let in_words = |text: &Analysis, token| text.written(token).is_none();
    let same_value = || {
        let value = query.value(asked);
        value.is_some() && value == source.value(stored)
    };
    query.folded(asked) != source.folded(stored)
        && !((in_words(query, asked) || in_words(source, stored)) && same_value())
}

/// Carries the `changed` placeables over; `None` when there is doubt about one of them, or none of them.
pub fn adapt(
    query: &Analysis,
    source: &Analysis,
    target: &Analysis,
    target_text: &str,
    changed: &[(usize, usize)],
) -> Option<Adapted> {
    let query_words: Vec<&Token> = query.words().collect();
    let source_words: Vec<&Token> = source.words().collect();
    let mut places = Vec::with_capacity(changed.len());
    for &(asked, stored) in changed {
        let (asked, stored) = (query_words[asked], source_words[stored]);
        let place = the_place(source, stored, target)?;
        let (written, replaced) = match (query.written(asked), source.written(stored)) {
            (Some(asked), Some(stored)) => {
                let (written, replaced) = target.rewritten(&asked, &stored, place)?;
                (with_spaces_of(&target_text[replaced.clone()], written), replaced)
            }
            _ if asked.kind.is_number_like() => return None,
            _ => (query.surface(asked).to_owned(), target.span(place)),
        };
        places.push((replaced, written, asked, stored));
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

/// A number with the no-break space that stands between the groups of another.
fn with_spaces_of(other: &str, written: String) -> String {
    match other.chars().find(|it| it.is_whitespace() && *it != ' ') {
        Some(space) => written.replace('\u{a0}', space.encode_utf8(&mut [0; 4])),
        None => written,
    }
}

/// The one token of the target that stands for a placeable of the source; `None` when it or the placeable is not the only
/// one of its value.
fn the_place<'t>(source: &Analysis, stored: &Token, target: &'t Analysis) -> Option<&'t Token> {
    let key = Key::of(source, stored)?;
    key.only_in(source)?;
    key.only_in(target).filter(|place| Key::of(target, place).as_ref() == Some(&key))
}

/// What makes two placeables the same, in whatever language.
#[derive(Debug, PartialEq, Eq)]
enum Key<'a> {
    /// A number or several, in plain notation; of a single whole number its digits too.
    Digits(String, Option<String>),
    Text(TokenKind, &'a str),
}

impl<'a> Key<'a> {
    fn of(text: &'a Analysis, token: &Token) -> Option<Self> {
        match text.written(token) {
            Some(written) => {
                Some(Self::Digits(written.plain(), written.whole().map(str::to_owned)))
            }
            None if token.kind.is_number_like() => None,
            None => Some(Self::Text(token.kind, text.surface(token))),
        }
    }

    /// The one token of a text that is the same or holds the same digits.
    fn only_in<'t>(&self, text: &'t Analysis) -> Option<&'t Token> {
        let mut same = text.words().filter(|token| self.is_in(text, token));
        same.next().filter(|_| same.next().is_none())
    }

    /// Whether a token is the same, or holds the same digits: then it may stand for it too.
    fn is_in(&self, text: &Analysis, token: &Token) -> bool {
        match self {
            Self::Text(kind, surface) => token.kind == *kind && text.surface(token) == *surface,
            Self::Digits(plain, whole) => match text.written(token) {
                Some(written) => {
                    let part =
                        |whole: &String| written.whole().is_none() && written.has_part(whole);
                    written.plain() == *plain || whole.as_ref().is_some_and(part)
                }
                None if token.kind == TokenKind::Tag => false,
                None => whole.as_ref().is_some_and(|it| has_run(text.folded(token), it)),
            },
        }
    }
}

/// Whether digits stand in a text, with no other digit beside them.
fn has_run(text: &str, digits: &str) -> bool {
    text.split(|it: char| !it.is_ascii_digit()).any(|run| run == digits)
}
