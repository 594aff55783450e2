//! Finds changed units in the commit log and applies their current state from the store to an index.

use std::collections::BTreeSet;

use rayon::iter::{IntoParallelIterator as _, ParallelIterator as _};

use crate::engine::error::EngineError;
use crate::limits::{LOAD_PAGE_UNITS, WATCH_PAGE_COMMITS};
use crate::matching::IndexChange;
use crate::store::{ChangeKind, CommitLog, MemoryKey, Sequence, Store, StoreError};
use crate::unit::UnitId;

use super::catalog::Memory;
use super::encoding;

/// Units of a memory whose content has changed after a commit.
pub(crate) fn changed_since(
    log: &dyn CommitLog,
    memory: MemoryKey,
    mut after: Sequence,
) -> Result<BTreeSet<UnitId>, StoreError> {
    let mut units = BTreeSet::new();
    loop {
        let records = log.read(after, WATCH_PAGE_COMMITS)?;
        let Some(last) = records.last() else { return Ok(units) };
        after = last.sequence;
        let changes = records.iter().flat_map(|record| &record.changes);
        let changes = changes.filter(|it| it.memory == memory && it.kind != ChangeKind::Used);
        units.extend(changes.map(|it| it.unit));
    }
}

/// Updates units in an index to their state in the store.
pub(crate) fn apply_from_store(
    store: &dyn Store,
    memory: &Memory,
    units: BTreeSet<UnitId>,
) -> Result<(), StoreError> {
    let ids: Vec<UnitId> = units.into_iter().collect();
    for ids in ids.chunks(LOAD_PAGE_UNITS) {
        let units = store.units(memory.key, ids)?;
        let units: Vec<_> = ids.iter().copied().zip(units).collect();
        let change = |(id, unit)| match unit {
            Some(unit) => IndexChange::Put(encoding::entry(&unit, &memory.analyzers)),
            None => IndexChange::Remove(id),
        };
        memory.index.apply(&units.into_par_iter().map(change).collect::<Vec<_>>());
    }
    Ok(())
}

/// Checks that the log holds every commit after this one.
///
/// # Errors
/// [`EngineError::LogTruncated`].
pub(crate) fn check_held(log: &dyn CommitLog, after: Sequence) -> Result<(), EngineError> {
    let oldest = log.start()?.sequence;
    if after < oldest {
        return Err(EngineError::LogTruncated { asked: after.0 + 1, oldest });
    }
    Ok(())
}
