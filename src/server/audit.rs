//! Who did what, when, and how did it end? A line for each call that writes, and for each that was not allowed to.

use std::fs::File;
use std::io::{self, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use jiff::Timestamp;
use serde::Serialize;

use crate::limits::{AUDIT_FILE_BYTES_MAX, AUDIT_FILES_MAX};

/// What one line says.
#[derive(Debug, Serialize)]
pub(super) struct Entry<'a> {
    pub(super) time: Timestamp,
    /// Name of the token, or where the call came from.
    pub(super) who: &'a str,
    pub(super) peer: &'a str,
    pub(super) method: &'a str,
    pub(super) memories: &'a [String],
    pub(super) request_id: &'a str,
    /// Name of the code: `OK`.
    pub(super) outcome: &'a str,
    pub(super) millis: u128,
}

/// Where the lines go.
#[derive(Debug, Default)]
pub enum Audit {
    /// Nowhere.
    #[default]
    Off,
    /// To the log, under the target `audit`.
    Log,
    /// To a file, one JSON object a line.
    File(AuditFile),
    /// To a file, as long as calls need a token: without, there is nobody to name.
    FileWithTokens(AuditFile),
}

/// A file that is only added to, made with its first line; when it is long enough it becomes `NAME.1`, that `NAME.2`, and so on.
#[derive(Debug)]
pub struct AuditFile {
    path: PathBuf,
    keeping: AuditKeeping,
    open: Mutex<Option<Open>>,
}

/// How much of the lines is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AuditKeeping {
    /// Bytes of a file after which the next one begins.
    pub bytes_max: u64,
    /// Files kept beside the one that is written to.
    pub files_max: u32,
}

impl Default for AuditKeeping {
    fn default() -> Self {
        Self { bytes_max: AUDIT_FILE_BYTES_MAX, files_max: AUDIT_FILES_MAX }
    }
}

#[derive(Debug)]
struct Open {
    file: File,
    bytes: u64,
}

impl AuditFile {
    /// The file at a path.
    pub fn new(path: PathBuf, keeping: AuditKeeping) -> Self {
        Self { path, keeping, open: Mutex::default() }
    }

    /// One write call a line, so that lines stay whole.
    fn add(&self, line: &[u8]) -> io::Result<()> {
        let mut held = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        let mut open = match held.take() {
            Some(open) => open,
            None => self.open()?,
        };
        let length = line.len() as u64;
        if open.bytes > 0 && open.bytes + length > self.keeping.bytes_max {
            match self.turn() {
                Ok(()) => open = self.open()?,
                // A file that is too long is better than lines that are lost.
                Err(error) => {
                    tracing::error!(%error, path = %self.path.display(), "the audit file could not be put aside");
                }
            }
        }
        let open = held.insert(open);
        open.bytes += length;
        open.file.write_all(line)
    }

    fn open(&self) -> io::Result<Open> {
        if let Some(directory) = self.path.parent() {
            std::fs::create_dir_all(directory)?;
        }
        let file = File::options().append(true).create(true).mode(0o600).open(&self.path)?;
        let bytes = file.metadata()?.len();
        Ok(Open { file, bytes })
    }

    /// Each file takes the next number; the one behind the last number goes.
    fn turn(&self) -> io::Result<()> {
        let numbered = |number: u32| {
            let mut name = self.path.clone().into_os_string();
            name.push(format!(".{number}"));
            PathBuf::from(name)
        };
        let rename = |from: &Path, to: &Path| match std::fs::rename(from, to) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
            _ => Ok(()),
        };
        for number in (1..self.keeping.files_max).rev() {
            rename(&numbered(number), &numbered(number + 1))?;
        }
        rename(&self.path, &numbered(1))
    }
}

impl Audit {
    /// Whether lines are written, when calls need tokens and when they do not.
    pub(super) fn is_on(&self, with_tokens: bool) -> bool {
        match self {
            Self::Off => false,
            Self::Log | Self::File(_) => true,
            Self::FileWithTokens(_) => with_tokens,
        }
    }

    /// Tries whether lines can be written, so that it is not the first write that finds out. Blocks.
    ///
    /// # Errors
    /// The system's, and the path.
    pub fn check(&self) -> io::Result<()> {
        let (Self::File(file) | Self::FileWithTokens(file)) = self else { return Ok(()) };
        file.add(b"").map_err(|error| {
            io::Error::new(error.kind(), format!("audit lines to {}: {error}", file.path.display()))
        })
    }

    /// Writes a line.
    pub(super) fn write(&self, entry: &Entry<'_>) {
        match self {
            Self::Off => {}
            Self::Log => {
                tracing::info!(
                    target: "audit",
                    who = entry.who,
                    peer = entry.peer,
                    method = entry.method,
                    memories = entry.memories.join(","),
                    request_id = entry.request_id,
                    outcome = entry.outcome,
                    millis = entry.millis,
                );
            }
            Self::File(file) | Self::FileWithTokens(file) => {
                let Ok(mut line) = serde_json::to_vec(entry) else { return };
                line.push(b'\n');
                if let Err(error) = file.add(&line) {
                    let path = file.path.display();
                    tracing::error!(%error, %path, who = entry.who, method = entry.method,
                        memories = entry.memories.join(","), request_id = entry.request_id,
                        outcome = entry.outcome, "an audit line could not be written");
                }
            }
        }
    }

    /// Opens the file anew with the next line, after it was moved away.
    pub(super) fn reopen(&self) {
        if let Self::File(file) | Self::FileWithTokens(file) = self {
            *file.open.lock().unwrap_or_else(PoisonError::into_inner) = None;
        }
    }
}
