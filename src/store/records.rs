//! What is stored? Memories, changes, requests and commits as the seam passes them, and as the log keeps them.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::limits::STATE_PENALTY_HUNDREDTHS;
use crate::unit::{Lang, MemoryName, Score, Timestamp, Unit, UnitId};

/// The number of a memory inside the store: never used twice, so that a new memory never inherits records.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default, Serialize, Deserialize,
)]
pub struct MemoryKey(pub u32);

/// The number of a commit: 1, 2, 3, … without gaps; 0 is "before the first".
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default, Serialize, Deserialize,
)]
pub struct Sequence(pub u64);

impl Sequence {
    /// The commit after this one.
    #[must_use]
    pub fn next(self) -> Self {
        Self(self.0 + 1)
    }
}

/// A memory as stored.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct MemoryRecord {
    /// Its number.
    pub key: MemoryKey,
    /// Its name; free for another memory once `deleted`.
    pub name: MemoryName,
    /// What people call it.
    pub display_name: String,
    /// What it is for.
    pub description: String,
    /// Language of its sources.
    pub source_lang: Lang,
    /// Language of its targets.
    pub target_lang: Lang,
    /// When it was made.
    pub created: Timestamp,
    /// When its own fields were last changed.
    pub changed: Timestamp,
    /// 1 when made, one more with each change of its own fields.
    pub revision: u64,
    /// Units it holds.
    pub unit_count: u64,
    /// The number that the next new unit gets.
    pub next_unit: UnitId,
    /// Gone for every reader; its units may still be on their way out.
    pub deleted: bool,
    /// What its matches lose when their translation is unfinished; `None` for the default. Stored only in layouts that have
    /// room for it, see `codec`.
    #[serde(skip)]
    pub unfinished_penalty: Option<Score>,
}

/// What nearly every commit changes in a memory: kept apart from the names and descriptions, which may be long.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct MemoryCounters {
    /// Whose.
    pub key: MemoryKey,
    /// Units it holds.
    pub unit_count: u64,
    /// The number that the next new unit gets.
    pub next_unit: UnitId,
}

impl MemoryRecord {
    /// Its counters.
    pub fn counters(&self) -> MemoryCounters {
        let Self { key, unit_count, next_unit, .. } = *self;
        MemoryCounters { key, unit_count, next_unit }
    }

    /// Hundredths of a point that its matches lose when their translation is unfinished.
    pub fn state_penalty(&self) -> u16 {
        self.unfinished_penalty.map_or(STATE_PENALTY_HUNDREDTHS, Score::hundredths)
    }

    /// Gives it other counters.
    pub fn set_counters(&mut self, counters: &MemoryCounters) {
        (self.unit_count, self.next_unit) = (counters.unit_count, counters.next_unit);
    }
}

/// The penalties of memories for unfinished translations, in the order of the memories; empty when all have the default.
pub(crate) fn unfinished_penalties(memories: &[MemoryRecord]) -> Vec<Option<Score>> {
    if memories.iter().all(|memory| memory.unfinished_penalty.is_none()) {
        return Vec::new();
    }
    memories.iter().map(|memory| memory.unfinished_penalty).collect()
}

/// The reverse of [`unfinished_penalties`].
pub(crate) fn set_unfinished_penalties(
    memories: &mut [MemoryRecord],
    penalties: Vec<Option<Score>>,
) {
    for (memory, penalty) in memories.iter_mut().zip(penalties) {
        memory.unfinished_penalty = penalty;
    }
}

/// What happened to a unit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum ChangeKind {
    /// It is new.
    Created,
    /// It has a new revision.
    Updated,
    /// It is gone.
    Deleted,
}

/// One line of the commit log.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Change {
    /// In which memory.
    pub memory: MemoryKey,
    /// Which unit.
    pub unit: UnitId,
    /// What happened.
    pub kind: ChangeKind,
    /// The revision it has now (had last, for a deleted one).
    pub revision: u64,
}

/// Names a request that may be sent again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct RequestKey(pub [u8; 16]);

/// What is remembered of a request, in the same commit as its effect.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RequestRecord {
    /// When it was carried out.
    pub time: Timestamp,
    /// Hash of its content: the same key with another content is a client's mistake.
    pub fingerprint: u128,
    /// What was answered, in the words of the engine.
    pub outcome: Vec<u8>,
}

/// What a commit does to a unit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum UnitWrite {
    /// Store a unit whose number is new.
    Create(MemoryKey, Arc<Unit>),
    /// Store a new revision of a unit.
    Update(MemoryKey, Arc<Unit>),
    /// Delete a unit, whose last revision was this.
    Delete(MemoryKey, UnitId, u64),
    /// Delete the remains of a unit of a deleted memory; the commit log does not list it as a change.
    Purge(MemoryKey, UnitId),
}

