//! `dhakira split`: splits text into sentences.

use std::io::{self, BufWriter, Write as _};
use std::path::PathBuf;

use anyhow::Context as _;
use clap::Args;
use serde::Serialize;

use crate::text::{SentenceOptions, SentenceRules};
use crate::unit::Lang;

use super::input::document;
use super::outcome::Outcome;
use crate::terminal::{json_to, stdout};

/// Split text into sentences, one a line.
#[derive(Debug, Args)]
#[command(
    after_help = "A line end ends a sentence, an abbreviation or the number of a list does not. The rules are a table a \
    language; --rules adds rows to it (kind, tab, text), for example 'title<TAB>Lic.'. Kinds: end, stop, clause, open, \
    close (marks); title, number, short, unit, last (abbreviations: always inside, inside before a digit, inside unless a \
    word of kind 'start' follows, an end behind a number, mostly an end); start, inside, lead, opener (words that begin \
    a sentence, rarely do, open one with a time, open a clause)."
)]
pub(super) struct Split {
    /// Language of the text: ar or en; others use the shared rules.
    #[arg(long, short, value_name = "LANG")]
    lang: Lang,
    /// Semicolons end sentences too.
    #[arg(long)]
    semicolons: bool,
    /// Lines are wrapped: only an empty line ends a paragraph.
    #[arg(long)]
    wrapped: bool,
    /// More rules, as in the tables of the project.
    #[arg(long, value_name = "FILE")]
    rules: Option<PathBuf>,
    /// One JSON object a sentence, with its place in the text in code points.
    #[arg(long)]
    json: bool,
    /// Texts to split; standard input when there are none.
    #[arg(value_name = "FILE")]
    files: Vec<PathBuf>,
}

#[derive(Serialize)]
struct Line<'a> {
    text: &'a str,
    start: usize,
    end: usize,
}

impl Split {
    pub(super) fn run(self) -> anyhow::Result<Outcome> {
        let mut rules = SentenceRules::new(&self.lang);
        if let Some(path) = &self.rules {
            let table = document(path)?;
            rules.add(&table).with_context(|| format!("rules in {}", path.display()))?;
        }
        let standard_input = [PathBuf::from("-")];
        let files = if self.files.is_empty() { &standard_input[..] } else { &self.files };
        let mut out = BufWriter::new(stdout());
        for file in files {
            self.print(&document(file)?, &rules, &mut out)?;
        }
        out.flush()?;
        Ok(Outcome::Done)
    }

    fn print(
        &self,
        text: &str,
        rules: &SentenceRules,
        out: &mut impl io::Write,
    ) -> anyhow::Result<()> {
        let options = SentenceOptions { semicolons: self.semicolons, wrapped_lines: self.wrapped };
        let (mut counted_bytes, mut counted_points) = (0, 0);
        let mut code_points = |bytes: usize| {
            counted_points += text[counted_bytes..bytes].chars().count();
            counted_bytes = bytes;
            counted_points
        };
        for sentence in rules.split(text, options) {
            if sentence.text.is_empty() {
                continue;
            }
            let (start, end) = (code_points(sentence.text.start), code_points(sentence.text.end));
            let sentence = &text[sentence.text];
            if self.json {
                json_to(out, &Line { text: sentence, start, end })?;
            } else {
                // A sentence goes over several lines only where lines are wrapped.
                writeln!(out, "{}", sentence.lines().map(str::trim).collect::<Vec<_>>().join(" "))?;
            }
        }
        Ok(())
    }
}
