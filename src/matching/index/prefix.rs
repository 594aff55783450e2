//! Computes how many of its rarest tokens a stored segment needs postings for (see the proof in `search::bounds`).

use crate::matching::score::{WORD_COST, distance_max};

/// Least base, in hundredths, that postings support. Below it two segments may have no token in common, and a search
/// scans all.
pub(crate) const BASE_MIN: u16 = 5_000;

/// Most edits over classes that leave at least `base` hundredths when the longer segment has `longest` tokens.
pub(crate) fn edits_max(base: u16, longest: usize) -> usize {
    // Each edit over classes is a whole word in the graded distance.
    (distance_max(base, longest) / WORD_COST) as usize
}

/// How many of its rarest tokens a stored segment must share with the query. Each one more costs a posting and a list
/// to read, and leaves fewer candidates: worth it for long segments, of which many share one word.
pub(crate) fn shared_min(length: usize) -> usize {
    match length {
        0..SHARE_TWO => 1,
        SHARE_TWO..SHARE_THREE => 2,
        _ => 3,
    }
}

/// Least lengths of segments that must share two and three; far more tokens than that are equal in any case.
const SHARE_TWO: usize = 18;
const SHARE_THREE: usize = 24;

/// How many of its rarest tokens a stored segment needs postings for.
pub(crate) fn prefix_len(length: usize) -> usize {
    // A longer query allows no more edits for each token it requires to be equal, so this is the maximum.
    (edits_max(BASE_MIN, length) + shared_min(length)).min(length)
}
