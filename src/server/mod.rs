//! How is the API put on a socket, and taken off it? Who may call it, how much, and how long; health, panics, drain.
//!
//! Knows nothing of what the calls do.

mod auth;
mod background;
mod calls;
mod limits;
mod listener;
mod telemetry;
mod tls;

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::net::TcpListener;
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;
use tonic::Code;
use tonic::body::Body;
use tonic::service::Routes;
use tonic_health::ServingStatus;
use tonic_health::server::HealthReporter;
use tower::ServiceBuilder;
use tower_http::catch_panic::CatchPanicLayer;

use crate::grpc::{Api, DESCRIPTORS, SERVICE_NAMES, refusal};
use crate::limits::DRAIN_SECONDS;

use background::Operators;
use calls::{GateLayer, Readers, Shared, with_error_info};
use limits::{Admission, InFlight, Table};
use listener::Connections;
use telemetry::Metrics;

pub use auth::{TokenError, TokenFile, TokenMark, TokenRecord, Tokens};
pub use limits::Limits;
pub use telemetry::{Audit, AuditFile, AuditKeeping};
pub use tls::{Tls, TlsError, TlsFiles};

/// Where a server listens when nothing else is said: this machine only.
pub const DEFAULT_ADDRESS: &str = "127.0.0.1:50051";

/// Why a server could not serve.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    /// The address is taken, or not this machine's.
    #[error("cannot listen on {address}: {cause}; choose another one with --listen")]
    Bind {
        /// Which address.
        address: SocketAddr,
        /// What the operating system said.
        cause: io::Error,
    },
    /// The descriptors are broken.
    #[error("the server stopped: {0}")]
    Broken(String),
}

/// Asks a server to stop: first politely, then at once.
#[derive(Debug, Clone, Default)]
pub struct Shutdown {
    drain: CancellationToken,
    force: CancellationToken,
}

impl Shutdown {
    /// Lets calls in flight end and refuses new ones; asked twice, ends at once.
    pub fn request(&self) {
        if self.drain.is_cancelled() {
            self.force.cancel();
        }
        self.drain.cancel();
    }

    /// Waits for the first request.
    pub async fn requested(&self) {
        self.drain.cancelled().await;
    }
}

/// A server that has its address but answers nothing yet.
pub struct Bound {
    listener: TcpListener,
    address: SocketAddr,
}

impl Bound {
    /// Takes an address; port 0 takes a free port.
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

    /// The address that it has.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Serves everybody who can reach the address until `shutdown`, then drains: calls in flight get [`DRAIN_SECONDS`] to end.
    ///
    /// # Errors
    /// [`ServeError::Broken`].
    pub async fn serve(self, api: Api, shutdown: Shutdown) -> Result<(), ServeError> {
        self.serve_with(api, shutdown, ServeOptions::default()).await
    }

    /// As [`Self::serve`], to those and as far as the options say.
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
        let shared = Arc::new(Shared {
            admission: Admission::new(options.limits),
            connections: Arc::new(Table::default()),
            metrics: Arc::new(Metrics::default()),
            audit: options.audit,
            tokens: options.tokens,
            readers: Readers::default(),
        });
        let in_flight = InFlight::default();
        let service = ServiceBuilder::new()
            .map_response(with_error_info)
            .layer(in_flight.layer(shutdown.drain.clone()))
            .layer(GateLayer(shared.clone()))
            .map_response(|answer: http::Response<_>| answer.map(Body::new))
            .layer(CatchPanicLayer::custom(panicked))
            .service(routes.routes().prepare());
        let (closing, kill) = (CancellationToken::new(), CancellationToken::new());
        let connections = Connections {
            shared: shared.clone(),
            tls: options.tls.clone(),
            service,
            closing: closing.clone(),
            kill: kill.clone(),
        };
        let end = async {
            drain(&api, &in_flight, &shutdown).await;
            closing.cancel();
            tokio::time::sleep(CLOSING_TIME).await;
            kill.cancel();
        };
        let operators = Operators {
            api: api.clone(),
            shared: shared.clone(),
            tls: options.tls,
            draining: shutdown.drain.clone(),
        };
        tokio::select! {
            _ = async { tokio::join!(connections.serve(self.listener), end) } => {}
            () = report_health(&api, &health, &shutdown) => {}
            () = operators.work(options.http, options.reload) => {}
        }
        let written = shared.audit.written();
        if tokio::time::timeout(Duration::from_secs(DRAIN_SECONDS), written).await.is_err() {
            tracing::error!("the disk is too slow: audit lines are lost");
        }
        Ok(())
    }
}

