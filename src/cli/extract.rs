//! `dhakira extract`: every unit that matches any segment of a job, as a file.

use std::collections::BTreeMap;

use anyhow::Context as _;
use clap::Args;
use serde::Serialize;
use tokio_stream::StreamExt as _;

use crate::client::{Client, ClientStream, ExtractPage, MemoryInfo};
use crate::engine::{ExtractCounts, ExtractedUnit, QuerySegment};
use crate::formats::{self, FileHeader, Format, free_name};
use crate::limits::{LOOKUP_MATCHES_MAX, UNIT_ATTRIBUTES_MAX};
use crate::terminal::{Progress, counted, json_line};
use crate::unit::{Score, Unit, UnitId};

use super::job::JobFlags;
use super::lookup::score;
use super::outcome::Outcome;
use super::place::{MissingData, Place};
use super::unit_file::{Out, UnitFile};

/// Write a project memory: every unit that matches any segment of some files, once, as TMX, TSV, CSV, JSON lines or XLIFF.
#[derive(Debug, Args)]
#[command(
    after_help = "The file is for tools that read translation memories as files: put it into the folder tm/ of an OmegaT project, or \
    open it in Trados, memoQ or Wordfast. Each unit has two attributes more, which are properties in TMX: x-match-score, the score of \
    its best match, and x-match-penalty, the points of it that penalties took. A unit that has an attribute of such a name keeps it, and \
    the new one is x-match-score.2. Of a segment with more than 1,000 matches, the best 1,000 are taken, and the command says so."
)]
pub(super) struct Extract {
    #[command(flatten)]
    place: Place,
    #[command(flatten)]
    job: JobFlags,
    /// Least score of a match, 0 to 100.
    #[arg(long, value_name = "SCORE", default_value = "60", value_parser = score)]
    min_score: Score,
    #[command(flatten)]
    file: UnitFile,
    /// Print the counts as a JSON object; needs a file to write to.
    #[arg(long, requires = "output")]
    json: bool,
}

/// Attribute with the score of the best match.
const SCORE_ATTRIBUTE: &str = "x-match-score";
/// Attribute with the points lost by penalties.
const PENALTY_ATTRIBUTE: &str = "x-match-penalty";

#[derive(Serialize)]
struct Summary {
    segments: u64,
    matched_segments: u64,
    /// Segments with more matches than were taken.
    cut_segments: u64,
    /// Segments that are not valid, and parts of files that could not be read.
    left_out: u64,
    units: u64,
}

impl Extract {
    pub(super) async fn run(self) -> anyhow::Result<Outcome> {
        if self.json && self.file.path().is_none() {
            anyhow::bail!(
                "--json prints the counts where the units would go; write them to a file with --output"
            );
        }
        self.file.check()?;
        let mut client = self.place.client("extract", MissingData::Refuse).await?;
        let memory = self.job.first_memory(&mut client).await?;
        let (mut found, left_out) = self.search(&mut client, &memory).await?;
        let write = async |format, out| write_units(&memory, format, out, &mut found).await;
        let counts = self.file.write(write).await?;
        self.report(counts, left_out)?;
        Ok(if left_out == 0 { Outcome::Done } else { Outcome::DoneWithRejects })
    }

    /// Searches all segments; the units are read later.
    async fn search(
        &self,
        client: &mut Client,
        memory: &MemoryInfo,
    ) -> anyhow::Result<(FoundUnits, u64)> {
        let (pieces, reading) = self.job.read(memory);
        let pieces = pieces.map(|(_, segments)| segments.into_iter().map(QuerySegment::new));
        let pieces = pieces.map(Iterator::collect);
        let found = match client.extract(&self.job.settings(self.min_score), pieces).await {
            Ok(pages) => FoundUnits::begin(pages).await,
            Err(error) => Err(error.into()),
        };
        // What is wrong with a file is more to the point than that its stream broke off.
        let left_out = reading.await??;
        Ok((found?, left_out))
    }

    fn report(&self, counts: ExtractCounts, left_out: u64) -> anyhow::Result<()> {
        let ExtractCounts { segments, matched_segments, cut_segments, units } = counts;
        if cut_segments > 0 {
            note!(
                "dhakira: {} with more than {LOOKUP_MATCHES_MAX} matches, of which the best {LOOKUP_MATCHES_MAX} were taken; a higher \
                 --min-score leaves fewer",
                counted(cut_segments, "segment")
            );
        }
        if let Some(path) = self.file.path() {
            note!(
                "dhakira: {} written to {}; {} of {} had a match",
                counted(units, "unit"),
                path.display(),
                matched_segments,
                counted(segments, "segment")
            );
        }
        if self.json {
            json_line(&Summary { segments, matched_segments, cut_segments, left_out, units })?;
        }
        Ok(())
    }
}

/// The units found by an extraction whose segments are all searched.
struct FoundUnits {
    pages: ClientStream<ExtractPage>,
    /// The first page.
    first: Option<ExtractPage>,
    bar: Progress,
}

impl FoundUnits {
    /// Waits until all segments are searched.
    async fn begin(mut pages: ClientStream<ExtractPage>) -> anyhow::Result<Self> {
        let bar = Progress::new();
        let mut first = None;
        while let Some(page) = pages.next().await {
            let page = page?;
            if let Some(counts) = &page.counts {
                let (segments, units) = (counts.segments, counts.units);
                bar.report("extracting", None, || {
                    let (segments, units) = (counted(segments, "segment"), counted(units, "unit"));
                    format!("{segments} searched, {units} found")
                });
            }
            let is_progress = page.units.is_empty();
            first = Some(page);
            if !is_progress {
                break;
            }
        }
        Ok(Self { pages, first, bar })
    }

    async fn next(&mut self) -> anyhow::Result<Option<ExtractPage>> {
        match self.first.take() {
            Some(page) => Ok(Some(page)),
            None => Ok(self.pages.next().await.transpose()?),
        }
    }
}

/// Writes the units; returns the output and the final counts.
async fn write_units(
    memory: &MemoryInfo,
    format: Format,
    out: Out,
    found: &mut FoundUnits,
) -> anyhow::Result<(Out, ExtractCounts)> {
    let mut writer = formats::create(format, &FileHeader::from(memory), out)?;
    let mut counts = None;
    let mut written = 0;
    while let Some(page) = found.next().await? {
        counts = page.counts.or(counts);
        for unit in page.units {
            written += 1;
            // Units of several memories may have the same number.
            writer.write(&Unit { id: UnitId(written), ..with_match(unit) })?;
        }
        found.bar.report("extracting", None, || format!("{} written", counted(written, "unit")));
    }
    let counts = counts.context("the server ended the answer before its end")?;
    Ok((writer.finish()?, counts))
}

/// A unit with its match as attributes.
fn with_match(found: ExtractedUnit) -> Unit {
    let ExtractedUnit { mut unit, score, penalty, .. } = found;
    let attributes = &mut unit.content.attributes;
    // A unit with as many attributes as it may have could not be imported again with more.
    if attributes.len() + 2 <= UNIT_ATTRIBUTES_MAX {
        add(attributes, SCORE_ATTRIBUTE, score);
        add(attributes, PENALTY_ATTRIBUTE, penalty);
    }
    unit
}

fn add(attributes: &mut BTreeMap<String, String>, name: &str, points: Score) {
    attributes.insert(free_name(attributes, name), points.points().to_string());
}
