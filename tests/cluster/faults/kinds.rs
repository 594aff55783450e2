//! The kinds of faults, and how each is inflicted and ended.

use std::fmt;
use std::time::{Duration, Instant};

use super::super::world::locked;
use super::world::{OVER, World};
use crate::command_line::{code, run, stderr};
use crate::support::proxy::Cut;

/// Longest wait until an answer of the last standby is through.
const IN_TRANSIT: Duration = Duration::from_millis(500);

/// A kind of fault.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Fault {
    PrimaryReplaced,
    PrimaryFencedAndReplaced,
    PrimaryRestarted,
    PrimaryFrozen,
    StandbyRestarted,
    StandbysRestarted,
    WaitCancelled,
    WaitTerminated,
    CutBeforeCommit,
    CutBeforeAnswer,
    SilenceForAnswer,
    NodeCutOff,
    WriterCutOff,
    NodeKilled,
    WriterKilled,
    NodeEmptied,
    NodeFrozen,
    WriterFrozen,
    LogTruncated,
}

impl Fault {
    pub(super) const ALL: [Self; 19] = [
        Self::PrimaryReplaced,
        Self::PrimaryFencedAndReplaced,
        Self::PrimaryRestarted,
        Self::PrimaryFrozen,
        Self::StandbyRestarted,
        Self::StandbysRestarted,
        Self::WaitCancelled,
        Self::WaitTerminated,
        Self::CutBeforeCommit,
        Self::CutBeforeAnswer,
        Self::SilenceForAnswer,
        Self::NodeCutOff,
        Self::WriterCutOff,
        Self::NodeKilled,
        Self::WriterKilled,
        Self::NodeEmptied,
        Self::NodeFrozen,
        Self::WriterFrozen,
        Self::LogTruncated,
    ];

    /// One of each that is soon over.
    pub(super) const QUICK: [Self; 14] = [
        Self::LogTruncated,
        Self::PrimaryReplaced,
        Self::CutBeforeCommit,
        Self::CutBeforeAnswer,
        Self::WriterKilled,
        Self::StandbyRestarted,
        Self::PrimaryRestarted,
        Self::NodeEmptied,
        Self::WaitTerminated,
        Self::StandbysRestarted,
        Self::WriterFrozen,
        Self::WaitCancelled,
        Self::NodeCutOff,
        Self::PrimaryFrozen,
    ];
}

impl fmt::Display for Fault {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.pad(match self {
            Self::PrimaryReplaced => "primary killed, a standby promoted",
            Self::PrimaryFencedAndReplaced => "primary frozen, then killed, a standby promoted",
            Self::PrimaryRestarted => "primary killed and restarted",
            Self::PrimaryFrozen => "primary frozen and woken",
            Self::StandbyRestarted => "a standby killed and restarted",
            Self::StandbysRestarted => "both standbys killed and restarted",
            Self::WaitCancelled => "wait for the standbys cancelled during COMMIT",
            Self::WaitTerminated => "wait for the standbys terminated during COMMIT",
            Self::CutBeforeCommit => "connection of the writer cut before COMMIT",
            Self::CutBeforeAnswer => "connection of the writer cut before the answer to COMMIT",
            Self::SilenceForAnswer => "answer to COMMIT never comes",
            Self::NodeCutOff => "a node cut off from the database",
            Self::WriterCutOff => "the writer cut off from the database",
            Self::NodeKilled => "a node killed and restarted",
            Self::WriterKilled => "the writer killed and restarted",
            Self::NodeEmptied => "a node killed and restarted with an empty directory",
            Self::NodeFrozen => "a node frozen and woken",
            Self::WriterFrozen => "the writer frozen and woken",
            Self::LogTruncated => "log truncated",
        })
    }
}

