//! The log of the process, on standard error.

/// The settings of the log.
#[derive(Debug, Default)]
pub(super) struct Log {
    pub(super) filter: Option<String>,
    pub(super) json: bool,
}

/// Starts logging; the filter is that of the settings, of `DHAKIRA_LOG`, or by `--verbose`.
pub(super) fn start_log(verbose: u8, log: Log) {
    let level = match verbose {
        0 => "warn,sled=error",
        1 => "info,sled=warn",
        _ => "debug",
    };
    let given = log.filter.or_else(|| std::env::var("DHAKIRA_LOG").ok());
    let given = given.and_then(|it| tracing_subscriber::EnvFilter::try_new(it).ok());
    let filter = given.unwrap_or_else(|| tracing_subscriber::EnvFilter::new(level));
    // The crate of the Model Context Protocol logs whole requests: texts, and the faults of clients.
    let filter = match "rmcp=error".parse() {
        Ok(directive) => filter.add_directive(directive),
        Err(_) => filter,
    };
    // Reporting a failed write could panic when standard error is closed.
    let lines = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .log_internal_errors(false);
    if log.json {
        lines.json().flatten_event(true).init();
    } else {
        lines.init();
    }
}
