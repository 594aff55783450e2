//! A record of figures: what was measured, of which commit, when and on which machine.

use std::collections::BTreeMap;
use std::fmt;
use std::path::Path;
use std::process::Command;

use anyhow::Context as _;
use serde::{Deserialize, Serialize};

use crate::terminal::json_line;

use super::measure::print_figures;

/// Figures by name.
pub(super) type FiguresByName = BTreeMap<String, f64>;

/// The figures of several parts, or of several sizes.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Record {
    /// What `git rev-parse` says, with `-dirty` when files were changed; `unknown` outside a repository.
    pub(super) commit: String,
    /// The day, in UTC.
    pub(super) date: String,
    pub(super) machine: Machine,
    /// The command of each part, with names in place of files.
    #[serde(default)]
    pub(super) commands: BTreeMap<String, String>,
    /// How long each part took.
    #[serde(default)]
    pub(super) seconds: FiguresByName,
    /// Parts that were not measured, and why.
    #[serde(default)]
    pub(super) skipped: BTreeMap<String, String>,
    pub(super) figures: BTreeMap<String, FiguresByName>,
}

#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Machine {
    pub(super) cpu: String,
    pub(super) cores: usize,
    pub(super) memory_gb: f64,
    pub(super) os: String,
}

impl Record {
    /// Nothing measured yet, here and now.
    pub(super) fn begin() -> Self {
        Self {
            commit: commit(),
            date: jiff::Timestamp::now().strftime("%Y-%m-%d").to_string(),
            machine: Machine::this(),
            commands: BTreeMap::new(),
            seconds: BTreeMap::new(),
            skipped: BTreeMap::new(),
            figures: BTreeMap::new(),
        }
    }

    pub(super) fn read(file: &Path) -> anyhow::Result<Self> {
        let doing = || format!("reading {}", file.display());
        let text = std::fs::read_to_string(file).with_context(doing)?;
        serde_json::from_str(&text).with_context(doing)
    }

    /// Adds the figures of a part, to five digits: there is no more in a measurement.
    pub(super) fn put(&mut self, part: &str, figures: FiguresByName, seconds: f64) {
        let rounded = figures.into_iter().map(|(name, value)| (name, significant(value, 5)));
        self.figures.insert(part.to_owned(), rounded.collect());
        self.seconds.insert(part.to_owned(), significant(seconds, 3));
    }

    /// Prints it as JSON, or as a table for each part.
    pub(super) fn show(&self, json: bool) -> anyhow::Result<()> {
        if json {
            return json_line(self);
        }
        say!("commit {}, {}, {}", self.commit, self.date, self.machine)?;
        for (part, figures) in &self.figures {
            say!("\n{part}")?;
            print_figures(figures)?;
        }
        Ok(())
    }
}

impl fmt::Display for Machine {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { cpu, cores, memory_gb, os } = self;
        write!(out, "{cpu}, {cores} cores, {memory_gb} GB, {os}")
    }
}

/// A number rounded to so many significant digits.
pub(super) fn significant(value: f64, digits: usize) -> f64 {
    if value == 0.0 || !value.is_finite() {
        return value;
    }
    // One digit before the point, so many after it: a product would bring other digits back.
    let decimals = digits.saturating_sub(1);
    format!("{value:.decimals$e}").parse().unwrap_or(value)
}

impl Machine {
    /// This one, as far as the system says.
    fn this() -> Self {
        let read = |file: &str| std::fs::read_to_string(file).unwrap_or_default();
        let memory = field(&read("/proc/meminfo"), "MemTotal", ':');
        let kilobytes = memory.and_then(|it| it.trim_end_matches(" kB").parse::<f64>().ok());
        let name = field(&read("/etc/os-release"), "PRETTY_NAME", '=');
        let kernel = read("/proc/sys/kernel/osrelease");
        Self {
            cpu: field(&read("/proc/cpuinfo"), "model name", ':').unwrap_or("unknown".to_owned()),
            cores: std::thread::available_parallelism().map_or(1, usize::from),
            memory_gb: (kilobytes.unwrap_or_default() / 1024.0 / 1024.0).round(),
            os: match name {
                Some(name) => format!("{name}, {} {}", std::env::consts::OS, kernel.trim()),
                None => std::env::consts::OS.to_owned(),
            },
        }
    }
}

/// The first value of a name in lines of names and values.
fn field(text: &str, name: &str, separator: char) -> Option<String> {
    let mut pairs = text.lines().filter_map(|line| line.split_once(separator));
    let (_, value) = pairs.find(|(key, _)| key.trim() == name)?;
    Some(value.trim().trim_matches('"').to_owned())
}

/// The commit of the working directory.
fn commit() -> String {
    let git = |arguments: &[&str]| {
        let output = Command::new("git").args(arguments).output().ok()?;
        let text = String::from_utf8(output.stdout).ok()?;
        output.status.success().then(|| text.trim().to_owned())
    };
    let Some(commit) = git(&["rev-parse", "--short=12", "HEAD"]) else {
        return "unknown".to_owned();
    };
    match git(&["status", "--porcelain", "--untracked-files=no"]) {
        Some(changes) if changes.is_empty() => commit,
        _ => format!("{commit}-dirty"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_rounded_to_significant_digits() {
        for (value, digits, rounded) in [
            (68_249.7, 3, 68_200.0),
            (0.123_456, 3, 0.123),
            (999.96, 4, 1_000.0),
            (-12.345, 2, -12.0),
            (0.0, 3, 0.0),
        ] {
            assert_eq!(significant(value, digits).to_string(), rounded.to_string(), "{value}");
        }
    }

    #[test]
    fn fields_are_found_by_their_name() {
        let text = "processor\t: 0\nmodel name\t: A 3000 CPU\nmodel name\t: B\n";
        assert_eq!(field(text, "model name", ':').as_deref(), Some("A 3000 CPU"));
        let release = "NAME=\"X\"\nPRETTY_NAME=\"X 12 (y)\"\n";
        assert_eq!(field(release, "PRETTY_NAME", '=').as_deref(), Some("X 12 (y)"));
        assert_eq!(field("", "PRETTY_NAME", '='), None);
    }

    #[test]
    fn a_record_is_read_back() {
        let mut record = Record::begin();
        record.put("part", FiguresByName::from([("figure".to_owned(), 1.234_567_8)]), 2.0);
        let text = serde_json::to_string(&record).unwrap();
        let read: Record = serde_json::from_str(&text).unwrap();
        assert_eq!(read.figures["part"]["figure"].to_string(), "1.2346");
        assert_eq!(serde_json::to_string(&read).unwrap(), text);
    }
}
