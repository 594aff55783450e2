//! What the tests share: servers on free ports, raw clients, and the real data where it is there.

pub(crate) mod cores;
pub(crate) mod failing;
pub(crate) mod figures;
pub(crate) mod log;
pub(crate) mod patroni;
pub(crate) mod postgres;
pub(crate) mod proxy;

use std::io::Write as _;
use std::path::PathBuf;
use std::sync::Arc;

use dhakira::engine::{Cancel, Engine, EngineError, ListQuery, NewMemory};
use dhakira::grpc::Api;
use dhakira::server::{Bound, ServeOptions, Shutdown};
use dhakira::store::{Backend, InMemoryStore};
use dhakira::unit::{MemoryName, Unit};
use tonic::transport::Channel;

/// The protocol as any client sees it.
#[allow(missing_docs, unreachable_pub, clippy::pedantic, clippy::large_enum_variant)]
pub(crate) mod proto {
    tonic::include_proto!("dhakira.v1");
}

pub(crate) use proto::alignment_service_client::AlignmentServiceClient;
pub(crate) use proto::lookup_service_client::LookupServiceClient;
pub(crate) use proto::memory_service_client::MemoryServiceClient;
pub(crate) use proto::unit_service_client::UnitServiceClient;

/// A server on a free port.
pub(crate) struct TestServer {
    pub(crate) url: String,
    pub(crate) shutdown: Shutdown,
    pub(crate) task: tokio::task::JoinHandle<()>,
}

impl TestServer {
    /// Over an empty store in memory.
    pub(crate) async fn start() -> Self {
        Self::over(Arc::new(InMemoryStore::default())).await
    }

    pub(crate) async fn over(store: impl Into<Backend>) -> Self {
        Self::with(Api::ready(Engine::open(store, None, &mut |_| ()).unwrap())).await
    }

    pub(crate) async fn with(api: Api) -> Self {
        Self::with_options(api, ServeOptions::default()).await
    }

    pub(crate) async fn with_options(api: Api, options: ServeOptions) -> Self {
        let bound = Bound::new("127.0.0.1:0".parse().unwrap()).await.unwrap();
        let url = format!("http://{}", bound.address());
        let shutdown = Shutdown::default();
        let serving = bound.serve_with(api, shutdown.clone(), options);
        let task = tokio::spawn(async move { serving.await.unwrap() });
        Self { url, shutdown, task }
    }

    /// Host and port.
    pub(crate) fn address(&self) -> &str {
        self.url.trim_start_matches("http://")
    }

    pub(crate) async fn clients(&self) -> Clients {
        Clients::connect(&self.url).await
    }
}

/// An engine over an empty store in memory.
pub(crate) fn empty_api() -> Api {
    Api::ready(Engine::open(Arc::new(InMemoryStore::default()), None, &mut |_| ()).unwrap())
}

/// The fields of a memory from Arabic to English.
pub(crate) fn new_memory(name: MemoryName) -> NewMemory {
    NewMemory::new(name, "ar".parse().unwrap(), "en".parse().unwrap())
}

pub(crate) struct Clients {
    pub(crate) memories: MemoryServiceClient<Channel>,
    pub(crate) units: UnitServiceClient<Channel>,
    pub(crate) lookups: LookupServiceClient<Channel>,
    pub(crate) channel: Channel,
}

impl Clients {
    pub(crate) async fn connect(url: &str) -> Self {
        Self::over(Channel::from_shared(url.to_owned()).unwrap().connect().await.unwrap())
    }

    pub(crate) fn over(channel: Channel) -> Self {
        Self {
            memories: MemoryServiceClient::new(channel.clone()),
            units: UnitServiceClient::new(channel.clone()),
            lookups: LookupServiceClient::new(channel.clone()),
            channel,
        }
    }

