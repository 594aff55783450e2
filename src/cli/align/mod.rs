//! `dhakira align`: aligns the sentences of a document with those of its translation.

mod page;
mod store;

use std::io::{self, BufWriter, Write};
use std::ops::Range;
use std::path::{Path, PathBuf};

use anyhow::bail;
use clap::{Args, ValueEnum};
use serde::Serialize;

use crate::alignment::{Bead, PairDoubt, align_document, builtin, pair_doubts};
use crate::engine::{DocumentPair, StoreOptions};
use crate::formats::{self, FileHeader};
use crate::store::RequestKey;
use crate::text::{SentenceOptions, SentenceRules};
use crate::unit::{Lang, MemoryName, Unit, UnitId};

use super::input::document;
use super::outcome::Outcome;
use super::output_file::OutputFile;
use super::place::{MissingData, Place};
use crate::terminal::{Progress, counted, grouped, json_to};
use page::write_page;
use store::store_in_new_memory;

/// Align the sentences of a document with those of its translation.
#[derive(Debug, Args)]
#[command(
    after_help = "Texts are split into sentences first (as by `dhakira split`) unless --presplit says that each line is one. \
    beads: a line such as `[0]:[0, 1]<TAB>0.97` for each bead: source sentences, target sentences, from 0, and how sure it \
    is, from 0 to 1; every sentence is in exactly one. tsv: source, target, confidence. tmx: the beads with both sides. \
    html: a page to look it over. json: an object for each bead, with numbers and texts of its sentences."
)]
#[expect(clippy::struct_excessive_bools, reason = "each is a flag")]
pub(super) struct Align {
    #[command(flatten)]
    place: Place,
    /// A memory whose lexicon helps; may be repeated. Without one, the built-in lexicon.
    #[arg(long, short, value_name = "NAME")]
    memory: Vec<MemoryName>,
    /// Store the beads with both sides in this memory, which is created when it does not exist and there is something to store.
    #[arg(long, value_name = "NAME")]
    store_in: Option<MemoryName>,
    /// Least confidence of a bead that is stored as it is, from 0 to 1.
    #[arg(long, value_name = "CONFIDENCE", default_value_t = UNSURE, requires = "store_in")]
    store_min_confidence: f32,
    /// Store beads of lower confidence too, as unconfirmed: with the attribute `status` = `unconfirmed`.
    #[arg(long, requires = "store_in")]
    store_unconfirmed: bool,
    /// Language of the source.
    #[arg(long, value_name = "LANG", default_value = "ar")]
    source_lang: Lang,
    /// Language of the target.
    #[arg(long, value_name = "LANG", default_value = "en")]
    target_lang: Lang,
    /// The texts have one sentence a line already.
    #[arg(long)]
    presplit: bool,
    /// Lines of the texts are wrapped: only an empty line ends a paragraph.
    #[arg(long, conflicts_with = "presplit")]
    wrapped: bool,
    /// The files are given in reverse order: target, source.
    #[arg(long)]
    swap: bool,
    /// How the alignment is written.
    #[arg(long, value_enum, default_value_t = Format::Beads)]
    format: Format,
    /// One JSON object a bead, one a line: short for --format json.
    #[arg(long, conflicts_with = "format")]
    json: bool,
    /// Least confidence of a bead in tsv and tmx, from 0 to 1.
    #[arg(long, value_name = "CONFIDENCE", default_value_t = 0.0)]
    min_confidence: f32,
    #[command(flatten)]
    file: OutputFile,
    /// The document.
    #[arg(value_name = "SOURCE")]
    source: PathBuf,
    /// Its translation.
    #[arg(value_name = "TARGET")]
    target: PathBuf,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Format {
    /// Numbers of sentences.
    Beads,
    /// Texts between tabs.
    Tsv,
    /// A translation memory.
    Tmx,
    /// A page to review.
    Html,
    /// A JSON object a bead.
    Json,
}

/// Beads below it are counted as low confidence.
const UNSURE: f32 = 0.5;

impl Align {
    pub(super) async fn run(mut self) -> anyhow::Result<Outcome> {
        self.file.check()?;
        if self.swap {
            std::mem::swap(&mut self.source, &mut self.target);
        }
        let source = self.sentences(&self.source, &self.source_lang)?;
        let target = self.sentences(&self.target, &self.target_lang)?;
        self.warn(&source, &target)?;
        let pair = DocumentPair {
            source_lang: self.source_lang.clone(),
            target_lang: self.target_lang.clone(),
            source,
            target,
            memories: self.memory.clone(),
        };
        let beads = if self.memory.is_empty() && self.store_in.is_none() {
            align_without_memory(&pair)?
        } else {
            self.by_memories(&pair).await?
        };
        self.file.write(async |file| self.write(&pair, &beads, file)).await?;
        let alone = beads.iter().filter(|it| it.source.is_empty() || it.target.is_empty());
        note!(
            "dhakira: {} and {}, {}; {} unaligned, {} of low confidence (below {UNSURE})",
            counted(pair.source.len(), "source sentence"),
            counted(pair.target.len(), "target sentence"),
            counted(beads.len(), "bead"),
            counted(alone.count(), "sentence"),
            counted(beads.iter().filter(|bead| bead.confidence < UNSURE).count(), "bead"),
        );
        Ok(Outcome::Done)
    }

