//! Which units of an import are in the memory already? The rules of repetition and replacement.
//!
//! Context is part of what a unit is: one pair of texts between other neighbours, or under another key, is another unit. A
//! unit that carried a list of contexts would take less room, but author, document, dates and attributes belong to one
//! occurrence each, and so do deletion, export and revision. What it costs is measured in the README. A lookup answers a
//! pair once, in the context that fits best, however many units it has.

use crate::unit::UnitContent;

/// Whether a unit repeats a stored one: same texts and tags, and nothing known of its context that is not known of the
/// stored one's. Every query that `new` would answer in context, `stored` answers in context, so nothing is lost with it:
/// a file without contexts adds nothing to one that had them.
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

/// What the contexts of two translations of one source have in common; `None` when the sources differ, or something is
/// known of both contexts and differs. A new translation replaces the one of its own place, and leaves those of others.
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

/// What came before and after, of both.
fn neighbours(new: &UnitContent, stored: &UnitContent) -> [(Option<u64>, Option<u64>); 2] {
    let (new, stored) = (new.context, stored.context);
    [(new.previous, stored.previous), (new.next, stored.next)]
}
