//! What is the same text? Canonical and folded forms, tokens and their classes, spelling differences.
//!
//! Everything above consumes an [`Analysis`], made once for a segment. Pure: no I/O, no clock. Knows nothing of files,
//! wire or disk.

mod agreement;
mod canonical;
mod chars;
mod conventions;
mod data;
mod dates;
mod differences;
mod fold;
mod hamza;
mod kinds;
mod measures;
mod numerals;
mod parts;
mod placeables;
mod scan;
mod sentences;
mod stem;
mod values;
mod written;

use std::borrow::Cow;
use std::ops::{Deref, Range};

use crate::unit::{Lang, Segment};

use canonical::Canonical;
use chars::{Chars, Part};
use conventions::Convention;
use scan::Scanner;

pub use chars::{beginning, is_arabic_letter};
pub use differences::{Differences, gap_differences, token_differences};
pub use kinds::TokenKind;
pub use parts::{ComparedParts, class_of_part, compared_parts, parts_of};
pub use sentences::{RuleError, Sentence, SentenceOptions, SentenceRules};
pub use values::{Calendar, Date, Decimal, Value};
pub use written::Written;

/// Changes whenever a form, a token or a class of any text can change.
pub const TEXT_VERSION: u32 = 5;

/// A token of a [`Scan`], which knows its text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Token {
    /// What it is.
    pub kind: TokenKind,
    canonical: Stretch,
    /// Its place among the tokens.
    number: u32,
}

/// Bytes of a text: start and end.
type Stretch = (u32, u32);

/// What stands between two tokens that count: punctuation and white space.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Gap<'a> {
    /// As in the canonical text.
    pub canonical: &'a str,
    /// Marks of one shape, without white space.
    pub folded: &'a str,
}

/// Where the tokens of one segment are, and what they are. Reuse it for the next segment: its memory stays.
#[derive(Debug, Clone, Default)]
pub struct Scan {
    canonical: Canonical,
    original_len: usize,
    english: bool,
    convention: Convention,
    tokens: Vec<Token>,
    /// One more than tokens that count.
    gaps: Vec<Stretch>,
}

impl Scan {
    /// The canonical form of the whole segment.
    pub fn canonical(&self) -> &str {
        &self.canonical.text
    }

    /// All tokens in order, punctuation included.
    pub fn tokens(&self) -> &[Token] {
        &self.tokens
    }

    /// The tokens that count for the score, in order.
    pub fn words(&self) -> impl Iterator<Item = &Token> {
        self.tokens.iter().filter(|token| token.kind.counts())
    }

    /// Length of the original text, in bytes.
    pub fn original_len(&self) -> usize {
        self.original_len
    }

    /// Where a token stands in the original text, in bytes.
    pub fn span(&self, token: &Token) -> Range<usize> {
        self.original(range(token.canonical))
    }

    /// The bytes of the original text that a stretch of the canonical text stands for.
    pub fn original(&self, canonical: Range<usize>) -> Range<usize> {
        self.canonical.original(canonical)
    }

    /// A token as in the canonical text.
    pub fn surface(&self, token: &Token) -> &str {
        &self.canonical.text[range(token.canonical)]
    }

