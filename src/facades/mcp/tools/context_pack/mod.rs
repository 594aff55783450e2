//! `context_pack`: what the memories know of one segment, in a bounded space.

mod excerpt;
mod lines;
mod phrases;
mod terms;

use std::fmt::Write as _;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::super::answer::{Answer, Failure, check_length, check_range};
use super::super::matches::Match;
use super::super::session::Session;
use super::super::tool::Tool;
use super::align::LEXICON_LATE;
use super::lookup::{query, score};
use crate::engine::FoundMatch;
use crate::limits::{
    MCP_PACK_CHARS_DEFAULT, MCP_PACK_CHARS_MAX, MCP_PACK_CHARS_MIN, MCP_SEGMENT_BYTES_MAX,
};
use crate::validate::validate_text;
use lines::{Line, lines_of};
use phrases::search_phrases;
use terms::{Term, linked, terms_of};

pub(super) struct ContextPack;

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Input {
    /// The text that is to be translated, of at most 16 KiB.
    segment: String,
    /// The source text before it, if known.
    previous: Option<String>,
    /// The source text after it, if known.
    next: Option<String>,
    /// Memories to use; all of the language pair when absent.
    #[serde(default)]
    memories: Vec<String>,
    /// Only needed when the memories have several language pairs: BCP-47, such as `ar`.
    source_language: Option<String>,
    /// As `source_language`, such as `en`.
    target_language: Option<String>,
    /// Least score of a match, 0 to 100.
    #[serde(default = "min_score")]
    #[schemars(range(min = 0, max = 100))]
    min_score: f64,
    /// Most characters of the text of the pack.
    #[serde(default = "max_chars")]
    #[schemars(range(min = MCP_PACK_CHARS_MIN, max = MCP_PACK_CHARS_MAX))]
    max_chars: usize,
}

fn min_score() -> f64 {
    50.0
}

fn max_chars() -> usize {
    MCP_PACK_CHARS_DEFAULT
}

#[derive(Serialize, JsonSchema)]
pub(super) struct Output {
    segment: String,
    /// Best first.
    matches: Vec<Match>,
    /// Words and phrases of the segment, with what translates them in stored translations.
    terms: Vec<Term>,
    /// Other stored units in which words and phrases of the segment occur, each once.
    concordance: Vec<Line>,
    /// What is not in the pack, and why.
    cut: Vec<String>,
}

/// Most matches in a pack; `lookup` shows more.
const MATCHES_MAX: usize = 5;
/// Share of the space that matches may take, in percent, and that matches and terms may take.
const SHARES: [usize; 2] = [60, 80];

/// The text of a pack while it is written.
struct Pack {
    text: String,
    chars: usize,
    chars_max: usize,
}

impl Pack {
    /// Adds a piece, if it fits into a share of the space.
    fn add(&mut self, piece: &str, percent: usize) -> bool {
        let chars = piece.chars().count();
        let fits = self.chars + chars <= self.chars_max * percent / 100;
        if fits {
            self.text.push_str(piece);
            self.chars += chars;
        }
        fits
    }
}

fn counted(number: usize, one: &str, several: &str) -> String {
    format!("{number} {}", if number == 1 { one } else { several })
}

/// Characters kept free in a pack for its notes.
const NOTES_CHARS: usize = 500;

fn write_matches(
    pack: &mut Pack,
    segment: &str,
    found: &[FoundMatch],
    cut: &mut Vec<String>,
) -> Vec<Match> {
    let mut matches = Vec::new();
    pack.add("\nMatches, best first:\n", 100);
    for (number, it) in (1..).zip(found.iter().map(|found| Match::new(segment, found))) {
        if !pack.add(&it.text(number), SHARES[0]) {
            break;
        }
        matches.push(it);
    }
    if found.is_empty() {
        pack.add("none\n", 100);
    }
    let left_out = found.len() - matches.len();
    if left_out > 0 {
        cut.push(format!("{} (`lookup` shows them)", counted(left_out, "match", "matches")));
    }
    matches
}

