//! The gaps of a row that are not the usual ones.

use super::vocabulary::{GAP_EMPTY, GAP_SPACE};

/// The place of a gap that is not the usual one, and the gap's number.
pub(crate) type UnusualGap = (u32, u32);

/// The usual gap before token `place` of `length`.
pub(crate) fn usual_gap(place: usize, length: usize) -> u32 {
    if place == 0 || place == length { GAP_EMPTY } else { GAP_SPACE }
}

/// Keeps the gaps that are not the usual ones, with their places.
pub(crate) fn unusual_gaps(gaps: impl Iterator<Item = u32>, words: usize) -> Vec<UnusualGap> {
    let unusual = gaps.zip(0..).filter(|&(gap, place)| gap != usual_gap(place as usize, words));
    unusual.map(|(gap, place)| (place, gap)).collect()
}

/// A gap whose place and number are both below 65,536, in one number: the place in the upper half.
pub(crate) fn narrow((place, gap): UnusualGap) -> Option<u32> {
    let half = |number: u32| u16::try_from(number).ok().map(u32::from);
    Some(half(place)? << 16 | half(gap)?)
}

fn wide(narrow: u32) -> UnusualGap {
    (narrow >> 16, narrow & 0xFFFF)
}

/// Unusual gaps in order of place.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Gaps<'a> {
    /// As numbers of [`narrow`].
    Narrow(&'a [u32]),
    Wide(&'a [UnusualGap]),
}

impl Gaps<'_> {
    #[inline]
    pub(crate) fn len(self) -> usize {
        match self {
            Self::Narrow(gaps) => gaps.len(),
            Self::Wide(gaps) => gaps.len(),
        }
    }

    #[inline]
    pub(crate) fn get(self, at: usize) -> UnusualGap {
        match self {
            Self::Narrow(gaps) => wide(gaps[at]),
            Self::Wide(gaps) => gaps[at],
        }
    }

    pub(crate) fn iter(self) -> impl Iterator<Item = UnusualGap> {
        (0..self.len()).map(move |at| self.get(at))
    }

    /// The unusual gap at a place.
    pub(crate) fn at(self, place: usize) -> Option<u32> {
        let found = match self {
            Self::Narrow(gaps) => {
                gaps.binary_search_by_key(&place, |&gap| wide(gap).0 as usize).ok()
            }
            Self::Wide(gaps) => gaps.binary_search_by_key(&place, |&(it, _)| it as usize).ok(),
        };
        found.map(|at| self.get(at).1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn narrow_gaps_are_the_same_gaps() {
        let gaps = [(0, 5), (3, 65_535), (65_535, 0)];
        let narrowed: Vec<u32> = gaps.iter().filter_map(|&gap| narrow(gap)).collect();
        for gaps_of in [Gaps::Narrow(&narrowed), Gaps::Wide(&gaps)] {
            assert_eq!(gaps_of.iter().collect::<Vec<_>>(), gaps);
            assert_eq!((gaps_of.at(3), gaps_of.at(4)), (Some(65_535), None));
        }
        assert_eq!((narrow((65_536, 0)), narrow((0, 65_536))), (None, None));
    }
}
