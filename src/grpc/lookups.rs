//! The calls of `LookupService`, and its messages for the client.

use tokio_stream::StreamExt as _;
use tonic::{Request, Response, Status, Streaming};

use crate::engine::{
    Cancel, Engine, EngineError, FoundMatch, LookupSettings, MemoryChoice, QuerySegment,
};
use crate::limits::{
    LOOKUP_MATCHES_DEFAULT, LOOKUP_MATCHES_MAX, LOOKUP_MEMORIES_MAX, LOOKUP_SEGMENTS_MAX,
};
use crate::matching::{EditKind, MatchKind, SCORE_VERSION};
use crate::text::TEXT_VERSION;
use crate::unit::{MemoryName, Score, Unit};

use super::convert::{
    CodePoints, memory_name, segment, segment_to_wire, span_info, stored_unit, unit_filter,
    unit_filter_to_wire, unit_name, unit_to_wire,
};
use super::imports::check_lang;
use super::proto::lookup_service_server::LookupService;
use super::proto::stream_lookup_request::Message as StreamMessage;
use super::proto::{
    AnalyzeSegmentsRequest, AnalyzeSegmentsResponse, LookupSegmentsRequest, LookupSegmentsResponse,
    SearchConcordanceRequest, SearchConcordanceResponse, SegmentMatches, StreamLookupRequest,
    StreamLookupResponse,
};
use super::status::invalid;
use super::unit_streams::{Answers, Lifetime, Sender};
use super::{Api, SHORT_TIME, proto, status};

/// A match as the server shows it. Scores and points in points, 0 to 100.
#[derive(Debug, Clone, PartialEq)]
pub struct MatchInfo {
    /// 0 to 100.
    pub score: f64,
    /// `context`, `exact` or `fuzzy`.
    pub kind: &'static str,
    /// What lost how many points.
    pub deductions: Vec<(String, f64)>,
    /// In which memory.
    pub memory: MemoryName,
    /// The unit.
    pub unit: Unit,
    /// The differences.
    pub edits: Vec<EditInfo>,
    /// The target with the numbers and other placeables of the query; empty when there are none to put in.
    pub adapted_target: String,
    /// What was put in.
    pub substitutions: Vec<SubstitutionInfo>,
    /// Where words of the target stand for words of the source that the query does not have, in code points.
    pub spans_to_edit: Vec<(usize, usize)>,
}

/// One difference, as spans of code points in query and stored source.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EditInfo {
    /// `replaced`, `inserted`, `deleted` or `changed`.
    pub kind: &'static str,
    /// Start and end in the query.
    pub query: (usize, usize),
    /// Start and end in the stored source.
    pub source: (usize, usize),
}

/// What was put into a target, in code points, end exclusive.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SubstitutionInfo {
    /// In the query.
    pub query: (usize, usize),
    /// In the stored source.
    pub source: (usize, usize),
    /// In the stored target.
    pub target: (usize, usize),
    /// In the adapted target.
    pub adapted: (usize, usize),
}

/// Points a match needs when the request does not say.
const MIN_SCORE_DEFAULT: f64 = 70.0;

#[tonic::async_trait]
impl LookupService for Api {
    async fn lookup_segments(
        &self,
        request: Request<LookupSegmentsRequest>,
    ) -> Result<Response<LookupSegmentsResponse>, Status> {
        let request = request.into_inner();
        let settings = self.settings(request.settings)?;
        if request.segments.len() > LOOKUP_SEGMENTS_MAX {
            let what = format!(
                "{} segments; a call takes at most {LOOKUP_SEGMENTS_MAX} (StreamLookup takes any number)",
                request.segments.len()
            );
            return Err(invalid("segments", &what));
        }
        let segments = request
            .segments
            .into_iter()
            .enumerate()
            .map(|(index, query)| query_segment(&format!("segments[{index}]"), query))
            .collect::<Result<Vec<_>, _>>()?;
        let results = self.look_up(settings, segments).await?;
        Ok(Response::new(LookupSegmentsResponse {
            results,
            score_version: i32::try_from(SCORE_VERSION).unwrap_or(i32::MAX),
            text_version: i32::try_from(TEXT_VERSION).unwrap_or(i32::MAX),
        }))
    }

