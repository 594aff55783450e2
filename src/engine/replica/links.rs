//! Keeps the word links of units that lookups have found, because the same units are found again and again.
//!
//! The cache is bounded. Its entries hold for one lexicon: another one makes other links.

use std::collections::HashMap;
use std::ops::Range;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use foldhash::fast::FixedState;

use crate::alignment::WordLink;
use crate::limits::CACHED_LINKS_BYTES_MAX;
use crate::text::Analysis;
use crate::unit::UnitId;

/// The words of a target that are linked to words of its source, in a few bytes each.
///
/// For each link, in the order of the target: tokens since the last one, source token, bytes from the start of the last linked
/// token, and length; as LEB128.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct LinkedTarget(Box<[u8]>);

impl LinkedTarget {
    /// From the links of a unit.
    pub(crate) fn new(links: &[WordLink], target: &Analysis) -> Self {
        let mut pairs: Vec<(usize, usize)> =
            links.iter().map(|it| (it.target, it.source)).collect();
        pairs.sort_unstable();
        let mut bytes = Vec::with_capacity(4 * pairs.len());
        let (mut last_token, mut last_start) = (0, 0);
        for (token, source) in pairs {
            let span = target.span(&target.tokens()[token]);
            for number in [token - last_token, source, span.start - last_start, span.len()] {
                put(&mut bytes, number);
            }
            (last_token, last_start) = (token, span.start);
        }
        Self(bytes.into())
    }

    /// Byte ranges of the target that are linked to the marked tokens of the source; consecutive words are one range.
    pub(crate) fn spans(&self, is_marked: &[bool]) -> Vec<Range<usize>> {
        let mut spans: Vec<Range<usize>> = Vec::new();
        let (mut token, mut start) = (0, 0);
        let mut last_marked = None;
        let mut bytes = &self.0[..];
        while let Some([tokens, source, further, length]) = take_link(&mut bytes) {
            (token, start) = (token + tokens, start + further);
            if !is_marked.get(source).copied().unwrap_or(false) || last_marked == Some(token) {
                continue;
            }
            match spans.last_mut() {
                Some(before) if last_marked.is_some_and(|last| last + 1 == token) => {
                    before.end = start + length;
                }
                _ => spans.push(start..start + length),
            }
            last_marked = Some(token);
        }
        spans
    }

    fn bytes(&self) -> usize {
        self.0.len() + ENTRY_BYTES
    }
}

/// What an entry takes beside its links: key, pointers and its share of the table.
const ENTRY_BYTES: usize = 64;

#[expect(clippy::cast_possible_truncation, reason = "seven bits at a time")]
fn put(bytes: &mut Vec<u8>, mut number: usize) {
    while number >= 0x80 {
        bytes.push(0x80 | (number & 0x7f) as u8);
        number >>= 7;
    }
    bytes.push(number as u8);
}

fn take_link(bytes: &mut &[u8]) -> Option<[usize; 4]> {
    let mut numbers = [0; 4];
    for number in &mut numbers {
        let mut shift = 0;
        loop {
            let (&byte, rest) = bytes.split_first()?;
            *bytes = rest;
            *number |= usize::from(byte & 0x7f) << shift;
            if byte < 0x80 {
                break;
            }
            shift += 7;
        }
    }
    Some(numbers)
}

/// A unit with one content: number and short revision.
type Key = (UnitId, u32);
type Entries = HashMap<Key, Arc<LinkedTarget>, FixedState>;

/// The links of the units of a memory.
#[derive(Debug, Default)]
pub(crate) struct LinkCache(Mutex<Generations>);

/// Entries used lately, and those used before them. When there are too many, the older ones are dropped: what was used since the
/// last time that this happened is kept.
#[derive(Debug, Default)]
struct Generations {
    lexicon: u64,
    young: Entries,
    old: Entries,
    young_bytes: usize,
}

impl LinkCache {
    /// The links of a unit by the lexicon of a number, if they are known.
    pub(crate) fn get(&self, key: Key, lexicon: u64) -> Option<Arc<LinkedTarget>> {
        let mut cache = self.lock();
        if cache.lexicon != lexicon {
            return None;
        }
        if let Some(known) = cache.young.get(&key) {
            return Some(Arc::clone(known));
        }
        let known = cache.old.remove(&key)?;
        cache.insert(key, Arc::clone(&known));
        Some(known)
    }

