//! `dhakira analyze`: counts how much of a job is in the memories.

use std::io::{self, Write as _};

use clap::{Args, ValueEnum};
use serde::Serialize;

use crate::client::JobReport;
use crate::engine::BandCount;
use crate::unit::Score;

use super::job::JobFlags;
use super::outcome::Outcome;
use super::place::{MissingData, Place};
use crate::terminal::{grouped, json_to, stdout, table, unless_closed};

/// Count the words and segments of files by what the memories have for them, as translators are paid.
#[derive(Debug, Args)]
#[command(
    after_help = "Bands by match rate: double-context (102: same text, and both neighbours and context id agree), context \
    (101: same text, and one of them agrees), repetition (same text as an earlier segment of these files), exact (100), \
    95-99, 85-94, 75-84, 70-74, none. A word is text between spaces with a letter or a \
    digit."
)]
pub(super) struct Analyze {
    #[command(flatten)]
    place: Place,
    #[command(flatten)]
    job: JobFlags,
    /// How the counts are shown.
    #[arg(long, value_enum, default_value_t = Format::Table)]
    format: Format,
    /// One JSON object a file and one for all: short for --format json.
    #[arg(long, conflicts_with = "format")]
    json: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Format {
    /// For people.
    Table,
    /// One JSON object a file, and one for all.
    Json,
    /// Comma-separated values, a line for each file and band.
    Csv,
}

#[derive(Serialize)]
struct Line<'a> {
    /// Absent for all files together.
    #[serde(skip_serializing_if = "Option::is_none")]
    file: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    files: Option<usize>,
    segments: u64,
    words: u64,
    bands: Vec<BandLine>,
}

#[derive(Serialize)]
struct BandLine {
    band: String,
    segments: u64,
    words: u64,
}

impl Analyze {
    pub(super) async fn run(self) -> anyhow::Result<Outcome> {
        let mut client = self.place.client("analyze", MissingData::Refuse).await?;
        let memory = self.job.first_memory(&mut client).await?;
        let (pieces, reading) = self.job.read(&memory);
        let analysed = client.analyze(&self.job.settings(Score::ZERO), pieces).await;
        // What is wrong with a file is more to the point than that its stream broke off.
        let left_out = reading.await??;
        let (files, total) = analysed?;
        unless_closed(match if self.json { Format::Json } else { self.format } {
            Format::Json => show_json(&files, &total),
            Format::Csv => show_csv(&files, &total),
            Format::Table => show_table(&files, &total),
        })?;
        Ok(if left_out == 0 { Outcome::Done } else { Outcome::DoneWithRejects })
    }
}

/// Every band by its name, the cheapest first; repetitions come after context matches.
fn bands(report: &JobReport) -> Vec<(String, BandCount)> {
    let counts = &report.counts;
    let mut named = Vec::with_capacity(counts.bands.len() + 1);
    let mut above = 103;
    for &(rate, count) in &counts.bands {
        if above > 100 && rate <= 100 {
            named.push(("repetition".to_owned(), counts.repetitions));
        }
        let name = match rate {
            102 => "double-context".to_owned(),
            101 => "context".to_owned(),
            100 => "exact".to_owned(),
            0 => "none".to_owned(),
            _ => format!("{rate}-{}", above - 1),
        };
        named.push((name, count));
        above = rate;
    }
    named
}

fn show_json(files: &[JobReport], total: &JobReport) -> anyhow::Result<()> {
    let mut out = stdout();
    let line = |report: &'_ JobReport| {
        let BandCount { segments, words } = report.counts.total();
        let bands = bands(report).into_iter().map(|(band, count)| BandLine {
            band,
            segments: count.segments,
            words: count.words,
        });
        (segments, words, bands.collect())
    };
    for report in files {
        let (segments, words, bands) = line(report);
        json_to(&mut out, &Line { file: Some(&report.file), files: None, segments, words, bands })?;
    }
    let (segments, words, bands) = line(total);
    json_to(&mut out, &Line { file: None, files: Some(files.len()), segments, words, bands })
}

fn show_csv(files: &[JobReport], total: &JobReport) -> anyhow::Result<()> {
    let mut out = csv::Writer::from_writer(stdout());
    out.write_record(["file", "band", "segments", "words"]).map_err(io::Error::from)?;
    for report in files.iter().chain([total]) {
        let file = if report.file.is_empty() { "total" } else { &report.file };
        for (band, count) in bands(report) {
            let (segments, words) = (count.segments.to_string(), count.words.to_string());
            out.write_record([file, &band, &segments, &words]).map_err(io::Error::from)?;
        }
    }
    out.flush()?;
    Ok(())
}

fn show_table(files: &[JobReport], total: &JobReport) -> anyhow::Result<()> {
    let mut out = stdout();
    let several = files.len() > 1;
    for (number, report) in files.iter().chain(several.then_some(total)).enumerate() {
        if number > 0 {
            writeln!(out)?;
        }
        let name = if number < files.len() { &report.file } else { "all files" };
        writeln!(out, "{name}")?;
        write!(out, "{}", band_table(report))?;
    }
    Ok(())
}

fn band_table(report: &JobReport) -> String {
    let all = report.counts.total();
    let share = |words: u64| {
        // Tenths of a percent, without a detour over floating point.
        let tenths = (words * 1_000 + all.words / 2).checked_div(all.words).unwrap_or(0);
        format!("{}.{} %", tenths / 10, tenths % 10)
    };
    let row = |name: &str, segments: u64, words: u64| {
        let numbers = [grouped(segments), grouped(words), share(words)];
        let mut row = vec![format!("  {name:<14}")];
        row.extend(numbers.iter().map(|number| format!("{number:>12}")));
        row
    };
    let mut head = vec![format!("  {:<14}", "match")];
    head.extend(["segments", "words", "of words"].iter().map(|name| format!("{name:>12}")));
    let mut rows = vec![head];
    rows.extend(bands(report).iter().map(|(band, count)| row(band, count.segments, count.words)));
    rows.push(row("total", all.segments, all.words));
    table(&rows)
}
