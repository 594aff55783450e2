//! Collects the results of crash rounds: each store is opened after its crash and compared with the model.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use dhakira::engine::{Cancel, Engine, Finding, Severity};
use dhakira::store::{OpenOptions, SledStore};

use crate::support::read_units;

use crate::crash_model::{Model, Units};

pub(super) fn open(directory: &Path) -> Result<Engine, String> {
    let options = OpenOptions { create: false, accept_data_loss: false, purpose: "test".into() };
    let store = SledStore::open(directory, &options).map_err(|error| error.to_string())?;
    let checkpoints = Some(directory.join("checkpoints"));
    Engine::open(Arc::new(store), checkpoints, &mut |_| ()).map_err(|error| error.to_string())
}

/// The results of one case.
#[derive(Default)]
pub(super) struct Row {
    pub(super) rounds: usize,
    pub(super) acknowledged: usize,
    pub(super) lost: usize,
    pub(super) wrong: usize,
    pub(super) refusals: usize,
    /// Whether the log may begin after a checkpoint, which is then rebuilt from the store.
    pub(super) outdated_checkpoints: bool,
    /// Descriptions of all faults.
    pub(super) faults: Vec<String>,
}

impl Row {
    /// Opens the store, settles the model, and compares everything with everything.
    pub(super) fn check(&mut self, directory: &Path, model: &mut Model, what: &str) {
        self.rounds += 1;
        let engine = match open(directory) {
            Ok(engine) => engine,
            Err(refusal) => {
                // No crash may prevent the store from opening.
                self.refusals += 1;
                self.faults.push(format!("{what}: the store does not open: {refusal}"));
                return;
            }
        };
        let name = "m".parse().unwrap();
        if engine.memory(&name).is_err() && model.there {
            self.faults.push(format!("{what}: the memory is lost"));
        }
        let units = read_units(&engine, &name).unwrap_or_default();
        let found: Units =
            units.into_iter().map(|it| (it.id.0, (it.revision, it.content.target.text))).collect();
        let (lost, wrong) = model.settle(&found);
        (self.lost, self.wrong) = (self.lost + lost, self.wrong + wrong);
        let all = model.units.len();
        self.acknowledged += all;
        if (lost, wrong) != (0, 0) {
            self.faults.push(format!(
                "{what}: of {all} acknowledged units {lost} are lost, {wrong} are wrong"
            ));
        }
        let verified = engine.verify(&Cancel::default(), &|_| ()).unwrap();
        let is_fault =
            |it: &&Finding| !(self.outdated_checkpoints && it.severity == Severity::Derived);
        let findings: Vec<_> = verified.findings.iter().filter(is_fault).collect();
        if !findings.is_empty() {
            self.faults.push(format!("{what}: {findings:?}"));
        }
    }

    /// Counts a server that did not start while its disk failed: it must say what failed.
    pub(super) fn refused(&mut self, said: &str, what: &str) {
        self.refusals += 1;
        if !said.contains("Input/output error") {
            self.faults.push(format!("{what}: it does not start and does not say why: {said}"));
        }
    }

    pub(super) fn show(&self, case: &str) {
        let Self { rounds, acknowledged, lost, wrong, refusals, .. } = self;
        eprintln!(
            "{case:<34} {rounds:>6}  {acknowledged:>18}  {lost:>4}  {wrong:>5}  {refusals:>8}"
        );
    }
}

pub(super) fn rounds() -> usize {
    let wanted = std::env::var("DHAKIRA_CRASH_ROUNDS").ok().and_then(|text| text.parse().ok());
    wanted.unwrap_or(2)
}

/// A data directory that is replaced by a new one every few rounds.
pub(super) struct Place {
    pub(super) directory: tempfile::TempDir,
    pub(super) model: Model,
}

impl Place {
    pub(super) fn new() -> Self {
        Self { directory: tempfile::tempdir().unwrap(), model: Model::default() }
    }

    pub(super) fn data(&self) -> PathBuf {
        self.directory.path().join("data")
    }

    pub(super) fn renew(&mut self, round: usize) {
        if round % 7 == 6 {
            *self = Self::new();
        }
    }
}

pub(super) fn fuse(round: usize, most: u64) -> Duration {
    Duration::from_millis((round as u64 * 7_919 + 31) % most)
}
