//! Runs the session of an import: batches in, acknowledgements out, whichever way the units arrive.
//!
//! Batches are checked and analysed in the order in which they arrive and handed to the writer; while some are being written,
//! the next ones are read, up to a bound. Answers are sent before more is read, so a client that does not read them is not
//! read from either.

use std::collections::VecDeque;

use tokio_stream::{Stream, StreamExt as _};
use tonic::Status;

use crate::engine::{
    CHECK_ATTRIBUTE, CheckAction, Engine, EngineError, Import, ImportAnswer, ImportCounts,
    ImportProgress, PreparedBatch, UnitOutcome, batch_digest,
};
use crate::limits::{IMPORT_BYTES_IN_FLIGHT, IMPORT_UNITS_IN_FLIGHT};
use crate::unit::UnitContent;

use super::super::api::{Answers, Api, Lifetime, Sender};
use super::super::status;

/// What an import answers to a batch.
#[derive(Debug, Clone)]
pub struct ImportAck {
    /// The batch that it answers; 0 for what was stored before the session began.
    pub batch: u64,
    /// Batches 1 to this are on disk.
    pub acked_through: u64,
    /// Totals of the whole import so far.
    pub counts: ImportCounts,
    /// Whether the last batch is on disk.
    pub complete: bool,
    /// Units of the batch that were not stored.
    pub rejected: Vec<RejectedUnit>,
    /// What became of the other units, in their order; empty when the batch was stored before.
    pub outcomes: Vec<UnitOutcome>,
}

/// A unit of a batch that was not stored.
#[derive(Debug, Clone)]
pub struct RejectedUnit {
    /// Number of the batch.
    pub batch: u64,
    /// 0-based place in the batch.
    pub index: usize,
    /// Stable name of the cause.
    pub cause: String,
    /// The field, such as `target.text`.
    pub field: String,
    /// A message for people.
    pub message: String,
}

/// The settings of one import.
#[derive(Debug, Clone)]
pub(crate) struct ImportSession {
    pub(crate) import: Import,
    pub(crate) check: CheckAction,
}

impl Api {
    /// Runs a session for a client in this process, which needs no messages.
    pub(crate) fn import_units(
        &self,
        session: ImportSession,
        batches: impl Stream<Item = Result<IncomingBatch, Status>> + Send + 'static,
    ) -> Result<Answers<ImportAck>, Status> {
        self.stream(Lifetime::UntilDone, |api, answers| {
            run(api, session, batches, answers, |ack| ack)
        })
    }
}

/// A batch of units as it arrives.
pub(crate) struct IncomingBatch {
    /// 1, 2, 3, …
    pub(crate) number: i64,
    /// The units, or why they could not be read.
    pub(crate) units: Vec<Result<UnitContent, String>>,
    /// Units that were rejected before the batch was made.
    pub(crate) rejected: u64,
    /// Whether it is the last one.
    pub(crate) last: bool,
}

/// A batch that is being written.
struct InFlight {
    number: u64,
    answer: ImportAnswer,
    rejected: Vec<RejectedUnit>,
    units: usize,
    bytes: usize,
}

/// Stores batches and answers them; the first answer says what was stored before.
pub(super) async fn run<T>(
    api: Api,
    session: ImportSession,
    batches: impl Stream<Item = Result<IncomingBatch, Status>>,
    answers: Sender<T>,
    mut answer: impl FnMut(ImportAck) -> T,
) -> Result<(), Status> {
    let mut batches = std::pin::pin!(batches);
    let import = session.import.clone();
    let progress = api.run(move |engine| engine.import_progress(&import)).await?;
    let mut acked = progress.acked_through;
    if answers.send(Ok(answer(ack(progress)))).await.is_err() {
        return Ok(());
    }
    let mut in_flight: VecDeque<InFlight> = VecDeque::new();
    let mut ended = false;
    while !ended || !in_flight.is_empty() {
        if !ended && has_room(&in_flight) {
            // A batch that has arrived goes first; otherwise whichever comes first, batch or acknowledgement.
            let Some(front) = in_flight.front_mut() else {
                ended = !accept(&api, &session, batches.next().await, &mut in_flight).await?;
                continue;
            };
            tokio::select! {
                biased;
                batch = batches.next() => {
                    ended = !accept(&api, &session, batch, &mut in_flight).await?;
                    continue;
                }
                () = front.answer.ready() => {}
            }
        }
        let Some(done) = in_flight.pop_front() else {
            continue;
        };
        let stored = done.answer.acknowledged().await.map_err(status::from_engine)?;
        let mut ack = ack(stored.progress);
        acked = acked.max(ack.acked_through);
        (ack.batch, ack.acked_through, ack.rejected) = (done.number, acked, done.rejected);
        ack.outcomes = stored.unit_outcomes;
        if answers.send(Ok(answer(ack))).await.is_err() {
            return Ok(());
        }
    }
    Ok(())
}

