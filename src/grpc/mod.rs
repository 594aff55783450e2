//! How does the outside speak to the engine? The gRPC skin: parse, call, convert. Generated types stay in here.
//!
//! Knows nothing of sockets (see `server`) and decides nothing about memories, units or matches.

pub mod access;
pub(crate) mod admin;
mod alignment;
mod alignment_streams;
pub(crate) mod analysis;
pub mod codec;
pub(crate) mod concordance;
pub(crate) mod convert;
mod counts;
pub mod decoded;
mod import_files;
pub(crate) mod imports;
pub(crate) mod lookups;
mod memories;
mod page_token;
pub(crate) mod status;
pub(crate) mod unit_streams;
mod units;
mod update_mask;

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use tokio::runtime::{Handle, RuntimeFlavor};
use tokio_util::sync::CancellationToken;
use tonic::Status;
use tonic::service::{Routes, RoutesBuilder};

use crate::engine::{Cancel, Engine, EngineError};
use crate::limits::MESSAGE_BYTES_MAX;
use crate::store::Secret;

use import_files::FilePlaces;
use lookups::CancelOnDrop;
use proto::admin_service_server::AdminServiceServer;
use proto::alignment_service_server::AlignmentServiceServer;
use proto::lookup_service_server::LookupServiceServer;
use proto::memory_service_server::MemoryServiceServer;
use proto::unit_service_server::UnitServiceServer;

pub use analysis::JobReport;
pub use concordance::PassageInfo;
pub use counts::{LookupCounts, Standing};
pub use imports::{ImportAck, RejectedUnit};
pub use lookups::{EditInfo, MatchInfo, SubstitutionInfo};
use status::WRITES_PAUSED;
pub use status::{ERROR_DOMAIN, refusal, undecodable, with_info};

/// The generated messages, clients and servers.
#[allow(missing_docs, unreachable_pub, clippy::pedantic, clippy::large_enum_variant)]
pub(crate) mod proto {
    tonic::include_proto!("dhakira.v1");
}

/// The compiled protocol, for reflection.
pub const DESCRIPTORS: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/descriptors.bin"));

/// The full names of the services, as health checking wants them.
pub const SERVICE_NAMES: [&str; 5] = [
    <MemoryServiceServer<Api> as tonic::server::NamedService>::NAME,
    <UnitServiceServer<Api> as tonic::server::NamedService>::NAME,
    <LookupServiceServer<Api> as tonic::server::NamedService>::NAME,
    <AlignmentServiceServer<Api> as tonic::server::NamedService>::NAME,
    <AdminServiceServer<Api> as tonic::server::NamedService>::NAME,
];

/// Whether a text is a page token of a listing, and the same when it is written again: for tests that feed it anything.
#[doc(hidden)]
pub fn read_any_page_token(text: &str) -> Option<bool> {
    let secret = Secret([7; 32]);
    let token = page_token::PageToken::parse("page_token", text, &secret, "units of m").ok()??;
    Some(token.to_text(&secret, "units of m").eq_ignore_ascii_case(text))
}

/// All services, over an engine that may still be loading.
#[derive(Clone, Default)]
pub struct Api {
    engine: Arc<OnceLock<Engine>>,
    stopping: CancellationToken,
    files: FilePlaces,
    lookups: Arc<LookupCounts>,
}

impl Api {
    /// Services over an engine that is ready.
    pub fn ready(engine: Engine) -> Self {
        let api = Self::default();
        api.load(engine);
        api
    }

    /// Puts the engine behind the services; until then calls answer UNAVAILABLE.
    pub fn load(&self, engine: Engine) {
        // A second engine would be a mistake of the program; the first one stays.
        let _ = self.engine.set(engine);
    }

    /// Ends the streams that would never end by themselves.
    pub fn stop(&self) {
        self.stopping.cancel();
    }

    /// Learns the lexicons of memories that have changed, each time nothing was written for a while; returns when the
    /// services stop.
    pub async fn learn_when_idle(&self, idle: Duration) {
        let cancel = Cancel::default();
        let _stop_when_dropped = CancelOnDrop(cancel.clone());
        let learning = async {
            let Some(engine) = self.engine.get() else { return };
            let mut sequence = engine.watch_sequence();
            loop {
                sequence.mark_unchanged();
                match tokio::time::timeout(idle, sequence.changed()).await {
                    Ok(Ok(())) => continue,
                    // The writer has ended: nothing will change any more.
                    Ok(Err(_)) => return,
                    Err(_) => {}
                }
                let (api, cancel) = (self.clone(), cancel.clone());
                let learn = move || api.engine.get().map(|engine| engine.train_outdated(&cancel));
                // A fault was told to the log; the memories work without.
                let _ = tokio::task::spawn_blocking(learn).await;
                if sequence.changed().await.is_err() {
                    return;
                }
            }
        };
        tokio::select! {
            () = learning => {}
            () = self.stopping.cancelled() => {}
        }
    }

