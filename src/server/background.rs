//! Background tasks: files read again, the queue probed, readers watched, pages for operators.

use std::sync::Arc;
use std::time::Duration;

use tokio::net::TcpListener;
use tokio::sync::Notify;

use crate::http::{self, Pages};

use super::calls::Shared;
use super::cluster_page;
use super::readiness::Readiness;
use super::tls::Tls;

/// How soon a changed file is seen.
const FILE_PAUSE: Duration = Duration::from_secs(1);

/// The tasks that run beside the calls.
pub(super) struct BackgroundTasks {
    pub(super) pages: Arc<OperatorPages>,
    pub(super) shared: Arc<Shared>,
    pub(super) tls: Option<Arc<Tls>>,
}

/// The pages for operators.
pub(super) struct OperatorPages {
    pub(super) readiness: Readiness,
    pub(super) shared: Arc<Shared>,
}

impl BackgroundTasks {
    /// Runs them; never ends.
    pub(super) async fn run(self, listener: Option<TcpListener>, reload: Arc<Notify>) {
        let (shared, tls) = (self.shared.clone(), self.tls.clone());
        let limits = &shared.admission.limits;
        let pages = async {
            match listener {
                Some(listener) => http::serve(listener, self.pages).await,
                None => std::future::pending().await,
            }
        };
        tokio::join!(
            pages,
            reload_files(&shared, tls, &reload),
            shared.admission.probe(),
            shared.metrics.upkeep(),
            shared.readers.watch(&shared.metrics, limits.stalled_time),
        );
    }
}

/// Reads tokens and certificates again when their files change, or on request.
async fn reload_files(shared: &Arc<Shared>, tls: Option<Arc<Tls>>, reload: &Notify) {
    loop {
        tokio::select! {
            () = tokio::time::sleep(FILE_PAUSE) => {}
            () = reload.notified() => shared.audit.reopen(),
        }
        let (tokens, tls) = (shared.tokens.clone(), tls.clone());
        let read = move || {
            match tokens.map(|tokens| tokens.reload_if_changed()) {
                Some(Ok(true)) => tracing::info!("reloaded the tokens"),
                Some(Err(error)) => {
                    tracing::error!(%error, "the tokens cannot be reloaded; the old ones stay in use");
                }
                Some(Ok(false)) | None => {}
            }
            match tls.map(|tls| tls.reload_if_changed()) {
                Some(Ok(true)) => tracing::info!("reloaded the certificates"),
                Some(Err(error)) => {
                    tracing::error!(%error, "the new certificates are invalid; the old ones stay in use");
                }
                Some(Ok(false)) | None => {}
            }
        };
        // It fails only when the process ends.
        let _ = tokio::task::spawn_blocking(read).await;
    }
}

impl Pages for OperatorPages {
    fn trouble(&self) -> Option<String> {
        if self.shared.draining.is_cancelled() {
            return Some("the server is shutting down".to_owned());
        }
        self.readiness.status().trouble
    }

    fn metrics(&self) -> String {
        let (calls, bytes, waited) = self.shared.admission.now();
        let now = (calls, self.shared.connections.len(), bytes, waited);
        let Readiness { api, member, .. } = &self.readiness;
        let (status, member) = (self.readiness.status(), member.as_ref().map(|it| it.state()));
        self.shared.metrics.text(now, api.lookup_counts(), (&status, member.as_ref()))
    }

    fn cluster(&self) -> Option<String> {
        let Readiness { api, member, .. } = &self.readiness;
        let member = member.as_ref()?;
        let applied = api.sequence().unwrap_or_default();
        Some(cluster_page::page(&member.overview(), &member.state(), (member.id(), applied)))
    }
}
