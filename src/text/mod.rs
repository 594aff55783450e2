//! Analyses text: canonical and folded forms, tokens and their classes, sentences, spelling differences. What is the
//! same text?
//!
//! Everything above uses an [`Analysis`], made once for a segment. Pure: no I/O, no clock. Knows nothing of files,
//! wire or disk.

mod agreement;
mod analysis;
mod canonical;
mod chars;
mod conventions;
mod data;
mod dates;
mod differences;
mod fold;
mod hamza;
mod kinds;
mod languages;
mod measures;
mod numerals;
mod parts;
mod placeables;
mod scan;
mod scanner;
mod sentences;
mod spelling;
mod stem;
mod values;
mod written;

pub use analysis::{Analysis, Analyzer};
pub use canonical::{canonical, canonical_of_segment};
pub use chars::{beginning, is_arabic_letter};
pub use dates::{Calendar, Date};
pub use differences::Differences;
pub use kinds::TokenKind;
pub use languages::{LanguageKnowledge, known_languages};
pub use parts::{ComparedParts, class_of_part, compared_parts, parts_of};
pub use scan::{FormsMemory, Gap, Scan, Token, folded_gap};
pub use sentences::{RuleError, Sentence, SentenceOptions, SentenceRules};
pub use spelling::{gap_differences, token_differences};
pub use values::{Decimal, Value};
pub use written::Written;

/// Raised whenever a form, a token or a class of any text may change.
pub const TEXT_VERSION: u32 = 5;
