//! What goes on beside the calls? Files read again, queues probed, readers watched, pages for operators.

use std::sync::Arc;
use std::time::Duration;

use tokio::net::TcpListener;
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

use crate::grpc::Api;
use crate::http::{self, Pages};

use super::calls::Shared;
use super::tls::Tls;

/// How soon a changed file is seen.
const FILE_PAUSE: Duration = Duration::from_secs(1);

/// The work beside the calls.
pub(super) struct Operators {
    pub(super) api: Api,
    pub(super) shared: Arc<Shared>,
    pub(super) tls: Option<Arc<Tls>>,
    pub(super) draining: CancellationToken,
}

impl Operators {
    /// Works; never ends.
    pub(super) async fn work(self, listener: Option<TcpListener>, reload: Arc<Notify>) {
        let (shared, tls) = (self.shared.clone(), self.tls.clone());
        let limits = &shared.admission.limits;
        let pages = async {
            match listener {
                Some(listener) => http::serve(listener, Arc::new(self)).await,
                None => std::future::pending().await,
            }
        };
        tokio::join!(
            pages,
            files(&shared, tls, &reload),
            shared.admission.probe(),
            shared.readers.watch(&shared.metrics, limits.stalled_time),
        );
    }
}

/// Reads tokens and certificates again when their files change, or when told to.
async fn files(shared: &Arc<Shared>, tls: Option<Arc<Tls>>, reload: &Notify) {
    loop {
        tokio::select! {
            () = tokio::time::sleep(FILE_PAUSE) => {}
            () = reload.notified() => shared.audit.reopen(),
        }
        let (tokens, tls) = (shared.tokens.clone(), tls.clone());
        let read = move || {
            match tokens.map(|tokens| tokens.reload_if_changed()) {
                Some(Ok(true)) => tracing::info!("the tokens were read again"),
                Some(Err(error)) => {
                    tracing::error!(%error, "the tokens cannot be read again; those from before go on");
                }
                Some(Ok(false)) | None => {}
            }
            match tls.map(|tls| tls.reload_if_changed()) {
                Some(Ok(true)) => tracing::info!("the certificates were read again"),
                Some(Err(error)) => {
                    tracing::error!(%error, "the new certificates are no good; those from before go on");
                }
                Some(Ok(false)) | None => {}
            }
        };
        // It fails only when the process ends.
        let _ = tokio::task::spawn_blocking(read).await;
    }
}

impl Pages for Operators {
    fn trouble(&self) -> Option<String> {
        if self.draining.is_cancelled() {
            return Some("the server is shutting down".to_owned());
        }
        self.api.standing().trouble
    }

    fn metrics(&self) -> String {
        let (calls, bytes, waited) = self.shared.admission.now();
        let now = (calls, self.shared.connections.len(), bytes, waited);
        self.shared.metrics.text(now, self.api.lookup_counts(), &self.api.standing())
    }
}