    async fn search_concordance(
        &self,
        request: Request<SearchConcordanceRequest>,
    ) -> Result<Response<SearchConcordanceResponse>, Status> {
        self.concordance(request.into_inner()).await.map(Response::new)
    }

    async fn analyze_segments(
        &self,
        request: Request<Streaming<AnalyzeSegmentsRequest>>,
    ) -> Result<Response<AnalyzeSegmentsResponse>, Status> {
        self.analyze_job(request.into_inner()).await.map(Response::new)
    }

    type StreamLookupStream = Answers<StreamLookupResponse>;

    async fn stream_lookup(
        &self,
        request: Request<Streaming<StreamLookupRequest>>,
    ) -> Result<Response<Self::StreamLookupStream>, Status> {
        let requests = request.into_inner();
        let task = |api, answers| stream_lookup(api, requests, answers);
        Ok(Response::new(self.stream(Lifetime::Endless, task)?))
    }
}

impl Api {
    /// What a client says of how to search.
    pub(crate) fn settings(
        &self,
        settings: Option<proto::LookupSettings>,
    ) -> Result<LookupSettings, Status> {
        let settings = settings
            .ok_or_else(|| invalid("settings", "name at least the memories to search in"))?;
        if settings.memories.len() > LOOKUP_MEMORIES_MAX {
            let what = format!("at most {LOOKUP_MEMORIES_MAX} memories in one call");
            return Err(invalid("settings.memories", &what));
        }
        let score = |field: &str, points: f64| {
            Score::from_points(points).map_err(|error| invalid(field, &error.0))
        };
        let choice = |(index, choice): (usize, &proto::MemoryChoice)| {
            Ok(MemoryChoice {
                memory: memory_name(&format!("settings.memories[{index}].name"), &choice.name)?,
                penalty: score(&format!("settings.memories[{index}].penalty"), choice.penalty)?,
            })
        };
        let max_matches = match usize::try_from(settings.max_matches) {
            Ok(0) => LOOKUP_MATCHES_DEFAULT,
            Ok(max) if max <= LOOKUP_MATCHES_MAX => max,
            _ => {
                let what =
                    format!("{} is not from 0 to {LOOKUP_MATCHES_MAX}", settings.max_matches);
                return Err(invalid("settings.max_matches", &what));
            }
        };
        let parsed = LookupSettings {
            memories: settings
                .memories
                .iter()
                .enumerate()
                .map(choice)
                .collect::<Result<_, Status>>()?,
            min_score: score(
                "settings.min_score",
                settings.min_score.unwrap_or(MIN_SCORE_DEFAULT),
            )?,
            max_matches,
            exhaustive: settings.exhaustive,
            filter: unit_filter("settings.filter", settings.filter)?,
        };
        let engine = self.engine()?;
        engine.check_settings(&parsed).map_err(status::from_engine)?;
        if let Some(first) = parsed.memories.first() {
            let record = engine.memory(&first.memory).map_err(status::from_engine)?;
            check_lang("settings.source_lang", &settings.source_lang, &record.source_lang)?;
            check_lang("settings.target_lang", &settings.target_lang, &record.target_lang)?;
        }
        Ok(parsed)
    }

    /// Looks segments up, and counts how well they were found.
    async fn look_up(
        &self,
        settings: LookupSettings,
        segments: Vec<QuerySegment>,
    ) -> Result<Vec<SegmentMatches>, Status> {
        let found = self.find(settings, segments).await?;
        self.lookups.count(&found);
        Ok(found)
    }

    /// Looks segments up; stops when the caller goes away.
    async fn find(
        &self,
        settings: LookupSettings,
        segments: Vec<QuerySegment>,
    ) -> Result<Vec<SegmentMatches>, Status> {
        let cancel = Cancel::default();
        let _stop_when_dropped = CancelOnDrop(cancel.clone());
        if let [segment] = segments.as_slice()
            && is_short(&settings, segment)
        {
            // Most segments have no match, and the indexes are in memory.
            match self.engine()?.search_indexes(&settings, segment, &Cancel::after(SHORT_TIME)) {
                Ok(hits) if hits.is_empty() => return Ok(vec![SegmentMatches::default()]),
                Ok(hits) => {
                    let read =
                        |engine: &Engine, time: &Cancel| engine.read_matches(&settings, hits, time);
                    if let Some(found) = self.run_short(read)? {
                        return Ok(matches_to_wire(&segments, vec![found]));
                    }
                }
                Err(EngineError::Cancelled) => {}
                Err(error) => return Err(status::from_engine(error)),
            }
        }
        self.run(move |engine| found(engine, &settings, &segments, &cancel)).await
    }
}

