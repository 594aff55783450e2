//! Metrics for Prometheus: counts and times of calls, what was refused, and the state of the server.
//!
//! Each server records into a recorder of its own. What the engine measures (see [`ENGINE_HISTOGRAMS`]) goes to the recorder of the
//! process, which is installed with the first server; without one it costs next to nothing.

use std::sync::LazyLock;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use metrics::{
    counter, describe_counter, describe_gauge, describe_histogram, gauge, histogram,
    with_local_recorder,
};
use metrics_exporter_prometheus::{PrometheusBuilder, PrometheusHandle, PrometheusRecorder};
use tonic::Code;

use crate::cluster::MemberState;
use crate::grpc::access::RULES;
use crate::grpc::{LookupCounts, ServingStatus};

/// Upper bounds of the buckets of times, in seconds.
const BUCKETS_SECONDS: [f64; 14] =
    [0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1.0, 10.0, 60.0];

/// Names of the gRPC codes, by number.
const CODE_NAMES: [&str; 17] = [
    "OK",
    "CANCELLED",
    "UNKNOWN",
    "INVALID_ARGUMENT",
    "DEADLINE_EXCEEDED",
    "NOT_FOUND",
    "ALREADY_EXISTS",
    "PERMISSION_DENIED",
    "RESOURCE_EXHAUSTED",
    "FAILED_PRECONDITION",
    "ABORTED",
    "OUT_OF_RANGE",
    "UNIMPLEMENTED",
    "INTERNAL",
    "UNAVAILABLE",
    "DATA_LOSS",
    "UNAUTHENTICATED",
];

/// The name of a code, as the protocol writes it.
pub(in crate::server) fn code_name(code: Code) -> &'static str {
    CODE_NAMES[code as usize]
}

/// Why a connection or a call was refused or cut off.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::server) enum Rejection {
    ConnectionFull,
    /// A connection without a token was closed for another one.
    Evicted,
    /// A connection without calls was closed.
    Idle,
    Handshake,
    NotGrpc,
    /// A request was refused before it was a call: no such path, another method, a web page.
    NoCall,
    Stalled,
    SlowMessage,
    CallsFull,
    AnonymousFull,
    MemoryFull,
    Overloaded,
    Unauthenticated,
    Denied,
}

impl Rejection {
    const ALL: [Self; 14] = [
        Self::ConnectionFull,
        Self::Evicted,
        Self::Idle,
        Self::Handshake,
        Self::NotGrpc,
        Self::NoCall,
        Self::Stalled,
        Self::SlowMessage,
        Self::CallsFull,
        Self::AnonymousFull,
        Self::MemoryFull,
        Self::Overloaded,
        Self::Unauthenticated,
        Self::Denied,
    ];

    fn cause(self) -> &'static str {
        match self {
            Self::ConnectionFull => "connections_full",
            Self::Evicted => "connections_evicted",
            Self::Idle => "connections_idle",
            Self::Handshake => "handshake",
            Self::NotGrpc => "not_grpc",
            Self::NoCall => "no_call",
            Self::Stalled => "stalled_reader",
            Self::SlowMessage => "slow_message",
            Self::CallsFull => "calls_full",
            Self::AnonymousFull => "anonymous_calls_full",
            Self::MemoryFull => "memory_full",
            Self::Overloaded => "overloaded",
            Self::Unauthenticated => "unauthenticated",
            Self::Denied => "permission_denied",
        }
    }
}

/// Histograms that the engine records with `metrics::histogram!`, and what they measure.
const ENGINE_HISTOGRAMS: [(&str, &str); 3] = [
    ("dhakira_commit_sync_seconds", "Time to bring a group of commits to the disk."),
    ("dhakira_write_queue_seconds", "Time that a write waits for its group of commits."),
    ("dhakira_index_search_seconds", "Time of a search in the indexes, for one segment."),
];

/// The recorder of the process, for what the engine measures.
static ENGINE: LazyLock<PrometheusHandle> = LazyLock::new(|| {
    let recorder = recorder();
    let handle = recorder.handle();
    // When a program that embeds this library has installed its own recorder, the engine records there.
    let _ = metrics::set_global_recorder(recorder);
    handle
});

fn recorder() -> PrometheusRecorder {
    let builder = PrometheusBuilder::new();
    // It fails only without buckets.
    let builder =
        builder.set_buckets(&BUCKETS_SECONDS).unwrap_or_else(|_| PrometheusBuilder::new());
    builder.build_recorder()
}

