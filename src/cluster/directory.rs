//! Manages the data directory of a node: its id, its lock, and the realm that its copy is of.

use std::fs::{self, File};
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use uuid::Uuid;

use crate::store::private::LockedFile;
use crate::store::{SledStore, StoreError, private};

/// Holds the id of the node; locked while the node runs.
const NODE_FILE: &str = "node";
/// The copy, below the data directory.
const COPY: &str = "copy";
/// The copy while it is being made.
const COPY_BEGUN: &str = "copy.new";
/// Holds the lineage of the copy that it lies in.
const LINEAGE_FILE: &str = "lineage";

/// Why a process cannot join a cluster.
#[derive(Debug, thiserror::Error)]
pub enum NodeError {
    /// The directory holds a store that is no copy.
    #[error(
        "the data directory {0} holds memories of its own, which a node of a cluster would not serve. To move them into the \
         cluster: `dhakira backup --data {0} BACKUP`, then `dhakira restore BACKUP --into postgres://…` into a cluster without \
         memories; then give the node another --data"
    )]
    OwnStore(String),
    /// Another process has the directory open.
    #[error(
        "the data directory {0} is in use by another process; each node of a cluster needs a directory of its own"
    )]
    InUse(String),
    /// The file with the id of the node is damaged.
    #[error(
        "the file '{NODE_FILE}' in {0} does not hold the id of a node; delete it, and the node gets another id"
    )]
    NoId(String),
    /// A file could not be read or written.
    #[error("{doing}: {cause}")]
    Io {
        /// What was being done.
        doing: String,
        /// The error of the system.
        cause: io::Error,
    },
    /// The shared store or the copy failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// The data directory of a node, locked until dropped.
#[derive(Debug)]
pub struct NodeDirectory {
    path: PathBuf,
    id: Uuid,
    _lock: LockedFile,
}

impl NodeDirectory {
    /// Opens the directory, or creates it with a new id.
    ///
    /// # Errors
    /// A directory that holds a store of its own or is in use; I/O.
    pub fn open(path: &Path) -> Result<Self, NodeError> {
        let shown = || path.display().to_string();
        if SledStore::exists(path) {
            return Err(NodeError::OwnStore(shown()));
        }
        let io = |doing: &str| {
            let doing = format!("{doing} {}", path.display());
            move |cause| NodeError::Io { doing, cause }
        };
        private::create_directory(path).map_err(io("creating the data directory"))?;
        let file = path.join(NODE_FILE);
        let mut options = File::options();
        options.read(true).write(true).create(true).truncate(false).mode(0o600);
        let opened = options.open(file);
        let file = opened.map_err(io("opening the id of the node in"))?;
        let locked = LockedFile::lock(file).map_err(io("locking the data directory"))?;
        let Ok(mut file) = locked else { return Err(NodeError::InUse(shown())) };
        let id = read_id(file.file()).map_err(io("reading the id of the node in"))?;
        let id = id.ok_or_else(|| NodeError::NoId(shown()))?;
        Ok(Self { path: path.to_owned(), id, _lock: file })
    }

    /// Whether a directory is that of a node.
    pub fn is_node(path: &Path) -> bool {
        path.join(NODE_FILE).exists()
    }

    /// The id of the node.
    pub fn id(&self) -> Uuid {
        self.id
    }

    pub(super) fn copy(&self) -> PathBuf {
        self.path.join(COPY)
    }

    /// The lineage of the copy; `None` when there is no copy that was completed.
    pub(super) fn copy_lineage(&self) -> Option<Uuid> {
        let text = fs::read_to_string(self.copy().join(LINEAGE_FILE)).ok()?;
        text.trim().parse().ok()
    }

    /// An empty place for a new copy.
    pub(super) fn begin_copy(&self) -> io::Result<PathBuf> {
        let begun = self.path.join(COPY_BEGUN);
        delete(&begun)?;
        Ok(begun)
    }

    /// Makes the copy that was begun the copy of the node. Its store must be closed.
    pub(super) fn finish_copy(&self, lineage: Uuid) -> io::Result<()> {
        let begun = self.path.join(COPY_BEGUN);
        let mut file = private::create_file(&begun.join(LINEAGE_FILE))?;
        writeln!(file, "{lineage}")?;
        file.sync_all()?;
        self.discard_copy()?;
        fs::rename(&begun, self.copy())?;
        File::open(&self.path)?.sync_all()
    }

    /// Deletes the copy.
    pub(super) fn discard_copy(&self) -> io::Result<()> {
        delete(&self.copy())
    }
}

/// Reads the id in a file, or writes a new one to an empty file.
fn read_id(file: &mut File) -> io::Result<Option<Uuid>> {
    let mut text = String::new();
    file.read_to_string(&mut text)?;
    if !text.is_empty() {
        return Ok(text.trim().parse().ok());
    }
    let id = Uuid::new_v4();
    writeln!(file, "{id}")?;
    file.sync_all()?;
    Ok(Some(id))
}

fn delete(directory: &Path) -> io::Result<()> {
    match fs::remove_dir_all(directory) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}
