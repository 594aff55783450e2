//! Who may read what is stored? Its owner alone, whatever the umask says.

use std::fs::{DirBuilder, File, Permissions};
use std::io;
use std::os::unix::fs::{
    DirBuilderExt as _, MetadataExt as _, OpenOptionsExt as _, PermissionsExt as _,
};
use std::path::Path;

pub(super) const DIRECTORY_MODE: u32 = 0o700;
pub(super) const FILE_MODE: u32 = 0o600;
/// What group and others may do.
pub(super) const OTHERS: u32 = 0o077;

/// Makes a directory, and those above it that are missing, for its owner alone.
///
/// # Errors
/// I/O.
pub fn create_directory(path: &Path) -> io::Result<()> {
    DirBuilder::new().recursive(true).mode(DIRECTORY_MODE).create(path)
}

/// Makes a file for its owner alone, or empties the one that is there.
///
/// # Errors
/// I/O.
pub fn create_file(path: &Path) -> io::Result<File> {
    let mut options = File::options();
    let file = options.write(true).create(true).truncate(true).mode(FILE_MODE).open(path)?;
    restrict(&file);
    Ok(file)
}

/// Takes from others what they may do with a file that was made by the umask, as far as that is ours to say.
pub(super) fn restrict(file: &File) {
    let is_open = file.metadata().is_ok_and(|data| data.mode() & OTHERS != 0);
    if is_open && let Err(error) = file.set_permissions(Permissions::from_mode(FILE_MODE)) {
        tracing::debug!(%error, "the mode of a file cannot be set");
    }
}