fn ack(progress: ImportProgress) -> ImportAck {
    ImportAck {
        batch: 0,
        acked_through: progress.acked_through,
        counts: progress.counts,
        complete: progress.complete,
        rejected: Vec::new(),
        outcomes: Vec::new(),
    }
}

fn has_room(in_flight: &VecDeque<InFlight>) -> bool {
    let sum = |of: fn(&InFlight) -> usize| in_flight.iter().map(of).sum::<usize>();
    // A batch without units counts as one unit.
    sum(|it| it.units.max(1)) < IMPORT_UNITS_IN_FLIGHT
        && sum(|it| it.bytes) < IMPORT_BYTES_IN_FLIGHT
}

/// Hands one batch to the writer; `false` at the end of the stream.
async fn accept(
    api: &Api,
    session: &ImportSession,
    batch: Option<Result<IncomingBatch, Status>>,
    in_flight: &mut VecDeque<InFlight>,
) -> Result<bool, Status> {
    let Some(batch) = batch.transpose()? else {
        return Ok(false);
    };
    let session = session.clone();
    in_flight.push_back(api.run(move |engine| prepare(engine, &session, batch)).await?);
    Ok(true)
}

/// Checks and analyses a batch and hands it to the writer.
fn prepare(
    engine: &Engine,
    session: &ImportSession,
    batch: IncomingBatch,
) -> Result<InFlight, EngineError> {
    let number = u64::try_from(batch.number)
        .ok()
        .filter(|&number| number > 0)
        .ok_or_else(|| EngineError::invalid("batch.number", "batches are numbered 1, 2, 3, …"))?;
    let came = batch.units.iter().map(|unit| unit.as_ref().map_err(String::as_str));
    let digest = batch_digest(came, (batch.rejected, batch.last))?;
    let mut rejected = Vec::new();
    let mut reject = |index: usize, cause: &str, field: &str, message: &str| {
        rejected.push(RejectedUnit {
            batch: number,
            index,
            cause: cause.to_owned(),
            field: field.to_owned(),
            message: message.to_owned(),
        });
    };
    let memory = &session.import.memory;
    let mut contents = Vec::with_capacity(batch.units.len());
    let mut places = Vec::with_capacity(batch.units.len());
    for (index, unit) in batch.units.into_iter().enumerate() {
        match unit {
            Ok(content) => {
                contents.push(content);
                places.push(index);
            }
            Err(message) => reject(index, "BAD_FIELD", "unit", &message),
        }
    }
    if session.check != CheckAction::None {
        let verdicts = engine.check_contents(memory, &contents)?;
        let checked = contents.into_iter().zip(places).zip(verdicts);
        (contents, places) = checked
            .filter_map(|((mut content, index), verdict)| {
                let Some(verdict) = verdict else { return Some((content, index)) };
                if session.check == CheckAction::Reject && verdict.is_grave() {
                    let what = format!("probably not a translation: {}", verdict.names().join(","));
                    reject(index, "SUSPECT", "unit.target", &what);
                    return None;
                }
                content.attributes.insert(CHECK_ATTRIBUTE.to_owned(), verdict.names().join(","));
                Some((content, index))
            })
            .unzip();
    }
    let text = |content: &UnitContent| content.source.text.len() + content.target.text.len();
    let bytes = contents.iter().map(text).sum();
    let mut units = Vec::with_capacity(contents.len());
    for (prepared, index) in engine.prepare(memory, contents)?.into_iter().zip(places) {
        match prepared {
            Ok(unit) => units.push(unit),
            Err(fault) => reject(index, fault.cause.code(), &fault.field, &fault.message),
        }
    }
    rejected.sort_by_key(|rejected| rejected.index);
    let (count, sum) = (units.len(), rejected.len() as u64 + batch.rejected);
    let content = PreparedBatch { number, units, rejected: sum, last: batch.last, digest };
    let answer = engine.import(&session.import, content)?;
    Ok(InFlight { number, answer, rejected, units: count, bytes })
}
