//! `dhakira import`: translations from files into a memory.

use std::collections::{BTreeMap, VecDeque};
use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::time::Instant;

use anyhow::Context as _;
use clap::{Args, ValueEnum};
use indicatif::ProgressBar;
use serde::Serialize;
use tokio::sync::mpsc;
use tokio_stream::StreamExt as _;
use uuid::Uuid;

use crate::engine::{Batch, Batches, CheckAction, DuplicatePolicy, ImportCounts};
use crate::formats::{self, Format, ReadOptions};
use crate::service::client::{Client, ImportAck};
use crate::unit::{Diagnostic, Lang, MemoryName, Place, UnitContent};

use super::Outcome;
use super::backend::{Missing, Where};
use super::memories::make_memory;
use super::output::{byte_bar, grouped, json_line};

/// Read translations from TMX, TSV or CSV files (plain, .gz or .xz) into a memory, which is made when it is not there.
///
/// A unit with a fault is reported with its place and left out; the rest is stored.
#[derive(Debug, Args)]
pub(super) struct Import {
    #[command(flatten)]
    place: Where,
    /// The memory to fill.
    #[arg(long, short, value_name = "NAME")]
    memory: MemoryName,
    /// Language of the sources; of a memory that exists, unless it is given.
    #[arg(long, value_name = "LANG")]
    source_lang: Option<Lang>,
    /// Language of the targets; of a memory that exists, unless it is given.
    #[arg(long, value_name = "LANG")]
    target_lang: Option<Lang>,
    /// Format of the files; found out from their content when not given.
    #[arg(long, value_name = "FORMAT")]
    format: Option<Format>,
    /// Column of the sources in TSV and CSV; the one named as the language when not given.
    #[arg(long, value_name = "COLUMN")]
    source_column: Option<String>,
    /// Column of the targets in TSV and CSV; the one named as the language when not given.
    #[arg(long, value_name = "COLUMN")]
    target_column: Option<String>,
    /// What to do with a unit that the memory has already.
    #[arg(long, value_enum, default_value_t = Policy::SkipIdentical)]
    duplicates: Policy,
    /// Look at each unit whether it is a translation at all, by what the memory has taught so far, and what to do with those
    /// that are probably not.
    #[arg(long, value_enum, value_name = "ACTION", num_args = 0..=1, default_missing_value = "tag", require_equals = true)]
    check: Option<CheckFlag>,
    /// One JSON object with the sums on standard output, nothing else there.
    #[arg(long)]
    json: bool,
    /// Files to read; `-` is standard input.
    #[arg(required = true, value_name = "FILE")]
    files: Vec<PathBuf>,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum Policy {
    /// Store every unit.
    KeepAll,
    /// Leave out a unit whose source and target are stored already.
    SkipIdentical,
    /// A unit whose source is stored already replaces the newest one.
    ReplaceSameSource,
}

/// What becomes of units that are there already, and of those that are probably no good.
pub(super) type Handling = (DuplicatePolicy, CheckAction);

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

/// Sums over all files of a command.
#[derive(Debug, Default, Clone, Serialize)]
pub(super) struct Summary {
    pub(super) read: u64,
    pub(super) stored: u64,
    pub(super) replaced: u64,
    pub(super) duplicates: u64,
    pub(super) rejected: u64,
    /// Rejected units by cause.
    pub(super) causes: BTreeMap<String, u64>,
    pub(super) seconds: f64,
    pub(super) units_per_second: f64,
}

impl Summary {
    fn add(&mut self, counts: ImportCounts) {
        self.read += counts.read;
        self.stored += counts.stored;
        self.replaced += counts.replaced;
        self.duplicates += counts.duplicates;
        self.rejected += counts.rejected;
    }

    /// A fault that was found here, before anything was sent.
    fn reject(&mut self, cause: &str) {
        self.read += 1;
        self.rejected += 1;
        self.count_cause(cause);
    }

    fn count_cause(&mut self, cause: &str) {
        *self.causes.entry(cause.to_owned()).or_default() += 1;
    }

