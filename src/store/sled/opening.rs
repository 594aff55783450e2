//! Opens a data directory: locks it, and compares the database with the durable watermark before anything is used.

use std::io;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use super::database::{DATABASE_LOG, Database};
use super::directory::{check_acknowledged, damaged, database_name};
use super::lock::{Lock, LockError};
use super::permissions;
use super::{directory, recovery, torn, watermark};
use crate::store::{Sequence, StoreError, private};

/// How to open a data directory.
#[derive(Debug, Clone)]
pub struct OpenOptions {
    /// Create the directory and an empty store when there is none.
    pub create: bool,
    /// Open a store that ends before its last acknowledged commit, and accept the loss of the rest.
    pub accept_data_loss: bool,
    /// The purpose of this process (`serve`, `import`), shown by processes that find the directory locked.
    pub purpose: String,
}

impl Database {
    /// See [`SledStore::open`](super::SledStore::open).
    pub(super) fn open(directory: &Path, options: &OpenOptions) -> Result<Self, StoreError> {
        let io = |doing: &str| {
            let doing = format!("{doing} {}", directory.display());
            move |error: io::Error| StoreError::Io { doing, cause: error.to_string() }
        };
        if options.create {
            private::create_directory(directory).map_err(io("creating the data directory"))?;
        } else if !directory::is_store(directory) {
            return Err(StoreError::Io {
                doing: format!("opening {}", directory.display()),
                cause: "there is no Dhakira store; create one with `dhakira import --data DIR --memory NAME FILE`, or \
                        name another directory with --data"
                    .to_owned(),
            });
        }
        let lock = Lock::take(directory, &options.purpose).map_err(|error| match error {
            LockError::Held(holder) => {
                StoreError::InUse { directory: directory.to_owned(), holder }
            }
            LockError::Io(error) => io("locking the data directory")(error),
        })?;
        permissions::tighten(directory);
        let acknowledged = watermark::read(directory).map_err(|error| match error.kind() {
            io::ErrorKind::InvalidData => damaged(directory, error.to_string()),
            _ => io("reading the last acknowledged commit in")(error),
        })?;
        let name = database_name(directory)?;
        let is_new = !directory.join(&name).join(DATABASE_LOG).exists();
        if let Some(acknowledged) = acknowledged.filter(|_| is_new && !options.accept_data_loss)
            && acknowledged > Sequence(0)
        {
            return Err(StoreError::Behind {
                directory: directory.to_owned(),
                found: Sequence(0),
                acknowledged,
            });
        }
        if is_new && acknowledged.is_none() && !options.accept_data_loss {
            directory::check_never_used(directory)?;
        }
        let lock = Arc::new(Mutex::new(lock));
        let torn = torn::find(&directory.join(&name), acknowledged)
            .map_err(io("reading the database in"))?;
        let whole = match torn {
            Some(end) => {
                Self::open_without_torn((directory, &name), Arc::clone(&lock), acknowledged, end)?
            }
            None => None,
        };
        let store = if let Some(store) = whole {
            store
        } else if recovery::is_damaged(&directory.join(&name)) {
            tracing::warn!(
                directory = %directory.display(),
                "the snapshot of the database is damaged; opening a copy without it"
            );
            let accept_data_loss = options.accept_data_loss;
            Self::open_copy((directory, &name), lock, (acknowledged, accept_data_loss), None)?
        } else {
            Self::open_named(directory, name, lock)?
        };
        let found = store.end().sequence;
        check_acknowledged(directory, found, acknowledged, options.accept_data_loss)?;
        if is_new {
            store.sync_new()?;
        }
        store.sync(found)?;
        directory::delete_inactive(directory, &store.name);
        Ok(store)
    }

    /// See [`SledStore::announce`](super::SledStore::announce).
    pub(super) fn announce(&self, address: &str) -> Result<(), StoreError> {
        self.lock.lock().unwrap_or_else(PoisonError::into_inner).announce(address).map_err(
            |error| StoreError::Io {
                doing: format!("writing the lock file in {}", self.directory.display()),
                cause: error.to_string(),
            },
        )
    }
}
