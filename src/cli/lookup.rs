//! `dhakira lookup`: finds stored translations for segments.

use std::io::Write as _;
use std::ops::Range;
use std::str::FromStr;

use clap::Args;
use serde::Serialize;

use crate::client::Client;
use crate::engine::{
    Explain, FoundMatch, LookupSettings, MemoryChoice, QuerySegment, context_hash,
};
use crate::matching::ContextPart;
use crate::unit::{Context, MemoryName, Score, Segment, TextOffsets, Timestamp};
use crate::validate::validate_text;

use super::filter::FilterFlags;
use super::input::stdin_lines;
use super::outcome::Outcome;
use super::penalties::PenaltyFlags;
use super::place::{MissingData, Place};
use crate::terminal::{isolate, json_to, stdout};

/// Find stored translations for segments: the arguments, or standard input, one segment a line.
#[derive(Debug, Args)]
pub(super) struct Lookup {
    #[command(flatten)]
    place: Place,
    /// A memory to search in, with points to deduct from its matches instead of its default; may be repeated.
    #[arg(long, short, value_name = "NAME[:POINTS]", required = true)]
    memory: Vec<Choice>,
    /// Least score of a match, 0 to 100.
    #[arg(long, value_name = "SCORE", default_value = "70", value_parser = score)]
    min_score: Score,
    /// Most matches for a segment.
    #[arg(long, value_name = "COUNT", default_value_t = 5, value_parser = clap::value_parser!(u16).range(1..=1_000))]
    max: u16,
    /// The segments are one document in order: same text between the same neighbours is a context match.
    #[arg(long)]
    document: bool,
    /// Answer from a scan of every unit instead of the index: the same answers, slowly.
    #[arg(long)]
    exhaustive: bool,
    #[command(flatten)]
    penalties: PenaltyFlags,
    #[command(flatten)]
    filter: FilterFlags,
    /// One JSON object a segment, one a line.
    #[arg(long)]
    json: bool,
    /// Segments to look up; standard input when there are none.
    #[arg(value_name = "SEGMENT")]
    segments: Vec<String>,
}

/// A memory and its penalty, as written on the command line.
#[derive(Debug, Clone)]
pub(super) struct Choice(pub(super) MemoryChoice);

impl FromStr for Choice {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (name, points) = match text.split_once(':') {
            Some((name, points)) => (name, Some(points)),
            None => (text, None),
        };
        let memory = name.parse::<MemoryName>().map_err(|error| error.to_string())?;
        let penalty = points.map(score).transpose()?;
        Ok(Self(MemoryChoice { memory, penalty }))
    }
}

/// A score as written on the command line.
pub(super) fn score(text: &str) -> Result<Score, String> {
    let points: f64 = text.parse().map_err(|_| format!("'{text}' is not a number"))?;
    Score::from_points(points).map_err(|error| error.to_string())
}

/// Segments sent in one call: enough to keep all cores busy, few enough to see the first answers soon.
const CALL_SEGMENTS: usize = 64;

#[derive(Serialize)]
struct Line<'a> {
    query: &'a str,
    matches: Vec<MatchLine<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<&'a str>,
}

#[derive(Serialize)]
struct MatchLine<'a> {
    score: f64,
    kind: &'a str,
    match_rate: u16,
    /// The parts of the context that agree.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    agreed_contexts: Vec<&'a str>,
    unit: String,
    source: &'a str,
    target: &'a str,
    deductions: Vec<DeductionLine<'a>>,
    edits: Vec<EditLine>,
    /// The target with the numbers and other placeables of the query, where they differ.
    #[serde(skip_serializing_if = "str::is_empty")]
    adapted_target: &'a str,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    substitutions: Vec<SubstitutionLine>,
    /// Words of the target that translate words of the source which the query does not have.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    to_change: Vec<[usize; 2]>,
    #[serde(skip_serializing_if = "str::is_empty")]
    document: &'a str,
    #[serde(skip_serializing_if = "str::is_empty")]
    author: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    changed: Option<String>,
    #[serde(skip_serializing_if = "std::collections::BTreeMap::is_empty")]
    attributes: &'a std::collections::BTreeMap<String, String>,
}

