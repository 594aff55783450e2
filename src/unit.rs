//! The vocabulary of the project as types: segments, units, memories, languages, scores, diagnostics.
//!
//! A type with a rule has private fields and one fallible constructor, so that every value is valid. Knows nothing of
//! text rules, storage, files or protocols.

mod content;
mod diagnostics;
mod names;
mod score;
mod segment;
mod white_space;

pub use content::{CONTEXT_KEY_ATTRIBUTE, Context, Timestamp, Unit, UnitContent, UnitId};
pub use diagnostics::{Cause, Diagnostic, Invalid, Place};
pub use names::{Lang, MemoryName};
pub use score::Score;
pub use segment::{InlineTag, Segment, TagKind};
pub use white_space::is_white_space_code;
