//! How is the API put on a socket, and taken off it? Listener, health, reflection, panics, drain.
//!
//! Knows nothing of what the calls do.

mod in_flight;

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use tonic::service::Routes;
use tonic::transport::Server;
use tonic::transport::server::TcpIncoming;
use tonic_health::ServingStatus;
use tonic_health::server::HealthReporter;
use tower_http::catch_panic::CatchPanicLayer;

use crate::limits::{CONNECTION_STREAMS_MAX, DRAIN_SECONDS};
use crate::service::{Api, DESCRIPTORS, SERVICE_NAMES};

use in_flight::InFlight;

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
    /// The listener broke, or the descriptors did.
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

    /// Serves until `shutdown`, then drains: calls in flight get [`DRAIN_SECONDS`] to end.
    ///
    /// # Errors
    /// [`ServeError::Broken`].
    pub async fn serve(self, api: Api, shutdown: Shutdown) -> Result<(), ServeError> {
        let (health, health_service) = tonic_health::server::health_reporter();
        set_health(&health, ServingStatus::NotServing).await;
        let mut routes = Routes::builder();
        api.add_to(&mut routes);
        routes.add_service(health_service);
        let reflection = || {
            tonic_reflection::server::Builder::configure()
                .register_encoded_file_descriptor_set(DESCRIPTORS)
                .register_encoded_file_descriptor_set(tonic_health::pb::FILE_DESCRIPTOR_SET)
        };
        let broken = |error: &dyn std::error::Error| ServeError::Broken(error.to_string());
        routes
            .add_service(reflection().build_v1().map_err(|error| broken(&error))?)
            .add_service(reflection().build_v1alpha().map_err(|error| broken(&error))?);
        let in_flight = InFlight::default();
        let server = Server::builder()
            .http2_keepalive_interval(Some(Duration::from_secs(30)))
            .max_concurrent_streams(CONNECTION_STREAMS_MAX)
            .layer(in_flight.layer(shutdown.drain.clone()))
            .layer(CatchPanicLayer::custom(panicked))
            .add_routes(routes.routes())
            .serve_with_incoming_shutdown(
                TcpIncoming::from(self.listener).with_nodelay(Some(true)),
                drain(&api, &in_flight, &shutdown),
            );
        let end = async {
            in_flight.drained().await;
            tokio::time::sleep(CLOSING_TIME).await;
        };
        tokio::select! {
            result = server => result.map_err(|error| broken(&error)),
            () = report_health(&api, &health, &shutdown) => Ok(()),
            () = end => Ok(()),
        }
    }
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
    in_flight.set_drained();
}

/// Keeps the health service honest; never ends.
async fn report_health(api: &Api, health: &HealthReporter, shutdown: &Shutdown) {
    let mut shown = ServingStatus::NotServing;
    loop {
        let stopping = shutdown.drain.is_cancelled();
        let serving = api.is_ready() && api.poisoned().is_none() && !stopping;
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
    tonic::Status::internal("internal error: the call panicked; the server's log says more")
        .into_http()
}
