//! The streams of `UnitService`: bulk import, export, and the feed of changes.
//!
//! Each stream is a task that stops when its reader goes away or the server stops; a bounded channel between them keeps
//! a slow reader from filling memory.

use std::collections::VecDeque;
use std::pin::Pin;

use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tokio_stream::{Stream, StreamExt as _};
use tonic::{Status, Streaming};

use crate::engine::{CHECK_ATTRIBUTE, CheckAction, Engine, EngineError, Import, ImportAnswer};
use crate::limits::{
    BATCH_UNITS_MAX, EXPORT_PAGE_UNITS, IMPORT_BATCHES_IN_FLIGHT, WATCH_PAGE_COMMITS,
};
use crate::store::{ChangeKind, LogRecord, MemoryKey, Sequence};
use crate::unit::{Lang, MemoryName, UnitId};

use super::convert::{
    counts_to_wire, duplicate_policy, memory_name, parse, request_id, signed, timestamp_to_wire,
    unit_content, unit_resource, unit_to_wire,
};
use super::proto::import_units_request::Message as ImportMessage;
use super::proto::{
    ExportUnitsResponse, ImportBatch, ImportDiagnostic, ImportHeader, ImportUnitsRequest,
    ImportUnitsResponse, UnitChange, WatchUnitsResponse,
};
use super::status::invalid;
use super::units::unit_cursor;
use super::{Api, proto, status};

pub(super) type Answers<T> = Pin<Box<dyn Stream<Item = Result<T, Status>> + Send>>;
pub(super) type ImportStream = Answers<ImportUnitsResponse>;
pub(super) type ExportStream = Answers<ExportUnitsResponse>;
pub(super) type WatchStream = Answers<WatchUnitsResponse>;

pub(super) type Sender<T> = mpsc::Sender<Result<T, Status>>;

/// Whether a stream ends by itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Lifetime {
    UntilDone,
    Endless,
}

/// Answers that wait for a slow reader.
const ANSWERS_WAITING: usize = 4;

impl Api {
    /// Runs a task that fills a stream; its error ends the stream. An endless one ends when the server stops, the others
    /// get to finish.
    pub(super) fn stream<T, F>(
        &self,
        lifetime: Lifetime,
        task: impl FnOnce(Api, Sender<T>) -> F,
    ) -> Result<Answers<T>, Status>
    where
        T: Send + 'static,
        F: Future<Output = Result<(), Status>> + Send + 'static,
    {
        self.engine()?;
        let (sender, receiver) = mpsc::channel(ANSWERS_WAITING);
        let task = task(self.clone(), sender.clone());
        let stopping = self.stopping.clone();
        tokio::spawn(async move {
            let result = tokio::select! {
                result = task => result,
                () = sender.closed() => return,
                () = stopping.cancelled(), if lifetime == Lifetime::Endless => {
                    Err(status::stopping())
                }
            };
            if let Err(error) = result {
                // Nobody is left to tell when this fails.
                let _ = sender.send(Err(error)).await;
            }
        });
        Ok(Box::pin(ReceiverStream::new(receiver)))
    }

    pub(super) fn import_stream(
        &self,
        requests: Streaming<ImportUnitsRequest>,
    ) -> Result<ImportStream, Status> {
        self.stream(Lifetime::UntilDone, |api, answers| import(api, requests, answers))
    }

    pub(super) fn export_stream(
        &self,
        memory: MemoryName,
        after: Option<UnitId>,
    ) -> Result<ExportStream, Status> {
        self.engine()?.memory(&memory).map_err(status::from_engine)?;
        self.stream(Lifetime::UntilDone, |api, answers| export(api, memory, after, answers))
    }

    pub(super) fn watch_stream(
        &self,
        memory: Option<MemoryName>,
        after: i64,
    ) -> Result<WatchStream, Status> {
        let engine = self.engine()?;
        let key = memory.map(|name| engine.memory_key(&name)).transpose();
        let key = key.map_err(status::from_engine)?;
        let last = *engine.watch_sequence().borrow();
        let after =
            u64::try_from(after).ok().map(Sequence).filter(|after| *after <= last).ok_or_else(
                || {
                    let what = format!("not a sequence of this server, which is at {}", last.0);
                    invalid("after_sequence", &what)
                },
            )?;
        engine.check_held(after).map_err(status::from_engine)?;
        self.stream(Lifetime::Endless, |api, answers| watch(api, key, after, answers))
    }
}

/// A batch on its way to the disk.
struct InFlight {
    answer: ImportAnswer,
    diagnostics: Vec<ImportDiagnostic>,
}

