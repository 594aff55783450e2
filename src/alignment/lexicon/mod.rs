//! Holds translation probabilities of terms: the built-in table, those trained on a memory, and their use on two sides.

mod builtin;
mod corpus;
mod hmm;
mod pairs;
mod tables;
mod train;

pub use builtin::builtin;
pub use corpus::{Corpus, PAIRS_MIN};
pub(crate) use hmm::{Jumps, Lattice};
pub(crate) use pairs::{Counts, Direction, Pairs};
pub use tables::Lexicon;
