//! How do writes become durable without an fsync each? One thread, and everybody who waits shares one.
//!
//! A group is planned, committed to the store with one sync, applied to the indexes, published, and only then answered:
//! an answer means on disk and visible to lookups.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, TrySendError, sync_channel};
use std::thread::JoinHandle;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use tokio::sync::{oneshot, watch};

use crate::limits::{GROUP_COMMIT_UNITS_MAX, REQUEST_MEMORY_DAYS, WRITE_QUEUE_JOBS_MAX};
use crate::matching::IndexChange;
use crate::store::{MemoryKey, MemoryRecord, Retention, Sequence, Store, StoreError};
use crate::unit::Timestamp;

use super::idempotency::{Idempotency, Outcome};
use super::plan::Planner;
use super::work::{Reply, Work};
use crate::engine::error::EngineError;
use crate::engine::jobs::maintenance::ago;
use crate::engine::priority::step_back;
use crate::engine::replica::catalog::Catalog;
use crate::engine::replica::checkpoints::{CHECKPOINT_IDLE, Keeper};

/// Where writes are handed in.
pub(crate) struct Writer {
    queue: Option<SyncSender<Job>>,
    thread: Option<JoinHandle<()>>,
}

/// The answer to a write, when it comes.
pub(crate) type Answer = oneshot::Receiver<Result<Reply, EngineError>>;

struct Job {
    work: Work,
    idempotency: Option<Idempotency>,
    answer: oneshot::Sender<Result<Reply, EngineError>>,
}

impl Writer {
    pub(crate) fn start(
        (store, catalog): (Arc<dyn Store>, Arc<Catalog>),
        records: BTreeMap<MemoryKey, MemoryRecord>,
        sequence: watch::Sender<Sequence>,
        keeper: Keeper,
        keep_log: Option<Duration>,
    ) -> std::io::Result<Self> {
        let (queue, jobs) = sync_channel(WRITE_QUEUE_JOBS_MAX);
        let log_start = store.log_start().sequence;
        let last_time = Timestamp::default();
        let searches = catalog.searches();
        let writer = Loop {
            store,
            catalog,
            keep_log,
            records,
            sequence,
            keeper,
            log_start,
            last_time,
            searches,
            searched: None,
        };
        let thread = std::thread::Builder::new().name("writer".to_owned()).spawn(move || {
            // Whoever waits for a write waits for the disk as well; whoever looks something up does not.
            step_back();
            writer.run(&jobs);
        })?;
        Ok(Self { queue: Some(queue), thread: Some(thread) })
    }

    /// Hands a write in; writes of one caller are carried out in the order in which they are handed in.
    pub(crate) fn submit(
        &self,
        work: Work,
        idempotency: Option<Idempotency>,
    ) -> Result<Answer, EngineError> {
        let (answer, receiver) = oneshot::channel();
        self.queue()?.try_send(Job { work, idempotency, answer }).map_err(|error| match error {
            TrySendError::Full(_) => EngineError::TooMuch(format!(
                "{WRITE_QUEUE_JOBS_MAX} writes are waiting already; try again in a moment"
            )),
            TrySendError::Disconnected(_) => EngineError::writer_ended(),
        })?;
        Ok(receiver)
    }

    /// The same for bulk: waits for a place in the queue, which is what slows a fast sender down.
    pub(crate) fn submit_when_free(
        &self,
        work: Work,
        idempotency: Option<Idempotency>,
    ) -> Result<Answer, EngineError> {
        let (answer, receiver) = oneshot::channel();
        let job = Job { work, idempotency, answer };
        self.queue()?.send(job).map_err(|_| EngineError::writer_ended())?;
        Ok(receiver)
    }

    fn queue(&self) -> Result<&SyncSender<Job>, EngineError> {
        self.queue.as_ref().ok_or_else(EngineError::writer_ended)
    }
}

impl Drop for Writer {
    /// Everything handed in is carried out first.
    fn drop(&mut self) {
        drop(self.queue.take());
        if let Some(thread) = self.thread.take() {
            // A panic of the writer was reported when it happened.
            let _ = thread.join();
        }
    }
}

