//! Provides translation probabilities: the built-in lexicon, training on a memory, and their combination for one document.

mod builtin;
mod corpus;
mod hmm;
mod pairs;
mod places;
mod tables;
mod train;

pub use builtin::builtin;
pub use corpus::{Corpus, PAIRS_MIN};
pub(crate) use hmm::{Jumps, Lattice};
pub(crate) use pairs::{Counts, Direction, Pairs};
pub use tables::Lexicon;
