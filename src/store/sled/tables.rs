//! Reads and writes the tables of a database as raw entries.

use std::io;
use std::path::Path;
use std::sync::{Arc, PoisonError};

use super::database::Database;
use super::directory::{damaged, sync_tree};
use super::log_ends::read_log_ends;
use super::permissions;
use super::transaction::Entry;
use super::watermark;
use crate::store::codec;
use crate::store::{RequestKey, RequestRecord, StoreError};
use sled::{Batch, IVec, Tree};

/// A table of the database.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Table {
    Memories,
    Units,
    Log,
    Requests,
    /// Superseded versions of units, and last versions of deleted ones.
    History,
}

/// A key and its value.
pub(super) type Raw = (Vec<u8>, Vec<u8>);

fn raw((key, value): (IVec, IVec)) -> Raw {
    (key.to_vec(), value.to_vec())
}

impl Database {
    /// Creates another database in the same directory, under the same lock.
    pub(super) fn sibling(&self, name: String) -> Result<Self, StoreError> {
        Self::open_named(&self.directory, name, Arc::clone(&self.lock))
    }

    /// Makes the files of a new database and their directory entries durable.
    pub(super) fn sync_new(&self) -> Result<(), StoreError> {
        let sync = || {
            self.db.flush().map_err(io::Error::other)?;
            let place = self.directory.join(&self.name);
            permissions::keep(&place);
            sync_tree(&place)?;
            watermark::sync_directory(&self.directory)?;
            match self.directory.canonicalize()?.parent() {
                Some(parent) => watermark::sync_directory(parent),
                None => Ok(()),
            }
        };
        sync().map_err(|error| StoreError::Io {
            doing: format!("making the new database in {} durable", self.directory.display()),
            cause: error.to_string(),
        })
    }

    /// The data directory, and the name of the database in it.
    pub(super) fn place(&self) -> (&Path, &str) {
        (&self.directory, &self.name)
    }

    fn tree(&self, table: Table) -> &Tree {
        match table {
            Table::Memories => &self.trees.memories,
            Table::Units => &self.trees.units,
            Table::Log => &self.trees.log,
            Table::Requests => &self.trees.requests,
            Table::History => &self.trees.history,
        }
    }

    /// The keys of a table in an inclusive range.
    pub(super) fn keys(
        &self,
        table: Table,
        from: &[u8],
        to: &[u8],
    ) -> Result<Vec<Vec<u8>>, StoreError> {
        let keys = || self.tree(table).range(from..=to).keys();
        self.read(|| keys().map(|it| it.map(|key| key.to_vec())).collect())
    }

    /// The entries of a table whose keys have a prefix.
    pub(super) fn scan_prefix(&self, table: Table, prefix: &[u8]) -> Result<Vec<Raw>, StoreError> {
        self.read(|| self.tree(table).scan_prefix(prefix).map(|it| it.map(raw)).collect())
    }

    /// The entries of a table from a key on, at most `limit`.
    pub(super) fn scan(
        &self,
        table: Table,
        from: &[u8],
        limit: usize,
    ) -> Result<Vec<Raw>, StoreError> {
        let read = || {
            let entries = self.tree(table).range(from..).take(limit);
            entries.map(|it| it.map(raw)).collect()
        };
        self.read(read)
    }

    /// Requests in key order, from the first one above `after`.
    pub(super) fn requests_after(
        &self,
        after: Option<RequestKey>,
        limit: usize,
    ) -> Result<Vec<(RequestKey, RequestRecord)>, StoreError> {
        // The next key after another is that key with a zero byte appended.
        let from = after.map_or_else(Vec::new, |key| [&key.0[..], &[0]].concat());
        let request = |(key, bytes): Raw| {
            let record = codec::decode(&key, &bytes).map_err(|error| self.damage(&error))?;
            let key = key.as_slice().try_into();
            let key = key.map_err(|_| damaged(self.place().0, "a request has a bad key"))?;
            Ok((RequestKey(key), record))
        };
        self.scan(Table::Requests, &from, limit)?.into_iter().map(request).collect()
    }

    /// Writes entries; without a value, deletes them. Neither atomic nor durable before the next commit or
    /// [`sync_new`](Self::sync_new), so only for a database that is not in use yet.
    pub(super) fn put_raw(&self, table: Table, entries: Vec<Entry>) -> Result<(), StoreError> {
        let mut batch = Batch::default();
        for (key, value) in entries {
            match value {
                Some(value) => batch.insert(key, value),
                None => batch.remove(key),
            }
        }
        let doing = || format!("writing to the new database in {}", self.directory.display());
        self.guard(doing, || self.tree(table).apply_batch(batch))
    }

    /// Reads start and end of the log again, after raw writes to it.
    pub(super) fn reload_log_ends(&self) -> Result<(), StoreError> {
        let (start, end) = read_log_ends(&self.directory, &self.trees.log)?;
        *self.start.lock().unwrap_or_else(PoisonError::into_inner) = start;
        *self.end.lock().unwrap_or_else(PoisonError::into_inner) = end;
        Ok(())
    }
}
