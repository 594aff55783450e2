//! `dhakira cluster status`: nodes, writer, log and database.

use std::fmt::Write as _;

use clap::Args;
use serde::Serialize;

use crate::store::{Durability, Lease, NodeStatus, Realm, RealmStatus, WRITER_ROLE};

use super::database::Database;
use crate::cli::outcome::Outcome;
use crate::terminal::{counted, grouped, json_line, table};

/// Show nodes, writer, log and database.
#[derive(Debug, Args)]
pub(in crate::cli) struct Status {
    #[command(flatten)]
    database: Database,
    /// One JSON object on standard output, nothing else there.
    #[arg(long)]
    json: bool,
}

/// Everything that the database knows of a cluster.
pub(super) struct Overview {
    pub(super) realm: RealmStatus,
    pub(super) nodes: Vec<NodeStatus>,
    pub(super) writer: Option<Lease>,
}

impl Overview {
    /// Reads it. Blocks.
    pub(super) fn read(realm: &Realm) -> anyhow::Result<Self> {
        let nodes = crate::store::Cluster::nodes(realm)?;
        let writer = crate::store::Cluster::lease(realm, WRITER_ROLE)?;
        // Last, so that no node is ahead of the log.
        Ok(Self { realm: realm.status()?, nodes, writer })
    }

    /// Commits that a node has not applied.
    pub(super) fn lag(&self, node: &NodeStatus) -> u64 {
        self.realm.end.sequence.0.saturating_sub(node.report.applied.0)
    }

    fn is_writer(&self, node: &NodeStatus) -> bool {
        self.writer.as_ref().is_some_and(|lease| lease.holder == node.report.id)
    }
}

#[derive(Serialize)]
struct Shown<'a> {
    name: &'a str,
    lineage: String,
    format: i32,
    database: ShownDatabase<'a>,
    log_start: u64,
    log_end: u64,
    writer: Option<String>,
    nodes: Vec<ShownNode<'a>>,
}

#[derive(Serialize)]
struct ShownDatabase<'a> {
    primary: &'a str,
    version: &'a str,
    durability: &'static str,
    synchronous_standby_names: &'a str,
    encrypted: bool,
    bytes: u64,
    standbys: Vec<ShownStandby<'a>>,
    concerns: Vec<String>,
}

#[derive(Serialize)]
struct ShownStandby<'a> {
    name: &'a str,
    address: &'a str,
    state: &'a str,
    sync_state: &'a str,
    lag_bytes: u64,
}

#[derive(Serialize)]
struct ShownNode<'a> {
    id: String,
    address: &'a str,
    version: &'a str,
    applied: u64,
    lag_commits: u64,
    seen_seconds_ago: f64,
    writer: bool,
}

impl Status {
    pub(super) fn run(self) -> anyhow::Result<Outcome> {
        let realm = self.database.connect()?;
        let overview = Overview::read(&realm)?;
        if self.json {
            json_line(&shown(&overview))?;
        } else {
            show!("{}", text(&overview))?;
        }
        Ok(Outcome::Done)
    }
}

fn durability_name(durability: Durability) -> &'static str {
    match durability {
        Durability::Synchronous => "synchronous",
        Durability::Engine => "engine",
    }
}

fn shown(overview: &Overview) -> Shown<'_> {
    let RealmStatus { identity, mode, start, end, .. } = &overview.realm;
    Shown {
        name: &identity.name,
        lineage: identity.lineage.to_string(),
        format: identity.format,
        database: ShownDatabase {
            primary: &mode.primary,
            version: &mode.server_version,
            durability: durability_name(mode.durability),
            synchronous_standby_names: &mode.synchronous_standby_names,
            encrypted: mode.encrypted,
            bytes: mode.bytes,
            standbys: mode
                .standbys
                .iter()
                .map(|it| ShownStandby {
                    name: &it.name,
                    address: &it.address,
                    state: &it.state,
                    sync_state: &it.sync_state,
                    lag_bytes: it.lag_bytes,
                })
                .collect(),
            concerns: mode.concerns(),
        },
        log_start: start.sequence.0,
        log_end: end.sequence.0,
        writer: overview.writer.as_ref().map(|lease| lease.holder.to_string()),
        nodes: overview
            .nodes
            .iter()
            .map(|node| ShownNode {
                id: node.report.id.to_string(),
                address: &node.report.address,
                version: &node.report.version,
                applied: node.report.applied.0,
                lag_commits: overview.lag(node),
                seen_seconds_ago: node.age.as_secs_f64(),
                writer: overview.is_writer(node),
            })
            .collect(),
    }
}

fn text(overview: &Overview) -> String {
    let RealmStatus { identity, mode, start, end, .. } = &overview.realm;
    let row = |cells: &[&str]| cells.iter().map(|it| (*it).to_owned()).collect::<Vec<_>>();
    let or_dash = |text: &str| if text.is_empty() { "-" } else { text }.to_owned();
    let encrypted = if mode.encrypted { "encrypted" } else { "not encrypted" };
    let mut text = table(&[
        row(&["cluster", &format!("{} ({})", identity.name, identity.lineage)]),
        row(&[
            "log",
            &format!(
                "commits {} to {}, {} MiB in the database",
                grouped(start.sequence.0 + 1),
                grouped(end.sequence.0),
                grouped(mode.bytes / (1024 * 1024))
            ),
        ]),
        row(&[
            "database",
            &format!(
                "PostgreSQL {} at {}, {encrypted}",
                mode.server_version,
                or_dash(&mode.primary)
            ),
        ]),
        row(&[
            "durability",
            &format!(
                "{}, synchronous_standby_names {}",
                durability_name(mode.durability),
                or_dash(&mode.synchronous_standby_names)
            ),
        ]),
    ]);
    for concern in mode.concerns() {
        // Writing to a string cannot fail.
        let _ = writeln!(text, "warning: {concern}");
    }
    let mut standbys = vec![row(&["STANDBY", "ADDRESS", "STATE", "SYNC", "BEHIND"])];
    standbys.extend(mode.standbys.iter().map(|it| {
        let behind = format!("{} bytes", grouped(it.lag_bytes));
        let fields = [&it.name, &it.address, &it.state, &it.sync_state];
        fields.into_iter().map(|it| or_dash(it)).chain([behind]).collect()
    }));
    let mut nodes = vec![row(&["NODE", "ADDRESS", "VERSION", "APPLIED", "BEHIND", "SEEN", "ROLE"])];
    nodes.extend(overview.nodes.iter().map(|node| {
        let report = &node.report;
        vec![
            report.id.to_string(),
            or_dash(&report.address),
            report.version.clone(),
            grouped(report.applied.0),
            counted(overview.lag(node), "commit"),
            format!("{} s ago", node.age.as_secs()),
            if overview.is_writer(node) { "writer" } else { "-" }.to_owned(),
        ]
    }));
    for rows in [standbys, nodes].into_iter().filter(|rows| rows.len() > 1) {
        text.push('\n');
        text.push_str(&table(&rows));
    }
    text
}
