//! Queues writes for the commit loop and returns their answers.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{SyncSender, TrySendError, sync_channel};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use tokio::sync::oneshot;

use crate::engine::error::EngineError;
use crate::engine::priority::lower_priority;
use crate::engine::replica::follower::Follower;
use crate::limits::WRITE_QUEUE_JOBS_MAX;
use crate::store::{Backend, CommitLog};

use super::commit_loop::{CommitLoop, Job, Message, WritePause};
use super::idempotency::Idempotency;
use super::outcome::Reply;
use super::work::Work;

/// The queue of the commit loop.
pub(crate) struct WriteQueue {
    queue: Option<SyncSender<Message>>,
    pause: Arc<WritePause>,
    tail: Option<Tail>,
    thread: Option<JoinHandle<()>>,
}

/// The pending answer to a write.
pub(crate) type Answer = oneshot::Receiver<Result<Reply, EngineError>>;

impl WriteQueue {
    /// Starts the commit loop. Commits older than `keep_log` are truncated from the log.
    pub(crate) fn start(
        backend: Backend,
        follower: Follower,
        keep_log: Option<Duration>,
    ) -> std::io::Result<Self> {
        let (queue, messages) = sync_channel(WRITE_QUEUE_JOBS_MAX);
        let pause = Arc::<WritePause>::default();
        let is_shared = backend.log.is_shared();
        let tail = is_shared.then(|| Tail::watch(Arc::clone(&backend.log), &follower, &queue));
        let commit_loop = CommitLoop::new(backend, follower, Arc::clone(&pause), keep_log);
        let thread = std::thread::Builder::new().name("writer".to_owned()).spawn(move || {
            // Lookups have priority: a write waits for the disk anyway.
            lower_priority();
            commit_loop.run(&messages);
        })?;
        Ok(Self { queue: Some(queue), pause, tail: tail.transpose()?, thread: Some(thread) })
    }

    /// Why writes are paused; `None` if they are not.
    pub(crate) fn paused(&self) -> Option<String> {
        self.pause.cause()
    }

    /// Queues a write; those of one caller are committed in the order in which they are queued.
    ///
    /// # Errors
    /// The queue is full; the commit loop has ended.
    pub(crate) fn submit(
        &self,
        work: Work,
        idempotency: Option<Idempotency>,
    ) -> Result<Answer, EngineError> {
        let (message, receiver) = message(work, idempotency);
        self.queue()?.try_send(message).map_err(|error| match error {
            TrySendError::Full(_) => EngineError::TooMuch(format!(
                "{WRITE_QUEUE_JOBS_MAX} writes are waiting already; try again in a moment"
            )),
            TrySendError::Disconnected(_) => EngineError::writer_ended(),
        })?;
        Ok(receiver)
    }

    /// Queues a write, waiting for space in the queue, which slows down a fast sender.
    ///
    /// # Errors
    /// The commit loop has ended.
    pub(crate) fn submit_when_free(
        &self,
        work: Work,
        idempotency: Option<Idempotency>,
    ) -> Result<Answer, EngineError> {
        let (message, receiver) = message(work, idempotency);
        self.queue()?.send(message).map_err(|_| EngineError::writer_ended())?;
        Ok(receiver)
    }

    fn queue(&self) -> Result<&SyncSender<Message>, EngineError> {
        self.queue.as_ref().ok_or_else(EngineError::writer_ended)
    }
}

impl Drop for WriteQueue {
    /// Waits until everything queued is committed.
    fn drop(&mut self) {
        drop(self.tail.take());
        drop(self.queue.take());
        if let Some(thread) = self.thread.take() {
            // A panic of the commit loop was reported when it happened.
            let _ = thread.join();
        }
    }
}

fn message(work: Work, idempotency: Option<Idempotency>) -> (Message, Answer) {
    let (answer, receiver) = oneshot::channel();
    (Message::Job(Box::new(Job { work, idempotency, queued: Instant::now(), answer })), receiver)
}

/// Waits for commits of other processes and notifies the commit loop.
struct Tail {
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

/// Longest single wait, which closing the engine may have to wait for.
const TAIL_WAIT: Duration = Duration::from_millis(50);
/// Time after which the commit loop is notified again of commits that it has not applied.
const TAIL_RETRY: Duration = Duration::from_secs(1);

impl Tail {
    fn watch(
        log: Arc<dyn CommitLog>,
        follower: &Follower,
        queue: &SyncSender<Message>,
    ) -> std::io::Result<Self> {
        let (stop, queue, sequence) =
            (Arc::<AtomicBool>::default(), queue.clone(), follower.watch_sequence());
        let stopping = Arc::clone(&stop);
        let watch = move || {
            let (mut seen, mut notified) = (*sequence.borrow(), Instant::now());
            let mut failed = false;
            while !stopping.load(Ordering::Relaxed) {
                // What was not applied, because that failed, is notified again.
                let applied = *sequence.borrow();
                let is_due = notified.elapsed() >= TAIL_RETRY;
                let waited = log.wait(if is_due { applied } else { applied.max(seen) }, TAIL_WAIT);
                match &waited {
                    Ok(false) => {}
                    Ok(true) => {
                        // If the queue is full, the next group catches up anyway.
                        let _ = queue.try_send(Message::Follow);
                        seen = log.end().map_or(seen, |end| end.sequence);
                        notified = Instant::now();
                    }
                    Err(error) => {
                        if !failed {
                            tracing::warn!(%error, "cannot watch the commit log; retrying");
                        }
                        std::thread::sleep(TAIL_WAIT);
                    }
                }
                failed = waited.is_err();
            }
        };
        let thread = std::thread::Builder::new().name("tail".to_owned()).spawn(watch)?;
        Ok(Self { stop, thread: Some(thread) })
    }
}

impl Drop for Tail {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}
