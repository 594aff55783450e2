//! How does it go? Counts and times of calls, in the text form that Prometheus reads.

use std::fmt::Write as _;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use tonic::Code;

use crate::grpc::access::RULES;
use crate::grpc::{LookupCounts, Standing};

/// Upper ends of the buckets of call times, in microseconds.
const BUCKETS_US: [u64; 14] = [
    100, 250, 500, 1_000, 2_500, 5_000, 10_000, 25_000, 50_000, 100_000, 250_000, 1_000_000,
    10_000_000, 60_000_000,
];
/// Codes of gRPC, OK included.
const CODES: usize = 17;
/// Names of the codes, by their numbers.
const CODE_NAMES: [&str; CODES] = [
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

/// The name of a code, as the protocol has it.
pub(in crate::server) fn code_name(code: Code) -> &'static str {
    CODE_NAMES[code as usize]
}

#[derive(Debug, Default)]
struct Method {
    codes: [AtomicU64; CODES],
    /// Calls by time; the last bucket has no upper end.
    buckets: [AtomicU64; BUCKETS_US.len() + 1],
    micros: AtomicU64,
}

/// Connections that came to nothing, and calls that were not let in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::server) enum Turned {
    ConnectionFull,
    /// A connection without a token made room for another one.
    Evicted,
    /// A connection without calls was closed.
    Idle,
    Handshake,
    NotGrpc,
    Stalled,
    SlowMessage,
    CallsFull,
    AnonymousFull,
    MemoryFull,
    Overloaded,
    Stranger,
    Denied,
}

const TURNED: [(Turned, &str); 13] = [
    (Turned::ConnectionFull, "connections_full"),
    (Turned::Evicted, "connections_evicted"),
    (Turned::Idle, "connections_idle"),
    (Turned::Handshake, "handshake"),
    (Turned::NotGrpc, "not_grpc"),
    (Turned::Stalled, "stalled_reader"),
    (Turned::SlowMessage, "slow_message"),
    (Turned::CallsFull, "calls_full"),
    (Turned::AnonymousFull, "anonymous_calls_full"),
    (Turned::MemoryFull, "memory_full"),
    (Turned::Overloaded, "overloaded"),
    (Turned::Stranger, "unauthenticated"),
    (Turned::Denied, "permission_denied"),
];

/// What is counted.
#[derive(Debug)]
pub(in crate::server) struct Metrics {
    /// By number of the rule; the last one is for everything else.
    methods: Vec<Method>,
    turned: [AtomicU64; TURNED.len()],
    connections: AtomicU64,
    started: SystemTime,
}

impl Default for Metrics {
    fn default() -> Self {
        Self {
            methods: (0..=RULES.len()).map(|_| Method::default()).collect(),
            turned: Default::default(),
            connections: AtomicU64::new(0),
            started: SystemTime::now(),
        }
    }
}

impl Metrics {
    /// A call ended.
    pub(in crate::server) fn called(&self, rule: Option<usize>, code: Code, time: Duration) {
        let Some(method) = self.methods.get(rule.unwrap_or(RULES.len())) else { return };
        let micros = u64::try_from(time.as_micros()).unwrap_or(u64::MAX);
        method.codes[code as usize].fetch_add(1, Relaxed);
        method.micros.fetch_add(micros, Relaxed);
        let bucket = BUCKETS_US.partition_point(|end| *end < micros);
        method.buckets[bucket].fetch_add(1, Relaxed);
    }

    /// Something was not let in.
    pub(in crate::server) fn turned(&self, what: Turned) {
        if let Some(place) = TURNED.iter().position(|(it, _)| *it == what) {
            self.turned[place].fetch_add(1, Relaxed);
        }
    }

    /// A connection was taken.
    pub(in crate::server) fn connected(&self) {
        self.connections.fetch_add(1, Relaxed);
    }

    /// Everything, for Prometheus.
    pub(in crate::server) fn text(
        &self,
        (calls, connections, bytes, waited): (usize, usize, usize, u64),
        lookups: &LookupCounts,
        standing: &Standing,
    ) -> String {
        let mut out = Page(String::with_capacity(16 * 1024));
        self.methods(&mut out);
        out.family(
            "dhakira_turned_away_total",
            "counter",
            "Calls and connections not let in, by cause.",
        );
        for ((_, cause), count) in TURNED.iter().zip(&self.turned) {
            out.line("dhakira_turned_away_total", &[("cause", cause)], count.load(Relaxed));
        }
        out.family(
            "dhakira_lookup_segments_total",
            "counter",
            "Segments looked up, by the kind of their best match.",
        );
        for (stage, count) in lookups.read() {
            out.line("dhakira_lookup_segments_total", &[("stage", stage)], count);
        }
        out.gauge("dhakira_calls_in_flight", "Calls under way.", calls);
        out.gauge("dhakira_connections", "Connections open.", connections);
        out.family("dhakira_connections_total", "counter", "Connections taken.");
        out.line("dhakira_connections_total", &[], self.connections.load(Relaxed));
        out.gauge(
            "dhakira_message_bytes",
            "Bytes of messages held, coming in or waiting to be read.",
            bytes,
        );
        out.gauge(
            "dhakira_queue_milliseconds",
            "How long new work waited for a thread at the last try.",
            waited,
        );
        out.gauge(
            "dhakira_ready",
            "1 when the memories are loaded and may be written to.",
            u8::from(standing.trouble.is_none()),
        );
        out.gauge("dhakira_memories", "Memories.", standing.memories);
        out.gauge("dhakira_units", "Units of all memories.", standing.units);
        out.family("dhakira_commit_sequence", "counter", "Number of the last commit.");
        out.line("dhakira_commit_sequence", &[], standing.sequence);
        let started = self.started.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
        out.gauge("process_start_time_seconds", "When the server started.", started);
        out.gauge("process_resident_memory_bytes", "Memory of the process.", resident_bytes());
        out.0
    }

