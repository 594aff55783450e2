//! Stores the parts of a backup in a directory, with a manifest that lists each with its length and checksum.
//!
//! A part belongs to the backup once the manifest lists it; the manifest is replaced atomically, after the part is durable. Other
//! files in the directory were left over by a crash.

use std::fs::{self, File};
use std::io::{self, BufWriter, Read as _, Write};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use xxhash_rust::xxh3::Xxh3;

use crate::store::private::LockedFile;
use crate::store::{Sequence, private};
use crate::unit::Timestamp;

use super::frame::Mark;
use super::{BackupError, PartSummary};

const MANIFEST: &str = "manifest.json";
const LOCK: &str = "lock";
const FORMAT: &str = "dhakira backup 1";

/// A backup on disk, open for reading; for adding parts when it was opened with [`create`](BackupDirectory::create).
#[derive(Debug)]
pub struct BackupDirectory {
    path: PathBuf,
    manifest: Manifest,
    _lock: Option<LockedFile>,
}

/// A part as listed in the manifest.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Part {
    /// Its file.
    pub file: String,
    /// Whether it is a full part.
    pub full: bool,
    /// The commit before its first one.
    #[serde(with = "mark_as_json")]
    pub after: Mark,
    /// Its last commit.
    #[serde(with = "mark_as_json")]
    pub through: Mark,
    /// Units in it, each version of a unit counted.
    pub units: u64,
    /// Commits in it.
    pub commits: u64,
    /// Length of the file.
    pub bytes: u64,
    /// XXH3-64 of the file, in hexadecimal digits.
    pub xxh3: String,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
struct Manifest {
    format: String,
    /// Whether calls needed tokens when the backup was last written; absent where the program that wrote it did not record it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    tokens_required: Option<bool>,
    parts: Vec<Part>,
}

impl Default for Manifest {
    fn default() -> Self {
        Self { format: FORMAT.to_owned(), tokens_required: None, parts: Vec::new() }
    }
}

impl BackupDirectory {
    /// Opens a backup.
    ///
    /// # Errors
    /// There is none; its manifest is damaged; I/O.
    pub fn open(path: &Path) -> Result<Self, BackupError> {
        let manifest = read_manifest(path)?;
        let manifest = manifest.ok_or_else(|| BackupError::NoBackup(path.to_owned()))?;
        Ok(Self { path: path.to_owned(), manifest, _lock: None })
    }

    /// Opens a backup for adding parts, and creates it if there is none.
    ///
    /// # Errors
    /// The directory holds something else; another process adds to it; its manifest is damaged; I/O.
    pub fn create(path: &Path) -> Result<Self, BackupError> {
        let doing = || format!("creating the backup directory {}", path.display());
        private::create_directory(path)
            .map_err(|cause| BackupError::Io { doing: doing(), cause })?;
        let lock = private::create_file(&path.join(LOCK));
        let lock = lock.map_err(|cause| BackupError::Io { doing: doing(), cause })?;
        let locked = LockedFile::lock(lock);
        let locked = locked.map_err(|cause| BackupError::Io { doing: doing(), cause })?;
        let Ok(lock) = locked else { return Err(BackupError::InUse(path.to_owned())) };
        let manifest = read_manifest(path)?;
        if manifest.is_none()
            && let Some(other) =
                foreign(path).map_err(|cause| BackupError::Io { doing: doing(), cause })?
        {
            let what = format!(
                "there is no {MANIFEST}, but the directory holds {other}; name an empty directory"
            );
            return Err(BackupError::Damaged { file: path.join(MANIFEST), what });
        }
        let manifest = manifest.unwrap_or_default();
        Ok(Self { path: path.to_owned(), manifest, _lock: Some(lock) })
    }

    /// Its parts, oldest first.
    pub fn parts(&self) -> &[Part] {
        &self.manifest.parts
    }

    /// Whether calls to the memories needed tokens when it was last written; `None` where that was not recorded.
    pub fn tokens_required(&self) -> Option<bool> {
        self.manifest.tokens_required
    }

