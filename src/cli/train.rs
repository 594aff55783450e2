//! `dhakira train`: trains the lexicon of a memory now.

use std::time::Instant;

use clap::Args;
use serde::Serialize;

use crate::unit::MemoryName;

use super::outcome::Outcome;
use super::place::{MissingData, Place};
use crate::terminal::{Progress, counted, grouped, json_line};

/// Train the lexicon of a memory, which links words, from all of its units.
///
/// Alignment, word links and `check` use it. It is learnt by itself when it is needed or when nothing else is to be done; this
/// does it now, and from all units.
#[derive(Debug, Args)]
pub(super) struct Train {
    #[command(flatten)]
    place: Place,
    /// The memory to train on.
    #[arg(long, short, value_name = "NAME")]
    memory: MemoryName,
    /// One JSON object on standard output, nothing else there.
    #[arg(long)]
    json: bool,
}

#[derive(Serialize)]
struct Line<'a> {
    memory: &'a str,
    units: u64,
    source_terms: u64,
    target_terms: u64,
    seconds: f64,
}

impl Train {
    pub(super) async fn run(self) -> anyhow::Result<Outcome> {
        let mut client = self.place.client("train", MissingData::Refuse).await?;
        let since = Instant::now();
        let bar = Progress::new();
        let info = client.train(&self.memory, &mut |doing, done| bar.show(doing, done)).await?;
        drop(bar);
        let seconds = since.elapsed().as_secs_f64();
        let (source_terms, target_terms) = info.terms;
        if self.json {
            let memory = self.memory.as_str();
            json_line(&Line { memory, units: info.units, source_terms, target_terms, seconds })?;
        } else {
            say!(
                "{}: trained on {} in {seconds:.1} s: {} source and {} target terms",
                self.memory,
                counted(info.units, "unit"),
                grouped(source_terms),
                grouped(target_terms)
            )?;
        }
        Ok(Outcome::Done)
    }
}
