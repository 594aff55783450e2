//! Runs bulk work, which uses every core, at a lower priority than interactive calls.

use rayon::{ThreadPool, ThreadPoolBuildError, ThreadPoolBuilder};

/// A pool of low-priority threads, as many as there are cores.
pub(crate) fn pool(name: &'static str) -> Result<ThreadPool, ThreadPoolBuildError> {
    ThreadPoolBuilder::new()
        .thread_name(move |number| format!("{name}-{number}"))
        .start_handler(|_| lower_priority())
        .build()
}

/// Lowers the priority of this thread and of those that it starts later.
#[cfg(target_os = "linux")]
pub fn lower_priority() {
    /// Gives about a tenth of the CPU time that a thread of normal priority gets when both are busy.
    const NICENESS: i32 = 10;
    // On Linux this affects the calling thread only. If it is not permitted, everything still works, with less even latency.
    let _ = rustix::process::nice(NICENESS);
}

/// Does nothing on this system.
#[cfg(not(target_os = "linux"))]
pub fn lower_priority() {}