    /// How the digits of a token are written; `None` for words and for dates whose month is a word.
    pub fn written(&self, token: &Token) -> Option<Written<'_>> {
        if !token.kind.is_number_like() {
            return None;
        }
        let written = Written::read(self.surface(token), self.convention)?;
        (token.kind != TokenKind::Date || written.is_bare()).then_some(written)
    }

    /// Whether there is something to translate: a word that is neither a unit behind a number nor (part of) a code such as
    /// `AB-1234`, `D365` or `user_id`.
    pub fn has_words(&self) -> bool {
        self.tokens.iter().enumerate().any(|(number, token)| {
            let after_number = number.checked_sub(1).map(|before| self.tokens[before]);
            let after_number = after_number.is_some_and(|it| it.kind == TokenKind::Number);
            token.kind == TokenKind::Word
                && !self.is_code_word(token)
                && !(after_number && measures::is_unit(self.surface(token)))
        })
    }

    /// Whether a word is a code, which is carried over as it is: it has a digit or an underscore, or it is of capital
    /// letters and digits are glued to it.
    pub fn is_code_word(&self, token: &Token) -> bool {
        /// What is further away is not looked at.
        const CODE_BYTES_MAX: usize = 64;
        let surface = self.surface(token);
        if token.kind != TokenKind::Word || !surface.is_ascii() {
            return false;
        }
        let has_digit = |text: &str| text.bytes().any(|it| it.is_ascii_digit());
        if has_digit(surface) || surface.contains('_') {
            return true;
        }
        let range = range(token.canonical);
        let (before, after) = self.canonical.text.as_bytes().split_at(range.start);
        let glued = |byte: &&u8| byte.is_ascii_graphic();
        let has_digit_near = |bytes: &mut dyn Iterator<Item = &u8>| {
            bytes.take(CODE_BYTES_MAX).take_while(glued).any(u8::is_ascii_digit)
        };
        !surface.bytes().any(|it| it.is_ascii_lowercase())
            && (has_digit_near(&mut before.iter().rev()) || has_digit_near(&mut after.iter()))
    }

    /// What stands before the first token that counts, between two, and after the last, as in the canonical text: one more
    /// than there are.
    pub fn canonical_gaps(&self) -> impl ExactSizeIterator<Item = &str> {
        self.gaps.iter().map(|gap| &self.canonical.text[range(*gap)])
    }

    /// The folded form and the class of one token: for whoever knows most tokens already by kind and surface, which with
    /// the language decide both.
    pub fn forms<'f>(&self, token: &Token, memory: &'f mut FormsMemory) -> (&'f str, &'f str) {
        memory.forms.clear();
        let (folded, class) = self.write_forms(token, memory);
        (&memory.forms[range(folded)], &memory.forms[range(class)])
    }

    /// Appends folded form and class of a token.
    fn write_forms(&self, token: &Token, memory: &mut FormsMemory) -> (Stretch, Stretch) {
        let FormsMemory { forms, word, letters } = memory;
        let chars = Chars::get();
        let start = forms.len();
        let surface = self.surface(token);
        if let Some(written) = self.written(token) {
            // The signs behind the number, wherever they are written: `12 %`, `%12`, `12%`.
            written.write_plain(forms);
            written.signs().for_each(|sign| chars.fold_into(forms, sign));
        } else if matches!(token.kind, TokenKind::Code | TokenKind::Tag) {
            parts::write_code(surface, forms);
        } else {
            let spaceless = token.kind.is_number_like() && token.kind != TokenKind::Date;
            for character in surface.chars() {
                if !spaceless || character != ' ' {
                    chars.fold_into(forms, character);
                }
            }
        }
        if forms.len() == start {
            // Nothing but marks: they are all that this token has.
            forms.push_str(surface);
        }
        if token.kind == TokenKind::Word {
            hamza::unify(surface, forms, start, letters);
        }
        let folded = stretch(start, forms.len());
        if let Some(class) = token.kind.class() {
            forms.push_str(class);
        } else {
            word.clear();
            word.push_str(&forms[range(folded)]);
            stem::class_of(word, self.english, forms);
        }
        (folded, (folded.1, stretch(0, forms.len()).1))
    }
}

/// Appends the folded form of what stands between two tokens.
fn write_folded_gap(gap: &str, forms: &mut String) {
    let chars = Chars::get();
    for character in gap.chars() {
        if chars.part(character) != Part::Space {
            chars.fold_into(forms, character);
        }
    }
}

/// The folded form of a [gap](Scan::canonical_gaps).
pub fn folded_gap(gap: &str) -> String {
    let mut folded = String::new();
    write_folded_gap(gap, &mut folded);
    folded
}

