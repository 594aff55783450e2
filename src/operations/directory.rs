//! The files of operations: a directory for each, with its record, its request, its upload and its result.
//!
//! A directory is built under another name and renamed when all of it is durable, so that a start that breaks off leaves nothing
//! behind; it is renamed again before it is deleted.

use std::fs::{self, File};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use uuid::Uuid;

use crate::store::private;

use super::record::Record;

const RECORD: &str = "record";
const REQUEST: &str = "request";
const UPLOAD: &str = "upload";
const RESULT: &str = "result";
/// Starts the names of directories that are being built or deleted.
const TEMPORARY: &str = "temporary-";

/// The directory of all operations.
#[derive(Debug)]
pub(super) struct Directory {
    path: PathBuf,
}

/// What a directory holds.
pub(super) struct Found {
    pub(super) records: Vec<(Uuid, Record)>,
    /// Operations whose records cannot be read.
    pub(super) damaged: Vec<Uuid>,
}

impl Directory {
    pub(super) fn open(path: &Path) -> io::Result<Self> {
        private::create_directory(path)?;
        Ok(Self { path: path.to_owned() })
    }

    /// Reads all records, and removes what starts and deletions that broke off have left behind.
    pub(super) fn read(&self) -> io::Result<Found> {
        let mut found = Found { records: Vec::new(), damaged: Vec::new() };
        for entry in fs::read_dir(&self.path)? {
            let entry = entry?;
            let name = entry.file_name();
            let Some(name) = name.to_str() else { continue };
            if name.starts_with(TEMPORARY) {
                discard(&entry.path());
                continue;
            }
            let Some(id) = Uuid::parse_str(name).ok().filter(|id| id.to_string() == name) else {
                continue;
            };
            let record = fs::read(entry.path().join(RECORD));
            match record.and_then(|bytes| Record::decode(&bytes)) {
                Ok(record) => found.records.push((id, record)),
                Err(error) => {
                    let path = entry.path();
                    tracing::warn!(path = %path.display(), %error, "an operation cannot be read; its files stay");
                    found.damaged.push(id);
                }
            }
        }
        Ok(found)
    }

    /// Begins to build the directory of an operation.
    pub(super) fn build(&self) -> io::Result<Building> {
        let path = self.temporary();
        private::create_directory(&path)?;
        Ok(Building { path, kept: false })
    }

    /// Keeps the directory that was built.
    pub(super) fn keep(
        &self,
        id: Uuid,
        mut building: Building,
        (record, request): (&Record, &[u8]),
    ) -> io::Result<()> {
        write(&building.path.join(REQUEST), request)?;
        write(&building.path.join(RECORD), &record.encode()?)?;
        sync(&building.path)?;
        fs::rename(&building.path, self.of(id))?;
        building.kept = true;
        sync(&self.path)
    }

    /// Replaces the record of an operation that is done, and removes what only its run needed.
    pub(super) fn end(&self, id: Uuid, record: &Record) -> io::Result<()> {
        let directory = self.of(id);
        let temporary = directory.join("record-new");
        write(&temporary, &record.encode()?)?;
        fs::rename(&temporary, directory.join(RECORD))?;
        sync(&directory)?;
        for file in [REQUEST, UPLOAD] {
            match fs::remove_file(directory.join(file)) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
                _ => {}
            }
        }
        Ok(())
    }

    pub(super) fn request(&self, id: Uuid) -> io::Result<Vec<u8>> {
        fs::read(self.of(id).join(REQUEST))
    }

    pub(super) fn upload(&self, id: Uuid) -> io::Result<File> {
        File::open(self.of(id).join(UPLOAD))
    }

    pub(super) fn create_result(&self, id: Uuid) -> io::Result<File> {
        private::create_file(&self.of(id).join(RESULT))
    }

    pub(super) fn result(&self, id: Uuid) -> io::Result<Option<File>> {
        match File::open(self.of(id).join(RESULT)) {
            Ok(file) => Ok(Some(file)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }

    pub(super) fn delete(&self, id: Uuid) -> io::Result<()> {
        let temporary = self.temporary();
        fs::rename(self.of(id), &temporary)?;
        sync(&self.path)?;
        discard(&temporary);
        Ok(())
    }

    fn temporary(&self) -> PathBuf {
        self.path.join(format!("{TEMPORARY}{}", Uuid::new_v4()))
    }

    fn of(&self, id: Uuid) -> PathBuf {
        self.path.join(id.to_string())
    }
}

/// A directory that is being built, which is removed unless it is kept.
#[derive(Debug)]
pub(super) struct Building {
    path: PathBuf,
    kept: bool,
}

impl Building {
    pub(super) fn create_upload(&self) -> io::Result<File> {
        private::create_file(&self.path.join(UPLOAD))
    }
}

impl Drop for Building {
    fn drop(&mut self) {
        if !self.kept {
            discard(&self.path);
        }
    }
}

/// Removes a directory; what cannot be removed is removed at the next start.
fn discard(path: &Path) {
    if let Err(error) = fs::remove_dir_all(path) {
        tracing::warn!(path = %path.display(), %error, "files of an operation cannot be removed");
    }
}

fn write(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let mut file = private::create_file(path)?;
    file.write_all(bytes)?;
    file.sync_all()
}

fn sync(directory: &Path) -> io::Result<()> {
    File::open(directory)?.sync_all()
}