impl UnitWrite {
    /// The unit that it stores, if it stores one.
    pub fn unit(&self) -> Option<&Unit> {
        match self {
            Self::Create(_, unit) | Self::Update(_, unit) => Some(unit),
            Self::Delete(..) | Self::Purge(..) => None,
        }
    }

    /// The change that the log tells of.
    pub(super) fn change(&self) -> Option<Change> {
        let (memory, unit, kind, revision) = match self {
            Self::Create(memory, unit) => (*memory, unit.id, ChangeKind::Created, unit.revision),
            Self::Update(memory, unit) => (*memory, unit.id, ChangeKind::Updated, unit.revision),
            Self::Delete(memory, id, revision) => (*memory, *id, ChangeKind::Deleted, *revision),
            Self::Purge(..) => return None,
        };
        Some(Change { memory, unit, kind, revision })
    }
}

/// What goes in together or not at all.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Commit {
    /// When.
    pub time: Timestamp,
    /// Memories that are new or have other fields, as they are after it.
    pub memories: Vec<MemoryRecord>,
    /// Counters of memories of which nothing else has changed, as they are after it.
    pub counters: Vec<MemoryCounters>,
    /// Deleted memories without units, of which nothing is kept any more. Never the one with the greatest number: its record is
    /// what keeps that number from being given out again.
    pub collected: Vec<MemoryKey>,
    /// At most [`crate::limits::BATCH_UNITS_MAX`], carried out in order.
    pub units: Vec<UnitWrite>,
    /// Requests that it carries out.
    pub requests: Vec<(RequestKey, RequestRecord)>,
    /// Requests that it forgets.
    pub forgotten: Vec<RequestKey>,
}

impl Commit {
    /// The commit of a record, with the units that it stored in the order of the record's changes: appended to a log that ends
    /// before it, it gives the same record. `None` when a unit is missing or the record does not tell everything.
    pub fn from_record(record: &LogRecord, units: Vec<Option<Unit>>) -> Option<Self> {
        let effects = record.effects.clone()?;
        let mut units = units.into_iter();
        let mut writes = Vec::with_capacity(record.changes.len() + effects.purged.len());
        for &Change { memory, unit, kind, revision } in &record.changes {
            let mut stored = || units.next().flatten().map(Arc::new);
            writes.push(match kind {
                ChangeKind::Created => UnitWrite::Create(memory, stored()?),
                ChangeKind::Updated => UnitWrite::Update(memory, stored()?),
                ChangeKind::Deleted => UnitWrite::Delete(memory, unit, revision),
            });
        }
        writes.extend(effects.purged.iter().map(|&(memory, id)| UnitWrite::Purge(memory, id)));
        Some(Self {
            time: record.time,
            memories: effects.memories,
            counters: effects.counters,
            collected: effects.collected,
            units: writes,
            requests: effects.requests,
            forgotten: effects.forgotten,
        })
    }
}

/// One commit in the log.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LogRecord {
    /// Its number.
    pub sequence: Sequence,
    /// When.
    pub time: Timestamp,
    /// What it did to units, in order.
    pub changes: Vec<Change>,
    /// Everything else that it did; `None` in a record of the first version of the log, which did not tell.
    pub effects: Option<Effects>,
    /// Running checksum: CRC-32 of the one before and of this record, so that no record can go missing unseen.
    pub checksum: u32,
}

impl LogRecord {
    pub(super) fn of(commit: &Commit, sequence: Sequence) -> Self {
        let purged = commit.units.iter().filter_map(|write| match write {
            UnitWrite::Purge(memory, id) => Some((*memory, *id)),
            _ => None,
        });
        Self {
            sequence,
            time: commit.time,
            changes: commit.units.iter().filter_map(UnitWrite::change).collect(),
            effects: Some(Effects {
                memories: commit.memories.clone(),
                counters: commit.counters.clone(),
                collected: commit.collected.clone(),
                purged: purged.collect(),
                requests: commit.requests.clone(),
                forgotten: commit.forgotten.clone(),
            }),
            checksum: 0,
        }
    }
}

/// What a commit did beside changing units.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Effects {
    /// Memories as they are after it.
    pub memories: Vec<MemoryRecord>,
    /// Units of deleted memories that went.
    pub purged: Vec<(MemoryKey, UnitId)>,
    /// Requests that it carried out.
    pub requests: Vec<(RequestKey, RequestRecord)>,
    /// Requests that it forgot.
    pub forgotten: Vec<RequestKey>,
    /// Counters of memories of which nothing else changed. This field and the next are written only by the third version of the
    /// log, see `codec`.
    #[serde(skip)]
    pub counters: Vec<MemoryCounters>,
    /// Deleted memories that were collected.
    #[serde(skip)]
    pub collected: Vec<MemoryKey>,
}

/// The commit before the first one that the log still holds; all zero when it holds every one.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct LogStart {
    /// Its number.
    pub sequence: Sequence,
    /// The running checksum there.
    pub checksum: u32,
    /// When it was.
    pub time: Timestamp,
}
