//! Splits text into sentences by tables of marks and words, one table for each language.

mod rules;
mod sentence;
mod split;
mod splitter;

pub(super) use rules::languages;
pub use rules::{RuleError, SentenceRules};
pub use sentence::{Sentence, SentenceOptions};
