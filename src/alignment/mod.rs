//! Aligns the sentences of two documents and the words of two sentences, with a lexicon trained on a memory.
//!
//! Pure: no I/O, no clock. Knows nothing of stores, files or the wire.

mod cancel;
mod features;
mod lexicon;
mod quality;
mod sentences;
mod words;

pub use cancel::{Cancelled, Stop};
pub use features::Side;
pub use lexicon::{Corpus, Lexicon, PAIRS_MIN, builtin};
pub use quality::{Doubt, PairDoubt, Verdict, is_in_other_script, judge, pair_doubts};
pub use sentences::{Bead, align_document};
pub use words::{WordLink, link_words};

/// Version of training; raised when the same units would give another lexicon. Lexicons on disk hold it.
pub const LEXICON_VERSION: u32 = 1;
