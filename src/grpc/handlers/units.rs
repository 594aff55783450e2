//! The calls of `UnitService`.

use tonic::{Request, Response, Status, Streaming};

use crate::engine::{Cancel, Engine, ExportQuery, ListQuery, SavedUnit, UnitFilter};
use crate::limits::BATCH_UNITS_MAX;
use crate::unit::{MemoryName, UnitContent};

use super::super::api::{Answers, Api, CancelOnDrop};
use super::super::convert::{
    UnitView, Within as _, content_of, duplicate_policy, expected_etag, memory_name, page_size,
    request_id, unit_name, unit_order, unit_patch,
};
use super::super::proto;
use super::super::proto::unit_service_server::UnitService;
use super::super::proto::{
    BatchCreateUnitsRequest, BatchCreateUnitsResponse, BatchDeleteUnitsRequest,
    BatchDeleteUnitsResponse, BatchGetUnitsRequest, BatchGetUnitsResponse, BatchUpdateUnitsRequest,
    BatchUpdateUnitsResponse, CreateUnitRequest, CreateUnitResponse, DeleteMatchingUnitsRequest,
    DeleteMatchingUnitsResponse, DeleteUnitRequest, DeleteUnitResponse, ExportUnitsRequest,
    ExportUnitsResponse, GetUnitRequest, GetUnitResponse, ImportFileRequest, ImportFileResponse,
    ImportUnitsRequest, ImportUnitsResponse, ListUnitRevisionsRequest, ListUnitRevisionsResponse,
    ListUnitsRequest, ListUnitsResponse, RecordUnitUsesRequest, RecordUnitUsesResponse,
    RollbackUnitRequest, RollbackUnitResponse, UpdateMatchingUnitsRequest,
    UpdateMatchingUnitsResponse, UpdateUnitRequest, UpdateUnitResponse, WatchUnitsRequest,
    WatchUnitsResponse,
};
use super::super::status::invalid;
use super::listing::UnitListing;

#[tonic::async_trait]
impl UnitService for Api {
    async fn create_unit(
        &self,
        request: Request<CreateUnitRequest>,
    ) -> Result<Response<CreateUnitResponse>, Status> {
        let request = request.into_inner();
        let memory = memory_name("parent", &request.parent)?;
        let view = UnitView::whole(request.offset_unit)?;
        let content =
            content_of(request.unit.unwrap_or_default(), view.offsets()).within("unit")?;
        let how = (request.duplicate_policy, &request.request_id[..]);
        let field = |_| "unit".to_owned();
        let (units, outcomes) = self.save((memory, view), vec![content], how, field).await?;
        Ok(Response::new(CreateUnitResponse {
            unit: units.into_iter().next(),
            outcome: outcomes.first().copied().unwrap_or_default(),
        }))
    }

    async fn batch_create_units(
        &self,
        request: Request<BatchCreateUnitsRequest>,
    ) -> Result<Response<BatchCreateUnitsResponse>, Status> {
        let request = request.into_inner();
        let memory = memory_name("parent", &request.parent)?;
        if request.units.is_empty() || request.units.len() > BATCH_UNITS_MAX {
            let what = format!(
                "{} units; a batch holds 1 to {BATCH_UNITS_MAX} (ImportUnits takes any number)",
                request.units.len()
            );
            return Err(invalid("units", &what));
        }
        let view = UnitView::whole(request.offset_unit)?;
        let contents = request
            .units
            .into_iter()
            .enumerate()
            .map(|(index, unit)| {
                content_of(unit, view.offsets()).within(format_args!("units[{index}]"))
            })
            .collect::<Result<_, _>>()?;
        let how = (request.duplicate_policy, &request.request_id[..]);
        let field = |index| format!("units[{index}]");
        let (units, outcomes) = self.save((memory, view), contents, how, field).await?;
        Ok(Response::new(BatchCreateUnitsResponse { units, outcomes }))
    }

