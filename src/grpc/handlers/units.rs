//! The calls of `UnitService`.

use tonic::{Request, Response, Status, Streaming};

use crate::engine::{Engine, Expected, ExportQuery, UnitFilter};
use crate::limits::BATCH_UNITS_MAX;
use crate::unit::{MemoryName, UnitContent};

use super::super::api::{Answers, Api};
use super::super::convert::{
    Within as _, expected_revision, memory_name, page_size, request_id, unit_name, unit_patch,
};
use super::super::proto;
use super::super::proto::unit_service_server::UnitService;
use super::super::proto::{
    BatchCreateUnitsRequest, BatchCreateUnitsResponse, CreateUnitRequest, CreateUnitResponse,
    DeleteUnitRequest, DeleteUnitResponse, ExportUnitsRequest, ExportUnitsResponse, GetUnitRequest,
    GetUnitResponse, ImportFileRequest, ImportFileResponse, ImportUnitsRequest,
    ImportUnitsResponse, ListUnitsRequest, ListUnitsResponse, UpdateUnitRequest,
    UpdateUnitResponse, WatchUnitsRequest, WatchUnitsResponse,
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
        let content = UnitContent::try_from(request.unit.unwrap_or_default()).within("unit")?;
        let units =
            self.create(memory, vec![content], &request.request_id, |_| "unit".to_owned()).await?;
        Ok(Response::new(CreateUnitResponse { unit: units.into_iter().next() }))
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
        let contents = request
            .units
            .into_iter()
            .enumerate()
            .map(|(index, unit)| UnitContent::try_from(unit).within(format_args!("units[{index}]")))
            .collect::<Result<_, _>>()?;
        let units = self
            .create(memory, contents, &request.request_id, |index| format!("units[{index}]"))
            .await?;
        Ok(Response::new(BatchCreateUnitsResponse { units }))
    }

    async fn get_unit(
        &self,
        request: Request<GetUnitRequest>,
    ) -> Result<Response<GetUnitResponse>, Status> {
        let (memory, id) = unit_name("name", &request.into_inner().name)?;
        let get = move |engine: &Engine| Ok((&memory, engine.unit(&memory, id)?).into());
        let unit = self.run(get).await?;
        Ok(Response::new(GetUnitResponse { unit: Some(unit) }))
    }

    async fn list_units(
        &self,
        request: Request<ListUnitsRequest>,
    ) -> Result<Response<ListUnitsResponse>, Status> {
        let request = request.into_inner();
        let memory = memory_name("parent", &request.parent)?;
        let size = page_size(request.page_size)?;
        let listing = UnitListing::new(self.engine()?, &memory)?;
        let after = listing.position("page_token", &request.page_token)?;
        let page = self.run(move |engine| {
            let mut units = engine.units(&memory, after, size + 1)?;
            let more = units.len() > size;
            units.truncate(size);
            let next_page_token = match units.last() {
                Some(last) if more => listing.cursor(last.id),
                _ => String::new(),
            };
            let units = units.into_iter().map(|unit| (&memory, unit).into()).collect();
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
        let expected = expected_revision("unit.revision", unit.revision)?.map(Expected::Revision);
        let request_id = request_id("request_id", &request.request_id)?;
        let patch = unit_patch(unit, request.update_mask)?;
        let update = self.run(move |engine| {
            let unit = engine.update_unit(&memory, id, patch, expected, request_id)?;
            Ok((&memory, unit).into())
        });
        Ok(Response::new(UpdateUnitResponse { unit: Some(update.await?) }))
    }

    async fn delete_unit(
        &self,
        request: Request<DeleteUnitRequest>,
    ) -> Result<Response<DeleteUnitResponse>, Status> {
        let request = request.into_inner();
        let (memory, id) = unit_name("name", &request.name)?;
        let expected = expected_revision("revision", request.revision)?.map(Expected::Revision);
        let request_id = request_id("request_id", &request.request_id)?;
        self.run(move |engine| engine.delete_unit(&memory, id, expected, request_id)).await?;
        Ok(Response::new(DeleteUnitResponse {}))
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
        Ok(Response::new(self.export_stream((memory, wanted, after), listing)?))
    }

    type WatchUnitsStream = Answers<WatchUnitsResponse>;

    async fn watch_units(
        &self,
        request: Request<WatchUnitsRequest>,
    ) -> Result<Response<Self::WatchUnitsStream>, Status> {
        let request = request.into_inner();
        let memory = match request.parent.as_str() {
            "memories/-" => None,
            name => Some(memory_name("parent", name)?),
        };
        Ok(Response::new(self.watch_stream(memory, request.after_sequence)?))
    }
}

impl Api {
    async fn create(
        &self,
        memory: MemoryName,
        contents: Vec<UnitContent>,
        request: &str,
        field: impl Fn(usize) -> String + Send + 'static,
    ) -> Result<Vec<proto::Unit>, Status> {
        let id = request_id("request_id", request)?;
        self.run(move |engine| {
            let units = engine.create_units(&memory, contents, id, field)?;
            Ok(units.into_iter().map(|unit| (&memory, unit).into()).collect())
        })
        .await
    }
}
