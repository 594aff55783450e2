//! Defines when an imported unit duplicates a stored one, and when it replaces one.
//!
//! Context is part of a unit's identity: the same pair of texts between other neighbours, or under another key, is another unit.
//! One unit with a list of contexts would take less space, but author, document, dates and attributes belong to a single
//! occurrence, and so do deletion, export and revision. `docs/contexts.md` gives the cost. A lookup returns a pair once, in the
//! context that fits best, however many units it has.

use crate::unit::UnitContent;

/// Whether a unit duplicates a stored one: it has the same texts and tags, and its context is a part of the stored one's. Every
/// context match of `new` is also one of `stored`, so nothing is lost: a file without contexts adds nothing to the same file with
/// contexts.
pub(crate) fn repeats(new: &UnitContent, stored: &UnitContent) -> bool {
    fn covered<T: PartialEq>((new, stored): (Option<T>, Option<T>)) -> bool {
        new.is_none() || new == stored
    }
    let [previous, next] = neighbours(new, stored);
    new.source == stored.source
        && new.target == stored.target
        && covered(previous)
        && covered(next)
        && covered((new.context_key(), stored.context_key()))
}

/// Number of context fields on which two translations of one source agree; `None` when the sources differ, or a known field of
/// both contexts does. A new translation replaces the one in its own context, and keeps those in others.
pub(crate) fn agreement(new: &UnitContent, stored: &UnitContent) -> Option<usize> {
    fn compare<T: PartialEq>(pair: (Option<T>, Option<T>)) -> Option<usize> {
        match pair {
            (Some(new), Some(stored)) => (new == stored).then_some(1),
            _ => Some(0),
        }
    }
    if new.source != stored.source {
        return None;
    }
    let [previous, next] = neighbours(new, stored);
    let key = compare((new.context_key(), stored.context_key()))?;
    Some(compare(previous)? + compare(next)? + key)
}

/// The previous and next neighbours of both.
fn neighbours(new: &UnitContent, stored: &UnitContent) -> [(Option<u64>, Option<u64>); 2] {
    let (new, stored) = (new.context, stored.context);
    [(new.previous, stored.previous), (new.next, stored.next)]
}
