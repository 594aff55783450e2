//! Measures over the wire: a server in a process of its own, and clients on the same cores.

use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use crate::client::Client;
use crate::engine::{LookupSettings, QuerySegment};
use crate::unit::MemoryName;
use anyhow::Context as _;

use super::measure::{Figures, number, resident_mb_of};

/// A server process, stopped when dropped.
pub(super) struct Server {
    child: Child,
    pub(super) url: String,
}

impl Server {
    /// Serves a data directory with this very program, and waits until it is ready. Blocks.
    pub(super) fn start(data: &Path) -> anyhow::Result<Self> {
        Self::start_with(data, &[])
    }

    /// The same, with more flags. Blocks.
    pub(super) fn start_with(data: &Path, flags: &[&str]) -> anyhow::Result<Self> {
        let mut command = Command::new(std::env::current_exe()?);
        command.args(["serve", "--until-stdin-ends", "--listen", "127.0.0.1:0"]);
        let mut child = command
            .args(flags)
            .arg("--data")
            .arg(data)
            .stdin(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()?;
        let lines = BufReader::new(child.stderr.take().context("no standard error")?).lines();
        let mut server = Self { child, url: String::new() };
        let mut lines = lines.map_while(Result::ok);
        for line in lines.by_ref() {
            if let Some((_, rest)) = line.split_once("listening on ") {
                let address = rest.split(' ').next().unwrap_or_default();
                server.url = format!("http://{address}");
            }
            if line.contains("dhakira: ready") {
                break;
            }
        }
        anyhow::ensure!(!server.url.is_empty(), "the server did not start");
        // The pipe is kept empty, so that the server never waits for it.
        std::thread::spawn(move || lines.for_each(drop));
        Ok(server)
    }

    /// Its process id.
    pub(super) fn id(&self) -> u32 {
        self.child.id()
    }

    /// Stops it and waits; returns whether it exited successfully. Blocks.
    pub(super) fn stop(mut self) -> anyhow::Result<bool> {
        let process = self.child.id().to_string();
        anyhow::ensure!(Command::new("kill").args(["-TERM", &process]).status()?.success());
        Ok(self.child.wait()?.success())
    }

    /// Memory of the server.
    pub(super) fn resident_mb(&self) -> f64 {
        resident_mb_of(&self.child.id().to_string())
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// One call a segment, one after the other.
pub(super) async fn one_by_one(
    client: &mut Client,
    settings: &LookupSettings,
    queries: &[QuerySegment],
) -> anyhow::Result<Vec<Duration>> {
    let mut times = Vec::with_capacity(queries.len());
    for query in queries {
        let since = Instant::now();
        client.lookup(settings, vec![query.clone()]).await?;
        times.push(since.elapsed());
    }
    Ok(times)
}

/// Calls without work, which measure the wire.
pub(super) async fn empty_calls(
    client: &mut Client,
    memory: &MemoryName,
    count: usize,
) -> anyhow::Result<Vec<Duration>> {
    let mut times = Vec::with_capacity(count);
    for _ in 0..count {
        let since = Instant::now();
        client.memory(memory).await?;
        times.push(since.elapsed());
    }
    Ok(times)
}

/// Segments a second in calls of many, a few calls at a time.
pub(super) async fn batched(
    client: &Client,
    settings: &LookupSettings,
    queries: &[QuerySegment],
    batch: usize,
    at_a_time: usize,
) -> anyhow::Result<f64> {
    let calls: Vec<Vec<QuerySegment>> = queries.chunks(batch).map(<[_]>::to_vec).collect();
    let seconds = calls_of(client, settings, calls, at_a_time).await?;
    Ok(number(queries.len()) / seconds)
}

/// Makes calls, so many at a time over one connection; returns the time it took.
async fn calls_of(
    client: &Client,
    settings: &LookupSettings,
    calls: Vec<Vec<QuerySegment>>,
    at_a_time: usize,
) -> anyhow::Result<f64> {
    let since = Instant::now();
    let mut running = tokio::task::JoinSet::new();
    for part in calls.chunks(calls.len().div_ceil(at_a_time).max(1)) {
        let (mut client, settings, part) = (client.clone(), settings.clone(), part.to_vec());
        running.spawn(async move {
            for call in part {
                client.lookup(&settings, call).await?;
            }
            anyhow::Ok(())
        });
    }
    while let Some(done) = running.join_next().await {
        done??;
    }
    Ok(since.elapsed().as_secs_f64())
}

/// Lookups, one by one, while units are imported into the same memory by the import command.
pub(super) async fn during_import(
    figures: &mut Figures,
    client: &mut Client,
    settings: &LookupSettings,
    queries: &[QuerySegment],
    (server, file, units): (&Server, &Path, usize),
) -> anyhow::Result<()> {
    let mut command = Command::new(std::env::current_exe()?);
    let memory = settings.memories[0].memory.to_string();
    command.args(["import", "--duplicates", "keep-all", "--json", "--server", &server.url]);
    command.args(["--memory", &memory]).arg(file).stdout(Stdio::null());
    let mut import = command.spawn()?;
    let since = Instant::now();
    let mut times = Vec::new();
    for query in queries.iter().cycle() {
        if let Some(status) = import.try_wait()? {
            anyhow::ensure!(status.success(), "the import failed");
            break;
        }
        let since = Instant::now();
        client.lookup(settings, vec![query.clone()]).await?;
        times.push(since.elapsed());
    }
    figures.put("import_units_per_second", number(units) / since.elapsed().as_secs_f64());
    figures.put("import_lookups", number(times.len()));
    figures.percentiles("grpc_during_import", times);
    Ok(())
}
