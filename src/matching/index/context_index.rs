//! Finds the units that a new unit repeats or replaces among thousands with one source, by hashes of their contexts.
//!
//! Without it, importing a sentence in ever more contexts would take ever longer.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::matching::encode::Question;

use super::rows::Rows;

/// The rows of one source in one set by their context keys.
#[derive(Debug)]
pub(crate) struct ContextIndex {
    /// Half a key and a row, in order of key and then of change. A collision costs one look at the row.
    rows: Vec<(u32, u32)>,
}

impl ContextIndex {
    fn new(rows: &Rows, run: &[u32], question: Question) -> Self {
        let facts = |row: u32| rows.facts(row as usize);
        let mut run = run.to_vec();
        run.sort_by_cached_key(|&row| (facts(row).changed, facts(row).unit));
        let of_row = |row: u32| {
            let keys = facts(row).identity().stored_keys(question);
            keys.map(move |key| (half(key), row))
        };
        let mut rows: Vec<(u32, u32)> = run.into_iter().flat_map(of_row).collect();
        rows.sort_by_key(|&(key, _)| key);
        rows.shrink_to_fit();
        Self { rows }
    }

    /// Rows with a key, and perhaps some others; the one changed last comes first.
    pub(crate) fn with_key(&self, key: u64) -> impl Iterator<Item = u32> {
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

/// The indexes of one set, built when first asked for. Most sets have none.
#[derive(Debug, Default)]
pub(crate) struct ContextIndexes {
    built: Mutex<BTreeMap<(u64, Question), Arc<ContextIndex>>>,
}

impl ContextIndexes {
    /// Returns the index of a source with these rows.
    pub(crate) fn of(
        &self,
        (rows, source_hash): (&Rows, u64),
        run: &[u32],
        question: Question,
    ) -> Arc<ContextIndex> {
        let mut built = self.built();
        let context_index = built.entry((source_hash, question));
        Arc::clone(
            context_index.or_insert_with(|| Arc::new(ContextIndex::new(rows, run, question))),
        )
    }

    pub(crate) fn bytes(&self) -> usize {
        self.built()
            .values()
            .map(|context_index| size_of::<(u32, u32)>() * context_index.rows.capacity())
            .sum()
    }

    fn built(&self) -> MutexGuard<'_, BTreeMap<(u64, Question), Arc<ContextIndex>>> {
        self.built.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
