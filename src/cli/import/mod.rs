//! `dhakira import`: reads translations from files into a memory.

mod memory;
mod report;
mod session;
mod sources;

use std::path::PathBuf;
use std::time::Instant;

use anyhow::Context as _;
use clap::{Args, ValueEnum};
use tokio_util::sync::CancellationToken;

use crate::client::{Client, ClientError};
use crate::engine::{CheckAction, DuplicatePolicy};
use crate::formats::{Format, ReadOptions, Unfinished};
use crate::grpc::Api;
use crate::terminal::counted;
use crate::unit::{Lang, MemoryName};
use crate::validate::parse_language;

use super::near_misses::{keep_client, near_memory};
use super::outcome::{INTERRUPTED, Outcome, WayOut, message};
use super::place::{MissingData, Place};
use super::visit::{IdleCluster, TemporaryDirectory, visit};

pub(super) use memory::TargetMemory;
use report::UnitLog;
pub(super) use report::{Report, Summary};
use session::Interrupted;
pub(super) use session::{Job, import_source};
pub(super) use sources::Source;
use sources::sources;

/// Read translations from files of any exchange format (plain or compressed) into a memory, which is created with the first
/// unit when there is none.
///
/// An invalid unit is rejected and reported by its cause, with the places of the first ones; the rest is stored. A file that declares
/// other languages than those of the memory is not imported. An import that broke off resumes when the same file is imported again.
#[derive(Debug, Args)]
#[expect(clippy::struct_excessive_bools, reason = "each is a flag")]
pub(super) struct Import {
    #[command(flatten)]
    place: Place,
    #[command(flatten)]
    cluster: IdleCluster,
    /// The memory to fill.
    #[arg(long, short, value_name = "NAME")]
    memory: MemoryName,
    /// Language of the sources; that of the memory when not given.
    #[arg(long, value_name = "LANG", value_parser = parse_language)]
    source_lang: Option<Lang>,
    /// Language of the targets; that of the memory when not given.
    #[arg(long, value_name = "LANG", value_parser = parse_language)]
    target_lang: Option<Lang>,
    /// Format of the files; detected from their content when not given. With `moses` the files are pairs: sources, targets.
    #[arg(long, value_name = "FORMAT")]
    format: Option<Format>,
    /// Column of the sources in files with columns: its name, or its number from 1 (with both columns by number, a file needs no
    /// header); the one named as the language when not given.
    #[arg(long, value_name = "COLUMN")]
    source_column: Option<String>,
    /// Column of the targets; the one named as the language when not given.
    #[arg(long, value_name = "COLUMN")]
    target_column: Option<String>,
    /// Swap sources and targets of the files.
    #[arg(long)]
    swap: bool,
    /// Import files that declare other languages than those of the memory, as they are.
    #[arg(long)]
    ignore_declared_languages: bool,
    /// What to do with translations that their file marks as unfinished: fuzzy messages of PO, states such as `new`,
    /// `needs-translation` or `initial` of XLIFF, drafts of SDLXLIFF and MQXLIFF.
    #[arg(long, value_enum, value_name = "ACTION", default_value_t = UnfinishedFlag::Skip)]
    unfinished: UnfinishedFlag,
    /// Leave inline tags out and store the text alone.
    #[arg(long)]
    no_tags: bool,
    /// What to do with a unit that the memory already has.
    #[arg(long, value_enum, default_value_t = Policy::SkipIdentical)]
    duplicates: Policy,
    /// Check the quality of each unit, with the lexicon of the memory, and what to do with suspect ones.
    #[arg(long, value_enum, value_name = "ACTION", num_args = 0..=1, default_missing_value = "tag", require_equals = true)]
    check: Option<CheckFlag>,
    /// File for the rejected units, with the reasons, to be corrected and imported again: TSV when its name ends in .tsv, else
    /// TMX. It is created only when a unit is rejected, and must not exist yet.
    #[arg(long, value_name = "FILE")]
    rejects: Option<PathBuf>,
    /// File for the outcome of each unit, one JSON object a line.
    #[arg(long, value_name = "FILE")]
    verdicts: Option<PathBuf>,
    /// Import a file again that was completely imported with `--duplicates keep-all`.
    #[arg(long)]
    again: bool,
    /// One JSON object with the totals on standard output, nothing else there.
    #[arg(long)]
    json: bool,
    /// Files to read, or directories with such files; `-` is standard input.
    #[arg(required = true, value_name = "FILE")]
    files: Vec<PathBuf>,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
pub(super) enum Policy {
    /// Store every unit.
    KeepAll,
    /// Skip a unit whose source and target are already stored in the same context.
    SkipIdentical,
    /// A unit replaces the stored one with the same source in the same context, or without a context.
    ReplaceSameSource,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum UnfinishedFlag {
    /// Leave them out and count them.
    Skip,
    /// Store them with an attribute `unfinished` that holds their state.
    Keep,
}

impl From<UnfinishedFlag> for Unfinished {
    fn from(flag: UnfinishedFlag) -> Self {
        match flag {
            UnfinishedFlag::Skip => Self::Skip,
            UnfinishedFlag::Keep => Self::Keep,
        }
    }
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum CheckFlag {
    /// Store them with an attribute `check` that names the reasons.
    Tag,
    /// Reject what is misaligned, untranslated or in the wrong language; tag the rest.
    Reject,
}

impl From<CheckFlag> for CheckAction {
    fn from(flag: CheckFlag) -> Self {
        match flag {
            CheckFlag::Tag => Self::Tag,
            CheckFlag::Reject => Self::Reject,
        }
    }
}

impl From<Policy> for DuplicatePolicy {
    fn from(policy: Policy) -> Self {
        match policy {
            Policy::KeepAll => Self::KeepAll,
            Policy::SkipIdentical => Self::SkipIdentical,
            Policy::ReplaceSameSource => Self::ReplaceSameSource,
        }
    }
}

/// Whether the connection to the server broke off, or the server was stopped.
fn is_lost(error: &anyhow::Error) -> bool {
    let cause = error.downcast_ref::<ClientError>();
    cause.is_some_and(|cause| cause.is_lost() || cause.is_unavailable())
}

/// Is cancelled by Ctrl-C; a second one ends the process at once.
fn stop_at_interrupt() -> CancellationToken {
    let stop = CancellationToken::new();
    let stopping = stop.clone();
    tokio::spawn(async move {
        if tokio::signal::ctrl_c().await.is_ok() {
            note!("dhakira: stopping when what was sent is stored; Ctrl-C again stops at once");
            stopping.cancel();
            // An error means that there will be no second signal.
            if tokio::signal::ctrl_c().await.is_ok() {
                std::process::exit(INTERRUPTED.into());
            }
        }
    });
    stop
}

impl Import {
    pub(super) async fn run(self) -> anyhow::Result<Outcome> {
        let sources = sources(&self.files, self.format == Some(Format::Moses))?;
        let (mut client, _copy) = self.client().await?;
        let mut memory = self.memory(&mut client).await?;
        let langs = memory.langs.clone();
        let rejects = self.rejects.clone().map(|path| UnitLog::rejects(path, langs)).transpose()?;
        let verdicts = self.verdicts.clone().map(UnitLog::verdicts).transpose()?;
        let mut report = Report { rejects, verdicts, ..Report::default() };
        let since = Instant::now();
        let stop = stop_at_interrupt();
        let failed =
            self.import_all(&mut client, (&mut memory, &stop), &sources, &mut report).await;
        let is_lost = matches!(&failed, Err(error) if is_lost(error));
        let deleted = if is_lost { Ok(()) } else { memory.delete_if_empty(&mut client).await };
        // The file of rejected units is written, whatever happened afterwards.
        let summary = report.finish(since)?;
        if matches!(&failed, Err(error) if error.is::<Interrupted>()) {
            deleted?;
            summary.show(self.json)?;
            note!("dhakira: stopped; {}", self.resuming(&sources, &summary));
            return Ok(Outcome::Interrupted);
        }
        let failed = failed.map_err(|error| {
            if is_lost { error.context(WayOut(self.resuming(&sources, &summary))) } else { error }
        })?;
        deleted?;
        summary.show(self.json)?;
        anyhow::ensure!(
            failed == 0,
            "{failed} of {} could not be imported, as reported above",
            counted(sources.len(), "file")
        );
        Ok(if summary.rejected > 0 { Outcome::DoneWithRejects } else { Outcome::Done })
    }

