//! Where does a sentence end? Splits a text into sentences; the pieces, joined, are the text.
//!
//! Marks of the end, and the many places where they end nothing: abbreviations, initials, numbers of lists, ellipses,
//! addresses. The words are data (`data/sentences/*.tsv`, one table a language), and users may add their own. Works on the
//! original text; knows nothing of forms.

use std::collections::HashMap;
use std::ops::Range;

use crate::unit::Lang;

use super::chars::{Chars, Part};
use super::placeables::{Numbered, placeable};

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

    const MARKS: [(&'static str, Self); 5] = [
        ("end", Self::END),
        ("stop", Self::STOP),
        ("clause", Self::CLAUSE),
        ("open", Self::OPEN),
        ("close", Self::CLOSE),
    ];
    const WORDS: [(&'static str, Self); 4] = [
        ("title", Self::TITLE),
        ("number", Self::NUMBER),
        ("short", Self::SHORT),
        ("start", Self::START),
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

/// What ends sentences whatever the options.
const ENDS: Kinds = Kinds(Kinds::END.0 | Kinds::STOP.0);
/// What never begins a sentence: commas, semicolons, colons, closing brackets.
const NEVER_FIRST: [char; 8] = [',', ';', ':', ')', ']', '}', '\u{60c}', '\u{61b}'];
/// Brackets that are not closed within so many bytes do not keep a sentence together.
const BRACKET_BYTES_MAX: usize = 400;
/// Longest number of an item of a list, with what stands around it.
const LIST_NUMBER_BYTES_MAX: usize = 24;
/// Longest abbreviation that is looked for.
const ABBREVIATION_CHARS_MAX: usize = 16;

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
            self.words.entry(word).or_default().add(kind);
        } else {
            return Err(format!(
                "'{name}' is no kind; there are end, stop, clause, open, close, title, number, short and start"
            ));
        }
        Ok(())
    }

    /// The sentences of a text, in order, covering it. An empty text has none.
    pub fn split(&self, text: &str, options: SentenceOptions) -> Vec<Sentence> {
        Splitter { rules: self, options, text, start: 0, depth: 0, sentences: Vec::new() }.run()
    }

    fn marks(&self, mark: char) -> Kinds {
        self.marks.get(&mark).copied().unwrap_or_default()
    }

    fn words(&self, word: &str) -> Kinds {
        self.words.get(&fold(word)).copied().unwrap_or_default()
    }
}

fn fold(word: &str) -> String {
    let mut folded = String::with_capacity(word.len());
    word.chars().for_each(|it| Chars::get().fold_into(&mut folded, it));
    folded
}

struct Splitter<'a> {
    rules: &'a SentenceRules,
    options: SentenceOptions,
    text: &'a str,
    /// Where the sentence begins that is being read.
    start: usize,
    /// Round brackets open in it.
    depth: usize,
    sentences: Vec<Sentence>,
}

