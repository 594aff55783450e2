//! `save`: stores a translation that somebody confirmed.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::super::answer::{Answer, Failure, check_length};
use super::super::matches::unit_name;
use super::super::session::Session;
use super::super::tool::Tool;
use super::lookup::query;
use crate::limits::MCP_SEGMENT_BYTES_MAX;
use crate::unit::{Segment, UnitContent};

pub(super) struct Save;

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Input {
    /// The memory to store it in.
    memory: String,
    /// The text, of at most 16 KiB.
    source: String,
    /// Its confirmed translation, of at most 16 KiB.
    target: String,
    /// The source text before it in the document, if known: the unit is then a context match between the same neighbours.
    previous: Option<String>,
    /// The source text after it.
    next: Option<String>,
    /// The document it is from.
    #[serde(default)]
    document: String,
    /// Who translated or confirmed it.
    #[serde(default)]
    author: String,
}

#[derive(Serialize, JsonSchema)]
pub(super) struct Output {
    /// The unit that holds it: a new one, or the one that held it before.
    unit: String,
}

impl Tool for Save {
    const NAME: &'static str = "save";
    const TITLE: &'static str = "Save a confirmed translation";
    const DESCRIPTION: &'static str = "Stores one translation in a memory. Only for translations that the user has confirmed. The same \
        texts in the same context are stored once; another translation of a stored text is stored beside it.";
    const WRITES: bool = true;
    type Input = Input;
    type Output = Output;

    async fn call(input: Input, mut session: Session) -> Result<Answer<Output>, Failure> {
        check_length("source", &input.source, MCP_SEGMENT_BYTES_MAX)?;
        check_length("target", &input.target, MCP_SEGMENT_BYTES_MAX)?;
        let memory = session.memory(&input.memory).await?.name;
        let query = query(&input.source, input.previous.as_deref(), input.next.as_deref());
        let content = UnitContent {
            source: query.segment,
            target: Segment::plain(input.target),
            context: query.context,
            document: input.document,
            author: input.author,
            ..UnitContent::default()
        };
        let units = session.client.create_units(&memory, vec![content], Uuid::new_v4()).await?;
        let unit = units.first().map(|unit| unit_name(&memory, unit.id));
        let unit =
            unit.ok_or_else(|| Failure::argument("the server did not say where it is stored"))?;
        let text = format!("Stored: {unit}\n");
        Ok(Answer { structured: Output { unit }, text })
    }
}
