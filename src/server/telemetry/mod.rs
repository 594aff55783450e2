//! Records what the server does: metrics for Prometheus, audit lines, and the ids that name a call in logs.

mod audit;
mod call_ids;
mod metrics;

pub(super) use audit::Entry;
pub use audit::{Audit, AuditFile, AuditKeeping};
pub(super) use call_ids::CallIds;
pub(super) use metrics::{Metrics, Rejection, code_name};
