//! The report of an import: totals, causes with examples, a file of rejected units, a file of outcomes.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs::File;
use std::io::{BufWriter, Write as _};
use std::path::{Path, PathBuf};
use std::time::Instant;

use anyhow::Context as _;
use serde::Serialize;

use crate::engine::{ImportCounts, REJECTED_ATTRIBUTE, UnitOutcome};
use crate::formats::{self, FileHeader, Format, UnitWriter};
use crate::unit::{Diagnostic, Lang, Place, Segment, Unit, UnitContent, UnitId};

use crate::terminal::{counted, grouped, json_line, json_to, table};

/// Examples of each cause that are shown with their places; the rest is only counted.
const EXAMPLES_MAX: usize = 3;

/// A diagnostic at one place of a file.
#[derive(Debug, Clone, Serialize)]
pub(in crate::cli) struct Example {
    file: String,
    line: u64,
    column: u64,
    unit: u64,
    message: String,
}

impl Example {
    fn new(place: &Place, message: &str) -> Self {
        let Place { file, line, column, unit } = place;
        Self {
            file: file.to_string(),
            line: *line,
            column: *column,
            unit: *unit,
            message: message.to_owned(),
        }
    }

    fn place(&self) -> Place {
        let Self { file, line, column, unit, .. } = self;
        Place { file: file.as_str().into(), line: *line, column: *column, unit: *unit }
    }
}

/// Totals over all files of a command.
#[derive(Debug, Default, Clone, Serialize)]
pub(in crate::cli) struct Summary {
    pub(in crate::cli) read: u64,
    pub(in crate::cli) stored: u64,
    pub(in crate::cli) replaced: u64,
    pub(in crate::cli) duplicates: u64,
    pub(in crate::cli) rejected: u64,
    /// Units left out because their file marks them as unfinished.
    pub(in crate::cli) unfinished: u64,
    /// Rejected units by cause.
    pub(in crate::cli) causes: BTreeMap<String, u64>,
    /// Notices, for which no unit was rejected, by cause.
    pub(in crate::cli) notices: BTreeMap<String, u64>,
    /// The first rejected or skipped units, by cause.
    pub(in crate::cli) examples: BTreeMap<String, Vec<Example>>,
    /// Files whose import was resumed.
    pub(in crate::cli) resumed: u64,
    /// Files that were completely imported before and skipped.
    pub(in crate::cli) imported_before: u64,
    pub(in crate::cli) seconds: f64,
    pub(in crate::cli) units_per_second: f64,
}

impl Summary {
    /// Adds the counts of one file.
    pub(in crate::cli) fn add(&mut self, counts: ImportCounts) {
        self.read += counts.read;
        self.stored += counts.stored;
        self.replaced += counts.replaced;
        self.duplicates += counts.duplicates;
        self.rejected += counts.rejected;
        let named: u64 = self.causes.values().sum();
        // Units that were rejected before an import broke off, and reported then.
        if let Some(earlier) = self.rejected.checked_sub(named).filter(|it| *it > 0) {
            *self.causes.entry("TOLD_BEFORE".to_owned()).or_default() += earlier;
        }
    }

    /// Counts a file that was completely imported before.
    pub(in crate::cli) fn already_imported(&mut self, counts: ImportCounts) {
        self.imported_before += 1;
        self.read += counts.read;
        self.duplicates += counts.stored + counts.duplicates;
        self.rejected += counts.rejected;
    }

    /// Keeps the first examples of a cause.
    fn example(&mut self, cause: &str, place: &Place, message: &str) {
        match self.examples.get_mut(cause) {
            Some(examples) if examples.len() >= EXAMPLES_MAX => {}
            Some(examples) => examples.push(Example::new(place, message)),
            None => {
                self.examples.insert(cause.to_owned(), vec![Example::new(place, message)]);
            }
        }
    }

    /// Rejected and skipped units: each cause with its count and examples.
    fn groups(&self) -> String {
        let mut text = String::new();
        for (cause, examples) in &self.examples {
            let count = self.causes.get(cause).copied().unwrap_or(self.unfinished);
            // Writing to a string does not fail.
            let _ = writeln!(text, "{cause}: {}", counted(count, "unit"));
            for example in examples {
                let _ = writeln!(text, "  {}: {}", example.place(), example.message);
            }
            let more = count.saturating_sub(examples.len() as u64);
            if more > 0 {
                let _ = writeln!(text, "  and {} more", grouped(more));
            }
        }
        text
    }

    fn finish(&mut self, since: Instant) {
        self.seconds = since.elapsed().as_secs_f64();
        // Units are far below 2^52.
        #[expect(clippy::cast_precision_loss)]
        let read = self.read as f64;
        self.units_per_second =
            if self.seconds > 0.0 { (read / self.seconds).round() } else { 0.0 };
    }

