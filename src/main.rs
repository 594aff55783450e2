//! The `dhakira` program: parse, run, print the error chain, exit code.

use std::env;
use std::os::unix::process::CommandExt as _;
use std::process::{Command, ExitCode};

/// An import allocates and frees a dozen strings a unit, across threads: it is faster than with the system's.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// What the allocator reads before `main` begins. Taking memory in large pieces ahead of need costs more of it and saves
/// no time.
const ALLOCATOR_SETTINGS: &[(&str, &str)] = &[("MIMALLOC_ARENA_EAGER_COMMIT", "0")];
/// What it reads beside that in a server, whose threads free for weeks what other threads have allocated: full pages are left to
/// all threads at once, new values go where most is used already, and what is free goes back to the system soon. Measured with
/// `bench soak`.
const SERVER_ALLOCATOR_SETTINGS: &[(&str, &str)] = &[
    ("MIMALLOC_PAGE_FULL_RETAIN", "0"),
    ("MIMALLOC_PAGE_MAX_CANDIDATES", "64"),
    ("MIMALLOC_PURGE_DELAY", "100"),
];

fn main() -> ExitCode {
    settle_allocator();
    dhakira::cli::main()
}

/// Starts the process over with the settings of the allocator that nobody has chosen otherwise, once.
fn settle_allocator() {
    let serves = env::args_os().nth(1).is_some_and(|command| command == "serve");
    let of_servers = SERVER_ALLOCATOR_SETTINGS.iter().filter(|_| serves);
    let missing: Vec<_> = ALLOCATOR_SETTINGS
        .iter()
        .chain(of_servers)
        .filter(|(name, _)| env::var_os(name).is_none())
        .copied()
        .collect();
    if !missing.is_empty()
        && let Ok(program) = env::current_exe()
    {
        // Comes back only when it failed; then the program runs as it is, with more memory.
        let _ = Command::new(program).args(env::args_os().skip(1)).envs(missing).exec();
    }
}
