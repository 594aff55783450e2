//! `dhakira analyze`: counts how much of a job is in the memories.

use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use clap::{Args, ValueEnum};
use serde::Serialize;
use tokio_stream::wrappers::ReceiverStream;

use crate::client::JobReport;
use crate::engine::{BandCount, Explain, LookupSettings};
use crate::formats::{self, Event, ReadOptions};
use crate::text::{SentenceOptions, SentenceRules};
use crate::unit::{Lang, Score, Segment};
use crate::validate::validate_text;

use super::filter::FilterFlags;
use super::input::document;
use super::lookup::Choice;
use super::outcome::Outcome;
use super::penalties::PenaltyFlags;
use super::place::{MissingData, Place};
use crate::terminal::{grouped, json_to, stdout, table, unless_closed};

/// Count the words and segments of files by what the memories have for them, as translators are paid.
#[derive(Debug, Args)]
#[command(
    after_help = "Bands by match rate: double-context (102: same text, and both neighbours and context id agree), context \
    (101: same text, and one of them agrees), repetition (same text as an earlier segment of these files), exact (100), \
    95-99, 85-94, 75-84, 70-74, none. A word is text between spaces with a letter or a \
    digit. TMX, TSV and CSV files (by their names) are counted by their source segments; every other file is a text, \
    which is split into sentences."
)]
pub(super) struct Analyze {
    #[command(flatten)]
    place: Place,
    /// A memory to compare with, with points to deduct from its matches if it is trusted less; may be repeated.
    #[arg(long, short, value_name = "NAME[:POINTS]", required = true)]
    memory: Vec<Choice>,
    /// Texts have one segment a line already.
    #[arg(long)]
    presplit: bool,
    #[command(flatten)]
    penalties: PenaltyFlags,
    #[command(flatten)]
    filter: FilterFlags,
    /// How the counts are shown.
    #[arg(long, value_enum, default_value_t = Format::Table)]
    format: Format,
    /// One JSON object a file and one for all: short for --format json.
    #[arg(long, conflicts_with = "format")]
    json: bool,
    /// Files to analyse; `-` is standard input.
    #[arg(value_name = "FILE", required = true)]
    files: Vec<PathBuf>,
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

/// Segments in one message.
const MESSAGE_SEGMENTS: usize = 500;

impl Analyze {
    pub(super) async fn run(self) -> anyhow::Result<Outcome> {
        let mut client = self.place.client("analyze", MissingData::Refuse).await?;
        let settings = LookupSettings {
            memories: self.memory.iter().map(|choice| choice.0.clone()).collect(),
            min_score: Score::ZERO,
            max_matches: 1,
            exhaustive: false,
            filter: self.filter.filter(),
            penalty_rules: self.penalties.rules(),
            explain: Explain::default(),
        };
        let memory = client.memory(&settings.memories[0].memory).await?;
        let (sender, pieces) = tokio::sync::mpsc::channel(4);
        let (files, presplit) = (self.files.clone(), self.presplit);
        // Reads in step with the server: no file is ever whole in memory twice.
        let reading = tokio::task::spawn_blocking(move || -> anyhow::Result<u64> {
            let mut left_out = 0;
            for file in &files {
                let name = file.display().to_string();
                let (source, target) = (&memory.source_lang, &memory.target_lang);
                let segments = segments(file, (source, target), presplit)
                    .with_context(|| format!("analysing {name}"))?;
                // A file without segments is reported too.
                let mut send = vec![Vec::new()];
                for (number, segment) in segments.into_iter().enumerate() {
                    if let Err(fault) = validate_text(&segment.text) {
                        if !segment.text.trim().is_empty() {
                            note!("dhakira: {name}, segment {}: {}", number + 1, fault.message);
                            left_out += 1;
                        }
                        continue;
                    }
                    match send.last_mut() {
                        Some(last) if last.len() < MESSAGE_SEGMENTS => last.push(segment),
                        _ => send.push(vec![segment]),
                    }
                }
                for texts in send {
                    if sender.blocking_send((name.clone(), texts)).is_err() {
                        return Ok(left_out);
                    }
                }
            }
            Ok(left_out)
        });
        let analysed = client.analyze(&settings, ReceiverStream::new(pieces)).await;
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

/// The segments of a file, in order.
fn segments(file: &Path, langs: (&Lang, &Lang), presplit: bool) -> anyhow::Result<Vec<Segment>> {
    if is_bilingual(file) {
        let options =
            ReadOptions::new(langs.0.clone(), langs.1.clone(), file.display().to_string());
        let mut segments = Vec::new();
        for event in formats::open(Box::new(std::fs::File::open(file)?), &options)? {
            if let Event::Unit(unit) = event? {
                segments.push(unit.content.source);
            }
        }
        return Ok(segments);
    }
    let text = document(file)?;
    if presplit {
        return Ok(text.lines().map(Segment::plain).collect());
    }
    let sentences = SentenceRules::new(langs.0).split(&text, SentenceOptions::default());
    Ok(sentences.into_iter().map(|sentence| Segment::plain(&text[sentence.text])).collect())
}

/// Whether the name of a file says that it holds units.
fn is_bilingual(file: &Path) -> bool {
    let name = file.to_string_lossy().to_lowercase();
    let name = name.trim_end_matches(".gz").trim_end_matches(".xz");
    [".tmx", ".tsv", ".csv"].iter().any(|ending| name.ends_with(ending))
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
