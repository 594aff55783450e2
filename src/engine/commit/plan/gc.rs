//! Plans the removal of old requests and of what deleted memories have left, a step at a time.

use crate::limits::BATCH_UNITS_MAX;
use crate::store::{Commit, MemoryRecord, UnitWrite};
use crate::unit::Timestamp;

use super::Planner;
use crate::engine::commit::outcome::Outcome;
use crate::engine::commit::outcome::Reply;
use crate::engine::error::EngineError;

/// Requests forgotten in one commit.
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
        let doomed = self.all_memories().find(|record| record.deleted && record.unit_count > 0);
        if let Some(mut record) = doomed.cloned() {
            let units = self.basis.backend.store.page(record.key, None, BATCH_UNITS_MAX)?;
            record.unit_count = record.unit_count.saturating_sub(units.len() as u64);
            if units.is_empty() {
                record.unit_count = 0;
            }
            commit.units.extend(units.iter().map(|unit| UnitWrite::Purge(record.key, unit.id)));
            self.put_counters(record, commit);
            return reply(true);
        }
        self.collect(before, commit);
        commit.forgotten = self.basis.backend.store.requests_before(before, FORGET_REQUESTS_MAX)?;
        reply(commit.forgotten.len() == FORGET_REQUESTS_MAX)
    }

    /// Lets the records go of memories that were deleted before a moment and hold nothing any more. The one with the greatest
    /// number stays, so that no number is given out twice.
    fn collect(&mut self, before: Timestamp, commit: &mut Commit) {
        let newest = self.greatest_key();
        let is_over = |it: &&MemoryRecord| {
            it.deleted && it.unit_count == 0 && it.changed < before && Some(it.key) != newest
        };
        let over = self.all_memories().filter(is_over).take(FORGET_REQUESTS_MAX);
        commit.collected = over.map(|record| record.key).collect();
        for key in commit.collected.clone() {
            self.set_record(key, None);
        }
    }
}
