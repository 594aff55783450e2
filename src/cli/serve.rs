//! `dhakira serve`: the memories of a data directory over gRPC.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use clap::Args;
use tokio::signal::unix::{SignalKind, signal};

use crate::engine::{Engine, Loaded};
use crate::limits::DRAIN_SECONDS;
use crate::server::{Bound, DEFAULT_ADDRESS, Shutdown};
use crate::service::Api;

use super::Outcome;
use super::backend::{Missing, Where};
use super::output::LoadBar;

/// Serve the memories of a data directory over gRPC, until SIGTERM or Ctrl-C.
#[derive(Debug, Args)]
pub(super) struct Serve {
    /// Directory that holds the memories; made when it is not there.
    #[arg(long, value_name = "DIR", env = "DHAKIRA_DATA", default_value = "./dhakira-data")]
    data: PathBuf,
    /// Address and port to listen on. Whoever can reach it can read and write every memory.
    #[arg(long, value_name = "ADDRESS", env = "DHAKIRA_LISTEN", default_value = DEFAULT_ADDRESS)]
    listen: SocketAddr,
    /// Open a store that ends before its last acknowledged write, giving up what is missing.
    #[arg(long)]
    accept_data_loss: bool,
}

/// How long nothing is written before lexicons are learnt: longer than between the files of an import.
const LEARN_IDLE: Duration = Duration::from_secs(20);

impl Serve {
    pub(super) async fn run(self) -> anyhow::Result<Outcome> {
        let place = Where::directory(self.data, self.accept_data_loss);
        let store = {
            let place = place.clone();
            tokio::task::spawn_blocking(move || place.open_store("serve", Missing::Create))
                .await??
        };
        let store = Arc::new(store);
        let bound = Bound::new(self.listen).await?;
        store.announce(&bound.address().to_string())?;
        let shutdown = Shutdown::default();
        tokio::spawn(listen_for_signals(shutdown.clone())?);
        let api = Api::default();
        eprintln!(
            "dhakira: listening on {} for the memories in {}",
            bound.address(),
            place.data.display()
        );
        let loading = load(api.clone(), store, place.checkpoints());
        let serving = bound.serve(api.clone(), shutdown);
        tokio::pin!(serving);
        // While the memories load, the server answers that they do.
        tokio::select! {
            result = &mut serving => result?,
            loaded = loading => {
                let Loaded { units, from_checkpoints, .. } = loaded?;
                eprintln!(
                    "dhakira: ready, {units} units loaded, {from_checkpoints} of them from checkpoints"
                );
                tokio::select! {
                    result = &mut serving => result?,
                    () = api.learn_when_idle(LEARN_IDLE) => serving.await?,
                }
            }
        }
        eprintln!("dhakira: stopped");
        Ok(Outcome::Done)
    }
}

/// Loads the memories and puts them behind the API; returns what it took.
async fn load(
    api: Api,
    store: Arc<crate::store::LiveStore>,
    checkpoints: PathBuf,
) -> anyhow::Result<Loaded> {
    tokio::task::spawn_blocking(move || {
        let bar = LoadBar::new();
        let engine = Engine::open(store, Some(checkpoints), &mut |progress| bar.show(progress))?;
        let loaded = engine.loaded();
        api.load(engine);
        Ok(loaded)
    })
    .await?
}

/// Asks the server to stop at the first signal, and to stop at once at the second.
fn listen_for_signals(
    shutdown: Shutdown,
) -> std::io::Result<impl Future<Output = ()> + Send + 'static> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    Ok(async move {
        let mut first = true;
        loop {
            tokio::select! {
                _ = terminate.recv() => {}
                _ = interrupt.recv() => {}
            }
            if first {
                eprintln!(
                    "dhakira: stopping; calls in flight get {DRAIN_SECONDS} s to end (a second signal ends at once)"
                );
            }
            first = false;
            shutdown.request();
        }
    })
}
