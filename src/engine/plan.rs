//! What does a write do to the store? Turns accepted work into commits, one after the other.
//!
//! The planner is the writer's private view: the store as it will be when everything planned so far is committed. It
//! decides under no lock because there is one writer. Knows nothing of threads, queues or fsync.

use std::collections::BTreeMap;
use std::sync::Arc;

use foldhash::{HashMap, HashMapExt as _};

use crate::limits::BATCH_UNITS_MAX;
use crate::matching::IndexChange;
use crate::store::{Commit, MemoryKey, MemoryRecord, RequestKey, RequestRecord, Store, UnitWrite};
use crate::unit::{MemoryName, Timestamp, Unit, UnitId};

use super::error::EngineError;
use super::memory::{Catalog, Memory};
use super::prepare::{Prepared, UnitPatch};
use super::work::{
    DuplicatePolicy, Idempotency, ImportBatch, ImportProgress, MemoryPatch, NewMemory, Outcome,
    Reply, UnitVerdict, Work,
};

/// The changes of one commit to one memory's index.
pub(super) struct IndexUpdate {
    pub(super) memory: MemoryKey,
    pub(super) changes: Vec<IndexChange>,
}

/// The store as it will be.
pub(super) struct Planner<'a> {
    store: &'a dyn Store,
    catalog: &'a Catalog,
    records: &'a mut BTreeMap<MemoryKey, MemoryRecord>,
    now: Timestamp,
    units: HashMap<(MemoryKey, UnitId), Option<Arc<Unit>>>,
    /// Units planned in this group by memory and source hash, with the hash of their whole content.
    by_source: HashMap<(MemoryKey, u64), Vec<(UnitId, u64)>>,
    requests: HashMap<RequestKey, RequestRecord>,
    /// Whether several batches of one import may be one transaction.
    together: bool,
    /// What was planned, in order.
    pub(super) commits: Vec<Commit>,
    pub(super) index_updates: Vec<IndexUpdate>,
}

impl<'a> Planner<'a> {
    pub(super) fn new(
        store: &'a dyn Store,
        catalog: &'a Catalog,
        records: &'a mut BTreeMap<MemoryKey, MemoryRecord>,
        now: Timestamp,
        together: bool,
    ) -> Self {
        Self {
            together,
            store,
            catalog,
            records,
            now,
            units: HashMap::new(),
            by_source: HashMap::new(),
            requests: HashMap::new(),
            commits: Vec::new(),
            index_updates: Vec::new(),
        }
    }

    /// Plans one write; an error leaves the plan as it was.
    pub(super) fn plan(
        &mut self,
        work: Work,
        idempotency: Option<Idempotency>,
    ) -> Result<Reply, EngineError> {
        let earlier = match idempotency {
            None => None,
            Some(idempotency) => self.earlier(idempotency)?,
        };
        if let Some(outcome) = &earlier
            && outcome.import().is_none()
        {
            return self.repeat(outcome.clone());
        }
        let mut commit = Commit { time: self.now, ..Commit::default() };
        let reply = match work {
            Work::CreateMemory(new) => self.create_memory(new, &mut commit),
            Work::UpdateMemory { memory, patch, expected } => {
                self.update_memory(memory, patch, expected, &mut commit)
            }
            Work::DeleteMemory { memory, force } => self.delete_memory(memory, force, &mut commit),
            Work::CreateUnits { memory, units } => self.create_units(memory, units, &mut commit),
            Work::UpdateUnit { memory, id, patch, expected } => {
                self.update_unit(memory, id, *patch, expected, &mut commit)
            }
            Work::DeleteUnit { memory, id, expected } => {
                self.delete_unit(memory, id, expected, &mut commit)
            }
            Work::ImportBatch(batch) => {
                let progress = earlier.and_then(|it| it.import()).unwrap_or_default();
                self.import(batch, progress, &mut commit)
            }
            Work::Tidy { before } => self.tidy(before, &mut commit),
            Work::Compacted => Ok(Reply::of(Outcome::Tidied { more: false })),
        }?;
        if commit == (Commit { time: self.now, ..Commit::default() }) {
            return Ok(reply);
        }
        if let Some(Idempotency { key, fingerprint, .. }) = idempotency {
            let outcome = postcard::to_stdvec(&reply.outcome)
                .map_err(|error| EngineError::Internal(error.to_string()))?;
            let record = RequestRecord { time: self.now, fingerprint, outcome };
            self.requests.insert(key, record.clone());
            commit.requests.push((key, record));
        }
        self.add(commit, reply.outcome.import().is_some());
        Ok(reply)
    }

