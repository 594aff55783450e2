//! Defines the outcomes of writes, which are answered and stored for repeated requests.

use serde::{Deserialize, Serialize};
use xxhash_rust::xxh3::xxh3_128;

use crate::engine::error::EngineError;
use crate::limits::IMPORT_BLOCK_BATCHES;
use crate::store::{
    MemoryKey, MemoryRecord, MemorySettings, RequestKey, Sequence, SettingsWithMode,
};
use crate::unit::{ContextMode, Lang, MemoryName, Score, Scoring, Timestamp, Unit, UnitId};

use super::progress::{ImportProgress, UnitOutcome};

/// The stored outcome of a write that may be repeated.
///
/// New variants are appended. The first ones were written by earlier versions, which did not record the memory or the revision;
/// they stay readable.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Outcome {
    Memory(MemoryKey),
    Units(MemoryKey, Vec<UnitId>),
    Deleted,
    Import(ImportProgress),
    /// Whether there is more garbage to collect; never stored.
    Collected {
        more: bool,
    },
    /// An import whose last batch is stored.
    Imported(ImportProgress),
    /// A memory as it was answered.
    MemoryVersion(Box<MemoryVersion>),
    /// Units and the revisions that were answered.
    UnitVersions(MemoryKey, Vec<(UnitId, u64)>),
    DeletedFrom(MemoryKey),
    ImportInto(Box<ImportState>),
    /// Digests of a full block of batches of an import.
    BatchDigests(Vec<u64>),
    /// The unit has changed since its update was prepared, and nothing was written; never stored.
    Outdated,
    /// A memory as it was answered, with its penalty for unfinished translations.
    PenalizedMemoryVersion(Box<MemoryVersion>, Score),
    /// Units that were to be stored: the revisions that were answered, and what became of each.
    SavedUnits(MemoryKey, Vec<(UnitId, u64, UnitOutcome)>),
    /// A change of all units that match a filter.
    Matching(Box<MatchingState>),
    /// A memory as it was answered, with all its settings but the context mode.
    MemoryVersionWithSettings(Box<MemoryVersion>, Box<MemorySettings>),
    /// The same with its context mode.
    MemoryVersionWithMode(Box<MemoryVersion>, Box<SettingsWithMode>),
}

/// The durable progress of a change of all units that match a filter.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct MatchingState {
    pub(crate) memory: MemoryKey,
    /// Units that matched when the change began.
    pub(crate) matching: u64,
    /// Units changed so far.
    pub(crate) changed: u64,
    /// Units up to this one are done.
    pub(crate) through: UnitId,
    /// A commit before the units were listed. Units that others have changed after it are left as they are.
    pub(crate) listed_at: Sequence,
    pub(crate) complete: bool,
}

impl MatchingState {
    /// Before the first step.
    pub(crate) fn new(memory: MemoryKey) -> Self {
        Self {
            memory,
            matching: 0,
            changed: 0,
            through: UnitId(0),
            listed_at: Sequence(0),
            complete: false,
        }
    }
}

/// A memory as it was answered. Its layout is separate from that of a stored memory, which may change while requests are kept.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct MemoryVersion {
    key: MemoryKey,
    name: MemoryName,
    display_name: String,
    description: String,
    source_lang: Lang,
    target_lang: Lang,
    created: Timestamp,
    changed: Timestamp,
    revision: u64,
    unit_count: u64,
    next_unit: UnitId,
}

impl From<&MemoryRecord> for MemoryVersion {
    fn from(record: &MemoryRecord) -> Self {
        Self {
            key: record.key,
            name: record.name.clone(),
            display_name: record.display_name.clone(),
            description: record.description.clone(),
            source_lang: record.source_lang.clone(),
            target_lang: record.target_lang.clone(),
            created: record.created,
            changed: record.changed,
            revision: record.revision,
            unit_count: record.unit_count,
            next_unit: record.next_unit,
        }
    }
}

impl From<MemoryVersion> for MemoryRecord {
    fn from(version: MemoryVersion) -> Self {
        Self {
            key: version.key,
            name: version.name,
            display_name: version.display_name,
            description: version.description,
            source_lang: version.source_lang,
            target_lang: version.target_lang,
            created: version.created,
            changed: version.changed,
            revision: version.revision,
            unit_count: version.unit_count,
            next_unit: version.next_unit,
            deleted: false,
            unfinished_penalty: None,
            scoring: Scoring::default(),
        }
    }
}

