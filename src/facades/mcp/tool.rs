//! Defines a tool, and makes of it what a server lists and calls.

use std::pin::Pin;
use std::sync::Arc;

use rmcp::handler::server::tool::{schema_for_input, schema_for_output};
use rmcp::model::{self, CallToolResult, ContentBlock, JsonObject, ToolAnnotations};
use schemars::JsonSchema;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::answer::{Answer, Failure};
use super::session::Session;

/// A tool.
pub(super) trait Tool: 'static {
    /// Its name in calls.
    const NAME: &'static str;
    /// Its name for people.
    const TITLE: &'static str;
    /// What it does, for the model that decides whether to call it.
    const DESCRIPTION: &'static str;
    /// Whether it changes memories.
    const WRITES: bool = false;
    /// Its arguments.
    type Input: DeserializeOwned + JsonSchema + Send + 'static;
    /// Its answer as data.
    type Output: Serialize + JsonSchema + Send + 'static;

    fn call(
        input: Self::Input,
        session: Session,
    ) -> impl Future<Output = Result<Answer<Self::Output>, Failure>> + Send;
}

type Calling = Pin<Box<dyn Future<Output = CallToolResult> + Send>>;

/// A tool as a server lists and calls it.
pub(super) struct Entry {
    pub(super) listed: model::Tool,
    pub(super) writes: bool,
    pub(super) call: fn(JsonObject, Session) -> Calling,
}

impl Entry {
    pub(super) fn of<T: Tool>() -> Self {
        let annotations = ToolAnnotations::with_title(T::TITLE)
            .read_only(!T::WRITES)
            .destructive(false)
            .idempotent(true)
            .open_world(false);
        let listed = model::Tool::new(T::NAME, T::DESCRIPTION, input_schema::<T::Input>())
            .with_title(T::TITLE)
            .with_raw_output_schema(schema_for_output::<T::Output>())
            .with_annotations(annotations);
        Self {
            listed,
            writes: T::WRITES,
            call: |arguments, session| Box::pin(call::<T>(arguments, session)),
        }
    }
}

/// The schema of the arguments, which is always one of an object.
fn input_schema<I: JsonSchema + 'static>() -> Arc<JsonObject> {
    schema_for_input::<I>().unwrap_or_default()
}

async fn call<T: Tool>(arguments: JsonObject, session: Session) -> CallToolResult {
    let input = match serde_json::from_value::<T::Input>(Value::Object(arguments)) {
        Ok(input) => input,
        Err(error) => {
            return failed(&format!(
                "the arguments do not fit the schema of `{}`: {error}",
                T::NAME
            ));
        }
    };
    let answer = match T::call(input, session).await {
        Ok(answer) => answer,
        Err(failure) => return failed(&failure.to_string()),
    };
    match serde_json::to_value(answer.structured) {
        Ok(structured) => {
            let mut result = CallToolResult::structured(structured);
            result.content = vec![ContentBlock::text(answer.text)];
            result
        }
        Err(error) => failed(&format!("the answer cannot be written: {error}")),
    }
}

/// A failure, in words that tell the model how to call the tool correctly.
fn failed(text: &str) -> CallToolResult {
    CallToolResult::error(vec![ContentBlock::text(text)])
}
