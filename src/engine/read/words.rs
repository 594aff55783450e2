//! Checks the words of a text that is searched for.

use crate::limits::CONCORDANCE_WORDS_MAX;
use crate::matching::Expression;

use crate::engine::error::EngineError;

/// The error of a text without a word.
pub(super) fn no_word(field: impl Into<String>) -> EngineError {
    EngineError::invalid(field, "it contains no word; punctuation is not searched")
}

/// Limits the words of an expression, each of which is compared with every word of every segment.
pub(crate) fn check_words(field: &str, expression: &Expression) -> Result<(), EngineError> {
    let words = expression.words_len();
    if words <= CONCORDANCE_WORDS_MAX {
        return Ok(());
    }
    let what = format!(
        "it has {words} words; at most {CONCORDANCE_WORDS_MAX} are searched; use a lookup for longer texts"
    );
    Err(EngineError::invalid(field, what))
}
