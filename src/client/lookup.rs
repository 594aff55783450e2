//! Lookup, concordance, analysis and extraction.

use tokio_stream::{Stream, StreamExt as _};

use crate::engine::{
    ConcordanceSettings, ExtractCounts, ExtractedUnit, FoundMatch, FoundPassage, LookupSettings,
    QuerySegment,
};
use crate::unit::Segment;

use super::connection::{Client, ClientStream};
use super::error::ClientError;
use crate::grpc::JobReport;
use crate::grpc::proto;
use crate::grpc::proto::analyze_segments_request::Message as AnalyzeMessage;
use crate::grpc::proto::extract_units_request::Message as ExtractMessage;

impl Client {
    /// Looks segments up; results in their order.
    ///
    /// # Errors
    /// The server's.
    pub async fn lookup(
        &mut self,
        settings: &LookupSettings,
        segments: Vec<QuerySegment>,
    ) -> Result<Vec<Vec<FoundMatch>>, ClientError> {
        let texts: Vec<String> = segments.iter().map(|it| it.segment.text.clone()).collect();
        let request = proto::LookupSegmentsRequest {
            settings: Some(settings.into()),
            segments: segments.into_iter().map(Into::into).collect(),
        };
        let response = self.lookups.lookup_segments(request).await?.into_inner();
        let results = texts.iter().zip(response.results).map(|(text, result)| {
            let found = result.matches.into_iter();
            found.map(|found| Ok(FoundMatch::try_from((text.as_str(), found))?)).collect()
        });
        results.collect()
    }

    /// A page of the units in which an expression occurs, and the token of the next page; empty after the last.
    ///
    /// # Errors
    /// The server's.
    pub async fn concordance(
        &mut self,
        settings: &ConcordanceSettings,
        page_size: usize,
        page_token: String,
    ) -> Result<(Vec<FoundPassage>, String), ClientError> {
        let request = proto::SearchConcordanceRequest {
            page_size: i32::try_from(page_size).unwrap_or(i32::MAX),
            page_token,
            ..settings.into()
        };
        let response = self.lookups.search_concordance(request).await?.into_inner();
        let hits = response.hits.into_iter();
        let hits = hits.map(|hit| Ok(FoundPassage::try_from((settings.side, hit))?));
        Ok((hits.collect::<Result<_, ClientError>>()?, response.next_page_token))
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
        let settings = AnalyzeMessage::Settings(proto::AnalysisSettings {
            lookup: Some(settings.into()),
            min_rates: Vec::new(),
        });
        let pieces = pieces.map(|(file, segments)| {
            let segments = segments.into_iter().map(Into::into).collect();
            proto::FileSegments { file, texts: Vec::new(), segments }
        });
        let first = tokio_stream::once(message(settings));
        let requests = first.chain(pieces.map(move |it| message(AnalyzeMessage::Segments(it))));
        let response = self.lookups.analyze_segments(requests).await?.into_inner();
        let files = response.files.into_iter().map(Into::into);
        Ok((files.collect(), response.total.unwrap_or_default().into()))
    }

    /// Extracts the units that match any segment of a job: counts while its pieces are searched, then the units in pages, then the
    /// final counts.
    ///
    /// # Errors
    /// The server's, at once or in the stream.
    pub async fn extract(
        &mut self,
        settings: &LookupSettings,
        pieces: impl Stream<Item = Vec<QuerySegment>> + Send + 'static,
    ) -> Result<ClientStream<ExtractPage>, ClientError> {
        let message = |message| proto::ExtractUnitsRequest { message: Some(message) };
        let first = tokio_stream::once(message(ExtractMessage::Settings(settings.into())));
        let requests = first.chain(pieces.map(move |segments| {
            let segments = segments.into_iter().map(Into::into).collect();
            message(ExtractMessage::Segments(proto::JobSegments { segments }))
        }));
        let answers = self.lookups.extract_units(requests).await?.into_inner();
        Ok(Box::pin(answers.map(|answer| {
            let answer = answer?;
            let units = answer.units.into_iter().map(ExtractedUnit::try_from);
            let units = units.collect::<Result<_, _>>()?;
            Ok(ExtractPage { units, counts: answer.counts.map(Into::into) })
        })))
    }
}

/// An answer of an extraction.
#[derive(Debug, Default)]
pub struct ExtractPage {
    /// The next units.
    pub units: Vec<ExtractedUnit>,
    /// The counts so far, or the final ones.
    pub counts: Option<ExtractCounts>,
}
