//! How do units become numbers, millions of them, one after the other? On any thread, with what came lately at hand.
//!
//! Most words of a segment came a moment ago: they are known by how they are written, and neither folded nor looked for in
//! the tables of a large vocabulary, which no cache of a core holds. Knows nothing of rows that are stored already.

use std::hash::BuildHasher as _;
use std::sync::{Mutex, MutexGuard, PoisonError};

use foldhash::fast::RandomState;

use crate::text::{FormsMemory, Scan, TokenKind, folded_gap};
use crate::unit::UnitId;

use super::entry::{EncodedEntry, Facts, IndexEntry, Side, unusual_gaps};
use super::form::{Form, Gap, Token};
use super::vocabulary::{UNKNOWN, Vocabulary};

/// Makes units ready to be added to an index, on any thread.
pub struct Encoder<'a> {
    vocabulary: &'a Vocabulary,
    recent: Recent,
    forms: FormsMemory,
}

impl<'a> Encoder<'a> {
    /// For many units in a row.
    pub(crate) fn new(vocabulary: &'a Vocabulary) -> Self {
        let recent = recents().pop().unwrap_or_else(|| Recent::of(PLACES));
        Self { vocabulary, recent, forms: FormsMemory::default() }
    }

    /// For a few units: every word is looked for in the vocabulary, and no memory is taken that as many callers as there
    /// are connections would hold at a time.
    pub(crate) fn of_few(vocabulary: &'a Vocabulary) -> Self {
        Self { vocabulary, recent: Recent::of(0), forms: FormsMemory::default() }
    }

    /// Makes one ready.
    pub fn encode(&mut self, entry: &IndexEntry) -> EncodedEntry {
        self.encode_forms(entry.unit, (&entry.form, &entry.target), &entry.facts)
    }

    /// Makes one ready of its parts: number, forms of source and target, and what else is known.
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
        EncodedEntry::of_texts(unit, texts, facts, vocabulary, number)
    }

    /// The words of a scanned text. Texts of one side are scanned by one analyzer: `side` and what a token is written as and
    /// is tell it from all others.
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

    /// Makes one ready of a scanned source and the words of its target; document and author are given apart from the
    /// other facts.
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
        EncodedEntry::of_numbers((UnitId(0), tags), (words, target), gaps, (facts, names))
    }
}

impl Drop for Encoder<'_> {
    fn drop(&mut self) {
        if self.recent.places.is_empty() {
            return;
        }
        let mut recents = recents();
        if recents.len() < RECENTS_MAX {
            recents.push(std::mem::replace(&mut self.recent, Recent::of(0)));
        }
    }
}

/// What no thread is using at the moment: for all indexes together, since few threads number at the same time.
static RECENTS: Mutex<Vec<Recent>> = Mutex::new(Vec::new());
/// More than there are cores were only used because somebody waited.
const RECENTS_MAX: usize = 16;

fn recents() -> MutexGuard<'static, Vec<Recent>> {
    RECENTS.lock().unwrap_or_else(PoisonError::into_inner)
}

/// What tells a word, or a gap, from all others of a vocabulary.
#[derive(Hash)]
enum Key<'a> {
    /// As it is written, in a text of one side.
    Word(&'a str, TokenKind, Side),
    /// In canonical form.
    Gap(&'a str),
    /// With all its forms.
    Token(Token<'a>),
}

/// Words that came lately and their numbers, for one thread: it stays in the caches of a core.
struct Recent {
    /// Words are told apart by 128 bits with seeds that nobody outside knows.
    hashers: (RandomState, RandomState),
    /// Empty for one that remembers nothing.
    places: Vec<((u64, u64), u32)>,
    /// The last document and the last author, and of which vocabulary: what comes next is most often of the same.
    names: [Option<(u64, Box<str>, u32)>; 2],
}

/// Three megabytes; a power of two.
const PLACES: usize = 1 << 17;

impl Recent {
    fn of(places: usize) -> Self {
        let places = vec![((0, 0), UNKNOWN); places];
        Self { hashers: Default::default(), places, names: [None, None] }
    }

    /// The number of a word or gap, most often without a look at the vocabulary.
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
        // The low bits of a hash choose the place.
        #[expect(clippy::cast_possible_truncation)]
        let place = &mut self.places[key.0 as usize % PLACES];
        if place.0 != key || place.1 == UNKNOWN {
            *place = (key, look());
        }
        place.1
    }

    /// The numbers of a document and an author.
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
