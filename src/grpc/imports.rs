//! How do batches become acknowledgements? The course of every import, whichever way its units come.
//!
//! Batches are checked and analysed in the order in which they come and handed to the writer; while some are on their way
//! to the disk the next ones are taken in, up to a bound. Answers are taken before more is taken in, so a client that
//! does not read them is not read from either.

use std::collections::VecDeque;

use tokio_stream::{Stream, StreamExt as _};
use tonic::{Status, Streaming};

use crate::engine::{
    CHECK_ATTRIBUTE, CheckAction, Engine, EngineError, Import, ImportAnswer, ImportCounts,
    ImportProgress, PreparedBatch, UnitOutcome, batch_digest,
};
use crate::limits::{BATCH_UNITS_MAX, IMPORT_BYTES_IN_FLIGHT, IMPORT_UNITS_IN_FLIGHT};
use crate::store::MemoryRecord;
use crate::unit::{Lang, UnitContent};

use super::convert::{
    check_action, counts_to_wire, duplicate_policy, memory_name, parse, request_id, signed,
    unit_content, verdict_to_wire,
};
use super::proto::import_units_request::Message;
use super::proto::{ImportDiagnostic, ImportHeader, ImportUnitsRequest, ImportUnitsResponse};
use super::status::invalid;
use super::unit_streams::Sender;
use super::{Api, status};

/// What an import says of its batches.
#[derive(Debug, Clone)]
pub struct ImportAck {
    /// Number of the batch that it answers; 0 for what was there when the import began.
    pub batch: u64,
    /// Batches 1 to this are on disk.
    pub acked_through: u64,
    /// Sums so far.
    pub counts: ImportCounts,
    /// Whether the last batch is on disk.
    pub complete: bool,
    /// Units of the batch that were not stored.
    pub rejected: Vec<RejectedUnit>,
    /// What became of its other units, in their order; empty when it was on disk before.
    pub verdicts: Vec<UnitOutcome>,
}

/// A unit of a batch that was not stored.
#[derive(Debug, Clone)]
pub struct RejectedUnit {
    /// Number of the batch.
    pub batch: u64,
    /// 0-based place in the batch.
    pub index: usize,
    /// Stable name of the fault.
    pub cause: String,
    /// The field, such as `target.text`.
    pub field: String,
    /// For a person.
    pub message: String,
}

/// What is done with the units of an import.
#[derive(Debug, Clone)]
pub(crate) struct Course {
    pub(crate) import: Import,
    pub(crate) check: CheckAction,
    /// Whether somebody wants to know what became of each unit.
    pub(crate) verdicts: bool,
}

/// Units that came together.
pub(crate) struct Incoming {
    /// 1, 2, 3, …
    pub(crate) number: i64,
    /// Those that could be read, and why the others could not.
    pub(crate) units: Vec<Result<UnitContent, Status>>,
    /// Units that were rejected before they came here.
    pub(crate) rejected: u64,
    /// None come after them.
    pub(crate) last: bool,
}

/// A batch on its way to the disk.
struct InFlight {
    number: u64,
    answer: ImportAnswer,
    rejected: Vec<RejectedUnit>,
    units: usize,
    bytes: usize,
}

/// `ImportUnits`.
pub(crate) async fn units(
    api: Api,
    mut requests: Streaming<ImportUnitsRequest>,
    answers: Sender<ImportUnitsResponse>,
) -> Result<(), Status> {
    let course = match requests.next().await.transpose()?.and_then(|it| it.message) {
        Some(Message::Header(header)) => course(&api, &header)?,
        _ => return Err(invalid("message", "an import begins with its header")),
    };
    let verdicts = course.verdicts;
    let batches = requests.map(|request| incoming(request?));
    run(api, course, batches, answers, move |ack| response(ack, verdicts)).await
}

fn course(api: &Api, header: &ImportHeader) -> Result<Course, Status> {
    let (import, record) = import(
        api,
        ("header.parent", &header.parent),
        ("header.import_id", &header.import_id),
        header.duplicate_policy,
    )?;
    check_lang("header.source_lang", &header.source_lang, &record.source_lang)?;
    check_lang("header.target_lang", &header.target_lang, &record.target_lang)?;
    Ok(Course { import, check: check_action(header.check)?, verdicts: header.verdicts })
}

/// What every header of an import says, and the memory that it names.
pub(crate) fn import(
    api: &Api,
    (parent_field, parent): (&str, &str),
    (id_field, id): (&str, &str),
    policy: i32,
) -> Result<(Import, MemoryRecord), Status> {
    let memory = memory_name(parent_field, parent)?;
    let id = request_id(id_field, id)?
        .ok_or_else(|| invalid(id_field, "give the import a UUID, to resume it by"))?;
    let record = api.engine()?.memory(&memory).map_err(status::from_engine)?;
    Ok((Import::new(id, memory, duplicate_policy(policy)?), record))
}

/// A language that a client names must be the memory's.
pub(crate) fn check_lang(field: &str, given: &str, expected: &Lang) -> Result<(), Status> {
    if given.is_empty() {
        return Ok(());
    }
    let given: Lang = parse(field, given)?;
    if expected.accepts(&given) {
        return Ok(());
    }
    Err(invalid(field, &format!("'{given}' was given, but the memory is for '{expected}'")))
}