#[derive(Serialize)]
struct DeductionLine<'a> {
    reason: &'a str,
    points: f64,
}

#[derive(Serialize)]
struct EditLine {
    kind: &'static str,
    query: [usize; 2],
    source: [usize; 2],
}

#[derive(Serialize)]
struct SubstitutionLine {
    query: [usize; 2],
    source: [usize; 2],
    target: [usize; 2],
    adapted: [usize; 2],
}

impl Lookup {
    pub(super) async fn run(self) -> anyhow::Result<Outcome> {
        let segments = if self.segments.is_empty() {
            stdin_lines().collect::<Result<_, _>>()?
        } else {
            self.segments.clone()
        };
        let mut client = self.place.client("lookup", MissingData::Refuse).await?;
        let settings = LookupSettings {
            memories: self.memory.iter().map(|choice| choice.0.clone()).collect(),
            min_score: self.min_score,
            max_matches: usize::from(self.max),
            exhaustive: self.exhaustive,
            filter: self.filter.filter(),
            penalty_rules: self.penalties.rules(),
            explain: Explain::default(),
        };
        let mut outcome = Outcome::Done;
        for start in (0..segments.len()).step_by(CALL_SEGMENTS) {
            let end = segments.len().min(start + CALL_SEGMENTS);
            let found = self.call(&mut client, &settings, &segments, start..end).await?;
            for (query, found) in segments[start..end].iter().zip(found) {
                if matches!(&found, Found::Refused(_)) && !query.trim().is_empty() {
                    outcome = Outcome::DoneWithRejects;
                }
                if self.json {
                    print_json(query, &found)?;
                } else {
                    print_table(query, &found)?;
                }
            }
        }
        Ok(outcome)
    }

    /// Looks up a range of the segments; invalid ones are not sent.
    async fn call(
        &self,
        client: &mut Client,
        settings: &LookupSettings,
        segments: &[String],
        range: std::ops::Range<usize>,
    ) -> anyhow::Result<Vec<Found>> {
        let faults: Vec<Option<String>> = segments[range.clone()]
            .iter()
            .map(|segment| validate_text(segment).err().map(|fault| fault.message))
            .collect();
        let neighbour = |place: Option<usize>| {
            place
                .filter(|_| self.document)
                .and_then(|place| segments.get(place))
                .map(|text| context_hash(text))
        };
        let queries = range.zip(&faults).filter(|(_, fault)| fault.is_none()).map(|(place, _)| {
            let context = Context {
                previous: neighbour(place.checked_sub(1)),
                next: neighbour(Some(place + 1)),
                ..Context::default()
            };
            QuerySegment { context, ..QuerySegment::new(Segment::plain(segments[place].clone())) }
        });
        let queries: Vec<_> = queries.collect();
        let mut results =
            if queries.is_empty() { Vec::new() } else { client.lookup(settings, queries).await? }
                .into_iter();
        Ok(faults
            .into_iter()
            .map(|fault| match fault {
                Some(fault) => Found::Refused(fault),
                None => Found::Matches(results.next().unwrap_or_default()),
            })
            .collect())
    }
}

/// The result of one segment.
enum Found {
    Matches(Vec<FoundMatch>),
    /// It is not a valid segment: empty, too long, not text.
    Refused(String),
}

fn print_json(query: &str, found: &Found) -> anyhow::Result<()> {
    let line = match found {
        Found::Matches(matches) => Line {
            query,
            matches: matches.iter().map(|found| match_line(query, found)).collect(),
            error: None,
        },
        Found::Refused(_) if query.trim().is_empty() => {
            Line { query, matches: Vec::new(), error: None }
        }
        Found::Refused(fault) => Line { query, matches: Vec::new(), error: Some(fault) },
    };
    json_to(&mut stdout(), &line)
}