/// Most matches of a lookup that is short.
const SHORT_MATCHES_MAX: usize = 10;
/// Most text of a segment whose lookup is short.
const SHORT_BYTES_MAX: usize = 4 * 1024;

/// Whether a lookup usually takes microseconds, and reads nothing from the store but its matches.
fn is_short(settings: &LookupSettings, segment: &QuerySegment) -> bool {
    segment.segment.text.len() <= SHORT_BYTES_MAX
        && settings.max_matches <= SHORT_MATCHES_MAX
        && settings.filter.attributes.is_empty()
        && !settings.exhaustive
}

/// Looks segments up. Blocks.
fn found(
    engine: &Engine,
    settings: &LookupSettings,
    segments: &[QuerySegment],
    cancel: &Cancel,
) -> Result<Vec<SegmentMatches>, EngineError> {
    Ok(matches_to_wire(segments, engine.lookup(settings, segments, cancel)?))
}

fn matches_to_wire(segments: &[QuerySegment], found: Vec<Vec<FoundMatch>>) -> Vec<SegmentMatches> {
    let results = found.into_iter().zip(segments).map(|(found, query)| SegmentMatches {
        matches: found.into_iter().map(|found| match_to_wire(query, found)).collect(),
    });
    results.collect()
}

/// A call that is dropped (the client went away, its deadline passed) cancels its work.
pub(crate) struct CancelOnDrop(pub(crate) Cancel);

impl Drop for CancelOnDrop {
    fn drop(&mut self) {
        self.0.cancel();
    }
}

async fn stream_lookup(
    api: Api,
    mut requests: Streaming<StreamLookupRequest>,
    answers: Sender<StreamLookupResponse>,
) -> Result<(), Status> {
    let settings = match requests.next().await.transpose()?.and_then(|request| request.message) {
        Some(StreamMessage::Settings(settings)) => api.settings(Some(settings))?,
        _ => {
            return Err(invalid("message", "a stream of lookups begins with its settings"));
        }
    };
    let mut index = 0;
    while let Some(request) = requests.next().await.transpose()? {
        let Some(StreamMessage::Segment(query)) = request.message else {
            return Err(invalid("message", "after the settings every message is a segment"));
        };
        let query = query_segment("segment", query)?;
        let result = api.look_up(settings.clone(), vec![query]).await?.pop();
        if answers.send(Ok(StreamLookupResponse { index, result })).await.is_err() {
            return Ok(());
        }
        index += 1;
    }
    Ok(())
}

fn query_segment(field: &str, query: proto::QuerySegment) -> Result<QuerySegment, Status> {
    Ok(QuerySegment {
        segment: segment(&format!("{field}.segment"), query.segment)?,
        previous: query.previous_text,
        next: query.next_text,
    })
}

fn points(hundredths: u16) -> f64 {
    f64::from(hundredths) / 100.0
}