    /// Adds a commit to the plan: a batch of an import to the transaction of the batch before it, where that is wanted and
    /// there is room, so that what costs the same for any number of units is paid less often.
    fn add(&mut self, commit: Commit, imports: bool) {
        if let Some(last) = self.commits.last_mut()
            && imports
            && self.together
            && last.units.len() + commit.units.len() <= BATCH_UNITS_MAX
            && last.requests.len() == 1
            && last.requests.iter().zip(&commit.requests).all(|(a, b)| a.0 == b.0)
            && last.memories.len() == 1
            && last.memories.iter().zip(&commit.memories).all(|(a, b)| a.key == b.key)
        {
            last.units.extend(commit.units);
            (last.memories, last.requests) = (commit.memories, commit.requests);
        } else {
            self.commits.push(commit);
        }
    }

    /// What was answered when this request came before.
    fn earlier(&self, idempotency: Idempotency) -> Result<Option<Outcome>, EngineError> {
        let record = match self.requests.get(&idempotency.key) {
            Some(record) => Some(record.clone()),
            None => self.store.request(idempotency.key)?,
        };
        remembered(record, idempotency)
    }

    /// Answers a repeated request with what it made, as it is now.
    fn repeat(&self, outcome: Outcome) -> Result<Reply, EngineError> {
        let mut reply = Reply::of(outcome);
        match &reply.outcome {
            Outcome::Memory(key) => reply.memory = self.records.get(key).cloned(),
            Outcome::Units(key, ids) => {
                for &id in ids {
                    reply.units.extend(self.unit(*key, id)?.as_deref().cloned());
                }
            }
            Outcome::Deleted
            | Outcome::Import(_)
            | Outcome::Imported(_)
            | Outcome::Tidied { .. } => {}
        }
        Ok(reply)
    }

    fn unit(&self, memory: MemoryKey, id: UnitId) -> Result<Option<Arc<Unit>>, EngineError> {
        if let Some(planned) = self.units.get(&(memory, id)) {
            return Ok(planned.clone());
        }
        Ok(self.store.units(memory, &[id])?.pop().flatten().map(Arc::new))
    }

    /// A memory that has not been deleted since the caller looked it up.
    fn record(&self, key: MemoryKey) -> Result<MemoryRecord, EngineError> {
        let record = self
            .records
            .get(&key)
            .ok_or_else(|| EngineError::Internal(format!("there is no memory number {}", key.0)))?;
        if record.deleted {
            return Err(EngineError::NoMemory(record.name.clone()));
        }
        Ok(record.clone())
    }

    fn put_record(&mut self, record: MemoryRecord, commit: &mut Commit) {
        commit.memories.push(record.clone());
        self.records.insert(record.key, record);
    }

    fn create_memory(&mut self, new: NewMemory, commit: &mut Commit) -> Result<Reply, EngineError> {
        if self.records.values().any(|record| !record.deleted && record.name == new.name) {
            return Err(EngineError::MemoryExists(new.name));
        }
        let key =
            self.records.last_key_value().map_or(MemoryKey(1), |(key, _)| MemoryKey(key.0 + 1));
        let record = MemoryRecord {
            key,
            name: new.name,
            display_name: new.display_name,
            description: new.description,
            source_lang: new.source_lang,
            target_lang: new.target_lang,
            created: self.now,
            changed: self.now,
            revision: 1,
            unit_count: 0,
            next_unit: UnitId(1),
            deleted: false,
        };
        self.put_record(record.clone(), commit);
        Ok(memory_reply(record))
    }

