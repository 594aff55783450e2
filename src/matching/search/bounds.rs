//! Computes bounds on what a stored segment must share with the query to reach a score: lengths, ranks and places.
//!
//! With m tokens in the longer segment and at most d edits, at least m − d tokens are equal (in class) and aligned in
//! order. Order the classes of each segment by one fixed order, rarest first: at least m − d − 1 aligned pairs follow
//! the rarest aligned pair, so it is among the first |q| − (m − d) + 1 of the query and the first |s| − (m − d) + 1
//! of the stored segment; the second and third rarest are among one and two more. A pair at places p and r costs at
//! least |p − r| + |(|q| − p) − (|s| − r)| edits. Any order of the classes is correct; a good one is fast. (Prefix
//! filter: Chaudhuri, Ganti and Kaushik, ICDE 2006; Xiao, Wang, Lin and Yu, WWW 2008; positions: Xiao, Wang and Lin,
//! PVLDB 2008.)

use crate::matching::index::{edits_max, shared_min};

/// Bounds for stored segments of one length.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct LengthBounds {
    /// Most edits over classes.
    pub(crate) edits_max: u32,
    /// Most query tokens without a partner.
    pub(crate) query_unmatched_max: u32,
    /// Most tokens of the stored segment without a partner.
    pub(crate) stored_unmatched_max: u32,
    /// Number of shared rare tokens by which a candidate is found.
    pub(crate) shared_min: u32,
    /// Least and greatest place in the stored segment, relative to the place in the query.
    pub(crate) shift: (i32, i32),
}

impl LengthBounds {
    /// Bounds that no segment meets.
    pub(crate) const NONE: Self = Self {
        edits_max: 0,
        query_unmatched_max: 0,
        stored_unmatched_max: 0,
        shared_min: 1,
        shift: (1, 0),
    };

    /// Greatest rank of those tokens in the query.
    pub(crate) fn query_rank_max(&self) -> u32 {
        self.query_unmatched_max + self.shared_min - 1
    }

    /// Their greatest rank in the stored segment.
    pub(crate) fn stored_rank_max(&self) -> u32 {
        self.stored_unmatched_max + self.shared_min - 1
    }
}

/// Bounds of one query at one base.
#[derive(Debug, Clone, Default)]
pub(crate) struct Bounds {
    /// Tokens of the query.
    length: usize,
    /// Least length of a stored segment.
    shortest: usize,
    /// Bounds by length, from the shortest on.
    lengths: Vec<LengthBounds>,
}

impl Bounds {
    /// Sets the bounds for a query of `length` tokens, at least one, and a base of at least
    /// [`BASE_MIN`](crate::matching::index::BASE_MIN).
    pub(crate) fn set(&mut self, length: usize, base: u16) {
        self.length = length;
        self.lengths.clear();
        self.shortest = length - edits_max(base, length).min(length);
        let mut stored = self.shortest.max(1);
        self.shortest = stored;
        loop {
            let longest = length.max(stored);
            let edits = edits_max(base, longest);
            if stored.abs_diff(length) > edits {
                return;
            }
            let equal = longest - edits;
            let signed = |number: usize| i32::try_from(number).unwrap_or(i32::MAX / 4);
            let (edits, more) = (signed(edits), signed(stored) - signed(length));
            self.lengths.push(LengthBounds {
                edits_max: edits.unsigned_abs(),
                query_unmatched_max: signed(length - equal.min(length)).unsigned_abs(),
                stored_unmatched_max: signed(stored - equal.min(stored)).unsigned_abs(),
                shared_min: signed(shared_min(stored).min(equal)).unsigned_abs(),
                // |x| + |more − x| ≤ edits
                shift: (
                    (more - edits).div_euclid(2) + (more - edits).rem_euclid(2),
                    (more + edits).div_euclid(2),
                ),
            });
            stored += 1;
        }
    }

    /// Least length of stored segments, and one more than the greatest.
    pub(crate) fn lengths(&self) -> (usize, usize) {
        (self.shortest, self.shortest + self.lengths.len())
    }

    /// One more than the greatest length of a segment that the query token of this rank can find.
    pub(crate) fn lengths_end(&self, query_rank: usize) -> usize {
        let fits = |of: &LengthBounds| of.query_rank_max() as usize >= query_rank;
        self.lengths.iter().rposition(fits).map_or(0, |last| self.shortest + last + 1)
    }

    /// Bounds for one length; `None` when no segment of that length can match.
    pub(crate) fn of(&self, stored: usize) -> Option<LengthBounds> {
        self.lengths.get(stored.checked_sub(self.shortest)?).copied()
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::matching::index::prefix_len;

    /// The bounds agree with their definitions.
    #[test]
    fn bounds_are_what_they_stand_for() {
        let mut bounds = Bounds::default();
        for length in 1..60 {
            for base in [5_000, 5_001, 6_000, 7_000, 8_333, 9_000, 9_999, 10_000] {
                bounds.set(length, base);
                for stored in 1..200 {
                    let longest = length.max(stored);
                    let edits = edits_max(base, longest);
                    let Some(of) = bounds.of(stored) else {
                        assert!(stored.abs_diff(length) > edits, "{length} {stored} {base}");
                        continue;
                    };
                    assert!(stored.abs_diff(length) <= edits);
                    assert!(longest > edits, "some token is equal");
                    assert!(
                        (of.stored_rank_max() as usize) < prefix_len(stored),
                        "{length} {stored} {base}"
                    );
                    let shared = of.shared_min as usize;
                    assert!((1..=longest - edits).contains(&shared));
                    for rank in 0..length {
                        let may = rank < length - (longest - edits).min(length) + shared;
                        assert_eq!(may, rank <= of.query_rank_max() as usize);
                        assert!(!may || stored < bounds.lengths_end(rank));
                    }
                    for p in 0..length {
                        for r in 0..stored {
                            let apart = p.abs_diff(r) + (length - p).abs_diff(stored - r);
                            let shift = i32::try_from(r).unwrap() - i32::try_from(p).unwrap();
                            assert_eq!(apart <= edits, (of.shift.0..=of.shift.1).contains(&shift));
                        }
                    }
                }
            }
        }
    }
}
