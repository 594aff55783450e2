//! `dhakira bench train`: measures the training of a lexicon and the check of units.

use std::path::{Path, PathBuf};

use anyhow::Context as _;
use clap::Args;
use serde_json::Value;

use crate::unit::UnitContent;

use super::child::{self, Ended};
use super::corpus::read_units;
use super::import::{MEMORY, embedded, write_tsv};
use super::measure::{Figures, number};

/// Trains the lexicon of a memory, and checks some of its units in a memory of their own, whose lexicon is trained first.
#[derive(Debug, Args)]
pub(super) struct BenchTrain {
    /// File with the memory.
    #[arg(long)]
    corpus: PathBuf,
    /// Units of the memory that is checked, the first ones of the file.
    #[arg(long, default_value_t = 30_000)]
    check: usize,
    /// One JSON object with all figures.
    #[arg(long)]
    json: bool,
}

impl BenchTrain {
    /// Blocks.
    pub(super) fn run(self) -> anyhow::Result<()> {
        let directory = PathBuf::from("./dhakira-bench").join(uuid::Uuid::new_v4().to_string());
        std::fs::create_dir_all(&directory)?;
        let figures = self.measure(&directory);
        std::fs::remove_dir_all(&directory)?;
        figures?.show(self.json)
    }

    fn measure(&self, directory: &Path) -> anyhow::Result<Figures> {
        let mut figures = Figures::default();
        let units = read_units(&self.corpus, usize::MAX)?;
        let store = filled(directory, "checked", units.iter().take(self.check).cloned())?;
        figures.put("check_units", number(self.check.min(units.len())));
        put(&mut figures, "check", &check(&store)?);
        let store = filled(directory, "trained", units.into_iter())?;
        let trained = run("train", &store)?;
        let sums: Value =
            serde_json::from_slice(&trained.output).context("the sums of training")?;
        figures.put("train_units", sums["units"].as_f64().context("no units")?);
        put(&mut figures, "train", &trained);
        Ok(figures)
    }
}

/// A store of its own with these units. Blocks.
fn filled(
    directory: &Path,
    name: &str,
    units: impl Iterator<Item = UnitContent>,
) -> anyhow::Result<PathBuf> {
    let (file, store) = (directory.join("units.tsv"), directory.join(name));
    write_tsv(&file, [&"ar".parse()?, &"en".parse()?], units)?;
    embedded(&store, &file)?;
    Ok(store)
}

/// Checks all units of a store by the command, which trains its lexicon first. Blocks.
pub(super) fn check(store: &Path) -> anyhow::Result<Ended> {
    run("check", store)
}

fn run(command: &str, store: &Path) -> anyhow::Result<Ended> {
    let mut command = child::dhakira([command, "--memory", MEMORY, "--json", "--data"])?;
    command.arg(store);
    child::run(command, None)
}

fn put(figures: &mut Figures, name: &str, ended: &Ended) {
    figures.put(format!("{name}_wall_seconds"), ended.wall.as_secs_f64());
    figures.put(format!("{name}_cpu_seconds"), ended.cpu_seconds);
    figures.put(format!("{name}_peak_resident_mb"), ended.peak_resident_mb);
}