    /// Shows the totals, as a table or as a JSON object.
    pub(in crate::cli) fn show(&self, json: bool) -> anyhow::Result<()> {
        if json {
            return json_line(self);
        }
        say!(
            "{} read in {:.1} s, {} units/s",
            counted(self.read, "unit"),
            self.seconds,
            grouped(rounded(self.units_per_second)),
        )?;
        let row = |name: &str, count: u64| vec![format!("  {name}"), grouped(count)];
        let mut rows = vec![row("stored", self.stored)];
        if self.replaced > 0 {
            rows.push(row("  of them over an older one", self.replaced));
        }
        rows.push(row("there already", self.duplicates));
        if self.unfinished > 0 {
            rows.push(row("unfinished, left out", self.unfinished));
        }
        rows.push(row("rejected", self.rejected));
        rows.extend(self.causes.iter().map(|(cause, count)| row(&format!("  {cause}"), *count)));
        if !self.notices.is_empty() {
            rows.push(row("noticed", self.notices.values().sum()));
            rows.extend(
                self.notices.iter().map(|(cause, count)| row(&format!("  {cause}"), *count)),
            );
        }
        show!("{}", table(&rows))?;
        Ok(())
    }
}

/// A rate as a whole number, for showing.
pub(in crate::cli) fn rounded(number: f64) -> u64 {
    // Rates are far below 2^63 and not negative.
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
    let whole = number.round() as u64;
    whole
}

/// Collects what is reported about an import.
#[derive(Default)]
pub(in crate::cli) struct Report {
    pub(in crate::cli) summary: Summary,
    /// The file of rejected units.
    pub(in crate::cli) rejects: Option<UnitLog>,
    /// The file of outcomes.
    pub(in crate::cli) verdicts: Option<UnitLog>,
}

/// The outcome of a unit, as the file of outcomes names it.
#[derive(Serialize)]
pub(in crate::cli) struct UnitLine<'a> {
    verdict: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    cause: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    message: Option<&'a str>,
}

impl UnitLine<'_> {
    pub(in crate::cli) fn of(verdict: UnitOutcome) -> Self {
        let verdict = match verdict {
            UnitOutcome::Stored => "stored",
            UnitOutcome::Replaced => "replaced",
            UnitOutcome::Duplicate => "duplicate",
        };
        Self { verdict, cause: None, message: None }
    }
}

#[derive(Serialize)]
struct VerdictLine<'a> {
    file: &'a str,
    line: u64,
    column: u64,
    unit: u64,
    #[serde(flatten)]
    outcome: &'a UnitLine<'a>,
}

impl Report {
    /// Whether rejected units are logged.
    pub(in crate::cli) fn wants_units(&self) -> bool {
        self.rejects.is_some()
    }

    pub(in crate::cli) fn wants_verdicts(&self) -> bool {
        self.verdicts.is_some()
    }

    /// Counts a notice; returns whether to show it: only the first ones of each cause.
    pub(in crate::cli) fn notice(&mut self, notice: &Diagnostic) -> bool {
        let count = self.summary.notices.entry(notice.cause.code().to_owned()).or_default();
        *count += 1;
        *count <= EXAMPLES_MAX as u64
    }

    /// Counts a unit that is skipped because its file marks it as unfinished.
    pub(in crate::cli) fn unfinished(&mut self, diagnostic: &Diagnostic) -> anyhow::Result<()> {
        let Diagnostic { place, cause, message } = diagnostic;
        self.summary.read += 1;
        self.summary.unfinished += 1;
        self.summary.example(cause.code(), place, message);
        let cause = Some(cause.code());
        self.verdict(place, &UnitLine { verdict: "unfinished", cause, message: Some(message) })
    }

    /// Counts and logs a rejected unit.
    pub(in crate::cli) fn rejected(
        &mut self,
        place: &Place,
        (cause, message): (&str, &str),
        content: Option<UnitContent>,
    ) -> anyhow::Result<()> {
        *self.summary.causes.entry(cause.to_owned()).or_default() += 1;
        self.summary.example(cause, place, message);
        if let (Some(rejects), Some(content)) = (&mut self.rejects, content) {
            rejects.unit(content, format!("{cause}: {message} ({place})"))?;
        }
        let outcome = UnitLine { verdict: "rejected", cause: Some(cause), message: Some(message) };
        self.verdict(place, &outcome)
    }

    pub(in crate::cli) fn verdict(
        &mut self,
        place: &Place,
        outcome: &UnitLine<'_>,
    ) -> anyhow::Result<()> {
        let Some(verdicts) = &mut self.verdicts else { return Ok(()) };
        let Place { file, line, column, unit } = place;
        verdicts.line(&VerdictLine { file, line: *line, column: *column, unit: *unit, outcome })
    }

    /// Finishes the files, shows rejected and skipped units, and returns the totals.
    pub(in crate::cli) fn finish(mut self, since: Instant) -> anyhow::Result<Summary> {
        self.summary.finish(since);
        let groups = self.summary.groups();
        if !groups.is_empty() {
            note!("{}", groups.trim_end());
        }
        for log in [self.rejects, self.verdicts].into_iter().flatten() {
            log.finish()?;
        }
        Ok(self.summary)
    }
}

