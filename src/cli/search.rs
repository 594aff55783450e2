//! `dhakira search`: finds the units in which an expression occurs.

use std::io::{self, IsTerminal as _, Write as _};
use std::ops::Range;

use clap::{Args, ValueEnum};
use serde::Serialize;

use crate::engine::{ConcordanceSettings, FoundPassage};
use crate::limits::PAGE_SIZE_MAX;
use crate::matching::{ConcordanceMode, Side, WordForm};
use crate::unit::{MemoryName, TextOffsets};

use super::filter::FilterFlags;
use super::found::span;
use super::outcome::Outcome;
use super::place::{MissingData, Place};
use crate::terminal::{counted, json_to, paragraph, stdout};

/// Find the units in which an expression occurs, in sources or targets; the shortest sources first.
#[derive(Debug, Args)]
#[command(after_help = "Vowel marks, letter variants, case and digit script never matter.")]
pub(super) struct Search {
    #[command(flatten)]
    place: Place,
    /// A memory to search in; may be repeated.
    #[arg(long, short, value_name = "NAME", required = true)]
    memory: Vec<MemoryName>,
    /// In which text of the units.
    #[arg(long, value_enum, default_value_t = SideFlag::Source)]
    side: SideFlag,
    /// How the words must occur.
    #[arg(long, value_enum, default_value_t = ModeFlag::Phrase)]
    mode: ModeFlag,
    /// A word finds every word with its stem: clitics and endings do not matter either.
    #[arg(long)]
    stems: bool,
    /// Most units shown.
    #[arg(long, value_name = "COUNT", default_value_t = 20, conflicts_with = "all")]
    max: usize,
    /// Show every unit.
    #[arg(long)]
    all: bool,
    #[command(flatten)]
    filter: FilterFlags,
    /// One JSON object a unit, one a line.
    #[arg(long)]
    json: bool,
    /// The expression; several arguments are joined by spaces.
    #[arg(value_name = "TEXT", required = true)]
    text: Vec<String>,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum SideFlag {
    /// The texts that were translated.
    Source,
    /// Their translations.
    Target,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum ModeFlag {
    /// All words, anywhere in the segment.
    Words,
    /// The words side by side, in this order.
    Phrase,
    /// A phrase whose last word may be the start of a longer one.
    Prefix,
}

#[derive(Serialize)]
struct Line<'a> {
    unit: String,
    source: &'a str,
    target: &'a str,
    side: &'static str,
    highlights: Vec<[usize; 2]>,
    #[serde(skip_serializing_if = "str::is_empty")]
    document: &'a str,
    #[serde(skip_serializing_if = "str::is_empty")]
    author: &'a str,
}

impl Search {
    pub(super) async fn run(self) -> anyhow::Result<Outcome> {
        let mut client = self.place.client("search", MissingData::Refuse).await?;
        let settings = ConcordanceSettings {
            memories: self.memory.clone(),
            text: self.text.join(" "),
            side: match self.side {
                SideFlag::Source => Side::Source,
                SideFlag::Target => Side::Target,
            },
            mode: match self.mode {
                ModeFlag::Words => ConcordanceMode::Words,
                ModeFlag::Phrase => ConcordanceMode::Phrase,
                ModeFlag::Prefix => ConcordanceMode::Prefix,
            },
            word_form: if self.stems { WordForm::Class } else { WordForm::Folded },
            filter: self.filter.filter(),
        };
        let mut left = if self.all { usize::MAX } else { self.max };
        let mut token = String::new();
        let mut shown = 0_usize;
        while left > 0 {
            let (passages, next) =
                client.concordance(&settings, left.min(PAGE_SIZE_MAX), token).await?;
            for passage in &passages {
                self.show(passage)?;
            }
            shown += passages.len();
            left = left.saturating_sub(passages.len());
            token = next;
            if token.is_empty() {
                break;
            }
        }
        if !token.is_empty() {
            note!(
                "dhakira: {} shown, there are more; --max COUNT or --all shows them",
                counted(shown, "unit")
            );
        } else if shown == 0 && !self.json {
            note!("dhakira: no unit contains it; --mode words, --stems or --mode prefix find more");
        }
        Ok(Outcome::Done)
    }

    fn show(&self, passage: &FoundPassage) -> anyhow::Result<()> {
        let content = &passage.unit.content;
        let unit = format!("{}/units/{}", passage.memory.resource(), passage.unit.id);
        let (source, target) = (content.source.text.as_str(), content.target.text.as_str());
        if self.json {
            let points = TextOffsets::code_points(match self.side {
                SideFlag::Source => source,
                SideFlag::Target => target,
            });
            return json_to(
                &mut stdout(),
                &Line {
                    unit,
                    source,
                    target,
                    side: match self.side {
                        SideFlag::Source => "source",
                        SideFlag::Target => "target",
                    },
                    highlights: passage.highlights.iter().map(|it| span(&points, it)).collect(),
                    document: &content.document,
                    author: &content.author,
                },
            );
        }
        let colour = io::stdout().is_terminal() && std::env::var_os("NO_COLOR").is_none();
        let mark =
            |text: &str| if colour { bold(text, &passage.highlights) } else { text.to_owned() };
        let (source, target) = match self.side {
            SideFlag::Source => (mark(source), target.to_owned()),
            SideFlag::Target => (source.to_owned(), mark(target)),
        };
        let mut out = stdout();
        writeln!(out, "{unit}\n  {}\n  {}\n", paragraph(&source, 2), paragraph(&target, 2))?;
        Ok(())
    }
}

/// A text with spans of its bytes in bold on a terminal.
fn bold(text: &str, spans: &[Range<usize>]) -> String {
    let mut marked = String::with_capacity(text.len() + 8 * spans.len());
    let mut written = 0;
    for span in spans {
        let (before, inside) = (text.get(written..span.start), text.get(span.clone()));
        let (Some(before), Some(inside)) = (before, inside) else { continue };
        marked.extend([before, "\u{1b}[1m", inside, "\u{1b}[0m"]);
        written = span.end;
    }
    marked.push_str(&text[written..]);
    marked
}
