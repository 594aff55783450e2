//! Lists the earlier contents of a unit, as far as the store still holds them.

use crate::limits::HISTORY_LOOK_REVISIONS;
use crate::unit::{MemoryName, Unit, UnitId};

use crate::engine::Engine;
use crate::engine::cancel::Cancel;
use crate::engine::error::EngineError;

/// Some revisions of a unit, the newest first.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RevisionPage {
    /// The unit at each of them. There may be fewer than asked for, or none, before the last page.
    pub units: Vec<Unit>,
    /// The next page holds revisions below this one; `None` after the last page.
    pub before: Option<u64>,
}

impl Engine {
    /// The revisions of a unit that gave it another content, the newest first, from the first one below `before`: those that the store
    /// holds, of which the oldest is always one. Revisions that only count uses are not among them.
    ///
    /// # Errors
    /// No such memory or unit; cancelled; the store.
    pub fn unit_revisions(
        &self,
        name: &MemoryName,
        id: UnitId,
        before: Option<u64>,
        limit: usize,
        cancel: &Cancel,
    ) -> Result<RevisionPage, EngineError> {
        let store = self.backend.store.as_ref();
        let current = self.unit(name, id)?;
        let key = self.named(name)?.key;
        let version = |revision: u64| match revision {
            0 => Ok(None),
            revision if revision == current.revision => Ok(Some(current.clone())),
            revision => store.version(key, id, revision),
        };
        let newest = before
            .map_or(current.revision, |before| before.saturating_sub(1).min(current.revision));
        let mut units = Vec::new();
        let mut at = version(newest)?;
        let mut examined = 0;
        while let Some(unit) = at {
            if units.len() == limit || examined == HISTORY_LOOK_REVISIONS {
                return Ok(RevisionPage { units, before: Some(unit.revision + 1) });
            }
            if cancel.is_cancelled() {
                return Err(EngineError::Cancelled);
            }
            examined += 1;
            let older = version(unit.revision - 1)?;
            if older.as_ref().is_none_or(|older| older.content != unit.content) {
                units.push(unit);
            }
            at = older;
        }
        Ok(RevisionPage { units, before: None })
    }
}
