//! Which settings does a server have? The one table of them, with kinds, defaults and help.

use clap::Arg;

/// What kind of value a setting has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Path,
    Address,
    Switch,
    /// At least this.
    Number(u64),
    /// A number of days, or `all`.
    Days,
    Word(&'static [&'static str]),
    Text,
}

/// A setting; the key is also its flag (`--tls-cert`) and its variable (`DHAKIRA_TLS_CERT`).
pub(super) struct Setting {
    pub(super) key: &'static str,
    pub(super) kind: Kind,
    /// Empty: not set.
    pub(super) default: &'static str,
    pub(super) help: &'static str,
}

const fn setting(
    key: &'static str,
    kind: Kind,
    default: &'static str,
    help: &'static str,
) -> Setting {
    Setting { key, kind, default, help }
}

/// The table.
pub(super) static SETTINGS: &[Setting] = &[
    setting(
        "data",
        Kind::Path,
        "./dhakira-data",
        "Directory that holds the memories; made when it is not there",
    ),
    setting("listen", Kind::Address, "127.0.0.1:50051", "Address and port for gRPC"),
    setting(
        "http_listen",
        Kind::Address,
        "",
        "Address and port for /healthz, /readyz and /metrics; none when not set",
    ),
    setting(
        "tls_cert",
        Kind::Path,
        "",
        "Certificate of the server and those that vouch for it, PEM; read again when it changes",
    ),
    setting("tls_key", Kind::Path, "", "Private key of the certificate, PEM"),
    setting(
        "tls_client_ca",
        Kind::Path,
        "",
        "Certificates that vouch for clients, PEM; a client without a certificate is turned away",
    ),
    setting(
        "tokens_file",
        Kind::Path,
        "",
        "File of access tokens, DATA/access/tokens.json when not set; once it is there, every call needs a token",
    ),
    setting(
        "insecure_no_auth",
        Kind::Switch,
        "false",
        "Listen beyond this machine although neither tokens nor client certificates are asked for: whoever reaches the address reads, changes and deletes everything",
    ),
    setting(
        "audit",
        Kind::Text,
        "auto",
        "Where each write is noted: a file, `log`, `off`, or `auto`: DATA/access/audit.jsonl while tokens are asked for",
    ),
    setting(
        "audit_file_mib",
        Kind::Number(1),
        "64",
        "MiB after which an audit file is put aside as NAME.1, that as NAME.2, and so on",
    ),
    setting(
        "audit_files_max",
        Kind::Number(1),
        "10",
        "Audit files kept beside the one that is written to; older ones are deleted",
    ),
    setting(
        "keep_log_days",
        Kind::Days,
        "all",
        "Days after which a commit leaves the commit log, from which watchers and incremental backups resume; `all`: only `compact` gives commits up",
    ),
    setting(
        "log",
        Kind::Text,
        "",
        "What is logged, such as `info` or `warn,call=info` (a line a call); warnings when not set",
    ),
    setting(
        "log_format",
        Kind::Word(&["text", "json"]),
        "text",
        "How it is logged, on standard error: text or json",
    ),
    setting("calls_max", Kind::Number(1), "1024", "Calls under way"),
    setting(
        "client_calls_max",
        Kind::Number(1),
        "256",
        "Calls under way of one token, or of one address without tokens",
    ),
    setting(
        "heavy_calls_max",
        Kind::Number(1),
        "8",
        "Calls under way of the kind that keeps a core busy: AlignDocuments, TrainLexicon, CheckUnits",
    ),
    setting(
        "client_heavy_calls_max",
        Kind::Number(1),
        "4",
        "Of those, the calls of one token or address",
    ),
    setting("connections_max", Kind::Number(1), "1000", "Connections"),
    setting("peer_connections_max", Kind::Number(1), "500", "Connections from one address"),
    setting(
        "anonymous_calls_max",
        Kind::Number(1),
        "128",
        "Calls under way without a token, where tokens are in use: health checks. One address has a quarter of them, Health/Watch half",
    ),
    setting(
        "anonymous_connections_max",
        Kind::Number(1),
        "200",
        "Connections on which no token was shown yet, where tokens are in use; when one more comes, the oldest of the address that has the most is closed",
    ),
    setting(
        "message_memory_mib",
        Kind::Number(32),
        "512",
        "MiB of messages held for all calls, coming in or waiting to be read; one token or address has half of it",
    ),
    setting(
        "call_seconds_max",
        Kind::Number(1),
        "300",
        "Seconds that a call with one answer gets, whatever its deadline",
    ),
    setting(
        "stream_seconds_max",
        Kind::Number(1),
        "86400",
        "Seconds that a stream gets; watchers and imports resume",
    ),
    setting(
        "handshake_seconds_max",
        Kind::Number(1),
        "10",
        "Seconds for a TLS handshake, and for a client's first bytes",
    ),
    setting(
        "message_seconds_max",
        Kind::Number(1),
        "150",
        "Seconds for a message to arrive; without a token, where tokens are in use, it gets handshake_seconds_max",
    ),
    setting(
        "idle_connection_seconds",
        Kind::Number(1),
        "3600",
        "Seconds without a call after which a connection is closed; clients connect again by themselves",
    ),
    setting(
        "anonymous_idle_seconds",
        Kind::Number(1),
        "60",
        "The same for a connection on which no token was shown, where tokens are in use",
    ),
    setting(
        "stalled_reader_seconds",
        Kind::Number(1),
        "120",
        "Seconds without reading after which a client that has answers waiting loses its connection",
    ),
    setting(
        "queue_millis_max",
        Kind::Number(10),
        "2000",
        "Milliseconds of waiting for a thread from which on new calls are refused",
    ),
];

impl Setting {
    pub(super) fn flag(&self) -> String {
        self.key.replace('_', "-")
    }

    pub(super) fn variable(&self) -> String {
        format!("DHAKIRA_{}", self.key.to_uppercase())
    }

    fn value_name(&self) -> &'static str {
        match self.kind {
            Kind::Path => "PATH",
            Kind::Address => "ADDRESS",
            Kind::Number(_) => "NUMBER",
            Kind::Days => "DAYS|all",
            Kind::Switch => "true|false",
            Kind::Word(_) | Kind::Text => "TEXT",
        }
    }

    fn shown_default(&self) -> &'static str {
        if self.default.is_empty() { "not set" } else { self.default }
    }

    pub(super) fn argument(&self) -> Arg {
        let help =
            format!("{} [env: {}] [default: {}]", self.help, self.variable(), self.shown_default());
        let argument =
            Arg::new(self.key).long(self.flag()).value_name(self.value_name()).help(help);
        match self.kind {
            Kind::Switch => {
                argument.num_args(0..=1).require_equals(true).default_missing_value("true")
            }
            _ => argument,
        }
    }
}
