//! Plans writes: turns them into commits and index changes, on top of what the follower has applied.
//!
//! A plan changes nothing outside itself, so a group whose append conflicts can be planned again. Knows nothing of threads, queues
//! or fsync.

mod gc;
mod import;
mod matching;
mod memories;
mod planned;
mod units;

use std::collections::BTreeMap;
use std::sync::Arc;

use foldhash::{HashMap, HashMapExt as _};

use crate::limits::BATCH_UNITS_MAX;
use crate::matching::IndexChange;
use crate::store::{
    Backend, Commit, MemoryKey, MemoryRecord, RequestKey, RequestRecord, UnitWrite,
};
use crate::unit::{MemoryName, Timestamp, Unit, UnitId};

use self::planned::Planned;
use crate::engine::commit::idempotency::{EarlierRequest, Idempotency};
use crate::engine::commit::outcome::{Outcome, Reply, import_reply, import_state};
use crate::engine::commit::work::{Etag, Work};
use crate::engine::error::EngineError;
use crate::engine::replica::catalog::Catalog;
use crate::engine::replica::follower::IndexChanges;

/// The commits and index changes of a group of writes.
pub(crate) struct Plan {
    /// In log order.
    pub(crate) commits: Vec<Commit>,
    pub(crate) index_changes: IndexChanges,
}

/// The state that a plan starts from: what the follower has applied.
#[derive(Clone, Copy)]
pub(crate) struct Basis<'a> {
    pub(crate) backend: &'a Backend,
    pub(crate) catalog: &'a Catalog,
    pub(crate) memories: &'a BTreeMap<MemoryKey, MemoryRecord>,
    /// The time of the commits.
    pub(crate) now: Timestamp,
    /// Whether several batches of one import may share a commit.
    pub(crate) joins_batches: bool,
}

/// Plans writes in order, each on top of the previous ones.
pub(crate) struct Planner<'a> {
    basis: Basis<'a>,
    /// Memories that the plan changes; `None` for those that it removes.
    memories: BTreeMap<MemoryKey, Option<MemoryRecord>>,
    /// Units whose content the plan changes; `None` for those that it deletes.
    units: HashMap<(MemoryKey, UnitId), Option<Arc<Unit>>>,
    /// Units of which the plan changes the usage alone.
    used: HashMap<(MemoryKey, UnitId), Arc<Unit>>,
    /// Units planned in this group by memory and source hash.
    by_source: HashMap<(MemoryKey, u64), Planned>,
    requests: HashMap<RequestKey, RequestRecord>,
    plan: Plan,
}

impl<'a> Planner<'a> {
    pub(crate) fn new(basis: Basis<'a>) -> Self {
        Self {
            basis,
            memories: BTreeMap::new(),
            units: HashMap::new(),
            used: HashMap::new(),
            by_source: HashMap::new(),
            requests: HashMap::new(),
            plan: Plan { commits: Vec::new(), index_changes: IndexChanges::new() },
        }
    }

    pub(crate) fn finish(self) -> Plan {
        self.plan
    }

