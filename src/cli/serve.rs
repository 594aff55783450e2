//! `dhakira serve`: serves the memories of a data directory over gRPC, and by what else is switched on.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use clap::Args;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::Notify;

use crate::engine::{Engine, Loaded};
use crate::grpc::Api;
use crate::grpc::access::Principals;
use crate::http;
use crate::limits::DRAIN_SECONDS;
use crate::server::{
    Audit, AuditFile, AuditKeeping, Bound, Facades, ServeOptions, Shutdown, Tls, TlsFiles,
    TokenFile, TokenMark, Tokens,
};
use crate::store::{Backend, SledStore};

use super::config::{Flags, Settings};
use super::log::Log;
use super::node::Node;
use super::outcome::Outcome;
use super::place::{MissingData, Place};
use crate::terminal::{Progress, counted};

/// Serve the memories of a data directory over gRPC, until SIGTERM or Ctrl-C.
#[derive(Debug, Args)]
#[command(
    after_help = "By default it listens on this machine only and requires no authentication. To serve others: `dhakira access-tokens \
    create`, --tls-cert and --tls-key, and --listen. SIGHUP reloads certificates and tokens and reopens the audit file."
)]
pub(super) struct Serve {
    #[command(flatten)]
    flags: Flags,
    /// Open a store that ends before its last acknowledged write; what is missing is lost.
    #[arg(long)]
    accept_data_loss: bool,
    /// Serve although calls required tokens before and the token file is missing: from now on no authentication is required.
    #[arg(long)]
    without_tokens: bool,
    /// Stop, as after SIGTERM, when standard input ends: for programs that start a server which must not outlive them.
    #[arg(long)]
    until_stdin_ends: bool,
}

/// How long nothing is written before lexicons are trained: longer than the pause between the files of an import.
pub(super) const TRAIN_IDLE: Duration = Duration::from_secs(20);

impl Serve {
    /// The log settings; invalid settings are reported when the command runs.
    pub(super) fn log(&self) -> Log {
        let Ok(settings) = Settings::resolve(&self.flags) else { return Log::default() };
        Log {
            filter: settings.given("log").ok().flatten(),
            json: settings.get::<String>("log_format").is_ok_and(|it| it == "json"),
        }
    }

    pub(super) async fn run(self) -> anyhow::Result<Outcome> {
        let settings = Settings::resolve(&self.flags)?;
        let place = Place::directory(settings.get("data")?, self.accept_data_loss);
        let listen: SocketAddr = settings.get("listen")?;
        // A node of a cluster has learnt its tokens before they are read.
        let node = tokio::task::block_in_place(|| Node::open(&settings))?.map(Arc::new);
        let mut options = tokio::task::block_in_place(|| options(&settings, self.without_tokens))?;
        check_exposure(&settings, listen, &options)?;
        let memories = tokio::task::block_in_place(|| Memories::open(node, &place))?;
        if let Some(tokens) = &options.tokens {
            tokio::task::block_in_place(|| tokens.note())?;
        }
        let bound = Bound::new(listen).await?;
        memories.announce(bound.address(), options.tls.is_some())?;
        if let Some(address) = settings.given::<SocketAddr>("http_listen")? {
            let listener = http::bind(address).await;
            let listener = listener.with_context(|| format!("cannot listen on {address}"))?;
            note!("dhakira: health and metrics on http://{}", listener.local_addr()?);
            options.http = Some(listener);
        }
        let shutdown = Shutdown::default();
        tokio::spawn(listen_for_signals(shutdown.clone(), options.reload.clone())?);
        if self.until_stdin_ends {
            end_with_stdin(shutdown.clone());
        }
        let api = Api::default();
        let principals = options.tokens.clone().map(|tokens| tokens as Arc<dyn Principals>);
        tokio::task::block_in_place(|| api.keep_operations(&place.operations(), principals))
            .with_context(|| format!("reading the operations in {}", place.data.display()))?;
        if let Memories::Shared(node) = &memories {
            options.cluster = Some(node.member(&settings, &api, bound.address())?);
        }
        // Its directory is locked, and tokens are shared, until the server has stopped.
        let node = memories.node();
        let _sharing = node.as_ref().map(|node| node.share_tokens()).transpose()?;
        announce(&bound, &options, &memories.name(&place));
        let loading = load(api.clone(), memories, place.checkpoints(), settings.keep_log()?);
        let serving = bound.serve_with(api.clone(), shutdown, options);
        tokio::pin!(serving);
        // While the memories load, calls are answered with UNAVAILABLE.
        tokio::select! {
            result = &mut serving => result?,
            loaded = loading => {
                let Loaded { units, from_checkpoints, .. } = loaded?;
                note!(
                    "dhakira: ready, {} loaded, {from_checkpoints} of them from checkpoints",
                    counted(units, "unit")
                );
                let background =
                    async { tokio::join!(api.train_when_idle(TRAIN_IDLE), api.run_operations()) };
                tokio::select! {
                    result = &mut serving => result?,
                    _ = background => serving.await?,
                }
            }
        }
        note!("dhakira: stopped");
        Ok(Outcome::Done)
    }
}

