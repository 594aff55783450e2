//! The calls of `LookupService`.

use tokio_stream::StreamExt as _;
use tonic::{Request, Response, Status, Streaming};

use crate::engine::{Cancel, Engine, EngineError, FoundMatch, LookupSettings, QuerySegment};
use crate::limits::LOOKUP_SEGMENTS_MAX;
use crate::matching::SCORE_VERSION;
use crate::text::TEXT_VERSION;

use super::super::api::{Answers, Api, CancelOnDrop, Lifetime, SHORT_TIME, Sender};
use super::super::convert::{MatchView, Within as _, query_segment};
use super::super::proto::lookup_service_server::LookupService;
use super::super::proto::stream_lookup_request::Message as StreamMessage;
use super::super::proto::{
    AnalyzeSegmentsRequest, AnalyzeSegmentsResponse, ExtractUnitsRequest, ExtractUnitsResponse,
    LookupSegmentsRequest, LookupSegmentsResponse, SearchConcordanceRequest,
    SearchConcordanceResponse, SegmentMatches, StreamLookupRequest, StreamLookupResponse,
};
use super::super::status::invalid;
use super::super::{proto, status};
use super::extract::extract;
use super::import_units::check_lang;

#[tonic::async_trait]
impl LookupService for Api {
    async fn lookup_segments(
        &self,
        request: Request<LookupSegmentsRequest>,
    ) -> Result<Response<LookupSegmentsResponse>, Status> {
        let request = request.into_inner();
        let (settings, view) = self.settings(request.settings)?;
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
            .map(|(index, query)| {
                query_segment(query, view.offsets()).within(format_args!("segments[{index}]"))
            })
            .collect::<Result<Vec<_>, _>>()?;
        let results = self.look_up(settings, &view, segments).await?;
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

    type ExtractUnitsStream = Answers<ExtractUnitsResponse>;

    async fn extract_units(
        &self,
        request: Request<Streaming<ExtractUnitsRequest>>,
    ) -> Result<Response<Self::ExtractUnitsStream>, Status> {
        let requests = request.into_inner();
        let task = |api, answers| extract(api, requests, answers);
        Ok(Response::new(self.stream(Lifetime::Endless, task)?))
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
    /// The settings of a request, checked, and how it wants its matches.
    pub(super) fn settings(
        &self,
        settings: Option<proto::LookupSettings>,
    ) -> Result<(LookupSettings, MatchView), Status> {
        let settings = settings
            .ok_or_else(|| invalid("settings", "name at least the memories to search in"))?;
        let view = MatchView::new(&settings).within("settings")?;
        let mut parsed = LookupSettings::try_from(&settings).within("settings")?;
        parsed.explain = view.explain();
        let engine = self.engine()?;
        engine.check_settings(&parsed).map_err(status::from_engine)?;
        if let Some(first) = parsed.memories.first() {
            let record = engine.memory(&first.memory).map_err(status::from_engine)?;
            check_lang(
                "settings.source_language_code",
                &settings.source_language_code,
                &record.source_lang,
            )?;
            check_lang(
                "settings.target_language_code",
                &settings.target_language_code,
                &record.target_lang,
            )?;
        }
        Ok((parsed, view))
    }

    /// Looks segments up, and counts their best matches.
    async fn look_up(
        &self,
        settings: LookupSettings,
        view: &MatchView,
        segments: Vec<QuerySegment>,
    ) -> Result<Vec<SegmentMatches>, Status> {
        let (found, segments) = self.find(settings, segments).await?;
        self.lookups.count(&found);
        let results = found.into_iter().zip(segments).map(|(found, query)| {
            let text = query.segment.text.as_str();
            let matches = found.into_iter().map(|found| view.found(text, found));
            SegmentMatches { matches: matches.collect() }
        });
        Ok(results.collect())
    }

    /// Looks segments up; stops when the caller goes away.
    async fn find(
        &self,
        settings: LookupSettings,
        segments: Vec<QuerySegment>,
    ) -> Result<(Vec<Vec<FoundMatch>>, Vec<QuerySegment>), Status> {
        let cancel = Cancel::default();
        let _stop_when_dropped = CancelOnDrop(cancel.clone());
        if let [segment] = segments.as_slice()
            && is_short(&settings, segment)
        {
            // Most segments have no match, and the indexes are in memory.
            match self.engine()?.search_indexes(&settings, segment, &Cancel::after(SHORT_TIME)) {
                Ok(hits) if hits.is_empty() => return Ok((vec![Vec::new()], segments)),
                Ok(hits) => {
                    let read =
                        |engine: &Engine, time: &Cancel| engine.read_matches(&settings, hits, time);
                    if let Some(found) = self.run_short(read)? {
                        return Ok((vec![found], segments));
                    }
                }
                Err(EngineError::Cancelled) => {}
                Err(error) => return Err(status::from_engine(error)),
            }
        }
        let look_up =
            move |engine: &Engine| Ok((engine.lookup(&settings, &segments, &cancel)?, segments));
        self.run(look_up).await
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
        && !settings.exhaustive
}

async fn stream_lookup(
    api: Api,
    mut requests: Streaming<StreamLookupRequest>,
    answers: Sender<StreamLookupResponse>,
) -> Result<(), Status> {
    let first = requests.next().await.transpose()?.and_then(|request| request.message);
    let (settings, view) = match first {
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
        let query = query_segment(query, view.offsets()).within("segment")?;
        let result = api.look_up(settings.clone(), &view, vec![query]).await?.pop();
        if answers.send(Ok(StreamLookupResponse { index, result })).await.is_err() {
            return Ok(());
        }
        index += 1;
    }
    Ok(())
}
