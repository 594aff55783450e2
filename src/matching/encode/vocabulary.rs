//! The vocabulary of a memory: numbers for words, forms, classes, gaps and names, and the texts behind them.
//!
//! A *word* is a token as written (in canonical form), a *form* is what it folds to, a *class* groups forms for
//! search. Equal words have equal forms, equal forms have equal classes. Knows nothing of segments.

use std::io::{self, Read, Write};
use std::sync::atomic::{AtomicU64, Ordering};

use crate::matching::array_codec::{ArrayReader, ArrayWriter, damaged};
use crate::matching::jagged_array::JaggedArray;

use super::form::{Gap, Token};
use super::intern::Interner;

/// The number of what the vocabulary does not hold; it equals no stored number.
pub(crate) const UNKNOWN: u32 = u32::MAX;

/// Numbers of everything that a memory's segments consist of.
#[derive(Debug)]
pub(crate) struct Vocabulary {
    /// Unique within the process, dropped vocabularies included.
    id: u64,
    /// Surfaces, folded texts, classes, gaps, names. The number of a class is that of its text.
    texts: Interner<Box<str>>,
    forms: Interner<FormEntry>,
    words: Interner<WordEntry>,
    gaps: Interner<GapEntry>,
}

/// A folded form.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct FormEntry {
    pub(crate) folded: u32,
    pub(crate) class: u32,
    pub(crate) number_like: bool,
}

/// A token as written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct WordEntry {
    pub(crate) surface: u32,
    pub(crate) form: u32,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
struct GapEntry {
    canonical: u32,
    folded: u32,
}

/// The numbers of one token.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Numbers {
    pub(crate) word: u32,
    pub(crate) form: u32,
    pub(crate) class: u32,
}

