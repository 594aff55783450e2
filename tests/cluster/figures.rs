//! Measures a cluster of three nodes over three servers beside a single machine, in one run: see docs/cluster.md.
//!
//! `DHAKIRA_FIGURES_UNITS` for more units, `DHAKIRA_TEST_SERVER` for another build of the program, and `DHAKIRA_FIGURES_JSON` for a
//! file that `dhakira bench report --cluster` reads.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use tonic::Request;

use super::clients::arabic;
use super::program::init;
use crate::command_line::{code, stderr};
use crate::crash::Process;
use crate::support::cores::Share;
use crate::support::figures::keep;
use crate::support::postgres::{Postgres, store_url};
use crate::support::{Clients, lookup_request, proto, say, unit};

const NODES: usize = 3;
const STANDBYS: usize = 2;
/// Lookups of each of the two that are compared, one of each in turn.
const LOOKUPS: usize = 2_000;
/// Writes whose way to another node is timed.
const WRITES: usize = 300;
/// Calls at a time, and how long, where lookups a second are counted.
const CALLERS: usize = 8;
const COUNTED: Duration = Duration::from_secs(5);
/// What each node gets of a core where lookups a second are counted, so that all of them and their callers fit on two.
const SHARE: f64 = 0.25;

fn units() -> usize {
    std::env::var("DHAKIRA_FIGURES_UNITS").map_or(20_000, |it| it.parse().unwrap())
}

/// Twelve Arabic words that no other number has together.
fn source(number: usize) -> String {
    (0..4).map(|part| arabic(number as u64 * 4 + part, number)).collect::<Vec<_>>().join(" ")
}

/// A file with units.
fn corpus(root: &Path, count: usize) -> PathBuf {
    let path = root.join("corpus.tsv");
    let mut text = String::from("ar\ten\n");
    for number in 0..count {
        writeln!(text, "{}\tthe translation of sentence {number}", source(number)).unwrap();
    }
    std::fs::write(&path, text).unwrap();
    path
}

/// Imports a file through a server; units a second.
fn import(corpus: &Path, memory: &str, server: &str, count: usize) -> f64 {
    let program = std::env::var_os("DHAKIRA_TEST_SERVER");
    let mut command = Command::new(program.unwrap_or_else(|| env!("CARGO_BIN_EXE_dhakira").into()));
    command.args(["import", "--memory", memory, "--server", server]).arg(corpus);
    let since = Instant::now();
    let output = command.stdin(Stdio::null()).output().unwrap();
    assert_eq!(code(&output), 0, "{}", stderr(&output));
    count as f64 / since.elapsed().as_secs_f64()
}

/// The servers, and how nodes are started over them.
struct Cluster {
    postgres: Postgres,
    store: String,
    root: PathBuf,
}

impl Cluster {
    fn start(root: &Path) -> Option<Self> {
        let postgres = Postgres::start(STANDBYS)?;
        let store = store_url(postgres.ports(), &postgres.database());
        init(root, &store, &[]);
        Some(Self { postgres, store, root: root.to_owned() })
    }

    /// Starts a node; how long it takes until it is ready.
    fn node(&self, name: &str) -> (Process, Duration) {
        let since = Instant::now();
        let variables = [("DHAKIRA_STORE", self.store.clone())];
        let process = Process::start_with(&self.root.join(name), &variables);
        (process, since.elapsed())
    }
}

fn percentile(times: &mut [Duration], part: f64) -> f64 {
    times.sort();
    let place = ((times.len() - 1) as f64 * part).round() as usize;
    times[place].as_secs_f64() * 1_000.0
}

/// Lookups of the same segments on both, in turn; medians in milliseconds.
async fn compare_lookups(one: &str, other: &str, count: usize) -> [f64; 2] {
    let mut clients = [Clients::connect(one).await, Clients::connect(other).await];
    let mut times = [Vec::new(), Vec::new()];
    for round in 0..LOOKUPS {
        let text = source(round * 7_919 % count);
        for (clients, times) in clients.iter_mut().zip(&mut times) {
            let since = Instant::now();
            assert!(!clients.lookup("m", &text).await.is_empty());
            times.push(since.elapsed());
        }
    }
    times.map(|mut times| percentile(&mut times, 0.5))
}

/// Lookups a second of several callers on some nodes.
async fn lookups_a_second(urls: &[String], count: usize) -> f64 {
    let mut running = tokio::task::JoinSet::new();
    for caller in 0..CALLERS {
        let url = urls[caller % urls.len()].clone();
        running.spawn(async move {
            let mut clients = Clients::connect(&url).await;
            let (since, mut done) = (Instant::now(), 0_usize);
            while since.elapsed() < COUNTED {
                clients.lookup("m", &source((done * CALLERS + caller) % count)).await;
                done += 1;
            }
            done as f64 / since.elapsed().as_secs_f64()
        });
    }
    running.join_all().await.into_iter().sum()
}

fn create(source: &str) -> proto::CreateUnitRequest {
    proto::CreateUnitRequest {
        parent: "memories/m".into(),
        unit: Some(unit(source, "target")),
        ..Default::default()
    }
}

