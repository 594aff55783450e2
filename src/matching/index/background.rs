//! Who tidies an index while it is used? One thread that seals and one that merges, started when there is something to do.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use super::shared::Shared;

/// How long few rows wait for others to be sealed together with them.
const MORE_MAY_COME: std::time::Duration = std::time::Duration::from_millis(200);

/// Has sealed sets of one size merged, on a thread of their own.
pub(crate) fn merge(shared: &Arc<Shared>, at_start: AtStart) {
    let job = Background {
        flag: |it| &it.merging,
        is_due: |it| it.snapshot().to_merge().is_some(),
        work: |shared, _| while shared.merge() {},
    };
    job.start(shared, at_start);
}

/// Has the rows that wait sealed, and the sets merged that this makes too many.
pub(crate) fn seal(shared: &Arc<Shared>, at_start: AtStart) {
    let job = Background {
        flag: |it| &it.sealing,
        is_due: |it| it.snapshot().waiting_rows() > 0,
        work: |shared, at_start| {
            let mut rows_before = 0;
            loop {
                let rows = shared.snapshot().waiting_rows();
                if rows >= shared.patience().rows_wanted || rows == rows_before {
                    break;
                }
                rows_before = rows;
                std::thread::sleep(MORE_MAY_COME);
            }
            shared.seal();
            merge(shared, at_start);
        },
    };
    job.start(shared, at_start);
}

/// What a thread does first.
pub(crate) type AtStart = Option<fn()>;

/// Work that one thread at a time does beside everything else.
#[derive(Clone, Copy)]
struct Background {
    /// Whether a thread does it.
    flag: fn(&Shared) -> &AtomicBool,
    /// Whether there is something to do.
    is_due: fn(&Shared) -> bool,
    work: fn(&Arc<Shared>, AtStart),
}

impl Background {
    /// Has it done on a thread of its own, unless one does it already or nothing is to be done.
    fn start(self, shared: &Arc<Shared>, at_start: AtStart) {
        if !self.takes(shared) {
            return;
        }
        let mine = Arc::clone(shared);
        let thread = std::thread::Builder::new().name("dhakira-merge".into()).spawn(move || {
            at_start.inspect(|call| call());
            loop {
                let done = Done((self.flag)(&mine));
                (self.work)(&mine, at_start);
                drop(done);
                // Whoever came while the last of it was done has seen that a thread is there.
                if !self.takes(&mine) {
                    return;
                }
            }
        });
        if thread.is_err() {
            // No thread to be had: searches go on, somewhat slower, and the next change tries again.
            (self.flag)(shared).store(false, Ordering::Release);
        }
    }

    fn takes(self, shared: &Shared) -> bool {
        (self.is_due)(shared) && !(self.flag)(shared).swap(true, Ordering::AcqRel)
    }
}

/// Says that a merging thread has ended, however it did.
struct Done<'a>(&'a AtomicBool);

impl Drop for Done<'_> {
    fn drop(&mut self) {
        self.0.store(false, Ordering::Release);
    }
}