    async fn by_memories(&self, pair: &DocumentPair) -> anyhow::Result<Vec<Bead>> {
        let missing =
            if self.store_in.is_some() { MissingData::Create } else { MissingData::Refuse };
        let mut client = self.place.client("align", missing).await?;
        let store = self.store_in.clone().map(|memory| StoreOptions {
            memory,
            document: self.document_name(),
            min_confidence: self.store_min_confidence,
            unconfirmed: self.store_unconfirmed,
            id: RequestKey(*uuid::Uuid::now_v7().as_bytes()),
        });
        let stores = store.is_some();
        let is_missing = match &self.store_in {
            None => false,
            Some(memory) => match client.memory(memory).await {
                Err(error) if error.is_not_found() => true,
                found => found.map(|_| false)?,
            },
        };
        let bar = Progress::new();
        let mut told = |doing: &'static str, done: f64| bar.show(doing, done);
        let report = match &store {
            Some(store) if is_missing => {
                store_in_new_memory(&mut client, pair, store, &mut told).await?
            }
            _ => client.align_documents(pair, store, &mut told).await?,
        };
        drop(bar);
        if stores {
            let [duplicates, left_out, rejected] = report.not_stored;
            note!(
                "dhakira: stored {} ({} unconfirmed); {}, {} skipped for low confidence, {} rejected",
                counted(report.stored.0, "unit"),
                grouped(report.stored.1),
                counted(duplicates, "duplicate"),
                grouped(left_out),
                grouped(rejected),
            );
        }
        Ok(report.beads)
    }

    fn document_name(&self) -> String {
        self.source.file_name().unwrap_or_default().to_string_lossy().into_owned()
    }

    fn sentences(&self, path: &Path, lang: &Lang) -> anyhow::Result<Vec<String>> {
        let text = document(path)?;
        if self.presplit {
            return Ok(text.lines().map(str::to_owned).collect());
        }
        let options = SentenceOptions { wrapped_lines: self.wrapped, ..SentenceOptions::default() };
        let sentences = SentenceRules::new(lang).split(&text, options).into_iter();
        let texts = sentences.map(|it| text[it.text].to_owned()).filter(|it| !it.is_empty());
        Ok(texts.collect())
    }

    /// Refuses input that cannot be a translation, warns of what is unlikely to be one.
    fn warn(&self, source: &[String], target: &[String]) -> anyhow::Result<()> {
        let (here, there) = (self.source.display(), self.target.display());
        for doubt in pair_doubts(source, target, (&self.source_lang, &self.target_lang)) {
            let what = match doubt {
                PairDoubt::SourceEmpty | PairDoubt::SourceForeign => format!("{here}: {doubt}"),
                PairDoubt::TargetEmpty | PairDoubt::TargetForeign => format!("{there}: {doubt}"),
                PairDoubt::Swapped => format!("{here}, {there}: {doubt}; --swap does"),
                PairDoubt::Unequal(..) => format!("{here}, {there}: {doubt}"),
            };
            if doubt.is_fatal() {
                bail!("{what}");
            }
            note!("dhakira: {what}");
        }
        Ok(())
    }

    fn write(&self, pair: &DocumentPair, beads: &[Bead], out: impl Write) -> anyhow::Result<()> {
        let mut out = BufWriter::new(out);
        match if self.json { Format::Json } else { self.format } {
            Format::Beads => {
                for Bead { source, target, confidence } in beads {
                    let numbers =
                        |range: &Range<usize>| format!("{:?}", range.clone().collect::<Vec<_>>());
                    writeln!(out, "{}:{}\t{confidence:.4}", numbers(source), numbers(target))?;
                }
            }
            Format::Tsv => {
                let langs = [self.source_lang.as_str(), self.target_lang.as_str()];
                let rows = self.sure(beads).map(|bead| (pair.texts(bead), bead.confidence));
                write_tsv(langs, &rows.collect::<Vec<_>>(), &mut out)?;
            }
            Format::Tmx => {
                let header = FileHeader {
                    source_lang: self.source_lang.clone(),
                    target_lang: self.target_lang.clone(),
                    tool_version: env!("CARGO_PKG_VERSION").to_owned(),
                };
                let both = |bead: &&Bead| !bead.source.is_empty() && !bead.target.is_empty();
                let mut writer = formats::create(formats::Format::Tmx, &header, &mut out)?;
                for (number, bead) in (1..).zip(self.sure(beads).filter(both)) {
                    let content = pair.content(bead, self.document_name());
                    writer.write(&Unit::new(UnitId(number), 1, content))?;
                }
                writer.finish()?;
            }
            Format::Html => write_page(pair, beads, &mut out)?,
            Format::Json => {
                for bead in beads {
                    json_to(&mut out, &BeadLine::of(pair, bead))?;
                }
            }
        }
        out.flush()?;
        Ok(())
    }

