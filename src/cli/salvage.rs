//! `dhakira salvage`: saves the units of a store that cannot be opened.

use std::fs::File;
use std::io::{BufWriter, Write as _};
use std::path::PathBuf;

use anyhow::Context as _;
use clap::Args;
use serde::Serialize;

use crate::formats::{FileHeader, Format, create};
use crate::store::{LostUnit, salvage};
use crate::unit::Unit;

use super::outcome::Outcome;
use crate::terminal::{grouped, json_line};

/// Save the units of a damaged store: those with a valid checksum are written to a file of JSON lines, the others are listed.
///
/// Reads the files of the database directly, page by page, and writes nothing in the data directory: it works on a copy, on a
/// read-only disk and when the database refuses to open. Stop the server first. With several memories, each unit names its own in the
/// attribute `memory`; --memory saves one only. `dhakira import` reads the file. The exit code is 0 when every unit was
/// saved and 3 when some are lost.
#[derive(Debug, Args)]
pub(super) struct Salvage {
    /// Data directory of the damaged store.
    #[arg(value_name = "DIR")]
    directory: PathBuf,
    /// The output file, which must not exist yet.
    #[arg(long, short, value_name = "FILE")]
    output: PathBuf,
    /// Save only this memory.
    #[arg(long, value_name = "MEMORY")]
    memory: Option<String>,
    /// One JSON object on standard output for each lost unit, and one at the end.
    #[arg(long)]
    json: bool,
}

#[derive(Serialize)]
struct LostLine<'a> {
    memory: &'a str,
    unit: u64,
    lost: &'a str,
}

#[derive(Serialize)]
struct EndLine<'a> {
    saved: u64,
    lost: u64,
    notes: &'a [String],
}

/// The attribute that names the memory of a unit.
const MEMORY_ATTRIBUTE: &str = "memory";

impl Salvage {
    pub(super) fn run(self) -> anyhow::Result<Outcome> {
        let doing = || format!("writing {}", self.output.display());
        let file = File::create_new(&self.output).with_context(doing)?;
        // JSON lines have no header.
        let header = FileHeader {
            source_lang: "und".parse()?,
            target_lang: "und".parse()?,
            tool_version: String::new(),
        };
        let mut writer = create(Format::Jsonl, &header, BufWriter::new(file))?;
        let wanted = self.memory.as_deref().map(|it| it.strip_prefix("memories/").unwrap_or(it));
        let mut saved = 0_u64;
        let mut give = |memory: &str, mut unit: Unit| {
            if wanted.is_some_and(|wanted| wanted != memory) {
                return Ok(());
            }
            if wanted.is_none() {
                unit.content.attributes.insert(MEMORY_ATTRIBUTE.to_owned(), memory.to_owned());
            }
            saved += 1;
            writer.write(&unit)
        };
        let mut salvaged = salvage(&self.directory, &mut give)?;
        let file = writer.finish().and_then(|mut out| out.flush().map(|()| out));
        file.and_then(|out| out.get_ref().sync_all()).with_context(doing)?;
        salvaged.lost.retain(|lost| wanted.is_none_or(|wanted| wanted == lost.memory));
        self.report(saved, &salvaged.lost, &salvaged.notes)?;
        let is_whole = salvaged.lost.is_empty() && salvaged.notes.is_empty();
        Ok(if is_whole { Outcome::Done } else { Outcome::DoneWithRejects })
    }

    fn report(&self, saved: u64, lost: &[LostUnit], notes: &[String]) -> anyhow::Result<()> {
        if self.json {
            for LostUnit { memory, unit, why } in lost {
                json_line(&LostLine { memory, unit: unit.0, lost: why })?;
            }
            return json_line(&EndLine { saved, lost: lost.len() as u64, notes });
        }
        for LostUnit { memory, unit, why } in lost {
            say!("memories/{memory}/units/{unit} is lost: {why}")?;
        }
        for note in notes {
            say!("{note}")?;
        }
        let (saved, lost) = (grouped(saved), grouped(lost.len() as u64));
        say!("units saved in {}: {saved}; lost: {lost}", self.output.display())?;
        Ok(())
    }
}
