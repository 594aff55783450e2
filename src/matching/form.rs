//! What does matching need to know of a text? Its tokens that count, what stands between them, and its tags: no more.
//!
//! A form owns its strings, so that it can be made on any thread and outlive the analysis. Knows nothing of numbers given
//! to strings, of memories or of the original text.

use std::ops::Range;

use crate::limits::COMPARED_WORDS_MAX;
use crate::text::{Analysis, ComparedParts, compared_parts};

use super::align::{self, Step};
use super::levenshtein::Matcher;
use super::query::Cancelled;
use super::score::{GRADED_CHARS_MAX, NUMBER_COST, WORD_COST, graded_cost};
use super::ticker::{NEVER, Ticker};

/// One side of a comparison.
#[derive(Debug, Clone, Default)]
pub struct Form {
    /// Every string of the form, one after the other.
    strings: String,
    tokens: Vec<TokenPlaces>,
    /// One more than tokens: before the first, between, after the last.
    gaps: Vec<GapPlaces>,
    tags: u64,
}

#[derive(Debug, Clone, Copy)]
struct TokenPlaces {
    surface: (u32, u32),
    folded: (u32, u32),
    class: (u32, u32),
    number_like: bool,
}

#[derive(Debug, Clone, Copy)]
struct GapPlaces {
    canonical: (u32, u32),
    folded: (u32, u32),
}

/// A token as matching sees it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct Token<'a> {
    pub(super) surface: &'a str,
    pub(super) folded: &'a str,
    pub(super) class: &'a str,
    pub(super) number_like: bool,
}

/// What stands between two tokens.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Gap<'a> {
    pub(super) canonical: &'a str,
    pub(super) folded: &'a str,
}

impl Form {
    /// Of an analysed text whose inline tags have this signature (0 for no tags; equal tags, equal signatures).
    pub fn new(analysis: &Analysis, tags: u64) -> Self {
        let mut form = Self { tags, ..Self::words_of(analysis) };
        form.gaps.reserve_exact(form.tokens.len() + 1);
        for gap in analysis.gaps() {
            let canonical = form.store(gap.canonical);
            let folded = form.store_beside(gap.folded, canonical);
            form.gaps.push(GapPlaces { canonical, folded });
        }
        form
    }

    /// Its words alone, without what stands between them: enough for finding words.
    pub fn words_of(analysis: &Analysis) -> Self {
        let mut form = Self {
            // Most tokens have one form for all uses.
            strings: String::with_capacity(analysis.canonical().len() * 3 / 2),
            tokens: Vec::with_capacity(analysis.words().count()),
            ..Self::default()
        };
        for token in analysis.words() {
            let surface = form.store(analysis.surface(token));
            let folded = form.store_beside(analysis.folded(token), surface);
            let class = form.store_beside(analysis.class(token), folded);
            let number_like = token.kind.is_number_like();
            form.tokens.push(TokenPlaces { surface, folded, class, number_like });
        }
        form
    }

    /// How many tokens count.
    pub fn len(&self) -> usize {
        self.tokens.len()
    }

    /// Whether no token counts.
    pub fn is_empty(&self) -> bool {
        self.tokens.is_empty()
    }

    /// Signature of the inline tags.
    pub fn tags(&self) -> u64 {
        self.tags
    }

    pub(super) fn token(&self, number: usize) -> Token<'_> {
        let places = &self.tokens[number];
        Token {
            surface: self.string(places.surface),
            folded: self.string(places.folded),
            class: self.string(places.class),
            number_like: places.number_like,
        }
    }

    pub(super) fn tokens(&self) -> impl ExactSizeIterator<Item = Token<'_>> {
        (0..self.tokens.len()).map(|number| self.token(number))
    }

    /// What stands before a token, or after the last one.
    pub(super) fn gap(&self, number: usize) -> Gap<'_> {
        let places = &self.gaps[number];
        Gap { canonical: self.string(places.canonical), folded: self.string(places.folded) }
    }

    pub(super) fn gaps(&self) -> impl ExactSizeIterator<Item = Gap<'_>> {
        (0..self.gaps.len()).map(|number| self.gap(number))
    }

    /// The alignment of two forms that the score is worked out from.
    pub(super) fn align(
        &self,
        other: &Self,
        ticker: &mut Ticker<'_>,
    ) -> Result<Vec<Step>, Cancelled> {
        let mut cost = |i, j| substitution_cost(self.token(i), other.token(j));
        align::align((self.len(), other.len()), &mut cost, ticker)
    }

    fn store(&mut self, string: &str) -> (u32, u32) {
        let start = self.strings.len();
        self.strings.push_str(string);
        (place(start), place(self.strings.len()))
    }

    fn store_beside(&mut self, string: &str, other: (u32, u32)) -> (u32, u32) {
        if self.string(other) == string { other } else { self.store(string) }
    }

    fn string(&self, (start, end): (u32, u32)) -> &str {
        let range: Range<usize> = start as usize..end as usize;
        &self.strings[range]
    }
}

