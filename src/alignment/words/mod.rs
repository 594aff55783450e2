//! Links the words of a sentence to those of its translation.

mod definite;
mod links;
mod pronouns;

pub(crate) use links::pieces;
pub use links::{WordLink, link_words};
