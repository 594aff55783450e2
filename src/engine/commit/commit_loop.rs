//! Commits writes in groups: one thread, with one append and one sync for all writes in the queue.
//!
//! A group is planned on top of what the follower has applied, appended to the log, applied by the follower, and only then
//! answered: an answered write is durable and visible to lookups. Other processes may append to the same log; a group whose append
//! conflicts with theirs is planned again.

use std::collections::BTreeMap;
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use metrics::histogram;
use tokio::sync::oneshot;

use crate::engine::clock::now;
use crate::engine::error::EngineError;
use crate::engine::replica::checkpoints::CHECKPOINT_IDLE;
use crate::engine::replica::follower::Follower;
use crate::limits::{
    APPEND_CONFLICTS_MAX, GROUP_COMMIT_UNITS_MAX, REQUEST_MEMORY_DAYS, SHARED_WRITES_RETRY_MAX,
    WRITES_RETRY_MAX, WRITES_RETRY_MIN,
};
use crate::store::{Appended, Backend, Retention, Sequence, StoreError};
use crate::unit::Timestamp;

use super::idempotency::Idempotency;
use super::outcome::{Outcome, Reply};
use super::plan::{Basis, Plan, Planner};
use super::work::Work;

/// A message in the queue.
pub(super) enum Message {
    Job(Box<Job>),
    /// Other processes have appended to the log.
    Follow,
}

pub(super) struct Job {
    pub(super) work: Work,
    pub(super) idempotency: Option<Idempotency>,
    pub(super) queued: Instant,
    pub(super) answer: oneshot::Sender<Result<Reply, EngineError>>,
}

/// Why writes are paused; shared with the callers.
#[derive(Default)]
pub(crate) struct WritePause {
    cause: Mutex<Option<String>>,
}

impl WritePause {
    pub(crate) fn cause(&self) -> Option<String> {
        self.cause.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn set(&self, cause: Option<String>) {
        *self.cause.lock().unwrap_or_else(PoisonError::into_inner) = cause;
    }
}

/// The answers to a group, in its order.
type Replies = Vec<Result<Reply, EngineError>>;

/// The recovery of the log while writes are paused.
struct Recovery {
    next_try: Instant,
    wait: Duration,
    running: Option<JoinHandle<Result<(), StoreError>>>,
}

pub(super) struct CommitLoop {
    backend: Backend,
    follower: Follower,
    pause: Arc<WritePause>,
    /// While writes are paused.
    recovery: Option<Recovery>,
    keep_log: Option<Duration>,
    /// The start of the log when it was last read.
    log_start: Option<Sequence>,
    searches: SearchActivity,
}

/// Tracks whether there are concurrent searches, which wait for the end of the current transaction.
struct SearchActivity {
    /// Searches when the last group was committed.
    count: u64,
    /// When the last search was noticed.
    noticed: Option<Instant>,
}

/// Time after the last search for which index changes are applied in the way that is fast for searches.
const SEARCHED_LATELY: Duration = Duration::from_secs(2);

/// How often old requests and old commits are collected.
const GC_EVERY: Duration = Duration::from_secs(3_600);
/// Idle time before the next step of an unfinished collection.
const GC_STEP: Duration = Duration::from_millis(2);
/// How often a running recovery is polled.
const RECOVERY_POLL: Duration = Duration::from_millis(20);

impl CommitLoop {
    pub(super) fn new(
        backend: Backend,
        follower: Follower,
        pause: Arc<WritePause>,
        keep_log: Option<Duration>,
    ) -> Self {
        let searches = SearchActivity { count: follower.catalog().searches(), noticed: None };
        let log_start = backend.log.start().ok().map(|start| start.sequence);
        Self { backend, follower, pause, recovery: None, keep_log, log_start, searches }
    }

    /// Runs until the queue is closed.
    pub(super) fn run(mut self, messages: &Receiver<Message>) {
        let mut next_gc = Instant::now() + GC_STEP;
        loop {
            // Also between writes: while writes are paused, refused ones may arrive without a break.
            self.recover();
            match messages.recv_timeout(self.idle_time(next_gc)) {
                Ok(Message::Follow) => self.follow(),
                Ok(Message::Job(first)) => {
                    let group = take_group(*first, messages);
                    for job in &group {
                        histogram!("dhakira_write_queue_seconds").record(job.queued.elapsed());
                    }
                    let has_garbage = group.iter().any(|job| job.work.leaves_garbage());
                    self.commit_group(group);
                    if has_garbage {
                        next_gc = Instant::now() + GC_STEP;
                    }
                    // Continuous writes must not prevent the collection of old commits.
                    if Instant::now() >= next_gc {
                        next_gc = self.collect_garbage();
                    }
                    if self.follower.checkpoints.is_overdue() {
                        self.start_checkpoints();
                    }
                }
                Err(RecvTimeoutError::Timeout) if self.recovery.is_some() => {}
                Err(RecvTimeoutError::Timeout) if Instant::now() < next_gc => {
                    self.start_checkpoints();
                }
                Err(RecvTimeoutError::Timeout) => next_gc = self.collect_garbage(),
                Err(RecvTimeoutError::Disconnected) => return self.finish(),
            }
        }
    }

