//! `dhakira lookup`: finds stored translations for segments.

use std::fs::File;
use std::io::{self, IsTerminal as _};
use std::path::{Path, PathBuf};
use std::str::FromStr;

use anyhow::{Context as _, ensure};
use clap::Args;

use crate::client::Client;
use crate::engine::{Explain, LookupSettings, MemoryChoice, QuerySegment, context_hash};
use crate::formats;
use crate::unit::{Context, MemoryName, Score, Segment};
use crate::validate::validate_text;

use super::filter::FilterFlags;
use super::found::{Found, print_json, print_table};
use super::input::is_exchange_file;
use super::lines::Lines;
use super::outcome::Outcome;
use super::penalties::PenaltyFlags;
use super::place::{MissingData, Place};

/// Find stored translations for segments: the arguments, a file, or standard input, one segment a line.
///
/// Each line is answered as soon as it is there, so that a program can write a segment and read the answer, as long as it likes; with
/// --document as soon as the next one is there.
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
    /// A text to look up, one segment a line, in any encoding, compressed or not.
    #[arg(long, short, value_name = "FILE", conflicts_with = "segments")]
    file: Option<PathBuf>,
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

impl Lookup {
    pub(super) async fn run(self) -> anyhow::Result<Outcome> {
        let mut lines = self.lines()?;
        let mut client = self.place.client("lookup", MissingData::Refuse).await?;
        if self.reads_stdin() && io::stdin().is_terminal() {
            note!("dhakira: type a segment and Enter; Ctrl-D ends");
        }
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
        let (mut previous, mut held) = (None, Vec::new());
        loop {
            let more = lines.next(CALL_SEGMENTS).await?;
            let is_end = more.is_empty();
            held.extend(more);
            // In a document, the last line waits for its neighbour.
            let waiting = usize::from(self.document && !is_end && !held.is_empty());
            let part = Part { previous, segments: &held, count: held.len() - waiting };
            let found = self.call(&mut client, &settings, &part).await?;
            for (query, found) in held.iter().zip(&found) {
                if matches!(found, Found::Refused(_)) && !query.trim().is_empty() {
                    outcome = Outcome::DoneWithRejects;
                }
                if self.json {
                    print_json(query, found)?;
                } else {
                    print_table(query, found)?;
                }
            }
            let Part { previous: before, count, .. } = part;
            previous = held.drain(..count).next_back().or(before);
            if is_end {
                return Ok(outcome);
            }
        }
    }

    fn reads_stdin(&self) -> bool {
        self.segments.is_empty() && self.file.as_ref().is_none_or(|file| file.as_os_str() == "-")
    }

    /// The segments, as they come.
    fn lines(&self) -> anyhow::Result<Lines> {
        for segment in self.segments.iter().filter(|it| Path::new(it).is_file()) {
            note!(
                "dhakira: '{segment}' is looked up as a text; it is also the name of a file, whose lines `--file {segment}` looks up"
            );
        }
        if !self.segments.is_empty() {
            return Ok(Lines::given(self.segments.clone()));
        }
        let Some(path) = self.file.as_ref().filter(|_| !self.reads_stdin()) else {
            return Ok(Lines::of("standard input".to_owned(), Box::new(io::stdin())));
        };
        ensure!(
            !is_exchange_file(path),
            "{}: --file reads texts, one segment a line; `dhakira extract` and `dhakira analyze` read exchange files",
            path.display()
        );
        let doing = || format!("reading {}", path.display());
        let file = File::open(path).with_context(doing)?;
        let text = formats::open_text(Box::new(file)).with_context(doing)?;
        Ok(Lines::of(path.display().to_string(), Box::new(text)))
    }

    /// Looks up a part of the segments; invalid ones are not sent.
    async fn call(
        &self,
        client: &mut Client,
        settings: &LookupSettings,
        part: &Part<'_>,
    ) -> anyhow::Result<Vec<Found>> {
        let segments = &part.segments[..part.count];
        let faults: Vec<Option<String>> = segments
            .iter()
            .map(|segment| validate_text(segment).err().map(|fault| fault.message))
            .collect();
        let queries = (0..).zip(&faults).filter(|(_, fault)| fault.is_none()).map(|(place, _)| {
            let context = if self.document { part.context(place) } else { Context::default() };
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

/// Segments of which the first ones are looked up; what is before and after them is known as their context.
struct Part<'a> {
    previous: Option<String>,
    segments: &'a [String],
    count: usize,
}

impl Part<'_> {
    fn context(&self, place: usize) -> Context {
        let previous = match place.checked_sub(1) {
            Some(before) => self.segments.get(before),
            None => self.previous.as_ref(),
        };
        Context {
            previous: previous.map(|text| context_hash(text)),
            next: self.segments.get(place + 1).map(|text| context_hash(text)),
            ..Context::default()
        }
    }
}
