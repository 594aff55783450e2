//! Which numbers stand for the words of a memory? Texts are compared by them; the texts themselves are kept once.
//!
//! A *word* is a token as it is written (in canonical form), a *form* is what it folds to, a *class* is what it is found
//! by. Equal words have equal forms, equal forms have equal classes. Knows nothing of segments.

use std::hash::BuildHasher as _;
use std::io::{self, Read, Write};

use foldhash::fast::RandomState;

use crate::text::TokenKind;

use super::checkpoint::{read_lists, write_lists};
use super::concordance::Side;
use super::form::{Gap, Token, same_class_cost};
use super::intern::Interner;
use super::lists::Lists;
use super::plain::{PlainReader, PlainWriter, damaged};

/// The number of what is not in the vocabulary: it equals nothing that is stored.
pub(super) const UNKNOWN: u32 = u32::MAX;

/// Words that came lately and their numbers, for one thread that numbers many segments of one vocabulary: it stays in the
/// caches of a core, which the tables of a large vocabulary do not.
#[derive(Debug)]
pub(super) struct RecentWords {
    /// Words are told apart by 128 bits with seeds that nobody outside knows.
    hashers: (RandomState, RandomState),
    places: Vec<((u64, u64), u32)>,
    /// The last document and the last author: what comes next is most often of the same.
    names: [Option<(Box<str>, u32)>; 2],
}

/// Three megabytes; a power of two.
const RECENT_WORDS: usize = 1 << 17;

impl Default for RecentWords {
    fn default() -> Self {
        Self {
            hashers: (RandomState::default(), RandomState::default()),
            places: vec![((0, 0), UNKNOWN); RECENT_WORDS],
            names: [None, None],
        }
    }
}

/// What tells a word, or a gap, from all others of a memory.
#[derive(Hash)]
pub(super) enum RecentKey<'a> {
    /// As it is written, in a text of one side.
    Word(&'a str, TokenKind, Side),
    /// In canonical form.
    Gap(&'a str),
    /// With all its forms.
    Token(Token<'a>),
}

impl RecentWords {
    /// The number of a word or gap, most often without a look at the vocabulary.
    pub(super) fn number(&mut self, key: &RecentKey<'_>, look: impl FnOnce() -> u32) -> u32 {
        let key = (self.hashers.0.hash_one(key), self.hashers.1.hash_one(key));
        // The low bits of a hash choose the place.
        #[expect(clippy::cast_possible_truncation)]
        let place = &mut self.places[key.0 as usize % RECENT_WORDS];
        if place.0 != key || place.1 == UNKNOWN {
            *place = (key, look());
        }
        place.1
    }
}

/// Everything that a memory's segments are made of.
#[derive(Debug, Default)]
pub(super) struct Vocabulary {
    /// Surfaces, folded texts, classes, gaps, names. The number of a class is that of its text.
    texts: Interner<Box<str>>,
    forms: Interner<FormEntry>,
    words: Interner<WordEntry>,
    gaps: Interner<GapEntry>,
}

/// What a token folds to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct FormEntry {
    pub(super) folded: u32,
    pub(super) class: u32,
    pub(super) number_like: bool,
}

/// A token as it is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct WordEntry {
    pub(super) surface: u32,
    pub(super) form: u32,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
struct GapEntry {
    canonical: u32,
    folded: u32,
}

/// The numbers of one token.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Numbers {
    pub(super) word: u32,
    pub(super) form: u32,
    pub(super) class: u32,
}

