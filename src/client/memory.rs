//! Memories: creating, reading, changing and deleting them.

use uuid::Uuid;

use crate::engine::{MemoryPatch, NewMemory};
use crate::unit::{Lang, MemoryName, Score, Scoring, Timestamp};

use super::connection::Client;
use super::error::ClientError;
use crate::grpc::convert::{
    FieldViolation, Within as _, memory_name, parse, scoring, unfinished_penalty, unsigned,
};
use crate::grpc::proto;

/// A memory as the server describes it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MemoryInfo {
    /// Its name.
    pub name: MemoryName,
    /// The display name.
    pub display_name: String,
    /// The description.
    pub description: String,
    /// Language of its sources.
    pub source_lang: Lang,
    /// Language of its targets.
    pub target_lang: Lang,
    /// When it was created.
    pub created: Timestamp,
    /// Units it holds.
    pub unit_count: u64,
    /// Penalty of matches with unfinished translations; `None` for the default.
    pub unfinished_penalty: Option<Score>,
    /// How lookups score its matches.
    pub scoring: Scoring,
}

impl Client {
    /// Creates a memory.
    ///
    /// # Errors
    /// The server's.
    pub async fn create_memory(&mut self, new: NewMemory) -> Result<MemoryInfo, ClientError> {
        let memory = proto::Memory {
            display_name: new.display_name,
            description: new.description,
            source_language_code: new.source_lang.to_string(),
            target_language_code: new.target_lang.to_string(),
            unfinished_penalty_points: new.unfinished_penalty.map(Score::points),
            default_penalty_points: new.scoring.default_penalty.points(),
            penalties: new.scoring.penalty_rules.iter().map(Into::into).collect(),
            context_mode: proto::ContextMode::from(new.scoring.context_mode).into(),
            ..proto::Memory::default()
        };
        let request = proto::CreateMemoryRequest {
            memory_id: new.name.to_string(),
            memory: Some(memory),
            request_id: Uuid::new_v4().to_string(),
        };
        let response = self.memories.create_memory(request).await?.into_inner();
        memory_info(response.memory)
    }

    /// Reads a memory.
    ///
    /// # Errors
    /// The server's.
    pub async fn memory(&mut self, name: &MemoryName) -> Result<MemoryInfo, ClientError> {
        let request = proto::GetMemoryRequest { name: name.resource() };
        memory_info(self.memories.get_memory(request).await?.into_inner().memory)
    }

    /// Reads all memories, by name.
    ///
    /// # Errors
    /// The server's.
    pub async fn list_memories(&mut self) -> Result<Vec<MemoryInfo>, ClientError> {
        let mut memories = Vec::new();
        let mut page_token = String::new();
        loop {
            let request = proto::ListMemoriesRequest { page_size: 1_000, page_token };
            let page = self.memories.list_memories(request).await?.into_inner();
            for memory in page.memories {
                memories.push(memory_info(Some(memory))?);
            }
            if page.next_page_token.is_empty() {
                return Ok(memories);
            }
            page_token = page.next_page_token;
        }
    }

    /// Changes fields of a memory.
    ///
    /// # Errors
    /// The server's.
    pub async fn update_memory(
        &mut self,
        name: &MemoryName,
        patch: MemoryPatch,
    ) -> Result<MemoryInfo, ClientError> {
        let MemoryPatch {
            display_name,
            description,
            unfinished_penalty,
            default_penalty,
            penalty_rules,
            context_mode,
        } = patch;
        let fields = [
            ("display_name", display_name.is_some()),
            ("description", description.is_some()),
            ("unfinished_penalty_points", unfinished_penalty.is_some()),
            ("default_penalty_points", default_penalty.is_some()),
            ("penalties", penalty_rules.is_some()),
            ("context_mode", context_mode.is_some()),
        ];
        let paths = fields.into_iter().filter(|(_, named)| *named);
        let paths = paths.map(|(path, _)| path.to_owned()).collect();
        let memory = proto::Memory {
            name: name.resource(),
            display_name: display_name.unwrap_or_default(),
            description: description.unwrap_or_default(),
            unfinished_penalty_points: unfinished_penalty.flatten().map(Score::points),
            default_penalty_points: default_penalty.unwrap_or_default().points(),
            penalties: penalty_rules.iter().flatten().map(Into::into).collect(),
            context_mode: context_mode.map_or(0, |mode| proto::ContextMode::from(mode).into()),
            ..proto::Memory::default()
        };
        let request = proto::UpdateMemoryRequest {
            memory: Some(memory),
            update_mask: Some(prost_types::FieldMask { paths }),
            request_id: Uuid::new_v4().to_string(),
        };
        memory_info(self.memories.update_memory(request).await?.into_inner().memory)
    }

    /// Deletes a memory.
    ///
    /// # Errors
    /// The server's.
    pub async fn delete_memory(
        &mut self,
        name: &MemoryName,
        force: bool,
    ) -> Result<(), ClientError> {
        let request_id = Uuid::new_v4().to_string();
        let request = proto::DeleteMemoryRequest {
            name: name.resource(),
            force,
            request_id,
            etag: String::new(),
        };
        self.memories.delete_memory(request).await?;
        Ok(())
    }
}

fn memory_info(memory: Option<proto::Memory>) -> Result<MemoryInfo, ClientError> {
    Ok(MemoryInfo::try_from(memory.unwrap_or_default()).within("memory")?)
}

impl TryFrom<proto::Memory> for MemoryInfo {
    type Error = FieldViolation;

    fn try_from(memory: proto::Memory) -> Result<Self, FieldViolation> {
        let scoring = scoring(&memory)?;
        let created = Timestamp::try_from(memory.create_time.unwrap_or_default());
        Ok(Self {
            name: memory_name("name", &memory.name)?,
            display_name: memory.display_name,
            description: memory.description,
            source_lang: parse("source_language_code", &memory.source_language_code)?,
            target_lang: parse("target_language_code", &memory.target_language_code)?,
            created: created.within("create_time")?,
            unit_count: unsigned(memory.unit_count),
            unfinished_penalty: unfinished_penalty(memory.unfinished_penalty_points)?,
            scoring,
        })
    }
}