fn match_to_wire(query: &QuerySegment, found: FoundMatch) -> proto::Match {
    let content = &found.unit.content;
    let query = CodePoints::new(&query.segment.text);
    let source = CodePoints::new(&content.source.text);
    let target = CodePoints::new(&content.target.text);
    let edits = found.edits.iter().map(|edit| proto::Edit {
        kind: edit_kind(edit.kind).into(),
        query: Some(query.span(&edit.query)),
        source: Some(source.span(&edit.source)),
    });
    let adapted_text = found.adapted.as_ref().map_or("", |adapted| &adapted.text);
    let adapted = CodePoints::new(adapted_text);
    let substitutions = found.adapted.iter().flat_map(|adapted| &adapted.substitutions);
    let substitutions = substitutions.map(|it| proto::Substitution {
        query: Some(query.span(&it.query)),
        source: Some(source.span(&it.source)),
        target: Some(target.span(&it.target)),
        adapted: Some(adapted.span(&it.adapted)),
    });
    let substitutions = substitutions.collect();
    proto::Match {
        score: found.score.points(),
        kind: match_kind(found.kind).into(),
        deductions: found
            .deductions
            .iter()
            .map(|(reason, hundredths)| proto::Deduction {
                reason: reason.name().to_owned(),
                points: points(hundredths),
            })
            .collect(),
        edits: edits.collect(),
        adapted_target: adapted_text.to_owned(),
        substitutions,
        to_change: found.spans_to_edit.iter().map(|bytes| target.span(bytes)).collect(),
        unit: Some(unit_to_wire(&found.memory, found.unit)),
    }
}

fn match_kind(kind: MatchKind) -> proto::MatchKind {
    match kind {
        MatchKind::Context => proto::MatchKind::Context,
        MatchKind::Exact => proto::MatchKind::Exact,
        MatchKind::Fuzzy => proto::MatchKind::Fuzzy,
    }
}

fn edit_kind(kind: EditKind) -> proto::EditKind {
    match kind {
        EditKind::Changed => proto::EditKind::Changed,
        EditKind::Replaced => proto::EditKind::Replaced,
        EditKind::Inserted => proto::EditKind::Inserted,
        EditKind::Deleted => proto::EditKind::Deleted,
    }
}

pub(crate) fn settings_to_wire(settings: &LookupSettings) -> proto::LookupSettings {
    proto::LookupSettings {
        memories: settings
            .memories
            .iter()
            .map(|choice| proto::MemoryChoice {
                name: choice.memory.resource(),
                penalty: choice.penalty.points(),
            })
            .collect(),
        min_score: Some(settings.min_score.points()),
        max_matches: i32::try_from(settings.max_matches).unwrap_or(i32::MAX),
        exhaustive: settings.exhaustive,
        filter: Some(unit_filter_to_wire(&settings.filter)),
        ..proto::LookupSettings::default()
    }
}

pub(crate) fn query_to_wire(query: QuerySegment) -> proto::QuerySegment {
    proto::QuerySegment {
        segment: Some(segment_to_wire(query.segment)),
        previous_text: query.previous,
        next_text: query.next,
    }
}

/// A match as another process of this program gave it out.
pub(crate) fn match_info(found: proto::Match) -> Result<MatchInfo, Status> {
    let kind = match found.kind() {
        proto::MatchKind::Context => MatchKind::Context,
        proto::MatchKind::Exact => MatchKind::Exact,
        proto::MatchKind::Fuzzy | proto::MatchKind::Unspecified => MatchKind::Fuzzy,
    };
    let edits = found.edits.iter().map(|edit| EditInfo {
        kind: match edit.kind() {
            proto::EditKind::Inserted => EditKind::Inserted,
            proto::EditKind::Deleted => EditKind::Deleted,
            proto::EditKind::Changed => EditKind::Changed,
            proto::EditKind::Replaced | proto::EditKind::Unspecified => EditKind::Replaced,
        }
        .name(),
        query: span_info(edit.query),
        source: span_info(edit.source),
    });
    let edits = edits.collect();
    let substitutions = found.substitutions.into_iter().map(|it| SubstitutionInfo {
        query: span_info(it.query),
        source: span_info(it.source),
        target: span_info(it.target),
        adapted: span_info(it.adapted),
    });
    let substitutions = substitutions.collect();
    let unit = found.unit.unwrap_or_default();
    let (memory, _) = unit_name("match.unit.name", &unit.name)?;
    Ok(MatchInfo {
        score: found.score,
        kind: kind.name(),
        deductions: found
            .deductions
            .into_iter()
            .map(|deduction| (deduction.reason, deduction.points))
            .collect(),
        memory,
        unit: stored_unit(unit)?,
        edits,
        adapted_target: found.adapted_target,
        substitutions,
        spans_to_edit: found.to_change.into_iter().map(|it| span_info(Some(it))).collect(),
    })
}
