//! Finds planned units by their source, as [`SameSource`](crate::matching::SameSource) does for units in an index.

use std::collections::BTreeSet;
use std::sync::Arc;

use crate::matching::{CONTEXT_INDEX_UNITS_MIN, Identity, Question};
use crate::unit::{Timestamp, Unit, UnitId};

/// Planned units with one source, including revisions that the plan has replaced since.
#[derive(Default)]
pub(super) struct Planned {
    units: Vec<PlannedUnit>,
    /// Keys of all units, once there are many.
    keys: Option<Box<Keys>>,
}

pub(super) struct PlannedUnit {
    pub(super) identity: Identity,
    pub(super) unit: Arc<Unit>,
}

/// A key, then the order of change, then the index of the unit in the list.
type Key = (u64, Option<Timestamp>, UnitId, usize);

#[derive(Default)]
struct Keys {
    repeats: BTreeSet<Key>,
    places: BTreeSet<Key>,
}

impl Planned {
    pub(super) fn push(&mut self, identity: Identity, unit: Arc<Unit>) {
        self.units.push(PlannedUnit { identity, unit });
        match &mut self.keys {
            Some(keys) => keys.insert(&self.units, self.units.len() - 1),
            None if self.units.len() >= CONTEXT_INDEX_UNITS_MIN => {
                let keys = self.keys.insert(Box::default());
                (0..self.units.len()).for_each(|at| keys.insert(&self.units, at));
            }
            None => {}
        }
    }

    /// Passes candidates to `take`, among them every unit that answers a question about `new`. Duplicates are passed until one is
    /// taken. Units to replace are all passed while there are few; with keys, until one of each key is taken, latest change first.
    pub(super) fn candidates<'a>(
        &'a self,
        new: Identity,
        question: Question,
        take: &mut dyn FnMut(&'a PlannedUnit) -> bool,
    ) {
        match (&self.keys, question) {
            (None, Question::Repeats) => {
                self.units.iter().any(&mut *take);
            }
            (None, Question::Places) => self.units.iter().for_each(|unit| {
                take(unit);
            }),
            (Some(keys), Question::Repeats) => {
                with_key(&keys.repeats, new.repeats_key()).any(|at| take(&self.units[at]));
            }
            (Some(keys), Question::Places) => new.place_keys().for_each(|key| {
                with_key(&keys.places, key).any(|at| take(&self.units[at]));
            }),
        }
    }

    pub(super) fn units(&self) -> &[PlannedUnit] {
        &self.units
    }
}

impl Keys {
    fn insert(&mut self, units: &[PlannedUnit], at: usize) {
        let PlannedUnit { identity, unit } = &units[at];
        let place = |key| (key, unit.content.changed, unit.id, at);
        self.repeats.extend(identity.stored_keys(Question::Repeats).map(place));
        self.places.extend(identity.stored_keys(Question::Places).map(place));
    }
}

/// The units with a key, latest change first.
fn with_key(keys: &BTreeSet<Key>, key: u64) -> impl Iterator<Item = usize> {
    let first = (key, None, UnitId(0), 0);
    let last = (key, Some(Timestamp { micros: i64::MAX }), UnitId(u64::MAX), usize::MAX);
    keys.range(first..=last).rev().map(|key| key.3)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::matching::{ContentHash, Facts};
    use crate::unit::{Context, UnitContent};

    fn identity(place: u64) -> Identity {
        let context =
            Context { previous: Some(place), next: Some(place / 3), ..Context::default() };
        let content_hash = ContentHash::new(77 << 40, None);
        Facts { source_hash: 5, content_hash, context, ..Facts::default() }.identity()
    }

    #[test]
    fn a_unit_is_found_among_thousands_in_few_steps() {
        let mut planned = Planned::default();
        for place in 1..=6_000 {
            let changed = Some(Timestamp { micros: 1 });
            let content = UnitContent { changed, ..UnitContent::default() };
            let unit = Unit::new(UnitId(place), 1, content);
            let new = identity(place);
            let mut steps = 0;
            planned.candidates(new, Question::Repeats, &mut |it| {
                steps += 1;
                new.may_repeat(it.identity)
            });
            planned.candidates(new, Question::Places, &mut |it| {
                steps += 1;
                new.may_share_place(it.identity)
            });
            assert!(steps <= 2 * CONTEXT_INDEX_UNITS_MIN, "{place}: {steps}");
            planned.push(new, Arc::new(unit));
        }
        for place in [1, 2, 3_000, 6_000] {
            for question in [Question::Repeats, Question::Places] {
                let mut found = Vec::new();
                planned.candidates(identity(place), question, &mut |it| {
                    found.push(it.unit.id);
                    false
                });
                assert_eq!(found, [UnitId(place)]);
            }
        }
    }
}