impl Splitter<'_> {
    fn run(mut self) -> Vec<Sentence> {
        let mut ends = ENDS;
        if self.options.semicolons {
            ends.add(Kinds::CLAUSE);
        }
        let mut place = 0;
        let mut before = None;
        while let Some(character) = self.char_at(place) {
            let next = place + character.len_utf8();
            if is_line_end(character) {
                place = self.line_end(place);
            } else if let Some((_, length)) = self.placeable(place, character, before) {
                place += length;
            } else {
                let marks = self.rules.marks(character);
                if marks.is(ends) {
                    place = self.end_mark(place, marks);
                } else {
                    match character {
                        '(' => self.depth += 1,
                        ')' => self.depth = self.depth.saturating_sub(1),
                        _ => {}
                    }
                    place = next;
                }
            }
            before = self.text[..place].chars().next_back();
        }
        self.cut(self.text.len());
        self.sentences
    }

    fn char_at(&self, place: usize) -> Option<char> {
        self.text[place..].chars().next()
    }

    /// Addresses, tags and code hold marks that end nothing.
    fn placeable(
        &self,
        place: usize,
        first: char,
        before: Option<char>,
    ) -> Option<(super::TokenKind, usize)> {
        let may = first.is_ascii() && !first.is_ascii_whitespace();
        if may { placeable(&self.text[place..], before, Numbered::default()) } else { None }
    }

    /// Ends the sentence at `end`, which is behind its white space.
    fn cut(&mut self, end: usize) {
        let piece = &self.text[self.start..end];
        let leading = piece.len() - piece.trim_start().len();
        let trimmed = piece.trim();
        if trimmed.is_empty() {
            // White space belongs to what stands before it, or, at the beginning of the text, after it.
            match self.sentences.last_mut() {
                Some(last) => last.piece.end = end,
                None if end < self.text.len() || end == self.start => return,
                None => self.sentences.push(Sentence { piece: self.start..end, text: end..end }),
            }
        } else {
            let start = self.start + leading;
            let text = start..start + trimmed.len();
            self.sentences.push(Sentence { piece: self.start..end, text });
        }
        self.start = end;
        self.depth = 0;
    }

    /// A line end at `place`: behind the white space that it is part of, with the sentence cut if a paragraph ends.
    fn line_end(&mut self, place: usize) -> usize {
        let rest = &self.text[place..];
        let space = rest.len() - rest.trim_start().len();
        let lines = rest[..space].chars().filter(|it| *it == '\n').count();
        let empty_line = lines > 1 || rest[..space].contains(['\u{c}', '\u{2029}']);
        if !self.options.wrapped_lines || empty_line {
            self.cut(place + space);
        }
        place + space
    }

    /// A mark at `place` that may end the sentence: behind it and what belongs to it, with the sentence cut if it ends.
    fn end_mark(&mut self, place: usize, marks: Kinds) -> usize {
        let run = self.text[place..]
            .chars()
            .take_while(|it| self.rules.marks(*it).is(ENDS))
            .map(char::len_utf8)
            .sum::<usize>();
        let mark_end = place + run.max(self.char_at(place).map_or(0, char::len_utf8));
        let end = self.closing(mark_end);
        let rest = &self.text[end..];
        let space = rest.len() - rest.trim_start().len();
        let rest = rest.trim_start();
        let line_ends = self.text[end..end + space].contains(is_line_end);
        if rest.is_empty() || line_ends && !self.options.wrapped_lines {
            return end;
        }
        let ends = if space == 0 {
            marks.is(Kinds::STOP) || self.ends_without_space(place, mark_end, end)
        } else {
            let clause = !marks.is(ENDS);
            !self.in_brackets(mark_end) && (clause || self.ends(place, mark_end, rest))
        };
        if ends {
            self.cut(end + space);
            return end + space;
        }
        let closed = self.text[mark_end..end].matches(')').count();
        self.depth = self.depth.saturating_sub(closed);
        end
    }

    /// Behind quotes, brackets, notes and end tags that stand right after a mark.
    fn closing(&self, mut place: usize) -> usize {
        while let Some(character) = self.char_at(place) {
            let rest = &self.text[place..];
            if self.rules.marks(character).is(Kinds::CLOSE) {
                place += character.len_utf8();
            } else if character == '[' {
                // A note: `[1]`.
                let digits = rest[1..].bytes().take_while(u8::is_ascii_digit).count();
                if digits == 0 || rest.as_bytes().get(1 + digits) != Some(&b']') {
                    break;
                }
                place += digits + 2;
            } else if rest.starts_with("</")
                && let Some((_, length)) = placeable(rest, None, Numbered::default())
            {
                place += length;
            } else {
                break;
            }
        }
        place
    }

    /// Arabic is often typed without the space after a mark.
    fn ends_without_space(&self, place: usize, mark_end: usize, end: usize) -> bool {
        let arabic = |it: &char| matches!(Chars::get().part(*it), Part::Arabic | Part::Mark);
        let before = self.text[self.start..place].chars().rev().take_while(arabic);
        let after = self.text[end..].chars().take_while(arabic);
        let long = |count: usize| count >= 3;
        mark_end == end && long(before.take(3).count()) && long(after.take(3).count())
    }

    /// Whether the mark at `place..mark_end` ends a sentence; white space and `rest` follow.
    fn ends(&self, place: usize, mark_end: usize, rest: &str) -> bool {
        let mark = &self.text[place..mark_end];
        let before = &self.text[self.start..place];
        let opened = rest.trim_start_matches(|it| self.rules.marks(it).is(Kinds::OPEN));
        let Some(first) = opened.chars().next() else { return true };
        if first.is_lowercase() || rest.starts_with(NEVER_FIRST) {
            return false;
        }
        let ellipsis = mark == "\u{2026}" || mark.len() > 1 && mark.bytes().all(|it| it == b'.');
        if ellipsis {
            // Without upper case there is no telling, and the ellipsis in the middle is the more common.
            return first.is_uppercase();
        }
        mark != "." || self.full_stop_ends(before, opened)
    }

    /// Whether a round bracket is open that closes soon.
    fn in_brackets(&self, place: usize) -> bool {
        if self.depth == 0 || self.text[..place].ends_with(')') {
            return false;
        }
        let rest = &self.text[place..];
        let ahead = rest
            .char_indices()
            .take_while(|(at, it)| *at < BRACKET_BYTES_MAX && !is_line_end(*it) && *it != '(');
        ahead.into_iter().any(|(at, it)| at > 0 && it == ')')
    }

    fn full_stop_ends(&self, before: &str, after: &str) -> bool {
        let word = last_word(before);
        let next = first_word(after);
        let starts = self.rules.words(next).is(Kinds::START)
            && next.chars().next().is_some_and(|it| !it.is_lowercase());
        let text = before.trim_start();
        let digit_follows =
            after.chars().next().is_some_and(|it| Chars::get().part(it) == Part::Digit);
        if is_list_number(text) {
            return false;
        }
        let mut words = self.rules.words(word);
        if let Some(bare) = word.strip_prefix('\u{648}') {
            // wa- before an abbreviation
            words.add(self.rules.words(bare));
        }
        if words.is(Kinds::TITLE) || words.is(Kinds::NUMBER) && digit_follows {
            return false;
        }
        let letters = word.chars().filter(|it| Chars::get().part(*it) != Part::Mark).count();
        let initial = letters == 1
            && word
                .chars()
                .next()
                .is_some_and(|it| it.is_uppercase() || Chars::get().part(it) == Part::Arabic);
        let dotted = word.contains('.') && word.split('.').all(|part| part.chars().count() == 1);
        if words.is(Kinds::SHORT) || dotted {
            return starts;
        }
        !initial
    }
}

