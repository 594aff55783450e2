//! The stored units with the source of a new one: which of them it repeats, and which it may replace.

use std::cell::Cell;
use std::sync::Arc;

use crate::matching::encode::{Identity, Question};
use crate::unit::{Timestamp, UnitId};

use super::sets::Snapshot;

/// The stored units of one source, in one snapshot.
pub struct SameSource {
    snapshot: Arc<Snapshot>,
    source_hash: u64,
    looked: Cell<usize>,
}

/// How well a unit suits to be replaced: the number of parts in which the contexts agree, then the newest.
pub type Rank = (usize, Timestamp, UnitId);

impl SameSource {
    pub(crate) fn new(snapshot: Arc<Snapshot>, source_hash: u64) -> Self {
        Self { snapshot, source_hash, looked: Cell::new(0) }
    }

    /// Whether `accept` accepts a unit that `new` [may repeat](Identity::may_repeat). Stops at the first.
    ///
    /// # Errors
    ///
    /// Errors of `accept`.
    pub fn repeated<E>(
        &self,
        new: Identity,
        mut accept: impl FnMut(UnitId) -> Result<bool, E>,
    ) -> Result<bool, E> {
        let mut found = Ok(false);
        for set in &self.snapshot.sets {
            set.candidates(new, Question::Repeats, &mut |facts| {
                self.look();
                if new.may_repeat(facts.identity()) {
                    found = accept(facts.unit);
                }
                !matches!(found, Ok(false))
            });
            if !matches!(found, Ok(false)) {
                break;
            }
        }
        found
    }

    /// The unit that `new` should replace, among those that [may share its place](Identity::may_share_place) and are
    /// `usable`.
    pub fn best_place(&self, new: Identity, usable: impl Fn(UnitId) -> bool) -> Option<Rank> {
        let mut best = None;
        for set in &self.snapshot.sets {
            set.candidates(new, Question::Places, &mut |facts| {
                self.look();
                let identity = facts.identity();
                let fits = new.may_share_place(identity) && usable(facts.unit);
                if fits {
                    best = best.max(Some((new.agreement(identity), facts.changed, facts.unit)));
                }
                fits
            });
        }
        best
    }

    /// All units, in order of number.
    pub fn all(&self) -> Vec<(UnitId, Identity)> {
        let sets = self.snapshot.sets.iter();
        let mut all: Vec<_> = sets.flat_map(|set| set.with_hash(self.source_hash)).collect();
        all.sort_unstable();
        all
    }

    /// Rows examined so far.
    pub fn looked(&self) -> usize {
        self.looked.get()
    }

    fn look(&self) {
        self.looked.set(self.looked.get() + 1);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::matching::{
        CONTEXT_INDEX_UNITS_MIN, ContentHash, Facts, Form, IndexChange, IndexEntry, MemoryIndex,
    };
    use crate::unit::Context;

    const SOURCE: u64 = 5;

    fn facts(place: u64) -> Facts {
        // One in ten knows only one neighbour.
        let previous = (!place.is_multiple_of(10)).then_some(place);
        let context = Context { previous, next: Some(2 * place), ..Context::default() };
        let content_hash = ContentHash::new(77 << 40, None);
        Facts { source_hash: SOURCE, content_hash, context, ..Facts::default() }
    }

    fn put(place: u64) -> IndexChange {
        let (form, target) = (Form::default(), Form::default());
        IndexChange::Put(IndexEntry { unit: UnitId(place), form, target, facts: facts(place) })
    }

    /// The unit that it repeats, the unit that it replaces, and the rows examined.
    fn ask(index: &MemoryIndex, new: Identity) -> (Option<UnitId>, Option<UnitId>, usize) {
        let Some(same) = index.same_source(SOURCE) else { return (None, None, 0) };
        let mut repeated = None;
        let found = same.repeated(new, |unit| {
            repeated = Some(unit);
            Ok::<_, ()>(true)
        });
        assert_eq!(found, Ok(repeated.is_some()));
        let place = same.best_place(new, |_| true).map(|(_, _, unit)| unit);
        (repeated, place, same.looked())
    }

    #[test]
    fn twenty_thousand_contexts_of_one_sentence_take_few_steps_each() {
        const UNITS: u64 = 20_000;
        const BATCHES: u64 = 40;
        let index = MemoryIndex::new();
        for number in 0..BATCHES {
            let first = number * UNITS / BATCHES + 1;
            let batch = first..first + UNITS / BATCHES;
            for place in batch.clone() {
                let (repeated, best, looked) = ask(&index, facts(place).identity());
                assert_eq!((repeated, best), (None, None), "{place}");
                assert!(looked <= 2 * CONTEXT_INDEX_UNITS_MIN, "{place}: {looked} steps");
            }
            index.apply_in_bulk(&batch.map(put).collect::<Vec<_>>());
        }
        index.settle();
        for place in (1..=UNITS).step_by(97) {
            let full = facts(place);
            let only_next = Context { previous: None, ..full.context };
            for context in [full.context, only_next] {
                let new = Facts { context, ..full.clone() }.identity();
                let unit = Some(UnitId(place));
                let (repeated, best, looked) = ask(&index, new);
                assert_eq!((repeated, best), (unit, unit), "{place}");
                assert!(looked <= 2 * CONTEXT_INDEX_UNITS_MIN, "{place}: {looked} steps");
            }
        }
    }
}