    fn finish(&mut self, since: Instant) {
        self.seconds = since.elapsed().as_secs_f64();
        // Units are far below 2^52.
        #[expect(clippy::cast_precision_loss)]
        let read = self.read as f64;
        self.units_per_second =
            if self.seconds > 0.0 { (read / self.seconds).round() } else { 0.0 };
    }
}

/// Faults shown one by one; the rest is only counted.
const FAULTS_SHOWN_MAX: u64 = 100;

impl Import {
    pub(super) async fn run(self) -> anyhow::Result<Outcome> {
        let mut client = self.place.client("import", Missing::Create).await?;
        let (source_lang, target_lang) = self.memory(&mut client).await?;
        let since = Instant::now();
        let mut summary = Summary::default();
        for file in &self.files {
            let options = ReadOptions {
                format: self.format,
                source_column: self.source_column.clone(),
                target_column: self.target_column.clone(),
                ..ReadOptions::new(
                    source_lang.clone(),
                    target_lang.clone(),
                    file.display().to_string(),
                )
            };
            import_file(
                &mut client,
                &self.memory,
                (self.duplicates.into(), self.check.map_or(CheckAction::None, Into::into)),
                file,
                options,
                &mut summary,
            )
            .await
            .with_context(|| format!("importing {}", file.display()))?;
        }
        summary.finish(since);
        self.report(&summary)
    }

    /// The languages of the memory, which is made if it is not there.
    async fn memory(&self, client: &mut Client) -> anyhow::Result<(Lang, Lang)> {
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
                Ok((memory.source_lang, memory.target_lang))
            }
            Err(error) if error.is_not_found() => {
                let langs = (or(&self.source_lang, "ar")?, or(&self.target_lang, "en")?);
                make_memory(client, &self.memory, langs.clone()).await?;
                Ok(langs)
            }
            Err(error) => Err(error.into()),
        }
    }

    fn report(&self, summary: &Summary) -> anyhow::Result<Outcome> {
        if self.json {
            json_line(summary)?;
        } else {
            println!(
                "{} units read: {} stored ({} of them over an older one), {} there already, {} rejected; {:.1} s, {} units/s",
                grouped(summary.read),
                grouped(summary.stored),
                grouped(summary.replaced),
                grouped(summary.duplicates),
                grouped(summary.rejected),
                summary.seconds,
                grouped(rounded(summary.units_per_second)),
            );
            for (cause, count) in &summary.causes {
                println!("  {cause}: {}", grouped(*count));
            }
        }
        Ok(if summary.rejected > 0 { Outcome::DoneWithRejects } else { Outcome::Done })
    }
}

/// A rate as a whole number, for showing.
pub(super) fn rounded(number: f64) -> u64 {
    // Rates are far below 2^63 and not negative.
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
    let whole = number.round() as u64;
    whole
}

/// Imports one file through a client.
pub(super) async fn import_file(
    client: &mut Client,
    memory: &MemoryName,
    policy: Handling,
    file: &Path,
    options: ReadOptions,
    summary: &mut Summary,
) -> anyhow::Result<()> {
    let (input, total_bytes) = open(file)?;
    import_reader(client, memory, policy, input, total_bytes, options, summary).await
}

/// Imports what a reader gives.
pub(super) async fn import_reader(
    client: &mut Client,
    memory: &MemoryName,
    policy: Handling,
    input: Box<dyn Read + Send>,
    total_bytes: Option<u64>,
    options: ReadOptions,
    summary: &mut Summary,
) -> anyhow::Result<()> {
    let bar = byte_bar(total_bytes, &options.file_name);
    let (batches, mut parsed) = mpsc::channel::<anyhow::Result<Batch>>(2);
    tokio::task::spawn_blocking(move || read(input, &options, &batches));
    let (to_server, from_here) = mpsc::channel::<Vec<UnitContent>>(2);
    let mut answers = Box::pin(client.import(memory, Uuid::now_v7(), policy, from_here).await?);
    let mut progress = Progress::new(bar);
    let mut to_server = Some(to_server);
    let mut pending: Option<Vec<UnitContent>> = None;
    loop {
        // Answers are taken even while the server takes no more batches: it may be waiting for that.
        tokio::select! {
            batch = parsed.recv(), if to_server.is_some() && pending.is_none() => match batch {
                Some(batch) => pending = progress.take(batch?, summary),
                None => to_server = None,
            },
            place = reserve(to_server.clone()), if pending.is_some() => match (place, pending.take()) {
                (Some(place), Some(contents)) => drop(place.send(contents)),
                // The server ended the stream: its answer says why.
                _ => to_server = None,
            },
            answer = answers.next() => match answer {
                Some(answer) => progress.acknowledge(&answer?, summary),
                None => break,
            },
        }
    }
    progress.bar.finish_and_clear();
    summary.add(progress.counts);
    if !progress.waiting.is_empty() {
        anyhow::bail!(
            "the server ended the import before it acknowledged everything; import the file again: what is stored is \
             recognised"
        );
    }
    Ok(())
}

