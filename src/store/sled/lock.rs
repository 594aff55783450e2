//! Who has it open? One process a data directory, and its name for the others.

use std::fs::{File, TryLockError};
use std::io::{self, Read as _, Seek as _, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;

use crate::store::Holder;

const FILE: &str = "lock";

/// Why there is no lock.
pub(super) enum LockError {
    Held(Holder),
    Io(io::Error),
}

/// The lock; the operating system takes it back when the process ends, however it ends.
pub(super) struct Lock {
    file: File,
    what: String,
}

impl Lock {
    pub(super) fn take(directory: &Path, what: &str) -> Result<Self, LockError> {
        let mut file = File::options()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o600)
            .open(directory.join(FILE))
            .map_err(LockError::Io)?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                let mut text = String::new();
                // What the holder wrote is a courtesy: without it the lock still holds.
                let _ = file.read_to_string(&mut text);
                let text = if text.trim().is_empty() { "another process" } else { text.trim() };
                return Err(LockError::Held(Holder(text.to_owned())));
            }
            Err(TryLockError::Error(error)) => return Err(LockError::Io(error)),
        }
        let mut lock = Self { file, what: what.to_owned() };
        lock.introduce("").map_err(LockError::Io)?;
        Ok(lock)
    }

    /// Says where this process can be reached.
    pub(super) fn announce(&mut self, address: &str) -> io::Result<()> {
        self.introduce(&format!(", listening on {address}"))
    }

    fn introduce(&mut self, tail: &str) -> io::Result<()> {
        self.file.set_len(0)?;
        self.file.rewind()?;
        writeln!(self.file, "dhakira {} (process {}){tail}", self.what, std::process::id())
    }
}