/// Gap number of the empty string: what most segments begin with.
pub(super) const GAP_EMPTY: u32 = 0;
/// Gap number of one space: what stands between most words.
pub(super) const GAP_SPACE: u32 = 1;
/// The gaps of these numbers; white space folds to nothing.
const USUAL_GAPS: [Gap<'_>; 2] =
    [Gap { canonical: "", folded: "" }, Gap { canonical: " ", folded: "" }];

fn usual_gap(gap: Gap<'_>) -> Option<u32> {
    USUAL_GAPS.iter().zip([GAP_EMPTY, GAP_SPACE]).find(|(usual, _)| **usual == gap).map(|it| it.1)
}

impl Vocabulary {
    /// One with the usual gaps, so that their numbers are known.
    pub(super) fn new() -> Self {
        let vocabulary = Self::default();
        for (gap, number) in USUAL_GAPS.iter().zip(0..) {
            let texts = (vocabulary.intern_text(gap.canonical), vocabulary.intern_text(gap.folded));
            let entry = GapEntry { canonical: texts.0, folded: texts.1 };
            let given = vocabulary.gaps.intern(&entry, |&entry| entry);
            debug_assert_eq!(given, number);
        }
        vocabulary
    }

    /// The number of a text: of a document, an author, a class.
    pub(super) fn intern_text(&self, text: &str) -> u32 {
        self.texts.intern(text, |text| text.into())
    }

    /// The number of a word.
    pub(super) fn intern_word(&self, token: Token<'_>) -> u32 {
        let surface = self.intern_text(token.surface);
        // The same text is not looked for twice.
        let same = |text: &str, other: &str, number: u32| {
            if text == other { number } else { self.intern_text(text) }
        };
        let folded = same(token.folded, token.surface, surface);
        let class = same(token.class, token.folded, folded);
        let entry = FormEntry { folded, class, number_like: token.number_like };
        let form = self.forms.intern(&entry, |&entry| entry);
        self.words.intern(&WordEntry { surface, form }, |&entry| entry)
    }

    /// The numbers of a document and an author.
    pub(super) fn intern_names(&self, names: [&str; 2], recent: &mut RecentWords) -> [u32; 2] {
        let mut numbers = [0; 2];
        for ((name, last), number) in names.into_iter().zip(&mut recent.names).zip(&mut numbers) {
            *number = match last {
                Some((text, number)) if **text == *name => *number,
                _ => last.insert((name.into(), self.intern_text(name))).1,
            };
        }
        numbers
    }

    pub(super) fn intern_gap(&self, gap: Gap<'_>) -> u32 {
        if let Some(usual) = usual_gap(gap) {
            return usual;
        }
        let entry = GapEntry {
            canonical: self.intern_text(gap.canonical),
            folded: self.intern_text(gap.folded),
        };
        self.gaps.intern(&entry, |&entry| entry)
    }

    /// The numbers of a token of a query: [`UNKNOWN`] for what no stored segment has.
    pub(super) fn find(&self, token: Token<'_>) -> Numbers {
        let mut numbers = Numbers { word: UNKNOWN, form: UNKNOWN, class: UNKNOWN };
        let text = |text: &str| self.texts.find(text);
        let Some(class) = text(token.class) else {
            return numbers;
        };
        numbers.class = class;
        let folded = if token.folded == token.class { Some(class) } else { text(token.folded) };
        let Some(folded) = folded else { return numbers };
        let entry = FormEntry { folded, class, number_like: token.number_like };
        let Some(form) = self.forms.find(&entry) else {
            return numbers;
        };
        numbers.form = form;
        let surface =
            if token.surface == token.folded { Some(folded) } else { text(token.surface) };
        let Some(surface) = surface else {
            return numbers;
        };
        numbers.word = self.words.find(&WordEntry { surface, form }).unwrap_or(UNKNOWN);
        numbers
    }

    pub(super) fn find_text(&self, text: &str) -> Option<u32> {
        self.texts.find(text)
    }

    pub(super) fn find_gap(&self, gap: Gap<'_>) -> u32 {
        if let Some(usual) = usual_gap(gap) {
            return usual;
        }
        let texts = || Some((self.find_text(gap.canonical)?, self.find_text(gap.folded)?));
        let entry = texts().map(|(canonical, folded)| GapEntry { canonical, folded });
        entry.and_then(|entry| self.gaps.find(&entry)).unwrap_or(UNKNOWN)
    }

    /// The numbers of a stored word.
    #[inline]
    pub(super) fn numbers(&self, word: u32) -> Numbers {
        let form = self.words.get(word).map_or(UNKNOWN, |entry| entry.form);
        let class = self.forms.get(form).map_or(UNKNOWN, |entry| entry.class);
        Numbers { word, form, class }
    }

    pub(super) fn text(&self, text: u32) -> &str {
        self.texts.get(text).map_or("", AsRef::as_ref)
    }

    /// The surface of a stored word.
    pub(super) fn surface(&self, word: u32) -> &str {
        self.words.get(word).map_or("", |entry| self.text(entry.surface))
    }

    /// The canonical text of a stored gap and its folded form.
    pub(super) fn gap(&self, gap: u32) -> Gap<'_> {
        let entry = self.gaps.get(gap);
        Gap {
            canonical: entry.map_or("", |entry| self.text(entry.canonical)),
            folded: entry.map_or("", |entry| self.text(entry.folded)),
        }
    }

    /// What a token costs in place of a stored form of its class that is not its own.
    pub(super) fn same_class_cost(&self, token: Token<'_>, form: u32) -> u32 {
        let stored = self
            .forms
            .get(form)
            .map_or(("", false), |entry| (self.text(entry.folded), entry.number_like));
        same_class_cost((token.folded, token.number_like), stored)
    }

    /// Writes every number that was given out so far, and perhaps some that are given out meanwhile.
    pub(super) fn write(&self, out: &mut PlainWriter<impl Write>) -> io::Result<()> {
        // From what refers to what is referred to: whatever is written later covers what was written before.
        out.array(&self.words.values(|entry| (entry.surface, entry.form)))?;
        out.array(
            &self.forms.values(|entry| ((entry.folded, entry.class), u8::from(entry.number_like))),
        )?;
        out.array(&self.gaps.values(|entry| (entry.canonical, entry.folded)))?;
        let mut texts = Lists::default();
        for number in 0..self.texts.len() {
            texts.push(self.text(number).as_bytes());
        }
        write_lists(&texts, out)
    }

    pub(super) fn read(input: &mut PlainReader<impl Read>) -> io::Result<Self> {
        let words: Vec<(u32, u32)> = input.array()?;
        let forms: Vec<((u32, u32), u8)> = input.array()?;
        let gaps: Vec<(u32, u32)> = input.array()?;
        let texts: Lists<u8> = read_lists(input)?;
        let vocabulary = Self::default();
        let mut unique = true;
        for (place, number) in (0..texts.len()).zip(0..) {
            let text = std::str::from_utf8(texts.get(place));
            let text = text.map_err(|_| damaged("a word that is no text"))?;
            unique &= vocabulary.intern_text(text) == number;
        }
        for (((folded, class), number_like), number) in forms.into_iter().zip(0..) {
            let entry = FormEntry { folded, class, number_like: number_like != 0 };
            unique &= vocabulary.forms.intern(&entry, |&entry| entry) == number;
        }
        for ((surface, form), number) in words.into_iter().zip(0..) {
            let entry = WordEntry { surface, form };
            unique &= vocabulary.words.intern(&entry, |&entry| entry) == number;
        }
        for ((canonical, folded), number) in gaps.into_iter().zip(0..) {
            let entry = GapEntry { canonical, folded };
            unique &= vocabulary.gaps.intern(&entry, |&entry| entry) == number;
        }
        let usual = USUAL_GAPS.iter().zip(0..).all(|(gap, number)| vocabulary.gap(number) == *gap);
        if unique && usual {
            return Ok(vocabulary);
        }
        Err(damaged("a vocabulary with two numbers for one word"))
    }

    /// How many words there are.
    pub(super) fn words_len(&self) -> u32 {
        self.words.len()
    }

    /// The folded text and the class of a word.
    pub(super) fn texts_of(&self, word: u32) -> (u32, u32) {
        let form = self.words.get(word).and_then(|entry| self.forms.get(entry.form));
        form.map_or((UNKNOWN, UNKNOWN), |form| (form.folded, form.class))
    }
}
