//! Splits text into sentences by tables of marks and words, one table for each language.

mod rules;
mod sentence;
mod split;
mod splitter;

pub use rules::{RuleError, SentenceRules};
pub use sentence::{Sentence, SentenceOptions};
