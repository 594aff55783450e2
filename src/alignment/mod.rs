//! What translates what? Sentences of two documents, words of two sentences, and the lexicon that tells.
//!
//! Pure: no I/O, no clock. Knows nothing of stores, files or the wire.

mod band;
mod beads;
mod builtin;
mod clitics;
mod confidence;
mod coupling;
mod decode;
mod definite;
mod document;
mod hmm;
mod kinds;
mod known;
mod lengths;
mod lexicon;
mod links;
mod marks;
mod names;
mod numerals;
mod pairs;
mod posteriors;
mod pronouns;
mod quality;
mod script;
mod search;
mod side;
mod speech;
mod train;
mod wording;
mod words;

pub use builtin::builtin;
pub use document::{Bead, align_document};
pub use lexicon::Lexicon;
pub use links::{WordLink, link_words};
pub use quality::{Doubt, Verdict, judge};
pub use script::{PairDoubt, is_in_other_script, pair_doubts};
pub use side::Side;
pub use train::{Corpus, PAIRS_MIN};

/// Changes when a lexicon learnt before would not be learnt again: lexicons on disk name it.
pub const LEXICON_VERSION: u32 = 1;

/// Asked again and again during long work: whether to give up.
pub type Stop<'a> = &'a (dyn Fn() -> bool + Sync);

/// The caller gave up.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the work was given up")]
pub struct Cancelled;
