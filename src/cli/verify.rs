//! `dhakira verify`: checks a store or a backup for consistency.

use std::path::PathBuf;

use clap::Args;
use serde::Serialize;

use crate::engine::Severity;
use crate::engine::backup;

use super::outcome::Outcome;
use super::place::{MissingData, Place};
use crate::terminal::{Progress, counted, json_line};

/// Check a store for consistency: records, commit log, units, counts, index, checkpoints, lexicons.
///
/// With --backup, check a backup instead. Inconsistencies are listed and make the command fail.
#[derive(Debug, Args)]
pub(super) struct Verify {
    #[command(flatten)]
    place: Place,
    /// A backup directory to check instead of a store.
    #[arg(long, value_name = "BACKUP", conflicts_with_all = ["server", "accept_data_loss"])]
    backup: Option<PathBuf>,
    /// JSON objects on standard output, nothing else there: one a finding, then a summary.
    #[arg(long)]
    json: bool,
}

#[derive(Serialize)]
struct FindingLine<'a> {
    severity: &'static str,
    what: &'a str,
}

#[derive(Serialize)]
struct StoreLine {
    memories: u64,
    units: u64,
    commits: u64,
    files: u64,
    findings: usize,
}

#[derive(Serialize)]
struct BackupLine {
    parts: u64,
    units: u64,
    commits: u64,
    units_missing: u64,
    first_commit: u64,
    last_commit: u64,
}

impl Verify {
    pub(super) async fn run(self) -> anyhow::Result<Outcome> {
        match self.backup.clone() {
            Some(path) => self.verify_backup(path).await,
            None => self.compare().await,
        }
    }

    async fn compare(self) -> anyhow::Result<Outcome> {
        let mut client = self.place.client("verify", MissingData::Refuse).await?;
        let bar = Progress::new();
        let verified = client.verify(&mut |done| bar.show("comparing", done)).await?;
        drop(bar);
        for finding in &verified.findings {
            let severity = match finding.severity {
                Severity::Damage => "damage",
                Severity::Derived => "derived",
            };
            if self.json {
                json_line(&FindingLine { severity, what: &finding.what })?;
            } else {
                say!("{severity}: {}", finding.what)?;
            }
        }
        let findings = verified.findings.len();
        let (memories, units, commits) = (verified.memories, verified.units, verified.commits);
        if self.json {
            json_line(&StoreLine { memories, units, commits, files: verified.files, findings })?;
        } else {
            say!(
                "{}, {}, {}, {}: {}",
                counted(memories, "memory"),
                counted(units, "unit"),
                counted(commits, "commit"),
                counted(verified.files, "derived file"),
                if findings == 0 { "all agree".to_owned() } else { counted(findings, "finding") }
            )?;
        }
        let damages = verified.findings.iter().filter(|it| it.severity == Severity::Damage).count();
        if damages > 0 {
            anyhow::bail!(
                "the store is damaged in {}; restore a backup with `dhakira restore` into another directory",
                counted(damages, "place")
            );
        }
        if findings > 0 {
            anyhow::bail!(
                "derived data does not match the store; delete `checkpoints` in the data directory and start again: \
                 nothing is lost"
            );
        }
        Ok(Outcome::Done)
    }

    async fn verify_backup(self, path: PathBuf) -> anyhow::Result<Outcome> {
        let checked = tokio::task::spawn_blocking(move || {
            let bar = Progress::new();
            backup::verify(&path, &|done| bar.show("reading", done.into()))
        })
        .await??;
        let (first, last) = checked.reach.unwrap_or_default();
        let (first, last) = (first.sequence.0, last.sequence.0);
        if self.json {
            json_line(&BackupLine {
                parts: checked.parts,
                units: checked.units,
                commits: checked.commits,
                units_missing: checked.units_missing,
                first_commit: first,
                last_commit: last,
            })?;
        } else {
            say!(
                "{}, {}, {}: all agree; any commit from {first} to {last} can be restored",
                counted(checked.parts, "part"),
                counted(checked.units, "unit"),
                counted(checked.commits, "commit")
            )?;
        }
        Ok(Outcome::Done)
    }
}