/// The metrics of one server.
#[derive(Debug)]
pub(in crate::server) struct Metrics {
    recorder: PrometheusRecorder,
    started: SystemTime,
}

impl Default for Metrics {
    fn default() -> Self {
        let recorder = recorder();
        with_local_recorder(&recorder, || {
            describe();
            counter!("dhakira_connections_total").increment(0);
            for rejection in Rejection::ALL {
                counter!("dhakira_turned_away_total", "cause" => rejection.cause()).increment(0);
            }
        });
        LazyLock::force(&ENGINE);
        for (name, help) in ENGINE_HISTOGRAMS {
            describe_histogram!(name, help);
        }
        Self { recorder, started: SystemTime::now() }
    }
}

/// The help texts of `/metrics`.
fn describe() {
    describe_counter!("dhakira_calls_total", "Calls that ended, by method and code.");
    describe_histogram!(
        "dhakira_call_seconds",
        "Time of calls, from the request to the end of the answer."
    );
    describe_counter!("dhakira_turned_away_total", "Calls and connections refused, by cause.");
    describe_counter!(
        "dhakira_lookup_segments_total",
        "Segments looked up, by the kind of their best match."
    );
    describe_counter!("dhakira_connections_total", "Connections accepted.");
    describe_gauge!("dhakira_calls_in_flight", "Calls in flight.");
    describe_gauge!("dhakira_connections", "Open connections.");
    describe_gauge!(
        "dhakira_message_bytes",
        "Bytes of messages held in memory, arriving or waiting to be read."
    );
    describe_gauge!(
        "dhakira_queue_milliseconds",
        "How long new work waited for a thread at the last probe."
    );
    describe_gauge!("dhakira_ready", "1 when the memories are loaded and accept writes, else 0.");
    describe_gauge!("dhakira_memories", "Memories.");
    describe_gauge!("dhakira_units", "Units of all memories.");
    describe_counter!("dhakira_commit_sequence", "Number of the last commit.");
    describe_gauge!("process_start_time_seconds", "When the server started.");
    describe_gauge!("process_resident_memory_bytes", "Resident memory of the process.");
}

impl Metrics {
    /// Records a call that ended.
    pub(in crate::server) fn called(&self, rule: Option<usize>, code: Code, time: Duration) {
        let rule = rule.and_then(|number| RULES.get(number));
        let method = rule.map_or("other", |rule| rule.method.trim_start_matches('/'));
        with_local_recorder(&self.recorder, || {
            counter!("dhakira_calls_total", "method" => method, "code" => code_name(code))
                .increment(1);
            histogram!("dhakira_call_seconds", "method" => method).record(time);
        });
    }

    /// Records a refusal.
    pub(in crate::server) fn rejected(&self, rejection: Rejection) {
        with_local_recorder(&self.recorder, || {
            counter!("dhakira_turned_away_total", "cause" => rejection.cause()).increment(1);
        });
    }

    /// Records an accepted connection.
    pub(in crate::server) fn connected(&self) {
        with_local_recorder(&self.recorder, || counter!("dhakira_connections_total").increment(1));
    }

    /// Sorts the recorded times into their buckets, every few seconds, so that they do not pile up between two scrapes. Never ends.
    pub(in crate::server) async fn upkeep(&self) {
        const PAUSE: Duration = Duration::from_secs(5);
        loop {
            tokio::time::sleep(PAUSE).await;
            self.recorder.handle().run_upkeep();
            ENGINE.run_upkeep();
        }
    }

    /// All metrics in the text format of Prometheus.
    pub(in crate::server) fn text(
        &self,
        (calls, connections, bytes, waited): (usize, usize, usize, u64),
        lookups: &LookupCounts,
        (serving, member): (&ServingStatus, Option<&MemberState>),
    ) -> String {
        let started = self.started.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
        let gauges = [
            ("dhakira_calls_in_flight", calls as u64),
            ("dhakira_connections", connections as u64),
            ("dhakira_message_bytes", bytes as u64),
            ("dhakira_queue_milliseconds", waited),
            ("dhakira_ready", u64::from(serving.trouble.is_none())),
            ("dhakira_memories", serving.memories as u64),
            ("dhakira_units", serving.units),
            ("process_start_time_seconds", started),
            ("process_resident_memory_bytes", resident_bytes()),
        ];
        with_local_recorder(&self.recorder, || {
            for (name, value) in gauges {
                #[expect(clippy::cast_precision_loss, reason = "a gauge is a float")]
                gauge!(name).set(value as f64);
            }
            for (stage, count) in lookups.read() {
                counter!("dhakira_lookup_segments_total", "stage" => stage).absolute(count);
            }
            counter!("dhakira_commit_sequence").absolute(serving.sequence);
            if let Some(member) = member {
                show_member(member, serving.sequence);
            }
        });
        self.recorder.handle().render() + &ENGINE.render()
    }
}