    /// Why writes are refused for now.
    pub fn writes_paused(&self) -> Option<String> {
        self.engine.get().and_then(Engine::writes_paused)
    }

    /// Adds the services to what a server answers.
    pub fn add_to(&self, routes: &mut RoutesBuilder) {
        let memories = MemoryServiceServer::new(self.clone());
        let units = UnitServiceServer::new(self.clone());
        let lookups = LookupServiceServer::new(self.clone());
        let alignment = AlignmentServiceServer::new(self.clone());
        let admin = AdminServiceServer::new(self.clone());
        let limit = MESSAGE_BYTES_MAX;
        routes
            .add_service(memories.max_decoding_message_size(limit).max_encoding_message_size(limit))
            .add_service(units.max_decoding_message_size(limit).max_encoding_message_size(limit))
            .add_service(lookups.max_decoding_message_size(limit).max_encoding_message_size(limit))
            .add_service(
                alignment.max_decoding_message_size(limit).max_encoding_message_size(limit),
            )
            .add_service(admin.max_decoding_message_size(limit).max_encoding_message_size(limit));
    }

    /// The services alone, for a client in the same process.
    pub fn routes(&self) -> Routes {
        let mut routes = Routes::builder();
        self.add_to(&mut routes);
        routes.routes()
    }

    /// Whether the memories are loaded.
    pub fn is_ready(&self) -> bool {
        self.engine.get().is_some()
    }

    /// What was looked up, and how well it was found.
    pub fn lookup_counts(&self) -> &LookupCounts {
        &self.lookups
    }

    /// How the memories stand.
    pub fn standing(&self) -> Standing {
        let Some(engine) = self.engine.get() else {
            let trouble = Some("the memories are still being loaded".to_owned());
            return Standing { trouble, ..Standing::default() };
        };
        let memories = engine.memories(None, usize::MAX);
        let stopping =
            self.stopping.is_cancelled().then(|| "the server is shutting down".to_owned());
        Standing {
            trouble: stopping.or_else(|| trouble(engine)),
            memories: memories.len(),
            units: memories.iter().map(|memory| memory.unit_count).sum(),
            sequence: engine.watch_sequence().borrow().0,
        }
    }

    fn engine(&self) -> Result<&Engine, Status> {
        self.engine.get().ok_or_else(status::loading)
    }

    /// Runs a use case where it may block.
    async fn run<T: Send + 'static>(
        &self,
        call: impl FnOnce(&Engine) -> Result<T, EngineError> + Send + 'static,
    ) -> Result<T, Status> {
        self.engine()?;
        let api = self.clone();
        tokio::task::spawn_blocking(move || call(api.engine()?).map_err(status::from_engine))
            .await
            .map_err(|error| status::internal(&format!("a call failed: {error}")))?
    }

    /// Runs a use case that usually takes microseconds, though it may read from the disk: handing it to another thread would
    /// take longer than it does, so this thread runs it, and another one takes over what else it serves. `None` when it
    /// takes longer than [`SHORT_TIME`], or there is no other thread: then [`run`](Self::run) is the way.
    fn run_short<T>(
        &self,
        call: impl FnOnce(&Engine, &Cancel) -> Result<T, EngineError>,
    ) -> Result<Option<T>, Status> {
        if Handle::current().runtime_flavor() == RuntimeFlavor::CurrentThread {
            return Ok(None);
        }
        let engine = self.engine()?;
        match tokio::task::block_in_place(|| call(engine, &Cancel::after(SHORT_TIME))) {
            Ok(done) => Ok(Some(done)),
            Err(EngineError::Cancelled) => Ok(None),
            Err(error) => Err(status::from_engine(error)),
        }
    }
}

/// How long work may take on a thread that cannot learn meanwhile that its caller has gone away.
const SHORT_TIME: Duration = Duration::from_millis(5);

/// Why the store is not fit to be used; where and how, the log says.
fn trouble(engine: &Engine) -> Option<String> {
    let paused = engine.writes_paused().map(|_| WRITES_PAUSED.to_owned());
    paused.or_else(|| engine.damaged().map(|_| STORE_DAMAGED.to_owned()))
}

/// What is said of a store of which not everything can be read.
const STORE_DAMAGED: &str = "the store is damaged: some of what was stored cannot be read; the server's log says what was found";
