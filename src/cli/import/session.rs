//! The import of one file: read on a thread, sent in batches, acknowledged, and resumed after it broke off.

use std::collections::VecDeque;

use anyhow::Context as _;
use tokio::sync::mpsc;
use tokio_stream::StreamExt as _;
use tokio_stream::wrappers::ReceiverStream;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use crate::client::{Client, ClientStream, ImportAck, ImportOrder, MemoryInfo, NumberedBatch};
use crate::engine::{Batch, Batches, CheckAction, DuplicatePolicy, ImportCounts};
use crate::formats::{ReadOptions, Unfinished};
use crate::limits::{BATCH_UNITS_MAX, IMPORT_BATCH_UNITS};
use crate::unit::{Diagnostic, Place, UnitContent};

use super::memory::TargetMemory;
use super::report::{Report, UnitLine, rounded};
use super::sources::{Opened, Source};
use crate::terminal::{Progress, counted, grouped};

/// Batches that wait between reader and server: enough that they seldom wait for each other.
const BATCHES_WAITING: usize = 4;

/// The options of an import.
#[derive(Debug, Clone)]
pub(in crate::cli) struct Job {
    pub(in crate::cli) policy: DuplicatePolicy,
    pub(in crate::cli) check: CheckAction,
    /// Whether to import a file again that was completely imported.
    pub(in crate::cli) again: bool,
    /// Ends the import early, with what was sent stored.
    pub(in crate::cli) stop: CancellationToken,
    pub(in crate::cli) options: ReadOptions,
}

/// The import was ended early by whoever started it.
#[derive(Debug, thiserror::Error)]
#[error("the import was stopped")]
pub(in crate::cli) struct Interrupted;

/// Imports one source through a client.
pub(in crate::cli) async fn import_source(
    client: &mut Client,
    (job, memory): (&Job, &mut TargetMemory),
    source: &Source,
    report: &mut Report,
) -> anyhow::Result<()> {
    let (opened, total_bytes) = source.open()?;
    // Over the wire batches are small, so that lookups of others do not wait for long transactions; here there are no others.
    let batch_units = if client.is_local() { BATCH_UNITS_MAX } else { IMPORT_BATCH_UNITS };
    let (batches, mut parsed) = mpsc::channel::<anyhow::Result<Batch>>(BATCHES_WAITING);
    let mut session = ImportSession {
        waiting: VecDeque::new(),
        taken: 0,
        skip_through: 0,
        counts: ImportCounts::default(),
        started_with: 0,
        bytes: (0, total_bytes),
        doing: format!("importing {}", source.name()),
        bar: Progress::new(),
        stop: job.stop.clone(),
        report,
    };
    let options = job.options.clone();
    let reading = move || read(opened, &options, batch_units, &batches);
    let mut pending = None;
    if memory.info.is_none() {
        tokio::task::spawn_blocking(reading);
        let first = session.first_units(&mut parsed).await;
        match first {
            Ok(Some(batch)) => pending = Some(batch),
            // Without a unit, no memory is created.
            nothing => return nothing.map(drop),
        }
        let info = memory.created(client).await?;
        let begun = begin(client, (job, &info), source, batch_units, session.report).await?;
        return session.finish(pending, parsed, begun).await;
    }
    let info = memory.created(client).await?;
    let (to_server, answers, earlier) =
        begin(client, (job, &info), source, batch_units, session.report).await?;
    if earlier.complete {
        note!(
            "dhakira: {} was completely imported before: {}; --again imports it again",
            source.name(),
            counted(earlier.counts.stored, "unit")
        );
        session.report.summary.already_imported(earlier.counts);
        return Ok(());
    }
    if earlier.acked_through > 0 {
        note!(
            "dhakira: resuming an import that broke off: {} of {} stored",
            counted(earlier.counts.stored, "unit"),
            source.name()
        );
        session.report.summary.resumed += 1;
    }
    tokio::task::spawn_blocking(reading);
    session.finish(pending, parsed, (to_server, answers, earlier)).await
}

type Begun = (mpsc::Sender<NumberedBatch>, ClientStream<ImportAck>, ImportAck);

/// Opens an import, or resumes the one that broke off.
async fn begin(
    client: &mut Client,
    (job, memory): (&Job, &MemoryInfo),
    source: &Source,
    batch_units: usize,
    report: &Report,
) -> anyhow::Result<Begun> {
    let named =
        if job.again { None } else { import_id((job, memory), source, batch_units).await? };
    let (to_server, mut answers) = open(client, (job, memory), named, report).await?;
    let first = answers.next().await.context("the server ended the import at once")??;
    // With the other policies, duplicates are recognized one by one, and units deleted since are stored again.
    if !first.complete || job.policy == DuplicatePolicy::KeepAll {
        return Ok((to_server, answers, first));
    }
    drop((to_server, answers));
    let (to_server, mut answers) = open(client, (job, memory), None, report).await?;
    let first = answers.next().await.context("the server ended the import at once")??;
    Ok((to_server, answers, first))
}

