//! Keeps the commit log from its beginning, also where it is truncated meanwhile.

use std::sync::Arc;

use dhakira::store::{CommitLog as _, LogRecord, NodeState, Realm, RealmOptions, Sequence};

/// A member of the cluster that only reads the log.
pub(super) struct Archive {
    realm: Arc<Realm>,
    options: RealmOptions,
    pub(super) records: Vec<LogRecord>,
}

impl Archive {
    pub(super) fn of(options: RealmOptions) -> Self {
        let archive =
            Self { realm: Realm::connect(options.clone()).unwrap(), options, records: Vec::new() };
        archive.report();
        archive
    }

    fn last(&self) -> Sequence {
        self.records.last().map_or(Sequence(0), |record| record.sequence)
    }

    /// The log is not truncated beyond what it reports.
    fn report(&self) {
        let state =
            NodeState { address: String::new(), version: "archive".into(), applied: self.last() };
        self.realm.heartbeat(&state).unwrap();
    }

    /// Reads up to the end of the log.
    pub(super) fn catch_up(&mut self) {
        self.records.extend(self.realm.read(self.last(), usize::MAX).unwrap());
        self.report();
    }

    /// The first commit that the log still holds comes after this one.
    pub(super) fn log_start(&self) -> Sequence {
        self.realm.start().unwrap().sequence
    }

    /// Reads the rest of the log, and everything that it still holds once more, by other connections: commits do not change.
    pub(super) fn finish(&mut self) {
        self.catch_up();
        let again = Realm::connect(self.options.clone()).unwrap();
        let start = again.start().unwrap().sequence;
        let held = again.read(start, usize::MAX).unwrap();
        assert_eq!(held.last(), self.records.last(), "the end of the log");
        let kept = self.records.iter().filter(|record| record.sequence > start);
        assert!(kept.eq(&held), "the log is what it was when it was read first");
    }
}