    fn methods(&self, out: &mut Page) {
        let named = || {
            let names = RULES.iter().map(|rule| rule.method.trim_start_matches('/'));
            names.chain(["other"]).zip(&self.methods)
        };
        out.family("dhakira_calls_total", "counter", "Calls that ended, by method and code.");
        for (name, method) in named() {
            for (code, count) in CODE_NAMES.iter().zip(&method.codes) {
                let count = count.load(Relaxed);
                if count > 0 {
                    out.line("dhakira_calls_total", &[("method", name), ("code", code)], count);
                }
            }
        }
        out.family(
            "dhakira_call_seconds",
            "histogram",
            "Time of calls, from the request to the end of the answer.",
        );
        for (name, method) in named() {
            let counts: Vec<u64> = method.buckets.iter().map(|it| it.load(Relaxed)).collect();
            let total: u64 = counts.iter().sum();
            if total == 0 {
                continue;
            }
            let mut below = 0;
            for (end, count) in BUCKETS_US.iter().zip(&counts) {
                below += count;
                let end = seconds(*end);
                out.line("dhakira_call_seconds_bucket", &[("method", name), ("le", &end)], below);
            }
            out.line("dhakira_call_seconds_bucket", &[("method", name), ("le", "+Inf")], total);
            let sum = seconds(method.micros.load(Relaxed));
            out.line("dhakira_call_seconds_sum", &[("method", name)], sum);
            out.line("dhakira_call_seconds_count", &[("method", name)], total);
        }
    }
}

/// Seconds with as many decimals as they have, exactly.
fn seconds(micros: u64) -> String {
    let text = format!("{}.{:06}", micros / 1_000_000, micros % 1_000_000);
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

struct Page(String);

impl Page {
    fn family(&mut self, name: &str, kind: &str, help: &str) {
        // Writing to a string cannot fail.
        let _ = writeln!(self.0, "# HELP {name} {help}\n# TYPE {name} {kind}");
    }

    fn line(&mut self, name: &str, labels: &[(&str, &str)], value: impl std::fmt::Display) {
        let labels: Vec<String> =
            labels.iter().map(|(key, it)| format!("{key}=\"{it}\"")).collect();
        let labels =
            if labels.is_empty() { String::new() } else { format!("{{{}}}", labels.join(",")) };
        let _ = writeln!(self.0, "{name}{labels} {value}");
    }

    fn gauge(&mut self, name: &str, help: &str, value: impl std::fmt::Display) {
        self.family(name, "gauge", help);
        self.line(name, &[], value);
    }
}

/// The memory that this process has resident; 0 where the system does not tell.
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
    fn buckets_add_up_and_seconds_are_exact() {
        let metrics = Metrics::default();
        metrics.called(Some(0), Code::Ok, Duration::from_micros(100));
        metrics.called(Some(0), Code::NotFound, Duration::from_micros(101));
        metrics.called(None, Code::Ok, Duration::from_secs(1_000));
        let text = metrics.text((0, 0, 0, 0), &LookupCounts::default(), &Standing::default());
        let method = RULES[0].method.trim_start_matches('/');
        for line in [
            format!("dhakira_calls_total{{method=\"{method}\",code=\"NOT_FOUND\"}} 1"),
            format!("dhakira_call_seconds_bucket{{method=\"{method}\",le=\"0.0001\"}} 1"),
            format!("dhakira_call_seconds_bucket{{method=\"{method}\",le=\"0.00025\"}} 2"),
            format!("dhakira_call_seconds_sum{{method=\"{method}\"}} 0.000201"),
            "dhakira_call_seconds_bucket{method=\"other\",le=\"60\"} 0".to_owned(),
            "dhakira_call_seconds_bucket{method=\"other\",le=\"+Inf\"} 1".to_owned(),
        ] {
            assert!(text.lines().any(|it| it == line), "{line} in\n{text}");
        }
    }
}
