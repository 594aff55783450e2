//! Keeps the files of a data directory readable by their owner only.

use std::fs::{self, Permissions};
use std::io;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::Path;

use crate::store::private::{DIRECTORY_MODE, FILE_MODE, OTHERS};

/// Removes the permissions of group and others from the files of a data directory, and logs if there were any. Files of other
/// programs are not changed, and neither is a directory that holds such files.
pub(super) fn tighten(directory: &Path) {
    let mut tightened = 0;
    let mut failed = None;
    let mut count = |path: &Path| match tighten_tree(path) {
        Ok(entries) => tightened += entries,
        Err(error) => failed = Some(error),
    };
    let mut foreign = false;
    for entry in fs::read_dir(directory).into_iter().flatten().flatten() {
        if is_own(&entry.file_name().to_string_lossy()) {
            count(&entry.path());
        } else {
            foreign = true;
        }
    }
    if foreign {
        let open = fs::metadata(directory).is_ok_and(|it| it.mode() & OTHERS != 0);
        if open {
            tracing::warn!(
                directory = %directory.display(),
                "other users can list the data directory; its mode was not changed, because it holds files of other programs"
            );
        }
    } else if let Err(error) = tighten_one(directory).map(|changed| tightened += changed) {
        failed = Some(error);
    }
    if tightened > 0 {
        tracing::warn!(
            directory = %directory.display(), entries = tightened,
            "other users could read the data directory; its directories now have mode 0700 and its files 0600"
        );
    }
    if let Some(error) = failed {
        tracing::warn!(directory = %directory.display(), %error, "other users may be able to read the data directory");
    }
}

/// The same for the directory of a database that sled has just opened, creating files by the umask. Failures were already logged
/// when the data directory was opened.
pub(super) fn keep(database: &Path) {
    if let Err(error) = tighten_tree(database) {
        tracing::debug!(database = %database.display(), %error, "cannot set the mode of files");
    }
}

fn tighten_tree(path: &Path) -> io::Result<usize> {
    let data = match fs::symlink_metadata(path) {
        Ok(data) => data,
        // A temporary file that was deleted meanwhile.
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(0),
        Err(error) => return Err(error),
    };
    let mut changed = 0;
    if data.is_dir() {
        changed += tighten_one(path)?;
        for entry in fs::read_dir(path)? {
            changed += tighten_tree(&entry?.path())?;
        }
    } else if data.is_file() {
        changed += tighten_one(path)?;
    }
    Ok(changed)
}

fn tighten_one(path: &Path) -> io::Result<usize> {
    let data = match fs::metadata(path) {
        Ok(data) => data,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(0),
        Err(error) => return Err(error),
    };
    if data.mode() & OTHERS == 0 {
        return Ok(0);
    }
    let mode = if data.is_dir() { DIRECTORY_MODE } else { FILE_MODE };
    fs::set_permissions(path, Permissions::from_mode(mode))?;
    Ok(1)
}

/// Whether an entry of a data directory belongs to this program.
fn is_own(name: &str) -> bool {
    const NAMES: [&str; 8] = [
        "lock",
        "acknowledged",
        "database",
        "secret",
        "checkpoints",
        "access",
        "tokens-required",
        "operations",
    ];
    let stem = name.strip_suffix(".new").unwrap_or(name);
    NAMES.contains(&stem) || super::directory::is_name(name)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::private::{create_directory, create_file};

    fn mode(path: &Path) -> u32 {
        fs::metadata(path).unwrap().mode() & 0o777
    }

    #[test]
    fn own_files_are_tightened_and_others_are_left_alone() {
        let outer = tempfile::tempdir().unwrap();
        let data = outer.path().join("above/data");
        create_directory(&data.join("sled/blobs")).unwrap();
        assert_eq!((mode(&outer.path().join("above")), mode(&data)), (0o700, 0o700));
        let set =
            |path: &Path, mode| fs::set_permissions(path, Permissions::from_mode(mode)).unwrap();
        let file = |name: &str| {
            let path = data.join(name);
            fs::write(&path, "x").unwrap();
            set(&path, 0o644);
            path
        };
        let (database, acknowledged) = (file("sled/blobs/1"), file("acknowledged"));
        set(&data, 0o755);
        tighten(&data);
        assert_eq!((mode(&database), mode(&acknowledged), mode(&data)), (0o600, 0o600, 0o700));
        set(&data, 0o755);
        set(&acknowledged, 0o640);
        let foreign = file("letter.txt");
        let elsewhere = outer.path().join("elsewhere");
        fs::write(&elsewhere, "x").unwrap();
        set(&elsewhere, 0o644);
        std::os::unix::fs::symlink(&elsewhere, data.join("sled/link")).unwrap();
        tighten(&data);
        assert_eq!((mode(&foreign), mode(&acknowledged), mode(&data)), (0o644, 0o600, 0o755));
        assert_eq!(mode(&elsewhere), 0o644, "links are not followed");
        set(&acknowledged, 0o644);
        drop(create_file(&acknowledged).unwrap());
        assert_eq!(mode(&acknowledged), 0o600);
    }
}
