//! The calls of `MemoryService`.

use tonic::{Request, Response, Status};

use crate::engine::{Engine, NewMemory};
use crate::unit::{Lang, MemoryName};
use crate::validate::parse_language;

use super::super::api::Api;
use super::super::call::CallInfo;
use super::super::convert::{
    PageToken, Within as _, expected_etag, free_text, is_everything, memory_name, memory_patch,
    page_size, parse, request_id, scoring, unfinished_penalty,
};
use super::super::proto::memory_service_server::MemoryService;
use super::super::proto::{
    CreateMemoryRequest, CreateMemoryResponse, DeleteMemoryRequest, DeleteMemoryResponse,
    GetMemoryRequest, GetMemoryResponse, ListMemoriesRequest, ListMemoriesResponse,
    UpdateMemoryRequest, UpdateMemoryResponse,
};
use super::super::status::invalid;
use super::super::{proto, status};

const LISTING: &str = "memories";

/// A registered language.
fn language(field: &str, text: &str) -> Result<Lang, Status> {
    parse_language(text).map_err(|error| invalid(field, &error.to_string()))
}

#[tonic::async_trait]
impl MemoryService for Api {
    async fn create_memory(
        &self,
        request: Request<CreateMemoryRequest>,
    ) -> Result<Response<CreateMemoryResponse>, Status> {
        let request = request.into_inner();
        let memory = request.memory.unwrap_or_default();
        if request.memory_id.starts_with("memories/") {
            return Err(invalid("memory_id", "give the id alone, without 'memories/'"));
        }
        let scoring = scoring(&memory).within("memory")?;
        let new = NewMemory {
            name: parse("memory_id", &request.memory_id)?,
            display_name: free_text("memory.display_name", memory.display_name)?,
            description: free_text("memory.description", memory.description)?,
            source_lang: language("memory.source_language_code", &memory.source_language_code)?,
            target_lang: language("memory.target_language_code", &memory.target_language_code)?,
            unfinished_penalty: unfinished_penalty(memory.unfinished_penalty_points)
                .within("memory")?,
            scoring,
        };
        if new.source_lang == new.target_lang {
            return Err(invalid(
                "memory.target_language_code",
                "source and target are the same language",
            ));
        }
        let id = request_id("request_id", &request.request_id)?;
        let record = self.run(move |engine| engine.create_memory(new, id)).await?;
        Ok(Response::new(CreateMemoryResponse { memory: Some(record.into()) }))
    }

    async fn get_memory(
        &self,
        request: Request<GetMemoryRequest>,
    ) -> Result<Response<GetMemoryResponse>, Status> {
        let name = memory_name("name", &request.into_inner().name)?;
        let record = self.engine()?.memory(&name).map_err(status::from_engine)?;
        Ok(Response::new(GetMemoryResponse { memory: Some(record.into()) }))
    }

    async fn list_memories(
        &self,
        request: Request<ListMemoriesRequest>,
    ) -> Result<Response<ListMemoriesResponse>, Status> {
        let caller = request.extensions().get::<CallInfo>().and_then(|call| call.caller.clone());
        let visible = caller.map(|(_, visible)| visible);
        let request = request.into_inner();
        let size = page_size(request.page_size)?;
        let secret = self.engine()?.secret();
        let after = PageToken::parse("page_token", &request.page_token, secret, LISTING)?
            .and_then(|token| String::from_utf8(token.position().to_vec()).ok())
            .and_then(|name| name.parse::<MemoryName>().ok());
        let mut records = match visible {
            None => self.engine()?.memories(after.as_ref(), size + 1),
            Some(visible) => {
                let all = self.engine()?.memories(after.as_ref(), usize::MAX).into_iter();
                all.filter(|record| visible.shows(&record.name)).take(size + 1).collect()
            }
        };
        let more = records.len() > size;
        records.truncate(size);
        let next_page_token = match records.last() {
            Some(last) if more => {
                PageToken::new(last.name.as_str().as_bytes()).to_text(secret, LISTING)
            }
            _ => String::new(),
        };
        let memories = records.into_iter().map(Into::into).collect();
        Ok(Response::new(ListMemoriesResponse { memories, next_page_token }))
    }

    async fn update_memory(
        &self,
        request: Request<UpdateMemoryRequest>,
    ) -> Result<Response<UpdateMemoryResponse>, Status> {
        let request = request.into_inner();
        let memory = request.memory.ok_or_else(|| invalid("memory", "say which memory"))?;
        let name = memory_name("memory.name", &memory.name)?;
        let expected = expected_etag(&memory.etag);
        let id = request_id("request_id", &request.request_id)?;
        if is_everything(request.update_mask.as_ref()) {
            self.check_languages(&name, &memory)?;
        }
        let patch = memory_patch(memory, request.update_mask)?;
        let record =
            self.run(move |engine| engine.update_memory(&name, patch, expected, id)).await?;
        Ok(Response::new(UpdateMemoryResponse { memory: Some(record.into()) }))
    }

    async fn delete_memory(
        &self,
        request: Request<DeleteMemoryRequest>,
    ) -> Result<Response<DeleteMemoryResponse>, Status> {
        let request = request.into_inner();
        let name = memory_name("name", &request.name)?;
        let expected = expected_etag(&request.etag);
        let id = request_id("request_id", &request.request_id)?;
        let delete =
            move |engine: &Engine| engine.delete_memory(&name, request.force, expected, id);
        self.run(delete).await?;
        Ok(Response::new(DeleteMemoryResponse {}))
    }
}

impl Api {
    /// A full replacement of a memory may repeat its languages, but not change them.
    fn check_languages(&self, name: &MemoryName, given: &proto::Memory) -> Result<(), Status> {
        let record = self.engine()?.memory(name).map_err(status::from_engine)?;
        for (field, given, own) in [
            ("memory.source_language_code", &given.source_language_code, record.source_lang),
            ("memory.target_language_code", &given.target_language_code, record.target_lang),
        ] {
            if !given.is_empty() && parse::<Lang>(field, given)? != own {
                let what = format!("the memory is for '{own}', which cannot be changed");
                return Err(invalid(field, &what));
            }
        }
        Ok(())
    }
}