    async fn get_unit(
        &self,
        request: Request<GetUnitRequest>,
    ) -> Result<Response<GetUnitResponse>, Status> {
        let request = request.into_inner();
        let (memory, id) = unit_name("name", &request.name)?;
        let view = UnitView::new(request.offset_unit, request.read_mask)?;
        let get = move |engine: &Engine| Ok(view.unit(&memory, engine.unit(&memory, id)?));
        let unit = self.run(get).await?;
        Ok(Response::new(GetUnitResponse { unit: Some(unit) }))
    }

    async fn batch_get_units(
        &self,
        request: Request<BatchGetUnitsRequest>,
    ) -> Result<Response<BatchGetUnitsResponse>, Status> {
        let units = self.batch_get(request.into_inner()).await?;
        Ok(Response::new(BatchGetUnitsResponse { units }))
    }

    async fn list_units(
        &self,
        request: Request<ListUnitsRequest>,
    ) -> Result<Response<ListUnitsResponse>, Status> {
        let request = request.into_inner();
        let memory = memory_name("parent", &request.parent)?;
        let size = page_size(request.page_size)?;
        let filter = UnitFilter::try_from(request.filter.unwrap_or_default()).within("filter")?;
        let (order, descending) = unit_order(&request.order_by)?;
        let view = UnitView::new(request.offset_unit, request.read_mask)?;
        let query = ListQuery { filter, order, descending };
        let listing = UnitListing::of(self.engine()?, &memory, &query)?;
        let after = listing.page_position(&request.page_token)?;
        let cancel = Cancel::default();
        let _stop_when_dropped = CancelOnDrop(cancel.clone());
        let page = self.run(move |engine| {
            let page = engine.list_units(&memory, &query, after, size, &cancel)?;
            let next_page_token = page.next.map(|next| listing.page_token(next));
            let units = view.units(&memory, page.units);
            let next_page_token = next_page_token.unwrap_or_default();
            Ok(ListUnitsResponse { units, next_page_token })
        });
        page.await.map(Response::new)
    }

    async fn update_unit(
        &self,
        request: Request<UpdateUnitRequest>,
    ) -> Result<Response<UpdateUnitResponse>, Status> {
        let request = request.into_inner();
        let unit = request.unit.ok_or_else(|| invalid("unit", "say which unit"))?;
        let (memory, id) = unit_name("unit.name", &unit.name)?;
        let expected = expected_etag(&unit.etag);
        let request_id = request_id("request_id", &request.request_id)?;
        let view = UnitView::whole(request.offset_unit)?;
        let patch = unit_patch(unit, request.update_mask, view.offsets())?;
        let update = self.run(move |engine| {
            let unit = engine.update_unit(&memory, id, patch, expected, request_id)?;
            Ok(view.unit(&memory, unit))
        });
        Ok(Response::new(UpdateUnitResponse { unit: Some(update.await?) }))
    }

    async fn batch_update_units(
        &self,
        request: Request<BatchUpdateUnitsRequest>,
    ) -> Result<Response<BatchUpdateUnitsResponse>, Status> {
        let units = self.batch_update(request.into_inner()).await?;
        Ok(Response::new(BatchUpdateUnitsResponse { units }))
    }

    async fn delete_unit(
        &self,
        request: Request<DeleteUnitRequest>,
    ) -> Result<Response<DeleteUnitResponse>, Status> {
        let request = request.into_inner();
        let (memory, id) = unit_name("name", &request.name)?;
        let expected = expected_etag(&request.etag);
        let request_id = request_id("request_id", &request.request_id)?;
        self.run(move |engine| engine.delete_unit(&memory, id, expected, request_id)).await?;
        Ok(Response::new(DeleteUnitResponse {}))
    }

    async fn batch_delete_units(
        &self,
        request: Request<BatchDeleteUnitsRequest>,
    ) -> Result<Response<BatchDeleteUnitsResponse>, Status> {
        self.batch_delete(request.into_inner()).await?;
        Ok(Response::new(BatchDeleteUnitsResponse {}))
    }