async fn import(
    api: Api,
    mut requests: Streaming<ImportUnitsRequest>,
    answers: Sender<ImportUnitsResponse>,
) -> Result<(), Status> {
    let (import, check) = match requests.next().await.transpose()?.and_then(|it| it.message) {
        Some(ImportMessage::Header(header)) => import_header(&api, &header)?,
        _ => return Err(invalid("message", "an import begins with its header")),
    };
    let known = import.clone();
    let progress = api.run(move |engine| engine.import_progress(&known)).await?;
    let mut acked = ImportUnitsResponse {
        acked_through: signed(progress.acked_through),
        counts: Some(counts_to_wire(progress.counts)),
        diagnostics: Vec::new(),
    };
    if answers.send(Ok(acked.clone())).await.is_err() {
        return Ok(());
    }
    let mut in_flight: VecDeque<InFlight> = VecDeque::new();
    let mut ended = false;
    while !ended || !in_flight.is_empty() {
        if !ended && in_flight.len() < IMPORT_BATCHES_IN_FLIGHT {
            // A request that is there already goes first; otherwise whichever comes first, request or acknowledgement.
            let Some(front) = in_flight.front_mut() else {
                let request = requests.next().await.transpose()?;
                ended = !accept(&api, (&import, check), request, &mut in_flight).await?;
                continue;
            };
            tokio::select! {
                biased;
                request = requests.next() => {
                    ended = !accept(&api, (&import, check), request.transpose()?, &mut in_flight).await?;
                    continue;
                }
                () = front.answer.ready() => {}
            }
        }
        let Some(done) = in_flight.pop_front() else {
            continue;
        };
        let progress = done.answer.acknowledged().await.map_err(status::from_engine)?;
        acked.acked_through = acked.acked_through.max(signed(progress.acked_through));
        acked.counts = Some(counts_to_wire(progress.counts));
        acked.diagnostics = done.diagnostics;
        if answers.send(Ok(acked.clone())).await.is_err() {
            return Ok(());
        }
    }
    Ok(())
}

fn import_header(api: &Api, header: &ImportHeader) -> Result<(Import, CheckAction), Status> {
    let memory = memory_name("header.parent", &header.parent)?;
    let id = request_id("header.import_id", &header.import_id)?
        .ok_or_else(|| invalid("header.import_id", "give the import a UUID, to resume it by"))?;
    let record = api.engine()?.memory(&memory).map_err(status::from_engine)?;
    check_lang("header.source_lang", &header.source_lang, &record.source_lang)?;
    check_lang("header.target_lang", &header.target_lang, &record.target_lang)?;
    let check = match proto::CheckAction::try_from(header.check) {
        Ok(proto::CheckAction::Unspecified) => CheckAction::None,
        Ok(proto::CheckAction::Tag) => CheckAction::Tag,
        Ok(proto::CheckAction::Reject) => CheckAction::Reject,
        Err(_) => return Err(invalid("header.check", "not an action that this server knows")),
    };
    Ok((Import { id, memory, policy: duplicate_policy(header.duplicate_policy)? }, check))
}

/// A language that a client names must be the memory's.
pub(super) fn check_lang(field: &str, given: &str, expected: &Lang) -> Result<(), Status> {
    if given.is_empty() {
        return Ok(());
    }
    let given: Lang = parse(field, given)?;
    if expected.accepts(&given) {
        return Ok(());
    }
    Err(invalid(field, &format!("'{given}' was given, but the memory is for '{expected}'")))
}

/// Takes one request in; `false` at the end of the stream.
async fn accept(
    api: &Api,
    (import, check): (&Import, CheckAction),
    request: Option<ImportUnitsRequest>,
    in_flight: &mut VecDeque<InFlight>,
) -> Result<bool, Status> {
    let Some(request) = request else {
        return Ok(false);
    };
    let batch = match request.message {
        Some(ImportMessage::Batch(batch)) => batch,
        Some(ImportMessage::Header(_)) => {
            return Err(invalid("header", "an import has one header, at its beginning"));
        }
        None => return Err(invalid("message", "neither header nor batch")),
    };
    if batch.units.len() > BATCH_UNITS_MAX {
        let what = format!("{} units; a batch holds at most {BATCH_UNITS_MAX}", batch.units.len());
        return Err(invalid("batch.units", &what));
    }
    let import = import.clone();
    let call = move |engine: &Engine| hand_in(engine, &import, check, batch);
    in_flight.push_back(api.run(call).await?);
    Ok(true)
}

