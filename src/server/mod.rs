//! Serves the API on a socket: connections, authentication, limits, telemetry, health, shutdown.
//!
//! Knows nothing of what the calls do.

mod auth;
mod background;
mod calls;
mod cluster_page;
mod drain;
mod health;
mod limits;
mod listener;
mod readiness;
mod telemetry;
mod tls;

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::net::TcpListener;
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;
use tonic::body::Body;
use tonic::service::Routes;
use tonic_health::ServingStatus;
use tower::ServiceBuilder;
use tower_http::catch_panic::CatchPanicLayer;

use crate::cluster::Member;
use crate::facades::{BodyTime, FacadeTable, FacadesLayer};
use crate::gateway::{BrowserGuardLayer, Facade, GatewayLayer, Origins};
use crate::grpc::{Api, DESCRIPTORS};
use crate::http::{Pages, PagesLayer};
use crate::limits::DRAIN_SECONDS;

use background::{BackgroundTasks, OperatorPages};
use calls::{GateLayer, NamedLayer, Peers, SequencedLayer, Shared, panicked, with_error_info};
use drain::{CLOSING_TIME, drain};
use health::{report_health, set_health};
use limits::{Admission, ConnectionTable, Readers};
use listener::Listener;
use readiness::Readiness;
use telemetry::Metrics;

pub use auth::{TokenError, TokenFile, TokenMark, TokenRecord, Tokens};
pub use calls::PeerTls;
pub use drain::Shutdown;
pub use limits::Limits;
pub use telemetry::{Audit, AuditFile, AuditKeeping};
pub use tls::{Tls, TlsError, TlsFiles};

/// The default address of a server: this machine only.
pub const DEFAULT_ADDRESS: &str = "127.0.0.1:50051";

/// Why a server could not start.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    /// The address is in use, or not one of this machine.
    #[error("cannot listen on {address}: {cause}; choose another one with --listen")]
    Bind {
        /// Which address.
        address: SocketAddr,
        /// The error of the operating system.
        cause: io::Error,
    },
    /// The descriptors of the protocol are invalid.
    #[error("the server stopped: {0}")]
    Broken(String),
}

/// A server that is bound to its address but does not serve yet.
pub struct Bound {
    listener: TcpListener,
    address: SocketAddr,
}

impl Bound {
    /// Binds to an address; port 0 chooses a free port.
    ///
    /// # Errors
    /// [`ServeError::Bind`].
    pub async fn new(address: SocketAddr) -> Result<Self, ServeError> {
        let bind = async {
            let listener = TcpListener::bind(address).await?;
            let address = listener.local_addr()?;
            Ok(Self { listener, address })
        };
        bind.await.map_err(|cause| ServeError::Bind { address, cause })
    }

    /// The address that it is bound to.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Serves without authentication until `shutdown`; then calls in flight get [`DRAIN_SECONDS`] to finish.
    ///
    /// # Errors
    /// [`ServeError::Broken`].
    pub async fn serve(self, api: Api, shutdown: Shutdown) -> Result<(), ServeError> {
        self.serve_with(api, shutdown, ServeOptions::default()).await
    }

    /// As [`Self::serve`], with options.
    ///
    /// # Errors
    /// [`ServeError::Broken`].
    pub async fn serve_with(
        self,
        api: Api,
        shutdown: Shutdown,
        options: ServeOptions,
    ) -> Result<(), ServeError> {
        let (health, health_service) = tonic_health::server::health_reporter();
        set_health(&health, ServingStatus::NotServing).await;
        let mut routes = Routes::builder();
        api.add_to(&mut routes);
        routes.add_service(health_service);
        add_reflection(&mut routes)?;
        let (sequenced, readiness) = node_parts(&api, &options);
        let shared = Arc::new(Shared {
            admission: Admission::new(options.limits),
            connections: Arc::new(ConnectionTable::default()),
            metrics: Arc::new(Metrics::default()),
            audit: options.audit,
            tokens: options.tokens,
            readers: Readers::default(),
            draining: shutdown.drain.clone(),
        });
        let pages =
            Arc::new(OperatorPages { readiness: readiness.clone(), shared: shared.clone() });
        let shown = options.facades.pages.then(|| pages.clone() as Arc<dyn Pages>);
        let service = ServiceBuilder::new()
            .layer(PagesLayer::new(shown))
            .layer(NamedLayer(shared.clone()))
            .layer(browser_guard(options.tls.is_some(), &options.origins, &shared))
            .option_layer(options.origins.layer())
            .layer(FacadesLayer::new(options.facades.tools.clone(), body_time(&shared)))
            .layer(GatewayLayer::new(gateway(&options.facades)?))
            .map_response(with_error_info)
            .layer(GateLayer(shared.clone()))
            .layer(sequenced)
            .map_response(|answer: http::Response<_>| answer.map(Body::new))
            .layer(CatchPanicLayer::custom(panicked))
            .service(routes.routes().prepare());
        let (closing, kill) = (CancellationToken::new(), CancellationToken::new());
        let listener = Listener {
            shared: shared.clone(),
            tls: options.tls.clone(),
            http1: options.facades.speak_http1(),
            service,
            closing: closing.clone(),
            kill: kill.clone(),
        };
        let end = async {
            drain(&api, &shared.admission, &shutdown).await;
            closing.cancel();
            tokio::time::sleep(CLOSING_TIME).await;
            kill.cancel();
        };
        let tasks = BackgroundTasks { pages, shared: shared.clone(), tls: options.tls };
        tokio::select! {
            _ = async { tokio::join!(listener.serve(self.listener), end) } => {}
            () = report_health(&readiness, &health, &shutdown) => {}
            () = tasks.run(options.http, options.reload) => {}
        }
        let written = shared.audit.written();
        if tokio::time::timeout(Duration::from_secs(DRAIN_SECONDS), written).await.is_err() {
            tracing::error!("the disk is too slow: audit lines were lost");
        }
        Ok(())
    }
}

