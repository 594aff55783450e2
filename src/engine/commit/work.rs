//! Defines the writes that the commit loop accepts.

use serde::{Deserialize, Serialize};

use crate::engine::error::EngineError;
use crate::store::{MemoryKey, Sequence};
use crate::unit::{
    ContextMode, Lang, MemoryName, PenaltyRule, Score, Scoring, Timestamp, UnitId, marked,
};

use super::prepare::Prepared;

/// How imports and saves treat units that the memory already holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub enum DuplicatePolicy {
    /// Store every unit.
    KeepAll,
    /// Skip a unit whose source and target (texts and tags) are already stored with the same or a more complete context.
    #[default]
    SkipIdentical,
    /// A unit whose source is already stored replaces the unit with that source in the same context, or else the newest one whose
    /// context is not known to differ; identical units are skipped.
    ReplaceSameSource,
}

/// The fields of a new memory.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NewMemory {
    /// Its name.
    pub name: MemoryName,
    /// Its name for people.
    pub display_name: String,
    /// What it is for.
    pub description: String,
    /// Language of its sources.
    pub source_lang: Lang,
    /// Language of its targets.
    pub target_lang: Lang,
    /// The penalty of its matches whose translation is unfinished; `None` for the default. Left out of request fingerprints when
    /// absent, so that those of earlier versions still agree.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub unfinished_penalty: Option<Score>,
    /// How lookups score its matches; left out of request fingerprints likewise.
    #[serde(skip_serializing_if = "Scoring::is_default")]
    pub scoring: Scoring,
}

impl NewMemory {
    /// A memory with a name and its languages.
    pub fn new(name: MemoryName, source_lang: Lang, target_lang: Lang) -> Self {
        Self {
            name,
            display_name: String::new(),
            description: String::new(),
            source_lang,
            target_lang,
            unfinished_penalty: None,
            scoring: Scoring::default(),
        }
    }
}

/// Changes to the fields of a memory; `None` keeps a field.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct MemoryPatch {
    /// Its name for people.
    pub display_name: Option<String>,
    /// What it is for.
    pub description: Option<String>,
    /// The penalty of its matches whose translation is unfinished; `Some(None)` restores the default.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub unfinished_penalty: Option<Option<Score>>,
    /// What every match loses by default.
    #[serde(skip_serializing_if = "Option::is_none", serialize_with = "marked::<_, _, 1>")]
    pub default_penalty: Option<Score>,
    /// Rules by which its matches lose points.
    #[serde(skip_serializing_if = "Option::is_none", serialize_with = "marked::<_, _, 2>")]
    pub penalty_rules: Option<Vec<PenaltyRule>>,
    /// How contexts that are missing count.
    #[serde(skip_serializing_if = "Option::is_none", serialize_with = "marked::<_, _, 3>")]
    pub context_mode: Option<ContextMode>,
}

/// A write, with its texts already analysed.
pub(crate) enum Work {
    CreateMemory(NewMemory),
    UpdateMemory {
        memory: MemoryKey,
        patch: MemoryPatch,
        expected: Option<Etag>,
    },
    DeleteMemory {
        memory: MemoryKey,
        force: bool,
        expected: Option<Etag>,
    },
    CreateUnits {
        memory: MemoryKey,
        units: Vec<Prepared>,
        policy: DuplicatePolicy,
    },
    /// Each of another unit.
    UpdateUnits {
        memory: MemoryKey,
        updates: Vec<UnitUpdate>,
    },
    /// Each once.
    DeleteUnits {
        memory: MemoryKey,
        units: Vec<(UnitId, Option<Etag>)>,
    },
    RecordUses {
        memory: MemoryKey,
        uses: Vec<UnitUse>,
    },
    ChangeMatching(MatchingStep),
    ImportBatch(ImportBatch),
    /// Writes nothing: reads the progress of an import once earlier writes are durable.
    ImportProgress {
        memory: MemoryKey,
    },
    /// One step of removing requests carried out before a time, and units of deleted memories.
    CollectGarbage {
        before: Timestamp,
    },
    /// Writes nothing: a compaction has truncated the log, so checkpoints may be older than its start.
    LogTruncated,
}