    fn idle_time(&self, next_gc: Instant) -> Duration {
        if let Some(recovery) = &self.recovery {
            return match recovery.running {
                Some(_) => RECOVERY_POLL,
                None => recovery.next_try.saturating_duration_since(Instant::now()),
            };
        }
        let idle = next_gc.saturating_duration_since(Instant::now());
        if self.follower.checkpoints.is_due() { idle.min(CHECKPOINT_IDLE) } else { idle }
    }

    fn start_checkpoints(&mut self) {
        let position = self.follower.position();
        self.follower.checkpoints.start(position);
    }

    fn finish(mut self) {
        if let Some(running) = self.recovery.take().and_then(|recovery| recovery.running) {
            // The next start opens the log, whatever the outcome.
            let _ = running.join();
        }
        self.renew_checkpoints();
        let position = self.follower.position();
        self.follower.checkpoints.finish(position);
    }

    /// Applies commits of other processes.
    fn follow(&mut self) {
        if let Err(error) = self.follower.catch_up() {
            tracing::warn!(%error, "cannot apply the commits of other processes; retrying with the next one");
        }
    }

    /// Runs one step of garbage collection; returns when the next one is due.
    fn collect_garbage(&mut self) -> Instant {
        if self.recovery.is_some() {
            return Instant::now() + GC_EVERY;
        }
        // Removing requests may itself have paused writes.
        let more = self.remove_old_requests() | (self.recovery.is_none() && self.truncate_log());
        if !more {
            self.renew_checkpoints();
        }
        Instant::now() + if more { GC_STEP } else { GC_EVERY }
    }

    /// Schedules the checkpoints that are older than the start of the log.
    fn renew_checkpoints(&mut self) {
        let Ok(start) = self.backend.log.start() else { return };
        if Some(start.sequence) > self.log_start.replace(start.sequence) {
            self.follower.checkpoints.renew_before(start.sequence);
        }
    }

    /// Removes some commits that are older than the retention; returns whether there are more.
    fn truncate_log(&mut self) -> bool {
        let (Some(time), Some(maintenance)) = (self.keep_log, &self.backend.maintenance) else {
            return false;
        };
        // Commits after a checkpoint are younger than it, so a checkpoint of at most half the retention is always usable.
        self.follower.checkpoints.renew(time / 2);
        match maintenance.truncate_log(Retention { keep_from: now().before(time) }) {
            Ok(more) => more,
            Err(error) => {
                tracing::error!(%error, "cannot truncate the commit log");
                self.pause_writes(error.to_string());
                false
            }
        }
    }

    /// Removes some expired requests and units of deleted memories; returns whether there are more.
    fn remove_old_requests(&mut self) -> bool {
        let days = i64::from(REQUEST_MEMORY_DAYS);
        let before = Timestamp { micros: now().micros - days * 24 * 3_600 * 1_000_000 };
        let (answer, mut receiver) = oneshot::channel();
        let work = Work::CollectGarbage { before };
        self.commit_group(vec![Job { work, idempotency: None, queued: Instant::now(), answer }]);
        match receiver.try_recv() {
            Ok(Ok(Reply { outcome: Outcome::Collected { more }, .. })) => more,
            Ok(Err(error)) => {
                tracing::warn!(%error, "garbage collection failed");
                false
            }
            _ => false,
        }
    }

    fn commit_group(&mut self, mut group: Vec<Job>) {
        let outcome = match self.pause.cause() {
            // Records of a failed append can be read but may not be durable, so not even a repeated request is answered from them.
            Some(cause) => Err(StoreError::WritesPaused(cause).into()),
            None => self.commit(&mut group),
        };
        let replies = outcome.unwrap_or_else(|error| {
            group.iter().map(|_| Err(EngineError::clone(&error))).collect()
        });
        let mut works = Vec::with_capacity(group.len());
        for (Job { work, answer, .. }, reply) in group.into_iter().zip(replies) {
            // The caller may be gone; the write is committed anyway.
            let _ = answer.send(reply);
            works.push(work);
        }
        // Freeing them takes as long as a commit, so it happens on another thread.
        rayon::spawn(move || drop(works));
    }