    fn update_memory(
        &mut self,
        key: MemoryKey,
        patch: MemoryPatch,
        expected: Option<u64>,
        commit: &mut Commit,
    ) -> Result<Reply, EngineError> {
        let mut record = self.record(key)?;
        check_revision(|| record.name.resource(), expected, record.revision)?;
        if let Some(display_name) = patch.display_name {
            record.display_name = display_name;
        }
        if let Some(description) = patch.description {
            record.description = description;
        }
        record.revision += 1;
        record.changed = self.now;
        self.put_record(record.clone(), commit);
        Ok(memory_reply(record))
    }

    fn delete_memory(
        &mut self,
        key: MemoryKey,
        force: bool,
        commit: &mut Commit,
    ) -> Result<Reply, EngineError> {
        let mut record = self.record(key)?;
        if record.unit_count > 0 && !force {
            return Err(EngineError::MemoryNotEmpty(record.name, record.unit_count));
        }
        record.deleted = true;
        record.changed = self.now;
        self.put_record(record, commit);
        Ok(Reply::of(Outcome::Deleted))
    }

    fn create_units(
        &mut self,
        key: MemoryKey,
        prepared: Vec<Prepared>,
        commit: &mut Commit,
    ) -> Result<Reply, EngineError> {
        let mut memory = OpenMemory::new(self.record(key)?);
        for unit in prepared {
            self.create(&mut memory, unit, commit);
        }
        self.close(memory, commit);
        let units = commit.units.iter().filter_map(UnitWrite::unit).cloned().collect::<Vec<_>>();
        let ids = units.iter().map(|unit| unit.id).collect();
        Ok(Reply { units, ..Reply::of(Outcome::Units(key, ids)) })
    }

    /// Adds a new unit to the plan.
    fn create(&mut self, memory: &mut OpenMemory, prepared: Prepared, commit: &mut Commit) {
        let id = memory.record.next_unit;
        memory.record.next_unit = UnitId(id.0 + 1);
        memory.record.unit_count += 1;
        let unit = self.put(memory, id, 1, None, prepared);
        commit.units.push(UnitWrite::Create(memory.record.key, unit));
    }

    /// Makes a unit visible to the rest of the plan and to the index.
    fn put(
        &mut self,
        memory: &mut OpenMemory,
        id: UnitId,
        revision: u64,
        created: Option<Timestamp>,
        prepared: Prepared,
    ) -> Arc<Unit> {
        let key = memory.record.key;
        let (source_hash, content_hash) = (prepared.source_hash, prepared.content_hash);
        self.by_source.entry((key, source_hash)).or_default().push((id, content_hash));
        let (content, entry) = prepared.finish(id, created, self.now);
        memory.changes.push(IndexChange::PutNumbered(entry));
        let unit = Arc::new(Unit { id, revision, content });
        self.units.insert((key, id), Some(Arc::clone(&unit)));
        unit
    }

    fn update_unit(
        &mut self,
        key: MemoryKey,
        id: UnitId,
        patch: UnitPatch,
        expected: Option<u64>,
        commit: &mut Commit,
    ) -> Result<Reply, EngineError> {
        let mut memory = OpenMemory::new(self.record(key)?);
        let name = &memory.record.name;
        let unit = self.unit(key, id)?.ok_or_else(|| EngineError::NoUnit(name.clone(), id))?;
        check_revision(|| unit_resource(name, id), expected, unit.revision)?;
        let (revision, created) = (unit.revision + 1, unit.content.created);
        let open = self.memory(key)?;
        let content = patch.apply(unit.content.clone());
        let prepared =
            Prepared::new(content, &open, &mut open.index.numbering_of_few()).map_err(|fault| {
                EngineError::invalid(format!("unit.{}", fault.field), fault.message)
            })?;
        let unit = self.put(&mut memory, id, revision, created, prepared);
        commit.units.push(UnitWrite::Update(key, Arc::clone(&unit)));
        self.close(memory, commit);
        let outcome = Outcome::Units(key, vec![id]);
        Ok(Reply { units: vec![Unit::clone(&unit)], ..Reply::of(outcome) })
    }

