//! `dhakira export`: a memory as a file.

use clap::Args;
use serde::Serialize;

use crate::engine::ExportQuery;
use crate::terminal::{counted, json_line};
use crate::unit::MemoryName;

use super::filter::{FilterFlags, SOME_UNITS};
use super::outcome::Outcome;
use super::place::{MissingData, Place};
use super::unit_file::UnitFile;

/// Write a memory, or some of it, as a file: TMX 1.4, TSV, CSV, JSON lines or XLIFF 2.1.
///
/// The same units give the same bytes, in the order of their numbers.
#[derive(Debug, Args)]
pub(super) struct Export {
    #[command(flatten)]
    place: Place,
    /// The memory to write.
    #[arg(long, short, value_name = "NAME")]
    memory: MemoryName,
    #[command(flatten)]
    file: UnitFile,
    /// Only units with all these words in the source or in the target.
    #[arg(long, value_name = "TEXT", default_value = "", help_heading = SOME_UNITS)]
    query: String,
    #[command(flatten)]
    filter: FilterFlags,
    /// Print the number of units as a JSON object; needs a file to write to.
    #[arg(long, requires = "output")]
    json: bool,
}

#[derive(Serialize)]
struct Line<'a> {
    memory: &'a str,
    file: String,
    units: u64,
}

impl Export {
    pub(super) async fn run(self) -> anyhow::Result<Outcome> {
        self.file.check()?;
        anyhow::ensure!(
            !self.json || self.file.path().is_some(),
            "--json prints the count where the units would go; write them to a file with --output"
        );
        let mut client = self.place.client("export", MissingData::Refuse).await?;
        let memory = client.memory(&self.memory).await?;
        let wanted = ExportQuery { filter: self.filter.filter(), text: self.query.clone() };
        let write = async |format, out| Ok(client.export_to(&memory, wanted, format, out).await?);
        let units = self.file.write(write).await?;
        if let Some(path) = self.file.path() {
            if self.json {
                let (memory, file) = (self.memory.as_str(), path.display().to_string());
                json_line(&Line { memory, file, units })?;
            } else {
                note!("dhakira: {} written to {}", counted(units, "unit"), path.display());
            }
        }
        Ok(Outcome::Done)
    }
}
