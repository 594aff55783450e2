//! How probable is it that this term stands for that one? Two tables of translation probabilities, one a direction.
//!
//! Knows nothing of sentences, nor of where its figures come from.

use std::collections::HashMap;

use foldhash::fast::FixedState;
use serde::{Deserialize, Serialize};

use crate::alignment::features::{Vocabulary, length_u32};

use super::hmm::Jumps;

/// Terms of one language, by number and by text.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(from = "Vec<Box<str>>", into = "Vec<Box<str>>")]
pub(crate) struct TermNumbers {
    texts: Vec<Box<str>>,
    numbers: HashMap<Box<str>, u32, FixedState>,
}

impl From<Vec<Box<str>>> for TermNumbers {
    fn from(texts: Vec<Box<str>>) -> Self {
        let numbers = texts.iter().cloned().zip(0..).collect();
        Self { texts, numbers }
    }
}

impl From<TermNumbers> for Vec<Box<str>> {
    fn from(terms: TermNumbers) -> Self {
        terms.texts
    }
}

impl TermNumbers {
    pub(crate) fn intern(&mut self, text: &str) -> u32 {
        if let Some(&number) = self.numbers.get(text) {
            return number;
        }
        let number = length_u32(self.texts.len());
        self.texts.push(text.into());
        self.numbers.insert(text.into(), number);
        number
    }

    pub(crate) fn find(&self, text: &str) -> Option<u32> {
        self.numbers.get(text).copied()
    }

    /// Whether a term is a part of words, or punctuation: what [`super::Side::new`] has not.
    pub(crate) fn is_clitic(&self, number: u32) -> bool {
        let text = &self.texts[number as usize];
        text.contains('+') || text.chars().all(|it| !it.is_alphanumeric()) && &**text != "?"
    }

    /// In the order of their numbers.
    pub(crate) fn texts(&self) -> impl Iterator<Item = &str> {
        self.texts.iter().map(AsRef::as_ref)
    }

    pub(crate) fn len(&self) -> usize {
        self.texts.len()
    }
}

/// Probabilities of one direction.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Table {
    /// For each term: how often it was seen, and where its translations end.
    rows: Vec<(f32, u32)>,
    /// A translation and its probability, in order of the translations.
    entries: Vec<(u32, f32)>,
}

impl Table {
    /// From the rows in the order of the terms: how often a term was seen, and its translations.
    pub(crate) fn new(rows: impl IntoIterator<Item = (f32, Vec<(u32, f32)>)>) -> Self {
        let mut table = Self::default();
        for (mass, mut entries) in rows {
            entries.sort_unstable_by_key(|entry| entry.0);
            table.entries.extend(entries);
            table.rows.push((mass, length_u32(table.entries.len())));
        }
        table
    }

    /// How often a term was seen, and its translations.
    pub(crate) fn row(&self, term: u32) -> (f32, &[(u32, f32)]) {
        let at = term as usize;
        let Some(&(mass, end)) = self.rows.get(at) else { return (0.0, &[]) };
        let from = at.checked_sub(1).map_or(0, |before| self.rows[before].1);
        (mass, &self.entries[from as usize..end as usize])
    }
}

/// Translation probabilities between terms of two languages.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Lexicon {
    pub(crate) source: TermNumbers,
    pub(crate) target: TermNumbers,
    /// Of target terms, by source term.
    pub(crate) forward: Table,
    /// Of source terms, by target term.
    pub(crate) backward: Table,
    /// Share of each source term, and of each target term, in running text.
    pub(crate) shares: (Vec<f32>, Vec<f32>),
    /// From one word to the next, in the order of the target, and of the source.
    pub(crate) jumps: (Jumps, Jumps),
    /// Words as they are written, by which clitics are told from stems.
    pub(crate) vocabularies: (Vocabulary, Vocabulary),
}

/// A pair of terms that may stand for each other.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Pair<'a> {
    pub(crate) source: &'a str,
    pub(crate) target: &'a str,
    /// Beside the other translations of a term.
    pub(crate) weight: f32,
    /// How common both are in running text.
    pub(crate) share: f32,
}

impl Lexicon {
    /// From weighted pairs: each term's translations share its probability by weight, and each counts as seen `mass` times.
    pub(crate) fn of_pairs<'a>(pairs: impl IntoIterator<Item = Pair<'a>>, mass: f32) -> Self {
        let (mut source, mut target) = (TermNumbers::default(), TermNumbers::default());
        let mut weights: HashMap<(u32, u32), f32, FixedState> = HashMap::default();
        let mut shares = (Vec::new(), Vec::new());
        for pair in pairs {
            let (a, b) = (source.intern(pair.source), target.intern(pair.target));
            *weights.entry((a, b)).or_default() += pair.weight;
            raise(&mut shares.0, a, pair.share);
            raise(&mut shares.1, b, pair.share);
        }
        let mut forward = vec![Vec::new(); source.len()];
        let mut backward = vec![Vec::new(); target.len()];
        for (&(a, b), &weight) in &weights {
            forward[a as usize].push((b, weight));
            backward[b as usize].push((a, weight));
        }
        let normalised = |rows: Vec<Vec<(u32, f32)>>| {
            Table::new(rows.into_iter().map(|mut row| {
                let sum: f32 = row.iter().map(|entry| entry.1).sum();
                for entry in &mut row {
                    entry.1 /= sum;
                }
                (mass, row)
            }))
        };
        Self {
            source,
            target,
            forward: normalised(forward),
            backward: normalised(backward),
            shares,
            ..Self::default()
        }
    }

    /// Whether it comes from texts.
    pub(crate) fn is_learnt(&self) -> bool {
        !self.vocabularies.0.is_empty()
    }

    /// How many source and target terms it knows.
    pub fn len(&self) -> (usize, usize) {
        (self.source.len(), self.target.len())
    }

    /// Whether it knows nothing.
    pub fn is_empty(&self) -> bool {
        self.source.len() == 0
    }
}

fn raise(shares: &mut Vec<f32>, number: u32, share: f32) {
    let at = number as usize;
    if shares.len() <= at {
        shares.resize(at + 1, 0.0);
    }
    shares[at] = shares[at].max(share);
}