    /// A client of the memories, with the copy that it works on where they are those of a cluster.
    async fn client(&self) -> anyhow::Result<(Client, Option<TemporaryDirectory>)> {
        let Some(options) = self.cluster.options()? else {
            return Ok((self.place.client("import", MissingData::Create).await?, None));
        };
        anyhow::ensure!(
            !self.place.is_remote(),
            "--into imports without a server; leave --server out"
        );
        let (engine, copy) = tokio::task::spawn_blocking(move || visit(options)).await??;
        let client = Client::local(&Api::ready(engine));
        keep_client(&client);
        Ok((client, Some(copy)))
    }

    /// What is stored of an import that ended early, and how to continue it.
    fn resuming(&self, sources: &[Source], summary: &Summary) -> String {
        let stored = counted(summary.stored, "unit");
        let is_kept = |source: &Source| !matches!(source, Source::Stdin);
        let keeps_all = matches!(self.duplicates, Policy::KeepAll);
        if sources.iter().all(is_kept) && !self.again {
            format!("{stored} stored so far; run the same command again, and it resumes there")
        } else if keeps_all {
            format!(
                "{stored} stored so far; with `--duplicates keep-all`, what is imported again is stored twice"
            )
        } else {
            format!("{stored} stored so far; run the same command again: what is stored is skipped")
        }
    }