    /// Plans, appends and applies a group, and plans it again while others append first. An error applies to the whole group, none
    /// of which was acknowledged then.
    fn commit(&mut self, group: &mut [Job]) -> Result<Replies, EngineError> {
        let joins_batches = !self.searches.note(self.follower.catalog().searches());
        let in_bulk = !self.searches.is_recent();
        for _ in 0..APPEND_CONFLICTS_MAX {
            self.follower.catch_up().map_err(|error| self.paused_by(error))?;
            let (replies, Plan { commits, index_changes }) = self.plan(group, joins_batches);
            if commits.is_empty() {
                // Answers are read from the store, which must not be ahead of what was applied.
                let end = self.backend.log.end().map_err(|error| self.paused_by(error.into()))?;
                if end == self.follower.position() {
                    return Ok(replies);
                }
                continue;
            }
            match self.backend.log.append(self.follower.position(), &commits) {
                Appended::Done(records) => {
                    let own = (&records[..], &commits[..]);
                    let applied = self.follower.apply_own(own, &index_changes, in_bulk);
                    applied.map_err(|error| self.paused_by(error))?;
                    // As of `commit_group`.
                    rayon::spawn(move || drop((commits, index_changes, records)));
                    return Ok(replies);
                }
                Appended::Conflict => {}
                Appended::Unknown(error) => return Err(self.paused_by(error.into())),
            }
        }
        Err(EngineError::TooMuch(
            "other processes keep appending to the log; try again in a moment".to_owned(),
        ))
    }

    /// Plans each write of a group. A write that fails midway leaves traces in the plan, so the others are planned again without it.
    fn plan(&self, group: &mut [Job], joins_batches: bool) -> (Replies, Plan) {
        // Times in the log increase, whatever the clock does.
        let earliest = Timestamp { micros: self.follower.time().micros + 1 };
        let basis = Basis {
            backend: &self.backend,
            catalog: self.follower.catalog(),
            memories: self.follower.memories(),
            now: now().max(earliest),
            joins_batches,
        };
        let mut failed: BTreeMap<usize, EngineError> = BTreeMap::new();
        loop {
            let mut planner = Planner::new(basis);
            let before = failed.len();
            let mut replies = Vec::with_capacity(group.len());
            for (index, job) in group.iter_mut().enumerate() {
                let reply = match failed.get(&index) {
                    Some(error) => Err(error.clone()),
                    None => planner.plan(&mut job.work, job.idempotency),
                };
                if let Err(error @ (EngineError::Store(_) | EngineError::Internal(_))) = &reply
                    && failed.insert(index, error.clone()).is_none()
                {
                    break;
                }
                replies.push(reply);
            }
            if failed.len() == before {
                return (replies, planner.finish());
            }
        }
    }

    /// Pauses writes because of an error of the log; returns the error for the waiting callers.
    fn paused_by(&mut self, error: EngineError) -> EngineError {
        let cause = error.to_string();
        self.pause_writes(cause.clone());
        EngineError::Store(StoreError::WritesPaused(cause))
    }

    fn pause_writes(&mut self, cause: String) {
        tracing::error!("writes are paused: {cause}");
        self.pause.set(Some(cause));
        let wait = WRITES_RETRY_MIN;
        self.recovery = Some(Recovery { next_try: Instant::now() + wait, wait, running: None });
    }

    /// While writes are paused: starts a recovery of the log when one is due, and resumes writes when it has succeeded. The recovery
    /// runs on its own thread, so that writes are refused meanwhile instead of blocking.
    fn recover(&mut self) {
        let Some(recovery) = &mut self.recovery else { return };
        let Some(ended) = recovery.running.take_if(|running| running.is_finished()) else {
            if recovery.running.is_none() && Instant::now() >= recovery.next_try {
                let log = Arc::clone(&self.backend.log);
                let thread = std::thread::Builder::new().name("recovery".to_owned());
                recovery.running = thread.spawn(move || log.recover()).ok();
            }
            return;
        };
        let recovered = match ended.join() {
            Ok(recovered) => recovered.map_err(EngineError::from),
            Err(_) => Err(EngineError::Internal("the recovery panicked".to_owned())),
        };
        match recovered.and_then(|()| self.follower.catch_up()) {
            Ok(()) => {
                tracing::info!("writes resumed");
                self.recovery = None;
                self.pause.set(None);
            }
            Err(error) => {
                tracing::warn!(%error, "writes stay paused");
                let is_shared = self.backend.log.is_shared();
                let longest = if is_shared { SHARED_WRITES_RETRY_MAX } else { WRITES_RETRY_MAX };
                recovery.wait = (recovery.wait * 2).min(longest);
                recovery.next_try = Instant::now() + recovery.wait;
            }
        }
    }
}

impl SearchActivity {
    /// Records the searches so far; returns whether there was one since the last group.
    fn note(&mut self, count: u64) -> bool {
        let is_active = std::mem::replace(&mut self.count, count) != count;
        if is_active {
            self.noticed = Some(Instant::now());
        }
        is_active
    }

    /// Whether there was a search lately.
    fn is_recent(&self) -> bool {
        self.noticed.is_some_and(|it| it.elapsed() <= SEARCHED_LATELY)
    }
}

/// Takes jobs from the queue, up to the size of a group. Skips messages to follow, because a group catches up anyway.
fn take_group(first: Job, messages: &Receiver<Message>) -> Vec<Job> {
    let mut units = first.work.units();
    let mut group = vec![first];
    while units < GROUP_COMMIT_UNITS_MAX
        && let Ok(message) = messages.try_recv()
    {
        let Message::Job(job) = message else { continue };
        // A write without units costs about as much as one unit.
        units += job.work.units().max(1);
        group.push(*job);
    }
    group
}
