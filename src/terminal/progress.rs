//! Shows how far long work is: one line on a terminal, redrawn and removed at the end; elsewhere a plain line every few seconds.

use std::io::{self, IsTerminal as _, Write as _};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use unicode_width::UnicodeWidthStr as _;

use crate::engine::LoadProgress;

use super::lines::columns;
use super::text::{counted, grouped, isolate};

/// Work that takes less shows nothing.
const QUIET: Duration = Duration::from_millis(500);
/// Between two states on a terminal.
const REDRAW: Duration = Duration::from_millis(100);
/// Between two lines where standard error is no terminal.
const PLAIN_LINES: Duration = Duration::from_secs(5);
/// Columns of the bar, from the least that says something.
const BAR_COLUMNS: (usize, usize) = (8, 40);
/// Columns that what is done has, rather than a bar.
const DOING_COLUMNS: usize = 24;
/// Columns of a terminal that does not say how wide it is.
const COLUMNS_DEFAULT: usize = 80;

/// The line on the terminal, which goes out of the way of messages.
static SHOWN: Mutex<Option<ProgressBar>> = Mutex::new(None);

/// Writes something while no line of progress is on the terminal.
pub(super) fn beside<T>(write: impl FnOnce() -> T) -> T {
    let shown = SHOWN.lock().unwrap_or_else(PoisonError::into_inner).clone();
    match shown {
        Some(bar) => bar.suspend(write),
        None => write(),
    }
}

/// The progress of long work.
pub(crate) struct Progress {
    since: Instant,
    state: Mutex<State>,
}

struct State {
    /// When the next state is shown.
    next: Instant,
    /// The line on the terminal, as soon as there is one.
    bar: Option<ProgressBar>,
}

impl Progress {
    pub(crate) fn new() -> Self {
        let since = Instant::now();
        let first = if io::stderr().is_terminal() { QUIET } else { PLAIN_LINES };
        Self { since, state: Mutex::new(State { next: since + first, bar: None }) }
    }

    /// How long the work has taken.
    pub(crate) fn elapsed(&self) -> Duration {
        self.since.elapsed()
    }

    /// Shows what is done, and its completed share from 0 to 1.
    pub(crate) fn show(&self, doing: &str, done: f64) {
        self.report(doing, Some(done), String::new);
    }

    /// Shows how many units are loaded.
    pub(crate) fn loading(&self, progress: LoadProgress) {
        let LoadProgress { loaded_units, total_units, .. } = progress;
        // Units are far below 2^52.
        #[expect(clippy::cast_precision_loss)]
        let done = (total_units > 0).then(|| loaded_units as f64 / total_units as f64);
        self.report("loading", done, || {
            format!("{} of {}", grouped(loaded_units), counted(total_units, "unit"))
        });
    }

    /// Shows what is done, its completed share if that is known, and more about it.
    pub(crate) fn report(&self, doing: &str, done: Option<f64>, detail: impl FnOnce() -> String) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let now = Instant::now();
        if now < state.next {
            return;
        }
        let is_terminal = io::stderr().is_terminal();
        state.next = now + if is_terminal { REDRAW } else { PLAIN_LINES };
        let left = done.and_then(|done| time_left(now - self.since, done));
        let step = Step { doing, done, detail: detail(), left };
        if !is_terminal {
            drop(state);
            // As with every message, a failure is ignored.
            let _ = writeln!(io::stderr(), "dhakira: {}", step.line(usize::MAX));
            return;
        }
        let line = step.line(columns(&io::stderr()).unwrap_or(COLUMNS_DEFAULT));
        let bar = state.bar.get_or_insert_with(|| {
            let bar = ProgressBar::with_draw_target(None, ProgressDrawTarget::stderr());
            // A template of this file that does not parse shows as the plain bar.
            let style = ProgressStyle::with_template("{msg}");
            bar.set_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()));
            *SHOWN.lock().unwrap_or_else(PoisonError::into_inner) = Some(bar.clone());
            bar
        });
        bar.set_message(line);
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        let state = self.state.get_mut().unwrap_or_else(PoisonError::into_inner);
        if let Some(bar) = state.bar.take() {
            *SHOWN.lock().unwrap_or_else(PoisonError::into_inner) = None;
            bar.finish_and_clear();
        }
    }
}

/// A moment of long work, to be shown.
struct Step<'a> {
    doing: &'a str,
    done: Option<f64>,
    detail: String,
    left: Option<String>,
}