impl World {
    /// Blocks until the fault is over.
    pub(super) fn inflict(&mut self, fault: Fault) {
        let time = self.some_time();
        match fault {
            Fault::PrimaryReplaced => {
                self.postgres.primary.kill();
                self.postgres.replace_primary();
            }
            Fault::PrimaryFencedAndReplaced => {
                self.freeze_primary(time);
                self.postgres.primary.kill();
                self.postgres.replace_primary();
            }
            Fault::PrimaryRestarted => {
                self.postgres.primary.kill();
                self.postgres.primary.start();
            }
            Fault::PrimaryFrozen => {
                self.freeze_primary(time);
                self.postgres.primary.signal("CONT");
            }
            Fault::StandbyRestarted => {
                let place = usize::try_from(self.dice.below(2)).unwrap();
                let standby = &self.postgres.standbys[place];
                standby.kill();
                std::thread::sleep(time);
                standby.start();
            }
            Fault::StandbysRestarted => self.restart_standbys(time),
            Fault::WaitCancelled => self.end_wait("pg_cancel_backend", time),
            Fault::WaitTerminated => self.end_wait("pg_terminate_backend", time),
            Fault::CutBeforeCommit => self.cut_at_commit(Cut::BeforeCommit),
            Fault::CutBeforeAnswer => self.cut_at_commit(Cut::BeforeAnswer),
            Fault::SilenceForAnswer => self.cut_at_commit(Cut::SilenceForAnswer),
            Fault::NodeCutOff => {
                let node = self.some_node();
                self.cut_off(node, time);
            }
            Fault::WriterCutOff => self.cut_off(self.writer(), time),
            Fault::NodeKilled => {
                let node = self.some_node();
                self.kill_and_restart(node, time);
            }
            Fault::WriterKilled => self.kill_and_restart(self.writer(), time),
            Fault::NodeEmptied => {
                let node = self.some_node();
                self.kill_program(node);
                std::fs::remove_dir_all(&self.programs[node].data).unwrap();
                self.restart_program(node);
            }
            Fault::NodeFrozen => {
                let node = self.some_node();
                self.freeze_program(node, time);
            }
            Fault::WriterFrozen => self.freeze_program(self.writer(), time),
            Fault::LogTruncated => self.truncate_log(),
        }
    }

    fn freeze_primary(&self, time: Duration) {
        self.postgres.primary.signal("STOP");
        self.hold(time);
    }

    /// Nothing is acknowledged without a standby.
    fn restart_standbys(&self, time: Duration) {
        let standbys = &self.postgres.standbys;
        standbys.iter().for_each(|standby| standby.kill());
        std::thread::sleep(IN_TRANSIT);
        let gone = Instant::now();
        self.hold(time);
        let early = locked(&self.service.history.acknowledged)
            .iter()
            .rev()
            .find(|it| it.sent > gone)
            .copied();
        assert_eq!(early.map(|it| it.at), None, "a write was acknowledged without a standby");
        standbys.iter().for_each(|standby| standby.start());
    }

    fn end_wait(&self, function: &str, time: Duration) {
        let standbys = &self.postgres.standbys;
        standbys.iter().for_each(|standby| standby.signal("STOP"));
        self.postgres.end_wait(function);
        self.hold(time);
        standbys.iter().for_each(|standby| standby.signal("CONT"));
    }

    /// Cuts the connection over which the writer appends.
    fn cut_at_commit(&self, cut: Cut) {
        let since = Instant::now();
        loop {
            let proxies = &self.programs[self.writer()].proxies;
            proxies.iter().for_each(|it| it.arm(cut));
            let armed = Instant::now();
            while armed.elapsed() < Duration::from_secs(3) {
                if proxies.iter().any(|it| it.has_cut()) {
                    proxies.iter().for_each(|it| it.disarm());
                    return;
                }
                std::thread::sleep(Duration::from_millis(2));
            }
            // Another node may have become the writer.
            proxies.iter().for_each(|it| it.disarm());
            assert!(since.elapsed() < OVER, "the writer appends nothing");
        }
    }

    fn cut_off(&self, node: usize, time: Duration) {
        let proxies = &self.programs[node].proxies;
        proxies.iter().for_each(|it| it.close());
        self.hold(time);
        proxies.iter().for_each(|it| it.open());
    }

    fn kill_and_restart(&mut self, node: usize, time: Duration) {
        self.kill_program(node);
        std::thread::sleep(time / 2);
        self.restart_program(node);
    }

    fn freeze_program(&mut self, node: usize, time: Duration) {
        self.lookups.turn(node);
        self.signal(node, "-STOP");
        std::thread::sleep(time);
        self.signal(node, "-CONT");
        self.lookups.turn(node);
    }

    /// By the command, on some node: as far as every node, and the archive, has applied the log.
    fn truncate_log(&mut self) {
        self.archive.catch_up();
        let node = self.some_node();
        let url = self.service.url(node).unwrap();
        let compact = ["compact", "--keep-log-days", "0", "--server", &url];
        let done = run(self.root(), &compact);
        assert_eq!(code(&done), 0, "{}", stderr(&done));
        let (start, held) = (self.archive.log_start(), self.archive.records.last().unwrap());
        assert!(start <= held.sequence, "truncated beyond what a member has applied");
    }

    /// While the database has a fault, every node answers lookups.
    fn hold(&self, time: Duration) {
        let before = self.lookups.answered();
        let since = Instant::now();
        let has_answered = || before.iter().zip(self.lookups.answered()).all(|(it, now)| *it < now);
        while since.elapsed() < time || !has_answered() {
            assert!(since.elapsed() < OVER, "{before:?} lookups, and no others");
            std::thread::sleep(Duration::from_millis(10));
        }
    }
}
