//! Prints how long writes took to come back after each kind of fault.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::sync::atomic::Ordering;
use std::time::Duration;

use super::super::clients::History;
use super::super::lookups::Lookups;
use super::super::world::locked;
use super::kinds::Fault;
use crate::support::figures::keep;
use crate::support::say;

/// The faults of a run, with the longest pause between two acknowledged writes, and the time from the end of the fault until every
/// node had acknowledged a write.
pub(super) struct Table {
    /// What decided the order of the faults.
    seed: u64,
    times: BTreeMap<Fault, Vec<(Duration, Duration)>>,
}

impl Table {
    pub(super) fn of(seed: u64) -> Self {
        Self { seed, times: BTreeMap::new() }
    }

    pub(super) fn note(&mut self, number: usize, fault: Fault, times: (Duration, Duration)) {
        let (pause, back) = times;
        say(&format!("{number:4} {fault:<72} {pause:>6.1?} {back:>6.1?}"));
        self.times.entry(fault).or_default().push(times);
    }

    pub(super) fn print(&self, history: &History, lookups: &Lookups) {
        let mut text = String::from(
            "| fault | times | no write acknowledged: median | longest | then all nodes write: median | longest |\n|---|---|---|---|---|---|\n",
        );
        for (fault, times) in &self.times {
            let [pause, back] = [0, 1].map(|column| {
                let one = |it: &(Duration, Duration)| if column == 0 { it.0 } else { it.1 };
                let mut all: Vec<Duration> = times.iter().map(one).collect();
                all.sort();
                let [median, longest] = [all[all.len() / 2], all[all.len() - 1]];
                format!("{:.1} s | {:.1} s", median.as_secs_f64(), longest.as_secs_f64())
            });
            writeln!(text, "| {fault} | {} | {pause} | {back} |", times.len()).unwrap();
        }
        let faults: usize = self.times.values().map(Vec::len).sum();
        let writes = locked(&history.acknowledged).len();
        let [read, retries] =
            [&history.lookups, &history.retries].map(|it| it.load(Ordering::Relaxed));
        let answered: u64 = lookups.answered().iter().sum();
        let failed = lookups.failed();
        write!(
            text,
            "{faults} faults: {writes} acknowledged writes, 0 lost, 0 doubled, {retries} retries; {} lookups, {failed} failed; {read} of \
             them on any node after a write, each of which saw it",
            answered + read
        )
        .unwrap();
        say(&text);
        let counts = [
            ("faults", faults as f64),
            ("acknowledged", writes as f64),
            ("lookups", answered as f64),
            ("lookups_failed", failed as f64),
        ];
        let command = format!(
            "DHAKIRA_FAULTS={faults} DHAKIRA_FAULTS_SEED={} cargo test --test tests cluster::faults -- --nocapture",
            self.seed
        );
        keep("faults", &command, &counts);
    }
}
