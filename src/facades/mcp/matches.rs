//! Shows matches of lookups: as data, and as text for a model.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::ops::Range;

use schemars::JsonSchema;
use serde::Serialize;

use crate::engine::FoundMatch;
use crate::limits::{MCP_ATTRIBUTE_BYTES_MAX, MCP_ATTRIBUTES_MAX};
use crate::matching::{ContextPart, EditKind, Reason};
use crate::unit::{MemoryName, Timestamp, UnitContent, UnitId};

/// A stored translation whose source resembles the segment.
#[derive(Debug, Serialize, JsonSchema)]
#[expect(clippy::struct_field_names, reason = "the name of the API")]
pub(super) struct Match {
    /// 0 to 100; 100 is the same text.
    score: f64,
    /// `double-context`, `context` or `exact` (the same text, in the same context or not), or `fuzzy`.
    kind: &'static str,
    /// As translation tools show it: 102, 101 or 100 for these kinds, else the score.
    match_rate: u16,
    /// The stored unit: `memories/NAME/units/NUMBER`.
    unit: String,
    source: String,
    target: String,
    /// Inline tags of source and target, which are not shown.
    #[serde(skip_serializing_if = "is_zero")]
    inline_tags: usize,
    /// The parts of the context that agree.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    agreed_contexts: Vec<&'static str>,
    /// Why the score is below 100.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    deductions: Vec<Deduction>,
    /// Where the segment differs from the stored source.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    edits: Vec<Edit>,
    /// The target with the numbers, dates and placeholders of the segment.
    #[serde(skip_serializing_if = "String::is_empty")]
    adapted_target: String,
    /// Words of the target that translate stored words which the segment does not have.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    target_words_to_change: Vec<String>,
    #[serde(flatten)]
    provenance: Provenance,
}

/// Where a unit comes from.
#[derive(Debug, Serialize, JsonSchema)]
pub(super) struct Provenance {
    #[serde(skip_serializing_if = "String::is_empty")]
    document: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    author: String,
    /// RFC 3339.
    #[serde(skip_serializing_if = "Option::is_none")]
    changed: Option<String>,
    /// Other properties; long ones are left out.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    attributes: BTreeMap<String, String>,
}

#[derive(Debug, Serialize, JsonSchema)]
struct Deduction {
    points: f64,
    reason: &'static str,
    /// The reason in words.
    meaning: &'static str,
}

#[derive(Debug, Serialize, JsonSchema)]
struct Edit {
    /// `replaced`, `inserted` (only in the segment), `deleted` (only in the stored source), or `changed` (the same words, written
    /// differently).
    kind: &'static str,
    /// In the stored source.
    stored: String,
    /// In the segment.
    segment: String,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "as serde calls it")]
fn is_zero(number: &usize) -> bool {
    *number == 0
}

/// The name of a unit, `memories/news/units/42`.
pub(super) fn unit_name(memory: &MemoryName, id: UnitId) -> String {
    format!("{}/units/{id}", memory.resource())
}

/// The part of a text; empty when the range does not fit it.
fn part(text: &str, range: &Range<usize>) -> String {
    text.get(range.clone()).unwrap_or_default().to_owned()
}

impl Match {
    /// A match found for the text of a segment.
    pub(super) fn new(segment: &str, found: &FoundMatch) -> Self {
        let content = &found.unit.content;
        let deductions = found.deductions.iter().map(|(reason, hundredths)| Deduction {
            points: f64::from(hundredths) / 100.0,
            reason: reason.name(),
            meaning: meaning(reason),
        });
        let edits = found.edits.iter().map(|edit| Edit {
            kind: edit.kind.name(),
            stored: part(&content.source.text, &edit.source),
            segment: part(segment, &edit.query),
        });
        let to_change = found.spans_to_edit.iter().map(|span| part(&content.target.text, span));
        Self {
            score: found.score.points(),
            kind: found.kind.name(),
            match_rate: found.match_rate(),
            unit: unit_name(&found.memory, found.unit.id),
            source: content.source.text.clone(),
            target: content.target.text.clone(),
            inline_tags: content.source.tags.len() + content.target.tags.len(),
            agreed_contexts: found.agreed_contexts.iter().map(ContextPart::name).collect(),
            deductions: deductions.collect(),
            edits: edits.collect(),
            adapted_target: found.adapted.as_ref().map_or_else(String::new, |it| it.text.clone()),
            target_words_to_change: to_change.collect(),
            provenance: Provenance::of(content),
        }
    }

