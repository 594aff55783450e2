//! How does one file get into a memory? Read on one thread, sent in batches, acknowledged, and taken up where it broke off.

use std::collections::VecDeque;

use anyhow::Context as _;
use indicatif::ProgressBar;
use tokio::sync::mpsc;
use tokio_stream::StreamExt as _;
use tokio_stream::wrappers::ReceiverStream;
use uuid::Uuid;

use crate::client::{Client, ClientStream, ImportAck, ImportOrder, MemoryInfo, NumberedBatch};
use crate::engine::{Batch, Batches, CheckAction, DuplicatePolicy, ImportCounts};
use crate::formats::{ReadOptions, Unfinished};
use crate::limits::{BATCH_UNITS_MAX, IMPORT_BATCH_UNITS};
use crate::unit::{Diagnostic, Lang, MemoryName, Place, UnitContent};

use super::import_report::{Fate, Report, rounded};
use super::import_sources::{Opened, Source};
use super::memories::make_memory;
use crate::terminal::{byte_bar, grouped};

/// Batches that wait to be sent, and to be taken: enough that reader and server seldom wait for each other.
const BATCHES_WAITING: usize = 4;

/// What is to be imported, and how.
#[derive(Debug, Clone)]
pub(super) struct Job {
    pub(super) policy: DuplicatePolicy,
    pub(super) check: CheckAction,
    /// Whether to store a file once more that was stored completely.
    pub(super) again: bool,
    pub(super) options: ReadOptions,
}

/// The memory that is filled.
pub(super) struct TargetMemory {
    name: MemoryName,
    pub(super) langs: (Lang, Lang),
    /// `None` while it does not exist: it is created when there is a unit for it.
    info: Option<MemoryInfo>,
    is_new: bool,
}

impl TargetMemory {
    pub(super) fn existing(info: MemoryInfo) -> Self {
        let langs = (info.source_lang.clone(), info.target_lang.clone());
        Self { name: info.name.clone(), langs, info: Some(info), is_new: false }
    }

    pub(super) fn missing(name: MemoryName, langs: (Lang, Lang)) -> Self {
        Self { name, langs, info: None, is_new: false }
    }

    async fn created(&mut self, client: &mut Client) -> anyhow::Result<MemoryInfo> {
        if let Some(info) = &self.info {
            return Ok(info.clone());
        }
        make_memory(client, &self.name, self.langs.clone()).await?;
        self.is_new = true;
        let info = client.memory(&self.name).await?;
        self.info = Some(info.clone());
        Ok(info)
    }

    /// Deletes the memory that this import created if all its units were rejected.
    pub(super) async fn delete_if_empty(&self, client: &mut Client) -> anyhow::Result<()> {
        if !self.is_new || client.memory(&self.name).await?.unit_count > 0 {
            return Ok(());
        }
        client.delete_memory(&self.name, false).await?;
        note!("dhakira: no unit was stored, so memory '{}' is deleted again", self.name);
        Ok(())
    }
}

/// Imports one source through a client.
pub(super) async fn import_source(
    client: &mut Client,
    (job, memory): (&Job, &mut TargetMemory),
    source: &Source,
    report: &mut Report,
) -> anyhow::Result<()> {
    let (opened, total_bytes) = source.open()?;
    // Over the wire a batch is small, so that searches of others need not wait for long transactions; here nobody searches.
    let batch_units = if client.is_local() { BATCH_UNITS_MAX } else { IMPORT_BATCH_UNITS };
    let (batches, mut parsed) = mpsc::channel::<anyhow::Result<Batch>>(BATCHES_WAITING);
    let bar = byte_bar(total_bytes, &source.name());
    let mut course = Course {
        waiting: VecDeque::new(),
        taken: 0,
        skip_through: 0,
        counts: ImportCounts::default(),
        started_with: 0,
        bar,
        report,
    };
    let options = job.options.clone();
    let reading = move || read(opened, &options, batch_units, &batches);
    let mut pending = None;
    if memory.info.is_none() {
        tokio::task::spawn_blocking(reading);
        let first = course.first_units(&mut parsed).await;
        match first {
            Ok(Some(batch)) => pending = Some(batch),
            // There is nothing to create a memory for.
            nothing => {
                course.bar.finish_and_clear();
                return nothing.map(drop);
            }
        }
        let info = memory.created(client).await?;
        let begun = begin(client, (job, &info), source, batch_units, course.report).await?;
        return course.finish(pending, parsed, begun).await;
    }
    let info = memory.created(client).await?;
    let (to_server, answers, earlier) =
        begin(client, (job, &info), source, batch_units, course.report).await?;
    if earlier.complete {
        note!(
            "dhakira: {} was imported completely before: {} units; --again stores them once more",
            source.name(),
            grouped(earlier.counts.stored)
        );
        course.bar.finish_and_clear();
        course.report.summary.already_imported(earlier.counts);
        return Ok(());
    }
    if earlier.acked_through > 0 {
        note!(
            "dhakira: going on with an import that broke off: {} units of {} are stored",
            grouped(earlier.counts.stored),
            source.name()
        );
        course.report.summary.resumed += 1;
    }
    tokio::task::spawn_blocking(reading);
    course.finish(pending, parsed, (to_server, answers, earlier)).await
}