/// Waits for a place in the channel; `None` when nobody reads it any more.
async fn reserve(
    channel: Option<mpsc::Sender<Vec<UnitContent>>>,
) -> Option<mpsc::OwnedPermit<Vec<UnitContent>>> {
    channel?.reserve_owned().await.ok()
}

/// What was sent and not acknowledged yet, and what is shown of it.
struct Progress {
    bar: ProgressBar,
    /// Places of the units of each batch, oldest first, with the number of the batch.
    waiting: VecDeque<(u64, Vec<Place>)>,
    sent: u64,
    counts: ImportCounts,
}

impl Progress {
    fn new(bar: ProgressBar) -> Self {
        Self { bar, waiting: VecDeque::new(), sent: 0, counts: ImportCounts::default() }
    }

    /// Notes the places of a batch, tells of its faults and hands its units on.
    fn take(&mut self, batch: Batch, summary: &mut Summary) -> Option<Vec<UnitContent>> {
        for diagnostic in &batch.diagnostics {
            self.tell(summary.rejected, diagnostic);
            summary.reject(diagnostic.cause.code());
        }
        self.bar.set_position(batch.bytes_read);
        let (contents, places): (Vec<_>, Vec<_>) =
            batch.units.into_iter().map(|unit| (unit.content, unit.place)).unzip();
        if contents.is_empty() {
            return None;
        }
        self.sent += 1;
        self.waiting.push_back((self.sent, places));
        Some(contents)
    }

    fn acknowledge(&mut self, ack: &ImportAck, summary: &mut Summary) {
        for rejected in &ack.rejected {
            let place = self
                .waiting
                .iter()
                .find(|(number, _)| *number == rejected.batch)
                .and_then(|(_, places)| places.get(rejected.index))
                .cloned()
                .unwrap_or_default();
            let shown = summary.rejected + self.counts.rejected;
            if shown < FAULTS_SHOWN_MAX {
                let message = format!("{place}: {}", rejected.message);
                self.bar.suspend(|| eprintln!("{message}"));
            }
            summary.count_cause(&rejected.cause);
        }
        self.counts = ack.counts;
        while self.waiting.front().is_some_and(|(number, _)| *number <= ack.acked_through) {
            self.waiting.pop_front();
        }
        let seconds = self.bar.elapsed().as_secs_f64().max(0.001);
        #[expect(clippy::cast_precision_loss)]
        let rate = ack.counts.read as f64 / seconds;
        self.bar.set_message(format!(
            "{} units, {}/s",
            grouped(ack.counts.read),
            grouped(rounded(rate))
        ));
    }

    fn tell(&self, shown: u64, diagnostic: &Diagnostic) {
        if shown < FAULTS_SHOWN_MAX {
            self.bar.suspend(|| eprintln!("{diagnostic}"));
        } else if shown == FAULTS_SHOWN_MAX {
            self.bar.suspend(|| eprintln!("… more faults are counted, not shown"));
        }
    }
}

fn open(file: &Path) -> anyhow::Result<(Box<dyn Read + Send>, Option<u64>)> {
    if file == Path::new("-") {
        return Ok((Box::new(io::stdin()), None));
    }
    let opened = File::open(file)?;
    let metadata = opened.metadata()?;
    if metadata.is_dir() {
        anyhow::bail!("it is a directory; name the files in it");
    }
    Ok((Box::new(opened), metadata.is_file().then_some(metadata.len())))
}

/// Parses a file and hands its batches on; ends when nobody takes them.
fn read(
    input: Box<dyn Read + Send>,
    options: &ReadOptions,
    batches: &mpsc::Sender<anyhow::Result<Batch>>,
) {
    match formats::open(input, options) {
        Ok(reader) => {
            for batch in Batches::new(reader) {
                if batches.blocking_send(batch.map_err(Into::into)).is_err() {
                    return;
                }
            }
        }
        Err(error) => {
            // Whoever waits for it has gone when this fails.
            let _ = batches.blocking_send(Err(error.into()));
        }
    }
}