async fn open(
    client: &mut Client,
    (job, memory): (&Job, &MemoryInfo),
    id: Option<Uuid>,
    report: &Report,
) -> anyhow::Result<(mpsc::Sender<NumberedBatch>, ClientStream<ImportAck>)> {
    let (to_server, from_here) = mpsc::channel(BATCHES_WAITING);
    let order = ImportOrder {
        memory: memory.name.clone(),
        id: id.unwrap_or_else(Uuid::now_v7),
        policy: job.policy,
        check: job.check,
        report_outcomes: report.wants_verdicts(),
    };
    Ok((to_server, client.import(order, ReceiverStream::new(from_here)).await?))
}

/// Derives the id of an import from the memory, the bytes, and all that decides how they become batches.
async fn import_id(
    (job, memory): (&Job, &MemoryInfo),
    source: &Source,
    batch_units: usize,
) -> anyhow::Result<Option<Uuid>> {
    let hashed = source.clone();
    let Some(content) = tokio::task::spawn_blocking(move || hashed.content_hash()).await?? else {
        return Ok(None);
    };
    let ReadOptions {
        source_lang,
        target_lang,
        format,
        source_column,
        target_column,
        tags,
        swap,
        ignore_declared_languages,
        unfinished,
        ..
    } = &job.options;
    let keep_unfinished = *unfinished == Unfinished::Keep;
    let what = (
        (memory.name.as_str(), memory.created.micros, content, batch_units),
        (source_lang, target_lang, format.map(|it| it.to_string()), source_column, target_column),
        (ignore_declared_languages, keep_unfinished),
        (tags, swap, job.policy, job.check != CheckAction::None, job.check == CheckAction::Reject),
        env!("CARGO_PKG_VERSION"),
    );
    let bytes = postcard::to_stdvec(&what).context("naming the import")?;
    let hash = xxhash_rust::xxh3::xxh3_128(&bytes);
    Ok(Some(uuid::Builder::from_random_bytes(hash.to_le_bytes()).into_uuid()))
}

/// Parses a file and passes its batches on, until they have no receiver.
fn read(
    input: Opened,
    options: &ReadOptions,
    batch_units: usize,
    batches: &mpsc::Sender<anyhow::Result<Batch>>,
) {
    match input.reader(options) {
        Ok(reader) => {
            for batch in Batches::new(reader).of(batch_units) {
                if batches.blocking_send(batch.map_err(Into::into)).is_err() {
                    return;
                }
            }
        }
        Err(error) => {
            // It fails only when the import has ended.
            let _ = batches.blocking_send(Err(error.into()));
        }
    }
}

/// An import in progress.
struct ImportSession<'a> {
    /// Batches that were sent and not acknowledged, oldest first.
    waiting: VecDeque<Waiting>,
    /// Batches with units so far.
    taken: u64,
    /// Batches up to this one are on disk and not sent.
    skip_through: u64,
    counts: ImportCounts,
    /// Units that were read before it broke off.
    started_with: u64,
    /// Bytes that were read, and all there are if that is known.
    bytes: (u64, Option<u64>),
    /// What is shown beside its progress.
    doing: String,
    bar: Progress,
    stop: CancellationToken,
    report: &'a mut Report,
}

struct Waiting {
    number: u64,
    places: Vec<Place>,
    /// Kept only when rejected units are logged.
    contents: Vec<UnitContent>,
}

