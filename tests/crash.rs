//! kill −9 at random moments of an import: every acknowledged batch is stored, and none in part.
//!
//! A few rounds in every test run; `DHAKIRA_CRASH_ROUNDS=100` for more.

use std::collections::BTreeMap;
use std::io::{BufRead as _, BufReader, Write as _};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use dhakira::store::{MemoryKey, OpenOptions, SledStore, Store as _};
use tokio_stream::StreamExt as _;
use tonic::transport::Channel;

use crate::support::proto::import_units_request::Message as ImportMessage;
use crate::support::{MemoryServiceClient, UnitServiceClient, proto, unit};

const UNITS_IN_BATCH: usize = 20;

/// A server process and its address.
pub(crate) struct Process {
    pub(crate) child: Child,
    pub(crate) url: String,
}

impl Process {
    pub(crate) fn start(data: &std::path::Path) -> Self {
        Self::start_with(data, &[])
    }

    /// The same with variables of the environment.
    pub(crate) fn start_with(data: &std::path::Path, variables: &[(&str, String)]) -> Self {
        Self::try_start_with(data, variables)
            .unwrap_or_else(|said| panic!("the server did not start: {said}"))
    }

    /// A server that is ready, or everything that it said before it ended.
    pub(crate) fn try_start_with(
        data: &std::path::Path,
        variables: &[(&str, String)],
    ) -> Result<Self, String> {
        // Another build, to compare with.
        let program = std::env::var_os("DHAKIRA_TEST_SERVER");
        let program = program.unwrap_or_else(|| env!("CARGO_BIN_EXE_dhakira").into());
        let mut child = Command::new(program)
            .args(["serve", "--until-stdin-ends", "--listen", "127.0.0.1:0", "--data"])
            .arg(data)
            .envs(variables.iter().map(|(name, value)| (name, value)))
            .stdin(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(child.stderr.take().unwrap()).lines().map(Result::unwrap);
        let (mut url, mut said) = (String::new(), String::new());
        for line in lines.by_ref() {
            said.push_str(&line);
            said.push('\n');
            if let Some((_, rest)) = line.split_once("listening on ") {
                url = format!("http://{}", rest.split(' ').next().unwrap());
            }
            if line.contains("ready, ") {
                // Keep the pipe open and empty, so that the server never waits for it.
                let log = log_of(&child);
                std::thread::spawn(move || lines.for_each(|line| log(&line)));
                return Ok(Self { child, url });
            }
        }
        assert!(!child.wait().unwrap().success(), "it ended before it was ready: {said}");
        Err(said)
    }

    pub(crate) fn signal(&self, signal: &str) {
        let status =
            Command::new("kill").args([signal, &self.child.id().to_string()]).status().unwrap();
        assert!(status.success());
    }
}

/// Keeps what a server says, in the directory that `DHAKIRA_TEST_LOGS` names.
fn log_of(child: &Child) -> impl Fn(&str) + Send + use<> {
    let directory = std::env::var_os("DHAKIRA_TEST_LOGS").map(std::path::PathBuf::from);
    let path = directory.map(|it| it.join(format!("{}.log", child.id())));
    let log = path.map(|it| std::fs::File::options().append(true).create(true).open(it).unwrap());
    move |line| {
        if let Some(mut log) = log.as_ref() {
            writeln!(log, "{line}").unwrap();
        }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Imports batches until the server is killed; gives the last batch that was acknowledged.
async fn import_until_killed(url: &str, round: usize, fuse: Duration, process: &Process) -> i64 {
    let channel = Channel::from_shared(url.to_owned()).unwrap().connect().await.unwrap();
    let mut memories = MemoryServiceClient::new(channel.clone());
    let memory = proto::Memory {
        source_language_code: "ar".into(),
        target_language_code: "en".into(),
        ..Default::default()
    };
    let create = proto::CreateMemoryRequest {
        memory_id: "m".into(),
        memory: Some(memory),
        request_id: String::new(),
    };
    // From the second round on it is there.
    let _ = memories.create_memory(create).await;
    let header = ImportMessage::Header(proto::ImportHeader {
        parent: "memories/m".into(),
        import_id: uuid::Uuid::new_v4().to_string(),
        duplicate_policy: proto::DuplicatePolicy::KeepAll.into(),
        ..Default::default()
    });
    let batches = (1..).map(move |number| {
        let units = (0..UNITS_IN_BATCH).map(|index| proto::Unit {
            document: format!("{round}/{number}"),
            ..unit(&format!("source {round} {number} {index}"), "target")
        });
        ImportMessage::Batch(proto::ImportBatch { number, units: units.collect(), last: false })
    });
    let requests = std::iter::once(header)
        .chain(batches)
        .map(|message| proto::ImportUnitsRequest { message: Some(message) });
    let mut units = UnitServiceClient::new(channel);
    let mut answers = units.import_units(tokio_stream::iter(requests)).await.unwrap().into_inner();
    let mut acked = 0;
    let deadline = tokio::time::sleep(fuse);
    tokio::pin!(deadline);
    loop {
        tokio::select! {
            answer = answers.next() => match answer {
                Some(Ok(answer)) => acked = answer.acked_through,
                _ => return acked,
            },
            () = &mut deadline => {
                process.signal("-KILL");
                // Acknowledgements that are still in transit count.
                while let Some(Ok(answer)) = answers.next().await {
                    acked = answer.acked_through;
                }
                return acked;
            }
        }
    }
}

/// Units of each document, `round/batch`.
fn count_batches(data: &std::path::Path) -> BTreeMap<String, usize> {
    let options =
        OpenOptions { create: false, accept_data_loss: false, purpose: "test".to_owned() };
    let store = SledStore::open(data, &options).unwrap();
    let mut counts = BTreeMap::new();
    let memory = MemoryKey(1);
    let units = store.page(memory, None, usize::MAX).unwrap();
    let counted = store.memories().unwrap().first().map_or(0, |memory| memory.unit_count);
    assert_eq!(units.len() as u64, counted);
    for unit in units {
        *counts.entry(unit.content.document).or_default() += 1;
    }
    counts
}

#[tokio::test(flavor = "multi_thread")]
async fn killed_imports_lose_nothing_that_was_acknowledged() {
    let rounds = std::env::var("DHAKIRA_CRASH_ROUNDS").ok().and_then(|text| text.parse().ok());
    let rounds = rounds.unwrap_or(5);
    let mut directory = tempfile::tempdir().unwrap();
    let mut acked: BTreeMap<usize, i64> = BTreeMap::new();
    let (mut batches, mut unacknowledged, mut lost, mut torn) = (0, 0, 0, 0);
    for round in 0..rounds {
        if round % 10 == 0 {
            // New stores crash in other places than old ones.
            directory = tempfile::tempdir().unwrap();
            acked.clear();
        }
        let process = Process::start(directory.path());
        // Spread over the first moments and the steady state, without a random generator.
        let fuse = Duration::from_millis((round as u64 * 7_919) % 700);
        let last = import_until_killed(&process.url, round, fuse, &process).await;
        drop(process);
        acked.insert(round, last);
        let counts = count_batches(directory.path());
        for (&round, &last) in &acked {
            lost += (1..=last).filter(|it| !counts.contains_key(&format!("{round}/{it}"))).count();
        }
        torn += counts.values().filter(|&&units| units != UNITS_IN_BATCH).count();
        batches += last;
        let prefix = format!("{round}/");
        let stored = counts.keys().filter(|batch| batch.starts_with(&prefix)).count();
        unacknowledged += i64::try_from(stored).unwrap() - last;
    }
    eprintln!(
        "{rounds} rounds of kill -9: {batches} batches acknowledged, {lost} of them lost, {unacknowledged} others there, {torn} torn"
    );
    assert_eq!((lost, torn), (0, 0));
}
