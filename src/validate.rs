//! Validates the content of a unit by the same rules for files and for clients.
//!
//! Knows nothing of where the content came from.

mod language;

use crate::limits::{
    ATTRIBUTE_KEY_BYTES_MAX, FIELD_BYTES_MAX, SEGMENT_BYTES_MAX, SEGMENT_TAGS_MAX,
    TAG_CODE_BYTES_MAX, UNIT_ATTRIBUTES_MAX, UNIT_BYTES_MAX,
};
use crate::unit::{DiagnosticCode, Segment, UnitContent};

pub use language::{named_language, parse_language, validate_language};

/// A violated rule.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{field}: {message}")]
pub struct ContentFault {
    /// The kind of fault.
    pub cause: DiagnosticCode,
    /// The field, such as `target.text`.
    pub field: String,
    /// What is wrong, for the user.
    pub message: String,
}

impl ContentFault {
    fn new(cause: DiagnosticCode, field: impl Into<String>, message: impl Into<String>) -> Self {
        Self { cause, field: field.into(), message: message.into() }
    }

    fn inside(mut self, outer: &str) -> Self {
        self.field = format!("{outer}.{}", self.field);
        self.message = format!("{outer}: {}", self.message);
        self
    }
}

/// Validates the content of a unit.
///
/// # Errors
/// The first violated rule.
pub fn validate_content(content: &UnitContent) -> Result<(), ContentFault> {
    validate_segment(&content.source).map_err(|fault| fault.inside("source"))?;
    validate_segment(&content.target).map_err(|fault| fault.inside("target"))?;
    validate_field("document", &content.document)?;
    validate_field("author", &content.author)?;
    validate_field("context.context_id", &content.context_id)?;
    if content.attributes.len() > UNIT_ATTRIBUTES_MAX {
        let message = format!(
            "{} attributes; at most {UNIT_ATTRIBUTES_MAX} are kept",
            content.attributes.len()
        );
        return Err(ContentFault::new(DiagnosticCode::Limit, "attributes", message));
    }
    for (key, value) in &content.attributes {
        if key.is_empty() || key.len() > ATTRIBUTE_KEY_BYTES_MAX {
            let message =
                format!("the name of an attribute has 1 to {ATTRIBUTE_KEY_BYTES_MAX} bytes");
            return Err(ContentFault::new(DiagnosticCode::Limit, "attributes", message));
        }
        validate_field("attributes", key)?;
        validate_field("attributes", value)?;
    }
    let bytes = unit_bytes(content);
    if bytes > UNIT_BYTES_MAX {
        let message = format!("{bytes} bytes in one unit; at most {UNIT_BYTES_MAX} are kept");
        return Err(ContentFault::new(DiagnosticCode::Limit, "unit", message));
    }
    Ok(())
}

/// Validates one side of a unit, or a query.
///
/// # Errors
/// The first violated rule.
pub fn validate_segment(segment: &Segment) -> Result<(), ContentFault> {
    validate_text(&segment.text)?;
    if segment.tags.len() > SEGMENT_TAGS_MAX {
        let message =
            format!("{} inline tags; at most {SEGMENT_TAGS_MAX} are kept", segment.tags.len());
        return Err(ContentFault::new(DiagnosticCode::Limit, "tags", message));
    }
    let mut last = 0;
    for tag in &segment.tags {
        let offset = tag.offset_bytes as usize;
        if offset < last || !segment.text.is_char_boundary(offset) {
            let message = "inline tags must be in order and inside the text";
            return Err(ContentFault::new(DiagnosticCode::BadField, "tags", message));
        }
        last = offset;
        if tag.code.len() > TAG_CODE_BYTES_MAX || tag.label.len() > ATTRIBUTE_KEY_BYTES_MAX {
            let message = format!(
                "an inline tag carries at most {TAG_CODE_BYTES_MAX} bytes of code and {ATTRIBUTE_KEY_BYTES_MAX} of label"
            );
            return Err(ContentFault::new(DiagnosticCode::Limit, "tags", message));
        }
        for text in [&tag.code, &tag.label] {
            validate_characters("tags", text)?;
        }
    }
    Ok(())
}

