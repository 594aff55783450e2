//! The table of settings of a server, with kinds, defaults and help.

use std::sync::LazyLock;

use clap::Arg;

use crate::cli::place::DATA_DEFAULT;
use crate::limits::{
    ANONYMOUS_CALLS_MAX, ANONYMOUS_CONNECTIONS_MAX, ANONYMOUS_IDLE_SECONDS, AUDIT_FILE_BYTES_MAX,
    AUDIT_FILES_MAX, CALL_SECONDS_MAX, CALLS_MAX, CLIENT_CALLS_MAX, CLIENT_HEAVY_CALLS_MAX,
    CONNECTIONS_MAX, HANDSHAKE_SECONDS_MAX, HEAVY_CALLS_MAX, IDLE_CONNECTION_SECONDS,
    MESSAGE_MEMORY_MIB, MESSAGE_SECONDS_MAX, PEER_CONNECTIONS_MAX, QUEUE_MILLIS_MAX,
    STALLED_READER_SECONDS, STREAM_SECONDS_MAX,
};
use crate::server::DEFAULT_ADDRESS;

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
    /// 0 to 100.
    Points,
    /// Memories, each with its penalty if it has one: `news,ui:5`.
    Memories,
    /// Rules such as `unfinished:10`, as `--penalty-rule` takes them.
    Penalties,
    /// Keys and the memories that they stand for: `KEY=news`.
    Keys,
    Text,
    /// The address of a database, which may hold a password.
    Database,
    /// Origins of web pages, with commas between them.
    Origins,
}

impl Kind {
    /// Whether a file may give a list of texts.
    pub(super) fn is_list(self) -> bool {
        matches!(self, Self::Memories | Self::Penalties | Self::Keys)
    }
}

/// A setting; the key is also its flag (`--tls-cert`) and its variable (`DHAKIRA_TLS_CERT`). A dot in the key is a table of the file,
/// and `-` in the flag.
pub(super) struct Setting {
    pub(super) key: &'static str,
    pub(super) kind: Kind,
    /// Empty: not set.
    pub(super) default: String,
    pub(super) help: &'static str,
}

fn setting(key: &'static str, kind: Kind, default: impl ToString, help: &'static str) -> Setting {
    Setting { key, kind, default: default.to_string(), help }
}

/// The heading of the settings of facades in the help.
pub(in crate::cli) const FACADES_HEADING: &str = "Protocols of translation tools";

/// The settings of one facade.
macro_rules! facade {
    ($name:literal, $what:literal, $min_score:literal) => {
        [
            setting(
                concat!("facade.", $name, ".enabled"),
                Kind::Switch,
                "true",
                concat!("Answer clients of ", $what, " on the same port"),
            ),
            setting(
                concat!("facade.", $name, ".memories"),
                Kind::Memories,
                "",
                "Memories that it serves, the best first, each with the points that its matches lose; every memory of the language pair that the caller may read when not set",
            ),
            setting(
                concat!("facade.", $name, ".min_score"),
                Kind::Points,
                $min_score,
                "Least score that it gives, whatever a client asks for",
            ),
            setting(
                concat!("facade.", $name, ".penalties"),
                Kind::Penalties,
                "",
                "Rules by which matches lose points, as --penalty-rule of `dhakira lookup` takes them",
            ),
            setting(
                concat!("facade.", $name, ".writes"),
                Kind::Switch,
                "false",
                "Store what its clients send, if they may",
            ),
        ]
    };
}

