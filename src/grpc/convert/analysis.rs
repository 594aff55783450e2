//! Analyses: the counts of match bands.

use crate::engine::{BandCount, BandCounts, MatchBands};

use super::super::proto;
use super::{FieldViolation, signed, unsigned};

/// How much of a file is in the memories.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JobReport {
    /// The name of the file.
    pub file: String,
    /// The counts of every band.
    pub counts: BandCounts,
}

/// The bands with these least rates; the usual ones when there are none.
pub(crate) fn match_bands(min_rates: Vec<i32>) -> Result<MatchBands, FieldViolation> {
    if min_rates.is_empty() {
        return Ok(MatchBands::default());
    }
    // No rate is negative: 0 is refused like it.
    let rates = min_rates.into_iter().map(|rate| u16::try_from(rate).unwrap_or(0)).collect();
    MatchBands::new(rates).map_err(|error| FieldViolation::new("min_rates", error.0))
}

impl From<JobReport> for proto::FileAnalysis {
    fn from(report: JobReport) -> Self {
        let BandCounts { bands, repetitions } = report.counts;
        let bands = bands.into_iter().map(|(min_rate, count)| proto::BandCount {
            min_rate: min_rate.into(),
            segments: signed(count.segments),
            words: signed(count.words),
        });
        let repetitions = Some(proto::RepetitionCount {
            segments: signed(repetitions.segments),
            words: signed(repetitions.words),
        });
        Self { file: report.file, bands: bands.collect(), repetitions }
    }
}

impl From<proto::FileAnalysis> for JobReport {
    fn from(analysis: proto::FileAnalysis) -> Self {
        let count =
            |segments, words| BandCount { segments: unsigned(segments), words: unsigned(words) };
        let bands = analysis.bands.iter().map(|band| {
            let rate = u16::try_from(band.min_rate).unwrap_or(0);
            (rate, count(band.segments, band.words))
        });
        let repeated = analysis.repetitions.unwrap_or_default();
        let repetitions = count(repeated.segments, repeated.words);
        Self { file: analysis.file, counts: BandCounts { bands: bands.collect(), repetitions } }
    }
}