/// Number of the empty gap, which most segments begin with.
pub(crate) const GAP_EMPTY: u32 = 0;
/// Number of the gap that is one space, which is between most words.
pub(crate) const GAP_SPACE: u32 = 1;
/// The usual gaps by number; white space folds to nothing.
const USUAL_GAPS: [Gap<'_>; 2] =
    [Gap { canonical: "", folded: "" }, Gap { canonical: " ", folded: "" }];

fn usual_gap(gap: Gap<'_>) -> Option<u32> {
    USUAL_GAPS.iter().zip([GAP_EMPTY, GAP_SPACE]).find(|(usual, _)| **usual == gap).map(|it| it.1)
}

impl Default for Vocabulary {
    fn default() -> Self {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        Self {
            id: NEXT.fetch_add(1, Ordering::Relaxed),
            texts: Interner::default(),
            forms: Interner::default(),
            words: Interner::default(),
            gaps: Interner::default(),
        }
    }
}

impl Vocabulary {
    /// Unique within the process.
    pub(crate) fn id(&self) -> u64 {
        self.id
    }

    /// Creates a vocabulary that holds the usual gaps under their fixed numbers.
    pub(crate) fn new() -> Self {
        let vocabulary = Self::default();
        for (gap, number) in USUAL_GAPS.iter().zip(0..) {
            let texts = (vocabulary.intern_text(gap.canonical), vocabulary.intern_text(gap.folded));
            let entry = GapEntry { canonical: texts.0, folded: texts.1 };
            let given = vocabulary.gaps.intern(&entry, |&entry| entry);
            debug_assert_eq!(given, number);
        }
        vocabulary
    }

    /// Interns a text: a document, an author, a class.
    pub(crate) fn intern_text(&self, text: &str) -> u32 {
        self.texts.intern(text, |text| text.into())
    }

    /// Interns a word.
    pub(crate) fn intern_word(&self, token: Token<'_>) -> u32 {
        let surface = self.intern_text(token.surface);
        // Equal texts are looked up once.
        let same = |text: &str, other: &str, number: u32| {
            if text == other { number } else { self.intern_text(text) }
        };
        let folded = same(token.folded, token.surface, surface);
        let class = same(token.class, token.folded, folded);
        let entry = FormEntry { folded, class, number_like: token.number_like };
        let form = self.forms.intern(&entry, |&entry| entry);
        self.words.intern(&WordEntry { surface, form }, |&entry| entry)
    }

    pub(crate) fn intern_gap(&self, gap: Gap<'_>) -> u32 {
        if let Some(usual) = usual_gap(gap) {
            return usual;
        }
        let entry = GapEntry {
            canonical: self.intern_text(gap.canonical),
            folded: self.intern_text(gap.folded),
        };
        self.gaps.intern(&entry, |&entry| entry)
    }

    /// Looks up a token of a query; [`UNKNOWN`] for what no stored segment has.
    pub(crate) fn find(&self, token: Token<'_>) -> Numbers {
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

    pub(crate) fn find_text(&self, text: &str) -> Option<u32> {
        self.texts.find(text)
    }

    pub(crate) fn find_gap(&self, gap: Gap<'_>) -> u32 {
        if let Some(usual) = usual_gap(gap) {
            return usual;
        }
        let texts = || Some((self.find_text(gap.canonical)?, self.find_text(gap.folded)?));
        let entry = texts().map(|(canonical, folded)| GapEntry { canonical, folded });
        entry.and_then(|entry| self.gaps.find(&entry)).unwrap_or(UNKNOWN)
    }

    /// The numbers of a stored word.
    #[inline]
    pub(crate) fn numbers(&self, word: u32) -> Numbers {
        let form = self.words.get(word).map_or(UNKNOWN, |entry| entry.form);
        let class = self.forms.get(form).map_or(UNKNOWN, |entry| entry.class);
        Numbers { word, form, class }
    }

    pub(crate) fn text(&self, text: u32) -> &str {
        self.texts.get(text).map_or("", AsRef::as_ref)
    }

    /// The surface of a stored word.
    pub(crate) fn surface(&self, word: u32) -> &str {
        self.words.get(word).map_or("", |entry| self.text(entry.surface))
    }

    /// The canonical text of a stored gap and its folded form.
    pub(crate) fn gap(&self, gap: u32) -> Gap<'_> {
        let entry = self.gaps.get(gap);
        Gap {
            canonical: entry.map_or("", |entry| self.text(entry.canonical)),
            folded: entry.map_or("", |entry| self.text(entry.folded)),
        }
    }

    /// Whether a stored form is a number or the like.
    pub(crate) fn is_number_like(&self, form: u32) -> bool {
        self.forms.get(form).is_some_and(|entry| entry.number_like)
    }

    /// The folded text of a stored form, and whether it is a number or the like.
    pub(crate) fn folded_form(&self, form: u32) -> (&str, bool) {
        self.forms
            .get(form)
            .map_or(("", false), |entry| (self.text(entry.folded), entry.number_like))
    }

    /// Writes all numbers assigned so far, and perhaps some that are assigned meanwhile.
    pub(crate) fn write(&self, out: &mut ArrayWriter<impl Write>) -> io::Result<()> {
        // What refers is written before what it refers to, so that everything that is referred to is written.
        out.array(&self.words.values(|entry| (entry.surface, entry.form)))?;
        out.array(
            &self.forms.values(|entry| ((entry.folded, entry.class), u8::from(entry.number_like))),
        )?;
        out.array(&self.gaps.values(|entry| (entry.canonical, entry.folded)))?;
        let mut texts = JaggedArray::default();
        for number in 0..self.texts.len() {
            texts.push(self.text(number).as_bytes());
        }
        texts.write(out)
    }

    pub(crate) fn read(input: &mut ArrayReader<impl Read>) -> io::Result<Self> {
        let words: Vec<(u32, u32)> = input.array()?;
        let forms: Vec<((u32, u32), u8)> = input.array()?;
        let gaps: Vec<(u32, u32)> = input.array()?;
        let texts = JaggedArray::<u8>::read(input)?;
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

    /// Number of words.
    pub(crate) fn words_len(&self) -> u32 {
        self.words.len()
    }

    /// The numbers of the folded text and of the class of a word.
    pub(crate) fn texts_of(&self, word: u32) -> (u32, u32) {
        let form = self.words.get(word).and_then(|entry| self.forms.get(entry.form));
        form.map_or((UNKNOWN, UNKNOWN), |form| (form.folded, form.class))
    }
}
