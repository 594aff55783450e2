//! Shorthands for tests of a commit log and its store.

use dhakira::store::{Commit, CommitLog, LogStart, Sequence, Store};

/// A database that has both.
pub(crate) trait Database: Store + CommitLog {}

impl<T: Store + CommitLog> Database for T {}

pub(crate) trait LogExt: CommitLog {
    /// Appends commits at the end of the log; the number of the last one.
    fn commit(&self, commits: &[Commit]) -> Sequence {
        self.append(self.end().unwrap(), commits).into_result().unwrap();
        self.last_sequence()
    }

    fn last_sequence(&self) -> Sequence {
        self.end().unwrap().sequence
    }

    fn log_start(&self) -> LogStart {
        self.start().unwrap()
    }
}

impl<T: CommitLog + ?Sized> LogExt for T {}