    fn delete_unit(
        &mut self,
        key: MemoryKey,
        id: UnitId,
        expected: Option<u64>,
        commit: &mut Commit,
    ) -> Result<Reply, EngineError> {
        let mut memory = OpenMemory::new(self.record(key)?);
        let name = &memory.record.name;
        let unit = self.unit(key, id)?.ok_or_else(|| EngineError::NoUnit(name.clone(), id))?;
        check_revision(|| unit_resource(name, id), expected, unit.revision)?;
        memory.record.unit_count -= 1;
        self.units.insert((key, id), None);
        memory.changes.push(IndexChange::Remove(id));
        commit.units.push(UnitWrite::Delete(key, id, unit.revision));
        self.close(memory, commit);
        Ok(Reply::of(Outcome::Deleted))
    }

    fn import(
        &mut self,
        batch: ImportBatch,
        mut progress: ImportProgress,
        commit: &mut Commit,
    ) -> Result<Reply, EngineError> {
        let reply = |progress: ImportProgress| {
            let complete = progress.complete;
            Reply::of(if complete {
                Outcome::Imported(progress)
            } else {
                Outcome::Import(progress)
            })
        };
        if batch.number <= progress.acked_through {
            return Ok(reply(progress));
        }
        if batch.number != progress.acked_through + 1 {
            return Err(EngineError::invalid(
                "batch.number",
                format!(
                    "batch {} came, but {} is next: send the batches in order without gaps",
                    batch.number,
                    progress.acked_through + 1
                ),
            ));
        }
        if progress.complete {
            let what = "this import ended with an earlier batch; take a new import_id";
            return Err(EngineError::invalid("batch.number", what));
        }
        let mut memory = OpenMemory::new(self.record(batch.memory)?);
        let mut verdicts = Vec::with_capacity(batch.units.len());
        progress.complete = batch.last;
        progress.acked_through = batch.number;
        progress.counts.read += batch.units.len() as u64 + batch.rejected;
        progress.counts.rejected += batch.rejected;
        for prepared in batch.units {
            match self.judge(memory.record.key, &prepared, batch.policy)? {
                Verdict::New => {
                    self.create(&mut memory, prepared, commit);
                    progress.counts.stored += 1;
                    verdicts.push(UnitVerdict::Stored);
                }
                Verdict::Replace(old) => {
                    let (id, revision) = (old.id, old.revision + 1);
                    let unit = self.put(&mut memory, id, revision, old.content.created, prepared);
                    commit.units.push(UnitWrite::Update(memory.record.key, unit));
                    progress.counts.stored += 1;
                    progress.counts.replaced += 1;
                    verdicts.push(UnitVerdict::Replaced);
                }
                Verdict::Duplicate => {
                    progress.counts.duplicates += 1;
                    verdicts.push(UnitVerdict::Duplicate);
                }
            }
        }
        self.close(memory, commit);
        Ok(Reply { verdicts, ..reply(progress) })
    }

