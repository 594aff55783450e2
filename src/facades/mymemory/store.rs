//! `set`, `update`, `delete` and `delete_by_id`: units as MyMemory's clients store, change and delete them.

use serde_json::Value;
use uuid::Uuid;

use crate::client::MemoryInfo;
use crate::engine::{DuplicatePolicy, QuerySegment, unit_etag};
use crate::unit::{MemoryName, Score, Segment, Unit, UnitContent, UnitId};

use super::super::memories::{for_writing, lookup, no_memory, served};
use super::super::refusal::Refusal;
use super::super::settings::FacadeTable;
use super::super::visit::Visit;
use super::answer::{PROPERTIES_ATTRIBUTE, done};
use super::parameters::{context, memories, pair, required};

/// Most units with one source among which an update looks for its target.
const VARIANTS_MAX: usize = 100;

pub(super) async fn set(mut visit: Visit, table: &FacadeTable) -> Result<Value, Refusal> {
    let (source, target) =
        (required(&visit, "seg")?.to_owned(), required(&visit, "tra")?.to_owned());
    let memory = writable(&mut visit, table).await?.name;
    let content = content(&visit, source, target);
    save(&mut visit, &memory, content).await
}

/// Changes the unit with the old texts; stores the new ones where there is none.
pub(super) async fn update(mut visit: Visit, table: &FacadeTable) -> Result<Value, Refusal> {
    let (source, target) =
        (required(&visit, "seg")?.to_owned(), required(&visit, "tra")?.to_owned());
    let new_source = given_or(&visit, "newseg", &source);
    let new_target = given_or(&visit, "newtra", &target);
    let memory = writable(&mut visit, table).await?;
    let new = content(&visit, new_source, new_target);
    match find(&mut visit, table, &memory, source, &target).await? {
        None => save(&mut visit, &memory.name, new).await,
        Some(unit) => {
            let key = (unit.id, unit_etag(&unit));
            let changed = visit.client.update_texts(&memory.name, key, new, Uuid::new_v4()).await?;
            Ok(done(&id_of(&memory.name, &changed)))
        }
    }
}

fn given_or(visit: &Visit, name: &str, old: &str) -> String {
    let new = visit.parameter(name).filter(|text| !text.trim().is_empty());
    new.unwrap_or(old).to_owned()
}

/// Deletes the unit with these texts.
pub(super) async fn delete(mut visit: Visit, table: &FacadeTable) -> Result<Value, Refusal> {
    let (source, target) =
        (required(&visit, "seg")?.to_owned(), required(&visit, "tra")?.to_owned());
    let memory = writable(&mut visit, table).await?;
    let unit = find(&mut visit, table, &memory, source, &target).await?;
    let unit = unit.ok_or_else(|| Refusal::not_found("there is no unit with these texts"))?;
    visit.client.delete_unit(&memory.name, unit.id, Uuid::new_v4()).await?;
    Ok(done(&id_of(&memory.name, &unit)))
}

pub(super) async fn delete_by_id(mut visit: Visit, table: &FacadeTable) -> Result<Value, Refusal> {
    if !table.mymemory.writes {
        return Err(Refusal::read_only("mymemory"));
    }
    let id = required(&visit, "id")?.to_owned();
    let unknown = || Refusal::not_found("there is no unit of this id");
    let (memory, unit) = id.split_once('/').ok_or_else(unknown)?;
    let memory: MemoryName = memory.parse().map_err(|_| unknown())?;
    let unit: u64 = unit.parse().map_err(|_| unknown())?;
    if served(&mut visit.client, &table.mymemory, Some(&memory)).await?.is_empty() {
        return Err(no_memory(&memory));
    }
    visit.client.delete_unit(&memory, UnitId(unit), Uuid::new_v4()).await?;
    Ok(done(&id))
}

/// The memory that the request writes to.
async fn writable(visit: &mut Visit, table: &FacadeTable) -> Result<MemoryInfo, Refusal> {
    if !table.mymemory.writes {
        return Err(Refusal::read_only("mymemory"));
    }
    let (source, target) = pair(visit)?;
    let memories = memories(visit, table, (&source, &target)).await?;
    for_writing(&table.mymemory, &memories).cloned()
}

fn content(visit: &Visit, source: String, target: String) -> UnitContent {
    let mut content = UnitContent {
        source: Segment::plain(source),
        target: Segment::plain(target),
        context: context(visit),
        ..UnitContent::default()
    };
    if let Some(properties) = visit.parameter("prop").filter(|it| !it.trim().is_empty()) {
        content.attributes.insert(PROPERTIES_ATTRIBUTE.to_owned(), properties.to_owned());
    }
    content
}

async fn save(
    visit: &mut Visit,
    memory: &MemoryName,
    content: UnitContent,
) -> Result<Value, Refusal> {
    let policy = DuplicatePolicy::default();
    let saved = visit.client.save_units(memory, vec![content], policy, Uuid::new_v4()).await?;
    let id = saved.first().map(|(unit, _)| id_of(memory, unit));
    Ok(done(&id.unwrap_or_default()))
}

fn id_of(memory: &MemoryName, unit: &Unit) -> String {
    format!("{memory}/{}", unit.id)
}

/// The unit with these texts.
async fn find(
    visit: &mut Visit,
    table: &FacadeTable,
    memory: &MemoryInfo,
    source: String,
    target: &str,
) -> Result<Option<Unit>, Refusal> {
    let mut segment = QuerySegment::new(Segment::plain(source));
    segment.context = context(visit);
    let memories = std::slice::from_ref(memory);
    let found = lookup(&mut visit.client, &table.mymemory, memories, &segment, |lookup| {
        lookup.min_score = Score::from_hundredths(9_500).unwrap_or_default();
        lookup.max_matches = VARIANTS_MAX;
        lookup.penalty_rules.clear();
    });
    let source = &segment.segment.text;
    let same =
        |unit: &Unit| unit.content.source.text == *source && unit.content.target.text == target;
    Ok(found.await?.into_iter().map(|found| found.unit).find(same))
}
