//! Which of thousands of units with one source does a new one repeat, or take the place of? Looked up by what is known of
//! their contexts, so that a sentence in ever more contexts does not take ever longer to import.
//!
//! Knows nothing of texts, and of rows only their facts.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::hashes::Identity;
use super::rows::Rows;

/// From this many units with one source on, they are looked up. Fewer are read through, which needs no memory.
pub const CROWD_UNITS_MIN: usize = 32;

/// What is asked about units with one source.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Question {
    /// Which may a new unit repeat? See [`Identity::may_repeat`].
    Repeats,
    /// Which may it take the place of? See [`Identity::may_share_place`].
    Places,
}

/// Parts of a context, a bit each.
type Parts = usize;

const ALL_PARTS: Parts = 0b111;

impl Identity {
    /// The keys under which a stored unit is found: one for each choice of the known parts of its context, so that a
    /// question that knows only some parts is one lookup.
    pub fn stored_keys(self, question: Question) -> impl Iterator<Item = u64> {
        let known = self.known();
        let tag = match question {
            Question::Repeats => self.pair(),
            Question::Places => known as u64,
        };
        (0..=ALL_PARTS)
            .filter(move |parts| parts & !known == 0)
            .map(move |parts| self.key(tag, parts))
    }

    /// The key of all units that this one may repeat: those with the same texts that agree in every part known of it.
    pub fn repeats_key(self) -> u64 {
        self.key(self.pair(), self.known())
    }

    /// The keys of all units whose place this one may take: one for each choice of parts that may be known of a stored unit.
    pub fn place_keys(self) -> impl Iterator<Item = u64> {
        let known = self.known();
        (0..=ALL_PARTS).map(move |stored| self.key(stored as u64, stored & known))
    }

    /// In how many parts the contexts of two units of one place agree.
    pub fn agreement(self, other: Self) -> usize {
        let pairs = self.context().into_iter().zip(other.context());
        pairs.filter(|(a, b)| *a != 0 && a == b).count()
    }

    fn known(self) -> Parts {
        let bits = self.context().into_iter().enumerate();
        bits.fold(0, |parts, (bit, part)| parts | (usize::from(part != 0) << bit))
    }

    /// A hash of some parts of the context. A known part is never 0, so which parts they are need not go in.
    fn key(self, tag: u64, parts: Parts) -> u64 {
        let mix = |hash: u64, value: u32| {
            let mixed = (hash ^ u64::from(value)).wrapping_mul(0x9E37_79B9_7F4A_7C15);
            mixed ^ (mixed >> 32)
        };
        let chosen = self.context().into_iter().enumerate();
        let chosen = chosen.map(|(bit, part)| if parts >> bit & 1 == 1 { part } else { 0 });
        // The tag is mixed first: small ones would cancel out against the bits in which two parts differ.
        mix(chosen.fold(mix(tag, 0), mix), 0)
    }
}

/// The rows of one source in one set, by their keys.
#[derive(Debug)]
pub(super) struct Crowd {
    /// Half a key, and a row, those with one key in order of change. A false equal costs one look at the row.
    rows: Vec<(u32, u32)>,
}

impl Crowd {
    fn new(rows: &Rows, run: &[u32], question: Question) -> Self {
        let facts = |row: u32| rows.facts(row as usize);
        let mut run = run.to_vec();
        run.sort_by_key(|&row| (facts(row).changed, facts(row).unit));
        let of_row = |row: u32| {
            let keys = facts(row).identity().stored_keys(question);
            keys.map(move |key| (half(key), row))
        };
        let mut rows: Vec<(u32, u32)> = run.into_iter().flat_map(of_row).collect();
        rows.sort_by_key(|&(key, _)| key);
        rows.shrink_to_fit();
        Self { rows }
    }

    /// Rows with a key, the one that was changed last first; among them perhaps others.
    pub(super) fn with_key(&self, key: u64) -> impl Iterator<Item = u32> {
        let key = half(key);
        let from = self.rows.partition_point(|&(it, _)| it < key);
        let same = self.rows[from..].partition_point(|&(it, _)| it == key);
        self.rows[from..from + same].iter().rev().map(|&(_, row)| row)
    }
}

fn half(key: u64) -> u32 {
    // The upper half is mixed best.
    (key >> 32) as u32
}

/// The crowds of one set that were asked about. Most sets have none, or are never asked.
#[derive(Debug, Default)]
pub(super) struct Crowds {
    built: Mutex<BTreeMap<(u64, Question), Arc<Crowd>>>,
}

impl Crowds {
    /// The crowd of a source with these rows.
    pub(super) fn of(
        &self,
        (rows, source_hash): (&Rows, u64),
        run: &[u32],
        question: Question,
    ) -> Arc<Crowd> {
        let mut built = self.built();
        let crowd = built.entry((source_hash, question));
        Arc::clone(crowd.or_insert_with(|| Arc::new(Crowd::new(rows, run, question))))
    }

    pub(super) fn bytes(&self) -> usize {
        self.built().values().map(|crowd| size_of::<(u32, u32)>() * crowd.rows.capacity()).sum()
    }

    fn built(&self) -> MutexGuard<'_, BTreeMap<(u64, Question), Arc<Crowd>>> {
        self.built.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