/// Checks and analyses a batch and hands it to the writer.
fn hand_in(
    engine: &Engine,
    import: &Import,
    check: CheckAction,
    batch: ImportBatch,
) -> Result<InFlight, EngineError> {
    let number = u64::try_from(batch.number)
        .ok()
        .filter(|&number| number > 0)
        .ok_or_else(|| EngineError::invalid("batch.number", "batches are numbered 1, 2, 3, …"))?;
    let mut diagnostics = Vec::new();
    let mut reject = |index: usize, cause: &str, field: &str, message: &str| {
        diagnostics.push(ImportDiagnostic {
            batch: batch.number,
            index: i32::try_from(index).unwrap_or(i32::MAX),
            cause: cause.to_owned(),
            field: field.to_owned(),
            message: message.to_owned(),
        });
    };
    let mut contents = Vec::with_capacity(batch.units.len());
    let mut places = Vec::with_capacity(batch.units.len());
    for (index, unit) in batch.units.into_iter().enumerate() {
        match unit_content("unit", unit) {
            Ok(content) => {
                contents.push(content);
                places.push(index);
            }
            Err(error) => reject(index, "BAD_FIELD", "unit", error.message()),
        }
    }
    if check != CheckAction::None {
        let doubts = engine.doubts(&import.memory, &contents)?;
        let checked = contents.into_iter().zip(places).zip(doubts);
        (contents, places) = checked
            .filter_map(|((mut content, index), verdict)| {
                let Some(verdict) = verdict else { return Some((content, index)) };
                if check == CheckAction::Reject && verdict.is_grave() {
                    let what = format!("probably not a translation: {}", verdict.names().join(","));
                    reject(index, "SUSPECT", "unit.target", &what);
                    return None;
                }
                content.attributes.insert(CHECK_ATTRIBUTE.to_owned(), verdict.names().join(","));
                Some((content, index))
            })
            .unzip();
    }
    let mut units = Vec::with_capacity(contents.len());
    for (prepared, index) in engine.prepare(&import.memory, contents)?.into_iter().zip(places) {
        match prepared {
            Ok(unit) => units.push(unit),
            Err(fault) => reject(index, fault.cause.code(), &fault.field, &fault.message),
        }
    }
    diagnostics.sort_by_key(|diagnostic| diagnostic.index);
    let answer = engine.import(import, number, units, diagnostics.len() as u64)?;
    Ok(InFlight { answer, diagnostics })
}

async fn export(
    api: Api,
    memory: MemoryName,
    mut after: Option<UnitId>,
    answers: Sender<ExportUnitsResponse>,
) -> Result<(), Status> {
    loop {
        let name = memory.clone();
        let units = api.run(move |engine| engine.units(&name, after, EXPORT_PAGE_UNITS)).await?;
        let Some(last) = units.last().map(|unit| unit.id) else {
            return Ok(());
        };
        after = Some(last);
        let cursor = unit_cursor(last, &memory);
        let units = units.into_iter().map(|unit| unit_to_wire(&memory, unit)).collect();
        if answers.send(Ok(ExportUnitsResponse { units, cursor })).await.is_err() {
            return Ok(());
        }
    }
}

async fn watch(
    api: Api,
    memory: Option<MemoryKey>,
    mut after: Sequence,
    answers: Sender<WatchUnitsResponse>,
) -> Result<(), Status> {
    let mut sequence = api.engine()?.watch_sequence();
    loop {
        let call = move |engine: &Engine| {
            let records = engine.changes_since(after, WATCH_PAGE_COMMITS)?;
            let last = records.last().map(|record| record.sequence);
            let events: Vec<_> = records
                .iter()
                .map(|record| event(engine, memory, record))
                .collect::<Result<_, _>>()?;
            Ok((last, events))
        };
        let (last, events) = api.run(call).await?;
        for event in events.into_iter().filter(|event| !event.changes.is_empty()) {
            if answers.send(Ok(event)).await.is_err() {
                return Ok(());
            }
        }
        if let Some(last) = last {
            after = last;
        } else if sequence.changed().await.is_err() {
            return Err(status::stopping());
        }
    }
}

/// What a watcher sees of one commit.
fn event(
    engine: &Engine,
    memory: Option<MemoryKey>,
    record: &LogRecord,
) -> Result<WatchUnitsResponse, EngineError> {
    let mut changes = Vec::new();
    for change in &record.changes {
        if memory.is_some_and(|wanted| wanted != change.memory) {
            continue;
        }
        // A memory that is deleted by now has nothing left to tell of.
        let Some(name) = engine.memory_name(change.memory) else {
            continue;
        };
        let unit = match engine.unit(&name, change.unit) {
            Ok(unit) => Some(unit_to_wire(&name, unit)),
            Err(EngineError::NoUnit(..) | EngineError::NoMemory(_)) => None,
            Err(error) => return Err(error),
        };
        changes.push(UnitChange {
            kind: change_kind(change.kind).into(),
            name: unit_resource(&name, change.unit),
            revision: signed(change.revision),
            unit,
        });
    }
    Ok(WatchUnitsResponse {
        sequence: signed(record.sequence.0),
        commit_time: Some(timestamp_to_wire(record.time)),
        changes,
    })
}

fn change_kind(kind: ChangeKind) -> proto::ChangeKind {
    match kind {
        ChangeKind::Created => proto::ChangeKind::Created,
        ChangeKind::Updated => proto::ChangeKind::Updated,
        ChangeKind::Deleted => proto::ChangeKind::Deleted,
    }
}
