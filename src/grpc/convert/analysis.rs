//! Analyses: the counts of match bands.

use crate::engine::{Band, BandCount, BandCounts};

use super::super::proto::{self, MatchBand};
use super::{signed, unsigned};

/// How much of a file is in the memories.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JobReport {
    /// The name of the file.
    pub file: String,
    /// The counts of every band.
    pub counts: BandCounts,
}

impl From<Band> for MatchBand {
    fn from(band: Band) -> Self {
        match band {
            Band::Context => Self::Context,
            Band::Repetition => Self::Repetition,
            Band::Exact => Self::Exact,
            Band::From95 => Self::MatchBand9599,
            Band::From85 => Self::MatchBand8594,
            Band::From75 => Self::MatchBand7584,
            Band::From70 => Self::MatchBand7074,
            Band::None => Self::None,
        }
    }
}

impl From<(Band, BandCount)> for proto::BandCount {
    fn from((band, BandCount { segments, words }): (Band, BandCount)) -> Self {
        Self {
            band: MatchBand::from(band).into(),
            segments: signed(segments),
            words: signed(words),
        }
    }
}

impl From<(String, Vec<proto::BandCount>)> for JobReport {
    fn from((file, bands): (String, Vec<proto::BandCount>)) -> Self {
        let counts = bands.iter().filter_map(|count| {
            let band = Band::ALL.into_iter().find(|band| count.band() == (*band).into())?;
            let (segments, words) = (unsigned(count.segments), unsigned(count.words));
            Some((band, BandCount { segments, words }))
        });
        Self { file, counts: counts.collect() }
    }
}

impl From<JobReport> for proto::FileAnalysis {
    fn from(report: JobReport) -> Self {
        let bands = report.counts.iter().map(Into::into).collect();
        Self { file: report.file, bands }
    }
}