/// Validates the text of a segment: not empty, not too long, no control characters.
///
/// # Errors
/// The first violated rule.
pub fn validate_text(text: &str) -> Result<(), ContentFault> {
    if text.len() > SEGMENT_BYTES_MAX {
        let message = format!("{} bytes; a segment has at most {SEGMENT_BYTES_MAX}", text.len());
        return Err(ContentFault::new(DiagnosticCode::SegmentTooLong, "text", message));
    }
    // A lone byte-order mark is not text either.
    if text.chars().all(|character| character.is_whitespace() || character == '\u{feff}') {
        let message = "empty or only white space; there is nothing to translate";
        return Err(ContentFault::new(DiagnosticCode::EmptySegment, "text", message));
    }
    validate_characters("text", text)
}

fn validate_field(field: &str, text: &str) -> Result<(), ContentFault> {
    if text.len() > FIELD_BYTES_MAX {
        let message = format!("{} bytes; at most {FIELD_BYTES_MAX} are kept", text.len());
        return Err(ContentFault::new(DiagnosticCode::Limit, field, message));
    }
    validate_characters(field, text)
}

/// Rejects characters that XML 1.0 cannot hold, because they could not be exported.
fn validate_characters(field: &str, text: &str) -> Result<(), ContentFault> {
    // Bytes first, because most texts have none of these. Branch-free, so that the loop is vectorized.
    #[expect(clippy::needless_bitwise_bool)]
    let suspicious = text.bytes().fold(0, |found, byte| {
        let is_white = (byte == b'\t') | (byte == b'\n') | (byte == b'\r');
        found | u8::from(((byte < 0x20) & !is_white) | (byte == 0xef))
    });
    if suspicious == 0 {
        return Ok(());
    }
    let position = text.chars().position(|character| match character {
        '\t' | '\n' | '\r' => false,
        '\u{fffe}' | '\u{ffff}' => true,
        other => other < ' ',
    });
    let Some(position) = position else {
        return Ok(());
    };
    let code = text.chars().nth(position).map_or(0, u32::from);
    let message = format!(
        "character U+{code:04X} (character {} of the text) is not text; remove it",
        position + 1
    );
    Err(ContentFault::new(DiagnosticCode::ControlCharacter, field, message))
}

fn unit_bytes(content: &UnitContent) -> usize {
    let tags = |segment: &Segment| -> usize {
        segment.tags.iter().map(|tag| tag.code.len() + tag.label.len() + 32).sum()
    };
    let attributes: usize =
        content.attributes.iter().map(|(key, value)| key.len() + value.len()).sum();
    let texts = content.source.text.len() + content.target.text.len();
    texts
        + tags(&content.source)
        + tags(&content.target)
        + attributes
        + content.document.len()
        + content.author.len()
        + content.context_id.len()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::unit::{InlineTag, TagKind};

    fn content(source: &str, target: &str) -> UnitContent {
        UnitContent {
            source: Segment::plain(source),
            target: Segment::plain(target),
            ..UnitContent::default()
        }
    }

    fn fault(content: &UnitContent) -> (DiagnosticCode, String) {
        let fault = validate_content(content).unwrap_err();
        (fault.cause, fault.field)
    }

    #[test]
    fn each_rule_names_its_field() {
        assert_eq!(validate_content(&content("a", "b\n\tc\u{200f}")), Ok(()));
        assert_eq!(
            fault(&content(" \n", "b")),
            (DiagnosticCode::EmptySegment, "source.text".into())
        );
        assert_eq!(
            fault(&content("\u{feff}", "b")),
            (DiagnosticCode::EmptySegment, "source.text".into())
        );
        assert_eq!(
            fault(&content("a", "b\u{0}")),
            (DiagnosticCode::ControlCharacter, "target.text".into())
        );
        assert_eq!(
            fault(&content("a", "b\u{ffff}")),
            (DiagnosticCode::ControlCharacter, "target.text".into())
        );
        let long = "x".repeat(SEGMENT_BYTES_MAX + 1);
        assert_eq!(
            fault(&content("a", &long)),
            (DiagnosticCode::SegmentTooLong, "target.text".into())
        );
        assert_eq!(validate_content(&content("a", &long[1..])), Ok(()));
    }

    #[test]
    fn tags_stand_in_order_inside_the_text() {
        let tag = |offset_bytes| InlineTag {
            offset_bytes,
            kind: TagKind::Standalone,
            pair: None,
            match_id: None,
            label: String::new(),
            code: String::new(),
        };
        let mut unit = content("\u{645}\u{646}", "b");
        for (offsets, good) in
            [(vec![0, 2, 2, 4], true), (vec![1], false), (vec![5], false), (vec![2, 0], false)]
        {
            unit.source.tags = offsets.into_iter().map(tag).collect();
            assert_eq!(validate_content(&unit).is_ok(), good);
        }
    }
}
