//! Prints tables, JSON lines and progress bars, with right-to-left text isolated from its surroundings.

/// Writes a line to standard error; a failure is ignored.
macro_rules! note {
    ($($text:tt)*) => { $crate::terminal::note(format_args!($($text)*)) };
}
/// Writes a line to standard output, as [`show`] does.
macro_rules! say {
    ($($text:tt)*) => { $crate::terminal::show(format_args!("{}\n", format_args!($($text)*))) };
}
/// Writes text to standard output, as [`show`] does.
macro_rules! show {
    ($($text:tt)*) => { $crate::terminal::show(format_args!($($text)*)) };
}

use std::fmt;
use std::io::{self, IsTerminal as _, Write as _};
use std::time::Duration;

use anyhow::Context as _;
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use serde::Serialize;
use unicode_width::UnicodeWidthStr as _;

use crate::engine::LoadProgress;

/// FIRST STRONG ISOLATE: text between it and [`ISOLATE_END`] is laid out by itself and does not move its neighbours.
const ISOLATE_BEGIN: char = '\u{2068}';
/// POP DIRECTIONAL ISOLATE.
const ISOLATE_END: char = '\u{2069}';

/// Text of any direction, safe beside text of another.
pub(crate) fn isolate(text: &str) -> String {
    format!("{ISOLATE_BEGIN}{text}{ISOLATE_END}")
}

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
    quietly(stdout().write_fmt(text))
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

/// Writes a line to standard error; a failure is ignored.
pub(crate) fn note(text: fmt::Arguments<'_>) {
    let _ = writeln!(io::stderr().lock(), "{text}");
}

/// Flushes standard output: at the end of the process, a failure would go unnoticed.
pub(crate) fn finish() -> anyhow::Result<()> {
    quietly(stdout().flush())
}

/// One JSON object on a line of standard output, as by [`show`].
pub(crate) fn json_line<T: Serialize>(value: &T) -> anyhow::Result<()> {
    show!("{}\n", serde_json::to_string(value)?)
}

/// One JSON object on a line.
pub(crate) fn json_to<T: Serialize>(out: &mut impl io::Write, value: &T) -> anyhow::Result<()> {
    serde_json::to_writer(&mut *out, value).map_err(io::Error::from)?;
    out.write_all(b"\n")?;
    Ok(())
}

/// Columns padded to their widest cell; the last one is not padded.
pub(crate) fn table(rows: &[Vec<String>]) -> String {
    let columns = rows.iter().map(Vec::len).max().unwrap_or(0);
    let widths: Vec<usize> = (0..columns)
        .map(|column| {
            rows.iter()
                .filter_map(|row| row.get(column))
                .map(|cell| cell.width())
                .max()
                .unwrap_or(0)
        })
        .collect();
    let mut text = String::new();
    for row in rows {
        for (column, cell) in row.iter().enumerate() {
            text.push_str(cell);
            if column + 1 < row.len() {
                let padding = widths[column].saturating_sub(cell.width()) + 2;
                text.extend(std::iter::repeat_n(' ', padding));
            }
        }
        text.push('\n');
    }
    text
}

/// A count with its noun: `1 file`, `127,292 files`, `2 memories`.
pub(crate) fn counted(number: impl TryInto<u64>, noun: &str) -> String {
    let number = number.try_into().unwrap_or(u64::MAX);
    let shown = grouped(number);
    match noun.strip_suffix('y') {
        _ if number == 1 => format!("{shown} {noun}"),
        Some(stem) => format!("{shown} {stem}ies"),
        None => format!("{shown} {noun}s"),
    }
}

/// A number with its thousands apart: `127,292`.
pub(crate) fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::with_capacity(digits.len() + digits.len() / 3);
    for (position, digit) in digits.chars().enumerate() {
        if position > 0 && (digits.len() - position).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// The progress of loading; shown on a terminal when it takes more than half a second.
pub(crate) struct LoadBar {
    bar: ProgressBar,
    since: std::time::Instant,
}

impl LoadBar {
    pub(crate) fn new() -> Self {
        let bar = ProgressBar::with_draw_target(None, ProgressDrawTarget::hidden());
        bar.set_style(style("loading {bar:40} {human_pos}/{human_len} units, {eta} left"));
        Self { bar, since: std::time::Instant::now() }
    }

    pub(crate) fn show(&self, progress: LoadProgress) {
        if self.since.elapsed() > Duration::from_millis(500) && io::stderr().is_terminal() {
            self.bar.set_draw_target(ProgressDrawTarget::stderr());
        }
        self.bar.set_length(progress.total_units);
        self.bar.set_position(progress.loaded_units);
    }
}

impl Drop for LoadBar {
    fn drop(&mut self) {
        self.bar.finish_and_clear();
    }
}

/// The progress of long work; shown on a terminal when it takes more than half a second.
pub(crate) struct WorkBar {
    bar: ProgressBar,
    since: std::time::Instant,
}

impl WorkBar {
    pub(crate) fn new() -> Self {
        let bar = ProgressBar::with_draw_target(Some(100), ProgressDrawTarget::hidden());
        bar.set_style(style("{msg} {bar:40} {percent}%, {eta} left"));
        Self { bar, since: std::time::Instant::now() }
    }

    /// `done` is the completed share, from 0 to 1.
    pub(crate) fn show(&self, doing: &'static str, done: f64) {
        if self.since.elapsed() > Duration::from_millis(500) && io::stderr().is_terminal() {
            self.bar.set_draw_target(ProgressDrawTarget::stderr());
        }
        self.bar.set_message(doing);
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
        self.bar.set_position((100.0 * done.clamp(0.0, 1.0)) as u64);
    }
}

impl Drop for WorkBar {
    fn drop(&mut self) {
        self.bar.finish_and_clear();
    }
}

/// Progress through the bytes of an input, with units beside it.
pub(crate) fn byte_bar(total_bytes: Option<u64>, name: &str) -> ProgressBar {
    let bar = ProgressBar::with_draw_target(total_bytes, ProgressDrawTarget::stderr());
    bar.set_style(match total_bytes {
        Some(_) => style("{prefix} {bar:30} {percent}% {msg}, {eta} left"),
        None => style("{prefix} {spinner} {bytes} {msg}"),
    });
    bar.set_prefix(name.to_owned());
    bar
}

/// Progress of work whose length is not known.
pub(crate) fn count_bar(name: &str) -> ProgressBar {
    let bar = ProgressBar::with_draw_target(None, ProgressDrawTarget::stderr());
    bar.set_style(style("{prefix} {spinner} {msg}"));
    bar.set_prefix(name.to_owned());
    bar
}

fn style(template: &str) -> ProgressStyle {
    // A template of this file that does not parse shows as the plain bar.
    ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn thousands_are_apart() {
        assert_eq!(grouped(0), "0");
        assert_eq!(grouped(999), "999");
        assert_eq!(grouped(1_000), "1,000");
        assert_eq!(grouped(1_234_567), "1,234,567");
        assert_eq!([counted(0_u64, "unit"), counted(1_u64, "memory")], ["0 units", "1 memory"]);
        assert_eq!(counted(2_usize, "memory"), "2 memories");
    }

    #[test]
    fn columns_line_up_whatever_the_script() {
        let rows =
            [vec![isolate("\u{62d}\u{641}\u{638}"), "x".into()], vec!["abcd".into(), "y".into()]];
        let text = table(&rows);
        let widths: Vec<usize> = text.lines().map(|line| line[..line.len() - 1].width()).collect();
        assert_eq!(widths, [6, 6]);
    }
}
