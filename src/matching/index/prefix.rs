//! Of how many of its rarest tokens does a stored segment need postings?

use crate::matching::score::{WORD_COST, distance_max};

/// The least base, in hundredths, that sealed segments are prepared for: below it there may be no token in common, and
/// every segment is looked at.
pub(crate) const BASE_MIN: u16 = 5_000;

/// Edits over classes that leave at least `base` hundredths when the longer segment has `longest` tokens.
pub(crate) fn edits_max(base: u16, longest: usize) -> usize {
    // Each edit over classes is a whole word in the graded distance.
    (distance_max(base, longest) / WORD_COST) as usize
}

/// How many of its rarest tokens a stored segment must share with the query. Each one more takes one more posting and one
/// more list to read, and leaves fewer segments to look at: worth it for long ones, of which many share one word.
pub(crate) fn shared_min(length: usize) -> usize {
    match length {
        0..SHARE_TWO => 1,
        SHARE_TWO..SHARE_THREE => 2,
        _ => 3,
    }
}

/// Shortest stored segments that must share two, and three; far more than that are equal in any case.
const SHARE_TWO: usize = 18;
const SHARE_THREE: usize = 24;

/// Of how many of its rarest tokens a stored segment needs postings.
pub(crate) fn prefix_len(length: usize) -> usize {
    // A longer query allows no more edits for each token it asks to be equal: this is the most.
    (edits_max(BASE_MIN, length) + shared_min(length)).min(length)
}
