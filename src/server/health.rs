//! Keeps the answers of the gRPC health service up to date.

use std::time::Duration;

use tonic_health::ServingStatus;
use tonic_health::server::HealthReporter;

use crate::grpc::SERVICE_NAMES;

use super::drain::Shutdown;
use super::readiness::Readiness;

/// Reports whether the server is serving; never ends.
pub(super) async fn report_health(
    readiness: &Readiness,
    health: &HealthReporter,
    shutdown: &Shutdown,
) {
    let mut reported = ServingStatus::NotServing;
    loop {
        let stopping = shutdown.drain.is_cancelled();
        let serving = readiness.is_ready() && !stopping;
        let now = if serving { ServingStatus::Serving } else { ServingStatus::NotServing };
        if now != reported {
            set_health(health, now).await;
            reported = now;
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

pub(super) async fn set_health(health: &HealthReporter, status: ServingStatus) {
    health.set_service_status("", status).await;
    for name in SERVICE_NAMES {
        health.set_service_status(name, status).await;
    }
}
