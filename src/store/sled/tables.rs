//! What do the tables of the database hold, as they are? For whoever copies them, and for the walk through the log at the start.

use std::io;
use std::path::Path;
use std::sync::{Arc, PoisonError};

use super::database::Database;
use super::directory::{damaged, sync_tree};
use super::log_ends::read_log_ends;
use super::permissions;
use super::watermark;
use crate::store::codec;
use crate::store::{RequestKey, RequestRecord, StoreError};
use sled::{Batch, IVec, Tree};

/// One of the tables, for whoever copies them as they are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Table {
    Memories,
    Units,
    Log,
    Requests,
    /// Versions of units that have newer ones, or are gone.
    History,
}

/// A key and what is stored under it.
pub(super) type Raw = (Vec<u8>, Vec<u8>);

fn raw((key, value): (IVec, IVec)) -> Raw {
    (key.to_vec(), value.to_vec())
}

impl Database {
    /// Another database in the same directory, under the same lock.
    pub(super) fn sibling(&self, name: String) -> Result<Self, StoreError> {
        Self::open_named(&self.directory, name, Arc::clone(&self.lock))
    }

    /// Makes the files of a new database durable, and their names.
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

    /// The keys of a table from one to another, both among them.
    pub(super) fn keys(
        &self,
        table: Table,
        from: &[u8],
        to: &[u8],
    ) -> Result<Vec<Vec<u8>>, StoreError> {
        let keys = || self.tree(table).range(from..=to).keys();
        self.read(|| keys().map(|it| it.map(|key| key.to_vec())).collect())
    }

    /// What a table holds under keys with a beginning, as it is.
    pub(super) fn scan_prefix(&self, table: Table, prefix: &[u8]) -> Result<Vec<Raw>, StoreError> {
        self.read(|| self.tree(table).scan_prefix(prefix).map(|it| it.map(raw)).collect())
    }

    /// What a table holds from a key on, as it is.
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

    /// Requests in the order of their keys, from the first one above `after`.
    pub(super) fn requests_after(
        &self,
        after: Option<RequestKey>,
        limit: usize,
    ) -> Result<Vec<(RequestKey, RequestRecord)>, StoreError> {
        // The key behind another one is that with a zero byte more.
        let from = after.map_or_else(Vec::new, |key| [&key.0[..], &[0]].concat());
        let request = |(key, bytes): Raw| {
            let record = codec::decode(&key, &bytes).map_err(|error| self.damage(&error))?;
            let key = key.as_slice().try_into();
            let key = key.map_err(|_| damaged(self.place().0, "a request has a bad key"))?;
            Ok((RequestKey(key), record))
        };
        self.scan(Table::Requests, &from, limit)?.into_iter().map(request).collect()
    }

    /// Writes entries as they are; without a value, deletes them. Not durable before the next commit or
    /// [`sync_new`](Self::sync_new), and not one whole: for a database that nobody relies on yet.
    pub(super) fn put_raw(
        &self,
        table: Table,
        entries: Vec<(Vec<u8>, Option<Vec<u8>>)>,
    ) -> Result<(), StoreError> {
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

    /// Reads the log again, after it was written to as it is.
    pub(super) fn read_log_again(&self) -> Result<(), StoreError> {
        let (start, end) = read_log_ends(&self.directory, &self.trees.log)?;
        *self.start.lock().unwrap_or_else(PoisonError::into_inner) = start;
        *self.end.lock().unwrap_or_else(PoisonError::into_inner) = end;
        Ok(())
    }
}
