//! `dhakira bench import`.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Instant;

use clap::Args;

use crate::cli::import::{Summary, import_file};
use crate::engine::{CheckAction, DuplicatePolicy, Engine, NewMemory};
use crate::formats::ReadOptions;
use crate::server::{Bound, Shutdown};
use crate::service::Api;
use crate::service::client::Client;
use crate::store::{OpenOptions, SledStore};
use crate::unit::{Lang, MemoryName};

use super::measure::{Figures, bytes_on_disk, median, number, peak_resident_mb};

/// Imports a file into an empty store, several times: embedded, and through a server on loopback.
#[derive(Debug, Args)]
pub(super) struct BenchImport {
    /// File to import.
    file: PathBuf,
    /// Runs of each way; the median counts.
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u8).range(1..=99))]
    runs: u8,
    /// Language of the sources.
    #[arg(long, default_value = "ar")]
    source_lang: Lang,
    /// Language of the targets.
    #[arg(long, default_value = "en")]
    target_lang: Lang,
    /// Directory for the stores, on the disk to be measured; each run makes and removes its own.
    #[arg(long, default_value = "./dhakira-bench")]
    data: PathBuf,
    /// One JSON object with all figures.
    #[arg(long)]
    json: bool,
}

impl BenchImport {
    pub(super) async fn run(self) -> anyhow::Result<()> {
        let mut figures = Figures::default();
        for (way, over_grpc) in [("embedded", false), ("grpc", true)] {
            let mut rates = Vec::new();
            for _ in 0..self.runs {
                let directory = self.data.join(uuid::Uuid::new_v4().to_string());
                let run = self.once(&directory, over_grpc).await;
                let bytes = bytes_on_disk(&directory).unwrap_or_default();
                std::fs::remove_dir_all(&directory)?;
                let (summary, seconds) = run?;
                let read = number(usize::try_from(summary.read)?);
                rates.push(read / seconds);
                figures.put("units", read);
                figures.put("units_stored", number(usize::try_from(summary.stored)?));
                figures.put("disk_mb", number(usize::try_from(bytes)?) / 1e6);
            }
            figures.put(format!("{way}_units_per_second"), median(rates));
            figures.put(format!("{way}_peak_resident_mb"), peak_resident_mb());
        }
        figures.show(self.json)
    }

    async fn once(&self, directory: &Path, over_grpc: bool) -> anyhow::Result<(Summary, f64)> {
        let options =
            OpenOptions { create: true, accept_data_loss: false, purpose: "bench".to_owned() };
        let store = SledStore::open(directory, &options)?;
        let api = Api::ready(Engine::open(Arc::new(store), None, &mut |_| ())?);
        let shutdown = Shutdown::default();
        let mut client = if over_grpc {
            let bound = Bound::new("127.0.0.1:0".parse()?).await?;
            let url = format!("http://{}", bound.address());
            tokio::spawn(bound.serve(api, shutdown.clone()));
            Client::connect(&url).await?
        } else {
            Client::local(&api)
        };
        let name: MemoryName = "bench".parse()?;
        client
            .create_memory(NewMemory {
                name: name.clone(),
                display_name: String::new(),
                description: String::new(),
                source_lang: self.source_lang.clone(),
                target_lang: self.target_lang.clone(),
            })
            .await?;
        let options = ReadOptions::new(
            self.source_lang.clone(),
            self.target_lang.clone(),
            self.file.display().to_string(),
        );
        let mut summary = Summary::default();
        let since = Instant::now();
        let policy = (DuplicatePolicy::SkipIdentical, CheckAction::None);
        import_file(&mut client, &name, policy, &self.file, options, &mut summary).await?;
        let seconds = since.elapsed().as_secs_f64();
        shutdown.request();
        Ok((summary, seconds))
    }
}