struct Loop {
    store: Arc<dyn Store>,
    catalog: Arc<Catalog>,
    /// What is older leaves the log.
    keep_log: Option<Duration>,
    records: BTreeMap<MemoryKey, MemoryRecord>,
    sequence: watch::Sender<Sequence>,
    keeper: Keeper,
    /// Where the log began when that was last looked at.
    log_start: Sequence,
    last_time: Timestamp,
    /// How often somebody had searched when the last group was written.
    searches: u64,
    /// When the writer saw the last of them.
    searched: Option<Instant>,
}

/// How long nobody searches before an index takes its time to seal what comes: a search between two groups says that more
/// will come.
const SEARCHED_LATELY: Duration = Duration::from_secs(2);

/// How often old requests and old commits are looked for.
const TIDY_EVERY: Duration = Duration::from_secs(3_600);
/// How long the writer is idle before it goes on with a clean-up that has more to do.
const TIDY_STEP: Duration = Duration::from_millis(2);

impl Loop {
    fn run(mut self, jobs: &Receiver<Job>) {
        let mut next_tidy = Instant::now() + TIDY_STEP;
        loop {
            let mut pause = next_tidy.saturating_duration_since(Instant::now());
            if self.keeper.is_due() {
                pause = pause.min(CHECKPOINT_IDLE);
            }
            match jobs.recv_timeout(pause) {
                Ok(first) => {
                    let mut units = first.work.units();
                    let mut group = vec![first];
                    while units < GROUP_COMMIT_UNITS_MAX
                        && let Ok(job) = jobs.try_recv()
                    {
                        // A write of no unit costs about as much.
                        units += job.work.units().max(1);
                        group.push(job);
                    }
                    let untidy = group
                        .iter()
                        .any(|job| matches!(job.work, Work::DeleteMemory { .. } | Work::Compacted));
                    self.carry_out(group);
                    if untidy {
                        next_tidy = Instant::now() + TIDY_STEP;
                    }
                    // Those who write without a break must not keep the old from going.
                    if Instant::now() >= next_tidy {
                        next_tidy = self.tidy();
                    }
                    if self.keeper.is_overdue() {
                        self.keeper.start(self.store.last_sequence());
                    }
                }
                Err(RecvTimeoutError::Timeout) if Instant::now() < next_tidy => {
                    self.keeper.start(self.store.last_sequence());
                }
                Err(RecvTimeoutError::Timeout) => next_tidy = self.tidy(),
                Err(RecvTimeoutError::Disconnected) => {
                    self.follow_log_start();
                    return self.keeper.finish(self.store.last_sequence());
                }
            }
        }
    }

    /// One step of clean-up; when the next one is due.
    fn tidy(&mut self) -> Instant {
        let more = self.forget() | self.cut_log();
        if !more {
            self.follow_log_start();
        }
        Instant::now() + if more { TIDY_STEP } else { TIDY_EVERY }
    }

    /// When the log begins elsewhere, indexes that stand before it are written again.
    fn follow_log_start(&mut self) {
        let start = self.store.log_start().sequence;
        if start > std::mem::replace(&mut self.log_start, start) {
            self.keeper.renew_before(start);
        }
    }

    /// Gives up some commits that are older than is wanted; whether there are more.
    fn cut_log(&mut self) -> bool {
        let Some(time) = self.keep_log else { return false };
        // An index stands at a commit; what came next is younger than the index, and so in the log for as long again.
        self.keeper.renew(time / 2);
        self.store.cut_log(Retention { keep_from: ago(time) }).unwrap_or_else(|error| {
            tracing::error!(%error, "the commit log could not be cut");
            false
        })
    }

    /// Forgets some requests that nobody will repeat any more, and deletes units of deleted memories; whether there are more.
    fn forget(&mut self) -> bool {
        let days = i64::from(REQUEST_MEMORY_DAYS);
        let before = Timestamp { micros: now().micros - days * 24 * 3_600 * 1_000_000 };
        let (answer, mut receiver) = oneshot::channel();
        self.carry_out(vec![Job { work: Work::Tidy { before }, idempotency: None, answer }]);
        match receiver.try_recv() {
            Ok(Ok(Reply { outcome: Outcome::Tidied { more }, .. })) => more,
            Ok(Err(error)) => {
                tracing::warn!(%error, "cleaning up failed");
                false
            }
            _ => false,
        }
    }