/// The memories that a server serves.
enum Memories {
    /// Those in its data directory.
    Own(Arc<SledStore>),
    /// Those of a cluster, of which its data directory holds a copy.
    Shared(Arc<Node>),
}

impl Memories {
    /// Those of a node, if the server is one, or of a data directory, which it opens. Blocks.
    fn open(node: Option<Arc<Node>>, place: &Place) -> anyhow::Result<Self> {
        Ok(match node {
            Some(node) => Self::Shared(node),
            None => Self::Own(Arc::new(place.open_store("serve", MissingData::Create)?)),
        })
    }

    /// Tells other processes that find the directory locked where the server is.
    fn announce(&self, address: SocketAddr, is_encrypted: bool) -> anyhow::Result<()> {
        let scheme = if is_encrypted { "https://" } else { "" };
        match self {
            Self::Own(store) => Ok(store.announce(&format!("{scheme}{address}"))?),
            Self::Shared(_) => Ok(()),
        }
    }

    fn node(&self) -> Option<Arc<Node>> {
        match self {
            Self::Own(_) => None,
            Self::Shared(node) => Some(node.clone()),
        }
    }

    fn name(&self, place: &Place) -> String {
        match self {
            Self::Own(_) => place.data.display().to_string(),
            Self::Shared(node) => format!("{}, copied to {}", node.name(), place.data.display()),
        }
    }

    /// The database for an engine. Blocks.
    fn backend(self) -> anyhow::Result<Backend> {
        match self {
            Self::Own(store) => Ok(store.into()),
            Self::Shared(node) => node.join(),
        }
    }
}

fn announce(bound: &Bound, options: &ServeOptions, memories: &str) {
    let pages = if options.origins.is_empty() {
        String::new()
    } else {
        format!(", for web pages of {}", options.origins)
    };
    note!(
        "dhakira: listening on {} for the memories in {memories}, by {}{pages}",
        bound.address(),
        options.facades
    );
}

