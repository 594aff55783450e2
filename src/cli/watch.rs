//! `dhakira watch`: shows the changes of units as they happen.

use std::collections::BTreeMap;
use std::io::Write as _;

use clap::{Args, ValueEnum};
use serde::Serialize;
use tokio_stream::StreamExt as _;

use crate::client::ChangeFeed;
use crate::engine::{WatchedChange, WatchedCommit};
use crate::store::ChangeKind;
use crate::unit::MemoryName;

use super::filter::FilterFlags;
use super::outcome::Outcome;
use super::place::{MissingData, Place};
use super::unit_table::time;
use crate::terminal::{json_to, paragraph, stdout};

/// Show the changes of units as they happen on a server, until Ctrl-C.
#[derive(Debug, Args)]
pub(super) struct Watch {
    #[command(flatten)]
    place: Place,
    /// The memory; all when not given.
    #[arg(long, short, value_name = "NAME")]
    memory: Option<MemoryName>,
    /// Begin after this commit, 0 for the oldest in the log; with the next commit when not given.
    #[arg(long, value_name = "COMMIT")]
    after: Option<u64>,
    /// Only this kind of change; may be repeated for one of several.
    #[arg(long = "kind", value_enum, value_name = "KIND")]
    kinds: Vec<KindFlag>,
    /// Stop after this many changes.
    #[arg(long, value_name = "COUNT", value_parser = clap::value_parser!(u64).range(1..))]
    max: Option<u64>,
    #[command(flatten)]
    filter: FilterFlags,
    /// One JSON object a change, one a line.
    #[arg(long)]
    json: bool,
}

/// What happened to a unit.
#[derive(Debug, Clone, Copy, ValueEnum)]
enum KindFlag {
    /// It is new.
    Created,
    /// It has another content.
    Updated,
    /// It was deleted.
    Deleted,
    /// A use of it was counted.
    Used,
}

impl From<KindFlag> for ChangeKind {
    fn from(kind: KindFlag) -> Self {
        match kind {
            KindFlag::Created => Self::Created,
            KindFlag::Updated => Self::Updated,
            KindFlag::Deleted => Self::Deleted,
            KindFlag::Used => Self::Used,
        }
    }
}

#[derive(Serialize)]
struct Line<'a> {
    commit: u64,
    time: Option<String>,
    kind: &'static str,
    unit: String,
    revision: u64,
    #[serde(flatten)]
    content: Option<ContentLine<'a>>,
}

/// The unit after the change, or before its deletion, when the log holds it.
#[derive(Serialize)]
struct ContentLine<'a> {
    source: &'a str,
    target: &'a str,
    document: &'a str,
    author: &'a str,
    attributes: &'a BTreeMap<String, String>,
}

impl Watch {
    pub(super) async fn run(self) -> anyhow::Result<Outcome> {
        self.place.check_server("changes are watched on a server")?;
        let mut client = self.place.client("watch", MissingData::Refuse).await?;
        let feed = ChangeFeed {
            memory: self.memory.clone(),
            after: self.after,
            filter: self.filter.filter(),
            kinds: self.kinds.iter().map(|&kind| kind.into()).collect(),
        };
        let mut commits = client.watch(&feed).await?;
        let (mut last, mut left) = (self.after, self.max.unwrap_or(u64::MAX));
        let ended = loop {
            let commit = tokio::select! {
                commit = commits.next() => commit,
                stopped = tokio::signal::ctrl_c() => break stopped.map_err(Into::into),
            };
            let commit = match commit {
                Some(Ok(commit)) => commit,
                Some(Err(error)) => break Err(error.into()),
                None => break Err(anyhow::anyhow!("the server ended the feed")),
            };
            for change in &commit.changes {
                self.show(&commit, change)?;
                left -= 1;
                if left == 0 {
                    return Ok(Outcome::Done);
                }
            }
            last = Some(commit.sequence.0);
        };
        let Some(last) = last else { return ended.map(|()| Outcome::Done) };
        // Commits whose changes were all filtered out need not be read again either.
        let resume = format!("--after {last} resumes after the last commit shown");
        ended.map_err(|error| anyhow::anyhow!("{error:#}; {resume}"))?;
        note!("dhakira: stopped; {resume}");
        Ok(Outcome::Done)
    }

    fn show(&self, commit: &WatchedCommit, change: &WatchedChange) -> anyhow::Result<()> {
        let kind = match change.kind {
            ChangeKind::Created => "created",
            ChangeKind::Updated => "updated",
            ChangeKind::Deleted => "deleted",
            ChangeKind::Used => "used",
        };
        let line = Line {
            commit: commit.sequence.0,
            time: time(commit.time),
            kind,
            unit: format!("{}/units/{}", change.memory.resource(), change.id),
            revision: change.revision,
            content: change.unit.as_ref().map(|unit| ContentLine {
                source: &unit.content.source.text,
                target: &unit.content.target.text,
                document: &unit.content.document,
                author: &unit.content.author,
                attributes: &unit.content.attributes,
            }),
        };
        let mut out = stdout();
        if self.json {
            json_to(&mut out, &line)?;
        } else {
            let Line { commit, time, unit, revision, .. } = &line;
            let time = time.as_deref().unwrap_or_default();
            writeln!(out, "{commit}  {time}  {kind}  {unit}, revision {revision}")?;
            if let Some(ContentLine { source, target, .. }) = &line.content {
                writeln!(out, "  {}\n  {}", paragraph(source, 2), paragraph(target, 2))?;
            }
        }
        out.flush()?;
        Ok(())
    }
}
