//! Writes answers to standard output and messages to standard error, whoever reads them, and however long.

use std::fmt;
use std::io::{self, Write as _};

use anyhow::Context as _;
use serde::Serialize;

use super::lines::brief;
use super::progress::beside;

/// Standard output for long answers: when its reader goes away, as `head` does, writing fails with [`Closed`], which ends
/// the command quietly.
#[derive(Debug)]
pub(crate) struct Stdout(io::Stdout);

/// Standard output for long answers.
pub(crate) fn stdout() -> Stdout {
    Stdout(io::stdout())
}

/// The reader of standard output went away. A broken pipe elsewhere is a failure.
#[derive(Debug, thiserror::Error)]
#[error("standard output is closed")]
struct Closed;

impl io::Write for Stdout {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.write(bytes).map_err(closed)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.0.flush().map_err(closed)
    }
}

fn closed(error: io::Error) -> io::Error {
    match error.kind() {
        io::ErrorKind::BrokenPipe => io::Error::other(Closed),
        _ => error,
    }
}

/// Whether a command ended because the reader of standard output went away.
pub(crate) fn is_closed(error: &anyhow::Error) -> bool {
    let is_closed = |error: &io::Error| {
        error.get_ref().is_some_and(<dyn std::error::Error + Send + Sync>::is::<Closed>)
    };
    error.chain().filter_map(|cause| cause.downcast_ref::<io::Error>()).any(is_closed)
}

/// Writes text to standard output. When its reader has gone away nothing is written and nothing fails: the work continues, and
/// the exit code reports its outcome.
pub(crate) fn show(text: fmt::Arguments<'_>) -> anyhow::Result<()> {
    quietly(beside(|| stdout().write_fmt(text)))
}

fn quietly(written: io::Result<()>) -> anyhow::Result<()> {
    unless_closed(written.map_err(Into::into)).context("writing to standard output")
}

/// The result of writing, where a reader that went away is not a failure.
pub(crate) fn unless_closed(written: anyhow::Result<()>) -> anyhow::Result<()> {
    match written {
        Err(error) if is_closed(&error) => Ok(()),
        written => written,
    }
}

/// Writes a message to standard error, without the middle of lines that nobody would read; a failure is ignored.
pub(crate) fn note(text: fmt::Arguments<'_>) {
    let text = brief(&text.to_string());
    beside(|| drop(writeln!(io::stderr().lock(), "{text}")));
}

/// Flushes standard output: at the end of the process, a failure would go unnoticed.
pub(crate) fn finish() -> anyhow::Result<()> {
    quietly(stdout().flush())
}

/// One JSON object on a line of standard output, as by [`show`].
pub(crate) fn json_line<T: Serialize>(value: &T) -> anyhow::Result<()> {
    show(format_args!("{}\n", serde_json::to_string(value)?))
}

/// One JSON object on a line.
pub(crate) fn json_to<T: Serialize>(out: &mut impl io::Write, value: &T) -> anyhow::Result<()> {
    serde_json::to_writer(&mut *out, value).map_err(io::Error::from)?;
    out.write_all(b"\n")?;
    Ok(())
}
