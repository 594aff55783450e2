//! Batches of units, their uses, and their histories.

use tonic::Status;

use crate::engine::{Cancel, Engine, Etag, UnitUse, UpdateRequest};
use crate::limits::BATCH_UNITS_MAX;
use crate::unit::{MemoryName, OffsetUnit, UnitId};

use super::super::api::{Api, CancelOnDrop};
use super::super::convert::{
    FieldViolation, PageToken, UnitView, Within as _, expected_etag, memory_name, optional_time,
    page_size, request_id, unit_name, unit_patch,
};
use super::super::proto;
use super::super::proto::{
    BatchDeleteUnitsRequest, BatchGetUnitsRequest, BatchUpdateUnitsRequest,
    ListUnitRevisionsRequest, ListUnitRevisionsResponse, RecordUnitUsesRequest,
    RollbackUnitRequest, UpdateUnitRequest,
};
use super::super::status::{self, invalid};

impl Api {
    pub(super) async fn batch_get(
        &self,
        request: BatchGetUnitsRequest,
    ) -> Result<Vec<proto::Unit>, Status> {
        let memory = memory_name("parent", &request.parent)?;
        let ids = unit_ids(&memory, &request.names)?;
        let view = UnitView::new(request.offset_unit, request.read_mask)?;
        let get =
            move |engine: &Engine| Ok(view.units(&memory, engine.units_by_id(&memory, &ids)?));
        self.run(get).await
    }

    pub(super) async fn batch_update(
        &self,
        request: BatchUpdateUnitsRequest,
    ) -> Result<Vec<proto::Unit>, Status> {
        let memory = memory_name("parent", &request.parent)?;
        check_size("requests", request.requests.len())?;
        let id = request_id("request_id", &request.request_id)?;
        let view = UnitView::whole(request.offset_unit)?;
        let update = |(index, update)| {
            update_request(&memory, update, view.offsets())
                .within(format_args!("requests[{index}]"))
        };
        let updates = request.requests.into_iter().enumerate().map(update);
        let updates = updates.collect::<Result<Vec<UpdateRequest>, FieldViolation>>()?;
        self.run(move |engine| {
            let units = engine.update_units(&memory, &updates, id)?;
            Ok(view.units(&memory, units))
        })
        .await
    }

    pub(super) async fn batch_delete(
        &self,
        request: BatchDeleteUnitsRequest,
    ) -> Result<(), Status> {
        let memory = memory_name("parent", &request.parent)?;
        let ids = unit_ids(&memory, &request.names)?;
        let id = request_id("request_id", &request.request_id)?;
        self.run(move |engine| engine.delete_units(&memory, &ids, id)).await
    }

    pub(super) async fn record_uses(
        &self,
        request: RecordUnitUsesRequest,
    ) -> Result<Vec<proto::Unit>, Status> {
        let memory = memory_name("parent", &request.parent)?;
        check_size("uses", request.uses.len())?;
        let id = request_id("request_id", &request.request_id)?;
        let unit_use = |(index, it)| unit_use(&memory, it).within(format_args!("uses[{index}]"));
        let uses = request.uses.into_iter().enumerate().map(unit_use);
        let uses = uses.collect::<Result<Vec<UnitUse>, FieldViolation>>()?;
        self.run(move |engine| {
            let units = engine.record_uses(&memory, uses, id)?;
            Ok(UnitView::default().units(&memory, units))
        })
        .await
    }

