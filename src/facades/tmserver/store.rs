//! Stores what clients of tmserver send: a pair, a list of pairs, or a file.

use http::{Method, Response};
use serde::Deserialize;
use tonic::body::Body;
use uuid::Uuid;

use crate::client::MemoryInfo;
use crate::engine::{DuplicatePolicy, UnitOutcome};
use crate::limits::BATCH_UNITS_MAX;
use crate::unit::{Segment, UnitContent};

use super::super::answers;
use super::super::memories::for_writing;
use super::super::refusal::Refusal;
use super::super::settings::FacadeSettings;
use super::super::upload;
use super::super::visit::Visit;

/// A pair as clients send it.
#[derive(Debug, Deserialize)]
struct Pair {
    #[serde(default)]
    source: String,
    target: String,
    #[serde(default)]
    context: Option<String>,
}

impl Pair {
    fn into_content(self, document: &str) -> UnitContent {
        UnitContent {
            source: Segment::plain(self.source),
            target: Segment::plain(self.target),
            document: document.to_owned(),
            context_id: self.context.unwrap_or_default(),
            ..UnitContent::default()
        }
    }
}

/// Stores one pair; its source may stand in the path alone.
pub(super) async fn unit(
    mut visit: Visit,
    settings: &FacadeSettings,
    memories: &[MemoryInfo],
    text: Option<String>,
) -> Result<Response<Body>, Refusal> {
    let memory = writable(settings, memories)?.name.clone();
    let mut pair: Pair = visit.json().await?;
    if pair.source.is_empty() {
        pair.source = text.unwrap_or_default();
    }
    let content = vec![pair.into_content("")];
    let policy = DuplicatePolicy::default();
    visit.client.save_units(&memory, content, policy, Uuid::new_v4()).await?;
    Ok(answers::text(""))
}

/// Stores a list of pairs, or (PUT, unless it is JSON) a file of a format.
pub(super) async fn file(
    mut visit: Visit,
    settings: &FacadeSettings,
    memories: &[MemoryInfo],
    file: &str,
) -> Result<Response<Body>, Refusal> {
    let memory = writable(settings, memories)?.name.clone();
    let is_list = visit.method == Method::POST || visit.is_json();
    let added = if is_list {
        let pairs: Vec<Pair> = visit.json().await?;
        let mut added = 0;
        let mut pairs = pairs.into_iter().map(|pair| pair.into_content(file)).peekable();
        while pairs.peek().is_some() {
            let batch = pairs.by_ref().take(BATCH_UNITS_MAX).collect();
            let policy = DuplicatePolicy::default();
            let saved = visit.client.save_units(&memory, batch, policy, Uuid::new_v4()).await?;
            added += saved.iter().filter(|(_, it)| *it == UnitOutcome::Stored).count() as u64;
        }
        added
    } else {
        upload::import(visit.client, visit.body, &memory).await?.stored
    };
    Ok(answers::text(&format!("added {added} units from {file}")))
}

fn writable<'a>(
    settings: &FacadeSettings,
    memories: &'a [MemoryInfo],
) -> Result<&'a MemoryInfo, Refusal> {
    if !settings.writes {
        return Err(Refusal::read_only("tmserver"));
    }
    for_writing(settings, memories)
}