/// The progress of an import, and digests of its batches.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct ImportState {
    pub(crate) memory: MemoryKey,
    pub(crate) progress: ImportProgress,
    pub(crate) complete: bool,
    /// Batches up to this one were stored by a version that kept no digests.
    unverified_through: u64,
    /// Digests of the latest batches, which have not filled a block yet.
    recent: Vec<u64>,
    /// Digest of the last stored batch.
    last: Option<u64>,
}

impl ImportState {
    pub(crate) fn new(memory: MemoryKey) -> Self {
        Self {
            memory,
            progress: ImportProgress::default(),
            complete: false,
            unverified_through: 0,
            recent: Vec::new(),
            last: None,
        }
    }

    /// The progress, as answered to clients.
    pub(crate) fn progress(&self) -> ImportProgress {
        ImportProgress { complete: self.complete, ..self.progress }
    }

    /// Records the digest of the next batch; returns a block of digests with its number when one is full.
    pub(crate) fn push(&mut self, digest: u64) -> Option<(u64, Vec<u64>)> {
        self.progress.acked_through += 1;
        self.recent.push(digest);
        self.last = Some(digest);
        let is_full = self.progress.acked_through.is_multiple_of(IMPORT_BLOCK_BATCHES);
        is_full.then(|| (block_of(self.progress.acked_through), std::mem::take(&mut self.recent)))
    }

    /// Where the digest of a stored batch is kept.
    pub(crate) fn place_of(&self, number: u64) -> DigestPlace {
        let last = self.progress.acked_through;
        if number <= self.unverified_through {
            DigestPlace::Unknown
        } else if let Some(digest) = digest_at(&self.recent, last, number) {
            DigestPlace::Here(digest)
        } else {
            DigestPlace::Block(block_of(number))
        }
    }

    pub(crate) fn last_digest(&self) -> Option<u64> {
        self.last
    }
}

/// Where the digest of a batch is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum DigestPlace {
    Here(u64),
    /// In the record of this block.
    Block(u64),
    /// Nowhere: the version of the program that stored the batch kept no digests.
    Unknown,
}

fn block_of(batch: u64) -> u64 {
    (batch - 1) / IMPORT_BLOCK_BATCHES
}

/// The digest of a batch among those of the batches up to `last`.
pub(crate) fn digest_at(digests: &[u64], last: u64, number: u64) -> Option<u64> {
    let behind = usize::try_from(last.checked_sub(number)?).ok()?;
    digests.len().checked_sub(behind + 1).and_then(|place| digests.get(place)).copied()
}

/// The last batch of a block.
pub(crate) fn end_of_block(block: u64) -> u64 {
    (block + 1) * IMPORT_BLOCK_BATCHES
}

/// The key under which a block of an import's digests is stored.
pub(crate) fn block_key(import: RequestKey, block: u64) -> RequestKey {
    let bytes = [&import.0[..], &block.to_be_bytes(), b"batch digests"].concat();
    RequestKey(xxh3_128(&bytes).to_be_bytes())
}

impl Outcome {
    /// The outcome that answers a memory.
    pub(crate) fn of_memory(record: &MemoryRecord) -> Self {
        let version = Box::new(record.into());
        match record.settings() {
            None => Self::MemoryVersion(version),
            Some(MemorySettings { unfinished_penalty: Some(penalty), scoring })
                if scoring.is_default() =>
            {
                Self::PenalizedMemoryVersion(version, penalty)
            }
            Some(settings) if settings.scoring.context_mode == ContextMode::default() => {
                Self::MemoryVersionWithSettings(version, Box::new(settings))
            }
            Some(settings) => Self::MemoryVersionWithMode(version, Box::new(settings.into())),
        }
    }

    /// The state of an import into a memory, if this is the outcome of one.
    pub(crate) fn import(&self, memory: MemoryKey) -> Option<ImportState> {
        let legacy = |progress: &ImportProgress, complete| ImportState {
            progress: *progress,
            complete,
            unverified_through: progress.acked_through,
            ..ImportState::new(memory)
        };
        match self {
            Self::Import(progress) => Some(legacy(progress, false)),
            Self::Imported(progress) => Some(legacy(progress, true)),
            Self::ImportInto(state) => Some(ImportState::clone(state)),
            _ => None,
        }
    }

    pub(crate) fn is_import(&self) -> bool {
        matches!(self, Self::Import(_) | Self::Imported(_) | Self::ImportInto(_))
    }

    /// Whether a repetition of the request continues it.
    pub(crate) fn is_resumable(&self) -> bool {
        self.is_import() || matches!(self, Self::Matching(_))
    }

