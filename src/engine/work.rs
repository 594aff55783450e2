//! What can be asked of the writer, and what does it answer? The types that travel through its queue.

use serde::{Deserialize, Serialize};

use crate::store::{MemoryKey, MemoryRecord, RequestKey};
use crate::unit::{Lang, MemoryName, Timestamp, Unit, UnitId};

use super::prepare::{Prepared, UnitPatch};

/// What to do with an imported unit that the memory has already.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub enum DuplicatePolicy {
    /// Store every unit.
    KeepAll,
    /// Leave out a unit whose source and target (texts and tags) are stored already.
    #[default]
    SkipIdentical,
    /// A unit whose source is stored already replaces the newest unit with that source; identical ones are left out.
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
}

/// The fields of a memory that can change; `None` leaves one as it is.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct MemoryPatch {
    /// What people call it.
    pub display_name: Option<String>,
    /// What it is for.
    pub description: Option<String>,
}

/// Sums over a whole import.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ImportCounts {
    /// Units that came.
    pub read: u64,
    /// Units that are in the store because of it.
    pub stored: u64,
    /// Of those, the ones that took the place of an older unit.
    pub replaced: u64,
    /// Units that were there already.
    pub duplicates: u64,
    /// Units that were not stored because something is wrong with them.
    pub rejected: u64,
}

/// How far an import is on disk.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ImportProgress {
    /// Batches 1 to this are stored.
    pub acked_through: u64,
    /// What became of their units.
    pub counts: ImportCounts,
    /// Whether its last batch is among them.
    #[serde(skip)]
    pub complete: bool,
}

/// What became of a unit of an import that passed its checks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum UnitVerdict {
    /// It is a new unit.
    Stored,
    /// It took the place of an older unit.
    Replaced,
    /// It was there already.
    Duplicate,
}

/// A batch of an import that is on disk.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredBatch {
    /// How far the import is with it, at least.
    pub progress: ImportProgress,
    /// What became of its units, in their order; empty when it was on disk before.
    pub verdicts: Vec<UnitVerdict>,
}

/// A write, its texts analysed already.
pub(super) enum Work {
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
        patch: Box<UnitPatch>,
        expected: Option<u64>,
    },
    DeleteUnit {
        memory: MemoryKey,
        id: UnitId,
        expected: Option<u64>,
    },
    ImportBatch(ImportBatch),
    /// Forget requests carried out before a moment, and delete what deleted memories still hold: one step of it.
    Tidy {
        before: Timestamp,
    },
    /// The store was compacted: nothing to write, but what is made from the store may stand before its log by now.
    Compacted,
}

impl Work {
    /// Units that it writes.
    pub(super) fn units(&self) -> usize {
        match self {
            Self::CreateUnits { units, .. } => units.len(),
            Self::ImportBatch(batch) => batch.units.len(),
            _ => 0,
        }
    }
}

/// One batch of an import.
pub(super) struct ImportBatch {
    pub(super) memory: MemoryKey,
    pub(super) number: u64,
    pub(super) policy: DuplicatePolicy,
    pub(super) units: Vec<Prepared>,
    pub(super) rejected: u64,
    /// None comes after it.
    pub(super) last: bool,
}

/// Makes a write repeatable.
#[derive(Clone, Copy)]
pub(super) struct Idempotency {
    pub(super) key: RequestKey,
    pub(super) fingerprint: u128,
    /// Name of the field it came in.
    pub(super) field: &'static str,
}

/// What is remembered of a write that may be repeated.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum Outcome {
    Memory(MemoryKey),
    Units(MemoryKey, Vec<UnitId>),
    Deleted,
    Import(ImportProgress),
    /// Whether there is more of the kind to do.
    Tidied {
        more: bool,
    },
    /// An import whose last batch is stored.
    Imported(ImportProgress),
}

impl Outcome {
    /// How far an import is, if it is one.
    pub(super) fn import(&self) -> Option<ImportProgress> {
        match self {
            Self::Import(progress) => Some(ImportProgress { complete: false, ..*progress }),
            Self::Imported(progress) => Some(ImportProgress { complete: true, ..*progress }),
            _ => None,
        }
    }
}

/// What a write answers.
pub(super) struct Reply {
    pub(super) outcome: Outcome,
    pub(super) memory: Option<MemoryRecord>,
    pub(super) units: Vec<Unit>,
    /// Of the units of a batch of an import.
    pub(super) verdicts: Vec<UnitVerdict>,
}

impl Reply {
    pub(super) fn of(outcome: Outcome) -> Self {
        Self { outcome, memory: None, units: Vec::new(), verdicts: Vec::new() }
    }
}
