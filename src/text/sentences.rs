//! Where does a sentence end? Splits a text into sentences; the pieces, joined, are the text.
//!
//! Marks of the end, and the many places where they end nothing: abbreviations, initials, numbers of lists, ellipses,
//! addresses. The words are data (`data/sentences/*.tsv`, one table a language), and users may add their own. Works on the
//! original text; knows nothing of forms.

use std::collections::HashMap;
use std::ops::Range;

use crate::unit::{Lang, is_white_space_code};

use super::TokenKind;
use super::chars::{Chars, Part, is_invisible};
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
    const UNIT: Self = Self(1 << 9);
    const LAST: Self = Self(1 << 10);
    const INSIDE: Self = Self(1 << 11);
    const LEAD: Self = Self(1 << 12);

    const MARKS: [(&'static str, Self); 5] = [
        ("end", Self::END),
        ("stop", Self::STOP),
        ("clause", Self::CLAUSE),
        ("open", Self::OPEN),
        ("close", Self::CLOSE),
    ];
    const WORDS: [(&'static str, Self); 8] = [
        ("title", Self::TITLE),
        ("number", Self::NUMBER),
        ("short", Self::SHORT),
        ("unit", Self::UNIT),
        ("last", Self::LAST),
        ("start", Self::START),
        ("inside", Self::INSIDE),
        ("lead", Self::LEAD),
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
/// What may stand before a number without making a sentence of it.
const LEADS: Kinds = Kinds(Kinds::LEAD.0 | Kinds::INSIDE.0);
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
                "'{name}' is no kind; there are end, stop, clause, open, close, title, number, short, unit, last, start, inside and lead"
            ));
        }
        Ok(())
    }

    /// The sentences of a text, in order, covering it. An empty text has none.
    ///
    /// Characters without a shape (bidirectional controls, joiners, zero widths) are overlooked: they stay with the text
    /// beside them and never decide where a sentence ends.
    pub fn split(&self, text: &str, options: SentenceOptions) -> Vec<Sentence> {
        if !text.contains(is_invisible) {
            return self.split_visible(text, options);
        }
        let visible = Visible::of(text);
        let sentences = self.split_visible(&visible.text, options);
        if sentences.is_empty() {
            // Nothing to be seen, yet the pieces are the text.
            let piece = 0..text.len();
            return vec![Sentence { text: trimmed(text, &piece), piece }];
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
        original.collect()
    }

    fn split_visible(&self, text: &str, options: SentenceOptions) -> Vec<Sentence> {
        Splitter {
            rules: self,
            options,
            text,
            leading: text.len() - text.trim_start().len(),
            start: 0,
            depth: 0,
            next_stop: NextStop { from: 0, stop: 0, closes: false },
            seen: false,
            sentences: Vec::new(),
        }
        .run()
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

struct Splitter<'a> {
    rules: &'a SentenceRules,
    options: SentenceOptions,
    text: &'a str,
    /// White space before the first sentence, in bytes.
    leading: usize,
    /// Where the sentence begins that is being read.
    start: usize,
    /// Round brackets open in it.
    depth: usize,
    next_stop: NextStop,
    /// Whether it holds more than white space and tags.
    seen: bool,
    sentences: Vec<Sentence>,
}

/// Between two places there is neither a round bracket nor a line end; kept, so that no stretch is searched twice.
struct NextStop {
    from: usize,
    /// The first bracket or line end behind, or the end of the text.
    stop: usize,
    /// Whether that is a closing bracket.
    closes: bool,
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
            } else if let Some((kind, length)) = self.placeable(place, character, before) {
                let code = &self.text[place..place + length];
                place += length;
                if kind != TokenKind::Tag {
                    self.seen = true;
                } else if self.seen && ends_line(code) {
                    place += self.space(place);
                    self.cut(place);
                }
            } else {
                self.seen |= !character.is_whitespace();
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
    ) -> Option<(TokenKind, usize)> {
        let may = first.is_ascii() && !first.is_ascii_whitespace();
        if may { placeable(&self.text[place..], before, Numbered::default()) } else { None }
    }

    /// Ends the sentence at `end`, which is behind its white space.
    fn cut(&mut self, end: usize) {
        let text = trimmed(self.text, &(self.start..end));
        if text.is_empty() {
            // White space belongs to what stands before it, or, at the beginning of the text, after it.
            match self.sentences.last_mut() {
                Some(last) => last.piece.end = end,
                None if end < self.text.len() || end == self.start => return,
                None => self.sentences.push(Sentence { piece: self.start..end, text: end..end }),
            }
        } else {
            self.sentences.push(Sentence { piece: self.start..end, text });
        }
        self.start = end;
        self.depth = 0;
        self.seen = false;
    }

    /// Length of the white space at a place, and of the tags in it that stand for white space.
    fn space(&self, place: usize) -> usize {
        let mut end = place;
        while let Some(character) = self.char_at(end) {
            if character.is_whitespace() {
                end += character.len_utf8();
            } else if let '<' | '&' = character
                && let Some((TokenKind::Tag, length)) =
                    placeable(&self.text[end..], None, Numbered::default())
                && (ends_line(&self.text[end..end + length]) || character == '&')
                && is_white_space_code(&self.text[end..end + length])
            {
                end += length;
            } else {
                break;
            }
        }
        end - place
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
        let space = self.space(end);
        let rest = &self.text[end + space..];
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
                && !ends_line(&rest[..length])
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
        let before = &self.text[self.start.max(self.leading)..place];
        let opened = rest.trim_start_matches(|it| self.rules.marks(it).is(Kinds::OPEN));
        let Some(first) = opened.chars().next() else { return true };
        if first.is_lowercase() || rest.starts_with(NEVER_FIRST) {
            return false;
        }
        let ellipsis = mark == "\u{2026}" || mark.len() > 2 && mark.bytes().all(|it| it == b'.');
        if ellipsis {
            // Without upper case there is no telling, and the ellipsis in the middle is the more common.
            return first.is_uppercase();
        }
        !matches!(mark, "." | "..") || self.full_stop_ends(before, opened)
    }

    /// Whether a round bracket is open that closes soon.
    fn in_brackets(&mut self, place: usize) -> bool {
        if self.depth == 0 || self.text[..place].ends_with(')') {
            return false;
        }
        let Some(first) = self.char_at(place) else { return false };
        if first == '(' || is_line_end(first) {
            return false;
        }
        let behind = place + first.len_utf8();
        if !(self.next_stop.from..=self.next_stop.stop).contains(&behind) {
            let mut rest = self.text[behind..].char_indices();
            let stop = rest.find(|(_, it)| matches!(it, '(' | ')') || is_line_end(*it));
            self.next_stop = NextStop {
                from: behind,
                stop: stop.map_or(self.text.len(), |(at, _)| behind + at),
                closes: stop.is_some_and(|(_, it)| it == ')'),
            };
        }
        self.next_stop.closes && self.next_stop.stop - place < BRACKET_BYTES_MAX
    }

    fn full_stop_ends(&self, before: &str, after: &str) -> bool {
        let text = before.trim_start();
        if is_list_number(text) {
            return false;
        }
        if let Some((number_end, unit)) = unit_behind_number(before)
            && self.rules.words(unit).is(Kinds::UNIT)
        {
            return !self.is_lead(&before[..number_end]) && self.begins_sentence(after);
        }
        let word = last_word(before);
        let starts = self.rules.words(first_word(after)).is(Kinds::START)
            && !after.starts_with(char::is_lowercase);
        let digit_follows = after.starts_with(is_digit);
        let mut words = self.rules.words(word);
        if let Some(bare) = word.strip_prefix('\u{648}') {
            // wa- before an abbreviation
            words.add(self.rules.words(bare));
        }
        if words.is(Kinds::TITLE) || words.is(Kinds::NUMBER) && digit_follows {
            return false;
        }
        if words.is(Kinds::LAST) {
            return self.begins_sentence(after);
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

    /// Whether a sentence may begin with what follows an abbreviation that often is the last word of one.
    fn begins_sentence(&self, after: &str) -> bool {
        let word = first_word(after);
        let joined = word.strip_prefix('\u{648}').unwrap_or(word);
        // A number goes on, and so does wa- before one.
        let digit =
            after[joined.as_ptr() as usize - after.as_ptr() as usize..].starts_with(is_digit);
        !digit && !self.rules.words(word).is(Kinds::INSIDE)
    }

    /// Whether a sentence so far is nothing but the time or the measure that it opens with: "in the year 350".
    fn is_lead(&self, before: &str) -> bool {
        let mut words = before.split_whitespace();
        words.all(|word| {
            let bare = word.trim_end_matches([',', '\u{60c}']);
            let joined = bare.strip_prefix('\u{648}').unwrap_or(bare);
            bare.contains(is_digit)
                || [bare, joined].into_iter().any(|it| self.rules.words(it).is(LEADS))
        })
    }
}

/// Whether a tag in a text ends a line: a break, or the end of a block.
fn ends_line(tag: &str) -> bool {
    let name =
        |it: &str| tag.get(1..1 + it.len()).is_some_and(|start| start.eq_ignore_ascii_case(it));
    (tag.starts_with("</") || name("br") || name("hr")) && is_white_space_code(tag)
}

fn is_digit(character: char) -> bool {
    Chars::get().part(character) == Part::Digit
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

/// The letters at the end of a text that stand behind a number, glued to it or behind a space, and where the number ends:
/// a unit, a currency or an era, if it is one.
fn unit_behind_number(text: &str) -> Option<(usize, &str)> {
    // Squares and cubes belong to the unit, degrees to the number.
    let bare = text.trim_end_matches(['\u{b2}', '\u{b3}']);
    let in_unit = |it: char| Chars::get().part(it).is_word() || matches!(it, '.' | '/');
    let unit = bare.char_indices().rev().take(ABBREVIATION_CHARS_MAX + 1);
    let start = unit.take_while(|(_, it)| in_unit(*it)).last()?.0;
    let unit = &bare[start..];
    if unit.chars().count() > ABBREVIATION_CHARS_MAX {
        return None;
    }
    let number = bare[..start].trim_end_matches(char::is_whitespace);
    let number =
        number.trim_end_matches(['\u{b0}', '\u{ba}']).trim_end_matches(char::is_whitespace);
    number.ends_with(is_digit).then_some((number.len(), unit))
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
