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

mod lines;
mod output;
mod progress;
mod text;

pub(crate) use lines::{brief, fits, paragraph};
pub(crate) use output::{finish, is_closed, json_line, json_to, note, show, stdout, unless_closed};
pub(crate) use progress::Progress;
pub(crate) use text::{counted, grouped, isolate, table};
