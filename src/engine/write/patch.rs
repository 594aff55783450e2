//! Applies partial updates to units, and moves the tags of texts that change.

use std::collections::BTreeMap;

use serde::Serialize;

use crate::unit::{
    Context, DiagnosticCode, InlineTag, OffsetUnit, Segment, TextOffsets, Timestamp, UnitContent,
    marked,
};
use crate::validate::ContentFault;

/// Changes to the fields of a unit; `None` keeps a field.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct UnitPatch {
    /// The text that was translated.
    pub source: Option<SegmentPatch>,
    /// Its translation.
    pub target: Option<SegmentPatch>,
    /// Its neighbours.
    pub context: Option<Context>,
    /// The key under which a file or tool keeps it. Left out of request fingerprints when absent, so that those of earlier versions
    /// still agree.
    #[serde(skip_serializing_if = "Option::is_none", serialize_with = "marked::<_, _, 1>")]
    pub context_id: Option<String>,
    /// The document it came from.
    pub document: Option<String>,
    /// Who wrote or last changed the translation.
    pub author: Option<String>,
    /// When it was first translated.
    pub created: Option<Timestamp>,
    /// When it was last changed; `None` for the time of the commit.
    pub changed: Option<Timestamp>,
    /// All attributes.
    pub attributes: Option<BTreeMap<String, String>>,
    /// Single attributes; `None` removes one.
    pub attribute: BTreeMap<String, Option<String>>,
}

/// A change of a segment.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub enum SegmentPatch {
    /// Text and tags.
    Whole(Segment),
    /// The text; tags keep their places in the parts of the old text that remain.
    Text(String),
    /// The tags, each with its offset in the stored text.
    Tags(OffsetUnit, Vec<(u32, InlineTag)>),
}

impl From<Segment> for SegmentPatch {
    fn from(segment: Segment) -> Self {
        Self::Whole(segment)
    }
}

impl UnitPatch {
    /// The content after the change.
    ///
    /// # Errors
    /// A tag has no place in the text, or an ambiguous one.
    pub(crate) fn apply(self, mut content: UnitContent) -> Result<UnitContent, ContentFault> {
        fn set<T>(place: &mut T, value: Option<T>) {
            if let Some(value) = value {
                *place = value;
            }
        }
        if let Some(source) = self.source {
            content.source = source.apply("source", content.source)?;
        }
        if let Some(target) = self.target {
            content.target = target.apply("target", content.target)?;
        }
        set(&mut content.context, self.context);
        set(&mut content.document, self.document);
        set(&mut content.author, self.author);
        set(&mut content.attributes, self.attributes);
        for (key, value) in self.attribute {
            match value {
                Some(value) => content.attributes.insert(key, value),
                None => content.attributes.remove(&key),
            };
        }
        // An id that an attribute holds already is not stored twice.
        if let Some(id) = self.context_id {
            content.context_id.clear();
            if content.context_key() != Some(&id) {
                content.context_id = id;
            }
        }
        content.created = self.created.or(content.created);
        content.changed = self.changed;
        Ok(content)
    }
}

impl SegmentPatch {
    fn apply(self, field: &str, old: Segment) -> Result<Segment, ContentFault> {
        match self {
            Self::Whole(segment) => Ok(segment),
            Self::Text(text) => with_text(field, old, text),
            Self::Tags(unit, tags) => with_tags(field, old.text, unit, tags),
        }
    }
}

/// Replaces the text of a segment. A tag keeps its place if the text before it is unchanged, or the text after it; if neither is,
/// or both are and give different places, its place is unknown.
fn with_text(field: &str, old: Segment, text: String) -> Result<Segment, ContentFault> {
    let (prefix, suffix) = (common_prefix(&old.text, &text), common_suffix(&old.text, &text));
    let old_bytes = old.text.len();
    let mut tags = old.tags;
    let mut last = 0;
    for (index, tag) in tags.iter_mut().enumerate() {
        let before = tag.offset_bytes as usize;
        let after = old_bytes.saturating_sub(before);
        let place = match (before <= prefix, after <= suffix) {
            (true, false) => Some(before),
            (false, true) => Some(text.len() - after),
            (true, true) if text.len() == old_bytes => Some(before),
            (true, true) | (false, false) => None,
        };
        let place = place.filter(|place| *place >= last).and_then(|it| u32::try_from(it).ok());
        let Some(place) = place else {
            let message = format!(
                "tag {} ({}) is in the part of the text that changes; name `{field}` in the update mask, and send text and tags together",
                index + 1,
                if tag.label.is_empty() { "without a label" } else { &tag.label }
            );
            return Err(fault(format!("{field}.text"), message));
        };
        tag.offset_bytes = place;
        last = place as usize;
    }
    Ok(Segment { text, tags })
}

fn with_tags(
    field: &str,
    text: String,
    unit: OffsetUnit,
    tags: Vec<(u32, InlineTag)>,
) -> Result<Segment, ContentFault> {
    let offsets = TextOffsets::new(&text, unit);
    let place = |(index, (offset, tag)): (usize, (u32, InlineTag))| {
        let byte = offsets.byte(offset as usize).and_then(|it| u32::try_from(it).ok());
        let offset_bytes = byte.ok_or_else(|| {
            let (count, unit) = (offsets.at(text.len()), unit.plural());
            let message = format!("there is no place {offset} in a text of {count} {unit}");
            fault(format!("{field}.tags[{index}].offset"), message)
        })?;
        Ok(InlineTag { offset_bytes, ..tag })
    };
    let tags = tags.into_iter().enumerate().map(place).collect::<Result<_, ContentFault>>()?;
    Ok(Segment { text, tags })
}

fn fault(field: String, message: String) -> ContentFault {
    ContentFault { cause: DiagnosticCode::BadField, field, message }
}

/// Length of the common prefix of two texts in bytes, in whole characters.
fn common_prefix(a: &str, b: &str) -> usize {
    let same = a.chars().zip(b.chars()).take_while(|(a, b)| a == b);
    same.map(|(character, _)| character.len_utf8()).sum()
}

/// Length of the common suffix of two texts in bytes, in whole characters.
fn common_suffix(a: &str, b: &str) -> usize {
    let same = a.chars().rev().zip(b.chars().rev()).take_while(|(a, b)| a == b);
    same.map(|(character, _)| character.len_utf8()).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_context_id_that_an_attribute_holds_is_not_stored_twice() {
        let attributes: BTreeMap<_, _> = [("msgctxt".to_owned(), "menu".to_owned())].into();
        let of_po = UnitContent { attributes: attributes.clone(), ..UnitContent::default() };
        let patched = |content: &UnitContent, id: &str, attributes: Option<_>| {
            let context_id = Some(id.to_owned());
            let patch = UnitPatch { context_id, attributes, ..UnitPatch::default() };
            patch.apply(content.clone()).unwrap()
        };
        assert_eq!(patched(&of_po, "menu", None), of_po);
        let other = patched(&of_po, "dialog", None);
        assert_eq!((other.context_id.as_str(), other.context_key()), ("dialog", Some("dialog")));
        assert_eq!(patched(&other, "menu", None), of_po);
        assert_eq!(patched(&other, "", None), of_po, "what remains is the attribute");
        let moved = patched(&of_po, "menu", Some(BTreeMap::new()));
        assert_eq!(moved.context_key(), Some("menu"));
        assert_eq!(patched(&moved, "menu", Some(attributes)), of_po);
    }
}
