//! Analyses texts of one language: all tokens of a segment with all their forms.

use std::ops::Deref;

use crate::unit::{Lang, Segment};

use super::chars::{Chars, Part};
use super::conventions::Convention;
use super::kinds::TokenKind;
use super::parts::{class_of_part, parts_of};
use super::scan::{FormsMemory, Gap, Scan, Stretch, Token, range, stretch, write_folded_gap};
use super::scanner::Scanner;
use super::values::{self, Value};

/// All forms of one segment: a [`Scan`] and more. Reuse it for the next segment to keep its memory.
#[derive(Debug, Clone, Default)]
pub struct Analysis {
    scan: Scan,
    /// Folded texts and classes of all tokens and gaps in a row.
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

    /// The parts of a token that a search compares: folded texts, and for words their classes.
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

    /// The gaps before, between and after the tokens that count: one more than there are tokens.
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

    /// The value of a number, date or amount; computed at each call.
    pub fn value(&self, token: &Token) -> Option<Value> {
        values::value(token.kind, self.folded(token))
    }
}

/// Analyses texts of one language.
#[derive(Debug, Clone)]
pub struct Analyzer {
    english: bool,
    convention: Convention,
}

impl Analyzer {
    /// Creates an analyzer for a language. Latin words in Arabic text are taken for English.
    pub fn new(lang: &Lang) -> Self {
        let english = matches!(lang.primary(), "en" | "ar");
        Self { english, convention: Convention::of(lang) }
    }

    /// Analyses a text.
    pub fn analyze(&self, text: &str) -> Analysis {
        let mut analysis = Analysis::default();
        self.analyze_into(text, &mut analysis);
        analysis
    }

    /// Analyses a text into existing memory.
    pub fn analyze_into(&self, text: &str, analysis: &mut Analysis) {
        self.scan_parted_into(text, &mut std::iter::empty(), &mut analysis.scan);
        analysis.write_forms();
    }

    /// Analyses a segment. Tags that stand for white space separate words, all others do not.
    pub fn analyze_segment(&self, segment: &Segment) -> Analysis {
        let mut analysis = Analysis::default();
        self.analyze_segment_into(segment, &mut analysis);
        analysis
    }

    /// Analyses a segment into existing memory.
    pub fn analyze_segment_into(&self, segment: &Segment, analysis: &mut Analysis) {
        self.scan_segment_into(segment, &mut analysis.scan);
        analysis.write_forms();
    }

    /// Finds only the tokens of a text, into existing memory.
    pub fn scan_into(&self, text: &str, scan: &mut Scan) {
        self.scan_parted_into(text, &mut std::iter::empty(), scan);
    }

    /// Finds only the tokens of a segment, into existing memory.
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