    async fn update_matching_units(
        &self,
        request: Request<UpdateMatchingUnitsRequest>,
    ) -> Result<Response<UpdateMatchingUnitsResponse>, Status> {
        self.update_matching(request.into_inner()).await.map(Response::new)
    }

    async fn delete_matching_units(
        &self,
        request: Request<DeleteMatchingUnitsRequest>,
    ) -> Result<Response<DeleteMatchingUnitsResponse>, Status> {
        self.delete_matching(request.into_inner()).await.map(Response::new)
    }

    async fn record_unit_uses(
        &self,
        request: Request<RecordUnitUsesRequest>,
    ) -> Result<Response<RecordUnitUsesResponse>, Status> {
        let units = self.record_uses(request.into_inner()).await?;
        Ok(Response::new(RecordUnitUsesResponse { units }))
    }

    async fn list_unit_revisions(
        &self,
        request: Request<ListUnitRevisionsRequest>,
    ) -> Result<Response<ListUnitRevisionsResponse>, Status> {
        self.unit_revisions(request.into_inner()).await.map(Response::new)
    }

    async fn rollback_unit(
        &self,
        request: Request<RollbackUnitRequest>,
    ) -> Result<Response<RollbackUnitResponse>, Status> {
        let unit = self.rollback(request.into_inner()).await?;
        Ok(Response::new(RollbackUnitResponse { unit: Some(unit) }))
    }

    type ImportUnitsStream = Answers<ImportUnitsResponse>;

    async fn import_units(
        &self,
        request: Request<Streaming<ImportUnitsRequest>>,
    ) -> Result<Response<Self::ImportUnitsStream>, Status> {
        Ok(Response::new(self.import_units_stream(request.into_inner())?))
    }

    type ImportFileStream = Answers<ImportFileResponse>;

    async fn import_file(
        &self,
        request: Request<Streaming<ImportFileRequest>>,
    ) -> Result<Response<Self::ImportFileStream>, Status> {
        Ok(Response::new(self.import_file_stream(request.into_inner())?))
    }

    type ExportUnitsStream = Answers<ExportUnitsResponse>;

    async fn export_units(
        &self,
        request: Request<ExportUnitsRequest>,
    ) -> Result<Response<Self::ExportUnitsStream>, Status> {
        let request = request.into_inner();
        let memory = memory_name("parent", &request.parent)?;
        let listing = UnitListing::new(self.engine()?, &memory)?;
        let after = listing.position("cursor", &request.cursor)?;
        let filter = UnitFilter::try_from(request.filter.unwrap_or_default()).within("filter")?;
        let wanted = ExportQuery { filter, text: request.query };
        let view = UnitView::new(request.offset_unit, request.read_mask)?;
        Ok(Response::new(self.export_stream((memory, wanted, after), listing, view)?))
    }

    type WatchUnitsStream = Answers<WatchUnitsResponse>;

    async fn watch_units(
        &self,
        request: Request<WatchUnitsRequest>,
    ) -> Result<Response<Self::WatchUnitsStream>, Status> {
        Ok(Response::new(self.watch_stream(request.into_inner())?))
    }
}

impl Api {
    /// Saves units; answers with the units and their outcomes. `how` are the duplicate policy and the request id.
    async fn save(
        &self,
        (memory, view): (MemoryName, UnitView),
        contents: Vec<UnitContent>,
        how: (i32, &str),
        field: impl Fn(usize) -> String + Send + 'static,
    ) -> Result<(Vec<proto::Unit>, Vec<i32>), Status> {
        let policy = duplicate_policy(how.0)?;
        let id = request_id("request_id", how.1)?;
        self.run(move |engine| {
            let saved = engine.save_units(&memory, contents, policy, id, field)?;
            let answer = |SavedUnit { unit, outcome }| {
                (view.unit(&memory, unit), i32::from(proto::UnitOutcome::from(outcome)))
            };
            Ok(saved.into_iter().map(answer).unzip())
        })
        .await
    }
}
