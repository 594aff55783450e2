//! tmserver and amaGama, as Weblate and Virtaal speak it: suggestions for a text, and pairs to store.

mod address;
mod store;

use std::collections::BTreeSet;

use http::{Method, Response};
use serde::Serialize;
use tonic::body::Body;

use crate::client::MemoryInfo;
use crate::engine::{FoundMatch, QuerySegment};
use crate::unit::{Lang, Score, Segment};

use super::answers;
use super::memories::{lookup, of_pair, served};
use super::refusal::Refusal;
use super::settings::FacadeSettings;
use super::visit::Visit;

use address::{Address, Place};

/// Most suggestions, as amaGama has it, and how many it gives unasked.
const CANDIDATES_MAX: usize = 30;
const CANDIDATES_DEFAULT: usize = 5;
/// Longest name of a JavaScript function.
const CALLBACK_BYTES_MAX: usize = 100;

/// A suggestion.
#[derive(Debug, Serialize)]
struct Suggestion {
    source: String,
    target: String,
    context: String,
    /// 0 to 100.
    quality: f64,
    rank: f64,
}

impl From<FoundMatch> for Suggestion {
    fn from(found: FoundMatch) -> Self {
        let quality = found.score.points();
        let content = found.unit.content;
        Self {
            context: content.context_key().unwrap_or_default().to_owned(),
            source: content.source.text,
            target: content.target.text,
            quality,
            rank: quality,
        }
    }
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Languages {
    source_languages: Vec<String>,
    target_languages: Vec<String>,
}

/// Answers a request.
pub(super) async fn answer(visit: Visit, settings: &FacadeSettings) -> Response<Body> {
    answer_or_refuse(visit, settings).await.unwrap_or_else(|refusal| answers::plain(&refusal))
}

async fn answer_or_refuse(
    mut visit: Visit,
    settings: &FacadeSettings,
) -> Result<Response<Body>, Refusal> {
    let Address { memory, place } = Address::parse(&visit.path)?;
    let memories = served(&mut visit.client, settings, memory.as_ref()).await?;
    let reads = matches!(visit.method, Method::GET);
    let writes = matches!(visit.method, Method::PUT | Method::POST);
    match place {
        Place::Languages if reads => suggestions_text(&visit, &languages(&memories)),
        Place::Languages => Err(Refusal::wrong_method("GET")),
        Place::Unit(pair, text) if reads => {
            let memories = of_pair(memories, (&pair.source, &pair.target));
            suggest(visit, settings, &memories, text).await
        }
        Place::Unit(pair, text) if writes => {
            let memories = of_pair(memories, (&pair.source, &pair.target));
            store::unit(visit, settings, &memories, text).await
        }
        Place::Unit(..) => Err(Refusal::wrong_method("GET, PUT, POST")),
        Place::Store(pair, file) if writes => {
            let memories = of_pair(memories, (&pair.source, &pair.target));
            store::file(visit, settings, &memories, &file).await
        }
        Place::Store(..) => Err(Refusal::wrong_method("PUT, POST")),
    }
}

/// The codes that find memories, as Weblate compares them, in lower case: `ar_sa`, and `ar`, which finds that memory too.
fn languages(memories: &[MemoryInfo]) -> Languages {
    let codes = |lang: fn(&MemoryInfo) -> &Lang| {
        let codes = memories.iter().map(lang).flat_map(|lang| [lang.as_str(), lang.primary()]);
        let codes: BTreeSet<String> =
            codes.map(|code| code.replace('-', "_").to_ascii_lowercase()).collect();
        codes.into_iter().collect()
    };
    Languages {
        source_languages: codes(|it| &it.source_lang),
        target_languages: codes(|it| &it.target_lang),
    }
}

async fn suggest(
    mut visit: Visit,
    settings: &FacadeSettings,
    memories: &[MemoryInfo],
    text: Option<String>,
) -> Result<Response<Body>, Refusal> {
    let text = text.or_else(|| visit.parameter("source").map(str::to_owned));
    let text = text.ok_or_else(|| Refusal::not_found("there is no text: unit/TEXT or ?source="))?;
    let asked = visit.number("min_similarity").unwrap_or_default().min(100);
    let asked = Score::from_hundredths(asked * 100).unwrap_or_default();
    let max = visit.number("max_candidates").map_or(CANDIDATES_DEFAULT, |it| it as usize);
    let max = max.clamp(1, CANDIDATES_MAX);
    let segment = QuerySegment::new(Segment::plain(text));
    let found = lookup(&mut visit.client, settings, memories, &segment, |lookup| {
        lookup.min_score = lookup.min_score.max(asked);
        lookup.max_matches = max;
    });
    let found = match found.await {
        // Text that cannot be stored has no translation; these clients would take an error for a broken server.
        Err(refusal) if refusal.is_invalid_argument() => Vec::new(),
        found => found?,
    };
    let suggestions: Vec<Suggestion> = found.into_iter().map(Into::into).collect();
    suggestions_text(&visit, &suggestions)
}

/// An answer in JSON, or in JavaScript when the client names a function.
fn suggestions_text(visit: &Visit, value: &impl Serialize) -> Result<Response<Body>, Refusal> {
    let callback = visit.parameter("jsoncallback").or_else(|| visit.parameter("callback"));
    let Some(callback) = callback.filter(|name| !name.is_empty()) else {
        return Ok(answers::json(value));
    };
    let is_name = callback.len() <= CALLBACK_BYTES_MAX
        && !callback.starts_with(|first: char| first.is_ascii_digit() || first == '.')
        && callback
            .bytes()
            .all(|it| it.is_ascii_alphanumeric() || matches!(it, b'_' | b'$' | b'.'));
    if !is_name {
        return Err(Refusal::bad_request("the callback is not the name of a function"));
    }
    let json = serde_json::to_string(value).unwrap_or_default();
    // Strings of JSON may contain these two; those of JavaScript before ES2019 may not.
    let json = json.replace('\u{2028}', "\\u2028").replace('\u{2029}', "\\u2029");
    Ok(answers::of_type("application/javascript; charset=utf-8", format!("{callback}({json})")))
}
