//! `ImportUnits`: the session of an import whose units arrive in messages.

use tokio_stream::StreamExt as _;
use tonic::{Status, Streaming};

use crate::engine::{Import, ImportCounts, UnitOutcome};
use crate::limits::BATCH_UNITS_MAX;
use crate::store::MemoryRecord;
use crate::unit::{Lang, OffsetUnit};

use super::super::api::{Answers, Api, Lifetime, Sender};
use super::super::convert::{
    Within as _, check_action, content_of, duplicate_policy, memory_name, offset_unit, parse,
    request_id, signed, unsigned,
};
use super::super::proto::import_units_request::Message;
use super::super::proto::{
    self, ImportDiagnostic, ImportHeader, ImportUnitsRequest, ImportUnitsResponse,
};
use super::super::status::{self, invalid};
use super::import_session::{ImportAck, ImportSession, IncomingBatch, RejectedUnit, run};

impl Api {
    pub(super) fn import_units_stream(
        &self,
        requests: Streaming<ImportUnitsRequest>,
    ) -> Result<Answers<ImportUnitsResponse>, Status> {
        self.stream(Lifetime::UntilDone, |api, answers| import_units(api, requests, answers))
    }
}

async fn import_units(
    api: Api,
    mut requests: Streaming<ImportUnitsRequest>,
    answers: Sender<ImportUnitsResponse>,
) -> Result<(), Status> {
    let first = requests.next().await.transpose()?.and_then(|it| it.message);
    let Some(Message::Header(header)) = first else {
        return Err(invalid("message", "an import begins with its header"));
    };
    let session = session(&api, &header)?;
    let offsets = offset_unit(header.offset_unit).within("header")?;
    let answer = move |mut ack: ImportAck| {
        if !header.report_outcomes {
            ack.outcomes.clear();
        }
        ack.into()
    };
    let batches = requests.map(move |request| incoming(request?, offsets));
    run(api, session, batches, answers, answer).await
}

fn session(api: &Api, header: &ImportHeader) -> Result<ImportSession, Status> {
    let (import, record) = import(api, &header.parent, &header.import_id, header.duplicate_policy)?;
    check_lang("header.source_language_code", &header.source_language_code, &record.source_lang)?;
    check_lang("header.target_language_code", &header.target_language_code, &record.target_lang)?;
    Ok(ImportSession { import, check: check_action(header.check_action).within("header")? })
}

/// The fields that every header of an import has, and the memory that it names.
pub(super) fn import(
    api: &Api,
    parent: &str,
    id: &str,
    policy: i32,
) -> Result<(Import, MemoryRecord), Status> {
    let memory = memory_name("header.parent", parent)?;
    let id = request_id("header.import_id", id)?
        .ok_or_else(|| invalid("header.import_id", "give the import a UUID, to resume it by"))?;
    let record = api.engine()?.memory(&memory).map_err(status::from_engine)?;
    let policy = duplicate_policy(policy).within("header")?;
    Ok((Import::new(id, memory, policy), record))
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

fn incoming(request: ImportUnitsRequest, offsets: OffsetUnit) -> Result<IncomingBatch, Status> {
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
    let unit =
        |unit| content_of(unit, offsets).within("unit").map_err(|violation| violation.to_string());
    let units = batch.units.into_iter().map(unit).collect();
    Ok(IncomingBatch { number: batch.number, units, rejected: 0, last: batch.last })
}

impl From<RejectedUnit> for ImportDiagnostic {
    fn from(rejected: RejectedUnit) -> Self {
        Self {
            batch: signed(rejected.batch),
            index: i32::try_from(rejected.index).unwrap_or(i32::MAX),
            cause: rejected.cause,
            field: rejected.field,
            message: rejected.message,
        }
    }
}

impl From<ImportDiagnostic> for RejectedUnit {
    fn from(diagnostic: ImportDiagnostic) -> Self {
        Self {
            batch: unsigned(diagnostic.batch),
            index: usize::try_from(diagnostic.index).unwrap_or_default(),
            cause: diagnostic.cause,
            field: diagnostic.field,
            message: diagnostic.message,
        }
    }
}

impl From<ImportAck> for ImportUnitsResponse {
    fn from(ack: ImportAck) -> Self {
        let outcome = |outcome| proto::UnitOutcome::from(outcome).into();
        Self {
            acked_through: signed(ack.acked_through),
            counts: Some(ack.counts.into()),
            diagnostics: ack.rejected.into_iter().map(Into::into).collect(),
            complete: ack.complete,
            batch: signed(ack.batch),
            outcomes: ack.outcomes.into_iter().map(outcome).collect(),
        }
    }
}

impl From<ImportUnitsResponse> for ImportAck {
    fn from(answer: ImportUnitsResponse) -> Self {
        Self {
            batch: unsigned(answer.batch),
            acked_through: unsigned(answer.acked_through),
            counts: ImportCounts::from(answer.counts.unwrap_or_default()),
            complete: answer.complete,
            // The outcomes of rejected units are among the diagnostics.
            outcomes: answer.outcomes().filter_map(|it| UnitOutcome::try_from(it).ok()).collect(),
            rejected: answer.diagnostics.into_iter().map(Into::into).collect(),
        }
    }
}
