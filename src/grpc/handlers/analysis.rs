//! `AnalyzeSegments`: how much of a job is in the memories.

use tokio_stream::StreamExt as _;
use tonic::{Status, Streaming};

use crate::engine::{BandCounts, Cancel, Engine, JobAnalysis};
use crate::limits::{ANALYSIS_FILES_MAX, LOOKUP_SEGMENTS_MAX};
use crate::unit::{OffsetUnit, Segment};

use super::super::api::{Api, CancelOnDrop};
use super::super::convert::{JobReport, Within as _, match_bands, segment_of};
use super::super::proto::analyze_segments_request::Message;
use super::super::proto::{
    self, AnalysisSettings, AnalyzeSegmentsRequest, AnalyzeSegmentsResponse, FileAnalysis,
};
use super::super::status::invalid;

impl Api {
    pub(super) async fn analyze_job(
        &self,
        mut requests: Streaming<AnalyzeSegmentsRequest>,
    ) -> Result<AnalyzeSegmentsResponse, Status> {
        let first = requests.next().await.transpose()?.and_then(|it| it.message);
        let ((settings, view), bands) = match first {
            Some(Message::Settings(AnalysisSettings { lookup, min_rates })) => {
                (self.settings(lookup)?, match_bands(min_rates).within("settings")?)
            }
            _ => return Err(invalid("message", "an analysis begins with its settings")),
        };
        let cancel = Cancel::default();
        let _stop_when_dropped = CancelOnDrop(cancel.clone());
        let mut total = BandCounts::new(&bands);
        let mut job = JobAnalysis::new(settings, bands);
        let mut files: Vec<FileAnalysis> = Vec::new();
        let mut open: Option<String> = None;
        loop {
            let segments = match requests.next().await.transpose()?.map(|it| it.message) {
                Some(Some(Message::Segments(segments))) => Some(segments),
                Some(_) => {
                    let what = "after the settings every message holds segments";
                    return Err(invalid("message", what));
                }
                None => None,
            };
            if let Some(file) =
                open.take_if(|open| segments.as_ref().is_none_or(|segments| segments.file != *open))
            {
                let (cancel, mut taken) = (cancel.clone(), job);
                let end = move |engine: &Engine| {
                    taken.end_file(engine, &cancel).map(|counts| (counts, taken))
                };
                let counts;
                (counts, job) = self.run(end).await?;
                total += &counts;
                if files.len() >= ANALYSIS_FILES_MAX {
                    let what = format!("more than {ANALYSIS_FILES_MAX} files in one analysis");
                    return Err(invalid("segments.file", &what));
                }
                files.push(JobReport { file, counts }.into());
            }
            let Some(message) = segments else { break };
            let mut segments =
                segments_of(message.texts, message.segments, view.offsets())?.into_iter();
            open = Some(message.file);
            loop {
                // Some at a time: each step is done soon.
                let some: Vec<Segment> = segments.by_ref().take(LOOKUP_SEGMENTS_MAX).collect();
                if some.is_empty() {
                    break;
                }
                let (cancel, mut taken) = (cancel.clone(), job);
                let step = move |engine: &Engine| taken.add(engine, some, &cancel).map(|()| taken);
                job = self.run(step).await?;
            }
        }
        let total = JobReport { file: String::new(), counts: total };
        Ok(AnalyzeSegmentsResponse { files, total: Some(total.into()) })
    }
}

/// The segments of a message, plain or with tags.
fn segments_of(
    texts: Vec<String>,
    segments: Vec<proto::Segment>,
    offsets: OffsetUnit,
) -> Result<Vec<Segment>, Status> {
    if !texts.is_empty() && !segments.is_empty() {
        return Err(invalid("segments.segments", "a message holds texts or segments, not both"));
    }
    let tagged = segments.into_iter().enumerate().map(|(index, segment)| {
        Ok(segment_of(segment, offsets).within(format_args!("segments.segments[{index}]"))?)
    });
    texts.into_iter().map(|text| Ok(Segment::plain(text))).chain(tagged).collect()
}
