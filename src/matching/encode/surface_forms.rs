//! Finds the surface forms of a vocabulary that match a part of a query, by folded text, by class and by part.
//!
//! Most words are one part, their folded form; numbers, dates, addresses, code and placeholders have several (see
//! [`parts_of`]). The lists are built by the first search and extended by later ones, so that imports do not pay for
//! them.

use std::collections::HashMap;
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard};

use foldhash::fast::FixedState;

use crate::text::{class_of_part, parts_of};

use crate::matching::cancel::{Cancelled, STEPS_OF_WORD, Ticker};
use crate::matching::jagged_array::length_u32;

use super::vocabulary::Vocabulary;

/// A set of words.
#[derive(Debug, Clone, Default)]
pub(crate) struct WordSet(Vec<u64>);

impl WordSet {
    fn insert(&mut self, word: u32) {
        let place = word as usize / 64;
        if place >= self.0.len() {
            self.0.resize(place + 1, 0);
        }
        self.0[place] |= 1_u64 << (word % 64);
    }

    #[inline]
    pub(crate) fn contains(&self, word: u32) -> bool {
        self.0.get(word as usize / 64).is_some_and(|bits| bits >> (word % 64) & 1 == 1)
    }
}

impl FromIterator<u32> for WordSet {
    fn from_iter<I: IntoIterator<Item = u32>>(words: I) -> Self {
        let mut set = Self::default();
        words.into_iter().for_each(|word| set.insert(word));
        set
    }
}

/// Linked lists of words that share a text: each word points to the one before it.
#[derive(Debug, Default)]
struct Chain {
    /// The last word of a text.
    heads: HashMap<u32, u32, FixedState>,
    /// The word before it plus one; 0 for none.
    before: Vec<u32>,
}

impl Chain {
    fn push(&mut self, text: u32, word: u32) {
        let before = self.heads.insert(text, word);
        self.before.push(before.map_or(0, |before| before + 1));
    }

    fn words(&self, text: u32, words: &mut Vec<u32>) {
        let mut next = self.heads.get(&text).copied();
        while let Some(word) = next {
            words.push(word);
            next = self.before[word as usize].checked_sub(1);
        }
    }
}

/// A part of a word with several parts: folded text and class.
#[derive(Debug)]
pub(crate) struct WordPart {
    pub(crate) folded: Box<str>,
    pub(crate) class: Box<str>,
}

/// The words of a vocabulary by folded text, by class and by their parts.
#[derive(Debug, Default)]
pub(crate) struct WordLists {
    by_folded: Chain,
    by_class: Chain,
    /// The words with several parts that contain a part, by its folded text and by its class.
    by_part: HashMap<Box<str>, Vec<u32>, FixedState>,
    by_part_class: HashMap<Box<str>, Vec<u32>, FixedState>,
    parts: HashMap<u32, Box<[WordPart]>, FixedState>,
    /// Words that are tags; shared with running searches.
    tags: Arc<WordSet>,
}

impl WordLists {
    fn push(&mut self, word: u32, vocabulary: &Vocabulary) {
        let (folded_text, class_text) = vocabulary.texts_of(word);
        self.by_folded.push(folded_text, word);
        self.by_class.push(class_text, word);
        let (class, folded) = (vocabulary.text(class_text), vocabulary.text(folded_text));
        if class == "#tag" {
            Arc::make_mut(&mut self.tags).insert(word);
        }
        let Some(parts) = parts_of(class, vocabulary.surface(word), folded) else { return };
        let parts: Vec<WordPart> = parts
            .into_iter()
            .map(|part| WordPart { class: class_of_part(&part, true).into(), folded: part.into() })
            .collect();
        for part in &parts {
            note(&mut self.by_part, &part.folded, word);
            note(&mut self.by_part_class, &part.class, word);
        }
        self.parts.insert(word, parts.into());
    }

    /// The words that are a folded part or contain it.
    pub(crate) fn folded(&self, part: &str, vocabulary: &Vocabulary) -> Vec<u32> {
        let mut words = Vec::new();
        if let Some(text) = vocabulary.find_text(part) {
            self.by_folded.words(text, &mut words);
        }
        words.extend(self.by_part.get(part).into_iter().flatten());
        words
    }

    /// The words that have a class or contain a part of it.
    pub(crate) fn class(&self, class: &str, vocabulary: &Vocabulary) -> Vec<u32> {
        let mut words = Vec::new();
        if let Some(text) = vocabulary.find_text(class) {
            self.by_class.words(text, &mut words);
        }
        words.extend(self.by_part_class.get(class).into_iter().flatten());
        words
    }

    /// The parts of a word with several.
    pub(crate) fn parts(&self, word: u32) -> Option<&[WordPart]> {
        self.parts.get(&word).map(AsRef::as_ref)
    }

    /// The words that are tags.
    pub(crate) fn tags(&self) -> Arc<WordSet> {
        Arc::clone(&self.tags)
    }
}

/// Adds a word to the list of a part, once even if the part occurs several times.
fn note(lists: &mut HashMap<Box<str>, Vec<u32>, FixedState>, part: &str, word: u32) {
    match lists.get_mut(part) {
        Some(words) if words.last() == Some(&word) => {}
        Some(words) => words.push(word),
        None => {
            lists.insert(part.into(), vec![word]);
        }
    }
}

/// The [`WordLists`] of a growing vocabulary.
#[derive(Debug, Default)]
pub(crate) struct SurfaceForms(RwLock<WordLists>);

impl SurfaceForms {
    /// Returns the lists after adding the words that are new in the vocabulary.
    ///
    /// # Errors
    ///
    /// [`Cancelled`] when the caller cancels; the next call continues with the rest.
    pub(crate) fn lists(
        &self,
        vocabulary: &Vocabulary,
        ticker: &mut Ticker<'_>,
    ) -> Result<RwLockReadGuard<'_, WordLists>, Cancelled> {
        let wanted = vocabulary.words_len();
        let known = |lists: &WordLists| length_u32(lists.by_class.before.len());
        {
            let lists = self.0.read().unwrap_or_else(PoisonError::into_inner);
            if known(&lists) >= wanted {
                return Ok(lists);
            }
        }
        {
            let mut lists = self.0.write().unwrap_or_else(PoisonError::into_inner);
            for word in known(&lists)..wanted {
                ticker.tick(STEPS_OF_WORD)?;
                lists.push(word, vocabulary);
            }
        }
        Ok(self.0.read().unwrap_or_else(PoisonError::into_inner))
    }
}
