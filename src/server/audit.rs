//! Who did what, when, and how did it end? A line for each call that writes, and for each that was not allowed to.

use std::fs::File;
use std::io::{self, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::PathBuf;
use std::sync::{Mutex, PoisonError};

use jiff::Timestamp;
use serde::Serialize;

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

/// A file that is only added to, made with its first line.
#[derive(Debug)]
pub struct AuditFile {
    path: PathBuf,
    file: Mutex<Option<File>>,
}

impl AuditFile {
    /// The file at a path.
    pub fn new(path: PathBuf) -> Self {
        Self { path, file: Mutex::default() }
    }

    /// One write call a line, so that lines stay whole.
    fn add(&self, line: &[u8]) -> io::Result<()> {
        let mut open = self.file.lock().unwrap_or_else(PoisonError::into_inner);
        let file = match &mut *open {
            Some(file) => file,
            none => {
                if let Some(directory) = self.path.parent() {
                    std::fs::create_dir_all(directory)?;
                }
                let mut options = File::options();
                options.append(true).create(true).mode(0o600);
                none.insert(options.open(&self.path)?)
            }
        };
        file.write_all(line)
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
            *file.file.lock().unwrap_or_else(PoisonError::into_inner) = None;
        }
    }
}
