//! `dhakira search`: where an expression stands in the memories.

use std::io::{self, IsTerminal as _, Write as _};

use clap::{Args, ValueEnum};
use serde::Serialize;

use crate::client::PassageInfo;
use crate::engine::ConcordanceSettings;
use crate::limits::PAGE_SIZE_MAX;
use crate::matching::{ConcordanceMode, Side, WordForm};
use crate::unit::MemoryName;

use super::Outcome;
use super::backend::{Missing, Where};
use super::filter::FilterFlags;
use crate::terminal::{isolate, json_to, stdout};

/// Find the units in which an expression stands, in sources or targets; the shortest sources first.
#[derive(Debug, Args)]
#[command(after_help = "Vowel marks, letter variants, case and digit script never matter.")]
pub(super) struct Search {
    #[command(flatten)]
    place: Where,
    /// A memory to search in; may be repeated.
    #[arg(long, short, value_name = "NAME", required = true)]
    memory: Vec<MemoryName>,
    /// In which text of the units.
    #[arg(long, value_enum, default_value_t = SideFlag::Source)]
    side: SideFlag,
    /// How the words belong together.
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
    /// A phrase whose last word may go on.
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
        let mut client = self.place.client("search", Missing::Refuse).await?;
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
            note!("dhakira: {shown} units shown, there are more; --max COUNT or --all shows them");
        } else if shown == 0 && !self.json {
            note!("dhakira: no unit holds it; --mode words, --stems or --mode prefix find more");
        }
        Ok(Outcome::Done)
    }

    fn show(&self, passage: &PassageInfo) -> anyhow::Result<()> {
        let content = &passage.unit.content;
        let unit = format!("{}/units/{}", passage.memory.resource(), passage.unit.id);
        let (source, target) = (&content.source.text, &content.target.text);
        if self.json {
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
                    highlights: passage
                        .highlights
                        .iter()
                        .map(|&(start, end)| [start, end])
                        .collect(),
                    document: &content.document,
                    author: &content.author,
                },
            );
        }
        let colour = io::stdout().is_terminal() && std::env::var_os("NO_COLOR").is_none();
        let mark =
            |text: &str| if colour { bold(text, &passage.highlights) } else { text.to_owned() };
        let (source, target) = match self.side {
            SideFlag::Source => (mark(source), target.clone()),
            SideFlag::Target => (source.clone(), mark(target)),
        };
        let mut out = stdout();
        writeln!(out, "{unit}\n  {}\n  {}\n", isolate(&source), isolate(&target))?;
        Ok(())
    }
}

/// A text with stretches of it, in code points, in bold on a terminal.
fn bold(text: &str, stretches: &[(usize, usize)]) -> String {
    let mut marked = String::with_capacity(text.len() + 8 * stretches.len());
    for (place, character) in text.chars().enumerate() {
        if stretches.iter().any(|&(start, end)| start == place && end > place) {
            marked.push_str("\u{1b}[1m");
        }
        marked.push(character);
        if stretches.iter().any(|&(_, end)| end == place + 1) {
            marked.push_str("\u{1b}[0m");
        }
    }
    marked
}
