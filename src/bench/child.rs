//! Runs this very program as a child process: what it prints, how long it takes, and the memory and processor time that it uses.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::io::Read as _;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::Context as _;

use super::measure::{children_cpu_seconds, peak_resident_mb_of};

/// How often memory is sampled. The kernel keeps the peak, so a rare sample misses only the last moments.
pub(super) const LOOK_EVERY: Duration = Duration::from_millis(20);

/// A command that ended well.
pub(super) struct Ended {
    /// Its standard output.
    pub(super) output: Vec<u8>,
    pub(super) wall: Duration,
    /// Processor time of all its threads; 0 where the system does not say.
    pub(super) cpu_seconds: f64,
    pub(super) peak_resident_mb: f64,
}

/// This very program with arguments.
pub(super) fn dhakira(
    arguments: impl IntoIterator<Item = impl AsRef<OsStr>>,
) -> anyhow::Result<Command> {
    let mut command = Command::new(std::env::current_exe()?);
    command.args(arguments).stdin(Stdio::null()).stderr(Stdio::null());
    Ok(command)
}

/// Runs a command to its end. Memory is that of the process `watched`, or of the command itself. Blocks.
pub(super) fn run(mut command: Command, watched: Option<u32>) -> anyhow::Result<Ended> {
    let cpu_before = children_cpu_seconds();
    let since = Instant::now();
    let mut child = command.stdout(Stdio::piped()).spawn()?;
    let mut stdout = child.stdout.take().context("no standard output")?;
    let reader = std::thread::spawn(move || {
        let mut output = Vec::new();
        stdout.read_to_end(&mut output).map(|_| output)
    });
    let watched = watched.unwrap_or(child.id()).to_string();
    let mut peak_resident_mb: f64 = 0.0;
    let status = loop {
        peak_resident_mb = peak_resident_mb.max(peak_resident_mb_of(&watched));
        if let Some(status) = child.try_wait()? {
            break status;
        }
        std::thread::sleep(LOOK_EVERY);
    };
    let wall = since.elapsed();
    let cpu_seconds = children_cpu_seconds() - cpu_before;
    let output = reader.join().map_err(|_| anyhow::anyhow!("reading its output panicked"))??;
    let arguments: Vec<_> = command.get_args().map(OsStr::to_string_lossy).collect();
    anyhow::ensure!(status.success(), "`dhakira {}` failed: {status}", arguments.join(" "));
    Ok(Ended { output, wall, cpu_seconds, peak_resident_mb })
}

/// Runs a command that prints figures as one JSON object; what it reports is shown. Blocks.
pub(super) fn figures(
    arguments: impl IntoIterator<Item = impl AsRef<OsStr>>,
) -> anyhow::Result<BTreeMap<String, f64>> {
    let mut command = dhakira(arguments)?;
    command.arg("--json").stderr(Stdio::inherit());
    let ended = run(command, None)?;
    serde_json::from_slice(&ended.output).context("reading the figures of a command")
}
