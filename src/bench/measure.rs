//! Figures: medians and percentiles of runs, memory of the process, bytes on disk.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use crate::terminal::{json_line, table};

/// Figures by name, in the order of their names.
#[derive(Debug, Default)]
pub(super) struct Figures(BTreeMap<String, f64>);

impl Figures {
    pub(super) fn put(&mut self, name: impl Into<String>, value: f64) {
        self.0.insert(name.into(), value);
    }

    /// A figure by name; 0 when there is none.
    pub(super) fn get(&self, name: &str) -> f64 {
        self.0.get(name).copied().unwrap_or_default()
    }

    pub(super) fn add(&mut self, other: Self) {
        self.0.extend(other.0);
    }

    pub(super) fn into_map(self) -> BTreeMap<String, f64> {
        self.0
    }

    /// Percentiles of durations, in microseconds.
    pub(super) fn percentiles(&mut self, name: &str, times: Vec<Duration>) {
        self.median_percentiles(name, vec![times]);
    }

    /// Medians over several runs of percentiles of durations, in microseconds, and of how many there were in a second.
    pub(super) fn median_percentiles(&mut self, name: &str, mut runs: Vec<Vec<Duration>>) {
        for times in &mut runs {
            times.sort_unstable();
        }
        for (percentile, label) in [(50, "p50"), (95, "p95"), (99, "p99")] {
            let of_run = |times: &Vec<Duration>| {
                let place = (times.len() * percentile / 100).min(times.len().saturating_sub(1));
                times.get(place).map_or(0.0, |time| time.as_secs_f64() * 1e6)
            };
            self.put(format!("{name}_{label}_us"), median(runs.iter().map(of_run).collect()));
        }
        let rate = |times: &Vec<Duration>| {
            number(times.len()) / times.iter().sum::<Duration>().as_secs_f64()
        };
        self.put(format!("{name}_per_second"), median(runs.iter().map(rate).collect()));
    }

    pub(super) fn show(&self, json: bool) -> anyhow::Result<()> {
        if json {
            return json_line(&self.0);
        }
        print_figures(&self.0)
    }
}

/// Prints figures as a table.
pub(super) fn print_figures(figures: &BTreeMap<String, f64>) -> anyhow::Result<()> {
    let rows: Vec<Vec<String>> =
        figures.iter().map(|(name, value)| vec![name.clone(), rounded(*value)]).collect();
    show!("{}", table(&rows))
}

fn rounded(value: f64) -> String {
    match value.abs() {
        1_000.0.. => format!("{value:.0}"),
        1.0.. => format!("{value:.2}"),
        _ => format!("{value:.4}"),
    }
}

/// The middle of several runs.
pub(super) fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or_default()
}

/// A count as a figure.
pub(super) fn number(count: usize) -> f64 {
    // Counts here are far below 2^52.
    #[expect(clippy::cast_precision_loss)]
    let number = count as f64;
    number
}

/// The peak resident memory of this process, in MB; 0 where the system does not say.
pub(super) fn peak_resident_mb() -> f64 {
    status_mb("self", "VmHWM:")
}

/// The same of another process.
pub(super) fn peak_resident_mb_of(process: &str) -> f64 {
    status_mb(process, "VmHWM:")
}

/// The resident memory of this process, in MB; 0 where the system does not say.
pub(super) fn resident_mb() -> f64 {
    resident_mb_of("self")
}

/// The resident memory of a process, in MB; 0 where the system does not say.
pub(super) fn resident_mb_of(process: &str) -> f64 {
    status_mb(process, "VmRSS:")
}

fn status_mb(process: &str, field: &str) -> f64 {
    let status = std::fs::read_to_string(format!("/proc/{process}/status")).unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix(field));
    let kilobytes = line.and_then(|line| line.trim().strip_suffix(" kB")?.parse::<f64>().ok());
    kilobytes.unwrap_or_default() / 1024.0
}

/// Processor time of this process in seconds; 0 where the system does not say.
pub(super) fn cpu_seconds() -> f64 {
    stat_seconds(11)
}

/// Processor time of the children of this process that have ended, and of theirs, in seconds; 0 where the system does not say.
pub(super) fn children_cpu_seconds() -> f64 {
    stat_seconds(13)
}

/// The sum of two times of `/proc/self/stat`, by the place of the first one after the name of the program.
fn stat_seconds(place: usize) -> f64 {
    /// Linux reports these times in hundredths of a second, whatever the clock of the kernel.
    const TICKS_PER_SECOND: f64 = 100.0;
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    let after_name = stat.rsplit_once(')').map_or("", |(_, rest)| rest);
    let times = after_name.split_whitespace().skip(place).take(2);
    times.filter_map(|ticks| ticks.parse::<f64>().ok()).sum::<f64>() / TICKS_PER_SECOND
}

/// Removes a directory with all it holds, if it is there.
pub(super) fn remove_directory(directory: &Path) -> std::io::Result<()> {
    std::fs::remove_dir_all(directory).or_else(|error| match error.kind() {
        std::io::ErrorKind::NotFound => Ok(()),
        _ => Err(error),
    })
}

/// Bytes of the files below a directory.
pub(super) fn bytes_on_disk(directory: &Path) -> std::io::Result<u64> {
    let mut bytes = 0;
    for entry in std::fs::read_dir(directory)? {
        let path = entry?.path();
        bytes += if path.is_dir() { bytes_on_disk(&path)? } else { path.metadata()?.len() };
    }
    Ok(bytes)
}
