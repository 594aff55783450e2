//! Records what the server does: metrics for Prometheus, and audit lines.

mod audit;
mod metrics;

pub(super) use audit::Entry;
pub use audit::{Audit, AuditFile, AuditKeeping};
pub(super) use metrics::{Metrics, Turned, code_name};
