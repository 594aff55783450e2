//! Extracts from each sentence what its translation may share: length, terms, numbers, names.

mod clitics;
mod mark;
mod names;
mod numerals;
mod side;
mod speech;

pub(crate) use clitics::{Clitics, PRONOUNS, Vocabulary, split, write_word};
pub(crate) use mark::Mark;
pub(crate) use names::Skeleton;
pub use side::Side;
pub(crate) use side::{NO_TOKEN, Sentence, Term, length_u32, letters_of, write_piece, write_term};
pub(crate) use speech::Speech;
