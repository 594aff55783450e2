//! Splits one text in a single pass: decides for each mark whether it ends a sentence.

use crate::text::chars::{Chars, Part};
use crate::text::kinds::TokenKind;
use crate::text::placeables::{Numbered, placeable};
use crate::unit::is_white_space_code;

use super::rules::{Kinds, SentenceRules};
use super::sentence::{Sentence, SentenceOptions, trimmed};

/// Kinds that end sentences with any options.
const ENDS: Kinds = Kinds(Kinds::END.0 | Kinds::STOP.0);
/// Kinds of words that may precede a number without making it a sentence.
const LEADS: Kinds = Kinds(Kinds::LEAD.0 | Kinds::INSIDE.0);
/// Characters that never begin a sentence: commas, semicolons, colons, closing brackets.
const NEVER_FIRST: [char; 8] = [',', ';', ':', ')', ']', '}', '\u{60c}', '\u{61b}'];
/// Brackets that are not closed within so many bytes do not keep a sentence together.
const BRACKET_BYTES_MAX: usize = 400;
/// Longest list number, with what is around it.
const LIST_NUMBER_BYTES_MAX: usize = 24;
/// Longest time or measure that opens a sentence, in bytes. Without a limit, each full stop of an endless sentence
/// would read all text before it.
const LEAD_BYTES_MAX: usize = 160;
/// Longest abbreviation.
const ABBREVIATION_CHARS_MAX: usize = 16;

/// Bytes between two checks for cancellation: some milliseconds.
const BYTES_PER_LOOK: usize = 64 * 1024;

/// Reads a text from left to right.
pub(super) struct Splitter<'a> {
    rules: &'a SentenceRules,
    options: SentenceOptions,
    text: &'a str,
    /// White space before the first sentence, in bytes.
    leading: usize,
    /// Start of the current sentence.
    start: usize,
    /// Open round brackets in it.
    depth: usize,
    next_stop: NextStop,
    /// Whether it holds more than white space and tags.
    seen: bool,
    sentences: Vec<Sentence>,
}

/// A range without round brackets and line ends, cached so that no text is searched twice.
struct NextStop {
    from: usize,
    /// The next bracket or line end, or the end of the text.
    stop: usize,
    /// Whether that is a closing bracket.
    closes: bool,
}

impl<'a> Splitter<'a> {
    pub(super) fn new(rules: &'a SentenceRules, text: &'a str, options: SentenceOptions) -> Self {
        Self {
            rules,
            options,
            text,
            leading: text.len() - text.trim_start().len(),
            start: 0,
            depth: 0,
            next_stop: NextStop { from: 0, stop: 0, closes: false },
            seen: false,
            sentences: Vec::new(),
        }
    }

    /// Returns the sentences; `None` soon after `stop` returns true.
    pub(super) fn run(mut self, stop: &dyn Fn() -> bool) -> Option<Vec<Sentence>> {
        let mut ends = ENDS;
        if self.options.semicolons {
            ends.add(Kinds::CLAUSE);
        }
        let (mut place, mut look_at) = (0, 0);
        let mut before = None;
        while let Some(character) = self.char_at(place) {
            if place >= look_at {
                if stop() {
                    return None;
                }
                look_at = place + BYTES_PER_LOOK;
            }
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
        Some(self.sentences)
    }

    fn char_at(&self, place: usize) -> Option<char> {
        self.text[place..].chars().next()
    }

    /// Addresses, tags and code contain marks that end nothing.
    fn placeable(
        &self,
        place: usize,
        first: char,
        before: Option<char>,
    ) -> Option<(TokenKind, usize)> {
        let may = first.is_ascii() && !first.is_ascii_whitespace();
        if may { placeable(&self.text[place..], before, Numbered::default()) } else { None }
    }

    /// Ends the sentence at `end`, after its white space.
    fn cut(&mut self, end: usize) {
        let text = trimmed(self.text, &(self.start..end));
        if text.is_empty() {
            // White space belongs to the sentence before it, or, at the start of the text, to the one after it.
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

    /// Length of the white space at a place, including tags that stand for white space.
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

    /// Handles a line end at `place`: ends the sentence if a paragraph ends, and returns the place after the white
    /// space.
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

    /// Handles a mark at `place`: ends the sentence if the mark does, and returns the place after the mark and what
    /// belongs to it.
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

    /// The place after quotes, brackets, notes and end tags that directly follow a mark.
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

    /// Arabic is often typed without a space after a mark.
    fn ends_without_space(&self, place: usize, mark_end: usize, end: usize) -> bool {
        let arabic = |it: &char| matches!(Chars::get().part(*it), Part::Arabic | Part::Mark);
        let before = self.text[self.start..place].chars().rev().take_while(arabic);
        let after = self.text[end..].chars().take_while(arabic);
        let long = |count: usize| count >= 3;
        mark_end == end && long(before.take(3).count()) && long(after.take(3).count())
    }

    /// Whether the mark at `place..mark_end`, followed by white space and `rest`, ends a sentence.
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
            // Without upper case it is mostly undecidable, and ellipses inside sentences are more common.
            return first.is_uppercase() || self.opens_another(before, opened);
        }
        !matches!(mark, "." | "..") || self.full_stop_ends(before, opened)
    }

    /// Whether `after` opens a second clause in a sentence: inna with its pronoun occurs once in each.
    fn opens_another(&self, before: &str, after: &str) -> bool {
        let is_letter = |it: char| Chars::get().part(it).is_word();
        self.rules.is_opener(first_word(after))
            && before.rsplit(|it| !is_letter(it)).any(|word| self.rules.is_opener(word))
    }

    /// Whether a round bracket is open and soon closed.
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

    /// Whether a sentence may begin with what follows an abbreviation that is often the last word of one.
    fn begins_sentence(&self, after: &str) -> bool {
        let word = first_word(after);
        let joined = word.strip_prefix('\u{648}').unwrap_or(word);
        // A number continues the sentence, and so does wa- before one.
        let digit =
            after[joined.as_ptr() as usize - after.as_ptr() as usize..].starts_with(is_digit);
        !digit && !self.rules.words(word).is(Kinds::INSIDE)
    }

    /// Whether the sentence so far is only a time or measure that opens it: "in the year 350".
    fn is_lead(&self, before: &str) -> bool {
        let mut words = before.split_whitespace();
        before.len() <= LEAD_BYTES_MAX
            && words.all(|word| {
                let bare = word.trim_end_matches([',', '\u{60c}']);
                let joined = bare.strip_prefix('\u{648}').unwrap_or(bare);
                bare.contains(is_digit)
                    || [bare, joined].into_iter().any(|it| self.rules.words(it).is(LEADS))
            })
    }
}

/// Whether a tag ends a line: a break, or the end of a block.
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

/// The last word of a text with its full stops: `U.S`, `e.g`.
fn last_word(text: &str) -> &str {
    let in_word = |it: char| Chars::get().part(it).is_word() || it == '.' || it == '-';
    let mut start = text.len();
    for (place, character) in text.char_indices().rev().take(ABBREVIATION_CHARS_MAX) {
        if !in_word(character) {
            // After a digit it is part of a number: `2021m.`
            let digit = Chars::get().part(character) == Part::Digit;
            return if digit { "" } else { &text[start..] };
        }
        start = place;
    }
    let word = &text[start..];
    if start == 0 { word } else { "" }
}

/// The letters at the end of a text that follow a number, directly or after a space, and the end of the number:
/// perhaps a unit, a currency or an era.
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

/// Whether the sentence so far is only a list number: `1`, `12.3`, `a`, `(2)`, `- 3`.
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
