//! Creates files and directories that only their owner can read, whatever the umask is, and locks files.

use std::fs::{DirBuilder, File, Permissions, TryLockError};
use std::io;
use std::os::unix::fs::{
    DirBuilderExt as _, MetadataExt as _, OpenOptionsExt as _, PermissionsExt as _,
};
use std::path::Path;

pub(super) const DIRECTORY_MODE: u32 = 0o700;
pub(super) const FILE_MODE: u32 = 0o600;
/// Permission bits of group and others.
pub(super) const OTHERS: u32 = 0o077;

/// Creates a directory and its missing parents, accessible to the owner only.
///
/// # Errors
/// I/O.
pub fn create_directory(path: &Path) -> io::Result<()> {
    DirBuilder::new().recursive(true).mode(DIRECTORY_MODE).create(path)
}

/// Creates or truncates a file, accessible to the owner only.
///
/// # Errors
/// I/O.
pub fn create_file(path: &Path) -> io::Result<File> {
    let mut options = File::options();
    let file = options.write(true).create(true).truncate(true).mode(FILE_MODE).open(path)?;
    restrict(&file);
    Ok(file)
}

/// Removes the permissions of group and others from a file, if this process may change them.
pub(super) fn restrict(file: &File) {
    let is_open = file.metadata().is_ok_and(|data| data.mode() & OTHERS != 0);
    if is_open && let Err(error) = file.set_permissions(Permissions::from_mode(FILE_MODE)) {
        tracing::debug!(%error, "cannot set the mode of a file");
    }
}

/// A file that this process has locked, until it is dropped.
#[derive(Debug)]
pub struct LockedFile(File);

impl LockedFile {
    /// Locks a file; gives it back where another process has it locked.
    ///
    /// # Errors
    /// I/O.
    pub fn lock(file: File) -> io::Result<Result<Self, File>> {
        match file.try_lock() {
            Ok(()) => Ok(Ok(Self(file))),
            Err(TryLockError::WouldBlock) => Ok(Err(file)),
            Err(TryLockError::Error(error)) => Err(error),
        }
    }

    /// The file.
    pub fn file(&mut self) -> &mut File {
        &mut self.0
    }
}

impl Drop for LockedFile {
    fn drop(&mut self) {
        // A child process that is being started has the file open, too, and would keep the lock for a moment. Where this fails, the end
        // of all of them releases it.
        let _ = self.0.unlock();
    }
}
