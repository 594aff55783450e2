//! `dhakira export`: a memory as a file.

use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::PathBuf;

use anyhow::Context as _;
use clap::Args;
use tokio_stream::StreamExt as _;

use crate::formats::{FileHeader, TmxWriter};
use crate::service::client::{Client, MemoryInfo};
use crate::unit::MemoryName;

use super::Outcome;
use super::backend::{Missing, Where};
use super::output::grouped;

/// Write a memory as a TMX 1.4 file.
#[derive(Debug, Args)]
pub(super) struct Export {
    #[command(flatten)]
    place: Where,
    /// The memory to write.
    #[arg(long, short, value_name = "NAME")]
    memory: MemoryName,
    /// File to write, which must not exist yet; standard output when not given.
    #[arg(long, short, value_name = "FILE")]
    output: Option<PathBuf>,
    /// Overwrite the file if it exists.
    #[arg(long, requires = "output")]
    force: bool,
}

impl Export {
    pub(super) async fn run(self) -> anyhow::Result<Outcome> {
        let mut client = self.place.client("export", Missing::Refuse).await?;
        let memory = client.memory(&self.memory).await?;
        let Some(path) = &self.output else {
            drop(write(&mut client, &memory, io::stdout().lock()).await?);
            return Ok(Outcome::Done);
        };
        if path.exists() && !self.force {
            anyhow::bail!("{} exists; --force overwrites it", path.display());
        }
        // Written beside it first, so that a failure leaves an older export as it was.
        let mut partial = path.clone().into_os_string();
        partial.push(".partial");
        let doing = || format!("writing {}", path.display());
        let file = File::create(&partial).with_context(doing)?;
        let file = write(&mut client, &memory, file).await.with_context(doing)?;
        file.sync_all().and_then(|()| std::fs::rename(&partial, path)).with_context(doing)?;
        eprintln!("dhakira: {} units written to {}", grouped(memory.unit_count), path.display());
        Ok(Outcome::Done)
    }
}

async fn write<W: Write>(client: &mut Client, memory: &MemoryInfo, out: W) -> anyhow::Result<W> {
    let header = FileHeader {
        source_lang: memory.source_lang.clone(),
        target_lang: memory.target_lang.clone(),
        tool_version: env!("CARGO_PKG_VERSION").to_owned(),
    };
    let mut writer = TmxWriter::new(BufWriter::new(out), &header)?;
    let mut pages = Box::pin(client.export(&memory.name).await?);
    while let Some(page) = pages.next().await {
        for unit in page? {
            writer.write(&unit)?;
        }
    }
    Ok(writer.finish()?.into_inner().map_err(io::IntoInnerError::into_error)?)
}