    /// What to do with an imported unit.
    fn judge(
        &self,
        key: MemoryKey,
        prepared: &Prepared,
        policy: DuplicatePolicy,
    ) -> Result<Verdict, EngineError> {
        if policy == DuplicatePolicy::KeepAll {
            return Ok(Verdict::New);
        }
        let source_hash = prepared.source_hash;
        let stored = self.catalog.by_key(key).map(|memory| memory.index.exact(source_hash));
        let planned = self.by_source.get(&(key, source_hash));
        let mut newest: Option<Arc<Unit>> = None;
        for (id, content_hash) in
            stored.into_iter().flatten().chain(planned.into_iter().flatten().copied())
        {
            // Only a replacement cares about units with another target.
            let may_be_identical = content_hash == prepared.content_hash;
            if policy == DuplicatePolicy::SkipIdentical && !may_be_identical {
                continue;
            }
            let Some(unit) = self.unit(key, id)? else {
                continue;
            };
            if unit.content.source != prepared.content.source {
                continue;
            }
            if unit.content.target == prepared.content.target {
                return Ok(Verdict::Duplicate);
            }
            let age = |unit: &Unit| (unit.content.changed, unit.id);
            if newest.as_ref().is_none_or(|newest| age(newest) < age(&unit)) {
                newest = Some(unit);
            }
        }
        Ok(match newest {
            Some(old) if policy == DuplicatePolicy::ReplaceSameSource => Verdict::Replace(old),
            _ => Verdict::New,
        })
    }

    /// One step of forgetting: old requests, and units of deleted memories.
    fn tidy(&mut self, before: Timestamp, commit: &mut Commit) -> Result<Reply, EngineError> {
        let reply = |more| {
            let outcome = Outcome::Tidied { more };
            Ok(Reply::of(outcome))
        };
        let doomed = self.records.values().find(|record| record.deleted && record.unit_count > 0);
        if let Some(mut record) = doomed.cloned() {
            let units = self.store.page(record.key, None, BATCH_UNITS_MAX)?;
            record.unit_count = record.unit_count.saturating_sub(units.len() as u64);
            if units.is_empty() {
                record.unit_count = 0;
            }
            commit.units.extend(units.iter().map(|unit| UnitWrite::Purge(record.key, unit.id)));
            self.put_record(record, commit);
            return reply(true);
        }
        commit.forgotten = self.store.requests_before(before, FORGET_REQUESTS_MAX)?;
        reply(commit.forgotten.len() == FORGET_REQUESTS_MAX)
    }

    fn memory(&self, key: MemoryKey) -> Result<Arc<Memory>, EngineError> {
        self.catalog
            .by_key(key)
            .ok_or_else(|| EngineError::Internal(format!("memory {} is not loaded", key.0)))
    }

    fn close(&mut self, memory: OpenMemory, commit: &mut Commit) {
        self.index_updates.push(IndexUpdate { memory: memory.record.key, changes: memory.changes });
        self.put_record(memory.record, commit);
    }
}

/// A memory while a commit is being planned for it.
struct OpenMemory {
    record: MemoryRecord,
    changes: Vec<IndexChange>,
}

impl OpenMemory {
    fn new(record: MemoryRecord) -> Self {
        Self { record, changes: Vec::new() }
    }
}

enum Verdict {
    New,
    Replace(Arc<Unit>),
    Duplicate,
}

/// Requests forgotten in one commit.
const FORGET_REQUESTS_MAX: usize = 1_000;

/// What a record says of a request, if it is of this one.
pub(super) fn remembered(
    record: Option<RequestRecord>,
    idempotency: Idempotency,
) -> Result<Option<Outcome>, EngineError> {
    let Some(record) = record else {
        return Ok(None);
    };
    if record.fingerprint != idempotency.fingerprint {
        return Err(EngineError::RequestReused(idempotency.field));
    }
    let outcome = postcard::from_bytes(&record.outcome)
        .map_err(|error| EngineError::Internal(format!("stored request: {error}")))?;
    Ok(Some(outcome))
}

fn memory_reply(record: MemoryRecord) -> Reply {
    Reply { memory: Some(record.clone()), ..Reply::of(Outcome::Memory(record.key)) }
}

fn check_revision(
    what: impl Fn() -> String,
    expected: Option<u64>,
    current: u64,
) -> Result<(), EngineError> {
    match expected {
        Some(expected) if expected != current => {
            Err(EngineError::RevisionMismatch { what: what(), expected, current })
        }
        _ => Ok(()),
    }
}

fn unit_resource(memory: &MemoryName, id: UnitId) -> String {
    format!("{}/units/{id}", memory.resource())
}
