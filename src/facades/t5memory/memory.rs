//! Memories: listing, creating, cloning and deleting them, importing into them.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::StatusCode;
use http_body::Body as _;
use serde_json::{Map, Value, json};
use tokio::sync::mpsc;
use tokio_stream::StreamExt as _;
use tokio_stream::wrappers::ReceiverStream;
use uuid::Uuid;

use crate::client::{Client, ImportOrder, MemoryInfo, NumberedBatch};
use crate::engine::{CheckAction, DuplicatePolicy, ExportQuery, NewMemory};
use crate::gateway::is_form;
use crate::limits::{BATCH_UNITS_MAX, IMPORT_BATCH_BYTES};
use crate::unit::{Lang, MemoryName, UnitContent};

use super::super::form::{Form, Part};
use super::super::memories::{no_memory, served};
use super::super::refusal::Refusal;
use super::super::settings::FacadeSettings;
use super::super::times::basic;
use super::super::upload::Upload;
use super::super::visit::Visit;
use super::address::memory_name;
use super::entry::policy;
use super::fault::Fault;
use super::fields::Fields;
use super::imports::{Imports, import};

/// Longest part of a form that describes its file.
const DESCRIPTION_BYTES_MAX: usize = 64 * 1024;

pub(super) async fn list(visit: &mut Visit, settings: &FacadeSettings) -> Result<Value, Fault> {
    let memories = served(&mut visit.client, settings, None).await?;
    let open: Vec<Value> = memories.iter().map(|it| json!({"name": it.name.as_str()})).collect();
    Ok(json!({"Open": open, "Available on disk": []}))
}

/// A memory that is served here.
pub(super) async fn find(
    visit: &mut Visit,
    settings: &FacadeSettings,
    name: &MemoryName,
) -> Result<MemoryInfo, Fault> {
    if !settings.serves(name) {
        return Err(no_memory(name).into());
    }
    match visit.client.memory(name).await {
        Err(error) if error.is_not_found() => Err(no_memory(name).into()),
        found => Ok(found?),
    }
}

/// Creates a memory, and imports a file if one comes with it.
pub(super) async fn create(
    visit: &mut Visit,
    settings: &FacadeSettings,
    imports: &Imports,
) -> Result<Value, Fault> {
    if !is_form(&visit.headers) {
        let fields = Fields::of(visit).await?;
        return create_by(visit, settings, &fields).await.map(|name| created(&name));
    }
    let (fields, file) = form(visit).await?;
    let name = create_by(visit, settings, &fields).await?;
    let imported =
        import(&visit.client, imports, (&name, policy(&fields)), (Upload::Part(Box::new(file)), 0));
    imported.await?;
    Ok(created(&name))
}

fn created(name: &MemoryName) -> Value {
    json!({"ReturnValue": 0, "ErrorMsg": "", "name": name.as_str()})
}

async fn create_by(
    visit: &mut Visit,
    settings: &FacadeSettings,
    fields: &Fields,
) -> Result<MemoryName, Fault> {
    let name = memory_name(fields.required("name")?)?;
    check_served(settings, &name)?;
    if !fields.text("data").is_empty() {
        let what = "memories in the own format of t5memory are not read: import TMX";
        return Err(Fault::bad_request(what));
    }
    fields.required("sourceLang")?;
    let missing = || Fault::bad_request("the field sourceLang is missing");
    let source = fields.lang("sourceLang")?.ok_or_else(missing)?;
    let target = match fields.lang("targetLang")? {
        Some(lang) => lang,
        None => usual_target(&source)?,
    };
    let new = NewMemory::new(name.clone(), source, target);
    visit.client.create_memory(new).await?;
    Ok(name)
}

/// Refuses to make a memory that would not be served.
fn check_served(settings: &FacadeSettings, name: &MemoryName) -> Result<(), Fault> {
    if settings.serves(name) {
        return Ok(());
    }
    let what = format!("the setting facade.t5memory.memories does not name '{name}'");
    Err(Refusal::new(StatusCode::FORBIDDEN, &what).into())
}

/// The target language of a memory whose client gives none: English, and Arabic for English sources.
fn usual_target(source: &Lang) -> Result<Lang, Fault> {
    let code = if source.primary() == "en" { "ar" } else { "en" };
    code.parse().map_err(|error| Refusal::from(error).into())
}

/// The description in a form, and its file, which is still to be read.
async fn form(visit: &mut Visit) -> Result<(Fields, Part), Fault> {
    let body = std::mem::take(&mut visit.body);
    let mut form = Form::new(&visit.headers, body)?;
    let mut fields = Fields::default();
    while let Some(mut part) = form.next().await? {
        match part.name() {
            "json_data" => fields = Fields::parse(&part.bytes(DESCRIPTION_BYTES_MAX).await?)?,
            "file" => return Ok((fields, part)),
            _ => {}
        }
    }
    Err(Fault::bad_request("the form has no part `file`, or it comes before `json_data`"))
}