fn match_line<'a>(query: &str, found: &'a FoundMatch) -> MatchLine<'a> {
    let content = &found.unit.content;
    let adapted_target = found.adapted.as_ref().map_or("", |adapted| &adapted.text);
    let query = TextOffsets::code_points(query);
    let source = TextOffsets::code_points(&content.source.text);
    let target = TextOffsets::code_points(&content.target.text);
    let adapted = TextOffsets::code_points(adapted_target);
    let deductions = found.deductions.iter().map(|(reason, hundredths)| DeductionLine {
        reason: reason.name(),
        points: f64::from(hundredths) / 100.0,
    });
    let edits = found.edits.iter().map(|edit| EditLine {
        kind: edit.kind.name(),
        query: span(&query, &edit.query),
        source: span(&source, &edit.source),
    });
    let substitutions = found.adapted.iter().flat_map(|adapted| &adapted.substitutions);
    let substitutions = substitutions.map(|it| SubstitutionLine {
        query: span(&query, &it.query),
        source: span(&source, &it.source),
        target: span(&target, &it.target),
        adapted: span(&adapted, &it.adapted),
    });
    MatchLine {
        score: found.score.points(),
        kind: found.kind.name(),
        match_rate: found.match_rate(),
        agreed_contexts: found.agreed_contexts.iter().map(ContextPart::name).collect(),
        unit: format!("{}/units/{}", found.memory.resource(), found.unit.id),
        source: &content.source.text,
        target: &content.target.text,
        deductions: deductions.collect(),
        edits: edits.collect(),
        adapted_target,
        substitutions: substitutions.collect(),
        to_change: found.spans_to_edit.iter().map(|bytes| span(&target, bytes)).collect(),
        document: &content.document,
        author: &content.author,
        changed: content.changed.and_then(rfc3339),
        attributes: &content.attributes,
    }
}

/// A span of bytes in code points, as JSON shows it.
pub(super) fn span(points: &TextOffsets<'_>, bytes: &Range<usize>) -> [usize; 2] {
    let span = points.span(bytes);
    [span.start, span.end]
}

fn rfc3339(time: Timestamp) -> Option<String> {
    jiff::Timestamp::from_microsecond(time.micros).ok().map(|time| time.to_string())
}

fn print_table(query: &str, found: &Found) -> anyhow::Result<()> {
    let mut out = stdout();
    writeln!(out, "{}", isolate(query))?;
    match found {
        Found::Refused(fault) => writeln!(out, "  not looked up: {fault}")?,
        Found::Matches(matches) if matches.is_empty() => writeln!(out, "  no match")?,
        Found::Matches(matches) => {
            for found in matches {
                write!(out, "{}", match_block(found))?;
            }
        }
    }
    writeln!(out)?;
    Ok(())
}

/// A match on three lines: score and deductions, source, translation; on a fourth the adapted translation, if there is one.
pub(super) fn match_block(found: &FoundMatch) -> String {
    let adapted = found.adapted.as_ref().map_or_else(String::new, |adapted| {
        format!("{:>16}: {}\n", "adapted", isolate(&adapted.text))
    });
    format!(
        "  {:>6.2} {:<7}  {}\n{:18}{}\n{:18}{}\n{adapted}",
        found.score.points(),
        found.kind.name(),
        reasons(found),
        "",
        isolate(&found.unit.content.source.text),
        "",
        isolate(&found.unit.content.target.text),
    )
}

/// The deductions in words: `edited -8.33, marks -1`.
pub(super) fn reasons(found: &FoundMatch) -> String {
    let parts = found.deductions.iter().map(|(reason, hundredths)| {
        format!("{} -{}", reason.name(), f64::from(hundredths) / 100.0)
    });
    let parts: Vec<String> = parts.collect();
    if parts.is_empty() { "the same text".to_owned() } else { parts.join(", ") }
}
