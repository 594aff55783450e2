//! Finds an expression in the words of a row.
//!
//! A row is a list of word numbers. Nearly all words are one part, so that rows are compared number by number. A row
//! with words of several parts, or with tags that an expression skips, is split into parts first.

use std::collections::HashMap;
use std::ops::Range;
use std::sync::Arc;

use foldhash::fast::FixedState;

use crate::matching::cancel::{Cancelled, STEPS_OF_WORD, Ticker};
use crate::matching::encode::{Vocabulary, WordLists, WordPart, WordSet};

use super::expression::{ConcordanceMode, ExpressionPart, WordForm};

/// The stored words that are a part of the expression or contain it.
struct Term {
    words: Vec<u32>,
    set: WordSet,
}

/// The parts of an expression in the numbers of one vocabulary.
pub(crate) struct Terms {
    mode: ConcordanceMode,
    of_parts: Vec<Term>,
    /// Words of several parts among all terms; a row with one is split into parts.
    composed: WordSet,
    /// For each part of such a word the terms that it matches.
    parts: HashMap<u32, Vec<Vec<usize>>, FixedState>,
    /// Tags to skip; a row with one is split into parts too.
    tags: Option<Arc<WordSet>>,
}

/// A row split into parts; reused from row to row.
#[derive(Default)]
pub(crate) struct Layout {
    /// For each part its word, and which part of that word it is if it has several.
    parts: Vec<(usize, Option<usize>)>,
}

impl Terms {
    /// Looks up the parts of an expression.
    pub(crate) fn new(
        expression: &[ExpressionPart],
        (mode, word_form): (ConcordanceMode, WordForm),
        lists: &WordLists,
        vocabulary: &Vocabulary,
        ticker: &mut Ticker<'_>,
    ) -> Result<Self, Cancelled> {
        let last = expression.len() - 1;
        let test = |number: usize| PartMatcher {
            part: &expression[number],
            word_form,
            prefix: number == last && mode == ConcordanceMode::Prefix,
        };
        let mut terms: Vec<Term> = Vec::with_capacity(expression.len());
        for number in 0..expression.len() {
            let words = test(number).words(lists, vocabulary, ticker)?;
            terms.push(Term { set: words.iter().copied().collect(), words });
        }
        let mut parts = HashMap::default();
        for &word in terms.iter().flat_map(|term| &term.words) {
            ticker.tick(expression.len())?;
            let Some(of_word) = lists.parts(word) else { continue };
            let which = |part: &WordPart| -> Vec<usize> {
                (0..expression.len()).filter(|&number| test(number).accepts_part(part)).collect()
            };
            parts.entry(word).or_insert_with(|| of_word.iter().map(which).collect());
        }
        let tags = (!expression.iter().any(|part| part.is_tag)).then(|| lists.tags());
        let composed = parts.keys().copied().collect();
        Ok(Self { mode, of_parts: terms, composed, parts, tags })
    }

    /// Whether some part of the expression is in no stored word.
    pub(crate) fn find_nothing(&self) -> bool {
        self.of_parts.iter().any(|term| term.words.is_empty())
    }

    /// The words that may contain each part of the expression.
    pub(crate) fn words(&self) -> impl Iterator<Item = &[u32]> {
        self.of_parts.iter().map(|term| &term.words[..])
    }

    /// Finds the places of the expression among the words of a row.
    pub(crate) fn find(&self, words: &[u32], layout: &mut Layout, found: &mut Vec<Range<usize>>) {
        found.clear();
        if self.mode == ConcordanceMode::Words {
            let occurs = |term: &Term| words.iter().any(|&word| term.set.contains(word));
            if self.of_parts.iter().all(occurs) {
                let any = |word: u32| self.of_parts.iter().any(|term| term.set.contains(word));
                let places = words.iter().enumerate().filter(|&(_, &word)| any(word));
                found.extend(places.map(|(place, _)| place..place + 1));
            }
            return;
        }
        // Most rows that are read do not contain the first word.
        let Some(first) = self.of_parts.first() else { return };
        if !words.iter().any(|&word| first.set.contains(word)) {
            return;
        }
        if words.iter().any(|&word| self.composed.contains(word) || self.is_tag(word)) {
            self.find_laid_out(words, layout, found);
        } else {
            let length = self.of_parts.len();
            for (place, window) in words.windows(length).enumerate() {
                if window.iter().zip(&self.of_parts).all(|(&word, term)| term.set.contains(word)) {
                    found.push(place..place + length);
                }
            }
        }
    }

    fn is_tag(&self, word: u32) -> bool {
        self.tags.as_ref().is_some_and(|tags| tags.contains(word))
    }

    fn find_laid_out(&self, words: &[u32], layout: &mut Layout, found: &mut Vec<Range<usize>>) {
        layout.parts.clear();
        for (place, word) in words.iter().enumerate() {
            match self.parts.get(word) {
                None if self.is_tag(*word) => {}
                None => layout.parts.push((place, None)),
                Some(parts) => {
                    layout.parts.extend((0..parts.len()).map(|part| (place, Some(part))));
                }
            }
        }
        for window in layout.parts.windows(self.of_parts.len()) {
            let fits = window.iter().enumerate().all(|(number, &(place, part))| match part {
                None => self.of_parts[number].set.contains(words[place]),
                Some(part) => self.parts[&words[place]][part].contains(&number),
            });
            if fits && let (Some(first), Some(last)) = (window.first(), window.last()) {
                let range = first.0..last.0 + 1;
                // Two parts of one word are one place.
                if found.last() != Some(&range) {
                    found.push(range);
                }
            }
        }
    }
}

/// Matches words against one part of an expression.
struct PartMatcher<'a> {
    part: &'a ExpressionPart,
    word_form: WordForm,
    prefix: bool,
}

impl PartMatcher<'_> {
    fn words(
        &self,
        lists: &WordLists,
        vocabulary: &Vocabulary,
        ticker: &mut Ticker<'_>,
    ) -> Result<Vec<u32>, Cancelled> {
        if self.prefix {
            let accepts = |word: &u32| {
                if let Some(parts) = lists.parts(*word) {
                    return parts.iter().any(|part| self.accepts_part(part));
                }
                let (folded, class) = vocabulary.texts_of(*word);
                self.accepts(vocabulary.text(folded), || vocabulary.text(class))
            };
            let mut words = Vec::new();
            for word in 0..vocabulary.words_len() {
                ticker.tick(STEPS_OF_WORD)?;
                words.extend(Some(word).filter(accepts));
            }
            return Ok(words);
        }
        let mut words = lists.folded(&self.part.folded, vocabulary);
        if self.word_form == WordForm::Class
            && let Some(class) = &self.part.class
        {
            words.extend(lists.class(class, vocabulary));
            words.sort_unstable();
            words.dedup();
        }
        Ok(words)
    }

    fn accepts_part(&self, part: &WordPart) -> bool {
        self.accepts(&part.folded, || &part.class)
    }

    fn accepts<'b>(&self, folded: &str, class: impl Fn() -> &'b str) -> bool {
        let is = |asked: &str, stored: &str| {
            if self.prefix { stored.starts_with(asked) } else { stored == asked }
        };
        is(&self.part.folded, folded)
            || self.word_form == WordForm::Class
                && self.part.class.as_ref().is_some_and(|asked| is(asked, class()))
    }
}
