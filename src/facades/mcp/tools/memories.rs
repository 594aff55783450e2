//! `list_memories`: the memories that may be read.

use std::fmt::Write as _;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::super::answer::{Answer, Failure, Room};
use super::super::session::Session;
use super::super::tool::Tool;
use crate::client::MemoryInfo;
use crate::limits::MCP_MEMORIES_MAX;

pub(super) struct ListMemories;

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Input {}

#[derive(Serialize, JsonSchema)]
pub(super) struct Output {
    memories: Vec<Memory>,
    /// Memories that are not listed, because there are too many.
    #[serde(skip_serializing_if = "Option::is_none")]
    more: Option<usize>,
    /// Whether `save` may be called.
    writable: bool,
}

#[derive(Serialize, JsonSchema)]
struct Memory {
    /// What the other tools take in `memories`.
    name: String,
    /// BCP-47.
    source_language: String,
    /// BCP-47.
    target_language: String,
    /// Stored translation units.
    units: u64,
    #[serde(skip_serializing_if = "String::is_empty")]
    display_name: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    description: String,
}

/// Characters of a description that are shown.
const DESCRIPTION_CHARS_MAX: usize = 500;

impl From<MemoryInfo> for Memory {
    fn from(info: MemoryInfo) -> Self {
        let short = |text: String| text.chars().take(DESCRIPTION_CHARS_MAX).collect();
        Self {
            name: info.name.to_string(),
            source_language: info.source_lang.to_string(),
            target_language: info.target_lang.to_string(),
            units: info.unit_count,
            display_name: short(info.display_name),
            description: short(info.description),
        }
    }
}

impl Tool for ListMemories {
    const NAME: &'static str = "list_memories";
    const TITLE: &'static str = "List memories";
    const DESCRIPTION: &'static str =
        "Lists the translation memories that can be read: name, languages, number of stored units.";
    type Input = Input;
    type Output = Output;

    async fn call(_: Input, mut session: Session) -> Result<Answer<Output>, Failure> {
        let known = session.memories().await?;
        let count = known.len();
        let mut room = Room::default();
        let shown = known.into_iter().take(MCP_MEMORIES_MAX).map(Memory::from);
        let memories: Vec<Memory> = shown.take_while(|memory| room.take(memory)).collect();
        let more = (count > memories.len()).then(|| count - memories.len());
        let mut text = String::new();
        for memory in &memories {
            let Memory { name, source_language, target_language, units, display_name, .. } = memory;
            let _ = write!(text, "{name}: {source_language} to {target_language}, {units} units");
            if !display_name.is_empty() {
                let _ = write!(text, " ({display_name})");
            }
            text.push('\n');
        }
        if let Some(more) = more {
            let _ = writeln!(text, "{more} more are not listed; they can be named all the same.");
        }
        if memories.is_empty() {
            text.push_str("There is no memory to read.\n");
        }
        Ok(Answer {
            structured: Output { memories, more, writable: session.settings.writes },
            text,
        })
    }
}
