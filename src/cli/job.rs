//! The files of a job: which memories they are compared with, and their segments.

use std::fs::File;
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use clap::Args;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio_stream::wrappers::ReceiverStream;

use crate::client::{Client, MemoryInfo};
use crate::engine::{Explain, LookupSettings};
use crate::formats::{self, Event, ReadOptions, Unfinished};
use crate::text::{SentenceOptions, SentenceRules};
use crate::unit::{Score, Segment};
use crate::validate::validate_segment;

use super::filter::FilterFlags;
use super::input::{document, is_exchange_file};
use super::lookup::Choice;
use super::penalties::PenaltyFlags;

/// What a job is compared with, and its files.
#[derive(Debug, Args)]
pub(super) struct JobFlags {
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
    /// Files of the job; `-` is standard input. Exchange files (TMX, XLIFF, PO, TSV, CSV …, by their names) count by their sources,
    /// translated or not; every other file is a text, which is split into sentences.
    #[arg(value_name = "FILE", required = true)]
    files: Vec<PathBuf>,
}

/// Segments in one message.
const MESSAGE_SEGMENTS: usize = 500;
/// Text in one message after which it is sent; far below the limit of a message, with room for tags.
const MESSAGE_BYTES: usize = 1024 * 1024;

/// A piece of a job: the name of a file, and segments of it.
pub(super) type Piece = (String, Vec<Segment>);

/// A job that is being read: its pieces, in order, and the number of segments that were left out.
pub(super) type Reading = (ReceiverStream<Piece>, JoinHandle<anyhow::Result<u64>>);

impl JobFlags {
    /// Settings of lookups with this least score and one match.
    pub(super) fn settings(&self, min_score: Score) -> LookupSettings {
        LookupSettings {
            memories: self.memory.iter().map(|choice| choice.0.clone()).collect(),
            min_score,
            max_matches: 1,
            exhaustive: false,
            filter: self.filter.filter(),
            penalty_rules: self.penalties.rules(),
            explain: Explain { edits: false, adapted: false, spans_to_edit: false },
        }
    }

    /// The first memory, whose languages are those of the job.
    pub(super) async fn first_memory(&self, client: &mut Client) -> anyhow::Result<MemoryInfo> {
        let first = self.memory.first().context("name a memory with --memory")?;
        Ok(client.memory(&first.0.memory).await?)
    }

    /// Reads the files in step with who takes their pieces: no file is ever whole in memory twice. A file without segments is a
    /// piece, too.
    pub(super) fn read(&self, memory: &MemoryInfo) -> Reading {
        let (sender, pieces) = mpsc::channel(4);
        let (files, presplit, memory) = (self.files.clone(), self.presplit, memory.clone());
        let reading = tokio::task::spawn_blocking(move || {
            let mut left_out = 0;
            for file in &files {
                let name = file.display().to_string();
                let segments = segments(file, &memory, presplit, &mut left_out)
                    .with_context(|| format!("reading {name}"))?;
                let (mut pieces, mut bytes) = (vec![Vec::new()], 0);
                for (number, segment) in segments.into_iter().enumerate() {
                    if segment.text.trim().is_empty() {
                        continue;
                    }
                    if let Err(fault) = validate_segment(&segment) {
                        note!("dhakira: {name}, segment {}: {}", number + 1, fault.message);
                        left_out += 1;
                        continue;
                    }
                    bytes += segment.text.len();
                    match pieces.last_mut() {
                        Some(last) if last.len() < MESSAGE_SEGMENTS && bytes < MESSAGE_BYTES => {
                            last.push(segment);
                        }
                        _ => {
                            bytes = segment.text.len();
                            pieces.push(vec![segment]);
                        }
                    }
                }
                for piece in pieces {
                    if sender.blocking_send((name.clone(), piece)).is_err() {
                        return Ok(left_out);
                    }
                }
            }
            Ok(left_out)
        });
        (ReceiverStream::new(pieces), reading)
    }
}

/// The segments of a file, in order. Counts what cannot be read.
fn segments(
    file: &Path,
    memory: &MemoryInfo,
    presplit: bool,
    left_out: &mut u64,
) -> anyhow::Result<Vec<Segment>> {
    if is_exchange_file(file) {
        return sources(file, memory, left_out);
    }
    let text = document(file)?;
    if presplit {
        return Ok(text.lines().map(Segment::plain).collect());
    }
    let rules = SentenceRules::new(&memory.source_lang);
    let sentences = rules.split(&text, SentenceOptions::default());
    Ok(sentences.into_iter().map(|sentence| Segment::plain(&text[sentence.text])).collect())
}

/// The sources of the units of an exchange file, translated or not.
fn sources(file: &Path, memory: &MemoryInfo, left_out: &mut u64) -> anyhow::Result<Vec<Segment>> {
    let (source, target) = (memory.source_lang.clone(), memory.target_lang.clone());
    let options = ReadOptions {
        unfinished: Unfinished::Keep,
        ..ReadOptions::new(source, target, file.display().to_string())
    };
    let mut segments = Vec::new();
    for event in formats::open(Box::new(File::open(file)?), &options)? {
        let event = event?;
        let fault = event.diagnostic().map(ToString::to_string);
        let source = match event {
            Event::Unit(unit) => Some(unit.content.source),
            // What is not translated yet is what a job consists of.
            Event::Rejected(rejected) => rejected.content.map(|content| content.source),
            Event::Notice(_) | Event::Unfinished(_) => continue,
            Event::Broken(_) => None,
        };
        match (source, fault) {
            (Some(source), _) => segments.push(source),
            (None, Some(fault)) => {
                note!("dhakira: {fault}");
                *left_out += 1;
            }
            (None, None) => {}
        }
    }
    Ok(segments)
}
