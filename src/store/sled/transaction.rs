//! Encodes a commit and writes it in a transaction, together with the versions of units that it replaces.

use crate::limits::BATCH_UNITS_MAX;
use crate::unit::UnitId;

use crate::store::codec::{self, CodecError};
use crate::store::unit_codec::{self, CHUNK_BYTES};
use crate::store::{
    Commit, LogPosition, LogRecord, MemoryCounters, MemoryKey, MemoryRecord, RequestKey, UnitWrite,
};
use sled::IVec;
use sled::transaction::{ConflictableTransactionError, TransactionError, TransactionalTree};

/// The abort type of transactions that never abort.
pub(super) enum Never {}

/// The sled error of a transaction that never aborts.
pub(super) fn storage_error(error: TransactionError<Never>) -> sled::Error {
    match error {
        TransactionError::Storage(error) => error,
        TransactionError::Abort(never) => match never {},
    }
}

/// An encoded commit; encoded once, because a transaction may run more than once.
pub(super) struct Prepared {
    /// Entries of the table of memories.
    memories: Vec<Entry>,
    units: Vec<PreparedUnit>,
    log: ([u8; 8], Vec<u8>),
    requests: Vec<(RequestKey, Option<Vec<u8>>)>,
}

pub(super) struct PreparedUnit {
    memory: MemoryKey,
    id: UnitId,
    /// Empty for a deletion.
    bytes: IVec,
    is_new: bool,
}

impl Prepared {
    pub(super) fn new(
        commit: &Commit,
        units: Vec<PreparedUnit>,
        end: LogPosition,
    ) -> Result<(Self, LogRecord), CodecError> {
        debug_assert!(commit.units.len() <= BATCH_UNITS_MAX, "a transaction must stay small");
        let sequence = end.sequence.next();
        let mut record = LogRecord::of(commit, sequence);
        record.checksum = codec::log_checksum(end.checksum, &record)?;
        let log_key = sequence.0.to_be_bytes();
        let mut memories = memory_entries(&commit.memories)?;
        memories.extend(counter_entries(&commit.counters)?);
        memories.extend(collected_entries(&commit.collected));
        let mut requests = commit
            .requests
            .iter()
            .map(|(key, record)| Ok((*key, Some(codec::encode(&key.0, record)?))))
            .collect::<Result<Vec<_>, CodecError>>()?;
        requests.extend(commit.forgotten.iter().map(|key| (*key, None)));
        let log = (log_key, codec::encode_log(&log_key, &record)?);
        Ok((Self { memories, units, log, requests }, record))
    }

    pub(super) fn apply(
        &self,
        (memories, log, requests): (&TransactionalTree, &TransactionalTree, &TransactionalTree),
        (units, history): (&TransactionalTree, &TransactionalTree),
    ) -> Result<(), ConflictableTransactionError<Never>> {
        for (key, bytes) in &self.memories {
            match bytes {
                Some(bytes) => memories.insert(key.as_slice(), bytes.as_slice())?,
                None => memories.remove(key.as_slice())?,
            };
        }
        for unit in &self.units {
            unit.apply(units, history)?;
        }
        log.insert(&self.log.0, self.log.1.as_slice())?;
        for (key, bytes) in &self.requests {
            match bytes {
                Some(bytes) => requests.insert(&key.0, bytes.as_slice())?,
                None => requests.remove(&key.0)?,
            };
        }
        Ok(())
    }
}

/// A key and its new value; `None` deletes it.
pub(super) type Entry = (Vec<u8>, Option<Vec<u8>>);

/// Entries of memories: their records and their counters. Where both exist, the counters take precedence.
pub(super) fn memory_entries(memories: &[MemoryRecord]) -> Result<Vec<Entry>, CodecError> {
    let mut entries = Vec::with_capacity(2 * memories.len());
    for memory in memories {
        let key = memory.key.0.to_be_bytes();
        entries.push((key.to_vec(), Some(codec::encode_memory(&key, memory)?)));
        entries.extend(counter_entries(&[memory.counters()])?);
    }
    Ok(entries)
}

pub(super) fn counter_entries(counters: &[MemoryCounters]) -> Result<Vec<Entry>, CodecError> {
    let entry = |counters: &MemoryCounters| {
        let bytes = codec::encode_counters(counters)?;
        Ok((codec::counters_key(counters.key).to_vec(), Some(bytes)))
    };
    counters.iter().map(entry).collect()
}

/// Deletions of the records and counters of memories.
pub(super) fn collected_entries(collected: &[MemoryKey]) -> impl Iterator<Item = Entry> {
    collected.iter().flat_map(|memory| {
        let keys = [memory.0.to_be_bytes().to_vec(), codec::counters_key(*memory).to_vec()];
        keys.map(|key| (key, None))
    })
}

impl PreparedUnit {
    pub(super) fn new(write: &UnitWrite) -> Result<Self, CodecError> {
        let (memory, id, bytes, is_new) = match write {
            UnitWrite::Create(memory, unit) => {
                (*memory, unit.id, unit_codec::encode_unit(*memory, unit)?.into(), true)
            }
            UnitWrite::Update(memory, unit) | UnitWrite::Use(memory, unit) => {
                (*memory, unit.id, unit_codec::encode_unit(*memory, unit)?.into(), false)
            }
            UnitWrite::Delete(memory, id, _) | UnitWrite::Purge(memory, id) => {
                (*memory, *id, IVec::default(), false)
            }
        };
        Ok(Self { memory, id, bytes, is_new })
    }

    /// Writes the pieces of the unit, and moves those of the previous version to the history.
    fn apply(
        &self,
        units: &TransactionalTree,
        history: &TransactionalTree,
    ) -> Result<(), ConflictableTransactionError<Never>> {
        let mut chunk = 0_u8;
        let mut before = None;
        let mut keep = |chunk, piece: IVec| {
            // An unreadable revision is not an error here; `verify` reports it.
            let revision = *before.get_or_insert_with(|| unit_codec::revision(&piece).unwrap_or(0));
            history.insert(&codec::history_key(self.memory, self.id, revision, chunk), piece)
        };
        // A piece of the full size means that another one follows, so a record that fills its last piece ends in an empty one.
        let pieces = if self.bytes.is_empty() { 0 } else { self.bytes.len() / CHUNK_BYTES + 1 };
        for piece in 0..pieces {
            let start = piece * CHUNK_BYTES;
            let end = self.bytes.len().min(start + CHUNK_BYTES);
            let key = codec::unit_key(self.memory, self.id, chunk);
            let bytes = match pieces {
                1 => self.bytes.clone(),
                _ => IVec::from(&self.bytes[start..end]),
            };
            if let Some(old) = units.insert(&key, bytes)? {
                keep(chunk, old)?;
            }
            chunk += 1;
        }
        // Remaining pieces of a longer previous version.
        while !self.is_new
            && let Some(old) = units.remove(&codec::unit_key(self.memory, self.id, chunk))?
        {
            keep(chunk, old)?;
            chunk += 1;
        }
        Ok(())
    }
}
