//! `dhakira restore`: creates a data directory from a backup.

use std::fmt;
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use clap::Args;
use serde::Serialize;

use crate::engine::backup::{Restored, Target, restore, restore_shared};
use crate::store::{RealmOptions, Sequence, SharedStore};
use crate::unit::Timestamp;

use super::outcome::Outcome;
use super::visit::{IdleCluster, connect_idle};
use crate::terminal::{Progress, counted, json_line};

/// Create a data directory from a backup, as of a commit or a moment.
///
/// The directory must be new or empty: a store is never restored over another one. It appears under its name when it is complete.
/// With --into, the memories of a cluster are restored in place of a directory: into a database where `dhakira cluster init` has made
/// the tables, before the first node runs.
/// Access tokens are not in a backup: where they were in use, `dhakira serve` requires new ones.
#[derive(Debug, Args)]
pub(super) struct Restore {
    /// The backup directory.
    #[arg(value_name = "BACKUP")]
    backup: PathBuf,
    /// The data directory to create.
    #[arg(long, value_name = "DIR", required_unless_present = "into", conflicts_with = "into")]
    data: Option<PathBuf>,
    #[command(flatten)]
    cluster: IdleCluster,
    /// Restore this commit and all before it, instead of everything.
    #[arg(long, value_name = "COMMIT", conflicts_with = "to_time")]
    to_sequence: Option<u64>,
    /// Restore what was committed at this moment or before, such as 2025-03-01T12:00:00Z.
    #[arg(long, value_name = "TIME")]
    to_time: Option<String>,
    /// One JSON object on standard output, nothing else there.
    #[arg(long)]
    json: bool,
}

#[derive(Serialize)]
struct Line {
    last_commit: u64,
    commit_time: String,
    units: u64,
    tokens_required: Option<bool>,
}

/// Where a backup is restored to.
enum Place {
    Directory(PathBuf),
    Cluster(Box<RealmOptions>),
}

impl fmt::Display for Place {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Directory(path) => path.display().fmt(out),
            Self::Cluster(options) => options.url.fmt(out),
        }
    }
}

impl Place {
    /// Blocks.
    fn restore(
        self,
        backup: &Path,
        target: Target,
        progress: &dyn Fn(f32),
    ) -> anyhow::Result<Restored> {
        let options = match self {
            Self::Directory(data) => return Ok(restore(backup, &data, target, progress)?),
            Self::Cluster(options) => options,
        };
        let realm = connect_idle(*options, "stop it before restoring")?;
        Ok(restore_shared(backup, SharedStore::from(realm), target, progress)?)
    }
}

impl Restore {
    fn place(&self) -> anyhow::Result<Place> {
        match (self.cluster.options()?, &self.data) {
            (Some(options), _) => Ok(Place::Cluster(Box::new(options))),
            (None, Some(data)) => Ok(Place::Directory(data.clone())),
            (None, None) => anyhow::bail!("name the directory with --data"),
        }
    }

    pub(super) async fn run(self) -> anyhow::Result<Outcome> {
        let target = match (self.to_sequence, &self.to_time) {
            (Some(sequence), _) => Target::Sequence(Sequence(sequence)),
            (None, Some(time)) => {
                let time: jiff::Timestamp = time.parse().with_context(|| {
                    format!("'{time}' is not a time such as 2025-03-01T12:00:00Z")
                })?;
                Target::Time(Timestamp { micros: time.as_microsecond() })
            }
            (None, None) => Target::Latest,
        };
        let place = self.place()?;
        let (shown, data) = (place.to_string(), self.data.clone());
        let restored = tokio::task::spawn_blocking(move || {
            let bar = Progress::new();
            place.restore(&self.backup, target, &|done| bar.show("restoring", done.into()))
        })
        .await??;
        let time = jiff::Timestamp::from_microsecond(restored.mark.time.micros)?.to_string();
        if self.json {
            let last_commit = restored.mark.sequence.0;
            let Restored { units, tokens_required, .. } = restored;
            json_line(&Line { last_commit, commit_time: time, units, tokens_required })?;
        } else {
            say!(
                "{shown}: restored to commit {} of {time}: {}",
                restored.mark.sequence.0,
                counted(restored.units, "unit")
            )?;
        }
        let Some(data) = data else {
            if restored.tokens_required != Some(false) {
                note!(
                    "dhakira: access tokens are not in a backup: give each node its token file before you serve {shown}"
                );
            }
            return Ok(Outcome::Done);
        };
        let data = data.display();
        match restored.tokens_required {
            Some(true) => note!(
                "dhakira: calls to these memories required tokens, which are not in a backup: before you serve them, create one with \
                 `dhakira access-tokens create NAME --grant admin:* --data {data}`, or copy the old file to {data}/access/tokens.json"
            ),
            Some(false) => {}
            None => note!(
                "dhakira: the backup does not say whether calls required tokens; if they did, create one before you serve {data}"
            ),
        }
        Ok(Outcome::Done)
    }
}
