//! Defines the stored records: memories, changes, requests, commits and the log records made of them.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::limits::STATE_PENALTY_HUNDREDTHS;
use crate::unit::{ContextMode, Lang, MemoryName, Score, Scoring, Timestamp, Unit, UnitId};

/// The number of a memory inside the store. It is never reused, so that a new memory cannot inherit records.
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
    /// Its name for people.
    pub display_name: String,
    /// What it is for.
    pub description: String,
    /// Language of its sources.
    pub source_lang: Lang,
    /// Language of its targets.
    pub target_lang: Lang,
    /// When it was created.
    pub created: Timestamp,
    /// When its own fields were last changed.
    pub changed: Timestamp,
    /// 1 at creation, incremented with each change of its own fields.
    pub revision: u64,
    /// Units it holds.
    pub unit_count: u64,
    /// The number that the next new unit gets.
    pub next_unit: UnitId,
    /// No reader sees it any more; its units may not be purged yet.
    pub deleted: bool,
    /// The penalty of its matches whose translation is unfinished; `None` for the default. Stored only in the layouts that can hold
    /// it, see `codec`.
    #[serde(skip)]
    pub unfinished_penalty: Option<Score>,
    /// How lookups score its matches; stored likewise.
    #[serde(skip)]
    pub scoring: Scoring,
}

/// The settings of a memory that only newer layouts can hold; see `codec`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct MemorySettings {
    pub(crate) unfinished_penalty: Option<Score>,
    pub(crate) scoring: Scoring,
}

/// The settings of a memory with its context mode, which [`MemorySettings`] are serialized without.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct SettingsWithMode(MemorySettings, ContextMode);

impl From<MemorySettings> for SettingsWithMode {
    fn from(settings: MemorySettings) -> Self {
        let mode = settings.scoring.context_mode;
        Self(settings, mode)
    }
}

impl From<SettingsWithMode> for MemorySettings {
    fn from(SettingsWithMode(mut settings, mode): SettingsWithMode) -> Self {
        settings.scoring.context_mode = mode;
        settings
    }
}

/// The fields of a memory that nearly every commit changes, stored apart from its names and description, which may be long.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct MemoryCounters {
    /// The memory.
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

    /// The penalty for an unfinished translation, in hundredths of a point.
    pub fn state_penalty(&self) -> u16 {
        self.unfinished_penalty.map_or(STATE_PENALTY_HUNDREDTHS, Score::hundredths)
    }

    /// Its settings; `None` when all have their defaults.
    pub(crate) fn settings(&self) -> Option<MemorySettings> {
        let Self { unfinished_penalty, scoring, .. } = self;
        let settings =
            MemorySettings { unfinished_penalty: *unfinished_penalty, scoring: scoring.clone() };
        (settings != MemorySettings::default()).then_some(settings)
    }

    /// Replaces its settings.
    pub(crate) fn set_settings(&mut self, settings: MemorySettings) {
        let MemorySettings { unfinished_penalty, scoring } = settings;
        (self.unfinished_penalty, self.scoring) = (unfinished_penalty, scoring);
    }

    /// Replaces its counters.
    pub fn set_counters(&mut self, counters: &MemoryCounters) {
        (self.unit_count, self.next_unit) = (counters.unit_count, counters.next_unit);
    }
}

/// The settings of memories in the order of the memories, as log records and backups hold them beside the memories.
pub(crate) enum SettingsOfMemories {
    /// None has any.
    Default,
    /// Only penalties for unfinished translations.
    Penalties(Vec<Option<Score>>),
    /// All settings but context modes.
    All(Vec<Option<MemorySettings>>),
    /// All settings.
    WithModes(Vec<Option<SettingsWithMode>>),
}

/// The settings of memories, in the oldest form that can hold them.
pub(crate) fn settings_of(memories: &[MemoryRecord]) -> SettingsOfMemories {
    let is_plain = |memory: &MemoryRecord| memory.scoring.is_default();
    let has_mode = |memory: &MemoryRecord| memory.scoring.context_mode != ContextMode::default();
    if memories.iter().any(has_mode) {
        SettingsOfMemories::WithModes(settings_with_modes(memories))
    } else if !memories.iter().all(is_plain) {
        SettingsOfMemories::All(all_settings_of(memories))
    } else if memories.iter().any(|memory| memory.unfinished_penalty.is_some()) {
        let penalties = memories.iter().map(|memory| memory.unfinished_penalty);
        SettingsOfMemories::Penalties(penalties.collect())
    } else {
        SettingsOfMemories::Default
    }
}

/// All settings of memories; none when none has any.
pub(crate) fn all_settings_of(memories: &[MemoryRecord]) -> Vec<Option<MemorySettings>> {
    let settings: Vec<_> = memories.iter().map(MemoryRecord::settings).collect();
    if settings.iter().all(Option::is_none) { Vec::new() } else { settings }
}

/// The same with context modes.
pub(crate) fn settings_with_modes(memories: &[MemoryRecord]) -> Vec<Option<SettingsWithMode>> {
    all_settings_of(memories).into_iter().map(|settings| settings.map(Into::into)).collect()
}

/// The reverse of [`settings_of`].
pub(crate) fn set_settings_of(memories: &mut [MemoryRecord], settings: SettingsOfMemories) {
    match settings {
        SettingsOfMemories::Default => {}
        SettingsOfMemories::Penalties(penalties) => {
            for (memory, penalty) in memories.iter_mut().zip(penalties) {
                memory.unfinished_penalty = penalty;
            }
        }
        SettingsOfMemories::All(settings) => {
            for (memory, settings) in memories.iter_mut().zip(settings) {
                memory.set_settings(settings.unwrap_or_default());
            }
        }
        SettingsOfMemories::WithModes(settings) => {
            for (memory, settings) in memories.iter_mut().zip(settings) {
                memory.set_settings(settings.map(Into::into).unwrap_or_default());
            }
        }
    }
}

