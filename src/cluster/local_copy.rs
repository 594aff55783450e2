//! Opens the local copy of a shared store, and makes it anew where it does not belong to the store.

use std::sync::Arc;

use metrics::counter;

use crate::store::{
    Backend, CommitLog as _, LocalCopy, LogPosition, OpenOptions, Sequence, SharedStore, SledStore,
    StoreError,
};

use super::bootstrap::{JoinProgress, bootstrap};
use super::contact::Contact;
use super::copied::{CopiedLog, CopiedMaintenance, CopiedStore};
use super::directory::{NodeDirectory, NodeError};

/// A process that has its copy.
pub struct Joined {
    /// The copy and the shared log, for an engine.
    pub backend: Backend,
    /// Why the copy was made anew; `None` when the one of the last run is still good.
    pub copied: Option<String>,
}

/// Why there is no copy that can be used.
enum Unfit {
    /// Nothing is wrong.
    Missing,
    /// The log begins after it.
    Old(Sequence),
    OtherLineage,
    /// It was made by commits that are not in the log.
    Diverged(Sequence),
    Damaged(String),
}

impl Unfit {
    fn reason(&self) -> String {
        match self {
            Self::Missing => "there is none yet".to_owned(),
            Self::Old(end) => {
                format!("it ends at commit {}, and the log of the cluster begins after that", end.0)
            }
            Self::OtherLineage => {
                "it is of another cluster, or of this one before it was restored from a backup"
                    .to_owned()
            }
            Self::Diverged(end) => format!(
                "it ends at commit {}, which the log of the cluster does not hold: the database has lost commits, or was put back \
                 to an earlier state",
                end.0
            ),
            Self::Damaged(what) => format!("it is damaged: {what}"),
        }
    }

    /// Logs and counts that a copy is discarded.
    fn log(&self) {
        let reason = self.reason();
        match self {
            Self::Missing => tracing::info!("copying the memories of the cluster: {reason}"),
            Self::Old(_) => tracing::warn!("the local copy is made anew: {reason}"),
            Self::OtherLineage | Self::Diverged(_) | Self::Damaged(_) => {
                let cause = if matches!(self, Self::Diverged(_)) { "diverged" } else { "other" };
                counter!("dhakira_cluster_copies_discarded_total", "cause" => cause).increment(1);
                tracing::error!("the local copy is thrown away and made anew: {reason}");
            }
        }
    }
}

/// Opens the copy in the directory of a node, or makes one. Each answer of the shared log is noted in `contact`. Blocks.
///
/// # Errors
/// The shared store; the disk.
pub fn join(
    shared: &SharedStore,
    directory: &NodeDirectory,
    contact: &Arc<Contact>,
    progress: &mut dyn FnMut(JoinProgress),
) -> Result<Joined, NodeError> {
    let (copy, copied) = match open(shared, directory)? {
        Ok(copy) => (copy, None),
        Err(unfit) => {
            unfit.log();
            make(shared, directory, progress)?;
            (open_copy(directory)?, Some(unfit.reason()))
        }
    };
    let copy = Arc::new(copy.with_relaxed_syncing());
    contact.note();
    let log = CopiedLog::new(shared, copy.clone(), Arc::clone(contact))?;
    let maintenance = CopiedMaintenance { copy: copy.clone(), shared: shared.maintenance.clone() };
    let backend = Backend {
        log: Arc::new(log),
        store: Arc::new(CopiedStore::new(shared, copy.clone())),
        local_copy: Some(LocalCopy { log: copy.clone(), origin: Arc::clone(&shared.store) }),
        maintenance: Some(Arc::new(maintenance)),
        backup_source: Some(copy),
    };
    Ok(Joined { backend, copied })
}

/// Opens the copy if it belongs to the shared store.
fn open(
    shared: &SharedStore,
    directory: &NodeDirectory,
) -> Result<Result<SledStore, Unfit>, NodeError> {
    if !SledStore::exists(&directory.copy()) {
        return Ok(Err(Unfit::Missing));
    }
    if directory.copy_lineage() != Some(shared.cluster.lineage()) {
        return Ok(Err(Unfit::OtherLineage));
    }
    let copy = match open_copy(directory) {
        Ok(copy) => copy,
        Err(error @ (StoreError::Damaged { .. } | StoreError::Behind { .. })) => {
            return Ok(Err(Unfit::Damaged(error.to_string())));
        }
        Err(error) => return Err(error.into()),
    };
    Ok(check(shared, copy.end()?)?.map_or(Ok(copy), Err))
}

/// Compares the end of a copy with the shared log.
fn check(shared: &SharedStore, end: LogPosition) -> Result<Option<Unfit>, StoreError> {
    let start = shared.log.start()?.sequence;
    if end.sequence < start {
        return Ok(Some(Unfit::Old(end.sequence)));
    }
    let is_same = match shared.log.mark_at(end.sequence)? {
        Some(mark) => LogPosition::from(mark) == end,
        None => end == LogPosition::default(),
    };
    Ok((!is_same).then_some(Unfit::Diverged(end.sequence)))
}

fn open_copy(directory: &NodeDirectory) -> Result<SledStore, StoreError> {
    let options =
        OpenOptions { create: false, accept_data_loss: false, purpose: "serve".to_owned() };
    SledStore::open(&directory.copy(), &options)
}

/// Makes a copy in place of the one that there is, which stays until the new one is complete.
fn make(
    shared: &SharedStore,
    directory: &NodeDirectory,
    progress: &mut dyn FnMut(JoinProgress),
) -> Result<(), NodeError> {
    let io = |cause| NodeError::Io { doing: "making the local copy".to_owned(), cause };
    let begun = directory.begin_copy().map_err(io)?;
    bootstrap(shared, &begun, progress)?;
    directory.finish_copy(shared.cluster.lineage()).map_err(io)
}
