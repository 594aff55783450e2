//! The sentence rules of a language: which marks end a sentence, and which words keep it from ending.
//!
//! Marks end nothing after abbreviations and initials, in list numbers, ellipses and addresses. The words are data
//! (`data/sentences/*.tsv`), and users may add their own.

use std::collections::{HashMap, HashSet};

use crate::text::chars::{Chars, Part};
use crate::unit::Lang;

const COMMON: &str = include_str!("../data/sentences/common.tsv");
/// Tables by language. Texts in other scripts contain English names and abbreviations too.
const LANGUAGES: [(&str, &str); 2] = [
    ("ar", include_str!("../data/sentences/ar.tsv")),
    ("en", include_str!("../data/sentences/en.tsv")),
];

/// The languages that have a table.
pub(in crate::text) fn languages() -> impl Iterator<Item = &'static str> {
    LANGUAGES.iter().map(|(language, _)| *language)
}

/// An invalid row in a table of sentence rules.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("line {line}: {message}")]
pub struct RuleError {
    /// Line number, from 1.
    pub line: usize,
    /// What is wrong with the row.
    pub message: String,
}

/// What the marks and words of a language mean for the end of a sentence.
#[derive(Debug, Clone, Default)]
pub struct SentenceRules {
    marks: HashMap<char, Kinds>,
    /// By folded text, without a final full stop.
    words: HashMap<String, Kinds>,
    /// Words that open a clause, as spelled but without marks: only hamza may distinguish them from other words.
    openers: HashSet<String>,
}

/// Kinds of a mark or word, as a set.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Kinds(pub(super) u16);

impl Kinds {
    pub(super) const END: Self = Self(1);
    pub(super) const STOP: Self = Self(1 << 1);
    pub(super) const CLAUSE: Self = Self(1 << 2);
    pub(super) const OPEN: Self = Self(1 << 3);
    pub(super) const CLOSE: Self = Self(1 << 4);
    pub(super) const TITLE: Self = Self(1 << 5);
    pub(super) const NUMBER: Self = Self(1 << 6);
    pub(super) const SHORT: Self = Self(1 << 7);
    pub(super) const START: Self = Self(1 << 8);
    pub(super) const UNIT: Self = Self(1 << 9);
    pub(super) const LAST: Self = Self(1 << 10);
    pub(super) const INSIDE: Self = Self(1 << 11);
    pub(super) const LEAD: Self = Self(1 << 12);
    pub(super) const OPENER: Self = Self(1 << 13);

    const MARKS: [(&'static str, Self); 5] = [
        ("end", Self::END),
        ("stop", Self::STOP),
        ("clause", Self::CLAUSE),
        ("open", Self::OPEN),
        ("close", Self::CLOSE),
    ];
    const WORDS: [(&'static str, Self); 9] = [
        ("title", Self::TITLE),
        ("number", Self::NUMBER),
        ("short", Self::SHORT),
        ("unit", Self::UNIT),
        ("last", Self::LAST),
        ("start", Self::START),
        ("inside", Self::INSIDE),
        ("lead", Self::LEAD),
        ("opener", Self::OPENER),
    ];

    /// Whether it has at least one of the others.
    pub(super) fn is(self, others: Self) -> bool {
        self.0 & others.0 != 0
    }

    pub(super) fn add(&mut self, others: Self) {
        self.0 |= others.0;
    }
}

fn by_name(kinds: &[(&str, Kinds)], name: &str) -> Option<Kinds> {
    kinds.iter().find(|(it, _)| *it == name).map(|(_, kind)| *kind)
}

impl SentenceRules {
    /// The rules of a language; languages without a table get the common rules.
    pub fn new(lang: &Lang) -> Self {
        let mut rules = Self::default();
        let own = LANGUAGES.iter().filter(|(name, _)| *name == lang.primary());
        let english = LANGUAGES.iter().filter(|(name, _)| *name == "en" && lang.primary() != "en");
        let tables = own.chain(english).map(|(_, table)| *table);
        for table in std::iter::once(COMMON).chain(tables) {
            // A test checks the built-in tables.
            let _ = rules.add(table);
        }
        rules
    }

    /// Adds the rows of a table: kind, tab, text, and optionally a tab and a comment. Lines that begin with `#` are
    /// comments.
    ///
    /// # Errors
    ///
    /// The first invalid row; the rows before it are in force.
    pub fn add(&mut self, table: &str) -> Result<(), RuleError> {
        for (line, row) in table.lines().enumerate() {
            if row.trim().is_empty() || row.starts_with('#') {
                continue;
            }
            let fault = |message: String| RuleError { line: line + 1, message };
            let mut columns = row.split('\t').map(str::trim);
            let (Some(kind), Some(text)) = (columns.next(), columns.next()) else {
                return Err(fault("a kind, a tab and a text are expected".into()));
            };
            self.add_row(kind, text).map_err(fault)?;
        }
        Ok(())
    }

    fn add_row(&mut self, name: &str, text: &str) -> Result<(), String> {
        if let Some(kind) = by_name(&Kinds::MARKS, name) {
            let mut characters = text.chars();
            let (Some(mark), None) = (characters.next(), characters.next()) else {
                return Err(format!("'{text}' is not one character, as kind '{name}' has it"));
            };
            self.marks.entry(mark).or_default().add(kind);
        } else if let Some(kind) = by_name(&Kinds::WORDS, name) {
            let word = fold(text.trim_end_matches('.'));
            if word.is_empty() {
                return Err("the text is empty".into());
            }
            if kind.is(Kinds::OPENER) {
                self.openers.insert(without_marks(text));
            } else {
                self.words.entry(word).or_default().add(kind);
            }
        } else {
            return Err(format!(
                "'{name}' is no kind; there are end, stop, clause, open, close, title, number, short, unit, last, start, inside, lead and opener"
            ));
        }
        Ok(())
    }

    pub(super) fn marks(&self, mark: char) -> Kinds {
        self.marks.get(&mark).copied().unwrap_or_default()
    }

    pub(super) fn words(&self, word: &str) -> Kinds {
        self.words.get(&fold(word)).copied().unwrap_or_default()
    }

    pub(super) fn is_opener(&self, word: &str) -> bool {
        !self.openers.is_empty() && self.openers.contains(&without_marks(word))
    }
}

fn without_marks(word: &str) -> String {
    word.chars().filter(|&it| Chars::get().part(it) != Part::Mark).collect()
}

fn fold(word: &str) -> String {
    let mut folded = String::with_capacity(word.len());
    word.chars().for_each(|it| Chars::get().fold_into(&mut folded, it));
    folded
}