type Begun = (mpsc::Sender<NumberedBatch>, ClientStream<ImportAck>, ImportAck);

/// Opens an import: the one that broke off, if there is one.
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
    // With the other policies, units that are there already are recognised one by one, and those deleted since come back.
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
        verdicts: report.wants_verdicts(),
    };
    Ok((to_server, client.import(order, ReceiverStream::new(from_here)).await?))
}

/// Names the import by what makes it the same: the memory, the bytes, and all that decides how they become batches.
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

/// Parses a file and hands its batches on; ends when nobody takes them.
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
            // Whoever waits for it has gone when this fails.
            let _ = batches.blocking_send(Err(error.into()));
        }
    }
}

/// An import under way.
struct Course<'a> {
    /// Batches that were sent and not answered yet, oldest first.
    waiting: VecDeque<Waiting>,
    /// Batches with units so far.
    taken: u64,
    /// Batches up to this one are on disk and not sent.
    skip_through: u64,
    counts: ImportCounts,
    /// Units that were read before it broke off.
    started_with: u64,
    bar: ProgressBar,
    report: &'a mut Report,
}

struct Waiting {
    number: u64,
    places: Vec<Place>,
    /// Kept only where rejected units are written down.
    contents: Vec<UnitContent>,
}

impl Course<'_> {
    /// Reads up to the first batch with units; `None` when the file has none.
    async fn first_units(
        &mut self,
        parsed: &mut mpsc::Receiver<anyhow::Result<Batch>>,
    ) -> anyhow::Result<Option<NumberedBatch>> {
        while let Some(batch) = parsed.recv().await {
            if let Some(batch) = self.take(batch?)? {
                return Ok(Some(batch));
            }
        }
        Ok(None)
    }

    /// Sends everything there is, from a batch that was read before on, and adds up what became of it.
    async fn finish(
        mut self,
        pending: Option<NumberedBatch>,
        parsed: mpsc::Receiver<anyhow::Result<Batch>>,
        (to_server, answers, earlier): Begun,
    ) -> anyhow::Result<()> {
        // What was rejected then is told again, where it is to be written down.
        self.skip_through = if self.report.wants_units() { 0 } else { earlier.acked_through };
        self.counts = earlier.counts;
        self.started_with = earlier.counts.read;
        let done = self.run(pending, parsed, to_server, answers).await;
        self.bar.finish_and_clear();
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
        loop {
            // Answers are taken even while the server takes no more batches: it may be waiting for that.
            tokio::select! {
                batch = parsed.recv(), if !last && pending.is_none() => {
                    if let Some(batch) = batch {
                        pending = self.take(batch?)?;
                    } else {
                        last = true;
                        pending = Some(self.end());
                    }
                },
                place = reserve(to_server.clone()), if pending.is_some() => {
                    // When there is no place the server has ended the stream, and its answer says why.
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
        anyhow::ensure!(
            last && self.waiting.is_empty(),
            "the server ended the import before it acknowledged everything; import the file again: it goes on where it was"
        );
        Ok(())
    }

    /// Tells of the faults of a batch and makes it ready to be sent, if there is anything to send.
    fn take(&mut self, batch: Batch) -> anyhow::Result<Option<NumberedBatch>> {
        for notice in &batch.notices {
            self.tell_notice(notice);
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
        self.bar.set_position(batch.bytes_read);
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
            self.tell_verdicts(&mut batch, ack)?;
        }
        let seconds = self.bar.elapsed().as_secs_f64().max(0.001);
        #[expect(clippy::cast_precision_loss)]
        let rate = (ack.counts.read - self.started_with.min(ack.counts.read)) as f64 / seconds;
        self.bar.set_message(format!(
            "{} units, {}/s",
            grouped(ack.counts.read),
            grouped(rounded(rate))
        ));
        Ok(())
    }

    fn tell_verdicts(&mut self, batch: &mut Waiting, ack: &ImportAck) -> anyhow::Result<()> {
        let mut rejected = ack.rejected.iter().peekable();
        let mut verdicts = ack.verdicts.iter();
        for (index, place) in batch.places.iter().enumerate() {
            if let Some(fault) = rejected.next_if(|it| it.index == index) {
                let content = batch.contents.get_mut(index).map(std::mem::take);
                self.reject((place, &fault.cause, &fault.message), content)?;
            } else if let Some(verdict) = verdicts.next() {
                self.report.verdict(place, &Fate::of(*verdict))?;
            }
        }
        Ok(())
    }

    /// A unit that is not stored, and why.
    fn reject(
        &mut self,
        (place, cause, message): (&Place, &str, &str),
        content: Option<UnitContent>,
    ) -> anyhow::Result<()> {
        self.report.rejected(place, (cause, message), content)
    }

    fn tell_notice(&mut self, notice: &Diagnostic) {
        if self.report.notice(notice) {
            self.bar.suspend(|| note!("note: {notice}"));
        }
    }
}

/// Waits for a place in the channel; `None` when nobody reads it any more.
async fn reserve(
    channel: Option<mpsc::Sender<NumberedBatch>>,
) -> Option<mpsc::OwnedPermit<NumberedBatch>> {
    channel?.reserve_owned().await.ok()
}