/// What happened to a unit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum ChangeKind {
    /// It is new.
    Created,
    /// It has a new revision.
    Updated,
    /// It was deleted.
    Deleted,
    /// It has a new revision with the same content and another usage. Only in the layouts that can hold it, see `codec`.
    Used,
}

/// A change of one unit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Change {
    /// In which memory.
    pub memory: MemoryKey,
    /// Which unit.
    pub unit: UnitId,
    /// What happened.
    pub kind: ChangeKind,
    /// Its revision after the change; for a deleted unit, its last one.
    pub revision: u64,
}

/// Identifies a request that may be repeated.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct RequestKey(pub [u8; 16]);

/// The record of a request, stored in the same commit as its effect.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RequestRecord {
    /// When it was carried out.
    pub time: Timestamp,
    /// Hash of its content; the same key with another content is an error of the client.
    pub fingerprint: u128,
    /// The answer, encoded by the engine.
    pub outcome: Vec<u8>,
}

/// What a commit does to a unit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum UnitWrite {
    /// Store a unit whose number is new.
    Create(MemoryKey, Arc<Unit>),
    /// Store a new revision of a unit.
    Update(MemoryKey, Arc<Unit>),
    /// Store a new revision of a unit that changes its usage alone.
    Use(MemoryKey, Arc<Unit>),
    /// Delete a unit, whose last revision was this.
    Delete(MemoryKey, UnitId, u64),
    /// Delete a unit of a deleted memory; the commit log does not list it as a change.
    Purge(MemoryKey, UnitId),
}

impl UnitWrite {
    /// The unit that it stores, if it stores one.
    pub fn unit(&self) -> Option<&Unit> {
        match self {
            Self::Create(_, unit) | Self::Update(_, unit) | Self::Use(_, unit) => Some(unit),
            Self::Delete(..) | Self::Purge(..) => None,
        }
    }

    /// The change that the log records.
    pub(super) fn change(&self) -> Option<Change> {
        let (memory, unit, kind, revision) = match self {
            Self::Create(memory, unit) => (*memory, unit.id, ChangeKind::Created, unit.revision),
            Self::Update(memory, unit) => (*memory, unit.id, ChangeKind::Updated, unit.revision),
            Self::Use(memory, unit) => (*memory, unit.id, ChangeKind::Used, unit.revision),
            Self::Delete(memory, id, revision) => (*memory, *id, ChangeKind::Deleted, *revision),
            Self::Purge(..) => return None,
        };
        Some(Change { memory, unit, kind, revision })
    }
}

/// Writes that are stored atomically.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Commit {
    /// When.
    pub time: Timestamp,
    /// New and changed memories, in their state after it.
    pub memories: Vec<MemoryRecord>,
    /// Counters after it, of memories of which nothing else changes.
    pub counters: Vec<MemoryCounters>,
    /// Deleted memories without units, whose records it removes. Never the one with the greatest number: its record keeps that
    /// number from being reused.
    pub collected: Vec<MemoryKey>,
    /// At most [`crate::limits::BATCH_UNITS_MAX`], carried out in order.
    pub units: Vec<UnitWrite>,
    /// Requests that it carries out.
    pub requests: Vec<(RequestKey, RequestRecord)>,
    /// Requests that it forgets.
    pub forgotten: Vec<RequestKey>,
}

impl Commit {
    /// Rebuilds the commit of a log record from the units that it stored, in the order of the record's changes. Appended to a log
    /// that ends before it, the commit gives the same record. `None` when a unit is missing or the record has no effects.
    pub fn from_record(record: &LogRecord, units: Vec<Option<Unit>>) -> Option<Self> {
        let effects = record.effects.clone()?;
        let mut units = units.into_iter();
        let mut writes = Vec::with_capacity(record.changes.len() + effects.purged.len());
        for &Change { memory, unit, kind, revision } in &record.changes {
            let mut stored = || units.next().flatten().map(Arc::new);
            writes.push(match kind {
                ChangeKind::Created => UnitWrite::Create(memory, stored()?),
                ChangeKind::Updated => UnitWrite::Update(memory, stored()?),
                ChangeKind::Used => UnitWrite::Use(memory, stored()?),
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
    /// Everything else that it did; `None` in a record of the first version of the log, which did not record it.
    pub effects: Option<Effects>,
    /// Running checksum: CRC-32 of the one before and of this record, which reveals a missing record.
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

/// The effects of a commit other than its changes of units.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Effects {
    /// Memories as they are after it.
    pub memories: Vec<MemoryRecord>,
    /// Units of deleted memories that it purged.
    pub purged: Vec<(MemoryKey, UnitId)>,
    /// Requests that it carried out.
    pub requests: Vec<(RequestKey, RequestRecord)>,
    /// Requests that it forgot.
    pub forgotten: Vec<RequestKey>,
    /// Counters of memories of which nothing else changed. This field and the next are written from the third version of the log on,
    /// see `codec`.
    #[serde(skip)]
    pub counters: Vec<MemoryCounters>,
    /// Deleted memories that were collected.
    #[serde(skip)]
    pub collected: Vec<MemoryKey>,
}

/// The commit before the first one that the log still holds; all zeros when it holds every commit.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct LogStart {
    /// Its number.
    pub sequence: Sequence,
    /// The running checksum there.
    pub checksum: u32,
    /// Its time.
    pub time: Timestamp,
}

impl From<&LogRecord> for LogStart {
    fn from(record: &LogRecord) -> Self {
        Self { sequence: record.sequence, checksum: record.checksum, time: record.time }
    }
}
