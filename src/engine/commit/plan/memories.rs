//! Plans the creation, change and deletion of memories.

use crate::store::{Commit, MemoryKey, MemoryRecord};
use crate::unit::{Scoring, UnitId};

use super::{Planner, check_expected};
use crate::engine::commit::outcome::{Outcome, Reply};
use crate::engine::commit::work::{Etag, MemoryPatch, NewMemory};
use crate::engine::error::EngineError;
use crate::engine::etag::memory_etag;

impl Planner<'_> {
    pub(super) fn create_memory(
        &mut self,
        new: &NewMemory,
        commit: &mut Commit,
    ) -> Result<Reply, EngineError> {
        if self.named(&new.name).is_some() {
            return Err(EngineError::MemoryExists(new.name.clone()));
        }
        let key = self.greatest_key().map_or(MemoryKey(1), |key| MemoryKey(key.0 + 1));
        let record = MemoryRecord {
            key,
            name: new.name.clone(),
            display_name: new.display_name.clone(),
            description: new.description.clone(),
            source_lang: new.source_lang.clone(),
            target_lang: new.target_lang.clone(),
            created: self.basis.now,
            changed: self.basis.now,
            revision: 1,
            unit_count: 0,
            next_unit: UnitId(1),
            deleted: false,
            unfinished_penalty: new.unfinished_penalty,
            scoring: new.scoring.clone(),
        };
        self.put_record(record.clone(), commit);
        Ok(memory_reply(record))
    }

    pub(super) fn update_memory(
        &mut self,
        key: MemoryKey,
        patch: &MemoryPatch,
        expected: Option<&Etag>,
        commit: &mut Commit,
    ) -> Result<Reply, EngineError> {
        let mut record = self.record(key)?;
        check_memory(&record, expected)?;
        if let Some(display_name) = &patch.display_name {
            record.display_name.clone_from(display_name);
        }
        if let Some(description) = &patch.description {
            record.description.clone_from(description);
        }
        if let Some(penalty) = patch.unfinished_penalty {
            record.unfinished_penalty = penalty;
        }
        if let Some(penalty) = patch.default_penalty {
            record.scoring.default_penalty = penalty;
        }
        if let Some(rules) = &patch.penalty_rules {
            record.scoring.penalty_rules.clone_from(rules);
        }
        if let Some(mode) = patch.context_mode {
            record.scoring.context_mode = mode;
        }
        record.revision += 1;
        record.changed = self.basis.now;
        self.put_record(record.clone(), commit);
        Ok(memory_reply(record))
    }

    pub(super) fn delete_memory(
        &mut self,
        key: MemoryKey,
        force: bool,
        expected: Option<&Etag>,
        commit: &mut Commit,
    ) -> Result<Reply, EngineError> {
        let mut record = self.record(key)?;
        check_memory(&record, expected)?;
        if record.unit_count > 0 && !force {
            return Err(EngineError::MemoryNotEmpty(record.name, record.unit_count));
        }
        record.deleted = true;
        record.changed = self.basis.now;
        // The small rest of the record is kept as long as requests that may name it.
        record.display_name.clear();
        record.description.clear();
        record.scoring = Scoring::default();
        self.put_record(record, commit);
        Ok(Reply::of(Outcome::DeletedFrom(key)))
    }
}

fn check_memory(record: &MemoryRecord, expected: Option<&Etag>) -> Result<(), EngineError> {
    let name = || record.name.resource();
    check_expected(name, expected, || memory_etag(record))
}

fn memory_reply(record: MemoryRecord) -> Reply {
    let outcome = Outcome::of_memory(&record);
    Reply { memory: Some(record), ..Reply::of(outcome) }
}