impl Work {
    /// The memory that it writes to; `None` when that is not created yet.
    pub(crate) fn memory(&self) -> Option<MemoryKey> {
        match self {
            Self::UpdateMemory { memory, .. }
            | Self::DeleteMemory { memory, .. }
            | Self::CreateUnits { memory, .. }
            | Self::UpdateUnits { memory, .. }
            | Self::DeleteUnits { memory, .. }
            | Self::RecordUses { memory, .. }
            | Self::ImportProgress { memory } => Some(*memory),
            Self::ImportBatch(batch) => Some(batch.memory),
            Self::ChangeMatching(step) => Some(step.memory),
            Self::CreateMemory(_) | Self::CollectGarbage { .. } | Self::LogTruncated => None,
        }
    }

    /// Whether garbage collection has work after it.
    pub(crate) fn leaves_garbage(&self) -> bool {
        matches!(self, Self::DeleteMemory { .. } | Self::LogTruncated)
    }

    /// Units that it writes.
    pub(crate) fn units(&self) -> usize {
        match self {
            Self::CreateUnits { units, .. } => units.len(),
            Self::UpdateUnits { updates, .. } => updates.len(),
            Self::DeleteUnits { units, .. } => units.len(),
            Self::RecordUses { uses, .. } => uses.len(),
            Self::ChangeMatching(step) => step.changes.len(),
            Self::ImportBatch(batch) => batch.content.units.len(),
            _ => 0,
        }
    }
}

/// The etag of the state that a change was made for, as of [`crate::engine::unit_etag`] and [`crate::engine::memory_etag`]; a change of
/// another state is refused.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Etag(pub String);

/// An update of one unit.
pub(crate) struct UnitUpdate {
    pub(crate) id: UnitId,
    /// `None` when the unit did not exist when the update was prepared.
    pub(crate) update: Option<Box<PreparedUpdate>>,
    pub(crate) expected: Option<Etag>,
}

/// A changed unit, prepared from a revision of it.
pub(crate) struct PreparedUpdate {
    /// The revision of the content.
    pub(crate) from: u64,
    pub(crate) unit: Result<Prepared, EngineError>,
}

/// Uses of a unit that a tool reports.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct UnitUse {
    /// Which unit.
    pub unit: UnitId,
    /// How many uses.
    pub count: u32,
    /// When the last of them was; `None` for the time of the commit.
    pub time: Option<Timestamp>,
}

/// One step of a change of all units that match a filter: those after one unit, up to another.
pub(crate) struct MatchingStep {
    pub(crate) memory: MemoryKey,
    /// What the first step records.
    pub(crate) matching: u64,
    pub(crate) listed_at: Sequence,
    /// The last unit of the step before.
    pub(crate) after: UnitId,
    pub(crate) changes: Vec<MatchedUnit>,
    /// The last unit of this step; `None` to read the progress only.
    pub(crate) through: Option<UnitId>,
    pub(crate) is_last: bool,
}

/// A unit that matches a filter.
pub(crate) struct MatchedUnit {
    pub(crate) id: UnitId,
    /// The revision of its content; with another one it is left as it is.
    pub(crate) from: u64,
    /// What it becomes; `None` deletes it.
    pub(crate) update: Option<Prepared>,
}

/// One batch of an import.
pub(crate) struct ImportBatch {
    pub(crate) memory: MemoryKey,
    pub(crate) policy: DuplicatePolicy,
    pub(crate) content: PreparedBatch,
}

/// The units of a batch of an import, ready to be stored.
pub struct PreparedBatch {
    /// 1, 2, 3, ….
    pub number: u64,
    /// The valid units.
    pub units: Vec<Prepared>,
    /// Number of units that were invalid or could not be read.
    pub rejected: u64,
    /// Whether it is the last batch.
    pub last: bool,
    /// Digest of the batch as received, which reveals another batch under the same number. See [`crate::engine::batch_digest`].
    pub digest: u64,
}