/// Working memory for forms of tokens.
#[derive(Debug, Clone, Default)]
pub struct FormsMemory {
    forms: String,
    /// The word whose class is being found.
    word: String,
    /// The word whose spellings are brought together.
    letters: Vec<char>,
}

/// All forms of one segment: a [`Scan`] and more. Reuse it for the next segment: its memory stays.
#[derive(Debug, Clone, Default)]
pub struct Analysis {
    scan: Scan,
    /// Folded texts and classes of all tokens and gaps, one after the other.
    memory: FormsMemory,
    /// Folded text and class of each token.
    of_tokens: Vec<(Stretch, Stretch)>,
    of_gaps: Vec<Stretch>,
}

impl Deref for Analysis {
    type Target = Scan;

    fn deref(&self) -> &Scan {
        &self.scan
    }
}

impl Analysis {
    /// The folded form of a token.
    pub fn folded(&self, token: &Token) -> &str {
        &self.memory.forms[range(self.of_tokens[token.number as usize].0)]
    }

    /// The class of a token; equal folded forms of one kind have equal classes.
    pub fn class(&self, token: &Token) -> &str {
        &self.memory.forms[range(self.of_tokens[token.number as usize].1)]
    }

    /// What a search compares of a token: its parts, each folded and with its class, which only words have.
    pub fn search_parts(&self, token: &Token) -> Vec<(String, Option<String>)> {
        let folded = self.folded(token);
        let Some(parts) = parts_of(self.class(token), self.surface(token), folded) else {
            let class = (token.kind == TokenKind::Word).then(|| self.class(token).to_owned());
            return vec![(folded.to_owned(), class)];
        };
        let with_class = |part: String| {
            let class = class_of_part(&part, self.english);
            (part, Some(class))
        };
        parts.into_iter().map(with_class).collect()
    }

    /// What stands before the first token that counts, between two, and after the last: one more than there are.
    pub fn gaps(&self) -> impl ExactSizeIterator<Item = Gap<'_>> {
        let folded = self.of_gaps.iter().map(|folded| &self.memory.forms[range(*folded)]);
        self.canonical_gaps().zip(folded).map(|(canonical, folded)| Gap { canonical, folded })
    }

    fn write_forms(&mut self) {
        let Self { scan, memory, of_tokens, of_gaps } = self;
        memory.forms.clear();
        of_tokens.clear();
        of_tokens.extend(scan.tokens.iter().map(|token| scan.write_forms(token, memory)));
        of_gaps.clear();
        of_gaps.extend(scan.canonical_gaps().map(|gap| {
            let start = memory.forms.len();
            write_folded_gap(gap, &mut memory.forms);
            stretch(start, memory.forms.len())
        }));
    }

    /// What a token is worth: numbers, dates, amounts. Worked out anew at each call.
    pub fn value(&self, token: &Token) -> Option<Value> {
        values::value(token.kind, self.folded(token))
    }

    /// The digits `asked` of a query as this text would write them in `place`, which stands for `stored`: with all their
    /// zeros, in the digits and separators that this text uses there; and the bytes of the original text that they replace.
    ///
    /// `None` where there is doubt: where `place` and `stored` are not the same number written alike, where the notation does
    /// not show, where the words beside the number may have to be others.
    pub fn rewritten(
        &self,
        asked: &Written<'_>,
        stored: &Written<'_>,
        place: &Token,
    ) -> Option<(String, Range<usize>)> {
        let written = self.written(place)?;
        let new = asked.rewritten(stored, &written, self.convention)?;
        let (start, digits) = (range(place.canonical).start, written.place());
        let replaced = self.original(start + digits.start..start + digits.end);
        agreement::agrees(self, place, &written, asked).then_some((new, replaced))
    }
}

/// Analyses texts of one language.
#[derive(Debug, Clone)]
pub struct Analyzer {
    english: bool,
    convention: Convention,
}

