//! Stores the translation probabilities of terms, one table per direction.
//!
//! Knows nothing of sentences or of training.

use std::collections::HashMap;

use foldhash::fast::FixedState;
use serde::{Deserialize, Serialize};

use crate::alignment::features::{Vocabulary, length_u32};

use super::hmm::Jumps;

/// Interned terms of one language.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(from = "Vec<Box<str>>", into = "Vec<Box<str>>")]
pub(crate) struct TermNumbers {
    texts: Vec<Box<str>>,
    numbers: HashMap<Box<str>, u32, FixedState>,
    /// See [`Self::is_clitic`].
    clitics: Vec<bool>,
}

impl From<Vec<Box<str>>> for TermNumbers {
    fn from(texts: Vec<Box<str>>) -> Self {
        let numbers = texts.iter().cloned().zip(0..).collect();
        let clitics = texts.iter().map(|it| is_clitic(it)).collect();
        Self { texts, numbers, clitics }
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
        self.clitics.push(is_clitic(text));
        self.numbers.insert(text.into(), number);
        number
    }

    pub(crate) fn find(&self, text: &str) -> Option<u32> {
        self.numbers.get(text).copied()
    }

    /// Whether a term is a clitic or punctuation, which `Side::new` leaves out.
    pub(crate) fn is_clitic(&self, number: u32) -> bool {
        self.clitics[number as usize]
    }

    /// The terms in the order of their numbers.
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
    /// For each term: its observations, and where its translations end.
    rows: Vec<(f32, u32)>,
    /// Translations with their probabilities, sorted by translation within a term.
    entries: Vec<(u32, f32)>,
}

impl Table {
    /// Builds a table from the observations and translations of each term, in order.
    pub(crate) fn new(rows: impl IntoIterator<Item = (f32, Vec<(u32, f32)>)>) -> Self {
        let mut table = Self::default();
        for (mass, mut entries) in rows {
            entries.sort_unstable_by_key(|entry| entry.0);
            table.entries.extend(entries);
            table.rows.push((mass, length_u32(table.entries.len())));
        }
        table
    }

    /// The observations of a term, and its translations.
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
    /// Target terms by source term.
    pub(crate) forward: Table,
    /// Source terms by target term.
    pub(crate) backward: Table,
    /// Share of each source term, and of each target term, in running text.
    pub(crate) shares: (Vec<f32>, Vec<f32>),
    /// Jumps between source words in target order, and between target words in source order.
    pub(crate) jumps: (Jumps, Jumps),
    /// Counts of unsplit words, which decide where clitics are split off.
    pub(crate) vocabularies: (Vocabulary, Vocabulary),
}

/// A pair of terms that may translate each other.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Pair<'a> {
    pub(crate) source: &'a str,
    pub(crate) target: &'a str,
    /// Relative to other translations of a term.
    pub(crate) weight: f32,
    /// Share of both terms in running text.
    pub(crate) share: f32,
}

impl Lexicon {
    /// Builds a lexicon from weighted pairs: the translations of a term share its probability by weight, and each counts as
    /// `mass` observations.
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

    /// Whether it was trained on texts.
    pub(crate) fn is_trained(&self) -> bool {
        !self.vocabularies.0.is_empty()
    }

    /// Number of source and target terms.
    pub fn len(&self) -> (usize, usize) {
        (self.source.len(), self.target.len())
    }

    /// Whether it has no terms.
    pub fn is_empty(&self) -> bool {
        self.source.len() == 0
    }
}

fn is_clitic(text: &str) -> bool {
    text.contains('+') || text.chars().all(|it| !it.is_alphanumeric()) && text != "?"
}

fn raise(shares: &mut Vec<f32>, number: u32, share: f32) {
    let at = number as usize;
    if shares.len() <= at {
        shares.resize(at + 1, 0.0);
    }
    shares[at] = shares[at].max(share);
}
