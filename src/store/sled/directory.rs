//! Manages the databases in a data directory: finds the active one, deletes others, reports what is missing.
//!
//! The file `database` names the active database; without that file it is `sled`. Compaction creates another database and then
//! replaces the file atomically, which activates the new one.

use std::fs::{self, File};
use std::io;
use std::path::Path;

use super::watermark;
use crate::store::{Sequence, StoreError};

const NAME: &str = "sled";
const POINTER: &str = "database";
const SALVAGE_HINT: &str = "; or save its intact units with `dhakira salvage DIR --output units.jsonl` and import them into another \
                            --data directory";

/// Whether the directory holds a store, complete or not.
pub(super) fn is_store(directory: &Path) -> bool {
    let has_file = [POINTER, watermark::FILE].iter().any(|file| directory.join(file).exists());
    has_file || !database_names(directory).is_empty()
}

/// The name of the active database.
pub(super) fn database_name(directory: &Path) -> Result<String, StoreError> {
    let io = |error: io::Error| match error.kind() {
        io::ErrorKind::InvalidData => damaged(directory, error.to_string()),
        _ => StoreError::Io {
            doing: format!("reading the name of the active database in {}", directory.display()),
            cause: error.to_string(),
        },
    };
    let Some(name) = watermark::read_line(directory, POINTER).map_err(io)? else {
        let others = database_names(directory);
        if !directory.join(NAME).is_dir() && !others.is_empty() {
            let what = format!(
                "the file '{POINTER}', which names the active database, is missing; the directory holds {}",
                others.join(", ")
            );
            return Err(damaged(directory, what));
        }
        return Ok(NAME.to_owned());
    };
    if !is_name(&name) || !directory.join(&name).is_dir() {
        let what =
            format!("the file '{POINTER}' names the database '{name}', which does not exist");
        return Err(damaged(directory, what));
    }
    Ok(name)
}

/// The name of the active database, or of the newest one where that is unknown.
pub(super) fn likely_name(directory: &Path) -> Option<String> {
    let number = |name: &String| {
        name.strip_prefix("sled-").and_then(|it| it.parse::<u64>().ok()).unwrap_or_default()
    };
    database_name(directory)
        .ok()
        .filter(|name| directory.join(name).is_dir())
        .or_else(|| database_names(directory).into_iter().max_by_key(number))
}

/// Whether an I/O error means that the content of a file is wrong, and not that reading or writing failed.
pub(super) fn is_content_error(kind: io::ErrorKind) -> bool {
    use io::ErrorKind::{InvalidData, InvalidInput, NotFound, Other, UnexpectedEof};
    matches!(kind, InvalidData | InvalidInput | NotFound | Other | UnexpectedEof)
}

/// Fails if the directory has no store but files derived from one: an empty store must not replace a lost one.
pub(super) fn check_never_used(directory: &Path) -> Result<(), StoreError> {
    let checkpoint =
        fs::read_dir(directory.join("checkpoints")).into_iter().flatten().flatten().next();
    match checkpoint {
        None => Ok(()),
        Some(_) => Err(damaged(
            directory,
            "there are checkpoints of memories but no database; it was deleted or moved away",
        )),
    }
}

/// An unused database name.
pub(super) fn new_name(directory: &Path, current: &str) -> String {
    let number = |name: &str| name.strip_prefix("sled-").and_then(|it| it.parse::<u64>().ok());
    let names = database_names(directory);
    let numbers = names.iter().map(String::as_str).chain([current]).filter_map(number);
    format!("{NAME}-{}", numbers.max().unwrap_or(1) + 1)
}

/// Activates a database, durably.
pub(super) fn point_to(directory: &Path, name: &str) -> io::Result<()> {
    watermark::write_line(directory, POINTER, name)
}

/// Deletes the databases that compactions have replaced.
pub(super) fn delete_inactive(directory: &Path, current: &str) {
    for name in database_names(directory).into_iter().filter(|name| name != current) {
        if let Err(error) = fs::remove_dir_all(directory.join(&name)) {
            tracing::warn!(%name, "cannot delete an inactive database: {error}");
        }
    }
}

/// The names of the databases in the directory.
fn database_names(directory: &Path) -> Vec<String> {
    let Ok(entries) = fs::read_dir(directory) else { return Vec::new() };
    let names = entries.flatten().filter(|it| it.path().is_dir());
    let names = names.map(|it| it.file_name().to_string_lossy().into_owned());
    names.filter(|it| is_name(it)).collect()
}

pub(super) fn is_name(name: &str) -> bool {
    let digits = |it: &str| !it.is_empty() && it.bytes().all(|byte| byte.is_ascii_digit());
    name == NAME || name.strip_prefix("sled-").is_some_and(digits)
}

pub(super) fn check_acknowledged(
    directory: &Path,
    found: Sequence,
    acknowledged: Option<Sequence>,
    accept_data_loss: bool,
) -> Result<(), StoreError> {
    match acknowledged {
        _ if accept_data_loss => Ok(()),
        Some(acknowledged) if found < acknowledged => {
            Err(StoreError::Behind { directory: directory.to_owned(), found, acknowledged })
        }
        None if found > Sequence(0) => Err(StoreError::Damaged {
            directory: directory.to_owned(),
            what:
                "the file 'acknowledged' is missing, so it is unknown whether the store is complete"
                    .to_owned(),
            hint: ", or, to continue with its present content, start once with --accept-data-loss",
        }),
        _ => Ok(()),
    }
}

pub(super) fn damaged(directory: &Path, what: impl Into<String>) -> StoreError {
    StoreError::Damaged { directory: directory.to_owned(), what: what.into(), hint: SALVAGE_HINT }
}

pub(super) fn panic_message(panic: &(dyn std::any::Any + Send)) -> String {
    let text = panic
        .downcast_ref::<&str>()
        .map(|text| (*text).to_owned())
        .or_else(|| panic.downcast_ref::<String>().cloned());
    format!("the database panicked: {}", text.as_deref().unwrap_or("no message"))
}

/// Syncs all files and directories below a directory.
pub(super) fn sync_tree(directory: &Path) -> io::Result<()> {
    for entry in fs::read_dir(directory)? {
        let path = entry?.path();
        if path.is_dir() {
            sync_tree(&path)?;
        } else {
            File::open(&path)?.sync_all()?;
        }
    }
    watermark::sync_directory(directory)
}
