//! `dhakira cluster doctor`: checks a cluster, and says what to do about what it finds.

use std::collections::BTreeSet;
use std::net::{TcpStream, ToSocketAddrs as _};
use std::time::Duration;

use clap::Args;
use serde::Serialize;

use super::database::Database;
use super::status::Overview;
use crate::cli::outcome::Outcome;
use crate::limits::CLUSTER_SILENCE_MAX;
use crate::terminal::{counted, json_line};

/// Check what would lose writes or stop them, and say what to do about it.
///
/// Exits with 1 when it finds something.
#[derive(Debug, Args)]
pub(in crate::cli) struct Doctor {
    #[command(flatten)]
    database: Database,
    /// One JSON object a check on standard output, nothing else there.
    #[arg(long)]
    json: bool,
}

/// The result of a check.
#[derive(Debug, PartialEq, Eq, Serialize)]
struct Check {
    #[serde(rename = "check")]
    name: &'static str,
    ok: bool,
    /// What was found.
    found: String,
    /// What to do about it; empty when all is well.
    remedy: String,
}

/// Commits behind the log from which a node does not keep up.
const LAG_COMMITS_MAX: u64 = 1_000;
/// Time after which a node that is gone is no node any more.
const GONE: Duration = Duration::from_secs(3_600);
const CONNECT_TIME: Duration = Duration::from_secs(2);

impl Doctor {
    pub(super) fn run(self) -> anyhow::Result<Outcome> {
        let checks = match self.database.connect() {
            Err(error) => vec![Check {
                name: "connect",
                ok: false,
                found: format!("{error:#}"),
                remedy: "check --store, the network, and whether the database has a primary"
                    .to_owned(),
            }],
            Ok(realm) => checks(&Overview::read(&realm)?),
        };
        for check in &checks {
            if self.json {
                json_line(check)?;
                continue;
            }
            let Check { name, ok, found, remedy } = check;
            let mark = if *ok { "ok     " } else { "PROBLEM" };
            say!("{mark}  {name}: {found}")?;
            if !ok {
                say!("         {remedy}")?;
            }
        }
        let problems = checks.iter().filter(|check| !check.ok).count();
        anyhow::ensure!(problems == 0, "{} found", counted(problems, "problem"));
        Ok(Outcome::Done)
    }
}

fn checks(overview: &Overview) -> Vec<Check> {
    let mut checks = vec![database(overview), encryption(overview), writer(overview)];
    checks.extend([alive(overview), lag(overview), versions(overview), addresses(overview)]);
    checks
}

/// A check that found nothing wrong, or these problems.
fn check(name: &'static str, fine: String, problems: &[String], remedy: &str) -> Check {
    if problems.is_empty() {
        return Check { name, ok: true, found: fine, remedy: String::new() };
    }
    Check { name, ok: false, found: problems.join("; "), remedy: remedy.to_owned() }
}

fn database(overview: &Overview) -> Check {
    let mode = &overview.realm.mode;
    let fine = format!(
        "PostgreSQL {} at {}, {}",
        mode.server_version,
        mode.primary,
        counted(mode.standbys.len(), "standby")
    );
    let remedy = "set up synchronous standbys (see docs/cluster.md), or serve with `durability = \"engine\"` where the storage below the \
                  server keeps acknowledged writes; never switch fsync or full_page_writes off";
    check("database", fine, &mode.concerns(), remedy)
}

fn encryption(overview: &Overview) -> Check {
    let mode = &overview.realm.mode;
    let local = ["localhost", "127.", "[::1]", "/"];
    let is_local = mode.primary.is_empty() || local.iter().any(|it| mode.primary.starts_with(it));
    let fine = if mode.encrypted { "encrypted" } else { "on this machine" }.to_owned();
    let plain = (!mode.encrypted && !is_local)
        .then(|| format!("texts cross the network to {} unencrypted", mode.primary));
    let remedy = "add ?sslmode=verify-full&sslrootcert=CA.pem to --store";
    check("encryption", fine, &plain.into_iter().collect::<Vec<_>>(), remedy)
}

