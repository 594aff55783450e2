//! `dhakira bench ratios`: measures ratios of times, which a slow or busy machine changes little, and compares them with a file.

mod compare;
mod instructions;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use clap::Args;

use crate::client::Client;
use crate::engine::Engine;
use crate::store::InMemoryStore;
use crate::terminal::{json_line, table};
use crate::unit::MemoryName;

use super::import::{MEMORY, embedded, store_alone, write_tmx, write_tsv};
use super::lookup::{fill, lookup_settings, time_lookups};
use super::measure::{median, number};
use super::record::{Record, significant};
use super::served::{Server, batched, empty_calls, one_by_one};
use super::tools::{Protocol, one_after_the_other};
use super::train::check;
use super::workload::{Workload, search_all};

use compare::{Change, Committed, Compared, Measured, Ratios, compare};
pub(super) use instructions::BenchPasses;
use instructions::instructions_per_lookup;

/// Measures how many times as long one way takes as another, and compares these ratios with committed ones.
#[derive(Debug, Args)]
#[command(
    after_help = "All ratios are costs: less is better. The memory is made of the sample memory of the program. It takes a \
    minute or two. What got worse by more than a tenth is marked, and never fails the command: machines are noisy. Ratios are \
    only compared with those of a program that was optimised alike."
)]
pub(super) struct BenchRatios {
    /// The file to compare with.
    #[arg(long, value_name = "FILE", default_value = "benches/ratios.json")]
    compare: PathBuf,
    /// Write what was measured into the file.
    #[arg(long)]
    write: bool,
    /// One JSON object with the ratios.
    #[arg(long)]
    json: bool,
}

/// The degree of optimisation of this program, by which the file is divided.
const OPTIMISATION: &str = concat!("opt-level-", env!("DHAKIRA_OPT_LEVEL"));
/// Units of the memory.
const UNITS: usize = 20_000;
/// Segments looked up in each round.
const QUERIES: usize = 400;
/// Units of the memory that is checked.
const CHECKED_UNITS: usize = 5_000;
/// Rounds: each measures everything once, so that a busy moment hits both sides of a ratio.
const ROUNDS: usize = 5;
/// Rounds of imports, which take longer.
const IMPORT_ROUNDS: usize = 3;
/// Segments in a batch.
const BATCH: usize = 100;
/// Calls in flight at the same time.
const CLIENTS: usize = 8;

impl BenchRatios {
    /// Blocks.
    pub(super) fn run(self) -> anyhow::Result<()> {
        let committed = Committed::read(&self.compare)?;
        let since = Instant::now();
        let directory = PathBuf::from("./dhakira-bench").join(uuid::Uuid::new_v4().to_string());
        std::fs::create_dir_all(&directory)?;
        let ratios = measure(&directory);
        std::fs::remove_dir_all(&directory)?;
        let ratios = ratios?;
        let before = committed.of(OPTIMISATION);
        if self.json {
            json_line(&serde_json::json!({ "optimisation": OPTIMISATION, "ratios": &ratios }))?;
        } else {
            show(before, &ratios)?;
        }
        note!("dhakira: measured in {:.0} s", since.elapsed().as_secs_f64());
        if self.write {
            let Record { commit, date, .. } = Record::begin();
            committed.write(&self.compare, OPTIMISATION, Measured { commit, date, ratios })?;
        }
        Ok(())
    }
}

fn show(before: Option<&Measured>, now: &Ratios) -> anyhow::Result<()> {
    match before {
        Some(Measured { commit, date, .. }) => {
            say!("{OPTIMISATION}, committed: {commit}, {date}; all are costs, less is better")?;
        }
        None => say!("{OPTIMISATION}, nothing committed")?,
    }
    let none = Ratios::new();
    let compared = compare(before.map_or(&none, |it| &it.ratios), now);
    let heads = ["ratio", "committed", "now", "change", ""].map(str::to_owned).to_vec();
    let rows: Vec<_> = std::iter::once(heads).chain(compared.iter().map(Compared::row)).collect();
    show!("{}", table(&rows))?;
    let worse = compared.iter().filter(|it| it.change == Change::Worse).count();
    say!("{worse} of {} got worse by more than 10 %", compared.len())
}

fn measure(directory: &Path) -> anyhow::Result<Ratios> {
    let mut ratios = Ratios::new();
    let mut put = |name: &str, value: f64| {
        ratios.insert(name.to_owned(), significant(value, 4));
    };
    let workload = Workload::sample(UNITS, QUERIES)?;
    note!("dhakira: imports");
    let store = directory.join("store");
    for (name, ratio) in imports(directory, &store, &workload)? {
        put(name, ratio);
    }
    note!("dhakira: a check");
    put("check/import", check_to_import(directory, &workload)?);
    note!("dhakira: lookups");
    for (name, ratio) in lookups(&store, &workload)? {
        put(name, ratio);
    }
    note!("dhakira: instructions");
    match instructions_per_lookup() {
        Some((instructions, counter)) => {
            note!("dhakira: {counter} counted them");
            put("instructions_per_lookup", instructions);
        }
        None => note!("dhakira: SKIPPED instructions_per_lookup: neither perf nor valgrind counts"),
    }
    Ok(ratios)
}