    /// The memory of the write; `None` where it was not recorded.
    pub(super) fn memory(&self) -> Option<MemoryKey> {
        match self {
            Self::Memory(key)
            | Self::Units(key, _)
            | Self::UnitVersions(key, _)
            | Self::SavedUnits(key, _)
            | Self::DeletedFrom(key) => Some(*key),
            Self::MemoryVersion(version)
            | Self::PenalizedMemoryVersion(version, _)
            | Self::MemoryVersionWithSettings(version, _)
            | Self::MemoryVersionWithMode(version, _) => Some(version.key),
            Self::ImportInto(state) => Some(state.memory),
            Self::Matching(state) => Some(state.memory),
            Self::Deleted
            | Self::Import(_)
            | Self::Imported(_)
            | Self::Collected { .. }
            | Self::Outdated
            | Self::BatchDigests(_) => None,
        }
    }

    pub(crate) fn to_bytes(&self) -> Result<Vec<u8>, EngineError> {
        postcard::to_stdvec(self).map_err(|error| EngineError::Internal(error.to_string()))
    }

    pub(crate) fn from_bytes(bytes: &[u8]) -> Result<Self, EngineError> {
        postcard::from_bytes(bytes)
            .map_err(|error| EngineError::Internal(format!("stored request: {error}")))
    }
}

/// The answer to a write.
pub(crate) struct Reply {
    pub(crate) outcome: Outcome,
    pub(crate) memory: Option<MemoryRecord>,
    pub(crate) units: Vec<Unit>,
    /// Outcomes of units that were to be stored.
    pub(crate) unit_outcomes: Vec<UnitOutcome>,
    /// Whether a repetition gets this answer although nothing else was written.
    pub(crate) is_recorded: bool,
}

impl Reply {
    pub(crate) fn of(outcome: Outcome) -> Self {
        Self {
            outcome,
            memory: None,
            units: Vec::new(),
            unit_outcomes: Vec::new(),
            is_recorded: false,
        }
    }
}

pub(crate) fn import_state(earlier: Option<Outcome>, memory: MemoryKey) -> ImportState {
    earlier.and_then(|it| it.import(memory)).unwrap_or_else(|| ImportState::new(memory))
}

pub(crate) fn import_reply(state: ImportState) -> Reply {
    Reply::of(Outcome::ImportInto(Box::new(state)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::ImportCounts;

    /// Bytes written by the version before memories and revisions were recorded.
    #[test]
    fn outcomes_of_earlier_versions_are_read() {
        let counts = ImportCounts { read: 3, stored: 2, replaced: 0, duplicates: 1, rejected: 0 };
        let progress = ImportProgress { acked_through: 5, counts, complete: false };
        let old: [(&[u8], Outcome); 6] = [
            (&[0, 7], Outcome::Memory(MemoryKey(7))),
            (&[1, 7, 2, 4, 5], Outcome::Units(MemoryKey(7), vec![UnitId(4), UnitId(5)])),
            (&[2], Outcome::Deleted),
            (&[3, 5, 3, 2, 0, 1, 0], Outcome::Import(progress)),
            (&[4, 1], Outcome::Collected { more: true }),
            (&[5, 5, 3, 2, 0, 1, 0], Outcome::Imported(progress)),
        ];
        for (bytes, outcome) in old {
            assert_eq!(Outcome::from_bytes(bytes).unwrap(), outcome);
        }
        let state = Outcome::Imported(progress).import(MemoryKey(7)).unwrap();
        assert!(state.progress().complete);
        assert_eq!(state.place_of(5), DigestPlace::Unknown);
    }

    #[test]
    fn the_digest_of_every_batch_is_found_again() {
        for legacy in [0, 1, 63, 64, 65, 200] {
            let progress = ImportProgress { acked_through: legacy, ..ImportProgress::default() };
            let mut state = Outcome::Import(progress).import(MemoryKey(1)).unwrap();
            let mut blocks = std::collections::BTreeMap::new();
            for number in legacy + 1..=300 {
                if let Some((block, digests)) = state.push(number * 10) {
                    assert!(digests.len() as u64 <= IMPORT_BLOCK_BATCHES);
                    blocks.insert(block, digests);
                }
                for earlier in 1..=number {
                    let found = match state.place_of(earlier) {
                        DigestPlace::Here(digest) => Some(digest),
                        DigestPlace::Block(block) => {
                            digest_at(&blocks[&block], end_of_block(block), earlier)
                        }
                        DigestPlace::Unknown => None,
                    };
                    assert_eq!(found, (earlier > legacy).then_some(earlier * 10), "{earlier}");
                }
            }
        }
    }
}
