//! `dhakira bench`: measures imports, lookups, alignment and mixed loads, with every figure by name.

mod adapt;
mod align;
mod all;
mod child;
mod corpus;
mod grow;
mod import;
mod lookup;
mod measure;
mod profile;
mod ratios;
mod record;
mod report;
mod scale;
mod search;
mod served;
mod soak;
mod text;
mod tools;
mod train;
mod workload;

use clap::{Args, Subcommand};

/// Measure: each command prints its figures by name; `--json` prints them as one object.
#[derive(Debug, Args)]
pub(crate) struct Bench {
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, Subcommand)]
enum What {
    /// How many adapted targets equal the translation of a translator, and whether one differs only in how a number is written.
    Adapt(adapt::BenchAdapt),
    /// Accuracy and calibration of alignments against known answers.
    Align(align::BenchAlign),
    /// Everything that the documentation claims, part by part.
    All(all::BenchAll),
    /// Units a second into an empty store, with durable acknowledgements, embedded and over gRPC.
    Import(import::BenchImport),
    /// Time of lookups and concordances, in the engine and over gRPC; of opening; while importing.
    Lookup(lookup::BenchLookup),
    /// Lookups in passes, for `ratios`.
    #[command(hide = true)]
    Passes(ratios::BenchPasses),
    /// Where the time of a lookup, or of an imported unit, goes.
    Profile(profile::BenchProfile),
    /// Ratios of times, compared with committed ones.
    Ratios(ratios::BenchRatios),
    /// The page of figures, docs/measured.md, from what `all` and `scale` measured.
    Report(report::BenchReport),
    /// Import, disk, memory, start, lookup, concordance, compaction and backup at several sizes of memory.
    Scale(scale::BenchScale),
    /// Time of a search in the index alone, on one core, at any size of memory.
    Search(search::BenchSearch),
    /// A mixed load of many clients for minutes; at the end the store is compared with what was written.
    Soak(soak::BenchSoak),
    /// Segments a second that are analysed.
    Text(text::BenchText),
    /// The same lookup by gRPC, JSON, tmserver, MyMemory and t5memory.
    Tools(tools::BenchTools),
    /// Time of training a lexicon, and of checking units.
    Train(train::BenchTrain),
}

impl Bench {
    pub(crate) async fn run(self) -> anyhow::Result<()> {
        match self.what {
            What::Adapt(command) => tokio::task::spawn_blocking(|| command.run()).await??,
            What::Align(command) => tokio::task::spawn_blocking(|| command.run()).await??,
            What::All(command) => tokio::task::spawn_blocking(|| command.run()).await??,
            What::Report(command) => tokio::task::spawn_blocking(|| command.run()).await??,
            What::Scale(command) => tokio::task::spawn_blocking(|| command.run()).await??,
            What::Text(command) => tokio::task::spawn_blocking(|| command.run()).await??,
            What::Train(command) => tokio::task::spawn_blocking(|| command.run()).await??,
            What::Passes(command) => tokio::task::spawn_blocking(|| command.run()).await??,
            What::Ratios(command) => tokio::task::spawn_blocking(|| command.run()).await??,
            What::Profile(command) => tokio::task::spawn_blocking(|| command.run()).await??,
            What::Import(command) => command.run().await?,
            What::Lookup(command) => command.run().await?,
            What::Soak(command) => command.run().await?,
            What::Tools(command) => command.run().await?,
            What::Search(command) => tokio::task::spawn_blocking(|| command.run()).await??,
        }
        Ok(())
    }
}
