//! Plans garbage collection: removes old requests and the units and records of deleted memories, a step at a time.

use crate::limits::BATCH_UNITS_MAX;
use crate::store::{Commit, MemoryRecord, UnitWrite};
use crate::unit::Timestamp;

use super::Planner;
use crate::engine::commit::outcome::{Outcome, Reply};
use crate::engine::error::EngineError;

/// Most requests or memories removed in one commit.
const FORGET_REQUESTS_MAX: usize = 1_000;

impl Planner<'_> {
    /// Removes some old requests or some units of deleted memories.
    pub(super) fn collect_garbage(
        &mut self,
        before: Timestamp,
        commit: &mut Commit,
    ) -> Result<Reply, EngineError> {
        let reply = |more| {
            let outcome = Outcome::Collected { more };
            Ok(Reply::of(outcome))
        };
        let deleted = self.all_memories().find(|record| record.deleted && record.unit_count > 0);
        if let Some(mut record) = deleted.cloned() {
            let units = self.basis.backend.store.page(record.key, None, BATCH_UNITS_MAX)?;
            record.unit_count = record.unit_count.saturating_sub(units.len() as u64);
            if units.is_empty() {
                record.unit_count = 0;
            }
            commit.units.extend(units.iter().map(|unit| UnitWrite::Purge(record.key, unit.id)));
            self.put_counters(record, commit);
            return reply(true);
        }
        self.collect_memories(before, commit);
        commit.forgotten = self.basis.backend.store.requests_before(before, FORGET_REQUESTS_MAX)?;
        reply(commit.forgotten.len() == FORGET_REQUESTS_MAX)
    }

    /// Removes the records of memories that were deleted before a time and hold no units. The one with the greatest number is kept,
    /// so that no number is reused.
    fn collect_memories(&mut self, before: Timestamp, commit: &mut Commit) {
        let newest = self.greatest_key();
        let is_expired = |it: &&MemoryRecord| {
            it.deleted && it.unit_count == 0 && it.changed < before && Some(it.key) != newest
        };
        let expired = self.all_memories().filter(is_expired).take(FORGET_REQUESTS_MAX);
        commit.collected = expired.map(|record| record.key).collect();
        for key in commit.collected.clone() {
            self.set_record(key, None);
        }
    }
}