    fn carry_out(&mut self, group: Vec<Job>) {
        // What a failed commit left can be read and is not on disk: not even a repeated request is answered from it.
        if let Some(cause) = self.store.poisoned() {
            for job in group {
                let error = EngineError::Store(StoreError::Poisoned(cause.clone()));
                // Whoever asked may have gone.
                let _ = job.answer.send(Err(error));
            }
            return;
        }
        // Time never runs backwards in the store, whatever the clock does.
        self.last_time = now().max(Timestamp { micros: self.last_time.micros + 1 });
        // A search waits for the end of the transaction that is under way: where nobody searches they may be long.
        let searches = self.catalog.searches();
        let nobody_searches = std::mem::replace(&mut self.searches, searches) == searches;
        if !nobody_searches {
            self.searched = Some(Instant::now());
        }
        let is_bulk = self.searched.is_none_or(|it| it.elapsed() > SEARCHED_LATELY);
        let mut planner = Planner::new(
            self.store.as_ref(),
            &self.catalog,
            &mut self.records,
            self.last_time,
            nobody_searches,
        );
        let mut answers = Vec::with_capacity(group.len());
        let mut failure = None;
        for job in group {
            let reply = match &failure {
                None => planner.plan(job.work, job.idempotency),
                Some(cause) => Err(EngineError::Internal(String::clone(cause))),
            };
            if let Err(error @ (EngineError::Store(_) | EngineError::Internal(_))) = &reply
                && failure.is_none()
            {
                failure = Some(format!("a write of the same group failed: {error}"));
            }
            answers.push((job.answer, reply));
        }
        let Planner { commits, index_updates: updates, before, .. } = planner;
        if failure.is_none() && !commits.is_empty() {
            match self.store.commit(&commits) {
                Ok(sequence) => {
                    // A memory made in this group has no index before it is published.
                    for commit in &commits {
                        commit.memories.iter().for_each(|record| self.catalog.publish(record));
                        commit.counters.iter().for_each(|it| self.catalog.publish_counters(it));
                    }
                    // One change of an index for the whole group: making many small ones is what costs.
                    let mut changes: BTreeMap<MemoryKey, Vec<IndexChange>> = BTreeMap::new();
                    for update in updates {
                        changes.entry(update.memory).or_default().extend(update.changes);
                    }
                    for (memory, changes) in &changes {
                        if let Some(memory) = self.catalog.by_key(*memory) {
                            if is_bulk {
                                memory.index.apply_in_bulk(changes);
                            } else {
                                memory.index.apply(changes);
                            }
                            self.keeper.note(memory.key, changes.len());
                        }
                    }
                    // Giving the memory back takes as long as a commit: elsewhere, and nobody waits for it.
                    rayon::spawn(move || drop((commits, changes)));
                    self.sequence.send_replace(sequence);
                }
                Err(error) => {
                    tracing::error!(%error, "a commit failed; the store takes no more writes");
                    failure = Some(error.to_string());
                }
            }
        }
        if failure.is_some() {
            for (key, record) in before {
                match record {
                    Some(record) => self.records.insert(key, record),
                    None => self.records.remove(&key),
                };
            }
        }
        let poison = self.store.poisoned();
        for (answer, reply) in answers {
            let reply = match (&failure, reply) {
                (Some(_), Ok(_)) if poison.is_some() => Err(EngineError::Store(
                    StoreError::Poisoned(poison.clone().unwrap_or_default()),
                )),
                (Some(cause), Ok(_)) => Err(EngineError::Internal(cause.clone())),
                (_, reply) => reply,
            };
            // Whoever asked may have gone; the write stands.
            let _ = answer.send(reply);
        }
    }
}

fn now() -> Timestamp {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Timestamp { micros: i64::try_from(since.as_micros()).unwrap_or(i64::MAX) }
}
