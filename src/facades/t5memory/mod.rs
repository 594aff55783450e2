//! t5memory, as translate5 speaks it: memories, fuzzy search, concordance, entries, imports and downloads.
//!
//! Answers and errors are JSON with a `ReturnValue`. Where t5memory works on files of its own (flush, reorganize), there is nothing to
//! do here.

mod address;
mod condition;
mod download;
mod entry;
mod fault;
mod fields;
mod fuzzy;
mod imports;
mod memory;
mod position;
mod search;
mod tags;

use http::header::ACCEPT;
use http::{HeaderValue, Method, Response};
use serde_json::{Value, json};
use tonic::body::Body;

use crate::client::MemoryInfo;
use crate::unit::MemoryName;

use super::answers;
use super::refusal::Refusal;
use super::settings::FacadeSettings;
use super::visit::Visit;

use address::Address;
use fault::Fault;

pub(super) use imports::Imports;

/// The version of t5memory whose calls are answered; translate5 chooses its own calls by it.
const VERSION: &str = "0.7.0";

/// Answers a request to `/t5memory`.
pub(super) async fn answer(
    mut visit: Visit,
    settings: &FacadeSettings,
    imports: &Imports,
) -> Response<Body> {
    let answer = match Address::parse(&visit.path) {
        Ok(Address::Memories) => of_memories(&mut visit, settings, imports).await,
        Ok(Address::Memory(name, call)) => {
            of_memory(&mut visit, settings, imports, (&name, &call)).await
        }
        Err(fault) => Err(fault),
    };
    answer.unwrap_or_else(Fault::answer)
}

/// Answers a request to `/t5memory_service`.
pub(super) async fn answer_of_service(mut visit: Visit) -> Response<Body> {
    let value = match visit.path.trim_matches('/') {
        "resources" => {
            json!({"Version": VERSION, "Server": concat!("Dhakira ", env!("CARGO_PKG_VERSION"))})
        }
        // Everything is saved when it is acknowledged.
        "savetms" => json!({"ReturnValue": 0, "ErrorMsg": "", "saved tms": ""}),
        _ => return Fault::not_found("there is nothing here but resources and savetms").answer(),
    };
    // These calls require a token like all others, where the server requires one.
    match visit.client.check_access().await {
        Ok(()) => answers::json(&value),
        Err(error) => Fault::from(error).answer(),
    }
}

async fn of_memories(
    visit: &mut Visit,
    settings: &FacadeSettings,
    imports: &Imports,
) -> Result<Response<Body>, Fault> {
    let value = match visit.method {
        Method::GET => memory::list(visit, settings).await?,
        Method::POST => {
            check_writes(settings)?;
            memory::create(visit, settings, imports).await?
        }
        _ => return Err(Refusal::wrong_method("GET, POST").into()),
    };
    Ok(answers::json(&value))
}

/// The calls of a memory, how they are made, and whether they write.
const CALLS: [(&str, Method, bool); 15] = [
    ("status", Method::GET, false),
    ("fuzzysearch", Method::POST, false),
    ("search", Method::POST, false),
    ("concordancesearch", Method::POST, false),
    ("entry", Method::POST, true),
    ("getentry", Method::POST, false),
    ("entrydelete", Method::POST, true),
    ("import", Method::POST, true),
    ("importtmx", Method::POST, true),
    ("clone", Method::POST, true),
    ("download.tmx", Method::GET, false),
    ("download.tm", Method::GET, false),
    ("flush", Method::GET, false),
    ("reorganize", Method::GET, false),
    ("save", Method::GET, false),
];

async fn of_memory(
    visit: &mut Visit,
    settings: &FacadeSettings,
    imports: &Imports,
    (name, call): (&MemoryName, &str),
) -> Result<Response<Body>, Fault> {
    let writes = match CALLS.iter().find(|(known, ..)| *known == call) {
        _ if call.is_empty() => match visit.method {
            Method::GET => false,
            Method::DELETE => true,
            _ => return Err(Refusal::wrong_method("GET, DELETE").into()),
        },
        Some((_, method, writes)) if *method == visit.method => *writes,
        Some((_, method, _)) => return Err(Refusal::wrong_method(method.as_str()).into()),
        None => {
            let calls: Vec<&str> = CALLS.iter().map(|(name, ..)| *name).collect();
            let what = format!("a memory has no call here but {}", calls.join(", "));
            return Err(Fault::not_found(&what));
        }
    };
    if writes {
        check_writes(settings)?;
    }
    let memory = memory::find(visit, settings, name).await;
    let memory = memory.map_err(|fault| match call {
        "status" => fault.with("status", "not found"),
        _ => fault,
    })?;
    if matches!(call, "download.tmx") || (call.is_empty() && wants_xml(visit)) {
        return download::tmx(visit, &memory).await;
    }
    let value = call_memory(visit, settings, imports, (memory, call)).await?;
    Ok(answers::json(&value))
}

async fn call_memory(
    visit: &mut Visit,
    settings: &FacadeSettings,
    imports: &Imports,
    (memory, call): (MemoryInfo, &str),
) -> Result<Value, Fault> {
    match call {
        "" if visit.method == Method::DELETE => memory::delete(visit, imports, &memory).await,
        "status" => Ok(memory::status(imports, &memory)),
        "fuzzysearch" => fuzzy::search(visit, settings, memory).await,
        "search" | "concordancesearch" => search::search(visit, &memory).await,
        "entry" => entry::save(visit, &memory).await,
        "getentry" => entry::get(visit, &memory).await,
        "entrydelete" => entry::delete(visit, &memory).await,
        "import" | "importtmx" => memory::import_file(visit, imports, &memory).await,
        "clone" => memory::clone(visit, settings, memory).await,
        "flush" | "reorganize" | "save" => Ok(json!({"ReturnValue": 0, "ErrorMsg": ""})),
        _ => Err(Fault::bad_request(
            "memories in the own format of t5memory are not written: download.tmx is the same as TMX",
        )),
    }
}

fn check_writes(settings: &FacadeSettings) -> Result<(), Fault> {
    if settings.writes { Ok(()) } else { Err(Refusal::read_only("t5memory").into()) }
}

/// Whether a client asks for a memory as TMX.
fn wants_xml(visit: &Visit) -> bool {
    let accept = visit.headers.get(ACCEPT).map(HeaderValue::as_bytes).unwrap_or_default();
    visit.method == Method::GET && String::from_utf8_lossy(accept).contains("xml")
}