    pub(crate) async fn create_memory(&mut self, id: &str) {
        let memory = proto::Memory {
            source_language_code: "ar".into(),
            target_language_code: "en".into(),
            ..Default::default()
        };
        let request = proto::CreateMemoryRequest {
            memory_id: id.into(),
            memory: Some(memory),
            request_id: String::new(),
        };
        self.memories.create_memory(request).await.unwrap();
    }

    pub(crate) async fn create_unit(
        &mut self,
        memory: &str,
        source: &str,
        target: &str,
    ) -> proto::Unit {
        let request = proto::CreateUnitRequest {
            parent: format!("memories/{memory}"),
            unit: Some(unit(source, target)),
            duplicate_policy: proto::DuplicatePolicy::KeepAll.into(),
            ..Default::default()
        };
        self.units.create_unit(request).await.unwrap().into_inner().unit.unwrap()
    }

    pub(crate) async fn lookup(&mut self, memory: &str, text: &str) -> Vec<proto::Match> {
        let request = lookup_request(&[memory], text);
        let response = self.lookups.lookup_segments(request).await.unwrap().into_inner();
        response.results.into_iter().next().unwrap().matches
    }
}

pub(crate) fn segment(text: &str) -> Option<proto::Segment> {
    Some(proto::Segment { text: text.into(), tags: Vec::new() })
}

pub(crate) fn unit(source: &str, target: &str) -> proto::Unit {
    proto::Unit { source: segment(source), target: segment(target), ..Default::default() }
}

pub(crate) fn lookup_request(memories: &[&str], text: &str) -> proto::LookupSegmentsRequest {
    let memories = memories
        .iter()
        .map(|name| proto::MemoryChoice { name: format!("memories/{name}"), penalty_points: None })
        .collect();
    proto::LookupSegmentsRequest {
        settings: Some(proto::LookupSettings { memories, ..Default::default() }),
        segments: vec![proto::QuerySegment { segment: segment(text), ..Default::default() }],
    }
}

/// How to analyse with some memories.
pub(crate) fn analysis_settings(memories: &[&str]) -> proto::AnalysisSettings {
    let lookup = lookup_request(memories, "").settings;
    proto::AnalysisSettings { lookup, ..Default::default() }
}

/// Says something at once, and not by a macro: the test harness hides what the macros print unless the test fails.
pub(crate) fn say(line: &str) {
    std::io::stderr().write_all(format!("{line}\n").as_bytes()).unwrap();
}

/// Says that a test is skipped, and lists that in the file that `DHAKIRA_SKIPS` names.
pub(crate) fn skip(why: &str) {
    let line = format!("SKIPPED: {why}");
    say(&line);
    if let Some(list) = std::env::var_os("DHAKIRA_SKIPS") {
        let mut list = std::fs::File::options().append(true).create(true).open(list).unwrap();
        list.write_all(format!("{line}\n").as_bytes()).unwrap();
    }
}

/// A file of the real data, beside the project or in `DHAKIRA_SHARED`; says so and gives nothing where it is not there.
pub(crate) fn shared(path: &str) -> Option<PathBuf> {
    let beside = || PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../shared"));
    let directory = std::env::var_os("DHAKIRA_SHARED").map_or_else(beside, PathBuf::from);
    let full = directory.join(path);
    if full.exists() {
        return Some(full);
    }
    eprintln!("SKIPPED: {} is not there", full.display());
    None
}

/// The units of a memory, in the order of their numbers.
pub(crate) fn all_units(engine: &Engine, name: &MemoryName) -> Vec<Unit> {
    read_units(engine, name).unwrap()
}

/// The same, of a store that may be damaged.
pub(crate) fn read_units(engine: &Engine, name: &MemoryName) -> Result<Vec<Unit>, EngineError> {
    let (query, cancel) = (ListQuery::default(), Cancel::default());
    let (mut units, mut after) = (Vec::new(), None);
    loop {
        let page = engine.list_units(name, &query, after, 1_000, &cancel)?;
        units.extend(page.units);
        after = page.next;
        if after.is_none() {
            return Ok(units);
        }
    }
}