/// How long a write on one node takes until a lookup on another one finds it, in milliseconds (median and 99 %), and how many
/// lookups with the number of the commit do not find it at once.
async fn freshness(writer: &str, reader: &str, from: usize) -> ([f64; 2], usize) {
    let (mut writer, mut reader) = (Clients::connect(writer).await, Clients::connect(reader).await);
    let (mut times, mut violations) = (Vec::new(), 0);
    for number in from..from + WRITES {
        let text = source(number);
        let made = writer.units.create_unit(create(&text)).await.unwrap();
        let acknowledged = Instant::now();
        if number % 2 == 0 {
            while !found_exactly(&reader.lookup("m", &text).await) {
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
            times.push(acknowledged.elapsed());
        } else {
            let mut request = Request::new(lookup_request(&["m"], &text));
            let seen = made.metadata().get("x-dhakira-sequence").unwrap().clone();
            request.metadata_mut().insert("x-dhakira-sequence", seen);
            let found = reader.lookups.lookup_segments(request).await.unwrap().into_inner();
            violations += usize::from(!found_exactly(&found.results[0].matches));
        }
    }
    ([0.5, 0.99].map(|part| percentile(&mut times, part)), violations)
}

fn found_exactly(matches: &[proto::Match]) -> bool {
    matches.iter().any(|it| it.score_percent == 100.0)
}

/// Kills the primary and promotes a standby, which the other one follows; seconds until a write is acknowledged, and lookups that
/// failed meanwhile, of how many.
async fn failover(cluster: &Cluster, url: &str, from: usize) -> (f64, usize, usize) {
    let (mut calls, mut reader) = (Clients::connect(url).await, Clients::connect(url).await);
    let (mut failed, mut looked_up, mut number) = (0, 0, from);
    let since = Instant::now();
    cluster.postgres.primary.kill();
    tokio::task::block_in_place(|| {
        let postgres = &cluster.postgres;
        postgres.standbys[postgres.promote()].set_synchronous("ANY 1 (*)");
    });
    loop {
        let answer = reader.lookups.lookup_segments(lookup_request(&["m"], &source(0))).await;
        looked_up += 1;
        failed += usize::from(answer.is_err());
        match calls.units.create_unit(create(&source(number))).await {
            Ok(_) => return (since.elapsed().as_secs_f64(), failed, looked_up),
            Err(error) => assert_eq!(error.code(), tonic::Code::Unavailable, "{error}"),
        }
        number += 1;
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// What is measured, by name; each is printed at once.
#[derive(Default)]
struct Figures(Vec<(&'static str, f64)>);

impl Figures {
    fn put(&mut self, name: &'static str, value: f64) {
        say(&format!("{name:<36}{value:>14.3}"));
        self.0.push((name, value));
    }
}

/// Lookups a second of the callers on one, two and three nodes, each with its share of a core.
async fn measure_scaling(nodes: &[&Process; NODES], count: usize, figures: &mut Figures) {
    let shares: Vec<Share> =
        nodes.iter().filter_map(|node| Share::of(node.child.id(), SHARE)).collect();
    if shares.len() < NODES {
        say("the nodes share the cores as they like: limits for processes cannot be set here");
        return;
    }
    figures.put("cores_of_a_node", SHARE);
    let urls = nodes.map(|it| it.url.clone());
    let names = ["lookups_per_second_1", "lookups_per_second_2", "lookups_per_second_3"];
    for (last, name) in names.into_iter().enumerate() {
        figures.put(name, lookups_a_second(&urls[..=last], count).await);
    }
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "measures"]
async fn a_cluster_beside_a_single_machine() {
    let root = tempfile::tempdir().unwrap();
    let (root, count) = (root.path(), units());
    let Some(cluster) = Cluster::start(root) else { return };
    let corpus = corpus(root, count);
    let single_data = root.join("single");
    let single = Process::start(&single_data);
    let mut figures = Figures::default();
    figures.put("units", count as f64);
    figures.put("single_import_units_per_second", import(&corpus, "m", &single.url, count));

    let (first, _) = cluster.node("one");
    figures.put("import_units_per_second", import(&corpus, "m", &first.url, count));
    let (second, new) = cluster.node("two");
    figures.put("new_node_seconds", new.as_secs_f64());
    let (third, _) = cluster.node("three");
    let forwarded = import(&corpus, "other", &third.url, count);
    figures.put("forwarded_import_units_per_second", forwarded);

    let [alone, node] = compare_lookups(&single.url, &second.url, count).await;
    figures.put("single_lookup_p50_us", alone * 1e3);
    figures.put("node_lookup_p50_us", node * 1e3);
    figures.put("lookup_ratio", node / alone);
    measure_scaling(&[&first, &second, &third], count, &mut figures).await;
    let ([median, tail], violations) = freshness(&first.url, &third.url, count).await;
    figures.put("found_elsewhere_p50_us", median * 1e3);
    figures.put("found_elsewhere_p99_us", tail * 1e3);
    figures.put("reads_of_own_writes", (WRITES / 2) as f64);
    figures.put("reads_of_own_writes_stale", violations as f64);

    drop((single, second));
    let since = Instant::now();
    drop(Process::start(&single_data));
    figures.put("single_restart_seconds", since.elapsed().as_secs_f64());
    let (_second, again) = cluster.node("two");
    figures.put("node_restart_seconds", again.as_secs_f64());
    let (seconds, failed, of) = failover(&cluster, &third.url, count + WRITES).await;
    figures.put("failover_seconds", seconds);
    figures.put("failover_lookups", of as f64);
    figures.put("failover_lookups_failed", failed as f64);
    let fsync = std::env::var("DHAKIRA_TEST_FSYNC").unwrap_or_else(|_| "off".to_owned());
    let command = format!(
        "DHAKIRA_TEST_FSYNC={fsync} DHAKIRA_FIGURES_UNITS={count} cargo test --release --test tests cluster::figures -- --ignored --nocapture"
    );
    keep("cluster", &command, &figures.0);
    assert_eq!((violations, failed), (0, 0));
}
