//! What can be asked of the writer, and what does it answer? The types that travel through its queue.

use serde::{Deserialize, Serialize};

use crate::store::MemoryKey;
use crate::unit::{Lang, MemoryName, Score, Timestamp, UnitId};
use crate::validate::ContentFault;

use super::prepare::Prepared;

/// What to do with an imported unit that the memory has already.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub enum DuplicatePolicy {
    /// Store every unit.
    KeepAll,
    /// Leave out a unit whose source and target (texts and tags) are stored already, with the same context or with more of it.
    #[default]
    SkipIdentical,
    /// A unit whose source is stored already replaces the unit with that source in the same context, or else the newest whose
    /// context is not known to be another; identical ones are left out.
    ReplaceSameSource,
}

/// The fields of a memory that its maker decides.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NewMemory {
    /// Its name.
    pub name: MemoryName,
    /// What people call it.
    pub display_name: String,
    /// What it is for.
    pub description: String,
    /// Language of its sources.
    pub source_lang: Lang,
    /// Language of its targets.
    pub target_lang: Lang,
    /// What its matches lose when their translation is unfinished; `None` for the default. Left out of the fingerprints of
    /// requests when absent, so that those of earlier versions are still known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub unfinished_penalty: Option<Score>,
}

/// The fields of a memory that can change; `None` leaves one as it is.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct MemoryPatch {
    /// What people call it.
    pub display_name: Option<String>,
    /// What it is for.
    pub description: Option<String>,
    /// What its matches lose when their translation is unfinished; `Some(None)` brings the default back.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub unfinished_penalty: Option<Option<Score>>,
}

/// A write, its texts analysed already.
pub(crate) enum Work {
    CreateMemory(NewMemory),
    UpdateMemory {
        memory: MemoryKey,
        patch: MemoryPatch,
        expected: Option<u64>,
    },
    DeleteMemory {
        memory: MemoryKey,
        force: bool,
    },
    CreateUnits {
        memory: MemoryKey,
        units: Vec<Prepared>,
    },
    UpdateUnit {
        memory: MemoryKey,
        id: UnitId,
        /// `None` when there was no such unit to prepare it from.
        update: Option<Box<PreparedUpdate>>,
        expected: Option<u64>,
    },
    DeleteUnit {
        memory: MemoryKey,
        id: UnitId,
        expected: Option<u64>,
    },
    ImportBatch(ImportBatch),
    /// Nothing to write: how far an import is, once everything before is on disk.
    ImportProgress {
        memory: MemoryKey,
    },
    /// Remove requests carried out before a moment, and what deleted memories still hold: one step of it.
    CollectGarbage {
        before: Timestamp,
    },
    /// Nothing to write: a compaction has truncated the log, so checkpoints may be older than its start.
    LogTruncated,
}

impl Work {
    /// The memory that it is for; `None` when that is still to be made.
    pub(crate) fn memory(&self) -> Option<MemoryKey> {
        match self {
            Self::UpdateMemory { memory, .. }
            | Self::DeleteMemory { memory, .. }
            | Self::CreateUnits { memory, .. }
            | Self::UpdateUnit { memory, .. }
            | Self::DeleteUnit { memory, .. }
            | Self::ImportProgress { memory } => Some(*memory),
            Self::ImportBatch(batch) => Some(batch.memory),
            Self::CreateMemory(_) | Self::CollectGarbage { .. } | Self::LogTruncated => None,
        }
    }

    /// Whether there is something to clean up after it.
    pub(crate) fn leaves_garbage(&self) -> bool {
        matches!(self, Self::DeleteMemory { .. } | Self::LogTruncated)
    }

    /// Units that it writes.
    pub(crate) fn units(&self) -> usize {
        match self {
            Self::CreateUnits { units, .. } => units.len(),
            Self::ImportBatch(batch) => batch.content.units.len(),
            _ => 0,
        }
    }
}

/// A changed unit, made from a revision of it.
pub(crate) struct PreparedUpdate {
    pub(crate) from_revision: u64,
    pub(crate) unit: Result<Prepared, ContentFault>,
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
    /// Those that passed their checks.
    pub units: Vec<Prepared>,
    /// How many did not, or could not be read; they are counted.
    pub rejected: u64,
    /// None comes after it.
    pub last: bool,
    /// What it held when it came in: a batch of the same number with another digest is another batch. See
    /// [`crate::engine::batch_digest`].
    pub digest: u64,
}
