//! Links the words of a sentence to those of its translation.

mod definite;
mod link;
mod links;
mod pronouns;

pub use link::WordLink;
pub use links::link_words;
pub(crate) use links::pieces;