    pub(super) async fn unit_revisions(
        &self,
        request: ListUnitRevisionsRequest,
    ) -> Result<ListUnitRevisionsResponse, Status> {
        let (memory, id) = unit_name("name", &request.name)?;
        let size = page_size(request.page_size)?;
        let view = UnitView::whole(request.offset_unit)?;
        let engine = self.engine()?;
        let key = engine.memory_key(&memory).map_err(status::from_engine)?;
        let (secret, listing) = (*engine.secret(), format!("revisions of {} {id}", key.0));
        let token = PageToken::parse("page_token", &request.page_token, &secret, &listing)?;
        let before = token.map(|token| revision_of(&token)).transpose()?;
        let cancel = Cancel::default();
        let _stop_when_dropped = CancelOnDrop(cancel.clone());
        self.run(move |engine| {
            let page = engine.unit_revisions(&memory, id, before, size, &cancel)?;
            let token =
                |before: u64| PageToken::new(&before.to_be_bytes()).to_text(&secret, &listing);
            Ok(ListUnitRevisionsResponse {
                units: view.units(&memory, page.units),
                next_page_token: page.before.map(token).unwrap_or_default(),
            })
        })
        .await
    }

    pub(super) async fn rollback(
        &self,
        request: RollbackUnitRequest,
    ) -> Result<proto::Unit, Status> {
        let (memory, unit) = unit_name("name", &request.name)?;
        let revision = u64::try_from(request.revision).ok().filter(|revision| *revision > 0);
        let revision = revision.ok_or_else(|| invalid("revision", "revisions begin at 1"))?;
        let expected = expected_etag(&request.etag);
        let id = request_id("request_id", &request.request_id)?;
        let view = UnitView::whole(request.offset_unit)?;
        self.run(move |engine| {
            let unit = engine.rollback_unit(&memory, unit, revision, expected, id)?;
            Ok(view.unit(&memory, unit))
        })
        .await
    }
}

/// The revision that a page of revisions begins below.
fn revision_of(token: &PageToken) -> Result<u64, Status> {
    let bytes = token.position().try_into();
    bytes.map(u64::from_be_bytes).map_err(|_| {
        status::internal("a token of revisions passed its check and holds no revision")
    })
}

fn check_size(field: &str, size: usize) -> Result<(), FieldViolation> {
    if (1..=BATCH_UNITS_MAX).contains(&size) {
        return Ok(());
    }
    Err(FieldViolation::new(field, format!("{size} entries; a batch has 1 to {BATCH_UNITS_MAX}")))
}

/// The numbers of units of one memory.
fn unit_ids(memory: &MemoryName, names: &[String]) -> Result<Vec<UnitId>, FieldViolation> {
    check_size("names", names.len())?;
    let id = |(index, name): (usize, &String)| {
        unit_of(memory, "", name).within(format_args!("names[{index}]"))
    };
    names.iter().enumerate().map(id).collect()
}

/// The number of a unit that must be of this memory.
fn unit_of(memory: &MemoryName, field: &str, name: &str) -> Result<UnitId, FieldViolation> {
    let (of, id) = unit_name(field, name)?;
    if of == *memory {
        return Ok(id);
    }
    let what = format!("'{name}' is not a unit of the parent, {}", memory.resource());
    Err(FieldViolation::new(field, what))
}

fn update_request(
    memory: &MemoryName,
    request: UpdateUnitRequest,
    offsets: OffsetUnit,
) -> Result<UpdateRequest, FieldViolation> {
    if request.offset_unit != 0 {
        let what = "a batch counts in one unit; leave those of its updates unspecified";
        return Err(FieldViolation::new("offset_unit", what));
    }
    if !request.request_id.is_empty() {
        let what = "a batch has one request id; leave those of its updates empty";
        return Err(FieldViolation::new("request_id", what));
    }
    let unit = request.unit.ok_or_else(|| FieldViolation::new("unit", "say which unit"))?;
    let id = unit_of(memory, "unit.name", &unit.name)?;
    let expected: Option<Etag> = expected_etag(&unit.etag);
    Ok(UpdateRequest { id, patch: unit_patch(unit, request.update_mask, offsets)?, expected })
}

fn unit_use(memory: &MemoryName, it: proto::UnitUse) -> Result<UnitUse, FieldViolation> {
    let unit = unit_of(memory, "name", &it.name)?;
    let count = u32::try_from(it.count);
    let count = count.map_err(|_| FieldViolation::new("count", "a count is not negative"))?;
    Ok(UnitUse { unit, count: count.max(1), time: optional_time("use_time", it.use_time)? })
}
