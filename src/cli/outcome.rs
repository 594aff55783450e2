//! How a command ended, which decides the exit code and the last message.

use std::fmt;

/// The exit code of a command that Ctrl-C stopped, as shells give it.
pub(super) const INTERRUPTED: u8 = 130;

/// How a command succeeded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Outcome {
    Done,
    /// Done, but some units of the input were rejected: exit code 3.
    DoneWithRejects,
    /// Stopped by Ctrl-C, with what was done until then reported: exit code 130.
    Interrupted,
}

/// What to do about an error, as its outermost context; it is said after the causes.
#[derive(Debug)]
pub(super) struct WayOut(pub(super) String);

impl fmt::Display for WayOut {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(&self.0)
    }
}

/// The causes of an error, from the outermost to the deepest, and the way out; a cause that repeats what was said is left out.
pub(super) fn message(error: &anyhow::Error) -> String {
    let way_out = error.downcast_ref::<WayOut>();
    let causes = error.chain().skip(usize::from(way_out.is_some())).map(ToString::to_string);
    joined(causes, way_out)
}

/// Causes and a way out as one message.
pub(super) fn joined(causes: impl Iterator<Item = String>, way_out: Option<&WayOut>) -> String {
    let mut said = String::new();
    for cause in causes.map(|cause| without_number(&cause)).filter(|cause| !cause.is_empty()) {
        if said.ends_with(&cause) {
            continue;
        }
        if !said.is_empty() {
            said.push_str(": ");
        }
        said.push_str(&cause);
    }
    if let Some(WayOut(way_out)) = way_out {
        said = format!("{said}; {way_out}");
    }
    said
}

/// A cause without the number that errors of the system end in: ` (os error 2)`.
fn without_number(cause: &str) -> String {
    let mut words = String::new();
    let mut rest = cause;
    while let Some((before, after)) = rest.split_once(" (os error ") {
        words.push_str(before);
        rest = after.split_once(')').map_or("", |(_, behind)| behind);
    }
    words.push_str(rest);
    words
}

#[cfg(test)]
mod tests {
    use anyhow::Context as _;

    use super::*;

    #[test]
    fn the_way_out_comes_last_and_nothing_is_said_twice() {
        let error = anyhow::anyhow!("no space").context("writing a: no space");
        assert_eq!(message(&error), "writing a: no space");
        let error = Err::<(), _>(error).context("exporting").unwrap_err();
        let error = error.context(WayOut("free some".to_owned()));
        assert_eq!(message(&error), "exporting: writing a: no space; free some");
        let error = anyhow::Error::from(std::io::Error::from_raw_os_error(2)).context("reading a");
        assert_eq!(message(&error), "reading a: No such file or directory");
    }
}
