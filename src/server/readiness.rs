//! Decides whether a server is ready, for `/readyz`, health checks and metrics.

use std::sync::Arc;
use std::time::Duration;

use crate::cluster::Member;
use crate::grpc::{Api, ServingStatus};
use crate::limits::CLUSTER_SILENCE_MAX;

/// When a server is ready.
#[derive(Clone)]
pub(super) struct Readiness {
    pub(super) api: Api,
    /// This node, in a cluster.
    pub(super) member: Option<Arc<Member>>,
    /// How far a node that cannot commit writes may be behind its cluster while it counts as ready, because it answers lookups; `None`
    /// if it never does.
    pub(super) lag_max: Option<Duration>,
}

impl Readiness {
    /// The status of the services; its trouble is what speaks against sending calls here.
    pub(super) fn status(&self) -> ServingStatus {
        let mut status = self.api.serving_status();
        let silence = self.silence();
        if self.answers_lookups(silence) && status.can_read {
            status.trouble = None;
        } else if let Some(silence) = silence.filter(|_| status.trouble.is_none()) {
            status.trouble = Some(format!(
                "the database of the cluster has not answered for {} s: lookups are answered, writes are not",
                silence.as_secs()
            ));
        }
        status
    }

    /// Whether the server is ready. Cheaper than the status.
    pub(super) fn is_ready(&self) -> bool {
        if !self.api.is_ready() {
            return false;
        }
        let silence = self.silence();
        self.answers_lookups(silence) || (silence.is_none() && self.api.writes_paused().is_none())
    }

    /// How long the cluster has not answered, if that is too long for writes.
    fn silence(&self) -> Option<Duration> {
        let age = self.member.as_ref()?.state().contact_age;
        (age > CLUSTER_SILENCE_MAX).then_some(age)
    }

    /// Whether lookups alone suffice.
    fn answers_lookups(&self, silence: Option<Duration>) -> bool {
        self.lag_max.is_some_and(|most| silence.unwrap_or_default() <= most)
    }
}