/// How a node stands to its cluster.
fn show_member(member: &MemberState, applied: u64) {
    describe_gauge!(
        "dhakira_cluster_writer",
        "1 when this node holds the lease of the writer, else 0."
    );
    describe_gauge!(
        "dhakira_cluster_silence_seconds",
        "Seconds since the database of the cluster has answered."
    );
    describe_gauge!(
        "dhakira_cluster_lag_commits",
        "Commits that the cluster is known to hold and this node has not applied."
    );
    gauge!("dhakira_cluster_writer").set(f64::from(u8::from(member.is_writer)));
    gauge!("dhakira_cluster_silence_seconds").set(member.contact_age.as_secs_f64());
    #[expect(clippy::cast_precision_loss, reason = "a gauge is a float")]
    gauge!("dhakira_cluster_lag_commits").set(member.log_end.0.saturating_sub(applied) as f64);
}

/// The resident memory of this process; 0 where the system does not say.
fn resident_bytes() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kilobytes = line.and_then(|line| line.trim().strip_suffix(" kB")?.parse::<u64>().ok());
    kilobytes.unwrap_or_default() * 1024
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn calls_are_counted_by_code_and_their_times_in_buckets() {
        let metrics = Metrics::default();
        metrics.called(Some(0), Code::Ok, Duration::from_micros(100));
        metrics.called(Some(0), Code::NotFound, Duration::from_micros(200));
        metrics.called(None, Code::Ok, Duration::from_secs(1_000));
        metrics.rejected(Rejection::Stalled);
        let serving = ServingStatus { units: 127_292, ..ServingStatus::default() };
        let text = metrics.text((3, 0, 0, 0), &LookupCounts::default(), (&serving, None));
        let method = RULES[0].method.trim_start_matches('/');
        for line in [
            "# TYPE dhakira_calls_total counter".to_owned(),
            format!("dhakira_calls_total{{method=\"{method}\",code=\"NOT_FOUND\"}} 1"),
            "# TYPE dhakira_call_seconds histogram".to_owned(),
            format!("dhakira_call_seconds_bucket{{method=\"{method}\",le=\"0.0001\"}} 1"),
            format!("dhakira_call_seconds_bucket{{method=\"{method}\",le=\"0.00025\"}} 2"),
            format!("dhakira_call_seconds_count{{method=\"{method}\"}} 2"),
            "dhakira_call_seconds_bucket{method=\"other\",le=\"60\"} 0".to_owned(),
            "dhakira_call_seconds_bucket{method=\"other\",le=\"+Inf\"} 1".to_owned(),
            "dhakira_turned_away_total{cause=\"stalled_reader\"} 1".to_owned(),
            "dhakira_turned_away_total{cause=\"handshake\"} 0".to_owned(),
            "dhakira_lookup_segments_total{stage=\"none\"} 0".to_owned(),
            "dhakira_calls_in_flight 3".to_owned(),
            "dhakira_units 127292".to_owned(),
        ] {
            assert!(text.lines().any(|it| it == line), "{line} in\n{text}");
        }
    }

    #[test]
    fn what_the_engine_measures_is_shown_by_every_server() {
        let metrics = Metrics::default();
        for (name, _) in ENGINE_HISTOGRAMS {
            histogram!(name).record(Duration::from_millis(3));
        }
        let text =
            metrics.text((0, 0, 0, 0), &LookupCounts::default(), (&ServingStatus::default(), None));
        for (name, _) in ENGINE_HISTOGRAMS {
            assert!(
                text.contains(&format!("\n{name}_bucket{{le=\"0.005\"}} ")),
                "{name} in\n{text}"
            );
        }
    }
}
