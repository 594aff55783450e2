//! The vocabulary of the project as types: segments, units, memories, languages, scores, diagnostics.
//!
//! A type with a rule has private fields and one fallible constructor, so that every value is valid. Knows nothing of
//! text rules, storage, files or protocols.

mod content;
mod diagnostics;
mod marked;
mod names;
mod offsets;
mod penalty;
mod score;
mod segment;
mod white_space;

pub use content::{
    CONTEXT_KEY_ATTRIBUTE, Context, ContextMode, LAST_USE_ATTRIBUTE, Timestamp,
    USE_COUNT_ATTRIBUTE, Unit, UnitContent, UnitExtras, UnitId, Usage,
};
pub use diagnostics::{Diagnostic, DiagnosticCode, Place, ValidationError};
pub(crate) use marked::marked;
pub use names::{Lang, MemoryName};
pub use offsets::{OffsetUnit, TextOffsets};
pub use penalty::{
    CONFIDENCE_ATTRIBUTE, Confidence, PenaltyCondition, PenaltyRule, Scoring, UNFINISHED_ATTRIBUTE,
};
pub use score::Score;
pub use segment::{InlineTag, Segment, TagKind};
pub use white_space::is_white_space_code;
