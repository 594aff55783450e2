//! The streams of `UnitService`: export, the feed of changes, and where imports begin.
//!
//! Each stream is a task that stops when its reader goes away or the server stops; a bounded channel between them keeps
//! a slow reader from filling memory.

use std::pin::Pin;
use std::sync::Arc;

use tokio::sync::mpsc;
use tokio_stream::Stream;
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Status, Streaming};

use crate::engine::{Cancel, Engine, EngineError, ExportQuery};
use crate::limits::{EXPORT_PAGE_UNITS, WATCH_PAGE_COMMITS};
use crate::store::{ChangeKind, LogRecord, MemoryKey, Sequence};
use crate::unit::{MemoryName, Unit, UnitId};

use super::convert::{signed, timestamp_to_wire, unit_resource, unit_to_wire};
use super::lookups::CancelOnDrop;
use super::proto::{
    ExportUnitsResponse, ImportFileRequest, ImportFileResponse, ImportUnitsRequest,
    ImportUnitsResponse, UnitChange, WatchUnitsResponse,
};
use super::status::invalid;
use super::units::UnitListing;
use super::{Api, import_files, imports, proto, status};

pub(crate) type Answers<T> = Pin<Box<dyn Stream<Item = Result<T, Status>> + Send>>;
pub(crate) type ImportStream = Answers<ImportUnitsResponse>;
pub(crate) type ImportFileStream = Answers<ImportFileResponse>;
pub(crate) type ExportStream = Answers<ExportUnitsResponse>;
pub(crate) type WatchStream = Answers<WatchUnitsResponse>;

pub(crate) type Sender<T> = mpsc::Sender<Result<T, Status>>;

/// Whether a stream ends by itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Lifetime {
    UntilDone,
    Endless,
}

/// Answers that wait for a slow reader.
const ANSWERS_WAITING: usize = 4;

impl Api {
    /// Runs a task that fills a stream; its error ends the stream. An endless one ends when the server stops, the others
    /// get to finish.
    pub(crate) fn stream<T, F>(
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

    pub(crate) fn import_stream(
        &self,
        requests: Streaming<ImportUnitsRequest>,
    ) -> Result<ImportStream, Status> {
        self.stream(Lifetime::UntilDone, |api, answers| imports::units(api, requests, answers))
    }

    pub(crate) fn import_file_stream(
        &self,
        requests: Streaming<ImportFileRequest>,
    ) -> Result<ImportFileStream, Status> {
        let place = self.files.take()?;
        self.stream(Lifetime::UntilDone, |api, answers| async move {
            let _place = place;
            import_files::file(api, requests, answers).await
        })
    }

    pub(super) fn export_stream(
        &self,
        from: (MemoryName, ExportQuery, Option<UnitId>),
        listing: UnitListing,
    ) -> Result<ExportStream, Status> {
        self.stream(Lifetime::UntilDone, |api, answers| {
            let to_answer =
                move |memory: &MemoryName, units: Vec<Unit>, last| ExportUnitsResponse {
                    units: units.into_iter().map(|unit| unit_to_wire(memory, unit)).collect(),
                    cursor: listing.cursor(last),
                };
            export(api, from, EXPORT_PAGE_UNITS, answers, to_answer)
        })
    }

    pub(crate) fn watch_stream(
        &self,
        memory: Option<MemoryName>,
        after: i64,
    ) -> Result<WatchStream, Status> {
        let engine = self.engine()?;
        let memory = memory.map(|name| engine.memory_key(&name).map(|key| (key, name)));
        let memory = memory.transpose().map_err(status::from_engine)?;
        let last = *engine.watch_sequence().borrow();
        let after =
            u64::try_from(after).ok().map(Sequence).filter(|after| *after <= last).ok_or_else(
                || {
                    let what = format!("not a sequence of this server, which is at {}", last.0);
                    invalid("after_sequence", &what)
                },
            )?;
        engine.check_held(after).map_err(status::from_engine)?;
        self.stream(Lifetime::Endless, |api, answers| watch(api, memory, after, answers))
    }
}

/// Sends the pages of an export; `to_answer` gets the units of one, and where to go on behind them.
pub(crate) async fn export<T: Send + 'static>(
    api: Api,
    (memory, wanted, after): (MemoryName, ExportQuery, Option<UnitId>),
    page_units: usize,
    answers: Sender<T>,
    to_answer: impl Fn(&MemoryName, Vec<Unit>, UnitId) -> T + Send + Sync + 'static,
) -> Result<(), Status> {
    let to_answer = Arc::new(to_answer);
    let cancel = Cancel::default();
    let _stop_when_dropped = CancelOnDrop(cancel.clone());
    let name = memory.clone();
    let begin = move |engine: &Engine| engine.export(&name, wanted, after, &cancel);
    let mut export = api.run(begin).await?;
    loop {
        let (name, to_answer) = (memory.clone(), Arc::clone(&to_answer));
        let next = move |engine: &Engine| {
            let page = engine.export_page(&mut export, page_units)?;
            let answer =
                page.zip(export.after()).map(|(units, last)| to_answer(&name, units, last));
            Ok((export, answer))
        };
        let (rest, answer) = api.run(next).await?;
        export = rest;
        let Some(answer) = answer else {
            return Ok(());
        };
        if answers.send(Ok(answer)).await.is_err() {
            return Ok(());
        }
    }
}

async fn watch(
    api: Api,
    memory: Option<(MemoryKey, MemoryName)>,
    mut after: Sequence,
    answers: Sender<WatchUnitsResponse>,
) -> Result<(), Status> {
    let mut sequence = api.engine()?.watch_sequence();
    let key = memory.as_ref().map(|(key, _)| *key);
    loop {
        let call = move |engine: &Engine| {
            // The log shows commits before they are on disk; watchers are told when writers are.
            let published = *engine.watch_sequence().borrow();
            let mut records = engine.changes_since(after, WATCH_PAGE_COMMITS)?;
            records.retain(|record| record.sequence <= published);
            let last = records.last().map(|record| record.sequence);
            let events: Vec<_> = records
                .iter()
                .map(|record| event(engine, key, record))
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
            continue;
        }
        // A memory that is gone has no more changes, whatever gets its name.
        if let Some((key, name)) = &memory
            && api.engine()?.memory_name(*key).is_none()
        {
            return Err(status::from_engine(EngineError::NoMemory(name.clone())));
        }
        if sequence.changed().await.is_err() {
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
