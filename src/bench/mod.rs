//! `dhakira bench`: measures imports, lookups, alignment and mixed loads, with every figure by name.

mod adapt;
mod align;
mod corpus;
mod grow;
mod import;
mod lookup;
mod measure;
mod search;
mod served;
mod soak;
mod tools;

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
    /// Units a second into an empty store, with durable acknowledgements, embedded and over gRPC.
    Import(import::BenchImport),
    /// Time of lookups and concordances, in the engine and over gRPC; of opening; while importing.
    Lookup(lookup::BenchLookup),
    /// Time of a search in the index alone, on one core, at any size of memory.
    Search(search::BenchSearch),
    /// A mixed load of many clients for minutes; at the end the store is compared with what was written.
    Soak(soak::BenchSoak),
    /// The same lookup by gRPC, JSON, tmserver, MyMemory and t5memory.
    Tools(tools::BenchTools),
}

impl Bench {
    pub(crate) async fn run(self) -> anyhow::Result<()> {
        match self.what {
            What::Adapt(command) => tokio::task::spawn_blocking(|| command.run()).await??,
            What::Align(command) => tokio::task::spawn_blocking(|| command.run()).await??,
            What::Import(command) => command.run().await?,
            What::Lookup(command) => command.run().await?,
            What::Soak(command) => command.run().await?,
            What::Tools(command) => command.run().await?,
            What::Search(command) => tokio::task::spawn_blocking(|| command.run()).await??,
        }
        Ok(())
    }
}