    /// Records whether calls to the memories need tokens now.
    ///
    /// # Errors
    /// I/O.
    pub fn record_access(&mut self, tokens_required: bool) -> Result<(), BackupError> {
        let tokens_required = Some(tokens_required);
        if tokens_required == self.manifest.tokens_required {
            return Ok(());
        }
        let manifest = Manifest { tokens_required, ..self.manifest.clone() };
        // Without a part there is no manifest yet; it is written with the first part.
        if !manifest.parts.is_empty() {
            let doing = format!("writing {}", self.path.join(MANIFEST).display());
            write_manifest(&self.path, &manifest)
                .map_err(|cause| BackupError::Io { doing, cause })?;
        }
        self.manifest = manifest;
        Ok(())
    }

    /// The directory.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The mark that the next part continues from; `None` for an empty backup.
    pub fn last(&self) -> Option<Mark> {
        self.parts().last().map(|part| part.through)
    }

    /// Begins a part, which belongs to the backup once it is [added](Self::add).
    ///
    /// # Errors
    /// I/O.
    pub fn begin(&self) -> Result<NewPart, BackupError> {
        let path = self.path.join("part.new");
        let file = private::create_file(&path).map_err(|cause| BackupError::Io {
            doing: format!("writing {}", path.display()),
            cause,
        })?;
        Ok(NewPart { path, out: BufWriter::new(file), bytes: 0, checksum: Xxh3::new() })
    }

    /// Adds a complete part, durably.
    ///
    /// # Errors
    /// It does not continue from the last one; I/O.
    pub fn add(&mut self, new: NewPart, summary: PartSummary) -> Result<&Part, BackupError> {
        let number = self.parts().len() + 1;
        let kind = if summary.full { "full" } else { "commits" };
        let name = format!("{number:06}-{kind}-{}.part", summary.through.sequence.0);
        if !summary.full && self.last() != Some(summary.after) {
            let what = "the new part does not continue from the last one".to_owned();
            return Err(BackupError::Damaged { file: self.path.join(name), what });
        }
        let doing = format!("adding {name} to the backup in {}", self.path.display());
        let (bytes, checksum) = (new.bytes, new.checksum.digest());
        let temporary = new.path;
        let part = Part {
            file: name.clone(),
            full: summary.full,
            after: summary.after,
            through: summary.through,
            units: summary.units,
            commits: summary.commits,
            bytes,
            xxh3: format!("{checksum:016x}"),
        };
        let mut manifest = self.manifest.clone();
        manifest.parts.push(part);
        let store = || {
            new.out.into_inner().map_err(io::IntoInnerError::into_error)?.sync_all()?;
            fs::rename(&temporary, self.path.join(&name))?;
            File::open(&self.path)?.sync_all()?;
            write_manifest(&self.path, &manifest)
        };
        store().map_err(|cause| BackupError::Io { doing, cause })?;
        self.manifest = manifest;
        self.parts().last().ok_or_else(|| BackupError::NoBackup(self.path.clone()))
    }

    /// Opens a part after comparing its length and checksum with the manifest.
    pub(super) fn read(&self, part: &Part) -> Result<File, BackupError> {
        let path = self.path.join(&part.file);
        let doing = format!("reading {}", path.display());
        let damaged = |what: String| BackupError::Damaged { file: path.clone(), what };
        let check = || -> io::Result<(u64, u64)> {
            let mut file = File::open(&path)?;
            let mut checksum = Xxh3::new();
            let mut buffer = vec![0; 1 << 20];
            let mut bytes = 0;
            loop {
                let read = file.read(&mut buffer)?;
                if read == 0 {
                    return Ok((bytes, checksum.digest()));
                }
                bytes += read as u64;
                checksum.update(&buffer[..read]);
            }
        };
        let (bytes, checksum) = match check() {
            Ok(found) => found,
            Err(cause) if cause.kind() == io::ErrorKind::NotFound => {
                return Err(damaged("it is missing".to_owned()));
            }
            Err(cause) => return Err(BackupError::Io { doing, cause }),
        };
        if bytes != part.bytes {
            return Err(damaged(format!("it has {bytes} bytes instead of {}", part.bytes)));
        }
        if format!("{checksum:016x}") != part.xxh3 {
            return Err(damaged("its checksum differs from the manifest".to_owned()));
        }
        File::open(&path).map_err(|cause| BackupError::Io { doing, cause })
    }
}

