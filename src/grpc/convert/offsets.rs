//! Offsets and spans, in the unit that a call counts in.

use std::ops::Range;

use crate::unit::{OffsetUnit, TextOffsets};

use super::super::proto;
use super::FieldViolation;

/// The unit in which a call counts.
pub(crate) fn offset_unit(number: i32) -> Result<OffsetUnit, FieldViolation> {
    match proto::OffsetUnit::try_from(number) {
        Ok(proto::OffsetUnit::Unspecified | proto::OffsetUnit::CodePoint) => {
            Ok(OffsetUnit::CodePoint)
        }
        Ok(proto::OffsetUnit::Utf8Byte) => Ok(OffsetUnit::Utf8Byte),
        Ok(proto::OffsetUnit::Utf16CodeUnit) => Ok(OffsetUnit::Utf16CodeUnit),
        Err(_) => {
            Err(FieldViolation::new("offset_unit", format!("{number} is not a unit of offsets")))
        }
    }
}

pub(super) fn offset_to_wire(offsets: &TextOffsets<'_>, byte: usize) -> i32 {
    i32::try_from(offsets.at(byte)).unwrap_or(i32::MAX)
}

/// A span of bytes for the wire.
pub(crate) fn span_to_wire(offsets: &TextOffsets<'_>, bytes: &Range<usize>) -> proto::Span {
    proto::Span {
        start: offset_to_wire(offsets, bytes.start),
        end: offset_to_wire(offsets, bytes.end),
    }
}

/// A span of the wire as one of bytes; what is outside of the text ends with it.
pub(super) fn span_of(offsets: &TextOffsets<'_>, span: Option<proto::Span>) -> Range<usize> {
    let span = span.unwrap_or_default();
    let byte = |offset: i32| {
        let byte = usize::try_from(offset).ok().and_then(|offset| offsets.byte(offset));
        byte.unwrap_or_else(|| offsets.len())
    };
    byte(span.start)..byte(span.end)
}
