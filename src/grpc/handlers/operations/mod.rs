//! The calls of `OperationService`: long calls of other services that run without their clients.
//!
//! An operation is a recorded call: the same function answers it, and its answers go into a file instead of a stream.

mod answers;
mod run;
mod start;
mod upload;
mod view;

use tonic::{Request, Response, Status, Streaming};

use super::super::api::{Answers, Api};
use super::super::proto::operation_service_server::OperationService;
use super::super::proto::{
    CancelOperationRequest, CancelOperationResponse, DeleteOperationRequest,
    DeleteOperationResponse, GetOperationRequest, GetOperationResponse, ListOperationsRequest,
    ListOperationsResponse, OperationKind, ReadOperationResultRequest, ReadOperationResultResponse,
    StartAlignDocumentsRequest, StartAlignDocumentsResponse, StartBackupStoreRequest,
    StartBackupStoreResponse, StartCheckUnitsRequest, StartCheckUnitsResponse,
    StartImportFileRequest, StartImportFileResponse, StartTrainLexiconRequest,
    StartTrainLexiconResponse, WaitOperationRequest, WaitOperationResponse, WatchOperationRequest,
    WatchOperationResponse,
};
use start::wanted;
use view::Caller;

#[tonic::async_trait]
impl OperationService for Api {
    async fn start_import_file(
        &self,
        request: Request<Streaming<StartImportFileRequest>>,
    ) -> Result<Response<StartImportFileResponse>, Status> {
        let caller = Caller::of(&request);
        let operation = Some(self.start_import(&caller, request.into_inner()).await?);
        Ok(Response::new(StartImportFileResponse { operation }))
    }

    async fn start_align_documents(
        &self,
        request: Request<StartAlignDocumentsRequest>,
    ) -> Result<Response<StartAlignDocumentsResponse>, Status> {
        let caller = Caller::of(&request);
        let mut request = request.into_inner();
        let id = std::mem::take(&mut request.request_id);
        let operation = Some(self.start_align(&caller, &id, request).await?);
        Ok(Response::new(StartAlignDocumentsResponse { operation }))
    }

    async fn start_train_lexicon(
        &self,
        request: Request<StartTrainLexiconRequest>,
    ) -> Result<Response<StartTrainLexiconResponse>, Status> {
        let caller = Caller::of(&request);
        let mut request = request.into_inner();
        let id = std::mem::take(&mut request.request_id);
        self.there("memory", &wanted(request.request.as_ref())?.memory)?;
        let kind = OperationKind::TrainLexicon;
        let operation = Some(self.start(&caller, kind, &id, &request).await?);
        Ok(Response::new(StartTrainLexiconResponse { operation }))
    }

    async fn start_check_units(
        &self,
        request: Request<StartCheckUnitsRequest>,
    ) -> Result<Response<StartCheckUnitsResponse>, Status> {
        let caller = Caller::of(&request);
        let mut request = request.into_inner();
        let id = std::mem::take(&mut request.request_id);
        self.check_order(wanted(request.request.as_ref())?)?;
        let kind = OperationKind::CheckUnits;
        let operation = Some(self.start(&caller, kind, &id, &request).await?);
        Ok(Response::new(StartCheckUnitsResponse { operation }))
    }

    async fn start_backup_store(
        &self,
        request: Request<StartBackupStoreRequest>,
    ) -> Result<Response<StartBackupStoreResponse>, Status> {
        let caller = Caller::of(&request);
        let mut request = request.into_inner();
        let id = std::mem::take(&mut request.request_id);
        wanted(request.request.as_ref())?;
        let kind = OperationKind::BackupStore;
        let operation = Some(self.start(&caller, kind, &id, &request).await?);
        Ok(Response::new(StartBackupStoreResponse { operation }))
    }

    async fn get_operation(
        &self,
        request: Request<GetOperationRequest>,
    ) -> Result<Response<GetOperationResponse>, Status> {
        let operation = self.seen(&Caller::of(&request), &request.get_ref().name)?;
        let operation = Some(view::now(&operation));
        Ok(Response::new(GetOperationResponse { operation }))
    }

    async fn list_operations(
        &self,
        request: Request<ListOperationsRequest>,
    ) -> Result<Response<ListOperationsResponse>, Status> {
        let caller = Caller::of(&request);
        self.operations_page(&caller, &request.into_inner()).map(Response::new)
    }

    async fn wait_operation(
        &self,
        request: Request<WaitOperationRequest>,
    ) -> Result<Response<WaitOperationResponse>, Status> {
        let operation = self.seen(&Caller::of(&request), &request.get_ref().name)?;
        let time = view::waiting_time(&request)?;
        let operation = Some(self.wait_for(&operation, time).await?);
        Ok(Response::new(WaitOperationResponse { operation }))
    }

    type WatchOperationStream = Answers<WatchOperationResponse>;

    async fn watch_operation(
        &self,
        request: Request<WatchOperationRequest>,
    ) -> Result<Response<Self::WatchOperationStream>, Status> {
        let operation = self.seen(&Caller::of(&request), &request.get_ref().name)?;
        self.watch_operation_stream(operation).map(Response::new)
    }

    type ReadOperationResultStream = Answers<ReadOperationResultResponse>;

    async fn read_operation_result(
        &self,
        request: Request<ReadOperationResultRequest>,
    ) -> Result<Response<Self::ReadOperationResultStream>, Status> {
        let operation = self.seen(&Caller::of(&request), &request.get_ref().name)?;
        self.result_stream(operation).await.map(Response::new)
    }

    async fn cancel_operation(
        &self,
        request: Request<CancelOperationRequest>,
    ) -> Result<Response<CancelOperationResponse>, Status> {
        let operation = self.seen(&Caller::of(&request), &request.get_ref().name)?;
        self.cancel(operation).await?;
        Ok(Response::new(CancelOperationResponse {}))
    }

    async fn delete_operation(
        &self,
        request: Request<DeleteOperationRequest>,
    ) -> Result<Response<DeleteOperationResponse>, Status> {
        let operation = self.seen(&Caller::of(&request), &request.get_ref().name)?;
        self.delete(operation).await?;
        Ok(Response::new(DeleteOperationResponse {}))
    }
}
