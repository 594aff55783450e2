//! Who may wait? Work in bulk, which takes every core it is given, steps back for those who want an answer now.

use rayon::{ThreadPool, ThreadPoolBuildError, ThreadPoolBuilder};

/// Threads for work in bulk, as many as there are cores.
pub(crate) fn pool(name: &'static str) -> Result<ThreadPool, ThreadPoolBuildError> {
    ThreadPoolBuilder::new()
        .thread_name(move |number| format!("{name}-{number}"))
        .start_handler(|_| lower_priority())
        .build()
}

/// Makes this thread, and those that it starts from now on, give way to others.
#[cfg(target_os = "linux")]
pub fn lower_priority() {
    /// A tenth of the time of a thread that has not stepped back, when both want all of it.
    const NICENESS: i32 = 10;
    // For this thread alone: here, what other systems do to the process is done to the thread. Without the right to do it
    // everything works as well, only less evenly.
    let _ = rustix::process::nice(NICENESS);
}

/// Makes this thread give way to others; on this system it does not.
#[cfg(not(target_os = "linux"))]
pub fn lower_priority() {}