/// A part that is being written.
pub struct NewPart {
    path: PathBuf,
    out: BufWriter<File>,
    bytes: u64,
    checksum: Xxh3,
}

impl NewPart {
    /// Deletes the part.
    pub fn discard(self) {
        // If this fails, the next part overwrites the file.
        let _ = fs::remove_file(&self.path);
    }
}

impl Write for NewPart {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.out.write(bytes)?;
        self.checksum.update(&bytes[..written]);
        self.bytes += written as u64;
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.out.flush()
    }
}

/// A file in the directory that does not belong to a backup.
fn foreign(path: &Path) -> io::Result<Option<String>> {
    for entry in fs::read_dir(path)? {
        let name = entry?.file_name().to_string_lossy().into_owned();
        let ours = name == LOCK || name == "part.new" || name.starts_with(MANIFEST);
        // The first part may have been renamed but not listed in a manifest when the machine crashed.
        if !ours && !name.starts_with("000001-full-") {
            return Ok(Some(name));
        }
    }
    Ok(None)
}

fn read_manifest(path: &Path) -> Result<Option<Manifest>, BackupError> {
    let file = path.join(MANIFEST);
    let text = match fs::read(&file) {
        Ok(text) => text,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(cause) => {
            return Err(BackupError::Io { doing: format!("reading {}", file.display()), cause });
        }
    };
    parse_manifest(&text)
        .map(Some)
        .map_err(|what| BackupError::Damaged { file, what: what.to_owned() })
}

fn parse_manifest(bytes: &[u8]) -> Result<Manifest, &'static str> {
    let text = str::from_utf8(bytes).map_err(|_| "it is not text")?;
    let (json, checksum) =
        text.trim_end().rsplit_once('\n').ok_or("it has no line with a checksum")?;
    if checksum != checksum_line(json) {
        return Err("it fails its checksum");
    }
    let manifest: Manifest = serde_json::from_str(json).map_err(|_| "it cannot be read")?;
    if manifest.format != FORMAT {
        return Err("its version is unknown to this program; use a newer one");
    }
    Ok(manifest)
}

fn write_manifest(path: &Path, manifest: &Manifest) -> io::Result<()> {
    let json = serde_json::to_string_pretty(manifest)?;
    let temporary = path.join(format!("{MANIFEST}.new"));
    let mut file = private::create_file(&temporary)?;
    write!(file, "{json}\n{}\n", checksum_line(&json))?;
    file.sync_all()?;
    fs::rename(&temporary, path.join(MANIFEST))?;
    File::open(path)?.sync_all()
}

fn checksum_line(json: &str) -> String {
    format!("xxh3 {:016x}", xxhash_rust::xxh3::xxh3_64(json.as_bytes()))
}

/// Serializes marks with readable times.
mod mark_as_json {
    use serde::{Deserialize as _, Deserializer, Serialize as _, Serializer, de};

    use super::{Mark, Sequence, Timestamp};

    #[derive(serde::Serialize, serde::Deserialize)]
    struct Json {
        commit: u64,
        /// The running checksum.
        chain: u32,
        time: String,
    }

    pub(super) fn serialize<S: Serializer>(mark: &Mark, out: S) -> Result<S::Ok, S::Error> {
        let time = jiff::Timestamp::from_microsecond(mark.time.micros).unwrap_or_default();
        Json { commit: mark.sequence.0, chain: mark.checksum, time: time.to_string() }
            .serialize(out)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(input: D) -> Result<Mark, D::Error> {
        let Json { commit, chain: checksum, time } = Json::deserialize(input)?;
        let time: jiff::Timestamp = time.parse().map_err(de::Error::custom)?;
        let time = Timestamp { micros: time.as_microsecond() };
        Ok(Mark { sequence: Sequence(commit), checksum, time })
    }
}
