//! `dhakira import`: translations from files into a memory.

use std::path::PathBuf;
use std::time::Instant;

use anyhow::Context as _;
use clap::{Args, ValueEnum};

use crate::client::{Client, ClientError};
use crate::engine::{CheckAction, DuplicatePolicy};
use crate::formats::{Format, ReadOptions, Unfinished};
use crate::unit::{Lang, MemoryName};
use crate::validate::parse_language;

use super::Outcome;
use super::backend::{Missing, Where};
use super::import_course::{Job, TargetMemory, import_source};
use super::import_report::{Report, Told};
use super::import_sources::{Source, sources};

/// Read translations from files of any exchange format (plain or compressed) into a memory, which is created with the first
/// unit when there is none.
///
/// A unit with a fault is left out and reported by its cause, with the places of the first ones; the rest is stored. A file
/// that says what languages it is in is believed: nothing of it is stored when they are not those of the memory. An import that broke off goes on where
/// it was when the same file is imported again.
#[derive(Debug, Args)]
#[expect(clippy::struct_excessive_bools, reason = "each is a flag")]
pub(super) struct Import {
    #[command(flatten)]
    place: Where,
    /// The memory to fill.
    #[arg(long, short, value_name = "NAME")]
    memory: MemoryName,
    /// Language of the sources; of a memory that exists, unless it is given.
    #[arg(long, value_name = "LANG", value_parser = parse_language)]
    source_lang: Option<Lang>,
    /// Language of the targets; of a memory that exists, unless it is given.
    #[arg(long, value_name = "LANG", value_parser = parse_language)]
    target_lang: Option<Lang>,
    /// Format of the files; found out from their content when not given. With `moses` the files are pairs: sources, targets.
    #[arg(long, value_name = "FORMAT")]
    format: Option<Format>,
    /// Column of the sources in files with columns: its name, or its number from 1 (with both columns by number, a file needs no
    /// header); the one named as the language when not given.
    #[arg(long, value_name = "COLUMN")]
    source_column: Option<String>,
    /// Column of the targets; the one named as the language when not given.
    #[arg(long, value_name = "COLUMN")]
    target_column: Option<String>,
    /// The files are the wrong way round: take their targets for sources.
    #[arg(long)]
    swap: bool,
    /// Read files that say that they are in other languages than the memory, and read them as they are.
    #[arg(long)]
    ignore_declared_languages: bool,
    /// What to do with translations that their file calls unfinished: fuzzy messages of PO, states such as `new`,
    /// `needs-translation` or `initial` of XLIFF, drafts of SDLXLIFF and MQXLIFF.
    #[arg(long, value_enum, value_name = "ACTION", default_value_t = UnfinishedFlag::Skip)]
    unfinished: UnfinishedFlag,
    /// Leave inline tags out and store the text alone.
    #[arg(long)]
    no_tags: bool,
    /// What to do with a unit that the memory has already.
    #[arg(long, value_enum, default_value_t = Policy::SkipIdentical)]
    duplicates: Policy,
    /// Look at each unit whether it is a translation at all, by what the memory has taught so far, and what to do with those
    /// that are probably not.
    #[arg(long, value_enum, value_name = "ACTION", num_args = 0..=1, default_missing_value = "tag", require_equals = true)]
    check: Option<CheckFlag>,
    /// File for the units that were rejected, with the reasons, to be mended and imported again: TSV when its name ends in
    /// .tsv, else TMX. It is made only when there are any, and must not exist yet.
    #[arg(long, value_name = "FILE")]
    rejects: Option<PathBuf>,
    /// File for what became of each unit, one JSON object a line.
    #[arg(long, value_name = "FILE")]
    verdicts: Option<PathBuf>,
    /// Import a file once more that was imported completely with `--duplicates keep-all`.
    #[arg(long)]
    again: bool,
    /// One JSON object with the sums on standard output, nothing else there.
    #[arg(long)]
    json: bool,
    /// Files to read, or directories with such files; `-` is standard input.
    #[arg(required = true, value_name = "FILE")]
    files: Vec<PathBuf>,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum Policy {
    /// Store every unit.
    KeepAll,
    /// Leave out a unit whose source and target are stored already in the same context.
    SkipIdentical,
    /// A unit whose source is stored already in the same context, or without one, replaces it.
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

impl Import {
    pub(super) async fn run(self) -> anyhow::Result<Outcome> {
        let sources = sources(&self.files, self.format == Some(Format::Moses))?;
        let mut client = self.place.client("import", Missing::Create).await?;
        let mut memory = self.memory(&mut client).await?;
        let langs = memory.langs.clone();
        let rejects = self.rejects.clone().map(|path| Told::rejects(path, langs)).transpose()?;
        let verdicts = self.verdicts.clone().map(Told::verdicts).transpose()?;
        let mut report = Report { rejects, verdicts, ..Report::default() };
        let since = Instant::now();
        let failed = self.import_all(&mut client, &mut memory, &sources, &mut report).await;
        let deleted = memory.delete_if_empty(&mut client).await;
        // What was rejected so far is there to be mended, whatever happened then.
        let summary = report.finish(since)?;
        let failed = failed?;
        deleted?;
        summary.show(self.json)?;
        anyhow::ensure!(
            failed == 0,
            "{failed} of {} files could not be imported; what is wrong with them stands above",
            sources.len()
        );
        Ok(if summary.rejected > 0 { Outcome::DoneWithRejects } else { Outcome::Done })
    }

    /// Imports one file after the other; how many could not be.
    async fn import_all(
        &self,
        client: &mut Client,
        memory: &mut TargetMemory,
        sources: &[Source],
        report: &mut Report,
    ) -> anyhow::Result<usize> {
        let mut failed = 0;
        for source in sources {
            let job = Job {
                policy: self.duplicates.into(),
                check: self.check.map_or(CheckAction::None, Into::into),
                again: self.again,
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
            let imported = import_source(client, (&job, memory), source, report)
                .await
                .with_context(|| format!("importing {}", source.name()));
            match imported {
                Ok(()) => {}
                // One file that cannot be read says nothing about the others.
                Err(error) if sources.len() > 1 && !error.is::<ClientError>() => {
                    note!("dhakira: {error:#}");
                    failed += 1;
                }
                Err(error) => return Err(error),
            }
        }
        Ok(failed)
    }

    /// The memory, which may not be there yet.
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
                Ok(TargetMemory::missing(self.memory.clone(), langs))
            }
            Err(error) => Err(error.into()),
        }
    }
}
