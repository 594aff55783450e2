//! Which units may be found? What a caller asks of document, author, date and attributes, inside the search.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Mutex, PoisonError};

use crate::matching::Filter;
use crate::store::{MemoryKey, Store, StoreError};
use crate::unit::{Timestamp, UnitId};

/// Everything that is asked of a unit beside its text; what is empty asks nothing.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct UnitFilter {
    /// Its document is one of these.
    pub documents: BTreeSet<String>,
    /// Its author is one of these.
    pub authors: BTreeSet<String>,
    /// It was changed at this moment or later.
    pub changed_from: Option<Timestamp>,
    /// It was changed before this moment.
    pub changed_before: Option<Timestamp>,
    /// It has every one of these attributes, with this value.
    pub attributes: BTreeMap<String, String>,
}

impl UnitFilter {
    /// Runs a search of a memory under this filter. Attributes are read from the store, and only of units that would be
    /// found otherwise.
    ///
    /// # Errors
    /// The store's.
    pub(super) fn run<T>(
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