fn is_line_end(character: char) -> bool {
    matches!(character, '\n' | '\r' | '\u{b}' | '\u{c}' | '\u{85}' | '\u{2028}' | '\u{2029}')
}

/// The last word of a text, with the full stops in it: `U.S`, `e.g`.
fn last_word(text: &str) -> &str {
    let in_word = |it: char| Chars::get().part(it).is_word() || it == '.' || it == '-';
    let mut start = text.len();
    for (place, character) in text.char_indices().rev().take(ABBREVIATION_CHARS_MAX) {
        if !in_word(character) {
            // Glued to a digit it is part of a number: `2021m.`
            let digit = Chars::get().part(character) == Part::Digit;
            return if digit { "" } else { &text[start..] };
        }
        start = place;
    }
    let word = &text[start..];
    if start == 0 { word } else { "" }
}

/// The first word of a text.
fn first_word(text: &str) -> &str {
    let end = text.find(|it| !Chars::get().part(it).is_word()).unwrap_or(text.len());
    &text[..end]
}

/// Whether a sentence so far is nothing but the number of an item of a list: `1`, `12.3`, `a`, `(2)`, `- 3`.
fn is_list_number(text: &str) -> bool {
    if text.len() > LIST_NUMBER_BYTES_MAX {
        return false;
    }
    let text = text.trim_start_matches(['-', '*', '+', '\u{2022}', '(', '#', '>', ' ', '\t']);
    let text = text.trim_end_matches(')');
    let all_digits = !text.is_empty()
        && text.chars().count() <= 6
        && text.chars().all(|it| Chars::get().part(it) == Part::Digit || it == '.');
    let roman = (1..=4).contains(&text.len())
        && (text.bytes().all(|it| b"ivx".contains(&it))
            || text.bytes().all(|it| b"IVX".contains(&it)));
    let letter = text.chars().count() == 1 && text.chars().all(char::is_alphabetic);
    all_digits || roman || letter
}