impl Step<'_> {
    /// One line that is narrower than a terminal of so many columns: at its edge, some terminals begin a new line.
    fn line(&self, columns: usize) -> String {
        let percent = self.done.map(|done| format!("{:.0} %", 100.0 * done.clamp(0.0, 1.0)));
        let facts = |left: Option<&String>| {
            let facts = percent.iter().chain(Some(&self.detail).filter(|it| !it.is_empty()));
            facts.chain(left).map(String::as_str).collect::<Vec<_>>().join(", ")
        };
        if columns == usize::MAX {
            return format!("{}: {}", isolate(self.doing), facts(self.left.as_ref()));
        }
        let room = columns.saturating_sub(1);
        // What is said least is left out first.
        let mut tail = facts(self.left.as_ref());
        if tail.width() + BAR_COLUMNS.0 + 16 > room {
            tail = facts(None);
        }
        tail = shortened(&tail, room / 2);
        // A long name leaves room for a bar, if it can.
        let for_bar = if self.done.is_some() { BAR_COLUMNS.0 + 1 } else { 0 };
        let most = room.saturating_sub(tail.width() + 1);
        let doing =
            shortened(self.doing, most.saturating_sub(for_bar).max(most.min(DOING_COLUMNS)));
        let rest = room.saturating_sub(doing.width() + tail.width() + 2);
        let bar = self.done.filter(|_| rest >= BAR_COLUMNS.0);
        let bar = bar.map(|done| format!("{} ", bar_of(done, rest.min(BAR_COLUMNS.1))));
        format!("{} {}{tail}", isolate(&doing), bar.unwrap_or_default())
    }
}

fn bar_of(done: f64, columns: usize) -> String {
    // Columns are few.
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, clippy::cast_precision_loss)]
    let full = (columns as f64 * done.clamp(0.0, 1.0)) as usize;
    format!("{}{}", "█".repeat(full), "░".repeat(columns.saturating_sub(full)))
}

/// A text that takes at most so many columns; of a long one its beginning is replaced, because a path says most at its end.
fn shortened(text: &str, columns: usize) -> String {
    if text.width() <= columns {
        return text.to_owned();
    }
    if columns == 0 {
        return String::new();
    }
    // The first word says what is done; it stays where it does not take most of the room.
    let first = text.split_inclusive(' ').next().unwrap_or_default();
    let keeps = 2 * first.width() <= columns;
    let (head, rest) = text.split_at(if keeps { first.len() } else { 0 });
    let mut room = columns.saturating_sub(head.width() + 1);
    let mut begin = rest.len();
    for (place, letter) in rest.char_indices().rev() {
        let width = unicode_width::UnicodeWidthChar::width(letter).unwrap_or(0);
        if width > room {
            break;
        }
        room -= width;
        begin = place;
    }
    format!("{head}…{}", &rest[begin..])
}

/// How long the rest takes if it takes as long as what is done; nothing as long as that would be a guess.
fn time_left(elapsed: Duration, done: f64) -> Option<String> {
    if !(0.02..1.0).contains(&done) {
        return None;
    }
    let seconds = elapsed.as_secs_f64() * (1.0 - done) / done;
    // Far below 2^64 and not negative.
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
    let seconds = seconds.ceil() as u64;
    Some(match seconds {
        0..120 => format!("{seconds} s left"),
        120..7_200 => format!("{} min left", seconds.div_ceil(60)),
        _ => format!("{} h left", seconds.div_ceil(3_600)),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn step(doing: &str, done: Option<f64>) -> Step<'_> {
        let left = done.and_then(|done| time_left(Duration::from_secs(30), done));
        Step { doing, done, detail: "1,234,567 units, 120,000/s".to_owned(), left }
    }

    #[test]
    fn a_line_is_never_wider_than_its_terminal() {
        let long = "importing /home/anna/projects/2024/\u{630}\u{627}\u{643}\u{631}\u{629}/a-memory-with-a-long-name.tmx.gz";
        for doing in ["loading", "importing news.tmx", long] {
            for done in [None, Some(0.0), Some(0.4242), Some(1.0)] {
                for columns in [10, 20, 40, 80, 100, 160, 400] {
                    let line = step(doing, done).line(columns);
                    assert!(line.width() < columns, "{columns}: {line}");
                    assert!(!line.contains('\n'));
                }
            }
        }
        let line = step(long, Some(0.4242)).line(100);
        assert!(line.contains("importing \u{2026}") && line.contains(".tmx.gz"), "{line}");
        assert!(line.contains("42 %"), "{line}");
        let line = step("checking", Some(0.5)).line(80);
        assert!(line.contains('\u{2588}') && line.ends_with("/s, 30 s left"), "{line}");
        let plain = step("checking", Some(0.5)).line(usize::MAX);
        assert!(plain.ends_with("checking\u{2069}: 50 %, 1,234,567 units, 120,000/s, 30 s left"));
    }

    #[test]
    fn the_time_that_is_left_is_a_round_number() {
        let left = |seconds, done| time_left(Duration::from_secs(seconds), done);
        assert_eq!(left(10, 0.01), None);
        assert_eq!(left(10, 1.0), None);
        assert_eq!(left(10, 0.5).as_deref(), Some("10 s left"));
        assert_eq!(left(300, 0.5).as_deref(), Some("5 min left"));
        assert_eq!(left(36_000, 0.5).as_deref(), Some("10 h left"));
    }
}
