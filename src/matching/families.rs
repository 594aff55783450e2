//! Which words fold to this text, or have this class? The way back from texts to words, for searches in running text.
//!
//! Made when it is first asked for and kept up to date from then on: imports do not pay for it.

use std::collections::HashMap;
use std::sync::{PoisonError, RwLock};

use foldhash::fast::FixedState;

use super::vocabulary::Vocabulary;

/// Chains of words, from each to the one before it that shares a text.
#[derive(Debug, Default)]
struct Chain {
    /// The last word of a text.
    heads: HashMap<u32, u32, FixedState>,
    /// The word before, plus one; 0 for none.
    before: Vec<u32>,
}

impl Chain {
    fn push(&mut self, text: u32, word: u32) {
        let before = self.heads.insert(text, word);
        self.before.push(before.map_or(0, |before| before + 1));
    }

    fn words(&self, text: u32) -> Vec<u32> {
        let mut next = self.heads.get(&text).copied();
        let mut words = Vec::new();
        while let Some(word) = next {
            words.push(word);
            next = self.before[word as usize].checked_sub(1);
        }
        words
    }
}

#[derive(Debug, Default)]
struct Chains {
    by_folded: Chain,
    by_class: Chain,
}

/// The words of a vocabulary by folded text and by class.
#[derive(Debug, Default)]
pub(super) struct Families(RwLock<Chains>);

impl Families {
    /// The words that fold to a text.
    pub(super) fn folded(&self, text: u32, vocabulary: &Vocabulary) -> Vec<u32> {
        self.up_to_date(vocabulary, |chains| chains.by_folded.words(text))
    }

    /// The words of a class.
    pub(super) fn class(&self, text: u32, vocabulary: &Vocabulary) -> Vec<u32> {
        self.up_to_date(vocabulary, |chains| chains.by_class.words(text))
    }

    fn up_to_date<T>(&self, vocabulary: &Vocabulary, read: impl FnOnce(&Chains) -> T) -> T {
        let wanted = vocabulary.words_len();
        {
            let chains = self.0.read().unwrap_or_else(PoisonError::into_inner);
            if chains.by_class.before.len() >= wanted as usize {
                return read(&chains);
            }
        }
        let mut chains = self.0.write().unwrap_or_else(PoisonError::into_inner);
        for word in super::rows::length_u32(chains.by_class.before.len())..wanted {
            let (folded, class) = vocabulary.texts_of(word);
            chains.by_folded.push(folded, word);
            chains.by_class.push(class, word);
        }
        read(&chains)
    }
}