/// Imports a file: a part of a form, `tmxData` in JSON, or the body itself.
pub(super) async fn import_file(
    visit: &mut Visit,
    imports: &Imports,
    memory: &MemoryInfo,
) -> Result<Value, Fault> {
    let (policy, file) = if is_form(&visit.headers) {
        let (fields, file) = form(visit).await?;
        (policy(&fields), (Upload::Part(Box::new(file)), 0))
    } else if visit.is_json() {
        let fields = Fields::of(visit).await?;
        let wrong = |_| Fault::bad_request("the field tmxData is not base64");
        let file = STANDARD.decode(fields.required("tmxData")?.trim()).map_err(wrong)?;
        let bytes = file.len() as u64;
        (policy(&fields), (Upload::Bytes(Some(file.into())), bytes))
    } else {
        let body = std::mem::take(&mut visit.body);
        // A file whose length is announced has broken off when it is shorter.
        let bytes = body.size_hint().exact().unwrap_or_default();
        (DuplicatePolicy::SkipIdentical, (Upload::Body(body), bytes))
    };
    import(&visit.client, imports, (&memory.name, policy), file).await?;
    Ok(json!({"ReturnValue": 0, "ErrorMsg": ""}))
}

pub(super) fn status(imports: &Imports, memory: &MemoryInfo) -> Value {
    let mut fields: Map<String, Value> = imports.status(&memory.name);
    fields.insert("creationTime".to_owned(), basic(memory.created).into());
    fields.insert("segmentCount".to_owned(), memory.unit_count.into());
    fields.into()
}

pub(super) async fn delete(
    visit: &mut Visit,
    imports: &Imports,
    memory: &MemoryInfo,
) -> Result<Value, Fault> {
    visit.client.delete_memory(&memory.name, true).await?;
    imports.forget(&memory.name);
    Ok(json!({memory.name.as_str(): "deleted"}))
}

/// Copies a memory. The copy is finished even if the client disconnects.
pub(super) async fn clone(
    visit: &mut Visit,
    settings: &FacadeSettings,
    memory: MemoryInfo,
) -> Result<Value, Fault> {
    let fields = Fields::of(visit).await?;
    let name = memory_name(fields.required("newName")?)?;
    check_served(settings, &name)?;
    let copying = tokio::spawn(copy(visit.client.clone(), memory, name.clone()));
    let broken = |_| {
        let message = "the copy broke off on the server";
        Fault::from(Refusal::new(StatusCode::INTERNAL_SERVER_ERROR, message))
    };
    copying.await.map_err(broken)??;
    Ok(json!({"ReturnValue": 0, "ErrorMsg": "", "msg": format!("{name} was cloned successfully")}))
}

async fn copy(mut client: Client, memory: MemoryInfo, to: MemoryName) -> Result<(), Fault> {
    let new = NewMemory {
        name: to.clone(),
        display_name: memory.display_name.clone(),
        description: memory.description.clone(),
        source_lang: memory.source_lang.clone(),
        target_lang: memory.target_lang.clone(),
        unfinished_penalty: memory.unfinished_penalty,
        scoring: memory.scoring.clone(),
    };
    client.create_memory(new).await?;
    let copied = copy_units(&client, &memory.name, &to).await;
    if copied.is_err() {
        // Half a copy would be taken for a whole one.
        let _ = client.delete_memory(&to, true).await;
    }
    copied
}

async fn copy_units(client: &Client, from: &MemoryName, to: &MemoryName) -> Result<(), Fault> {
    let (batches, to_send) = mpsc::channel(1);
    let order = ImportOrder {
        memory: to.clone(),
        id: Uuid::new_v4(),
        policy: DuplicatePolicy::KeepAll,
        check: CheckAction::None,
        report_outcomes: false,
    };
    let mut reader = client.clone();
    let reading = async move {
        let mut pages = reader.export(from, ExportQuery::default()).await?;
        let (mut number, mut units, mut bytes) = (1, Vec::new(), 0);
        while let Some(page) = pages.next().await {
            for unit in page? {
                // A full batch is sent only when another unit follows, so that the last batch can be marked as the last.
                if units.len() == BATCH_UNITS_MAX || bytes >= IMPORT_BATCH_BYTES {
                    let units = std::mem::take(&mut units);
                    let batch = NumberedBatch { number, units, last: false };
                    if batches.send(batch).await.is_err() {
                        // The import has ended; its result says why.
                        return Ok(());
                    }
                    (number, bytes) = (number + 1, 0);
                }
                bytes += bytes_of(&unit.content);
                units.push(unit.content);
            }
        }
        if !units.is_empty() {
            let _ = batches.send(NumberedBatch { number, units, last: true }).await;
        }
        Ok::<(), Fault>(())
    };
    let mut writer = client.clone();
    let writing = async move {
        let mut to_send = ReceiverStream::new(to_send);
        let Some(first) = to_send.next().await else { return Ok(()) };
        let batches = tokio_stream::once(first).chain(to_send);
        let mut acks = writer.import(order, batches).await?;
        while let Some(ack) = acks.next().await {
            ack?;
        }
        Ok::<(), Fault>(())
    };
    tokio::try_join!(reading, writing).map(drop)
}

/// The texts and codes of a unit.
fn bytes_of(content: &UnitContent) -> usize {
    let tags = content.source.tags.iter().chain(&content.target.tags);
    let codes: usize = tags.map(|tag| tag.code.len()).sum();
    content.source.text.len() + content.target.text.len() + codes
}