/// The table.
pub(super) static SETTINGS: LazyLock<Vec<Setting>> = LazyLock::new(|| {
    let mut settings = vec![
        setting(
            "data",
            Kind::Path,
            DATA_DEFAULT,
            "Directory that holds the memories; created when missing",
        ),
        setting(
            "store",
            Kind::Database,
            "",
            "PostgreSQL that holds the memories of a cluster, such as postgres://dhakira@db1,db2,db3/tm; this server becomes one of its nodes, and `data` holds its copy. The memories are in `data` alone when not set",
        ),
        setting(
            "durability",
            Kind::Word(&["synchronous", "engine"]),
            "synchronous",
            "Who sees to it that `store` loses no acknowledged write: synchronous standbys of PostgreSQL, without which the server does not start, or the storage `engine` (Aurora, RDS, AlloyDB)",
        ),
        setting(
            "advertise",
            Kind::Text,
            "",
            "URL at which the other nodes of the cluster reach this one; that of `listen` when not set",
        ),
        setting(
            "node_ca",
            Kind::Path,
            "",
            "Certificates of the authority of the other nodes, PEM, where they use TLS; those of the system when not set",
        ),
        setting(
            "readyz_max_lag_seconds",
            Kind::Number(1),
            "",
            "Seconds without an answer of the cluster's database for which /readyz and health checks still call a node ready, because it answers lookups; as soon as it cannot write it is not ready when not set",
        ),
        setting(
            "listen",
            Kind::Address,
            DEFAULT_ADDRESS,
            "Address and port for gRPC and for what else is switched on",
        ),
        setting(
            "json_api",
            Kind::Switch,
            "true",
            "Answer JSON over HTTP/1.1 and HTTP/2 on the same port, by the same rules as gRPC",
        ),
        setting(
            "grpc_web",
            Kind::Switch,
            "true",
            "Answer gRPC-Web over HTTP/1.1 and HTTP/2 on the same port: unary calls and server streams, binary and as text",
        ),
        setting(
            "cors_origins",
            Kind::Origins,
            "",
            "Origins of web pages that may use the server from their browsers, such as https://tm.example.org, with commas between them; none when not set",
        ),
        setting(
            "http_listen",
            Kind::Address,
            "",
            "Address and port for /healthz, /readyz, /metrics and, on a node, /cluster; none when not set",
        ),
        setting(
            "pages",
            Kind::Switch,
            "false",
            "Answer /healthz, /readyz, /metrics and /cluster on the port of gRPC too, without a token, to everybody who reaches it",
        ),
        setting(
            "tls_cert",
            Kind::Path,
            "",
            "Certificate of the server and its chain, PEM; reloaded when it changes; if a new certificate is invalid, the server logs it and keeps the old one",
        ),
        setting("tls_key", Kind::Path, "", "Private key of the certificate, PEM"),
        setting(
            "tls_client_ca",
            Kind::Path,
            "",
            "Certificates of authorities that sign client certificates, PEM; clients without a certificate are refused",
        ),
        setting(
            "tokens_file",
            Kind::Path,
            "",
            "File of access tokens, DATA/access/tokens.json when not set; once it exists, every call requires a token",
        ),
        setting(
            "insecure_no_auth",
            Kind::Switch,
            "false",
            "Listen beyond this machine although the server requires no authentication: whoever reaches the address can read, change and delete everything",
        ),
        setting(
            "audit",
            Kind::Text,
            "auto",
            "Where writes are audited: a file, `log`, `off`, or `auto`: DATA/access/audit.jsonl while tokens are required",
        ),
        setting(
            "audit_file_mib",
            Kind::Number(1),
            AUDIT_FILE_BYTES_MAX / (1024 * 1024),
            "MiB after which an audit file is renamed to NAME.1, that to NAME.2, and so on",
        ),
        setting(
            "audit_files_max",
            Kind::Number(1),
            AUDIT_FILES_MAX,
            "Audit files kept beside the current one; older ones are deleted",
        ),
        setting(
            "keep_log_days",
            Kind::Days,
            "all",
            "Days after which a commit leaves the commit log, from which watchers and incremental backups resume; `all`: only `compact` removes commits",
        ),
        setting(
            "log",
            Kind::Text,
            "",
            "What is logged, such as `info` or `warn,call=info` (one line per call); warnings when not set",
        ),
        setting(
            "log_format",
            Kind::Word(&["text", "json"]),
            "text",
            "Format of the log on standard error: text or json",
        ),
        setting("calls_max", Kind::Number(1), CALLS_MAX, "Calls in flight"),
        setting(
            "client_calls_max",
            Kind::Number(1),
            CLIENT_CALLS_MAX,
            "Calls in flight of one token, or of one address without tokens",
        ),
        setting(
            "heavy_calls_max",
            Kind::Number(1),
            HEAVY_CALLS_MAX,
            "Calls in flight of the kind that keeps a core busy: AlignDocuments, TrainLexicon, CheckUnits",
        ),
        setting(
            "client_heavy_calls_max",
            Kind::Number(1),
            CLIENT_HEAVY_CALLS_MAX,
            "Of those, the calls of one token or address",
        ),
        setting("connections_max", Kind::Number(1), CONNECTIONS_MAX, "Connections"),
        setting(
            "peer_connections_max",
            Kind::Number(1),
            PEER_CONNECTIONS_MAX,
            "Connections from one address",
        ),
        setting(
            "anonymous_calls_max",
            Kind::Number(1),
            ANONYMOUS_CALLS_MAX,
            "Calls in flight without a token, where tokens are in use: health checks. One address may have a quarter of them, Health/Watch half",
        ),
        setting(
            "anonymous_connections_max",
            Kind::Number(1),
            ANONYMOUS_CONNECTIONS_MAX,
            "Connections on which no token was presented yet, where tokens are in use; one more closes the oldest of the address that has the most",
        ),
        setting(
            "message_memory_mib",
            Kind::Number(32),
            MESSAGE_MEMORY_MIB,
            "MiB of messages held for all calls, arriving or waiting to be read; one token or address may have half of it",
        ),
        setting(
            "call_seconds_max",
            Kind::Number(1),
            CALL_SECONDS_MAX,
            "Time limit of a call with one answer, in seconds, whatever its deadline",
        ),
        setting(
            "stream_seconds_max",
            Kind::Number(1),
            STREAM_SECONDS_MAX,
            "Time limit of a stream, in seconds; watchers and imports resume",
        ),
        setting(
            "handshake_seconds_max",
            Kind::Number(1),
            HANDSHAKE_SECONDS_MAX,
            "Time limit of a TLS handshake, and of the first bytes of a client, in seconds",
        ),
        setting(
            "message_seconds_max",
            Kind::Number(1),
            MESSAGE_SECONDS_MAX,
            "Time limit for a message to arrive, in seconds; without a token, where tokens are in use, it is handshake_seconds_max",
        ),
        setting(
            "idle_connection_seconds",
            Kind::Number(1),
            IDLE_CONNECTION_SECONDS,
            "Seconds without a call after which a connection is closed; clients reconnect by themselves",
        ),
        setting(
            "anonymous_idle_seconds",
            Kind::Number(1),
            ANONYMOUS_IDLE_SECONDS,
            "The same for a connection on which no token was presented, where tokens are in use",
        ),
        setting(
            "stalled_reader_seconds",
            Kind::Number(1),
            STALLED_READER_SECONDS,
            "Seconds after which the connection of a client that does not read its answers is closed",
        ),
        setting(
            "queue_millis_max",
            Kind::Number(10),
            QUEUE_MILLIS_MAX,
            "Milliseconds of waiting for a thread after which new calls are refused",
        ),
    ];
    settings.extend(facade!("tmserver", "tmserver and amaGama (Weblate, Virtaal)", "70"));
    settings.extend(facade!("mymemory", "MyMemory (MateCat, scripts)", "50"));
    settings.push(setting(
        "facade.mymemory.keys",
        Kind::Keys,
        "",
        "Keys of MyMemory and the memories that they stand for; any other key is the name of a memory, or an access token",
    ));
    settings.extend(facade!("t5memory", "t5memory (translate5)", "60"));
    settings.extend(facade!("mcp", "the Model Context Protocol (AI clients, at /mcp)", "0"));
    settings
});

