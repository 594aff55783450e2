//! Shuts a server down: calls in flight finish within a time limit, new ones are refused, then connections close.

use std::time::Duration;

use tokio_util::sync::CancellationToken;

use crate::grpc::Api;
use crate::limits::DRAIN_SECONDS;

use super::limits::Admission;

/// Asks a server to stop: first gracefully, then at once.
#[derive(Debug, Clone, Default)]
pub struct Shutdown {
    pub(super) drain: CancellationToken,
    force: CancellationToken,
}

impl Shutdown {
    /// Lets calls in flight finish and refuses new ones; the second request ends them at once.
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

/// The time that connections get to close after the last call: the last answers are being sent.
pub(super) const CLOSING_TIME: Duration = Duration::from_millis(100);

/// Returns when connections may be closed: all calls ended, the time limit passed, or a second request came. Until then
/// connections are accepted, so that new calls learn that the server is stopping.
///
/// The graceful shutdown of hyper waits for every stream, which includes endless health watches of load balancers; so the calls
/// to wait for are counted at admission.
pub(super) async fn drain(api: &Api, admission: &Admission, shutdown: &Shutdown) {
    shutdown.requested().await;
    api.stop();
    tokio::select! {
        () = admission.drained() => {}
        () = shutdown.force.cancelled() => tracing::warn!("second request to stop: calls in flight are cancelled"),
        () = tokio::time::sleep(Duration::from_secs(DRAIN_SECONDS)) => {
            tracing::warn!(seconds = DRAIN_SECONDS, "calls in flight did not finish in time and are cancelled");
        }
    }
}
