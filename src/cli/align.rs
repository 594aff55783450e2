//! `dhakira align`: which sentences of a document and its translation stand for each other.

use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::ops::Range;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail};
use clap::{Args, ValueEnum};

use crate::alignment::{Bead, Side, align_document, builtin, is_in_other_script};
use crate::formats::{TmxHeader, TmxWriter};
use crate::text::{Analyzer, SentenceOptions, SentenceRules};
use crate::unit::{Lang, Segment, Unit, UnitContent, UnitId};

use super::Outcome;
use super::align_page::write_page;
use super::input::document;

/// Align the sentences of a document with those of its translation.
#[derive(Debug, Args)]
#[command(
    after_help = "Texts are split into sentences first (as by `dhakira split`) unless --presplit says that each line is one. \
    beads: a line such as `[0]:[0, 1]<TAB>0.97` for each bead: source sentences, target sentences, from 0, and how sure it \
    is, from 0 to 1; every sentence is in exactly one. tsv: source, target, confidence. tmx: the beads with both sides. \
    html: a page to look it over."
)]
pub(super) struct Align {
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
    /// The files are given the wrong way round.
    #[arg(long)]
    swap: bool,
    /// How the alignment is written.
    #[arg(long, value_enum, default_value_t = Format::Beads)]
    format: Format,
    /// Leave beads out of tsv and tmx that are less sure, from 0 to 1.
    #[arg(long, value_name = "CONFIDENCE", default_value_t = 0.0)]
    min_confidence: f32,
    /// File to write; standard output when not given.
    #[arg(long, short, value_name = "FILE")]
    output: Option<PathBuf>,
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
    /// A page for a person.
    Html,
}

/// An aligned pair of documents.
pub(super) struct Aligned<'a> {
    /// Sentences and the language of the document.
    pub(super) source: (&'a [String], &'a Lang),
    /// The same of the translation.
    pub(super) target: (&'a [String], &'a Lang),
    pub(super) beads: &'a [Bead],
}

impl Aligned<'_> {
    /// The texts of a bead.
    pub(super) fn texts(&self, bead: &Bead) -> (String, String) {
        let joined = |texts: &[String], range: &Range<usize>| texts[range.clone()].join(" ");
        (joined(self.source.0, &bead.source), joined(self.target.0, &bead.target))
    }
}

/// One side with ten times the letters of the other is hardly its translation.
const RATIO_MAX: usize = 10;
/// Beads below it are counted as unsure.
const UNSURE: f32 = 0.5;

