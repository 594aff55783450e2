//! Encodes units as numbers of a vocabulary, millions in a row, on any thread.
//!
//! Most words of a segment were seen a moment ago. A cache that fits into a core's own knows them by their surface,
//! so that they are neither folded nor looked up in the tables of a large vocabulary.

use std::hash::BuildHasher as _;
use std::sync::{Mutex, MutexGuard, PoisonError};

use foldhash::fast::RandomState;

use crate::text::{FormsMemory, Scan, TokenKind, folded_gap};
use crate::unit::UnitId;

use super::entry::{EncodedEntry, Facts, IndexEntry, Side};
use super::form::{Form, Gap, Token};
use super::gaps::unusual_gaps;
use super::vocabulary::{UNKNOWN, Vocabulary};

/// Encodes units for an index; one for each thread.
pub struct Encoder<'a> {
    vocabulary: &'a Vocabulary,
    recent: RecentNumbers,
    forms: FormsMemory,
}

impl<'a> Encoder<'a> {
    /// An encoder with a cache, for many units.
    pub(crate) fn new(vocabulary: &'a Vocabulary) -> Self {
        let recent = recents().pop().unwrap_or_else(|| RecentNumbers::of(PLACES));
        Self { vocabulary, recent, forms: FormsMemory::default() }
    }

    /// An encoder without a cache, for a few units: as many callers as there are connections may each hold one.
    pub(crate) fn uncached(vocabulary: &'a Vocabulary) -> Self {
        Self { vocabulary, recent: RecentNumbers::of(0), forms: FormsMemory::default() }
    }

    /// Encodes an entry.
    pub fn encode(&mut self, entry: &IndexEntry) -> EncodedEntry {
        self.encode_forms(entry.unit, (&entry.form, &entry.target), &entry.facts)
    }

    /// Encodes a unit given as its number, the forms of source and target, and its facts.
    pub fn encode_forms(
        &mut self,
        unit: UnitId,
        texts: (&Form, &Form),
        facts: &Facts,
    ) -> EncodedEntry {
        let Self { vocabulary, recent, .. } = self;
        let number = |token: Token<'_>| {
            recent.number(vocabulary, &Key::Token(token), || vocabulary.intern_word(token))
        };
        EncodedEntry::from_forms(unit, texts, facts, vocabulary, number)
    }

    /// Encodes the words of a scanned text. All texts of one side are scanned by one analyzer, so that `side`,
    /// surface and kind identify a word.
    pub fn words(&mut self, scan: &Scan, side: Side) -> Vec<u32> {
        let Self { vocabulary, recent, forms } = self;
        let mut words = Vec::with_capacity(scan.tokens().len());
        for token in scan.words() {
            let surface = scan.surface(token);
            words.push(recent.number(vocabulary, &Key::Word(surface, token.kind, side), || {
                let (folded, class) = scan.forms(token, forms);
                let number_like = token.kind.is_number_like();
                vocabulary.intern_word(Token { surface, folded, class, number_like })
            }));
        }
        words
    }

    /// Encodes a unit given as its scanned source and the encoded words of its target; document and author are given
    /// apart from the other facts.
    pub fn encode_scanned(
        &mut self,
        (source, tags): (&Scan, u64),
        target: Vec<u32>,
        facts: &Facts,
        names: [&str; 2],
    ) -> EncodedEntry {
        let words = self.words(source, Side::Source);
        let Self { vocabulary, recent, .. } = self;
        let gaps = source.canonical_gaps().map(|canonical| {
            recent.number(vocabulary, &Key::Gap(canonical), || {
                vocabulary.intern_gap(Gap { canonical, folded: &folded_gap(canonical) })
            })
        });
        let gaps = unusual_gaps(gaps, words.len());
        let names = recent.names(vocabulary, names);
        EncodedEntry::from_numbers((UnitId(0), tags), (words, target), gaps, (facts, names))
    }
}

impl Drop for Encoder<'_> {
    fn drop(&mut self) {
        if self.recent.places.is_empty() {
            return;
        }
        let mut recents = recents();
        if recents.len() < RECENTS_MAX {
            recents.push(std::mem::replace(&mut self.recent, RecentNumbers::of(0)));
        }
    }
}

/// Caches that no thread uses at the moment, for all indexes together: few threads encode at the same time.
static RECENTS: Mutex<Vec<RecentNumbers>> = Mutex::new(Vec::new());
/// Caches beyond this number are dropped.
const RECENTS_MAX: usize = 16;

fn recents() -> MutexGuard<'static, Vec<RecentNumbers>> {
    RECENTS.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Identifies a word or a gap within a vocabulary.
#[derive(Hash)]
enum Key<'a> {
    /// A surface in a text of one side.
    Word(&'a str, TokenKind, Side),
    /// A canonical text.
    Gap(&'a str),
    /// All forms of a token.
    Token(Token<'a>),
}

/// A cache of recent words and their numbers, for one thread.
struct RecentNumbers {
    /// 128 bits with random seeds identify a word.
    hashers: (RandomState, RandomState),
    /// Empty when nothing is cached.
    places: Vec<((u64, u64), u32)>,
    /// The last document and the last author with the id of their vocabulary: the next unit mostly has the same.
    names: [Option<(u64, Box<str>, u32)>; 2],
}

/// Three megabytes; a power of two.
const PLACES: usize = 1 << 17;

impl RecentNumbers {
    fn of(places: usize) -> Self {
        let places = vec![((0, 0), UNKNOWN); places];
        Self { hashers: Default::default(), places, names: [None, None] }
    }

    /// Returns the number of a word or gap, from the cache if it is there.
    fn number(
        &mut self,
        vocabulary: &Vocabulary,
        key: &Key<'_>,
        look: impl FnOnce() -> u32,
    ) -> u32 {
        if self.places.is_empty() {
            return look();
        }
        let key = (vocabulary.id(), key);
        let key = (self.hashers.0.hash_one(key), self.hashers.1.hash_one(key));
        // The low bits of a hash choose the slot.
        #[expect(clippy::cast_possible_truncation)]
        let place = &mut self.places[key.0 as usize % PLACES];
        if place.0 != key || place.1 == UNKNOWN {
            *place = (key, look());
        }
        place.1
    }

    /// Returns the numbers of a document and an author.
    fn names(&mut self, vocabulary: &Vocabulary, names: [&str; 2]) -> [u32; 2] {
        let mut numbers = [0; 2];
        for ((name, last), number) in names.into_iter().zip(&mut self.names).zip(&mut numbers) {
            *number = match last {
                Some((id, text, number)) if *id == vocabulary.id() && **text == *name => *number,
                _ => last.insert((vocabulary.id(), name.into(), vocabulary.intern_text(name))).2,
            };
        }
        numbers
    }
}
