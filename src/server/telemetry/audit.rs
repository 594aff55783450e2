//! Audit lines: one for each call that writes, and for each that was denied.
//!
//! A thread writes the lines to their file. When it falls behind, calls wait before they start, so that no line is lost.

use std::fs::{DirBuilder, File};
use std::io::{self, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use jiff::Timestamp;
use serde::Serialize;
use tokio::sync::watch;

use crate::limits::{AUDIT_FILE_BYTES_MAX, AUDIT_FILES_MAX, AUDIT_QUEUE_LINES_MAX};

/// The content of a line.
#[derive(Debug, Serialize)]
pub(in crate::server) struct Entry<'a> {
    pub(in crate::server) time: Timestamp,
    /// Name of the token, or the address of the client.
    pub(in crate::server) who: &'a str,
    pub(in crate::server) peer: &'a str,
    pub(in crate::server) method: &'a str,
    pub(in crate::server) memories: &'a [String],
    pub(in crate::server) request_id: &'a str,
    /// Name of the code: `OK`.
    pub(in crate::server) outcome: &'a str,
    pub(in crate::server) millis: u128,
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
    /// To a file while calls need a token: without tokens there are no names.
    FileWithTokens(AuditFile),
}

/// A file that is appended to, created with its first line; when it is long enough it is renamed to `NAME.1`, that to `NAME.2`,
/// and so on.
#[derive(Debug)]
pub struct AuditFile {
    lines: Arc<Lines>,
    queue: OnceLock<Sender<Vec<u8>>>,
    /// Lines that wait for the thread, the one being written included.
    waiting: Arc<watch::Sender<usize>>,
}

/// How much is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AuditKeeping {
    /// Size after which a new file is started.
    pub bytes_max: u64,
    /// Files kept beside the current one.
    pub files_max: u32,
}

impl Default for AuditKeeping {
    fn default() -> Self {
        Self { bytes_max: AUDIT_FILE_BYTES_MAX, files_max: AUDIT_FILES_MAX }
    }
}

/// What the thread writes to.
#[derive(Debug)]
struct Lines {
    path: PathBuf,
    keeping: AuditKeeping,
    open: Mutex<Option<Open>>,
}

#[derive(Debug)]
struct Open {
    file: File,
    bytes: u64,
}

impl AuditFile {
    /// The file at a path.
    pub fn new(path: PathBuf, keeping: AuditKeeping) -> Self {
        let lines = Arc::new(Lines { path, keeping, open: Mutex::default() });
        Self { lines, queue: OnceLock::new(), waiting: Arc::new(watch::Sender::new(0)) }
    }

    /// Passes a line to the thread, which starts with the first one.
    fn send(&self, line: Vec<u8>) {
        let queue = self.queue.get_or_init(|| {
            let (queue, lines) = channel();
            let (file, waiting) = (self.lines.clone(), self.waiting.clone());
            let work = move || file.write_all(&lines, &waiting);
            let started = std::thread::Builder::new().name("audit".into()).spawn(work);
            if let Err(error) = started {
                tracing::error!(%error, "the thread for audit lines cannot be started");
            }
            queue
        });
        self.waiting.send_modify(|waiting| *waiting += 1);
        if let Err(lost) = queue.send(line) {
            // Without the thread, the line is written here.
            self.lines.write(&lost.0);
            self.waiting.send_modify(|waiting| *waiting -= 1);
        }
    }

    /// Waits until at most so many lines are waiting.
    async fn wait_for(&self, most: usize) {
        // The sender lives as long as `self`, so waiting cannot fail.
        let _ = self.waiting.subscribe().wait_for(|waiting| *waiting <= most).await;
    }
}

impl Lines {
    /// Writes lines as they arrive, until the sender is dropped.
    fn write_all(&self, lines: &Receiver<Vec<u8>>, waiting: &watch::Sender<usize>) {
        while let Ok(line) = lines.recv() {
            self.write(&line);
            waiting.send_modify(|waiting| *waiting -= 1);
        }
    }