    /// The name of its unit.
    pub(super) fn unit(&self) -> &str {
        &self.unit
    }

    /// The match as a numbered paragraph.
    pub(super) fn text(&self, number: usize) -> String {
        let mut text = format!(
            "{number}. {} {} ({})\n   source: {}\n   target: {}\n",
            self.score, self.kind, self.unit, self.source, self.target
        );
        let mut line = |name: &str, value: String| {
            if !value.is_empty() {
                // Writing to a string does not fail.
                let _ = writeln!(text, "   {name}: {value}");
            }
        };
        line("adapted target", self.adapted_target.clone());
        line("differs", joined(self.edits.iter().map(Edit::text)));
        let deductions =
            self.deductions.iter().map(|it| format!("{} for {}", -it.points, it.meaning));
        line("deductions", joined(deductions));
        let to_change = self.target_words_to_change.iter().map(|it| format!("\"{it}\""));
        line("change in target", joined(to_change));
        line("same context", self.agreed_contexts.join(", "));
        if self.inline_tags > 0 {
            line("inline tags", format!("{} in the stored texts, not shown", self.inline_tags));
        }
        line("from", self.provenance.text());
        text
    }
}

fn joined(parts: impl Iterator<Item = String>) -> String {
    parts.collect::<Vec<_>>().join("; ")
}

impl Edit {
    fn text(&self) -> String {
        let Self { kind, stored, segment } = self;
        if *kind == EditKind::Inserted.name() {
            format!("only the segment has \"{segment}\"")
        } else if *kind == EditKind::Deleted.name() {
            format!("only the stored source has \"{stored}\"")
        } else if *kind == EditKind::Changed.name() {
            format!("stored \"{stored}\" is written \"{segment}\" in the segment")
        } else {
            format!("stored \"{stored}\" is \"{segment}\" in the segment")
        }
    }
}

impl Provenance {
    pub(super) fn of(content: &UnitContent) -> Self {
        let short = content.attributes.iter().filter(|(key, value)| {
            key.len() <= MCP_ATTRIBUTE_BYTES_MAX && value.len() <= MCP_ATTRIBUTE_BYTES_MAX
        });
        let attributes = short.take(MCP_ATTRIBUTES_MAX);
        Self {
            document: shortened(&content.document),
            author: shortened(&content.author),
            changed: content.changed.and_then(rfc3339),
            attributes: attributes.map(|(key, value)| (key.clone(), value.clone())).collect(),
        }
    }

    pub(super) fn text(&self) -> String {
        let named = [("document", &self.document), ("author", &self.author)];
        let named = named.into_iter().filter(|(_, value)| !value.is_empty());
        let mut parts: Vec<String> = named.map(|(name, value)| format!("{name} {value}")).collect();
        parts.extend(self.changed.as_ref().map(|time| format!("changed {time}")));
        parts.extend(self.attributes.iter().map(|(key, value)| format!("{key}={value}")));
        parts.join(", ")
    }
}

/// A name that may be very long.
fn shortened(name: &str) -> String {
    match name.char_indices().nth(MCP_ATTRIBUTE_BYTES_MAX) {
        Some((end, _)) => format!("{}…", &name[..end]),
        None => name.to_owned(),
    }
}

fn rfc3339(time: Timestamp) -> Option<String> {
    jiff::Timestamp::from_microsecond(time.micros).ok().map(|time| time.to_string())
}

/// A reason in words.
fn meaning(reason: Reason) -> &'static str {
    match reason {
        Reason::Edited => "words that are replaced, missing or added",
        Reason::Marks => "different vowel marks",
        Reason::Tatweel => "different lengthening strokes",
        Reason::Letters => "variants of a letter",
        Reason::Case => "upper and lower case",
        Reason::Digits => "numbers written differently",
        Reason::Punctuation => "punctuation",
        Reason::Spacing => "white space",
        Reason::Other => "another difference in writing",
        Reason::Markup => "different markup characters",
        Reason::Tags => "different inline tags",
        Reason::State => "a translation that is not finished",
        Reason::Author => "who wrote the translation",
        Reason::Attribute => "an attribute of the unit",
        Reason::Age => "the age of the translation",
        Reason::Confidence => "the confidence with which the unit was aligned",
        Reason::MachineTranslation => "machine translation",
        Reason::Penalty => "the penalty of its memory",
    }
}
