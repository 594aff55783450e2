//! What a soak test counts and measures, and its figures.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::bench::measure::{Figures, number};
use crate::client::ClientError;

/// Calls, errors and times of a soak test.
#[derive(Debug, Default)]
pub(super) struct Tally {
    calls: BTreeMap<&'static str, u64>,
    errors: BTreeMap<String, u64>,
    /// Times of lookups of one segment, by minute.
    lookups: Vec<Vec<Duration>>,
    /// Times of writes, by minute.
    writes: Vec<Vec<Duration>>,
    /// Commits that came twice or out of order.
    pub(super) watch_faults: u64,
}

impl Tally {
    pub(super) fn add(&mut self, other: Self) {
        for (kind, count) in other.calls {
            *self.calls.entry(kind).or_default() += count;
        }
        for (cause, count) in other.errors {
            *self.errors.entry(cause).or_default() += count;
        }
        for (mine, theirs) in [(&mut self.lookups, other.lookups), (&mut self.writes, other.writes)]
        {
            for (minute, times) in theirs.into_iter().enumerate() {
                of_minute(mine, minute).extend(times);
            }
        }
        self.watch_faults += other.watch_faults;
    }

    pub(super) fn called(&mut self, kind: &'static str) {
        *self.calls.entry(kind).or_default() += 1;
    }

    pub(super) fn failed(&mut self, kind: &'static str, error: &ClientError) {
        *self.errors.entry(format!("{kind} {}", error.cause())).or_default() += 1;
    }

    pub(super) fn looked_up(&mut self, minute: usize, time: Duration) {
        of_minute(&mut self.lookups, minute).push(time);
    }

    pub(super) fn wrote(&mut self, minute: usize, time: Duration) {
        of_minute(&mut self.writes, minute).push(time);
    }

    pub(super) fn show(self, figures: &mut Figures, time: Duration) {
        let count = |count: u64| number(usize::try_from(count).unwrap_or(usize::MAX));
        let calls: u64 = self.calls.values().sum();
        let errors: u64 = self.errors.values().sum();
        figures.put("calls", count(calls));
        figures.put("calls_per_second", count(calls) / time.as_secs_f64());
        figures.put("errors", count(errors));
        figures.put("error_rate", count(errors) / count(calls.max(1)));
        for (kind, calls) in self.calls {
            figures.put(format!("calls_{kind}"), count(calls));
        }
        for (cause, errors) in self.errors {
            figures.put(format!("errors_{}", cause.replace(' ', "_")), count(errors));
        }
        for (name, minutes) in [("lookup", self.lookups), ("write", self.writes)] {
            for (minute, mut times) in minutes.into_iter().enumerate() {
                times.sort_unstable();
                for (percentile, label) in [(50, "p50"), (99, "p99")] {
                    let place = (times.len() * percentile / 100).min(times.len().saturating_sub(1));
                    let time = times.get(place).map_or(0.0, Duration::as_secs_f64);
                    figures.put(format!("{name}_minute_{:02}_{label}_ms", minute + 1), time * 1e3);
                }
            }
        }
        figures.put("watch_faults", count(self.watch_faults));
    }
}

fn of_minute(minutes: &mut Vec<Vec<Duration>>, minute: usize) -> &mut Vec<Duration> {
    if minutes.len() <= minute {
        minutes.resize_with(minute + 1, Vec::new);
    }
    &mut minutes[minute]
}