impl Analyzer {
    /// For texts in a language. Latin words among Arabic text are taken for English.
    pub fn new(lang: &Lang) -> Self {
        let english = matches!(lang.primary(), "en" | "ar");
        Self { english, convention: Convention::of(lang) }
    }

    /// All forms of a text.
    pub fn analyze(&self, text: &str) -> Analysis {
        let mut analysis = Analysis::default();
        self.analyze_into(text, &mut analysis);
        analysis
    }

    /// The same in memory that is there already.
    pub fn analyze_into(&self, text: &str, analysis: &mut Analysis) {
        self.scan_parted_into(text, &mut std::iter::empty(), &mut analysis.scan);
        analysis.write_forms();
    }

    /// All forms of a segment: tags that stand for white space part words, all others do not.
    pub fn analyze_segment(&self, segment: &Segment) -> Analysis {
        let mut analysis = Analysis::default();
        self.analyze_segment_into(segment, &mut analysis);
        analysis
    }

    /// The same in memory that is there already.
    pub fn analyze_segment_into(&self, segment: &Segment, analysis: &mut Analysis) {
        self.scan_segment_into(segment, &mut analysis.scan);
        analysis.write_forms();
    }

    /// The tokens of a text alone, in memory that is there already.
    pub fn scan_into(&self, text: &str, scan: &mut Scan) {
        self.scan_parted_into(text, &mut std::iter::empty(), scan);
    }

    /// The tokens of a segment alone, in memory that is there already.
    pub fn scan_segment_into(&self, segment: &Segment, scan: &mut Scan) {
        self.scan_parted_into(&segment.text, &mut segment.breaks(), scan);
    }

    fn scan_parted_into(
        &self,
        text: &str,
        breaks: &mut impl Iterator<Item = usize>,
        scan: &mut Scan,
    ) {
        scan.canonical.set(text, breaks);
        scan.original_len = text.len();
        scan.english = self.english;
        scan.convention = self.convention;
        scan.tokens.clear();
        scan.gaps.clear();
        let chars = Chars::get();
        let (mut place, mut gap, mut before) = (0, 0, None);
        let canonical = &scan.canonical.text;
        let scanner = Scanner::new(chars, canonical);
        while let Some(first) = canonical[place..].chars().next() {
            if chars.part(first) == Part::Space {
                place += first.len_utf8();
                before = Some(first);
                continue;
            }
            let (kind, length) = scanner.token(&canonical[place..], before);
            let end = place + length;
            if kind.counts() {
                scan.gaps.push(stretch(gap, place));
                gap = end;
            }
            let number = u32::try_from(scan.tokens.len()).unwrap_or(u32::MAX);
            scan.tokens.push(Token { kind, canonical: stretch(place, end), number });
            before = canonical[..end].chars().next_back();
            place = end;
        }
        scan.gaps.push(stretch(gap, place));
    }
}

/// The canonical form of a text: what has to be equal for an exact match.
pub fn canonical(text: &str) -> Cow<'_, str> {
    if canonical::is_canonical(text) {
        return Cow::Borrowed(text);
    }
    let mut canonical = Canonical::default();
    canonical.set(text, &mut std::iter::empty());
    if canonical.text == text { Cow::Borrowed(text) } else { Cow::Owned(canonical.text) }
}

/// The canonical form of the text of a segment, with a space where a tag stands for one.
pub fn canonical_of_segment(segment: &Segment) -> Cow<'_, str> {
    if segment.breaks().next().is_none() {
        return canonical(&segment.text);
    }
    let mut canonical = Canonical::default();
    canonical.set(&segment.text, &mut segment.breaks());
    Cow::Owned(canonical.text)
}

fn range(stretch: Stretch) -> Range<usize> {
    stretch.0 as usize..stretch.1 as usize
}

fn stretch(start: usize, end: usize) -> Stretch {
    // A segment is far below 4 GiB, and so are its forms.
    let index = |byte: usize| u32::try_from(byte).unwrap_or(u32::MAX);
    (index(start), index(end))
}
