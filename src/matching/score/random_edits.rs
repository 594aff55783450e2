//! Generates pairs of similar sequences for property tests.

use std::ops::Range;

use proptest::prelude::*;

/// A sequence, and a copy with fewer than `edits_max` symbols added, removed or replaced.
pub(crate) fn edited<T>(
    symbols: Range<T>,
    length: Range<usize>,
    edits_max: usize,
) -> impl Strategy<Value = (Vec<T>, Vec<T>)>
where
    T: Clone + std::fmt::Debug,
    Range<T>: Strategy<Value = T> + Clone,
{
    let places = 0..length.end;
    let base = prop::collection::vec(symbols.clone(), length);
    let edits = prop::collection::vec((places, symbols, 0_u8..3), 0..edits_max);
    (base, edits).prop_map(|(base, edits)| {
        let mut other = base.clone();
        for (place, symbol, kind) in edits {
            let place = place % (other.len() + 1);
            match kind {
                0 => other.insert(place, symbol),
                _ if place == other.len() => {}
                1 => drop(other.remove(place)),
                _ => other[place] = symbol,
            }
        }
        (base, other)
    })
}
