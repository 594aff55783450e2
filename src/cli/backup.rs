//! `dhakira backup`: saves all memories into a backup directory.

use std::path::PathBuf;

use clap::Args;
use serde::Serialize;

use crate::client::BackupInfo;
use crate::engine::backup::{BackupDirectory, NewPart, PartSummary};
use crate::server::{TokenFile, TokenMark};

use super::access_tokens::tokens_path;
use super::outcome::Outcome;
use super::place::{MissingData, Place};
use crate::terminal::{Progress, counted, json_line};

/// Save all memories into a backup directory.
///
/// The first time everything is saved, afterwards the commits since then, each with its units at that time: `restore` can return to
/// any commit or moment after the first backup. Writes may continue meanwhile. When the commit log does not reach back to the
/// last backup, everything is saved again. Access tokens are not saved, only whether they are in use.
#[derive(Debug, Args)]
pub(super) struct Backup {
    #[command(flatten)]
    place: Place,
    /// The backup directory; created when missing.
    #[arg(value_name = "DIR")]
    directory: PathBuf,
    /// Save everything, even if the new commits would suffice.
    #[arg(long)]
    full: bool,
    /// One JSON object on standard output, nothing else there.
    #[arg(long)]
    json: bool,
}

#[derive(Serialize)]
struct Line<'a> {
    file: &'a str,
    full: bool,
    first_commit: u64,
    last_commit: u64,
    commits: u64,
    units: u64,
    bytes: u64,
}

impl Backup {
    pub(super) async fn run(self) -> anyhow::Result<Outcome> {
        let mut client = self.place.client("backup", MissingData::Refuse).await?;
        let mut backup = BackupDirectory::create(&self.directory)?;
        let bar = Progress::new();
        let after = backup.last();
        let mut part = backup.begin()?;
        let mut tell = |done| bar.show("saving", done);
        let mut result = client.backup((self.full, after), &mut part, &mut tell).await;
        if result.as_ref().is_err_and(|error| after.is_some() && error.is_out_of_range()) {
            note!(
                "dhakira: the commit log does not reach back to the last backup; saving everything"
            );
            part = backup.begin()?;
            result = client.backup((true, None), &mut part, &mut tell).await;
        }
        drop(bar);
        let BackupInfo { part: summary, tokens_required } = match result {
            Ok(info) => info,
            Err(error) => {
                part.discard();
                return Err(error.into());
            }
        };
        let tokens_required = if client.is_local() {
            let data = &self.place.data;
            Some(TokenMark::of(data).is_set(&TokenFile::new(tokens_path(data))))
        } else {
            tokens_required
        };
        if let Some(tokens_required) = tokens_required {
            backup.record_access(tokens_required)?;
        }
        if !summary.full && summary.commits == 0 {
            part.discard();
            note!("dhakira: nothing new since commit {}", summary.through.sequence.0);
            return Ok(Outcome::Done);
        }
        self.show(&mut backup, part, summary)?;
        Ok(Outcome::Done)
    }

    fn show(
        &self,
        backup: &mut BackupDirectory,
        part: NewPart,
        summary: PartSummary,
    ) -> anyhow::Result<()> {
        let part = backup.add(part, summary)?;
        if self.json {
            json_line(&Line {
                file: &part.file,
                full: part.full,
                first_commit: part.after.sequence.0 + 1,
                last_commit: part.through.sequence.0,
                commits: part.commits,
                units: part.units,
                bytes: part.bytes,
            })?;
        } else {
            let what = if part.full { "everything" } else { "new commits" };
            say!(
                "{}: {what} up to commit {}: {}, {}, {}",
                part.file,
                part.through.sequence.0,
                counted(part.units, "unit"),
                counted(part.commits, "commit"),
                counted(part.bytes, "byte")
            )?;
        }
        Ok(())
    }
}
