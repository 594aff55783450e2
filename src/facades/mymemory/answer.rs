//! A match in the form of MyMemory: its clients expect every key.

use serde::Serialize;
use serde_json::{Value, json};

use crate::unit::{MemoryName, Timestamp, Unit};

use super::super::times::calendar;

/// A match.
#[derive(Debug, Serialize)]
pub(super) struct Match {
    id: String,
    segment: String,
    translation: String,
    source: String,
    target: String,
    quality: &'static str,
    reference: Option<String>,
    #[serde(rename = "usage-count")]
    usage_count: u64,
    subject: String,
    #[serde(rename = "created-by")]
    created_by: String,
    #[serde(rename = "last-updated-by")]
    last_updated_by: String,
    #[serde(rename = "create-date")]
    create_date: String,
    #[serde(rename = "last-update-date")]
    last_update_date: String,
    #[serde(rename = "match")]
    score: f64,
    penalty: f64,
    #[serde(rename = "ICE")]
    in_context: bool,
    key: String,
    prop: String,
    tm_properties: Value,
}

/// Where a match was found, and how well it fits.
pub(super) struct Found {
    pub(super) memory: MemoryName,
    pub(super) languages: (String, String),
    pub(super) unit: Unit,
    /// 0 to 1.
    pub(super) score: f64,
    /// 0 to 1: what penalties took off.
    pub(super) penalty: f64,
    pub(super) in_context: bool,
}

/// The attribute with the properties that a client stored with a unit.
pub(super) const PROPERTIES_ATTRIBUTE: &str = "prop";

impl From<Found> for Match {
    fn from(found: Found) -> Self {
        let Found { memory, languages: (source, target), unit, score, penalty, in_context } = found;
        let is_machine_translated = unit.content.is_machine_translated();
        let usage_count = unit.usage.count;
        let content = unit.content;
        let attribute = |name: &str| content.attributes.get(name).cloned().unwrap_or_default();
        let date = |time: Option<Timestamp>| calendar(time.unwrap_or_default());
        let author = content.author.clone();
        let created_by = if is_machine_translated { "MT!".to_owned() } else { author.clone() };
        Self {
            id: format!("{memory}/{}", unit.id),
            source,
            target,
            // MyMemory grades translations by votes; there are none here.
            quality: "100",
            reference: Some(content.document.clone()).filter(|it| !it.is_empty()),
            usage_count,
            subject: attribute("subject"),
            created_by,
            last_updated_by: author,
            create_date: date(content.created),
            last_update_date: date(content.changed),
            score,
            penalty,
            in_context,
            key: memory.to_string(),
            tm_properties: serde_json::from_str(&attribute(PROPERTIES_ATTRIBUTE))
                .unwrap_or(Value::Null),
            prop: attribute(PROPERTIES_ATTRIBUTE),
            segment: content.source.text,
            translation: content.target.text,
        }
    }
}

/// The answer to `get`.
pub(super) fn matches(matches: &[Match]) -> Value {
    let best = matches.first();
    json!({
        "responseData": {
            "translatedText": best.map_or("", |it| it.translation.as_str()),
            "match": best.map_or(0.0, |it| it.score),
        },
        "quotaFinished": false,
        "mtLangSupported": null,
        "responseDetails": "",
        "responseStatus": 200,
        "responderId": null,
        "exception_code": null,
        "matches": matches,
    })
}

/// The answer to a write.
pub(super) fn done(id: &str) -> Value {
    json!({"responseData": "OK", "responseStatus": 200, "responseDetails": [id]})
}
