//! `dhakira compact`: frees disk space and truncates the commit log.

use clap::Args;
use serde::Serialize;

use crate::limits::LOG_RETENTION_DAYS;

use super::outcome::Outcome;
use super::place::{MissingData, Place};
use crate::terminal::{Progress, grouped, json_line};

/// Free disk space: copy live data to a new database, which then replaces the old one.
///
/// Needs space for the copy. Lookups and writes of a server continue meanwhile; a crash at any moment leaves the old or the new
/// database. Commits older than --keep-log-days are removed from the commit log: watchers and incremental backups cannot resume from
/// them.
#[derive(Debug, Args)]
pub(super) struct Compact {
    #[command(flatten)]
    place: Place,
    /// Days for which commits stay in the log.
    #[arg(long, value_name = "DAYS", default_value_t = LOG_RETENTION_DAYS)]
    keep_log_days: u32,
    /// One JSON object on standard output, nothing else there.
    #[arg(long)]
    json: bool,
}

#[derive(Serialize)]
struct Line {
    bytes_before: u64,
    bytes_after: u64,
    oldest_sequence: u64,
}

impl Compact {
    pub(super) async fn run(self) -> anyhow::Result<Outcome> {
        let mut client = self.place.client("compact", MissingData::Refuse).await?;
        let bar = Progress::new();
        let mut told = |done| bar.show("compacting", done);
        let info = client.compact(self.keep_log_days, &mut told).await?;
        drop(bar);
        let (bytes_before, bytes_after) = info.bytes;
        if self.json {
            json_line(&Line { bytes_before, bytes_after, oldest_sequence: info.oldest_sequence })?;
        } else {
            say!(
                "{} bytes before, {} now; the commit log holds what came after commit {}",
                grouped(bytes_before),
                grouped(bytes_after),
                info.oldest_sequence
            )?;
        }
        Ok(Outcome::Done)
    }
}
