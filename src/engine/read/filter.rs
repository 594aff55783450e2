//! Filters units by document, author, date and attributes, during a search.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Mutex, PoisonError};

use crate::matching::Filter;
use crate::store::{MemoryKey, Store, StoreError};
use crate::unit::{Timestamp, Unit, UnitId};

/// Conditions on a unit other than its text; empty ones accept every unit.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct UnitFilter {
    /// Its document is one of these.
    pub documents: BTreeSet<String>,
    /// Its author is one of these.
    pub authors: BTreeSet<String>,
    /// It was changed at this time or later.
    pub changed_from: Option<Timestamp>,
    /// It was changed before this time.
    pub changed_before: Option<Timestamp>,
    /// It has every one of these attributes, with this value.
    pub attributes: BTreeMap<String, String>,
}

impl UnitFilter {
    /// Whether a unit meets all conditions.
    pub fn accepts(&self, unit: &Unit) -> bool {
        let content = &unit.content;
        let among = |names: &BTreeSet<String>, name| names.is_empty() || names.contains(name);
        let changed = content.changed.unwrap_or_default();
        let stored = &content.attributes;
        among(&self.documents, &content.document)
            && among(&self.authors, &content.author)
            && self.changed_from.is_none_or(|from| changed >= from)
            && self.changed_before.is_none_or(|before| changed < before)
            && self.attributes.iter().all(|(key, value)| stored.get(key) == Some(value))
    }

    /// Runs a search of a memory with this filter. Attributes are read from the store, only for units that meet the other
    /// conditions.
    ///
    /// # Errors
    /// The store's.
    pub(crate) fn run<T>(
        &self,
        store: &dyn Store,
        memory: MemoryKey,
        search: impl FnOnce(Filter<'_>) -> T,
    ) -> Result<T, StoreError> {
        let failure = Mutex::new(None);
        let accept = |unit: UnitId| match store.units(memory, &[unit]) {
            Ok(units) => units.into_iter().flatten().any(|unit| {
                let stored = &unit.content.attributes;
                self.attributes.iter().all(|(key, value)| stored.get(key) == Some(value))
            }),
            Err(error) => {
                failure.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(error);
                false
            }
        };
        let some = |names: &'_ BTreeSet<String>| !names.is_empty();
        let found = search(Filter {
            documents: Some(&self.documents).filter(|names| some(names)),
            authors: Some(&self.authors).filter(|names| some(names)),
            changed_from: self.changed_from,
            changed_before: self.changed_before,
            accept: if self.attributes.is_empty() { None } else { Some(&accept) },
        });
        match failure.into_inner().unwrap_or_else(PoisonError::into_inner) {
            Some(error) => Err(error),
            None => Ok(found),
        }
    }
}
