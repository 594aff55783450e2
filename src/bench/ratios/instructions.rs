//! Counts the instructions of a lookup, by a program of the machine that counts those of a process.

use std::process::{Command, Stdio};
use std::sync::Arc;

use anyhow::Context as _;
use clap::Args;

use crate::bench::lookup::{fill, lookup_settings, time_lookups};
use crate::bench::measure::number;
use crate::bench::workload::Workload;
use crate::engine::Engine;
use crate::store::InMemoryStore;
use crate::unit::MemoryName;

/// Units of the memory: few, since a program that counts instructions runs fifty times as long.
const UNITS: usize = 2_000;
/// Lookups of a pass.
const QUERIES: usize = 200;

/// Looks the same segments up in passes, for a program that counts instructions.
#[derive(Debug, Args)]
pub(in crate::bench) struct BenchPasses {
    /// How often each segment is looked up.
    passes: usize,
}

impl BenchPasses {
    /// Blocks.
    pub(in crate::bench) fn run(self) -> anyhow::Result<()> {
        let workload = Workload::sample(UNITS, QUERIES)?;
        let engine = Engine::open(Arc::new(InMemoryStore::default()), None, &mut |_| ())?;
        let memory: MemoryName = "bench".parse()?;
        fill(&engine, &memory, workload.units.into_iter())?;
        let settings = lookup_settings(&memory, 70.0, 5)?;
        for _ in 0..self.passes {
            time_lookups(&engine, &settings, &workload.queries)?;
        }
        Ok(())
    }
}

/// What counts instructions, its arguments, and where it says the number.
const COUNTERS: [(&str, &[&str], Count); 2] = [
    ("perf", &["stat", "-x,", "-e", "instructions:u", "--"], of_perf),
    ("valgrind", &["--tool=callgrind", "--callgrind-out-file=/dev/null"], of_callgrind),
];

type Count = fn(&str) -> Option<f64>;

/// Instructions of one lookup and by what they were counted; `None` where nothing counts them. Blocks.
pub(super) fn instructions_per_lookup() -> Option<(f64, &'static str)> {
    for (program, arguments, count) in COUNTERS {
        match counted(program, arguments, count) {
            Ok(instructions) => return Some((instructions, program)),
            Err(error) => note!("dhakira: {program} counts no instructions: {error:#}"),
        }
    }
    None
}

/// Passes of the two runs. What else happens in a run is not always the same, so the difference is of many lookups.
const PASSES: [usize; 2] = [1, 11];

/// The difference between two runs, so that only lookups count.
fn counted(program: &str, arguments: &[&str], count: Count) -> anyhow::Result<f64> {
    let run = |passes: usize| {
        let mut command = Command::new(program);
        command.args(arguments).arg(std::env::current_exe()?).args(["bench", "passes"]);
        command.arg(passes.to_string());
        let output = command.stdin(Stdio::null()).output()?;
        anyhow::ensure!(output.status.success(), "it failed: {}", output.status);
        count(&String::from_utf8_lossy(&output.stderr)).context("it did not say a number")
    };
    let [few, many] = PASSES;
    let more = run(many)? - run(few)?;
    anyhow::ensure!(more > 0.0, "more lookups did not take more of them");
    Ok(more / number(QUERIES * (many - few)))
}

/// From `1234,,instructions:u,…`; some systems do not let a program count.
fn of_perf(output: &str) -> Option<f64> {
    let line = output.lines().find(|line| line.contains("instructions"))?;
    line.split(',').next()?.parse().ok()
}

/// From `==1== Collected : 1234`.
fn of_callgrind(output: &str) -> Option<f64> {
    let line = output.lines().find_map(|line| line.split_once("Collected :"))?;
    line.1.trim().parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn instructions_are_read_from_what_the_programs_print() {
        let perf = "a line of the program\n123456,,instructions:u,7000,100.00,,\n";
        assert_eq!(of_perf(perf), Some(123_456.0));
        assert_eq!(of_perf("<not supported>,,instructions:u,0,100.00,,\n"), None);
        assert_eq!(of_perf(""), None);
        let callgrind = "==7== Callgrind\n==7== \n==7== Events    : Ir\n==7== Collected : 98765\n";
        assert_eq!(of_callgrind(callgrind), Some(98_765.0));
        assert_eq!(of_callgrind("valgrind: failed"), None);
    }
}