/// A file that is written during an import, created with its first entry.
pub(in crate::cli) struct UnitLog {
    path: PathBuf,
    kind: Kind,
    written: u64,
}

enum Kind {
    Units { langs: (Lang, Lang), out: Option<UnitWriter<BufWriter<File>>> },
    Lines(Option<BufWriter<File>>),
}

impl UnitLog {
    /// A file of rejected units.
    pub(in crate::cli) fn rejects(path: PathBuf, langs: (Lang, Lang)) -> anyhow::Result<Self> {
        let (format, header) = (rejects_format(&path), header(&langs));
        formats::create(format, &header, std::io::sink())
            .with_context(|| format!("writing {}", path.display()))?;
        Self::new(path, Kind::Units { langs, out: None })
    }

    /// A file of outcomes.
    pub(in crate::cli) fn verdicts(path: PathBuf) -> anyhow::Result<Self> {
        Self::new(path, Kind::Lines(None))
    }

    /// Checks the path before anything is imported, when it is not too late.
    fn new(path: PathBuf, kind: Kind) -> anyhow::Result<Self> {
        anyhow::ensure!(
            !path.exists(),
            "{} exists, perhaps from an earlier import: name another file, or delete it",
            path.display()
        );
        let directory = path.parent().filter(|it| !it.as_os_str().is_empty());
        anyhow::ensure!(
            directory.is_none_or(Path::is_dir),
            "{}: no such directory",
            path.display()
        );
        Ok(Self { path, kind, written: 0 })
    }

    fn unit(&mut self, mut content: UnitContent, reason: String) -> anyhow::Result<()> {
        let doing = || format!("writing {}", self.path.display());
        let Kind::Units { langs, out } = &mut self.kind else { return Ok(()) };
        if out.is_none() {
            let file = BufWriter::new(File::create_new(&self.path).with_context(doing)?);
            let (format, header) = (rejects_format(&self.path), header(langs));
            *out = Some(formats::create(format, &header, file).with_context(doing)?);
        }
        content.attributes.insert(REJECTED_ATTRIBUTE.to_owned(), reason);
        self.written += 1;
        let unit = Unit::new(UnitId(self.written), 1, writable(content));
        out.as_mut().map_or(Ok(()), |out| out.write(&unit)).with_context(doing)
    }

    fn line<T: Serialize>(&mut self, line: &T) -> anyhow::Result<()> {
        let Kind::Lines(out) = &mut self.kind else { return Ok(()) };
        if out.is_none() {
            let file = File::create_new(&self.path)
                .with_context(|| format!("writing {}", self.path.display()))?;
            *out = Some(BufWriter::new(file));
        }
        self.written += 1;
        out.as_mut().map_or(Ok(()), |out| json_to(out, line))
    }

    fn finish(self) -> anyhow::Result<()> {
        let (ended, what) = match self.kind {
            Kind::Units { out: Some(out), .. } => {
                (out.finish().and_then(|mut out| out.flush()), "rejected unit")
            }
            Kind::Lines(Some(mut out)) => (out.flush(), "verdict"),
            _ => return Ok(()),
        };
        ended.with_context(|| format!("writing {}", self.path.display()))?;
        note!("dhakira: {} written to {}", counted(self.written, what), self.path.display());
        Ok(())
    }
}

/// By the ending of the name.
fn rejects_format(path: &Path) -> Format {
    let is_tsv = path.extension().is_some_and(|it| it.eq_ignore_ascii_case("tsv"));
    if is_tsv { Format::Tsv } else { Format::Tmx }
}

fn header(langs: &(Lang, Lang)) -> FileHeader {
    FileHeader {
        source_lang: langs.0.clone(),
        target_lang: langs.1.clone(),
        tool_version: env!("CARGO_PKG_VERSION").to_owned(),
    }
}

/// A unit with what no exchange file can hold replaced, so that it can be written at all.
fn writable(mut content: UnitContent) -> UnitContent {
    for segment in [&mut content.source, &mut content.target] {
        let before = segment.text.len();
        clean(&mut segment.text);
        if segment.text.len() != before {
            // Where they stood is not known any more.
            segment.tags.clear();
        }
        // Tags that do not stand inside the text could be the fault.
        let Segment { text, tags } = segment;
        tags.retain(|tag| text.is_char_boundary(tag.offset_bytes as usize));
        tags.sort_by_key(|tag| tag.offset_bytes);
        for tag in tags {
            clean(&mut tag.code);
            clean(&mut tag.label);
        }
    }
    clean(&mut content.document);
    clean(&mut content.author);
    content.attributes.values_mut().for_each(clean);
    content
}

/// Replaces characters that XML 1.0 cannot write by U+FFFD.
fn clean(text: &mut String) {
    let illegal = |character: char| {
        matches!(character, '\u{fffe}' | '\u{ffff}')
            || (character < ' ' && !matches!(character, '\t' | '\n' | '\r'))
    };
    if text.contains(illegal) {
        *text = text.replace(illegal, "\u{fffd}");
    }
}
