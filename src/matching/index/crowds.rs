//! Which of thousands of units with one source does a new one repeat, or take the place of? Looked up by what is known of
//! their contexts, so that a sentence in ever more contexts does not take ever longer to import.
//!
//! Knows nothing of texts, and of rows only their facts.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::matching::encode::Question;

use super::rows::Rows;

/// The rows of one source in one set, by their keys.
#[derive(Debug)]
pub(crate) struct Crowd {
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

/// The crowds of one set that were asked about. Most sets have none, or are never asked.
#[derive(Debug, Default)]
pub(crate) struct Crowds {
    built: Mutex<BTreeMap<(u64, Question), Arc<Crowd>>>,
}

impl Crowds {
    /// The crowd of a source with these rows.
    pub(crate) fn of(
        &self,
        (rows, source_hash): (&Rows, u64),
        run: &[u32],
        question: Question,
    ) -> Arc<Crowd> {
        let mut built = self.built();
        let crowd = built.entry((source_hash, question));
        Arc::clone(crowd.or_insert_with(|| Arc::new(Crowd::new(rows, run, question))))
    }

    pub(crate) fn bytes(&self) -> usize {
        self.built().values().map(|crowd| size_of::<(u32, u32)>() * crowd.rows.capacity()).sum()
    }

    fn built(&self) -> MutexGuard<'_, BTreeMap<(u64, Question), Arc<Crowd>>> {
        self.built.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
