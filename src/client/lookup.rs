//! The client's calls for searching memories: lookup, concordance and analysis.

use tokio_stream::{Stream, StreamExt as _};
use tonic::Status;

use crate::engine::{ConcordanceSettings, LookupSettings, QuerySegment};
use crate::unit::Segment;

use super::{Client, ClientError};
use crate::grpc::proto;
use crate::grpc::proto::analyze_segments_request::Message as AnalyzeMessage;
use crate::grpc::{JobReport, MatchInfo, PassageInfo, analysis, concordance, convert, lookups};

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
