//! `search`: the units in which an expression occurs.

use std::fmt::Write as _;
use std::ops::Range;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::super::answer::{Answer, Failure, Room, check_length, check_range};
use super::super::matches::{Provenance, unit_name};
use super::super::session::Session;
use super::super::tool::Tool;
use crate::engine::{ConcordanceSettings, FoundPassage, UnitFilter};
use crate::limits::{MCP_HITS_MAX, MCP_SEGMENT_BYTES_MAX};
use crate::matching::{self, ConcordanceMode, WordForm};

pub(super) struct Search;

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Input {
    /// Words to find. Vowel marks, letter variants, case and digit script do not matter.
    text: String,
    /// In which texts.
    #[serde(default)]
    side: Side,
    /// How the words must occur.
    #[serde(default)]
    mode: Mode,
    /// A word also finds other forms of it: with other clitics, prefixes and endings.
    #[serde(default)]
    any_form: bool,
    /// Memories to search; all of the language pair when absent.
    #[serde(default)]
    memories: Vec<String>,
    /// Only needed when the memories have several language pairs: BCP-47, such as `ar`.
    source_language: Option<String>,
    /// As `source_language`, such as `en`.
    target_language: Option<String>,
    /// Most units in one answer.
    #[serde(default = "max")]
    #[schemars(range(min = 1, max = MCP_HITS_MAX))]
    max: usize,
    /// `next_page_token` of the answer before, for the units after it.
    #[serde(default)]
    page_token: String,
}

fn max() -> usize {
    10
}

#[derive(Clone, Copy, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
enum Side {
    /// The texts that were translated.
    #[default]
    Source,
    /// Their translations.
    Target,
}

#[derive(Clone, Copy, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
enum Mode {
    /// Side by side, in this order.
    #[default]
    Phrase,
    /// As `phrase`, and the last word may be the start of a longer one.
    Prefix,
    /// All words, anywhere in the text.
    Words,
}

#[derive(Serialize, JsonSchema)]
pub(super) struct Output {
    /// By memory, and in each the shortest sources first.
    hits: Vec<Hit>,
    /// Where the next page begins; absent after the last one.
    #[serde(skip_serializing_if = "Option::is_none")]
    next_page_token: Option<String>,
    /// Units of this page that are left out, because the answer is full.
    #[serde(skip_serializing_if = "Option::is_none")]
    left_out: Option<usize>,
}

#[derive(Serialize, JsonSchema)]
struct Hit {
    /// `memories/NAME/units/NUMBER`
    unit: String,
    source: String,
    target: String,
    /// The found words, as they are in the searched text.
    found: Vec<String>,
    #[serde(flatten)]
    provenance: Provenance,
}

/// Put around found words in texts.
pub(super) const FOUND: [char; 2] = ['⟦', '⟧'];

/// A text with ranges of its bytes marked.
pub(super) fn marked(text: &str, ranges: &[Range<usize>]) -> String {
    let mut out = String::with_capacity(text.len() + 6 * ranges.len());
    let mut written = 0;
    for range in ranges {
        let (before, inside) = (text.get(written..range.start), text.get(range.clone()));
        let (Some(before), Some(inside)) = (before, inside) else { continue };
        out.push_str(before);
        out.push(FOUND[0]);
        out.push_str(inside);
        out.push(FOUND[1]);
        written = range.end;
    }
    out.push_str(text.get(written..).unwrap_or_default());
    out
}

impl Hit {
    fn new(side: matching::Side, passage: &FoundPassage) -> Self {
        let content = &passage.unit.content;
        let searched = match side {
            matching::Side::Source => &content.source.text,
            matching::Side::Target => &content.target.text,
        };
        let found = passage.highlights.iter().filter_map(|range| searched.get(range.clone()));
        Self {
            unit: unit_name(&passage.memory, passage.unit.id),
            source: content.source.text.clone(),
            target: content.target.text.clone(),
            found: found.map(str::to_owned).collect(),
            provenance: Provenance::of(content),
        }
    }
}

/// A unit with the found words marked.
fn line(number: usize, side: matching::Side, passage: &FoundPassage, hit: &Hit) -> String {
    let mark = |text| marked(text, &passage.highlights);
    let (source, target) = match side {
        matching::Side::Source => (mark(&hit.source), hit.target.clone()),
        matching::Side::Target => (hit.source.clone(), mark(&hit.target)),
    };
    let from = hit.provenance.text();
    let from = if from.is_empty() { from } else { format!("   from: {from}\n") };
    format!("{number}. {}\n   source: {source}\n   target: {target}\n{from}", hit.unit)
}

impl Tool for Search {
    const NAME: &'static str = "search";
    const TITLE: &'static str = "Search stored texts";
    const DESCRIPTION: &'static str = "A concordance: finds the stored units whose source (or target) contains a word or phrase, \
        with the found words marked as ⟦…⟧, so that you see how it was translated. Nothing found: try `any_form`, mode `words`, or \
        fewer words.";
    type Input = Input;
    type Output = Output;

    async fn call(input: Input, mut session: Session) -> Result<Answer<Output>, Failure> {
        check_length("text", &input.text, MCP_SEGMENT_BYTES_MAX)?;
        check_range("max", input.max, 1..=MCP_HITS_MAX)?;
        let langs = (input.source_language.as_deref(), input.target_language.as_deref());
        let choice = session.choose(&input.memories, langs).await?;
        let side = match input.side {
            Side::Source => matching::Side::Source,
            Side::Target => matching::Side::Target,
        };
        let settings = ConcordanceSettings {
            memories: choice.memories,
            text: input.text,
            side,
            mode: match input.mode {
                Mode::Phrase => ConcordanceMode::Phrase,
                Mode::Prefix => ConcordanceMode::Prefix,
                Mode::Words => ConcordanceMode::Words,
            },
            word_form: if input.any_form { WordForm::Class } else { WordForm::Folded },
            filter: UnitFilter::default(),
        };
        let (passages, next) =
            session.client.concordance(&settings, input.max, input.page_token).await?;
        let mut room = Room::default();
        let mut text = String::new();
        let mut hits = Vec::with_capacity(passages.len());
        for passage in &passages {
            let hit = Hit::new(side, passage);
            if room.take(&hit) {
                text.push_str(&line(hits.len() + 1, side, passage, &hit));
                hits.push(hit);
            }
        }
        let left_out = passages.len() - hits.len();
        if passages.is_empty() {
            text.push_str(
                "No unit contains it. `any_form`, mode `words` or fewer words find more.\n",
            );
        }
        if left_out > 0 {
            let _ = writeln!(
                text,
                "{left_out} long units are left out, because the answer is full: use a smaller `max`."
            );
        }
        if !next.is_empty() {
            let _ = writeln!(text, "There are more: page_token {next}");
        }
        let structured = Output {
            hits,
            next_page_token: Some(next).filter(|it| !it.is_empty()),
            left_out: Some(left_out).filter(|it| *it > 0),
        };
        Ok(Answer { structured, text })
    }
}
