//! The vocabulary of the project as types: segments, units, memories, languages, scores, diagnostics.
//!
//! A type with a rule has private fields and one fallible constructor, so that every value is valid. Knows nothing of
//! text rules, storage, files or protocols.

mod code_points;
mod content;
mod diagnostics;
mod marked;
mod names;
mod penalty;
mod score;
mod segment;
mod white_space;

pub use code_points::CodePoints;
pub use content::{
    CONTEXT_KEY_ATTRIBUTE, Context, ContextMode, LAST_USE_ATTRIBUTE, Timestamp,
    USE_COUNT_ATTRIBUTE, Unit, UnitContent, UnitExtras, UnitId, Usage,
};
pub use diagnostics::{Diagnostic, DiagnosticCode, Place, ValidationError};
pub(crate) use marked::marked;
pub use names::{Lang, MemoryName};
pub use penalty::{
    CONFIDENCE_ATTRIBUTE, Confidence, PenaltyCondition, PenaltyRule, Scoring, UNFINISHED_ATTRIBUTE,
};
pub use score::Score;
pub use segment::{InlineTag, Segment, TagKind};
pub use white_space::is_white_space_code;