    /// Plans one write; an error leaves the plan as it was.
    pub(crate) fn plan(
        &mut self,
        work: &mut Work,
        idempotency: Option<Idempotency>,
    ) -> Result<Reply, EngineError> {
        let earlier = match idempotency {
            None => None,
            Some(idempotency) => self.earlier(work, idempotency)?.zip(Some(idempotency)),
        };
        let resumed = match earlier {
            Some((earlier, _)) if earlier.outcome.is_resumable() => Some(earlier.outcome),
            Some((earlier, idempotency)) => return self.repeat(earlier, idempotency),
            None => None,
        };
        let mut commit = Commit { time: self.basis.now, ..Commit::default() };
        let reply = match work {
            Work::CreateMemory(new) => self.create_memory(new, &mut commit),
            Work::UpdateMemory { memory, patch, expected } => {
                self.update_memory(*memory, patch, expected.as_ref(), &mut commit)
            }
            Work::DeleteMemory { memory, force, expected } => {
                self.delete_memory(*memory, *force, expected.as_ref(), &mut commit)
            }
            Work::CreateUnits { memory, units, policy } => {
                self.create_units(*memory, units, *policy, &mut commit)
            }
            Work::UpdateUnits { memory, updates } => {
                self.update_units(*memory, updates, &mut commit)
            }
            Work::DeleteUnits { memory, units } => self.delete_units(*memory, units, &mut commit),
            Work::RecordUses { memory, uses } => self.record_uses(*memory, uses, &mut commit),
            Work::ChangeMatching(step) => self.change_matching(step, resumed, &mut commit),
            Work::ImportBatch(batch) => {
                let state = import_state(resumed, batch.memory);
                self.import(batch, state, idempotency, &mut commit)
            }
            Work::ImportProgress { memory } => {
                self.record(*memory)?;
                Ok(import_reply(import_state(resumed, *memory)))
            }
            Work::CollectGarbage { before } => self.collect_garbage(*before, &mut commit),
            Work::LogTruncated => Ok(Reply::of(Outcome::Collected { more: false })),
        }?;
        let is_recorded = reply.is_recorded && idempotency.is_some();
        if commit == (Commit { time: self.basis.now, ..Commit::default() }) && !is_recorded {
            return Ok(reply);
        }
        if let Some(idempotency) = idempotency {
            self.remember(idempotency.key, idempotency, &reply.outcome, &mut commit)?;
        }
        self.add(commit, reply.outcome.is_import());
        Ok(reply)
    }

    /// Adds the record of a request to its commit.
    fn remember(
        &mut self,
        key: RequestKey,
        Idempotency { fingerprint, .. }: Idempotency,
        outcome: &Outcome,
        commit: &mut Commit,
    ) -> Result<(), EngineError> {
        let record =
            RequestRecord { time: self.basis.now, fingerprint, outcome: outcome.to_bytes()? };
        self.requests.insert(key, record.clone());
        commit.requests.push((key, record));
        Ok(())
    }

    /// Adds a commit to the plan. A batch of an import joins the commit of the previous batch, if that is wanted and fits, to save
    /// the fixed cost of a commit.
    fn add(&mut self, commit: Commit, is_import: bool) {
        // The record of an import is the last request of its commit.
        if let Some(last) = self.plan.commits.last_mut()
            && is_import
            && self.basis.joins_batches
            && last.units.len() + commit.units.len() <= BATCH_UNITS_MAX
            && last.requests.last().map(|it| it.0) == commit.requests.last().map(|it| it.0)
            && last.memories.is_empty()
            && last.counters.len() == 1
            && last.counters.iter().zip(&commit.counters).all(|(a, b)| a.key == b.key)
        {
            last.units.extend(commit.units);
            last.requests.pop();
            last.requests.extend(commit.requests);
            last.counters = commit.counters;
        } else {
            self.plan.commits.push(commit);
        }
    }

    /// The earlier execution of this request, if there was one.
    fn earlier(
        &self,
        work: &Work,
        idempotency: Idempotency,
    ) -> Result<Option<EarlierRequest>, EngineError> {
        let record = self.request(idempotency.key)?;
        let Some(earlier) = EarlierRequest::read(record, idempotency)? else { return Ok(None) };
        let memory = match work {
            Work::CreateMemory(new) => self.named(&new.name),
            _ => work.memory().and_then(|key| self.current(key)),
        };
        if let Some(memory) = memory {
            earlier.check_memory(memory, idempotency)?;
        }
        Ok(Some(earlier))
    }

    fn request(&self, key: RequestKey) -> Result<Option<RequestRecord>, EngineError> {
        match self.requests.get(&key) {
            Some(record) => Ok(Some(record.clone())),
            None => Ok(self.basis.backend.log.request(key)?),
        }
    }

    /// Returns the first answer of a repeated request.
    fn repeat(&self, earlier: EarlierRequest, by: Idempotency) -> Result<Reply, EngineError> {
        let version = |memory, id, revision| self.version(memory, id, revision);
        earlier.replay(by, version, |key| self.current(key).cloned())
    }