/// Certificates, tokens, limits and audit. Blocks.
fn options(settings: &Settings, without_tokens: bool) -> anyhow::Result<ServeOptions> {
    let file = |key| settings.given::<PathBuf>(key);
    let tls = match (file("tls_cert")?, file("tls_key")?, file("tls_client_ca")?) {
        (None, None, None) => None,
        (Some(certificate), Some(key), client_ca) => {
            let tls = Tls::open(TlsFiles { certificate, key, client_ca });
            Some(Arc::new(tls.context("cannot use TLS")?))
        }
        _ => anyhow::bail!("TLS requires both tls_cert and tls_key"),
    };
    let data: PathBuf = settings.get("data")?;
    let tokens = TokenFile::new(settings.tokens_file()?);
    let tokens = Tokens::open_marked(tokens, TokenMark::of(&data), without_tokens)?;
    let keeping = AuditKeeping {
        bytes_max: settings.get::<u64>("audit_file_mib")?.saturating_mul(1024 * 1024),
        files_max: settings.get("audit_files_max")?,
    };
    let audit = match settings.get::<String>("audit")?.as_str() {
        "off" => Audit::Off,
        "log" => Audit::Log,
        "auto" => {
            Audit::FileWithTokens(AuditFile::new(data.join("access").join("audit.jsonl"), keeping))
        }
        path => Audit::File(AuditFile::new(PathBuf::from(path), keeping)),
    };
    if !matches!(audit, Audit::FileWithTokens(_)) || tokens.required() {
        audit.check()?;
    }
    let (tokens, limits) = (Some(Arc::new(tokens)), settings.limits()?);
    let facades = Facades {
        json: settings.get("json_api")?,
        grpc_web: settings.get("grpc_web")?,
        tools: settings.facades()?,
        pages: settings.get("pages")?,
    };
    let origins = settings.given("cors_origins")?.unwrap_or_default();
    Ok(ServeOptions { tls, tokens, facades, origins, limits, audit, ..ServeOptions::default() })
}

/// Refuses to serve other machines without authentication, unless told to.
fn check_exposure(
    settings: &Settings,
    listen: SocketAddr,
    options: &ServeOptions,
) -> anyhow::Result<()> {
    if listen.ip().is_loopback() {
        return Ok(());
    }
    let tokens = options.tokens.as_ref().is_some_and(|tokens| tokens.required());
    let certificates = options.tls.as_ref().is_some_and(|tls| tls.requires_client_certificates());
    if !tokens && !certificates {
        if settings.get("insecure_no_auth")? {
            note!(
                "dhakira: warning: whoever reaches {listen} can read, change and delete everything"
            );
            return Ok(());
        }
        anyhow::bail!(
            "{listen} can be reached from other machines, and the server requires no authentication: whoever reaches it could \
             read, change and delete everything. Create a token first (`dhakira access-tokens create NAME --grant admin:*`), or \
             require client certificates (--tls-client-ca), or, where access is restricted otherwise, use --insecure-no-auth"
        );
    }
    if options.tls.is_none() {
        note!(
            "dhakira: warning: without --tls-cert, tokens and texts cross the network unencrypted"
        );
    }
    Ok(())
}

/// Loads the memories and makes the API ready.
async fn load(
    api: Api,
    memories: Memories,
    checkpoints: PathBuf,
    keep_log: Option<Duration>,
) -> anyhow::Result<Loaded> {
    tokio::task::spawn_blocking(move || {
        let backend = memories.backend()?;
        let bar = Progress::new();
        let mut show = |progress| bar.loading(progress);
        let engine = Engine::open_keeping(backend, Some(checkpoints), keep_log, &mut show)?;
        engine.warm_up();
        let loaded = engine.loaded();
        api.load(engine);
        Ok(loaded)
    })
    .await?
}

/// Stops the server when standard input ends. On a detached thread, because it may read for as long as the process lives.
fn end_with_stdin(shutdown: Shutdown) {
    std::thread::spawn(move || {
        // An input that cannot be read has ended as well.
        let _ = std::io::copy(&mut std::io::stdin(), &mut std::io::sink());
        shutdown.request();
    });
}

/// Stops the server gracefully at the first signal, and at once at the second.
fn listen_for_signals(
    shutdown: Shutdown,
    reload: Arc<Notify>,
) -> std::io::Result<impl Future<Output = ()> + Send + 'static> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut hang_up = signal(SignalKind::hangup())?;
    Ok(async move {
        let mut first = true;
        loop {
            tokio::select! {
                _ = terminate.recv() => {}
                _ = interrupt.recv() => {}
                _ = hang_up.recv() => {
                    reload.notify_one();
                    continue;
                }
            }
            if first {
                note!(
                    "dhakira: stopping; calls in flight get {DRAIN_SECONDS} s to finish (a second signal stops at once)"
                );
            }
            first = false;
            shutdown.request();
        }
    })
}
