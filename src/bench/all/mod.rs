//! `dhakira bench all`: measures everything that the documentation claims, part by part.

mod part;

use std::ffi::OsString;
use std::path::PathBuf;
use std::time::Instant;

use clap::{Args, ValueEnum as _};

use super::child;
use super::record::Record;

pub(super) use part::Part;

/// Measures everything that the documentation claims; `bench report` makes its page of figures from the answer.
///
/// Each part is a command of its own, in a process of its own. A part that cannot be measured, for lack of a file, is skipped,
/// and counted. Takes a quarter of an hour with a million units on two cores.
#[derive(Debug, Args)]
pub(super) struct BenchAll {
    /// File with the memory.
    #[arg(long)]
    corpus: PathBuf,
    /// File whose source segments are looked up.
    #[arg(long)]
    queries: PathBuf,
    /// Units of the memories: the real ones and changed copies of them up to this number.
    #[arg(long, default_value_t = 1_000_000)]
    units: usize,
    /// Directory of documents with known alignments, as for `bench align`.
    #[arg(long, value_name = "DOCS")]
    docs: Option<PathBuf>,
    /// File with the names of the documents, one a line.
    #[arg(long, value_name = "LIST")]
    list: Option<PathBuf>,
    /// Sentence pairs whose words were linked by hand.
    #[arg(long, value_name = "FILE")]
    links: Option<PathBuf>,
    /// Only this part; may be repeated; all when not given.
    #[arg(long, value_enum, value_name = "PART")]
    only: Vec<Part>,
    /// One JSON object with commit, date, machine, and the figures of each part.
    #[arg(long)]
    json: bool,
}

impl BenchAll {
    /// Blocks.
    pub(super) fn run(self) -> anyhow::Result<()> {
        let mut record = Record::begin();
        let mut failures = 0;
        let all = Part::value_variants().iter().copied();
        let parts: Vec<Part> =
            all.filter(|part| self.only.is_empty() || self.only.contains(part)).collect();
        for (number, part) in (1..).zip(&parts) {
            note!("dhakira: part {number} of {}, {}", parts.len(), part.name());
            let arguments = match self.command(*part) {
                Ok(arguments) => arguments,
                Err(reason) => {
                    note!("dhakira: SKIPPED {}: {reason}", part.name());
                    record.skipped.insert(part.name(), reason);
                    continue;
                }
            };
            note!("dhakira: {}", part.shown(self.units));
            if let Err(error) = measure(&mut record, *part, arguments) {
                note!("dhakira: FAILED {}: {error:#}", part.name());
                failures += 1;
                // The message names files of this machine, which do not belong into the record.
                record.skipped.insert(part.name(), "failed".to_owned());
                continue;
            }
            record.commands.insert(part.name(), part.shown(self.units));
        }
        note!(
            "dhakira: {} of {} parts measured, {} skipped, {failures} failed",
            record.figures.len(),
            parts.len(),
            record.skipped.len() - failures,
        );
        record.show(self.json)?;
        anyhow::ensure!(failures == 0, "{failures} of {} parts failed", parts.len());
        Ok(())
    }

    /// The arguments of a part, or why it is skipped.
    fn command(&self, part: Part) -> Result<Vec<OsString>, String> {
        if let Some(reason) = part.impossible() {
            return Err(reason.to_owned());
        }
        let path = |path: &PathBuf| path.clone().into_os_string();
        let value = |name: &str| match name {
            "CORPUS" => Some(path(&self.corpus)),
            "QUERIES" => Some(path(&self.queries)),
            "UNITS" => Some(self.units.to_string().into()),
            "DOCS" => self.docs.as_ref().map(path),
            "LIST" => self.list.as_ref().map(path),
            "LINKS" => self.links.as_ref().map(path),
            _ => None,
        };
        part.command(value).map_err(|name| format!("--{} was not given", name.to_lowercase()))
    }
}

fn measure(record: &mut Record, part: Part, arguments: Vec<OsString>) -> anyhow::Result<()> {
    let since = Instant::now();
    let figures = child::figures(arguments)?;
    let seconds = since.elapsed().as_secs_f64();
    note!("dhakira: {} took {seconds:.0} s", part.name());
    record.put(&part.name(), figures, seconds);
    Ok(())
}