/// Times of a unit on its way into a store; leaves a store with all units.
fn imports(
    directory: &Path,
    store: &Path,
    workload: &Workload,
) -> anyhow::Result<[(&'static str, f64); 2]> {
    let langs = [&"ar".parse()?, &"en".parse()?];
    let (tsv, tmx) = (directory.join("units.tsv"), directory.join("units.tmx"));
    write_tsv(&tsv, langs, workload.units.iter().cloned())?;
    write_tmx(&tmx, langs, workload.units.iter().cloned())?;
    let [mut of_tsv, mut of_tmx, mut alone] = [const { Vec::new() }; 3];
    for round in 0..IMPORT_ROUNDS {
        let other = directory.join(format!("store-{round}"));
        of_tmx.push(1.0 / embedded(&other, &tmx)?.units_per_second);
        std::fs::remove_dir_all(&other)?;
        let taken = store_alone(&other, langs, workload.units.iter().cloned())?;
        alone.push(taken.as_secs_f64() / number(UNITS));
        std::fs::remove_dir_all(&other)?;
        of_tsv.push(1.0 / embedded(&other, &tsv)?.units_per_second);
        if round + 1 == IMPORT_ROUNDS {
            std::fs::rename(&other, store)?;
        } else {
            std::fs::remove_dir_all(&other)?;
        }
    }
    let (of_tsv, of_tmx, alone) = (median(of_tsv), median(of_tmx), median(alone));
    Ok([("tmx/tsv", of_tmx / of_tsv), ("import/store", of_tsv / alone)])
}

/// Processor time of a check, training included, to that of the import of the same units.
fn check_to_import(directory: &Path, workload: &Workload) -> anyhow::Result<f64> {
    let (file, store) = (directory.join("checked.tsv"), directory.join("checked"));
    let units = workload.units.iter().take(CHECKED_UNITS).cloned();
    write_tsv(&file, [&"ar".parse()?, &"en".parse()?], units)?;
    let imported = embedded(&store, &file)?;
    let checked = check(&store)?;
    Ok(checked.cpu_seconds / imported.cpu_seconds)
}

/// Times of a lookup, the median of each round.
#[derive(Default)]
struct Rounds {
    index: Vec<f64>,
    engine: Vec<f64>,
    empty_call: Vec<f64>,
    grpc: Vec<f64>,
    json: Vec<f64>,
    /// Seconds a segment under load, one a call.
    unary: Vec<f64>,
    /// Seconds a segment under load, many a call.
    batch: Vec<f64>,
}

fn lookups(store: &Path, workload: &Workload) -> anyhow::Result<[(&'static str, f64); 4]> {
    let memory: MemoryName = MEMORY.parse()?;
    let settings = lookup_settings(&memory, 70.0, 5)?;
    let (index, searched) = workload.index()?;
    let engine = Engine::open(Arc::new(InMemoryStore::default()), None, &mut |_| ())?;
    fill(&engine, &memory, workload.units.iter().cloned())?;
    let server = Server::start(store)?;
    let host = server.url.trim_start_matches("http://");
    let mut rounds = Rounds::default();
    // On one thread, as a client that wants its answers soon.
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let mut client = Client::connect(&server.url).await?;
        for _ in 0..ROUNDS {
            let queries = &workload.queries;
            rounds.index.push(middle(search_all(&index, &searched)?));
            rounds.engine.push(middle(time_lookups(&engine, &settings, queries)?.0));
            let calls = empty_calls(&mut client, &memory, queries.len()).await?;
            rounds.empty_call.push(middle(calls));
            rounds.grpc.push(middle(one_by_one(&mut client, &settings, queries).await?));
            rounds.json.push(middle(one_after_the_other(Protocol::Json, host, queries).await?));
            for (batch, seconds) in [(1, &mut rounds.unary), (BATCH, &mut rounds.batch)] {
                seconds.push(1.0 / batched(&client, &settings, queries, batch, CLIENTS).await?);
            }
        }
        anyhow::Ok(())
    })?;
    let ratio = |above: Vec<f64>, below: &[f64]| median(above) / median(below.to_vec());
    Ok([
        ("engine/index", ratio(rounds.engine, &rounds.index)),
        ("json/grpc", ratio(rounds.json, &rounds.grpc)),
        ("grpc/empty_call", ratio(rounds.grpc, &rounds.empty_call)),
        ("batch/unary", ratio(rounds.batch, &rounds.unary)),
    ])
}

fn middle(times: Vec<Duration>) -> f64 {
    median(times.iter().map(Duration::as_secs_f64).collect())
}
