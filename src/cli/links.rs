//! `dhakira links`: links the words of sentences with those of their translations.

use std::collections::BTreeSet;
use std::io::{self, BufWriter, Write as _};

use anyhow::Context as _;
use clap::Args;
use serde::Serialize;

use crate::alignment::{Corpus, Lexicon, PAIRS_MIN, builtin, link_words};
use crate::limits::WORD_PAIRS_MAX;
use crate::text::Analyzer;
use crate::unit::{Lang, MemoryName};
use crate::validate::validate_text;

use super::input::stdin_lines;
use super::outcome::Outcome;
use super::place::{MissingData, Place};
use crate::terminal::{Progress, json_to, stdout};

/// Link the words of sentence pairs, one `source ||| target` a line on standard input.
#[derive(Debug, Args)]
#[command(
    after_help = "Answers a line for each line: `0-0 1-2 …`, numbers of the words between spaces, from 0, source first: the \
    form of fast_align. With --memory, the lexicon of that memory is used; without, one is trained from the lines \
    themselves, so that many lines are linked better than few."
)]
pub(super) struct Links {
    #[command(flatten)]
    place: Place,
    /// A memory whose lexicon helps; may be repeated.
    #[arg(long, short, value_name = "NAME")]
    memory: Vec<MemoryName>,
    /// Language of the sources.
    #[arg(long, value_name = "LANG", default_value = "ar")]
    source_lang: Lang,
    /// Language of the targets.
    #[arg(long, value_name = "LANG", default_value = "en")]
    target_lang: Lang,
    /// Least confidence of a link, from 0 to 1.
    #[arg(long, value_name = "CONFIDENCE", default_value_t = 0.0)]
    min_confidence: f64,
    /// One JSON object a line, with the links as pairs of numbers.
    #[arg(long)]
    json: bool,
}

#[derive(Serialize)]
struct Line {
    links: BTreeSet<(usize, usize)>,
}

/// Between source and target.
const BETWEEN: &str = "|||";

type Texts = (String, String);

impl Links {
    pub(super) async fn run(self) -> anyhow::Result<Outcome> {
        let pairs: Vec<Texts> = (1..)
            .zip(stdin_lines())
            .map(|(number, line)| pair(number, &line?))
            .collect::<anyhow::Result<_>>()?;
        if self.memory.is_empty() {
            return self.without_memory(&pairs);
        }
        let mut client = self.place.client("links", MissingData::Refuse).await?;
        let mut out = BufWriter::new(stdout());
        for pairs in pairs.chunks(WORD_PAIRS_MAX) {
            let langs = (&self.source_lang, &self.target_lang);
            let linked = client.align_words(langs, &self.memory, pairs.to_vec()).await?;
            for (pair, linked) in pairs.iter().zip(linked) {
                let links = linked.links.iter();
                let sure = links.filter(|it| f64::from(it.confidence) >= self.min_confidence);
                let starts = sure.map(|it| (it.source.start, it.target.start));
                self.write(&mut out, linked_words(pair, starts))?;
            }
            out.flush()?;
        }
        Ok(Outcome::Done)
    }

    fn without_memory(&self, pairs: &[Texts]) -> anyhow::Result<Outcome> {
        let analyzers = (Analyzer::new(&self.source_lang), Analyzer::new(&self.target_lang));
        let mut corpus = Corpus::default();
        for (source, target) in pairs {
            corpus.add(&analyzers.0.analyze(source), &analyzers.1.analyze(target));
        }
        let bar = Progress::new();
        let trained: Lexicon =
            corpus.train(&|| false, &|done| bar.show("training", done.into()))?;
        drop(bar);
        let mut lexicons = vec![builtin(&self.source_lang, &self.target_lang)];
        lexicons.extend((pairs.len() >= PAIRS_MIN).then_some(&trained));
        let mut out = BufWriter::new(stdout());
        for pair in pairs {
            let (source, target) = (analyzers.0.analyze(&pair.0), analyzers.1.analyze(&pair.1));
            let links = link_words(&source, &target, &lexicons, &|| false)?;
            let sure =
                links.iter().filter(|link| f64::from(link.confidence) >= self.min_confidence);
            let starts = sure.map(|link| {
                let here = source.span(&source.tokens()[link.source]).start;
                let there = target.span(&target.tokens()[link.target]).start;
                (here, there)
            });
            self.write(&mut out, linked_words(pair, starts))?;
        }
        out.flush()?;
        Ok(Outcome::Done)
    }

    fn write(
        &self,
        out: &mut impl io::Write,
        links: BTreeSet<(usize, usize)>,
    ) -> anyhow::Result<()> {
        if self.json {
            return json_to(out, &Line { links });
        }
        let links: Vec<String> =
            links.iter().map(|(here, there)| format!("{here}-{there}")).collect();
        writeln!(out, "{}", links.join(" "))?;
        Ok(())
    }
}

fn pair(number: usize, line: &str) -> anyhow::Result<Texts> {
    let (source, target) = line
        .split_once(BETWEEN)
        .with_context(|| format!("line {number} has no `{BETWEEN}` between source and target; write `source {BETWEEN} target`"))?;
    for text in [source, target] {
        // Nothing to link is not an error: the answer is an empty line.
        if !text.trim().is_empty() {
            validate_text(text)
                .map_err(|fault| anyhow::anyhow!("line {number}: {}", fault.message))?;
        }
    }
    Ok((source.trim().to_owned(), target.trim().to_owned()))
}

/// The linked words, as words stand between white space, given the bytes at which their tokens start.
fn linked_words(
    (source, target): &Texts,
    starts: impl Iterator<Item = (usize, usize)>,
) -> BTreeSet<(usize, usize)> {
    let (source, target) = (word_numbers(source), word_numbers(target));
    starts.filter_map(|(here, there)| Some((*source.get(here)?, *target.get(there)?))).collect()
}

/// For each byte of a text, the number of the word between spaces that it belongs to.
fn word_numbers(text: &str) -> Vec<usize> {
    let (mut number, mut inside) = (0, false);
    let bytes = text.chars().flat_map(|letter| {
        if letter.is_whitespace() {
            number += usize::from(inside);
        }
        inside = !letter.is_whitespace();
        std::iter::repeat_n(number, letter.len_utf8())
    });
    bytes.collect()
}

#[cfg(test)]
mod tests {
    use super::word_numbers;

    #[test]
    fn words_are_counted_as_they_stand_between_spaces() {
        assert_eq!(word_numbers("a\u{e9}  c d"), [0, 0, 0, 1, 1, 1, 2, 2]);
    }
}