impl Align {
    pub(super) fn run(mut self) -> anyhow::Result<Outcome> {
        if self.swap {
            std::mem::swap(&mut self.source, &mut self.target);
        }
        let source = self.sentences(&self.source, &self.source_lang)?;
        let target = self.sentences(&self.target, &self.target_lang)?;
        self.check(&source, &target)?;
        let side = |sentences: &[String], lang| {
            Side::new(sentences.iter().map(String::as_str), &Analyzer::new(lang))
        };
        let sides = (side(&source, &self.source_lang), side(&target, &self.target_lang));
        let lexicon = builtin(&self.source_lang, &self.target_lang);
        let beads = align_document(&sides.0, &sides.1, &[lexicon], &|| false, &mut |_| ())?;
        let aligned = Aligned {
            source: (&source, &self.source_lang),
            target: (&target, &self.target_lang),
            beads: &beads,
        };
        match &self.output {
            None => self.write(&aligned, io::stdout().lock())?,
            Some(path) => {
                let doing = || format!("writing {}", path.display());
                let file = File::create(path).with_context(doing)?;
                self.write(&aligned, file).with_context(doing)?;
            }
        }
        let alone = beads.iter().filter(|it| it.source.is_empty() || it.target.is_empty());
        eprintln!(
            "dhakira: {} and {} sentences, {} beads; {} sentences stand alone, {} beads are unsure (below {UNSURE})",
            source.len(),
            target.len(),
            beads.len(),
            alone.count(),
            beads.iter().filter(|bead| bead.confidence < UNSURE).count(),
        );
        Ok(Outcome::Done)
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

    /// Refuses what cannot be meant, warns of what can hardly be.
    fn check(&self, source: &[String], target: &[String]) -> anyhow::Result<()> {
        let letters = |sentences: &[String]| -> usize {
            sentences.iter().flat_map(|it| it.chars()).filter(|it| it.is_alphanumeric()).count()
        };
        let (here, there) = (letters(source), letters(target));
        for (path, letters) in [(&self.source, here), (&self.target, there)] {
            if letters == 0 {
                bail!("{} holds no text: nothing to align", path.display());
            }
        }
        let (lang, other) = (&self.source_lang, &self.target_lang);
        let foreign = |texts: &[String], lang, other| {
            is_in_other_script(texts.iter().map(String::as_str), lang, other) == Some(true)
        };
        match (foreign(source, lang, other), foreign(target, other, lang)) {
            (true, true) => bail!(
                "{} is not in '{lang}' but, by its letters, in '{other}', and {} the other way round; --swap turns them",
                self.source.display(),
                self.target.display()
            ),
            (true, false) => eprintln!(
                "dhakira: {} has hardly any letters of '{lang}'; is it the right file?",
                self.source.display()
            ),
            (false, true) => eprintln!(
                "dhakira: {} has hardly any letters of '{other}'; is it the right file?",
                self.target.display()
            ),
            (false, false) => {}
        }
        if here > RATIO_MAX * there || there > RATIO_MAX * here {
            eprintln!(
                "dhakira: one text has more than {RATIO_MAX} times the letters of the other ({here} and {there}); most of \
                 it will stand alone"
            );
        }
        Ok(())
    }

    fn write(&self, aligned: &Aligned<'_>, out: impl Write) -> anyhow::Result<()> {
        let mut out = BufWriter::new(out);
        match self.format {
            Format::Beads => {
                for Bead { source, target, confidence } in aligned.beads {
                    let numbers =
                        |range: &Range<usize>| format!("{:?}", range.clone().collect::<Vec<_>>());
                    writeln!(out, "{}:{}\t{confidence:.4}", numbers(source), numbers(target))?;
                }
            }
            Format::Tsv => {
                let mut rows = csv::WriterBuilder::new().delimiter(b'\t').from_writer(&mut out);
                let header = [self.source_lang.as_str(), self.target_lang.as_str(), "confidence"];
                rows.write_record(header)?;
                for bead in self.sure(aligned) {
                    let (source, target) = aligned.texts(bead);
                    rows.write_record([source, target, format!("{:.4}", bead.confidence)])?;
                }
                rows.flush()?;
            }
            Format::Tmx => {
                let header = TmxHeader {
                    source_lang: self.source_lang.clone(),
                    target_lang: self.target_lang.clone(),
                    tool_version: env!("CARGO_PKG_VERSION").to_owned(),
                };
                let both = |bead: &&Bead| !bead.source.is_empty() && !bead.target.is_empty();
                let mut writer = TmxWriter::new(&mut out, &header)?;
                for (number, bead) in (1..).zip(self.sure(aligned).filter(both)) {
                    writer.write(&self.unit(number, aligned, bead))?;
                }
                writer.finish()?;
            }
            Format::Html => write_page(aligned, &mut out)?,
        }
        out.flush()?;
        Ok(())
    }

    fn sure<'a>(&self, aligned: &Aligned<'a>) -> impl Iterator<Item = &'a Bead> {
        let least = self.min_confidence;
        aligned.beads.iter().filter(move |bead| bead.confidence >= least)
    }

    fn unit(&self, number: u64, aligned: &Aligned<'_>, bead: &Bead) -> Unit {
        let (source, target) = aligned.texts(bead);
        let segment = |text| Segment { text, tags: Vec::new() };
        let document = self.source.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let confidence = format!("{:.4}", bead.confidence);
        let content = UnitContent {
            document,
            attributes: [("alignment-confidence".to_owned(), confidence)].into(),
            source: segment(source),
            target: segment(target),
            ..UnitContent::default()
        };
        Unit { id: UnitId(number), revision: 1, content }
    }
}