    /// Imports one file after the other; returns how many failed.
    async fn import_all(
        &self,
        client: &mut Client,
        (memory, stop): (&mut TargetMemory, &CancellationToken),
        sources: &[Source],
        report: &mut Report,
    ) -> anyhow::Result<usize> {
        let mut failed = 0;
        for source in sources {
            let job = Job {
                policy: self.duplicates.into(),
                check: self.check.map_or(CheckAction::None, Into::into),
                again: self.again,
                stop: stop.clone(),
                options: ReadOptions {
                    format: self.format,
                    source_column: self.source_column.clone(),
                    target_column: self.target_column.clone(),
                    tags: !self.no_tags,
                    swap: self.swap,
                    ignore_declared_languages: self.ignore_declared_languages,
                    unfinished: self.unfinished.into(),
                    ..ReadOptions::new(
                        memory.langs.0.clone(),
                        memory.langs.1.clone(),
                        source.name(),
                    )
                },
            };
            let (read, before) = (report.summary.read, report.summary.imported_before);
            let imported = import_source(client, (&job, memory), source, report)
                .await
                .with_context(|| format!("importing {}", source.name()));
            match imported {
                Ok(())
                    if report.summary.read == read && report.summary.imported_before == before =>
                {
                    note!(
                        "dhakira: no unit was found in {}; is it the right file, and --format the right one?",
                        source.name()
                    );
                }
                Ok(()) => {}
                // A file that cannot be read does not stop the others.
                Err(error)
                    if sources.len() > 1
                        && !error.is::<ClientError>()
                        && !error.is::<Interrupted>() =>
                {
                    note!("dhakira: {}", message(&error));
                    failed += 1;
                }
                Err(error) => return Err(error),
            }
        }
        Ok(failed)
    }

    /// The memory, which need not exist yet.
    async fn memory(&self, client: &mut Client) -> anyhow::Result<TargetMemory> {
        let or = |lang: &Option<Lang>, default: &str| match lang {
            Some(lang) => Ok(lang.clone()),
            None => default.parse::<Lang>(),
        };
        match client.memory(&self.memory).await {
            Ok(memory) => {
                let check = |flag: &str, given: &Option<Lang>, own: &Lang| match given {
                    Some(given) if !own.accepts(given) => Err(anyhow::anyhow!(
                        "{flag} {given}: memory '{}' is for {} to {}; import into another memory",
                        self.memory,
                        memory.source_lang,
                        memory.target_lang
                    )),
                    _ => Ok(()),
                };
                check("--source-lang", &self.source_lang, &memory.source_lang)?;
                check("--target-lang", &self.target_lang, &memory.target_lang)?;
                Ok(TargetMemory::existing(memory))
            }
            Err(error) if error.is_not_found() => {
                let langs = (or(&self.source_lang, "ar")?, or(&self.target_lang, "en")?);
                let near = near_memory(client, &self.memory).await;
                Ok(TargetMemory::missing(self.memory.clone(), langs, near))
            }
            Err(error) => Err(error.into()),
        }
    }
}