fn writer(overview: &Overview) -> Check {
    let fine = overview.writer.as_ref().map(|it| format!("{} at {}", it.holder, it.address));
    let problem = fine.is_none().then(|| "no node commits the writes of the others".to_owned());
    let remedy = "start a node; if nodes are running, their logs say why they do not write";
    check("writer", fine.unwrap_or_default(), &problem.into_iter().collect::<Vec<_>>(), remedy)
}

fn alive(overview: &Overview) -> Check {
    let seen = overview.nodes.iter().filter(|node| node.age <= CLUSTER_SILENCE_MAX).count();
    let mut problems: Vec<String> = overview
        .nodes
        .iter()
        .filter(|node| node.age > CLUSTER_SILENCE_MAX && node.age < GONE)
        .map(|it| {
            format!(
                "{} ({}) was last seen {} s ago",
                it.report.id,
                it.report.address,
                it.age.as_secs()
            )
        })
        .collect();
    if seen < 2 {
        problems.push(format!("{} running", counted(seen, "node")));
    }
    let remedy = "start the node again, or leave it: an hour after it was last seen, it no longer keeps the log. One node alone is no \
                  safer than one machine";
    check("nodes", counted(seen, "node"), &problems, remedy)
}

fn lag(overview: &Overview) -> Check {
    let behind: Vec<String> = overview
        .nodes
        .iter()
        .filter(|node| node.age < GONE && overview.lag(node) > LAG_COMMITS_MAX)
        .map(|it| {
            format!("{} is {} behind", it.report.address, counted(overview.lag(it), "commit"))
        })
        .collect();
    let remedy = "look at the load of that machine and at its network to the database; lookups there show an earlier state";
    check("lag", "every node keeps up".to_owned(), &behind, remedy)
}

fn versions(overview: &Overview) -> Check {
    let running = overview.nodes.iter().filter(|node| node.age <= CLUSTER_SILENCE_MAX);
    let versions: BTreeSet<&str> = running.map(|node| node.report.version.as_str()).collect();
    let names = versions.iter().copied().collect::<Vec<_>>().join(", ");
    let several = (versions.len() > 2).then(|| format!("nodes run {names}"));
    let remedy = "two neighbouring versions run together, more do not: update the oldest nodes";
    check("versions", names, &several.into_iter().collect::<Vec<_>>(), remedy)
}

fn addresses(overview: &Overview) -> Check {
    let mut problems = Vec::new();
    let running = || overview.nodes.iter().filter(|node| node.age <= CLUSTER_SILENCE_MAX);
    for node in running() {
        let address = &node.report.address;
        if address.is_empty() {
            problems.push(format!("{} does not say where others reach it", node.report.id));
        } else if let Err(cause) = reach(address) {
            problems.push(format!("{address} cannot be reached from here: {cause}"));
        }
        if running().any(|it| it.report.id != node.report.id && it.report.address == *address) {
            problems.push(format!("more than one node says that it is at {address}"));
        }
    }
    let remedy = "give each node its own --advertise URL, and let nodes reach each other there; writes work without it, but conflict";
    check("addresses", "the nodes can be reached from here".to_owned(), &problems, remedy)
}

/// Connects to a URL's host and port.
fn reach(url: &str) -> Result<(), String> {
    let host = url.split_once("://").map_or(url, |(_, rest)| rest);
    let host = host.split('/').next().unwrap_or(host);
    let default_port = if url.starts_with("https") { 443 } else { 80 };
    let has_port = host.rsplit_once(':').is_some_and(|(_, port)| port.parse::<u16>().is_ok());
    let host = if has_port { host.to_owned() } else { format!("{host}:{default_port}") };
    let mut addresses = host.to_socket_addrs().map_err(|error| error.to_string())?;
    let address = addresses.next().ok_or("its name has no address")?;
    TcpStream::connect_timeout(&address, CONNECT_TIME).map(drop).map_err(|error| error.to_string())
}
