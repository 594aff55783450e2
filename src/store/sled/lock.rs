//! Locks a data directory for one process, which describes itself in the lock file.

use std::fs::File;
use std::io::{self, Read as _, Seek as _, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;

use crate::store::Holder;
use crate::store::private::LockedFile;

const FILE: &str = "lock";

/// Why the lock was not taken.
pub(super) enum LockError {
    Held(Holder),
    Io(io::Error),
}

/// The lock; the operating system releases it when the process ends, however it ends.
pub(super) struct Lock {
    file: LockedFile,
    purpose: String,
}

impl Lock {
    pub(super) fn take(directory: &Path, purpose: &str) -> Result<Self, LockError> {
        let file = File::options()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o600)
            .open(directory.join(FILE))
            .map_err(LockError::Io)?;
        let file = match LockedFile::lock(file).map_err(LockError::Io)? {
            Ok(file) => file,
            Err(mut file) => {
                let mut text = String::new();
                // The lock holds without a readable description, too.
                let _ = file.read_to_string(&mut text);
                let text = if text.trim().is_empty() { "another process" } else { text.trim() };
                return Err(LockError::Held(Holder(text.to_owned())));
            }
        };
        let mut lock = Self { file, purpose: purpose.to_owned() };
        lock.describe("").map_err(LockError::Io)?;
        Ok(lock)
    }

    /// Adds the address that this process listens on to the description.
    pub(super) fn announce(&mut self, address: &str) -> io::Result<()> {
        self.describe(&format!(", listening on {address}"))
    }

    fn describe(&mut self, tail: &str) -> io::Result<()> {
        let file = self.file.file();
        file.set_len(0)?;
        file.rewind()?;
        writeln!(file, "dhakira {} (process {}){tail}", self.purpose, std::process::id())
    }
}
