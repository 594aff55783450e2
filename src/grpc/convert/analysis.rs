//! Analyses: the counts of match bands.

use crate::engine::{Band, BandCount, BandCounts};

use super::super::proto;
use super::{signed, unsigned};

/// How much of a file is in the memories.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JobReport {
    /// The name of the file.
    pub file: String,
    /// The counts of every band.
    pub counts: BandCounts,
}

/// The least match rate of a band; `None` for repetitions.
fn min_rate(band: Band) -> Option<i32> {
    match band {
        Band::Context => Some(101),
        Band::Repetition => None,
        Band::Exact => Some(100),
        Band::From95 => Some(95),
        Band::From85 => Some(85),
        Band::From75 => Some(75),
        Band::From70 => Some(70),
        Band::None => Some(0),
    }
}

impl From<JobReport> for proto::FileAnalysis {
    fn from(report: JobReport) -> Self {
        let mut analysis = Self { file: report.file, ..Self::default() };
        for (band, count) in report.counts.iter() {
            let (segments, words) = (signed(count.segments), signed(count.words));
            match min_rate(band) {
                Some(min_rate) => {
                    analysis.bands.push(proto::BandCount { min_rate, segments, words });
                }
                None => analysis.repetitions = Some(proto::RepetitionCount { segments, words }),
            }
        }
        analysis
    }
}

impl From<proto::FileAnalysis> for JobReport {
    fn from(analysis: proto::FileAnalysis) -> Self {
        let repeated = analysis.repetitions.unwrap_or_default();
        let count =
            |segments, words| BandCount { segments: unsigned(segments), words: unsigned(words) };
        let counts = analysis.bands.iter().filter_map(|it| {
            let band = Band::ALL.into_iter().find(|band| min_rate(*band) == Some(it.min_rate))?;
            Some((band, count(it.segments, it.words)))
        });
        let repeated = (Band::Repetition, count(repeated.segments, repeated.words));
        Self { file: analysis.file, counts: counts.chain([repeated]).collect() }
    }
}
