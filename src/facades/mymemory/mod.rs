//! MyMemory, as MateCat, OmegaT and scripts speak it: `get`, `set`, `update`, `delete`, `delete_by_id`, `tmx/import`.
//!
//! A key names a memory, by the settings or by itself, or is an access token. Every answer is JSON with a `responseStatus`.

mod answer;
mod import;
mod parameters;
mod query;
mod store;

use http::{Method, Response};
use serde_json::{Value, json};
use tonic::body::Body;

use super::answers;
use super::refusal::Refusal;
use super::settings::FacadeTable;
use super::visit::Visit;

/// Answers a request.
pub(super) async fn answer(visit: Visit, table: &FacadeTable) -> Response<Body> {
    match answer_or_refuse(visit, table).await {
        Ok(value) => answers::json(&value),
        Err(refusal) => {
            let mut answer = answers::json(&json!({
                "responseData": {"translatedText": refusal.message, "match": 0},
                "quotaFinished": false,
                "mtLangSupported": null,
                "responseDetails": refusal.message,
                "responseStatus": refusal.status.as_u16(),
                "matches": [],
            }));
            refusal.complete(&mut answer);
            answer
        }
    }
}

async fn answer_or_refuse(mut visit: Visit, table: &FacadeTable) -> Result<Value, Refusal> {
    let is_get = visit.method == Method::GET;
    if !is_get && visit.method != Method::POST {
        return Err(Refusal::wrong_method("GET, POST"));
    }
    let path = visit.path.trim_matches('/').to_owned();
    // Writing by GET is what a web page can make a browser do; with a token, it was meant.
    let reads = matches!(path.as_str(), "get" | "tmx/status" | "v2/import/status");
    if matches!(path.as_str(), "tmx/import" | "v2/tmx/import") && !is_get {
        return import::import(visit, table).await;
    }
    if !is_get {
        visit.read_form().await?;
    } else if !reads && !visit.has_token() {
        return Err(Refusal::wrong_method("POST, or GET with an access token as the key"));
    }
    match path.as_str() {
        "get" => query::get(visit, table).await,
        "tmx/status" | "v2/import/status" => import::status(&visit),
        "set" => store::set(visit, table).await,
        "update" => store::update(visit, table).await,
        "delete" => store::delete(visit, table).await,
        "delete_by_id" => store::delete_by_id(visit, table).await,
        _ => Err(Refusal::not_found(
            "there is nothing here but get, set, update, delete, delete_by_id, tmx/import and v2/import/status",
        )),
    }
}
