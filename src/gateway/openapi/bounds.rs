//! What is known of the values of fields beyond their types: lengths, ranges, shapes.

use prost_reflect::{DynamicMessage, ExtensionDescriptor, FieldDescriptor, Value as Field};
use serde_json::{Map, Value, json};

use crate::limits::{
    ANALYSIS_BANDS_MAX, BATCH_UNITS_MAX, DOCUMENT_BYTES_MAX, DOCUMENT_SENTENCES_MAX,
    FIELD_BYTES_MAX, FILTER_ATTRIBUTES_MAX, FILTER_NAMES_MAX, LANG_BYTES_MAX, LOOKUP_MATCHES_MAX,
    LOOKUP_MEMORIES_MAX, LOOKUP_SEGMENTS_MAX, MEMORY_NAME_BYTES_MAX, PAGE_SIZE_MAX,
    PENALTY_RULES_MAX, SEGMENT_BYTES_MAX, SEGMENT_TAGS_MAX, SENTENCE_RULES_BYTES_MAX, SUSPECTS_MAX,
    WORD_PAIRS_MAX,
};

/// The shape of the id of a resource in a path, by its name there.
pub(super) fn id(name: &str) -> Value {
    match name {
        "memory" => json!({"type": "string", "pattern": format!("^{}$", memory_id())}),
        "unit" => json!({"type": "string", "pattern": "^[1-9][0-9]{0,17}$"}),
        _ => json!({"type": "string", "minLength": 1}),
    }
}

fn memory_id() -> String {
    format!("[A-Za-z0-9][A-Za-z0-9._-]{{0,{}}}", MEMORY_NAME_BYTES_MAX - 1)
}

/// The bounds of one value of a field, or of each of its values.
pub(super) fn of_value(field: &FieldDescriptor, reference: &ExtensionDescriptor) -> Value {
    match named(field, reference).as_deref() {
        Some("dhakira/Memory") => json!({"pattern": format!("^memories/{}$", memory_id())}),
        Some("dhakira/Unit") => {
            json!({"pattern": format!("^memories/{}/units/[1-9][0-9]{{0,17}}$", memory_id())})
        }
        Some("dhakira/Operation") => json!({"pattern": "^operations/[^/]+$"}),
        _ => by_name(field),
    }
}

/// The resource that a field names.
fn named(field: &FieldDescriptor, reference: &ExtensionDescriptor) -> Option<String> {
    let options = field.options();
    if !options.has_extension(reference) {
        return None;
    }
    let value = options.get_extension(reference);
    let message: &DynamicMessage = value.as_message()?;
    message.get_field_by_name("type").as_deref().and_then(Field::as_str).map(str::to_owned)
}

fn by_name(field: &FieldDescriptor) -> Value {
    let message = field.parent_message();
    let share = || json!({"minimum": 0, "maximum": 1});
    let points = || json!({"minimum": 0, "maximum": 100});
    let at_most = |most: usize| json!({"minimum": 0, "maximum": most});
    let longest = |most: usize| json!({"maxLength": most});
    match (message.name(), field.name()) {
        ("Segment", "text") => json!({"minLength": 1, "maxLength": SEGMENT_BYTES_MAX}),
        ("CreateMemoryRequest", "memory_id") => json!({"pattern": format!("^{}$", memory_id())}),
        ("Memory", "display_name" | "description") | ("Unit", "document" | "author") => {
            longest(FIELD_BYTES_MAX)
        }
        ("LookupSettings", "min_score_percent")
        | ("MemoryChoice", "penalty_points")
        | ("Memory", "unfinished_penalty_points" | "default_penalty_points")
        | ("Penalty", "points") => points(),
        ("LookupSettings", "max_matches") => at_most(LOOKUP_MATCHES_MAX),
        ("CheckUnitsRequest", "min_suspicion")
        | ("StoreOptions", "min_confidence")
        | ("Penalty", "confidence_below") => share(),
        ("CheckUnitsRequest", "max_units") => at_most(SUSPECTS_MAX),
        ("SplitSentencesRequest", "text") => longest(DOCUMENT_BYTES_MAX),
        ("SplitSentencesRequest", "extra_rules") => longest(SENTENCE_RULES_BYTES_MAX),
        ("ImportFileHeader", "size_bytes") => json!({"minimum": 0}),
        (_, "page_size") => at_most(PAGE_SIZE_MAX),
        (_, "request_id" | "import_id") => json!({"format": "uuid"}),
        (_, name) if name.ends_with("language_code") => json!({
            "pattern": "^([A-Za-z]{2,8}(-[A-Za-z0-9]{1,8})*)?$", "maxLength": LANG_BYTES_MAX
        }),
        _ => json!({}),
    }
}

/// The bounds of a repeated field.
pub(super) fn of_list(field: &FieldDescriptor) -> Map<String, Value> {
    let (least, most) = match (field.parent_message().name(), field.name()) {
        ("BatchCreateUnitsRequest", "units")
        | ("BatchGetUnitsRequest" | "BatchDeleteUnitsRequest", "names")
        | ("BatchUpdateUnitsRequest", "requests")
        | ("RecordUnitUsesRequest", "uses") => (1, Some(BATCH_UNITS_MAX)),
        ("LookupSegmentsRequest", "segments") => (0, Some(LOOKUP_SEGMENTS_MAX)),
        ("LookupSettings" | "SearchConcordanceRequest", "memories") => {
            (1, Some(LOOKUP_MEMORIES_MAX))
        }
        ("LookupSettings" | "Memory", "penalties") => (0, Some(PENALTY_RULES_MAX)),
        ("AnalysisSettings", "min_rates") => (0, Some(ANALYSIS_BANDS_MAX)),
        ("UnitFilter", "attributes") => (0, Some(FILTER_ATTRIBUTES_MAX)),
        ("StringCondition" | "AttributeCondition", _) => (0, Some(FILTER_NAMES_MAX)),
        ("Segment", "tags") => (0, Some(SEGMENT_TAGS_MAX)),
        ("DocumentSide", "sentences") => (0, Some(DOCUMENT_SENTENCES_MAX)),
        ("AlignWordsRequest", "pairs") => (0, Some(WORD_PAIRS_MAX)),
        _ => (0, None),
    };
    let mut bounds = Map::new();
    if least > 0 {
        bounds.insert("minItems".into(), least.into());
    }
    if let Some(most) = most {
        bounds.insert("maxItems".into(), most.into());
    }
    bounds
}