fn incoming(request: ImportUnitsRequest) -> Result<Incoming, Status> {
    let batch = match request.message {
        Some(Message::Batch(batch)) => batch,
        Some(Message::Header(_)) => {
            return Err(invalid("header", "an import has one header, at its beginning"));
        }
        None => return Err(invalid("message", "neither header nor batch")),
    };
    if batch.units.len() > BATCH_UNITS_MAX {
        let what = format!("{} units; a batch holds at most {BATCH_UNITS_MAX}", batch.units.len());
        return Err(invalid("batch.units", &what));
    }
    let units = batch.units.into_iter().map(|unit| unit_content("unit", unit)).collect();
    Ok(Incoming { number: batch.number, units, rejected: 0, last: batch.last })
}

fn response(ack: ImportAck, verdicts: bool) -> ImportUnitsResponse {
    let diagnostics = ack.rejected.into_iter().map(|rejected| ImportDiagnostic {
        batch: signed(rejected.batch),
        index: i32::try_from(rejected.index).unwrap_or(i32::MAX),
        cause: rejected.cause,
        field: rejected.field,
        message: rejected.message,
    });
    let all = if verdicts { ack.verdicts } else { Vec::new() };
    ImportUnitsResponse {
        acked_through: signed(ack.acked_through),
        counts: Some(counts_to_wire(ack.counts)),
        diagnostics: diagnostics.collect(),
        complete: ack.complete,
        batch: signed(ack.batch),
        verdicts: all.into_iter().map(|verdict| verdict_to_wire(verdict).into()).collect(),
    }
}

/// Takes batches in and answers them; the first answer says how far the import was before.
pub(crate) async fn run<T>(
    api: Api,
    course: Course,
    batches: impl Stream<Item = Result<Incoming, Status>>,
    answers: Sender<T>,
    mut answer: impl FnMut(ImportAck) -> T,
) -> Result<(), Status> {
    let mut batches = std::pin::pin!(batches);
    let import = course.import.clone();
    let progress = api.run(move |engine| engine.import_progress(&import)).await?;
    let mut acked = progress.acked_through;
    if answers.send(Ok(answer(ack(progress)))).await.is_err() {
        return Ok(());
    }
    let mut in_flight: VecDeque<InFlight> = VecDeque::new();
    let mut ended = false;
    while !ended || !in_flight.is_empty() {
        if !ended && has_room(&in_flight) {
            // What has come already goes first; otherwise whichever comes first, batch or acknowledgement.
            let Some(front) = in_flight.front_mut() else {
                ended = !accept(&api, &course, batches.next().await, &mut in_flight).await?;
                continue;
            };
            tokio::select! {
                biased;
                batch = batches.next() => {
                    ended = !accept(&api, &course, batch, &mut in_flight).await?;
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
        ack.verdicts = stored.unit_outcomes;
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
        verdicts: Vec::new(),
    }
}

fn has_room(in_flight: &VecDeque<InFlight>) -> bool {
    let sum = |of: fn(&InFlight) -> usize| in_flight.iter().map(of).sum::<usize>();
    // A batch without units takes a place, too.
    sum(|it| it.units.max(1)) < IMPORT_UNITS_IN_FLIGHT
        && sum(|it| it.bytes) < IMPORT_BYTES_IN_FLIGHT
}

/// Takes one batch in; `false` at the end of the stream.
async fn accept(
    api: &Api,
    course: &Course,
    batch: Option<Result<Incoming, Status>>,
    in_flight: &mut VecDeque<InFlight>,
) -> Result<bool, Status> {
    let Some(batch) = batch.transpose()? else {
        return Ok(false);
    };
    let course = course.clone();
    in_flight.push_back(api.run(move |engine| hand_in(engine, &course, batch)).await?);
    Ok(true)
}

/// Checks and analyses a batch and hands it to the writer.
fn hand_in(engine: &Engine, course: &Course, batch: Incoming) -> Result<InFlight, EngineError> {
    let number = u64::try_from(batch.number)
        .ok()
        .filter(|&number| number > 0)
        .ok_or_else(|| EngineError::invalid("batch.number", "batches are numbered 1, 2, 3, …"))?;
    let came = batch.units.iter().map(|unit| unit.as_ref().map_err(Status::message));
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
    let memory = &course.import.memory;
    let mut contents = Vec::with_capacity(batch.units.len());
    let mut places = Vec::with_capacity(batch.units.len());
    for (index, unit) in batch.units.into_iter().enumerate() {
        match unit {
            Ok(content) => {
                contents.push(content);
                places.push(index);
            }
            Err(error) => reject(index, "BAD_FIELD", "unit", error.message()),
        }
    }
    if course.check != CheckAction::None {
        let doubts = engine.check_contents(memory, &contents)?;
        let checked = contents.into_iter().zip(places).zip(doubts);
        (contents, places) = checked
            .filter_map(|((mut content, index), verdict)| {
                let Some(verdict) = verdict else { return Some((content, index)) };
                if course.check == CheckAction::Reject && verdict.is_grave() {
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
    let answer = engine.import(&course.import, content)?;
    Ok(InFlight { number, answer, rejected, units: count, bytes })
}