fn place(offset: usize) -> u32 {
    // A segment has at most SEGMENT_BYTES_MAX bytes, its strings a few times that.
    u32::try_from(offset).unwrap_or(u32::MAX)
}

/// What a token costs in place of another: nothing when they fold to the same, part of a word when only their classes are
/// the same, a word otherwise.
pub(super) fn substitution_cost(a: Token<'_>, b: Token<'_>) -> u32 {
    if a.class != b.class {
        WORD_COST
    } else if a.folded == b.folded && a.number_like == b.number_like {
        0
    } else {
        same_class_cost(a.class, (a.folded, a.number_like), (b.folded, b.number_like))
    }
}

/// What a token costs in place of another of its class that folds to something else.
pub(super) fn same_class_cost(class: &str, a: (&str, bool), b: (&str, bool)) -> u32 {
    if a.1 && b.1 {
        return NUMBER_COST;
    }
    let (a, b) = (a.0, b.0);
    let longest = a.chars().count().max(b.chars().count());
    if (is_compared_by_parts(class) || longest > GRADED_CHARS_MAX)
        && let (Some(a), Some(b)) = (compared_parts(class, a), compared_parts(class, b))
    {
        return cost_of_parts(&a, &b);
    }
    if longest > GRADED_CHARS_MAX {
        return WORD_COST;
    }
    let characters = |text: &str| -> Vec<u32> { text.chars().map(u32::from).collect() };
    graded_cost(edit_distance(&characters(a), &characters(b)), longest)
}

/// Whether the words of a token matter more than their letters: code and addresses. In short tags and placeholders they do not.
fn is_compared_by_parts(class: &str) -> bool {
    matches!(class, "#code" | "#url" | "#email")
}

/// Words count one by one, all signs together as one more.
fn cost_of_parts(a: &ComparedParts<'_>, b: &ComparedParts<'_>) -> u32 {
    if a.words.len().max(b.words.len()) > COMPARED_WORDS_MAX {
        return WORD_COST;
    }
    let (numbers_a, numbers_b) = numbered(&a.words, &b.words);
    let has_signs = !(a.signs.is_empty() && b.signs.is_empty());
    let longest = a.words.len().max(b.words.len()) + usize::from(has_signs);
    let distance = edit_distance(&numbers_a, &numbers_b) + u32::from(a.signs != b.signs);
    graded_cost(distance, longest)
}

/// Numbers in place of words, the same for equal ones.
fn numbered(a: &[&str], b: &[&str]) -> (Vec<u32>, Vec<u32>) {
    let mut places: Vec<(&str, usize)> = a.iter().chain(b).copied().zip(0..).collect();
    places.sort_unstable();
    let mut numbers = vec![0; places.len()];
    let mut number = 0;
    for (at, &(word, place)) in places.iter().enumerate() {
        number += u32::from(at > 0 && places[at - 1].0 != word);
        numbers[place] = number;
    }
    let of_b = numbers.split_off(a.len());
    (numbers, of_b)
}

fn edit_distance(a: &[u32], b: &[u32]) -> u32 {
    let distance = Matcher::new(a).distance(b, u32::MAX, &mut Ticker::new(NEVER));
    // Nobody cancels, and no distance is above the highest.
    distance.ok().flatten().unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cost(class: &str, a: &str, b: &str) -> u32 {
        let cost = same_class_cost(class, (a, false), (b, false));
        assert_eq!(cost, same_class_cost(class, (b, false), (a, false)));
        cost
    }

    #[test]
    fn code_and_addresses_are_compared_by_their_words() {
        assert_eq!(cost("#code", "`git pull`", "`git push`"), 500);
        assert_eq!(cost("#code", "`cp`", "`rm`"), 1000);
        assert_eq!(cost("#code", "`a+b`", "`a-b`"), 333);
        // As other code, though nothing in it differs.
        assert_eq!(cost("#code", "`cp`", "``cp``"), 1);
        assert_eq!(cost("#url", "https://example.com/a/b", "https://example.com/a/c"), 167);
        assert_eq!(cost("#email", "info@example.org", "sara@example.org"), 250);
    }

    #[test]
    fn long_tokens_are_compared_by_their_words() {
        let attribute = "x".repeat(600);
        let tag = |place| format!("<a href=\"/{place}\" data=\"{attribute}\">");
        assert_eq!(cost("#tag", &tag("help"), &tag("news")), 167);
        assert_eq!(cost("#tag", "<b>", "<i>"), 333);
        let code = |words: usize| format!("`{}`", "a ".repeat(words).trim_end());
        assert_eq!(cost("#code", &code(64), &code(63)), 16);
        assert_eq!(cost("#code", &code(65), &code(64)), 1000);
        assert_eq!(cost("x", &attribute, &format!("{attribute}y")), 1000);
    }
}
