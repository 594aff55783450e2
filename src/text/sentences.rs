//! Where does a sentence end? Splits a text into sentences; the pieces, joined, are the text.
//!
//! Marks of the end, and the many places where they end nothing: abbreviations, initials, numbers of lists, ellipses,
//! addresses. The words are data (`data/sentences/*.tsv`, one table a language), and users may add their own. Works on the
//! original text; knows nothing of forms.

mod splitter;

use std::collections::{HashMap, HashSet};
use std::ops::Range;

use crate::unit::Lang;

use super::chars::{Chars, Part, is_invisible};
use splitter::Splitter;

const COMMON: &str = include_str!("data/sentences/common.tsv");
/// Tables by language; texts in a language of another script hold English names and abbreviations too.
const LANGUAGES: [(&str, &str); 2] =
    [("ar", include_str!("data/sentences/ar.tsv")), ("en", include_str!("data/sentences/en.tsv"))];

/// A sentence of a text, in bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sentence {
    /// The sentence with the white space after it, and before it at the beginning of the text: these pieces, joined, are the
    /// whole text.
    pub piece: Range<usize>,
    /// The sentence alone; empty only when the whole text is white space.
    pub text: Range<usize>,
}

/// How to split.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct SentenceOptions {
    /// Semicolons end sentences too.
    pub semicolons: bool,
    /// Lines are wrapped: only an empty line ends a paragraph. Otherwise every line end does.
    pub wrapped_lines: bool,
}

/// A row of a table of sentence rules that is none.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("line {line}: {message}")]
pub struct RuleError {
    /// Counted from 1.
    pub line: usize,
    /// What is wrong with it.
    pub message: String,
}

/// What the marks and words of a language mean at the end of a sentence.
#[derive(Debug, Clone, Default)]
pub struct SentenceRules {
    marks: HashMap<char, Kinds>,
    /// By folded text, without the last full stop.
    words: HashMap<String, Kinds>,
    /// Words that open a clause, as they are spelled but without marks: hamza alone may tell them from other words.
    openers: HashSet<String>,
}

/// What a mark or a word may be: a set of the kinds of the tables.
#[derive(Debug, Clone, Copy, Default)]
struct Kinds(u16);

impl Kinds {
    const END: Self = Self(1);
    const STOP: Self = Self(1 << 1);
    const CLAUSE: Self = Self(1 << 2);
    const OPEN: Self = Self(1 << 3);
    const CLOSE: Self = Self(1 << 4);
    const TITLE: Self = Self(1 << 5);
    const NUMBER: Self = Self(1 << 6);
    const SHORT: Self = Self(1 << 7);
    const START: Self = Self(1 << 8);
    const UNIT: Self = Self(1 << 9);
    const LAST: Self = Self(1 << 10);
    const INSIDE: Self = Self(1 << 11);
    const LEAD: Self = Self(1 << 12);
    const OPENER: Self = Self(1 << 13);

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

    /// Whether it is at least one of the others.
    fn is(self, others: Self) -> bool {
        self.0 & others.0 != 0
    }

    fn add(&mut self, others: Self) {
        self.0 |= others.0;
    }
}

fn by_name(kinds: &[(&str, Kinds)], name: &str) -> Option<Kinds> {
    kinds.iter().find(|(it, _)| *it == name).map(|(_, kind)| *kind)
}

impl SentenceRules {
    /// The rules for a language. One without a table of its own gets what all share.
    pub fn new(lang: &Lang) -> Self {
        let mut rules = Self::default();
        let own = LANGUAGES.iter().filter(|(name, _)| *name == lang.primary());
        let english = LANGUAGES.iter().filter(|(name, _)| *name == "en" && lang.primary() != "en");
        let tables = own.chain(english).map(|(_, table)| *table);
        for table in std::iter::once(COMMON).chain(tables) {
            // The tables of the project are checked by a test.
            let _ = rules.add(table);
        }
        rules
    }

    /// Adds the rows of a table: kind, tab, text, and by choice a tab and a remark. `#` begins a remark.
    ///
    /// # Errors
    /// The first row that is none; those before it are in force.
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

    /// The sentences of a text, in order, covering it. An empty text has none.
    ///
    /// Characters without a shape (bidirectional controls, joiners, zero widths) are overlooked: they stay with the text
    /// beside them and never decide where a sentence ends.
    pub fn split(&self, text: &str, options: SentenceOptions) -> Vec<Sentence> {
        self.split_unless(text, options, &|| false).unwrap_or_default()
    }

    /// The same of a long text; `None` soon after `stop`, which is asked again and again, says so.
    pub fn split_unless(
        &self,
        text: &str,
        options: SentenceOptions,
        stop: &dyn Fn() -> bool,
    ) -> Option<Vec<Sentence>> {
        if !text.contains(is_invisible) {
            return Splitter::new(self, text, options).run(stop);
        }
        let visible = Visible::of(text);
        let sentences = Splitter::new(self, &visible.text, options).run(stop)?;
        if sentences.is_empty() {
            // Nothing to be seen, yet the pieces are the text.
            let piece = 0..text.len();
            return Some(vec![Sentence { text: trimmed(text, &piece), piece }]);
        }
        let mut start = 0;
        let last = sentences.len() - 1;
        let original = sentences.iter().enumerate().map(|(number, sentence)| {
            let end = if number == last {
                text.len()
            } else {
                visible.original(text, sentence.piece.end)
            };
            let piece = std::mem::replace(&mut start, end)..end;
            Sentence { text: trimmed(text, &piece), piece }
        });
        Some(original.collect())
    }

    fn marks(&self, mark: char) -> Kinds {
        self.marks.get(&mark).copied().unwrap_or_default()
    }

    fn words(&self, word: &str) -> Kinds {
        self.words.get(&fold(word)).copied().unwrap_or_default()
    }

    fn is_opener(&self, word: &str) -> bool {
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

/// A text without its invisible characters.
struct Visible {
    text: String,
    /// Where such characters were left out: the place in `text`, and in the original the first byte after them.
    skipped: Vec<(usize, usize)>,
}

impl Visible {
    fn of(original: &str) -> Self {
        let mut visible = Self { text: String::with_capacity(original.len()), skipped: Vec::new() };
        for (place, character) in original.char_indices() {
            if is_invisible(character) {
                let place = (visible.text.len(), place + character.len_utf8());
                visible.skipped.push(place);
            } else {
                visible.text.push(character);
            }
        }
        visible
    }

    /// The place in the original of a boundary: what ends an embedding stays with the text before it, and so do marks of
    /// direction that touch it; what begins one goes with the text after it.
    fn original(&self, original: &str, boundary: usize) -> usize {
        let before = self.skipped.partition_point(|(place, _)| *place < boundary);
        let mut end = match before.checked_sub(1).map(|last| self.skipped[last]) {
            Some((place, end)) => end + (boundary - place),
            None => boundary,
        };
        let touches = !original[..end].ends_with(char::is_whitespace);
        for character in original[end..].chars().take_while(|it| is_invisible(*it)) {
            let begins = matches!(
                character,
                '\u{202a}' | '\u{202b}' | '\u{202d}' | '\u{202e}' | '\u{2066}'..='\u{2068}'
            );
            let ends = matches!(character, '\u{202c}' | '\u{2069}');
            if begins || !ends && !touches {
                break;
            }
            end += character.len_utf8();
        }
        end
    }
}

/// A piece of a text without the white space around it.
fn trimmed(text: &str, piece: &Range<usize>) -> Range<usize> {
    let whole = &text[piece.clone()];
    let start = piece.start + (whole.len() - whole.trim_start().len());
    start..start + whole.trim().len()
}