/// Who may call a server, and how much.
#[derive(Debug, Default)]
pub struct ServeOptions {
    /// Certificates; without, lines are open.
    pub tls: Option<Arc<Tls>>,
    /// Who may call; without, or without a file of tokens, everybody.
    pub tokens: Option<Arc<Tokens>>,
    /// How much is served at a time.
    pub limits: Limits,
    /// Where it is written down who wrote what.
    pub audit: Audit,
    /// Where health and metrics are shown.
    pub http: Option<TcpListener>,
    /// Told when files are to be read again at once, and the audit file opened anew.
    pub reload: Arc<Notify>,
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

/// What connections get to close when everything ended: the last answers are on their way.
const CLOSING_TIME: Duration = Duration::from_millis(100);

/// Ends when connections may be closed: everything ended, the deadline passed, or somebody insisted. Until then
/// connections are taken, so that new calls hear that the server is stopping.
///
/// The server's own graceful shutdown waits for every stream, a health watch of a load balancer included, which never
/// ends; so what is waited for is counted here.
async fn drain(api: &Api, in_flight: &InFlight, shutdown: &Shutdown) {
    shutdown.requested().await;
    api.stop();
    tokio::select! {
        () = in_flight.none() => {}
        () = shutdown.force.cancelled() => tracing::warn!("asked twice to stop: calls in flight are cut off"),
        () = tokio::time::sleep(Duration::from_secs(DRAIN_SECONDS)) => {
            tracing::warn!(seconds = DRAIN_SECONDS, "calls in flight did not end in time and are cut off");
        }
    }
}

/// Keeps the health service honest; never ends.
async fn report_health(api: &Api, health: &HealthReporter, shutdown: &Shutdown) {
    let mut shown = ServingStatus::NotServing;
    loop {
        let stopping = shutdown.drain.is_cancelled();
        let serving = api.is_ready() && api.writes_paused().is_none() && !stopping;
        let now = if serving { ServingStatus::Serving } else { ServingStatus::NotServing };
        if now != shown {
            set_health(health, now).await;
            shown = now;
        }
        if stopping {
            std::future::pending::<()>().await;
        }
        tokio::select! {
            () = tokio::time::sleep(Duration::from_millis(100)) => {}
            () = shutdown.requested() => {}
        }
    }
}

async fn set_health(health: &HealthReporter, status: ServingStatus) {
    health.set_service_status("", status).await;
    for name in SERVICE_NAMES {
        health.set_service_status(name, status).await;
    }
}

/// The answer to a call whose handler panicked: the connection and the other calls go on.
fn panicked(panic: Box<dyn std::any::Any + Send>) -> http::Response<tonic::body::Body> {
    let text = panic.downcast_ref::<&str>().map(|text| (*text).to_owned());
    let text = text.or_else(|| panic.downcast_ref::<String>().cloned()).unwrap_or_default();
    tracing::error!(panic = text, "a call panicked");
    let message = "internal error: the call panicked; the log of the server says more";
    refusal(Code::Internal, "INTERNAL", message, None).into_http()
}

#[cfg(test)]
mod tests {
    use tonic_types::StatusExt as _;

    use super::*;

    #[test]
    fn a_call_that_panics_is_answered_with_a_reason_and_without_its_words() {
        let answer = panicked(Box::new("at /srv/data"));
        let status = tonic::Status::from_header_map(answer.headers()).unwrap();
        assert_eq!(status.code(), Code::Internal);
        assert_eq!(status.get_details_error_info().unwrap().reason, "INTERNAL");
        assert!(!status.message().contains("/srv/data"));
    }
}