impl ImportSession<'_> {
    /// Reads up to the first batch with units; `None` when there is none.
    async fn first_units(
        &mut self,
        parsed: &mut mpsc::Receiver<anyhow::Result<Batch>>,
    ) -> anyhow::Result<Option<NumberedBatch>> {
        loop {
            let batch = tokio::select! {
                batch = parsed.recv() => batch,
                () = self.stop.cancelled() => return Err(Interrupted.into()),
            };
            let Some(batch) = batch else { return Ok(None) };
            if let Some(batch) = self.take(batch?)? {
                return Ok(Some(batch));
            }
        }
    }

    /// Sends all batches, starting with one that was read before, and adds up the counts.
    async fn finish(
        mut self,
        pending: Option<NumberedBatch>,
        parsed: mpsc::Receiver<anyhow::Result<Batch>>,
        (to_server, answers, earlier): Begun,
    ) -> anyhow::Result<()> {
        // Units rejected then are reported again when they are logged.
        self.skip_through = if self.report.wants_units() { 0 } else { earlier.acked_through };
        self.counts = earlier.counts;
        self.started_with = earlier.counts.read;
        let done = self.run(pending, parsed, to_server, answers).await;
        self.report.summary.add(self.counts);
        done
    }

    async fn run(
        &mut self,
        first: Option<NumberedBatch>,
        mut parsed: mpsc::Receiver<anyhow::Result<Batch>>,
        to_server: mpsc::Sender<NumberedBatch>,
        mut answers: ClientStream<ImportAck>,
    ) -> anyhow::Result<()> {
        let mut to_server = Some(to_server);
        let mut pending = first;
        let mut last = false;
        let stop = self.stop.clone();
        let mut stopped = false;
        loop {
            // Answers are read even while the server takes no batches: it may be waiting for that.
            tokio::select! {
                () = stop.cancelled(), if !stopped && !last => {
                    // Without more batches, the server acknowledges those that it has, and ends.
                    stopped = true;
                    pending = None;
                    to_server = None;
                },
                batch = parsed.recv(), if !last && !stopped && pending.is_none() => {
                    if let Some(batch) = batch {
                        pending = self.take(batch?)?;
                    } else {
                        last = true;
                        pending = Some(self.end());
                    }
                },
                place = reserve(to_server.clone()), if pending.is_some() => {
                    // Without a place, the server has ended the stream, and its answer says why.
                    if let (Some(place), Some(batch)) = (place, pending.take()) {
                        drop(place.send(batch));
                    }
                    if last {
                        to_server = None;
                    }
                },
                answer = answers.next() => match answer {
                    Some(answer) => self.acknowledge(&answer?)?,
                    None => break,
                },
            }
        }
        if stopped {
            return Err(Interrupted.into());
        }
        anyhow::ensure!(
            last && self.waiting.is_empty(),
            "the server ended the import before it acknowledged everything; import the file again to resume"
        );
        Ok(())
    }

    /// Reports the diagnostics of a batch and prepares it for sending; `None` when there is nothing to send.
    fn take(&mut self, batch: Batch) -> anyhow::Result<Option<NumberedBatch>> {
        for notice in &batch.notices {
            self.report_notice(notice);
        }
        for unfinished in &batch.unfinished {
            self.report.unfinished(unfinished)?;
        }
        for rejected in batch.rejected {
            let Diagnostic { place, cause, message } = rejected.diagnostic;
            self.report.summary.read += 1;
            self.report.summary.rejected += 1;
            self.reject((&place, cause.code(), &message), rejected.content)?;
        }
        self.bytes.0 = batch.bytes_read;
        self.show_progress();
        if batch.units.is_empty() {
            return Ok(None);
        }
        self.taken += 1;
        if self.taken <= self.skip_through {
            return Ok(None);
        }
        let (units, places): (Vec<_>, Vec<_>) =
            batch.units.into_iter().map(|unit| (unit.content, unit.place)).unzip();
        let contents = if self.report.wants_units() { units.clone() } else { Vec::new() };
        self.waiting.push_back(Waiting { number: self.taken, places, contents });
        Ok(Some(NumberedBatch { number: self.taken, units, last: false }))
    }

    fn end(&mut self) -> NumberedBatch {
        self.taken += 1;
        let (places, contents) = (Vec::new(), Vec::new());
        self.waiting.push_back(Waiting { number: self.taken, places, contents });
        NumberedBatch { number: self.taken, units: Vec::new(), last: true }
    }

    fn acknowledge(&mut self, ack: &ImportAck) -> anyhow::Result<()> {
        self.counts = ack.counts;
        let place = self.waiting.iter().position(|it| it.number == ack.batch);
        if let Some(mut batch) = place.and_then(|place| self.waiting.remove(place)) {
            self.report_verdicts(&mut batch, ack)?;
        }
        self.show_progress();
        Ok(())
    }

    fn show_progress(&self) {
        let (bytes, total) = self.bytes;
        // Files are far below 2^52 bytes.
        #[expect(clippy::cast_precision_loss)]
        let done = total.filter(|total| *total > 0).map(|total| bytes as f64 / total as f64);
        let read = self.counts.read;
        self.bar.report(&self.doing, done, || {
            let seconds = self.bar.elapsed().as_secs_f64().max(0.001);
            #[expect(clippy::cast_precision_loss)]
            let rate = read.saturating_sub(self.started_with) as f64 / seconds;
            format!("{}, {}/s", counted(read, "unit"), grouped(rounded(rate)))
        });
    }

    fn report_verdicts(&mut self, batch: &mut Waiting, ack: &ImportAck) -> anyhow::Result<()> {
        let mut rejected = ack.rejected.iter().peekable();
        let mut verdicts = ack.outcomes.iter();
        for (index, place) in batch.places.iter().enumerate() {
            if let Some(fault) = rejected.next_if(|it| it.index == index) {
                let content = batch.contents.get_mut(index).map(std::mem::take);
                self.reject((place, &fault.cause, &fault.message), content)?;
            } else if let Some(verdict) = verdicts.next() {
                self.report.verdict(place, &UnitLine::of(*verdict))?;
            }
        }
        Ok(())
    }

    /// Reports a rejected unit.
    fn reject(
        &mut self,
        (place, cause, message): (&Place, &str, &str),
        content: Option<UnitContent>,
    ) -> anyhow::Result<()> {
        self.report.rejected(place, (cause, message), content)
    }

    fn report_notice(&mut self, notice: &Diagnostic) {
        if self.report.notice(notice) {
            note!("note: {notice}");
        }
    }
}

/// Waits for a place in the channel; `None` when its receiver is gone.
async fn reserve(
    channel: Option<mpsc::Sender<NumberedBatch>>,
) -> Option<mpsc::OwnedPermit<NumberedBatch>> {
    channel?.reserve_owned().await.ok()
}