impl Setting {
    pub(super) fn flag(&self) -> String {
        self.key.replace(['_', '.'], "-")
    }

    pub(super) fn variable(&self) -> String {
        format!("DHAKIRA_{}", self.key.to_uppercase().replace('.', "_"))
    }

    fn value_name(&self) -> &'static str {
        match self.kind {
            Kind::Path => "PATH",
            Kind::Address => "ADDRESS",
            Kind::Number(_) => "NUMBER",
            Kind::Days => "DAYS|all",
            Kind::Switch => "true|false",
            Kind::Points => "POINTS",
            Kind::Memories => "NAME[:PENALTY],…",
            Kind::Penalties => "CONDITION:POINTS,…",
            Kind::Keys => "KEY=NAME,…",
            Kind::Word(_) | Kind::Text => "TEXT",
            Kind::Database => "URL",
            Kind::Origins => "ORIGINS",
        }
    }

    fn shown_default(&self) -> &str {
        if self.default.is_empty() { "not set" } else { &self.default }
    }

    pub(super) fn argument(&self) -> Arg {
        let help =
            format!("{} [env: {}] [default: {}]", self.help, self.variable(), self.shown_default());
        let mut argument =
            Arg::new(self.key).long(self.flag()).value_name(self.value_name()).help(help);
        if self.key.starts_with("facade.") {
            argument = argument.help_heading(FACADES_HEADING);
        }
        match self.kind {
            Kind::Switch => {
                argument.num_args(0..=1).require_equals(true).default_missing_value("true")
            }
            _ => argument,
        }
    }
}
