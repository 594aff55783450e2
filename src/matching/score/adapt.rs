//! Adapts a stored translation to the query: replaces numbers, links, placeholders, code and the like by the query's.
//!
//! A value is replaced only where it is certain which place of the target stands for it and how it is written: it
//! occurs once in the stored source and once in its target, written alike. An adapted target has every value of the
//! query that the stored source lacks; if one of them is uncertain, there is no adapted target.

use std::collections::{HashMap, HashSet};
use std::ops::Range;

use crate::text::{Analysis, Token, TokenKind, Written};

/// A stored value that was replaced by a value of the query; UTF-8 bytes of the original texts.
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
    /// The replaced values, in order of the target.
    pub substitutions: Vec<Substitution>,
}

/// Pairs placeables of the query with different ones of the source, as numbers of tokens that count; `pairs` as in
/// [`Comparison`](super::Comparison). Empty if there are none, as for most matches, or if they do not pair one to
/// one: then the target need not be analysed.
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

/// Whether two placeables of one kind differ in value or, for numbers, in their zeros.
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

/// Replaces the `changed` placeables in the target; `None` when one of them is uncertain or there are none.
pub fn adapt(
    query: &Analysis,
    source: &Analysis,
    target: &Analysis,
    target_text: &str,
    changed: &[(usize, usize)],
) -> Option<Adapted> {
    let query_words: Vec<&Token> = query.words().collect();
    let source_words: Vec<&Token> = source.words().collect();
    let (in_source, in_target) = (Places::of(source), Places::of(target));
    let mut places = Vec::with_capacity(changed.len());
    for &(asked, stored) in changed {
        let (asked, stored) = (query_words[asked], source_words[stored]);
        let place = in_source.place_in(stored, &in_target)?;
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

/// Replaces the no-break spaces between groups of digits by the kind of space that another number has.
fn with_spaces_of(other: &str, written: String) -> String {
    match other.chars().find(|it| it.is_whitespace() && *it != ' ') {
        Some(space) => written.replace('\u{a0}', space.encode_utf8(&mut [0; 4])),
        None => written,
    }
}

/// The placeables of a text by what identifies them.
struct Places<'a> {
    text: &'a Analysis,
    /// The number of equal tokens, and the first of them.
    same: HashMap<Key<'a>, (usize, &'a Token)>,
    /// Whole numbers that are parts of something else: `5` in `5.2`, `5-9`, `model5` and links.
    inside: HashSet<String>,
}

impl<'a> Places<'a> {
    fn of(text: &'a Analysis) -> Self {
        let (mut same, mut inside) = (HashMap::new(), HashSet::new());
        for token in text.words() {
            match text.written(token) {
                Some(written) if written.whole().is_none() => {
                    inside.extend(written.wholes().map(str::to_owned));
                }
                None if token.kind != TokenKind::Tag => {
                    let runs = text.folded(token).split(|it: char| !it.is_ascii_digit());
                    inside.extend(runs.filter(|run| !run.is_empty()).map(str::to_owned));
                }
                _ => {}
            }
            if let Some(key) = Key::of(text, token) {
                same.entry(key).or_insert((0, token)).0 += 1;
            }
        }
        Self { text, same, inside }
    }

    /// The token that equals one of another text, if there is exactly one and its digits are part of nothing else.
    fn only(&self, other: &'a Analysis, token: &Token) -> Option<&'a Token> {
        let (count, found) = self.same.get(&Key::of(other, token)?)?;
        let written = other.written(token);
        let whole = written.as_ref().and_then(Written::whole);
        let is_inside = whole.is_some_and(|digits| self.inside.contains(digits));
        (*count == 1 && !is_inside).then_some(*found)
    }

    /// The one token of the target that stands for a placeable of this source; `None` where it is ambiguous on either
    /// side.
    fn place_in(&self, stored: &Token, target: &Places<'a>) -> Option<&'a Token> {
        self.only(self.text, stored)?;
        target.only(self.text, stored)
    }
}

/// Identifies a placeable across languages.
#[derive(Debug, PartialEq, Eq, Hash)]
enum Key<'a> {
    /// One or several numbers in plain notation.
    Digits(String),
    Text(TokenKind, &'a str),
}

impl<'a> Key<'a> {
    fn of(text: &'a Analysis, token: &Token) -> Option<Self> {
        match text.written(token) {
            Some(written) => Some(Self::Digits(written.plain())),
            None if token.kind.is_number_like() => None,
            None => Some(Self::Text(token.kind, text.surface(token))),
        }
    }
}
