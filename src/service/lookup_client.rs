//! The client's calls for searching memories: lookup, concordance and analysis.

use tokio_stream::{Stream, StreamExt as _};
use tonic::Status;

use crate::engine::{Band, BandCount, ConcordanceSettings, LookupSettings, QuerySegment};
use crate::unit::{MemoryName, Segment, Unit};

use super::client::{Client, ClientError};
use super::proto;
use super::proto::analyze_segments_request::Message as AnalyzeMessage;
use super::{analysis, concordance, convert, lookups};

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
    pub to_change: Vec<(usize, usize)>,
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

/// A unit in which an expression stands.
#[derive(Debug, Clone, PartialEq)]
pub struct PassageInfo {
    /// In which memory.
    pub memory: MemoryName,
    /// The unit.
    pub unit: Unit,
    /// Where, in code points of the text that was searched, end exclusive.
    pub highlights: Vec<(usize, usize)>,
}

/// How much of a file is in the memories.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JobReport {
    /// Its name.
    pub file: String,
    /// Every band.
    pub bands: Vec<(Band, BandCount)>,
}

impl Client {
    /// Looks segments up; results in their order.
    ///
    /// # Errors
    /// The server's.
    pub async fn lookup(
        &mut self,
        settings: &LookupSettings,
        segments: Vec<QuerySegment>,
    ) -> Result<Vec<Vec<MatchInfo>>, ClientError> {
        let request = proto::LookupSegmentsRequest {
            settings: Some(lookups::settings_to_wire(settings)),
            segments: segments.into_iter().map(lookups::query_to_wire).collect(),
        };
        let response = self.lookups.lookup_segments(request).await?.into_inner();
        let results = response.results.into_iter().map(|result| {
            result.matches.into_iter().map(lookups::match_info).collect::<Result<Vec<_>, _>>()
        });
        Ok(results.collect::<Result<_, Status>>()?)
    }

    /// A page of the units in which an expression stands, and the token of the next one; empty after the last.
    ///
    /// # Errors
    /// The server's.
    pub async fn concordance(
        &mut self,
        settings: &ConcordanceSettings,
        page_size: usize,
        page_token: String,
    ) -> Result<(Vec<PassageInfo>, String), ClientError> {
        let request = concordance::request(settings, page_size, page_token);
        let response = self.lookups.search_concordance(request).await?.into_inner();
        let hits = response.hits.into_iter().map(concordance::passage_info);
        Ok((hits.collect::<Result<_, Status>>()?, response.next_page_token))
    }

    /// Analyses a job: pieces of files, in their order, as (file, segments). The reports of the files, and of all.
    ///
    /// # Errors
    /// The server's.
    pub async fn analyze(
        &mut self,
        settings: &LookupSettings,
        pieces: impl Stream<Item = (String, Vec<Segment>)> + Send + 'static,
    ) -> Result<(Vec<JobReport>, JobReport), ClientError> {
        let message = |message| proto::AnalyzeSegmentsRequest { message: Some(message) };
        let settings = AnalyzeMessage::Settings(lookups::settings_to_wire(settings));
        let pieces = pieces.map(|(file, segments)| {
            let segments = segments.into_iter().map(convert::segment_to_wire).collect();
            proto::FileSegments { file, texts: Vec::new(), segments }
        });
        let first = tokio_stream::once(message(settings));
        let requests = first.chain(pieces.map(move |it| message(AnalyzeMessage::Segments(it))));
        let response = self.lookups.analyze_segments(requests).await?.into_inner();
        let files = response.files.into_iter().map(|it| analysis::report(it.file, &it.bands));
        Ok((files.collect(), analysis::report(String::new(), &response.total)))
    }
}
