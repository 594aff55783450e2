//! `lookup`: the best stored translations of segments.

use std::fmt::Write as _;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::super::answer::{Answer, Failure, Room, check_length, check_range};
use super::super::matches::Match;
use super::super::session::Session;
use super::super::tool::Tool;
use crate::engine::{QuerySegment, context_hash};
use crate::limits::{MCP_MATCHES_MAX, MCP_SEGMENT_BYTES_MAX, MCP_SEGMENTS_MAX};
use crate::unit::{Context, Score, Segment};

pub(super) struct Lookup;

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Input {
    /// Texts to look up, one sentence or text unit each, at most 16 KiB each.
    #[schemars(length(min = 1, max = MCP_SEGMENTS_MAX))]
    segments: Vec<String>,
    /// The segments follow each other in one document: the same text between the same neighbours is a context match.
    #[serde(default)]
    consecutive: bool,
    /// The source text before the first segment, if known.
    previous: Option<String>,
    /// The source text after the last segment, if known.
    next: Option<String>,
    /// Memories to search; all of the language pair when absent.
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
    /// Most matches for each segment.
    #[serde(default = "max_matches")]
    #[schemars(range(min = 1, max = MCP_MATCHES_MAX))]
    max_matches: usize,
}

fn min_score() -> f64 {
    70.0
}

fn max_matches() -> usize {
    3
}

#[derive(Serialize, JsonSchema)]
pub(super) struct Output {
    /// In the order of the segments.
    results: Vec<Found>,
    /// The memories that were searched.
    memories: Vec<String>,
    /// Matches that were found and left out, because the answer is full.
    #[serde(skip_serializing_if = "Option::is_none")]
    left_out: Option<usize>,
}

#[derive(Serialize, JsonSchema)]
struct Found {
    segment: String,
    /// Best first.
    matches: Vec<Match>,
}

/// The points of a score from an argument.
pub(super) fn score(points: f64) -> Result<Score, Failure> {
    let score = Score::from_points(points);
    score.map_err(|error| Failure::argument(format!("`min_score`: {error}")))
}

/// A segment between its neighbours.
pub(super) fn query(text: &str, previous: Option<&str>, next: Option<&str>) -> QuerySegment {
    let context = Context {
        previous: previous.map(context_hash),
        next: next.map(context_hash),
        ..Context::default()
    };
    QuerySegment { context, ..QuerySegment::new(Segment::plain(text)) }
}

impl Input {
    fn check(&self) -> Result<(), Failure> {
        check_range("the number of segments", self.segments.len(), 1..=MCP_SEGMENTS_MAX)?;
        check_range("max_matches", self.max_matches, 1..=MCP_MATCHES_MAX)?;
        let neighbours = self.previous.iter().chain(&self.next);
        for segment in self.segments.iter().chain(neighbours) {
            check_length("segments", segment, MCP_SEGMENT_BYTES_MAX)?;
        }
        Ok(())
    }

    /// The segments with what is before and after each.
    fn queries(&self) -> Vec<QuerySegment> {
        let last = self.segments.len().saturating_sub(1);
        let neighbour = |place: Option<usize>| {
            let text = place.filter(|_| self.consecutive).and_then(|it| self.segments.get(it));
            text.map(String::as_str)
        };
        let each = self.segments.iter().enumerate().map(|(place, text)| {
            let previous =
                if place == 0 { self.previous.as_deref() } else { neighbour(place.checked_sub(1)) };
            let next =
                if place == last { self.next.as_deref() } else { neighbour(Some(place + 1)) };
            query(text, previous, next)
        });
        each.collect()
    }
}

impl Tool for Lookup {
    const NAME: &'static str = "lookup";
    const TITLE: &'static str = "Look segments up";
    const DESCRIPTION: &'static str = "Finds stored translations for up to 20 segments: score, kind, what differs, why points are \
        deducted, the target adapted to the numbers of the segment, and where it comes from. For one segment that is to be \
        translated, `context_pack` tells more.";
    type Input = Input;
    type Output = Output;

    async fn call(input: Input, mut session: Session) -> Result<Answer<Output>, Failure> {
        input.check()?;
        let least = score(input.min_score)?;
        let langs = (input.source_language.as_deref(), input.target_language.as_deref());
        let choice = session.choose(&input.memories, langs).await?;
        let settings = session.lookup(&choice.memories, least, input.max_matches);
        let found = session.client.lookup(&settings, input.queries()).await?;
        let (mut room, mut left_out) = (Room::default(), 0);
        let mut results = Vec::with_capacity(found.len());
        let mut text = String::new();
        for (number, (segment, found)) in (1..).zip(input.segments.into_iter().zip(found)) {
            let total = found.len();
            let matches = found.iter().map(|found| Match::new(&segment, found));
            // The list ends at the first match that does not fit, so that it never skips a better one.
            let matches: Vec<Match> = matches.take_while(|it| room.take(it)).collect();
            left_out += total - matches.len();
            let _ = writeln!(text, "Segment {number}: {segment}");
            if total == 0 {
                let _ = writeln!(text, "No match of {} or more.", input.min_score);
            }
            for (number, it) in (1..).zip(&matches) {
                text.push_str(&it.text(number));
            }
            results.push(Found { segment, matches });
        }
        if left_out > 0 {
            let _ = writeln!(
                text,
                "{left_out} matches are left out, because the answer is full: ask for fewer segments or a smaller `max_matches`."
            );
        }
        let memories = choice.memories.iter().map(ToString::to_string).collect();
        let left_out = (left_out > 0).then_some(left_out);
        Ok(Answer { structured: Output { results, memories, left_out }, text })
    }
}