    /// Keeps the links of a unit by the lexicon of a number.
    pub(crate) fn put(&self, key: Key, lexicon: u64, links: Arc<LinkedTarget>) {
        let mut cache = self.lock();
        if cache.lexicon > lexicon {
            return;
        }
        if cache.lexicon < lexicon {
            *cache = Generations { lexicon, ..Generations::default() };
        }
        cache.insert(key, links);
    }

    fn lock(&self) -> MutexGuard<'_, Generations> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Generations {
    fn insert(&mut self, key: Key, links: Arc<LinkedTarget>) {
        if self.young_bytes > CACHED_LINKS_BYTES_MAX / 2 {
            self.old = std::mem::take(&mut self.young);
            self.young_bytes = 0;
        }
        self.young_bytes += links.bytes();
        if let Some(replaced) = self.young.insert(key, links) {
            self.young_bytes -= replaced.bytes();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use proptest::prelude::*;

    use super::{LinkCache, LinkedTarget};
    use crate::alignment::WordLink;
    use crate::limits::CACHED_LINKS_BYTES_MAX;
    use crate::text::Analyzer;
    use crate::unit::UnitId;

    const TARGET: &str =
        "  The new bridge, opened in 1890, crosses the river; it is 1,200 m long. ";

    /// The oracle: marks target tokens and joins neighbours.
    fn spans(links: &[WordLink], is_marked: &[bool]) -> Vec<std::ops::Range<usize>> {
        let analysis = Analyzer::new(&"en".parse().unwrap()).analyze(TARGET);
        let linked = |at: usize| links.iter().any(|it| it.target == at && is_marked[it.source]);
        let mut spans: Vec<std::ops::Range<usize>> = Vec::new();
        for (at, token) in analysis.tokens().iter().enumerate().filter(|(at, _)| linked(*at)) {
            let span = analysis.span(token);
            match spans.last_mut() {
                Some(last) if at > 0 && linked(at - 1) => last.end = span.end,
                _ => spans.push(span),
            }
        }
        spans
    }

    proptest! {
        #[test]
        fn spans_are_those_of_the_links(
            pairs in proptest::collection::btree_set((0_usize..150, 0_usize..17), 0..60),
            is_marked in proptest::collection::vec(any::<bool>(), 150),
        ) {
            let analysis = Analyzer::new(&"en".parse().unwrap()).analyze(TARGET);
            prop_assert!(analysis.tokens().len() >= 17);
            let link = |(source, target)| WordLink { source, target, confidence: 0.5 };
            let links: Vec<WordLink> = pairs.into_iter().map(link).collect();
            let kept = LinkedTarget::new(&links, &analysis);
            prop_assert_eq!(kept.spans(&is_marked), spans(&links, &is_marked));
        }
    }

    #[test]
    fn links_hold_for_one_lexicon_and_one_revision() {
        let cache = LinkCache::default();
        let links = || Arc::new(LinkedTarget(vec![1].into()));
        cache.put((UnitId(7), 1), 3, links());
        assert_eq!(cache.get((UnitId(7), 1), 3), Some(links()));
        assert_eq!(cache.get((UnitId(7), 2), 3), None);
        assert_eq!(cache.get((UnitId(7), 1), 4), None);
        cache.put((UnitId(8), 1), 2, links());
        assert_eq!(cache.get((UnitId(8), 1), 2), None, "of an older lexicon");
        cache.put((UnitId(8), 1), 4, links());
        assert_eq!(cache.get((UnitId(7), 1), 3), None, "dropped with its lexicon");
        assert_eq!(cache.get((UnitId(8), 1), 4), Some(links()));
    }

    #[test]
    fn the_cache_is_bounded_and_keeps_what_is_used() {
        let cache = LinkCache::default();
        let links = Arc::new(LinkedTarget(vec![0; 1 << 12].into()));
        let units = (CACHED_LINKS_BYTES_MAX >> 12) as u64;
        cache.put((UnitId(0), 1), 0, Arc::clone(&links));
        for unit in 1..2 * units {
            cache.put((UnitId(unit), 1), 0, Arc::clone(&links));
            assert!(cache.get((UnitId(0), 1), 0).is_some(), "{unit}");
        }
        assert!(cache.get((UnitId(1), 1), 0).is_none());
        assert!(Arc::strong_count(&links) as u64 <= units + 4);
    }
}
