//! `AnalyzeSegments`, and its messages for the client.

use tokio_stream::StreamExt as _;
use tonic::{Status, Streaming};

use crate::engine::{Band, BandCount, BandCounts, Cancel, Engine, JobAnalysis};
use crate::limits::{ANALYSIS_FILES_MAX, LOOKUP_SEGMENTS_MAX};
use crate::unit::Segment;

use super::convert::{self, signed};
use super::lookups::CancelOnDrop;
use super::proto::analyze_segments_request::Message;
use super::proto::{AnalyzeSegmentsRequest, AnalyzeSegmentsResponse, FileAnalysis, MatchBand};
use super::status::invalid;
use super::{Api, proto};

/// How much of a file is in the memories.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JobReport {
    /// Its name.
    pub file: String,
    /// Every band.
    pub bands: Vec<(Band, BandCount)>,
}

impl Api {
    pub(crate) async fn analyze_job(
        &self,
        mut requests: Streaming<AnalyzeSegmentsRequest>,
    ) -> Result<AnalyzeSegmentsResponse, Status> {
        let settings = match requests.next().await.transpose()?.and_then(|it| it.message) {
            Some(Message::Settings(settings)) => self.settings(Some(settings))?,
            _ => return Err(invalid("message", "an analysis begins with its settings")),
        };
        let cancel = Cancel::default();
        let _stop_when_dropped = CancelOnDrop(cancel.clone());
        let mut job = JobAnalysis::new(settings);
        let mut files: Vec<FileAnalysis> = Vec::new();
        let mut total = BandCounts::default();
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
                total += counts;
                if files.len() >= ANALYSIS_FILES_MAX {
                    let what = format!("more than {ANALYSIS_FILES_MAX} files in one analysis");
                    return Err(invalid("segments.file", &what));
                }
                files.push(FileAnalysis { file, bands: bands(&counts) });
            }
            let Some(message) = segments else { break };
            let mut segments = segments_of(message.texts, message.segments)?.into_iter();
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
        Ok(AnalyzeSegmentsResponse { files, total: bands(&total) })
    }
}

/// The segments of a message, plain or with tags.
fn segments_of(texts: Vec<String>, segments: Vec<proto::Segment>) -> Result<Vec<Segment>, Status> {
    if !texts.is_empty() && !segments.is_empty() {
        return Err(invalid("segments.segments", "a message holds texts or segments, not both"));
    }
    let tagged = segments.into_iter().enumerate().map(|(index, segment)| {
        convert::segment(&format!("segments.segments[{index}]"), Some(segment))
    });
    texts.into_iter().map(|text| Ok(Segment::plain(text))).chain(tagged).collect()
}

fn bands(counts: &BandCounts) -> Vec<proto::BandCount> {
    let bands = counts.iter().map(|(band, BandCount { segments, words })| proto::BandCount {
        band: band_to_wire(band).into(),
        segments: signed(segments),
        words: signed(words),
    });
    bands.collect()
}

fn band_to_wire(band: Band) -> MatchBand {
    match band {
        Band::Context => MatchBand::Context,
        Band::Repetition => MatchBand::Repetition,
        Band::Exact => MatchBand::Exact,
        Band::From95 => MatchBand::MatchBand9599,
        Band::From85 => MatchBand::MatchBand8594,
        Band::From75 => MatchBand::MatchBand7584,
        Band::From70 => MatchBand::MatchBand7074,
        Band::None => MatchBand::None,
    }
}

/// The counts of a file, or of all, as the client shows them.
pub(crate) fn report(file: String, bands: &[proto::BandCount]) -> JobReport {
    let count = |band: Band| {
        let found = bands.iter().find(|count| count.band() == band_to_wire(band));
        let number = |of: fn(&proto::BandCount) -> i64| {
            found.map_or(0, |count| u64::try_from(of(count)).unwrap_or_default())
        };
        (band, BandCount { segments: number(|it| it.segments), words: number(|it| it.words) })
    };
    JobReport { file, bands: Band::ALL.map(count).to_vec() }
}