    fn sure<'a>(&self, beads: &'a [Bead]) -> impl Iterator<Item = &'a Bead> {
        let least = self.min_confidence;
        beads.iter().filter(move |bead| bead.confidence >= least)
    }
}

/// A bead in JSON: its sentences by their numbers from 0, and their texts.
#[derive(Serialize)]
struct BeadLine<'a> {
    source: Vec<usize>,
    target: Vec<usize>,
    confidence: f32,
    source_sentences: &'a [String],
    target_sentences: &'a [String],
}

impl<'a> BeadLine<'a> {
    fn of(pair: &'a DocumentPair, bead: &Bead) -> Self {
        Self {
            source: bead.source.clone().collect(),
            target: bead.target.clone().collect(),
            confidence: bead.confidence,
            source_sentences: &pair.source[bead.source.clone()],
            target_sentences: &pair.target[bead.target.clone()],
        }
    }
}

/// Beads as rows that an import reads back to the same texts; everything is quoted when a text holds a column or line
/// separator.
fn write_tsv(
    langs: [&str; 2],
    rows: &[((String, String), f32)],
    out: &mut impl Write,
) -> io::Result<()> {
    let parts = |text: &str| text.contains(['\t', '\n', '\r']);
    let quoted = rows.iter().any(|((source, target), _)| parts(source) || parts(target));
    let mut field = |text: &str, end: &str| {
        if quoted {
            write!(out, "\"{}\"{end}", text.replace('"', "\"\""))
        } else {
            write!(out, "{text}{end}")
        }
    };
    for (name, end) in langs.into_iter().chain(["confidence"]).zip(["\t", "\t", "\n"]) {
        field(name, end)?;
    }
    for ((source, target), confidence) in rows {
        field(source, "\t")?;
        field(target, "\t")?;
        field(&format!("{confidence:.4}"), "\n")?;
    }
    Ok(())
}

/// Aligns with the built-in lexicon: no memory is opened.
fn align_without_memory(pair: &DocumentPair) -> anyhow::Result<Vec<Bead>> {
    let (source, target) = pair.sides(&|| false)?;
    let lexicon = builtin(&pair.source_lang, &pair.target_lang);
    let bar = Progress::new();
    let mut show = |done: f32| bar.show("aligning", done.into());
    Ok(align_document(&source, &target, &[lexicon], &|| false, &mut show)?)
}

#[cfg(test)]
mod tests {
    use std::io::Cursor;

    use proptest::prelude::*;

    use crate::formats::{self, Event, ReadOptions};

    use super::write_tsv;

    fn text() -> impl Strategy<Value = String> {
        let pieces = [
            "a",
            "\u{628}\u{627}\u{628}",
            "\"",
            "\"\"",
            "\t",
            "\n",
            "\r",
            "\r\n",
            " ",
            ",",
            "\u{2028}",
        ];
        prop::collection::vec(prop::sample::select(pieces[..4].to_vec()), 1..2).prop_flat_map(
            move |first| {
                let rest = prop::collection::vec(prop::sample::select(pieces.to_vec()), 0..6);
                rest.prop_map(move |rest| format!("{}x{}", first.concat(), rest.concat()))
            },
        )
    }

    proptest! {
        #[test]
        fn rows_are_read_back(rows in prop::collection::vec((text(), text()), 1..6), plain: bool) {
            let parts = |it: char| plain && matches!(it, '\t' | '\n' | '\r');
            let kept = |text: &String| text.replace(parts, "-");
            let rows: Vec<_> = rows.iter().map(|(a, b)| ((kept(a), kept(b)), 0.5)).collect();
            let mut file = Vec::new();
            write_tsv(["ar", "en"], &rows, &mut file).unwrap();
            if plain {
                // Programs that know nothing of quoting part such rows at tabs.
                prop_assert_eq!(file.split(|&it| it == b'\n').count(), rows.len() + 2);
            }
            let options = ReadOptions::new("ar".parse().unwrap(), "en".parse().unwrap(), "f");
            let read = formats::open(Box::new(Cursor::new(file)), &options).unwrap();
            let mut texts = Vec::new();
            for event in read {
                match event.unwrap() {
                    Event::Unit(unit) => {
                        texts.push((unit.content.source.text, unit.content.target.text));
                    }
                    other => prop_assert!(matches!(other, Event::Notice(_)), "{:?}", other),
                }
            }
            let expected: Vec<_> = rows.into_iter().map(|(texts, _)| texts).collect();
            prop_assert_eq!(texts, expected);
        }
    }
}