    /// Writes a line to the file, or to the log when that fails.
    fn write(&self, line: &[u8]) {
        if let Err(error) = self.add(line) {
            let (path, line) = (self.path.display(), String::from_utf8_lossy(line));
            tracing::error!(%error, %path, line = line.trim_end(), "an audit line could not be written");
        }
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
            match self.rotate() {
                Ok(()) => open = self.open()?,
                // A file that is too long is better than lost lines.
                Err(error) => {
                    tracing::error!(%error, path = %self.path.display(), "the audit file could not be rotated");
                }
            }
        }
        let open = held.insert(open);
        open.bytes += length;
        open.file.write_all(line)
    }

    fn open(&self) -> io::Result<Open> {
        if let Some(directory) = self.path.parent() {
            DirBuilder::new().recursive(true).mode(0o700).create(directory)?;
        }
        let file = File::options().append(true).create(true).mode(0o600).open(&self.path)?;
        let bytes = file.metadata()?.len();
        Ok(Open { file, bytes })
    }

    /// Renames each file to the next number; the last one is overwritten.
    fn rotate(&self) -> io::Result<()> {
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
    /// Whether lines are written, given whether calls need tokens.
    pub(in crate::server) fn is_on(&self, with_tokens: bool) -> bool {
        match self {
            Self::Off => false,
            Self::Log | Self::File(_) => true,
            Self::FileWithTokens(_) => with_tokens,
        }
    }

    /// Checks that lines can be written, before the first write. Blocks.
    ///
    /// # Errors
    /// The system's, and the path.
    pub fn check(&self) -> io::Result<()> {
        let (Self::File(file) | Self::FileWithTokens(file)) = self else { return Ok(()) };
        file.lines.add(b"").map_err(|error| {
            let path = file.lines.path.display();
            io::Error::new(error.kind(), format!("audit lines to {path}: {error}"))
        })
    }

    /// Waits until the queue has room for another line.
    pub(in crate::server) async fn room(&self) {
        if let Self::File(file) | Self::FileWithTokens(file) = self {
            file.wait_for(AUDIT_QUEUE_LINES_MAX).await;
        }
    }

    /// Waits until every line is written.
    pub(in crate::server) async fn written(&self) {
        if let Self::File(file) | Self::FileWithTokens(file) = self {
            file.wait_for(0).await;
        }
    }

    /// Writes a line.
    pub(in crate::server) fn write(&self, entry: &Entry<'_>) {
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
                file.send(line);
            }
        }
    }

    /// Reopens the file with the next line, after it was moved away.
    pub(in crate::server) fn reopen(&self) {
        if let Self::File(file) | Self::FileWithTokens(file) = self {
            *file.lines.open.lock().unwrap_or_else(PoisonError::into_inner) = None;
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn entry(method: &str) -> Entry<'_> {
        Entry {
            time: Timestamp::UNIX_EPOCH,
            who: "anna",
            peer: "::1",
            method,
            memories: &[],
            request_id: "r",
            outcome: "OK",
            millis: 1,
        }
    }

    #[tokio::test]
    async fn calls_wait_for_a_disk_that_is_too_slow_and_no_line_is_lost() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("audit.jsonl");
        let audit = Audit::File(AuditFile::new(path.clone(), AuditKeeping::default()));
        let Audit::File(file) = &audit else { unreachable!() };
        // A disk that blocks: the test holds the lock of the file.
        let (lines, (release, released)) = (file.lines.clone(), channel::<()>());
        let (locked, is_locked) = channel();
        let disk = std::thread::spawn(move || {
            let _open = lines.open.lock().unwrap();
            locked.send(()).unwrap();
            released.recv().unwrap();
        });
        is_locked.recv().unwrap();
        for number in 0..=AUDIT_QUEUE_LINES_MAX {
            audit.write(&entry(&number.to_string()));
        }
        let room = tokio::time::timeout(Duration::from_millis(100), audit.room()).await;
        assert!(room.is_err(), "there is none");
        release.send(()).unwrap();
        disk.join().unwrap();
        audit.room().await;
        audit.write(&entry("last"));
        audit.written().await;
        let text = std::fs::read_to_string(path).unwrap();
        let lines: Vec<serde_json::Value> =
            text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        assert_eq!(lines.len(), AUDIT_QUEUE_LINES_MAX + 2);
        for (number, line) in lines.iter().take(AUDIT_QUEUE_LINES_MAX).enumerate() {
            assert_eq!(line["method"].as_str().unwrap().parse(), Ok(number));
        }
        assert_eq!(lines.last().unwrap()["method"], "last");
    }
}