    /// A unit at a revision.
    fn version(
        &self,
        memory: MemoryKey,
        id: UnitId,
        revision: u64,
    ) -> Result<Option<Unit>, EngineError> {
        let planned = self.plan.commits.iter().flat_map(|commit| &commit.units).find_map(|write| {
            let of_memory = matches!(
                write,
                UnitWrite::Create(key, _) | UnitWrite::Update(key, _) | UnitWrite::Use(key, _) if *key == memory
            );
            write.unit().filter(|unit| of_memory && unit.id == id && unit.revision == revision)
        });
        match planned {
            Some(unit) => Ok(Some(unit.clone())),
            None => Ok(self.basis.backend.store.version(memory, id, revision)?),
        }
    }

    /// The live memory of a name.
    fn named(&self, name: &MemoryName) -> Option<&MemoryRecord> {
        self.all_memories().find(|record| !record.deleted && record.name == *name)
    }

    fn unit(&self, memory: MemoryKey, id: UnitId) -> Result<Option<Arc<Unit>>, EngineError> {
        if let Some(planned) = self.units.get(&(memory, id)) {
            return Ok(planned.clone());
        }
        if let Some(used) = self.used.get(&(memory, id)) {
            return Ok(Some(Arc::clone(used)));
        }
        Ok(self.basis.backend.store.units(memory, &[id])?.pop().flatten().map(Arc::new))
    }

    /// The record of a memory, unless it was deleted since the caller looked it up.
    fn record(&self, key: MemoryKey) -> Result<MemoryRecord, EngineError> {
        let record = self
            .current(key)
            .ok_or_else(|| EngineError::Internal(format!("there is no memory number {}", key.0)))?;
        if record.deleted {
            return Err(EngineError::NoMemory(record.name.clone()));
        }
        Ok(record.clone())
    }

    /// Plans the new record of a memory.
    fn put_record(&mut self, record: MemoryRecord, commit: &mut Commit) {
        commit.memories.push(record.clone());
        self.set_record(record.key, Some(record));
    }

    /// Plans new counters of a memory, without writing the rest of its record again, which may be long.
    fn put_counters(&mut self, record: MemoryRecord, commit: &mut Commit) {
        commit.counters.push(record.counters());
        self.set_record(record.key, Some(record));
    }

    fn set_record(&mut self, key: MemoryKey, record: Option<MemoryRecord>) {
        self.memories.insert(key, record);
    }

    /// A memory in the state after the plan, deleted or not.
    fn current(&self, key: MemoryKey) -> Option<&MemoryRecord> {
        match self.memories.get(&key) {
            Some(planned) => planned.as_ref(),
            None => self.basis.memories.get(&key),
        }
    }

    /// All memories in the state after the plan, including deleted ones.
    fn all_memories(&self) -> impl Iterator<Item = &MemoryRecord> {
        let untouched = self.basis.memories.values();
        let untouched = untouched.filter(|record| !self.memories.contains_key(&record.key));
        untouched.chain(self.memories.values().flatten())
    }

    /// The greatest number of a memory.
    fn greatest_key(&self) -> Option<MemoryKey> {
        self.all_memories().map(|record| record.key).max()
    }

    fn close(&mut self, memory: OpenMemory, commit: &mut Commit) {
        let changes = self.plan.index_changes.entry(memory.record.key).or_default();
        changes.extend(memory.changes);
        self.put_counters(memory.record, commit);
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

/// Refuses a change that was made for another state. `what` names the resource.
fn check_expected(
    what: impl Fn() -> String,
    expected: Option<&Etag>,
    etag: impl FnOnce() -> String,
) -> Result<(), EngineError> {
    let Some(Etag(expected)) = expected else { return Ok(()) };
    let current = etag();
    if *expected == current {
        return Ok(());
    }
    Err(EngineError::EtagMismatch { what: what(), expected: expected.clone(), current })
}
