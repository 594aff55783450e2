//! `tmx/import` and its status: a file that is uploaded in a form, and imported before the upload is answered.

use http_body_util::Full;
use serde_json::{Value, json};
use tonic::body::Body;
use uuid::Uuid;

use crate::engine::DuplicatePolicy;
use crate::limits::{FIELD_BYTES_MAX, MESSAGE_BYTES_MAX};

use super::super::form::Form;
use super::super::memories::{for_writing, served};
use super::super::refusal::Refusal;
use super::super::settings::FacadeTable;
use super::super::visit::Visit;
use super::parameters::{keys, required};

/// The field with the file.
const FILE: &str = "tmx";

/// Imports the file of a form whose fields, such as the key, may come behind it.
pub(super) async fn import(mut visit: Visit, table: &FacadeTable) -> Result<Value, Refusal> {
    if !table.mymemory.writes {
        return Err(Refusal::read_only("mymemory"));
    }
    let received = visit.receive().await?;
    let body = Body::new(Full::new(received.bytes.clone()));
    let mut form = Form::new(&visit.headers, body)?;
    let (mut file, mut fields) = (None, Vec::new());
    while let Some(mut part) = form.next().await? {
        if part.name() == FILE {
            file = Some(part.bytes(MESSAGE_BYTES_MAX).await?);
        } else {
            let name = part.name().to_owned();
            let value = String::from_utf8_lossy(&part.bytes(FIELD_BYTES_MAX).await?).into_owned();
            fields.push((name, value));
        }
    }
    visit.add_fields(fields);
    let file = file.ok_or_else(|| Refusal::bad_request("the form holds no file 'tmx'"))?;
    let wanted = keys(&visit, table)?;
    let memories = served(&mut visit.client, &table.mymemory, wanted.first()).await?;
    let memory = for_writing(&table.mymemory, &memories)?.name.clone();
    let (id, bytes) = (Uuid::new_v4(), file.len() as u64);
    let policy = DuplicatePolicy::default();
    let pieces = tokio_stream::once(file);
    let counts = visit.client.import_pieces(&memory, policy, (id, bytes), pieces).await?;
    // What became of the import is part of its id: no state is kept for it.
    let id = format!("{id}.{}.{}", counts.read, counts.rejected);
    Ok(json!({
        "responseStatus": 202,
        "responseDetails": "",
        "responseData": {"uuid": id, "UUID": id},
    }))
}

/// The status of an import, which is done when it has an id.
pub(super) fn status(visit: &Visit) -> Result<Value, Refusal> {
    let id = required(visit, "uuid")?;
    let unknown = || Refusal::not_found("there is no import of this uuid");
    let mut parts = id.split('.');
    let uuid = parts.next().and_then(|it| it.parse::<Uuid>().ok());
    let mut count = || parts.next().and_then(|it| it.parse::<u64>().ok());
    let (Some(_), Some(read), Some(rejected)) = (uuid, count(), count()) else {
        return Err(unknown());
    };
    Ok(json!({
        "responseStatus": 200,
        "responseDetails": "",
        "responseData": {"uuid": id, "status": 1, "totals": read, "completed": read, "skipped": rejected},
    }))
}
