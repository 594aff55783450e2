//! Builds a store from a backup: its content first, in any order, then the position of its log.

use std::path::Path;
use std::sync::Arc;

use crate::unit::{Unit, UnitId};

use super::database::Database;
use super::log_ends::LOG_START_KEY;
use super::opening::OpenOptions;
use super::store::SledStore;
use super::tables::Table;
use super::transaction::{Entry, collected_entries, counter_entries, memory_entries};
use crate::store::build::{BuildStore, Built};
use crate::store::codec::{self, CodecError};
use crate::store::unit_codec::{self, CHUNK_BYTES};
use crate::store::{
    LogStart, MemoryCounters, MemoryKey, MemoryRecord, RequestKey, RequestRecord, StoreError,
};

/// A store under construction in its own directory. A later write of a record replaces an earlier one.
pub struct StoreBuilder {
    store: Database,
}

impl StoreBuilder {
    /// Begins a store in a directory that holds none.
    ///
    /// # Errors
    /// I/O.
    pub fn new(directory: &Path, purpose: &str) -> Result<Self, StoreError> {
        let purpose = purpose.to_owned();
        let options = OpenOptions { create: true, accept_data_loss: false, purpose };
        Ok(Self { store: Database::open(directory, &options)? })
    }
}

impl BuildStore for StoreBuilder {
    fn put_memories(&self, memories: &[MemoryRecord]) -> Result<(), StoreError> {
        self.put_entries(Table::Memories, memory_entries(memories))
    }

    fn put_counters(&self, counters: &[MemoryCounters]) -> Result<(), StoreError> {
        self.put_entries(Table::Memories, counter_entries(counters))
    }

    fn remove_memories(&self, memories: &[MemoryKey]) -> Result<(), StoreError> {
        self.put_entries(Table::Memories, Ok(collected_entries(memories).collect()))
    }

    fn put_units(&self, memory: MemoryKey, units: &[Unit]) -> Result<(), StoreError> {
        let mut entries = Vec::with_capacity(units.len());
        for unit in units {
            entries.extend(self.deletions(memory, unit.id)?);
            let bytes = unit_codec::encode_unit(memory, unit);
            let bytes = bytes.map_err(|error| self.store.damage(&error))?;
            for chunk in 0..=u8::MAX {
                let start = usize::from(chunk) * CHUNK_BYTES;
                let Some(rest) = bytes.get(start..) else { break };
                let piece = &rest[..rest.len().min(CHUNK_BYTES)];
                let key = codec::unit_key(memory, unit.id, chunk).to_vec();
                entries.push(Ok((key, Some(piece.to_vec()))));
                if piece.len() < CHUNK_BYTES {
                    break;
                }
            }
        }
        self.put(Table::Units, entries)
    }

    fn remove_unit(&self, memory: MemoryKey, id: UnitId) -> Result<(), StoreError> {
        self.put(Table::Units, self.deletions(memory, id)?)
    }

    fn put_requests(
        &self,
        requests: &[(RequestKey, Option<RequestRecord>)],
    ) -> Result<(), StoreError> {
        let encode = |(key, record): &(RequestKey, Option<RequestRecord>)| {
            let bytes = record.as_ref().map(|record| codec::encode(&key.0, record));
            Ok((key.0.to_vec(), bytes.transpose()?))
        };
        self.put(Table::Requests, requests.iter().map(encode).collect())
    }

    fn finish(self: Box<Self>, start: LogStart) -> Result<Built, StoreError> {
        if start != LogStart::default() {
            let encode =
                || Ok((LOG_START_KEY.to_vec(), Some(codec::encode(&LOG_START_KEY, &start)?)));
            self.put(Table::Log, vec![encode()])?;
        }
        self.store.reload_log_ends()?;
        self.store.sync_new()?;
        self.store.sync(start.sequence)?;
        let store = Arc::new(SledStore::from(self.store));
        Ok((Arc::clone(&store) as _, store))
    }
}

impl StoreBuilder {
    /// Deletions of the existing pieces of a unit.
    fn deletions(
        &self,
        memory: MemoryKey,
        id: UnitId,
    ) -> Result<Vec<Result<Entry, CodecError>>, StoreError> {
        let [from, to] = [0, u8::MAX].map(|chunk| codec::unit_key(memory, id, chunk));
        let keys = self.store.keys(Table::Units, &from, &to)?;
        Ok(keys.into_iter().map(|key| Ok((key, None))).collect())
    }

    fn put(&self, table: Table, entries: Vec<Result<Entry, CodecError>>) -> Result<(), StoreError> {
        self.put_entries(table, entries.into_iter().collect())
    }

    fn put_entries(
        &self,
        table: Table,
        entries: Result<Vec<Entry>, CodecError>,
    ) -> Result<(), StoreError> {
        self.store.put_raw(table, entries.map_err(|error| self.store.damage(&error))?)
    }
}