/// What a server speaks besides gRPC, on the same port.
#[derive(Debug, Clone)]
pub struct Facades {
    /// JSON over HTTP.
    pub json: bool,
    /// gRPC-Web.
    pub grpc_web: bool,
    /// The protocols of translation tools.
    pub tools: FacadeTable,
    /// The pages for health and metrics, to everybody who reaches the port.
    pub pages: bool,
}

impl Default for Facades {
    fn default() -> Self {
        Self { json: true, grpc_web: true, tools: FacadeTable::default(), pages: false }
    }
}

impl Facades {
    /// Whether anything is spoken that clients of HTTP/1.1 ask for.
    fn speak_http1(&self) -> bool {
        self.json || self.grpc_web || self.pages || self.tools.is_any_enabled()
    }
}

impl std::fmt::Display for Facades {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let mut names = vec!["gRPC"];
        names.extend(self.grpc_web.then_some("gRPC-Web"));
        names.extend(self.json.then_some("JSON over HTTP"));
        names.extend(self.tools.enabled());
        names.extend(self.pages.then_some("pages for health and metrics"));
        let last = names.pop().unwrap_or_default();
        if !names.is_empty() {
            write!(out, "{} and ", names.join(", "))?;
        }
        out.write_str(last)
    }
}

/// The options of a server.
#[derive(Debug, Default)]
pub struct ServeOptions {
    /// TLS; without it, connections are not encrypted.
    pub tls: Option<Arc<Tls>>,
    /// The access tokens; without them, or without a token file, no authentication is required.
    pub tokens: Option<Arc<Tokens>>,
    /// What it speaks besides gRPC.
    pub facades: Facades,
    /// The origins whose web pages may call it.
    pub origins: Origins,
    /// How much the server handles at a time.
    pub limits: Limits,
    /// Where audit lines go.
    pub audit: Audit,
    /// The listener of the pages for health and metrics.
    pub http: Option<TcpListener>,
    /// Notified to reload the files at once and to reopen the audit file.
    pub reload: Arc<Notify>,
    /// The cluster that the server is a node of.
    pub cluster: Option<ClusterOptions>,
}

/// How a node serves its cluster.
#[derive(Debug)]
pub struct ClusterOptions {
    /// The node.
    pub member: Arc<Member>,
    /// How nodes authenticate each other.
    pub tls: PeerTls,
    /// How long the cluster may not have answered while the node counts as ready, although it cannot commit writes; `None` if it then
    /// never does.
    pub readyz_lag_max: Option<Duration>,
}

impl ClusterOptions {
    fn peers(&self, tokens: Option<Arc<Tokens>>) -> Arc<Peers> {
        Arc::new(Peers::new(self.member.clone(), tokens, self.tls.clone()))
    }
}

/// What is different on a node of a cluster.
fn node_parts(api: &Api, options: &ServeOptions) -> (SequencedLayer, Readiness) {
    let cluster = options.cluster.as_ref();
    let peers = cluster.map(|it| it.peers(options.tokens.clone()));
    let readiness = Readiness {
        api: api.clone(),
        member: cluster.map(|it| it.member.clone()),
        lag_max: cluster.and_then(|it| it.readyz_lag_max),
    };
    (SequencedLayer { api: api.clone(), peers }, readiness)
}

fn browser_guard(encrypted: bool, origins: &Origins, shared: &Arc<Shared>) -> BrowserGuardLayer {
    BrowserGuardLayer::new(open_to_all(encrypted, shared), origins.clone())
}

/// Tells whether everybody who reaches the port may call, with nothing to show.
fn open_to_all(encrypted: bool, shared: &Arc<Shared>) -> impl Fn() -> bool + Send + Sync + use<> {
    let shared = shared.clone();
    // A certificate is for a name: behind another one, a browser does not even begin.
    move || !encrypted && !shared.guarded()
}

/// Time limits of the bodies of facades: those of messages.
fn body_time(shared: &Arc<Shared>) -> BodyTime {
    let shared = shared.clone();
    Arc::new(move |has_token| {
        let limits = &shared.admission.limits;
        if has_token || !shared.guarded() { limits.message_time } else { limits.handshake_time }
    })
}

/// The gateway in front of all calls, if it is on.
fn gateway(facades: &Facades) -> Result<Option<Facade>, ServeError> {
    if !facades.json && !facades.grpc_web {
        return Ok(None);
    }
    let mut facade = Facade::default();
    if facades.json {
        facade = facade.with_json().map_err(|error| ServeError::Broken(error.to_string()))?;
    }
    Ok(Some(if facades.grpc_web { facade.with_grpc_web() } else { facade }))
}

fn add_reflection(routes: &mut tonic::service::RoutesBuilder) -> Result<(), ServeError> {
    let reflection = || {
        tonic_reflection::server::Builder::configure()
            .register_encoded_file_descriptor_set(DESCRIPTORS)
            .register_encoded_file_descriptor_set(tonic_health::pb::FILE_DESCRIPTOR_SET)
    };
    let broken = |error: tonic_reflection::server::Error| ServeError::Broken(error.to_string());
    routes
        .add_service(reflection().build_v1().map_err(broken)?)
        .add_service(reflection().build_v1alpha().map_err(broken)?);
    Ok(())
}