fn write_terms(pack: &mut Pack, found: Vec<Term>, cut: &mut Vec<String>) -> Vec<Term> {
    let mut terms = Vec::new();
    if found.is_empty() {
        return terms;
    }
    pack.add(
        "\nTerms, as stored translations have them (word links; times, confidence, units):\n",
        100,
    );
    let count = found.len();
    for term in found {
        if pack.add(&term.text(), SHARES[1]) {
            terms.push(term);
        }
    }
    if count > terms.len() {
        cut.push(counted(count - terms.len(), "term", "terms"));
    }
    terms
}

fn write_lines(pack: &mut Pack, lines: Vec<Line>, cut: &mut Vec<String>) -> Vec<Line> {
    let mut shown: Vec<Line> = Vec::new();
    if lines.is_empty() {
        return shown;
    }
    pack.add("\nConcordance: units that contain phrases of the segment\n", 100);
    let count = lines.len();
    for line in lines {
        if pack.add(&line.text(), 100) {
            shown.push(line);
        }
    }
    if count > shown.len() {
        let lines = counted(count - shown.len(), "concordance line", "concordance lines");
        cut.push(format!("{lines} (`search` shows them)"));
    }
    shown
}

impl Input {
    fn check(&self) -> Result<(), Failure> {
        check_range("max_chars", self.max_chars, MCP_PACK_CHARS_MIN..=MCP_PACK_CHARS_MAX)?;
        let texts = [
            ("segment", Some(&self.segment)),
            ("previous", self.previous.as_ref()),
            ("next", self.next.as_ref()),
        ];
        for (name, text) in texts {
            check_length(name, text.map_or("", |it| it), MCP_SEGMENT_BYTES_MAX)?;
        }
        validate_text(&self.segment)
            .map_err(|fault| Failure::argument(format!("`segment`: {}", fault.message)))
    }
}

impl Tool for ContextPack {
    const NAME: &'static str = "context_pack";
    const TITLE: &'static str = "Context pack for a segment";
    const DESCRIPTION: &'static str = "Everything that helps to translate one segment: the best stored translations with what differs, how \
        its words and phrases were translated before (terms with evidence), and stored sentences in which they occur. The text is at most \
        `max_chars` long and says what was cut. Call it before you translate a segment.";
    type Input = Input;
    type Output = Output;

    async fn call(input: Input, mut session: Session) -> Result<Answer<Output>, Failure> {
        input.check()?;
        let least = score(input.min_score)?;
        let langs = (input.source_language.as_deref(), input.target_language.as_deref());
        let choice = session.choose(&input.memories, langs).await?;
        let settings = session.lookup(&choice.memories, least, MATCHES_MAX);
        let asked = query(&input.segment, input.previous.as_deref(), input.next.as_deref());
        let found = session.client.lookup(&settings, vec![asked]).await?;
        let found = found.into_iter().next().unwrap_or_default();
        let mut cut = Vec::new();
        let searched = search_phrases(&mut session, &choice, &input.segment, found.first()).await?;
        cut.extend(searched.note.clone());
        let (linked, is_late) = linked(&mut session, &choice, &searched).await?;
        cut.extend(is_late.then(|| LEXICON_LATE.to_owned()));
        let chars_max = input.max_chars.saturating_sub(NOTES_CHARS);
        let mut pack = Pack { text: String::new(), chars: 0, chars_max };
        if !pack.add(&format!("Segment: {}\n", input.segment), SHARES[0]) {
            cut.push("the segment itself in this text".to_owned());
        }
        let matches = write_matches(&mut pack, &input.segment, &found, &mut cut);
        let terms = write_terms(&mut pack, terms_of(&searched, &linked), &mut cut);
        let lines = lines_of(&searched, &linked, |unit| matches.iter().any(|it| it.unit() == unit));
        let concordance = write_lines(&mut pack, lines, &mut cut);
        let mut text = pack.text;
        if cut.is_empty() {
            text.push_str("\nNothing was cut.\n");
        } else {
            let _ =
                writeln!(text, "\nCut: {}. `max_chars` is {}.", cut.join("; "), input.max_chars);
        }
        let structured = Output { segment: input.segment, matches, terms, concordance, cut };
        Ok(Answer { structured, text })
    }
}
