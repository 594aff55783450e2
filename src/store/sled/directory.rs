//! What state is a data directory in? Which database in it counts, what was left over, what the refusals say.
//!
//! The file `database` names the database that counts; without it that is `sled`. Compaction makes another one and then
//! replaces that file, which is one step: before it the old database counts, after it the new one.

use std::fs::{self, File};
use std::io;
use std::path::Path;

use super::watermark;
use crate::store::{Sequence, StoreError};

const NAME: &str = "sled";
const POINTER: &str = "database";
const HINT_FORMAT: &str = "; or save what is whole with `dhakira salvage DIR --output units.jsonl` and import that into another \
                           --data directory";

/// Whether there is a store, whole or not.
pub(super) fn is_store(directory: &Path) -> bool {
    let told_of = [POINTER, watermark::FILE].iter().any(|file| directory.join(file).exists());
    told_of || !names(directory).is_empty()
}

/// The database that counts.
pub(super) fn database_name(directory: &Path) -> Result<String, StoreError> {
    let io = |error: io::Error| match error.kind() {
        io::ErrorKind::InvalidData => damaged(directory, error.to_string()),
        _ => StoreError::Io {
            doing: format!("reading which database counts in {}", directory.display()),
            cause: error.to_string(),
        },
    };
    let Some(name) = watermark::read_line(directory, POINTER).map_err(io)? else {
        let others = names(directory);
        if !directory.join(NAME).is_dir() && !others.is_empty() {
            let what = format!(
                "the file '{POINTER}' is missing, which says which database counts; there is {}",
                others.join(", ")
            );
            return Err(damaged(directory, what));
        }
        return Ok(NAME.to_owned());
    };
    if !is_name(&name) || !directory.join(&name).is_dir() {
        let what = format!("the file '{POINTER}' names the database '{name}', which is not there");
        return Err(damaged(directory, what));
    }
    Ok(name)
}

/// The database that counts, or, where nothing says which one that is, the newest.
pub(super) fn likely_name(directory: &Path) -> Option<String> {
    let number = |name: &String| {
        name.strip_prefix("sled-").and_then(|it| it.parse::<u64>().ok()).unwrap_or_default()
    };
    database_name(directory)
        .ok()
        .filter(|name| directory.join(name).is_dir())
        .or_else(|| names(directory).into_iter().max_by_key(number))
}

/// Whether an error of the machine says that what is in a file is wrong, and not that it cannot be read or written.
pub(super) fn is_of_content(kind: io::ErrorKind) -> bool {
    use io::ErrorKind::{InvalidData, InvalidInput, NotFound, Other, UnexpectedEof};
    matches!(kind, InvalidData | InvalidInput | NotFound | Other | UnexpectedEof)
}

/// A directory without a store in which something was made from one has lost it: an empty store must not take its place.
pub(super) fn check_never_used(directory: &Path) -> Result<(), StoreError> {
    let made = fs::read_dir(directory.join("checkpoints")).into_iter().flatten().flatten().next();
    match made {
        None => Ok(()),
        Some(_) => Err(damaged(
            directory,
            "there are checkpoints of memories, but no database: it was deleted or moved away",
        )),
    }
}

/// A name that no database of the directory has.
pub(super) fn new_name(directory: &Path, current: &str) -> String {
    let number = |name: &str| name.strip_prefix("sled-").and_then(|it| it.parse::<u64>().ok());
    let names = names(directory);
    let numbers = names.iter().map(String::as_str).chain([current]).filter_map(number);
    format!("{NAME}-{}", numbers.max().unwrap_or(1) + 1)
}

/// From now on this database counts; when it returns, that is on disk.
pub(super) fn point_to(directory: &Path, name: &str) -> io::Result<()> {
    watermark::write_line(directory, POINTER, name)
}

/// Deletes what compactions left over.
pub(super) fn tidy(directory: &Path, current: &str) {
    for name in names(directory).into_iter().filter(|name| name != current) {
        if let Err(error) = fs::remove_dir_all(directory.join(&name)) {
            tracing::warn!(%name, "a database that does not count any more cannot be deleted: {error}");
        }
    }
}

/// Databases in the directory.
fn names(directory: &Path) -> Vec<String> {
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
            what: "the file 'acknowledged' is missing, so nothing tells whether the store is whole"
                .to_owned(),
            hint: ", or, to go on with what is there, start once with --accept-data-loss",
        }),
        _ => Ok(()),
    }
}

pub(super) fn damaged(directory: &Path, what: impl Into<String>) -> StoreError {
    StoreError::Damaged { directory: directory.to_owned(), what: what.into(), hint: HINT_FORMAT }
}

pub(super) fn panic_message(panic: &(dyn std::any::Any + Send)) -> String {
    let text = panic
        .downcast_ref::<&str>()
        .map(|text| (*text).to_owned())
        .or_else(|| panic.downcast_ref::<String>().cloned());
    format!("the database gave up ({})", text.as_deref().unwrap_or("no reason given"))
}

/// Syncs every file below a directory, and the directories.
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
