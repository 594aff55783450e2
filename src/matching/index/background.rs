//! Seals and merges sets on background threads: one thread for each job, started when there is work.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use super::shared::Shared;

/// How long a small batch waits for more rows before it is sealed.
const MORE_MAY_COME: std::time::Duration = std::time::Duration::from_millis(200);

/// Starts merging sealed sets of one size.
pub(crate) fn merge(shared: &Arc<Shared>, at_start: AtStart) {
    let job = Background {
        flag: |it| &it.merging,
        is_due: |it| it.snapshot().to_merge().is_some(),
        work: |shared, _| while shared.merge() {},
    };
    job.start(shared, at_start);
}

/// Starts sealing the rows that wait, and then merging.
pub(crate) fn seal(shared: &Arc<Shared>, at_start: AtStart) {
    let job = Background {
        flag: |it| &it.sealing,
        is_due: |it| it.snapshot().waiting_rows() > 0,
        work: |shared, at_start| {
            let mut rows_before = 0;
            loop {
                let rows = shared.snapshot().waiting_rows();
                if rows >= shared.seal_policy().rows_target || rows == rows_before {
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

/// Called first on a background thread.
pub(crate) type AtStart = Option<fn()>;

/// A job that runs on at most one thread.
#[derive(Clone, Copy)]
struct Background {
    /// The flag that is set while a thread runs it.
    flag: fn(&Shared) -> &AtomicBool,
    /// Whether there is something to do.
    is_due: fn(&Shared) -> bool,
    work: fn(&Arc<Shared>, AtStart),
}

impl Background {
    /// Starts a thread for the job, unless one runs or there is no work.
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
                // Work that arrived during the last round found the flag set and started no thread.
                if !self.takes(&mine) {
                    return;
                }
            }
        });
        if thread.is_err() {
            // Without a thread, searches are somewhat slower; the next change tries again.
            (self.flag)(shared).store(false, Ordering::Release);
        }
    }

    fn takes(self, shared: &Shared) -> bool {
        (self.is_due)(shared) && !(self.flag)(shared).swap(true, Ordering::AcqRel)
    }
}

/// Clears the flag when a thread ends, also by a panic.
struct Done<'a>(&'a AtomicBool);

impl Drop for Done<'_> {
    fn drop(&mut self) {
        self.0.store(false, Ordering::Release);
    }
}
