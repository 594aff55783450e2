//! `dhakira bench adapt`: compares adapted targets with known translations.

use std::path::PathBuf;
use std::sync::Arc;

use clap::Args;

use crate::engine::{Cancel, Engine, FoundMatch, QuerySegment};
use crate::store::InMemoryStore;
use crate::text::Analyzer;
use crate::unit::{Lang, MemoryName, UnitContent};

use super::corpus::{read_units, spread};
use super::lookup::{fill, lookup_settings};
use super::measure::Figures;

/// Queries looked up at once.
const QUERIES_AT_ONCE: usize = 500;
/// Most differences that are shown.
const SHOWN_MAX: usize = 50;

/// Looks segments with known translations up in a memory, and compares the adapted targets with those translations.
///
/// Adapted targets that differ from the known translation only in how a number is written are shown on standard error: those are
/// mistakes.
#[derive(Debug, Args)]
pub(super) struct BenchAdapt {
    /// File with the memory.
    #[arg(long)]
    corpus: PathBuf,
    /// File with the segments and their translations.
    #[arg(long)]
    queries: PathBuf,
    /// How many segments are looked up, spread over the file; all when not given.
    #[arg(long)]
    count: Option<usize>,
    /// Least score of a match.
    #[arg(long, default_value_t = 70.0)]
    min_score: f64,
    /// Most matches for a segment.
    #[arg(long, default_value_t = 5)]
    max: usize,
    /// One JSON object with all figures.
    #[arg(long)]
    json: bool,
}

impl BenchAdapt {
    /// Blocks.
    pub(super) fn run(self) -> anyhow::Result<()> {
        let engine = Engine::open(Arc::new(InMemoryStore::default()), None, &mut |_| ())?;
        let memory: MemoryName = "bench".parse()?;
        fill(&engine, &memory, read_units(&self.corpus, usize::MAX)?.into_iter())?;
        let settings = lookup_settings(&memory, self.min_score, self.max)?;
        let queries = read_units(&self.queries, usize::MAX)?;
        let queries = spread(queries, self.count.unwrap_or(usize::MAX));
        let mut tally = Tally::new(&"ar".parse()?);
        for some in queries.chunks(QUERIES_AT_ONCE) {
            let segment = |unit: &UnitContent| QuerySegment::new(unit.source.clone());
            let segments: Vec<QuerySegment> = some.iter().map(segment).collect();
            let found = engine.lookup(&settings, &segments, &Cancel::default())?;
            for (unit, found) in some.iter().zip(found) {
                tally.take(unit, &found);
            }
        }
        tally.into_figures().show(self.json)
    }
}

/// Counts of adapted targets by kind, and of those that equal the known translation.
struct Tally {
    analyzer: Analyzer,
    figures: Figures,
    shown: usize,
}

impl Tally {
    fn new(source_lang: &Lang) -> Self {
        let mut figures = Figures::default();
        for kind in ["all", "best", "with_words"] {
            figures.put(format!("adapted_{kind}"), 0.0);
            figures.put(format!("equal_{kind}"), 0.0);
        }
        for name in ["queries", "matches", "differ_in_notation_only"] {
            figures.put(name, 0.0);
        }
        Self { analyzer: Analyzer::new(source_lang), figures, shown: 0 }
    }

    fn count(&mut self, name: &str) {
        let before = self.figures.get(name);
        self.figures.put(name, before + 1.0);
    }

    fn take(&mut self, known: &UnitContent, found: &[FoundMatch]) {
        self.count("queries");
        let has_words = self.analyzer.analyze(&known.source.text).has_words();
        for (rank, found) in found.iter().enumerate() {
            self.count("matches");
            let Some(adapted) = &found.adapted else { continue };
            let equal = adapted.text == known.target.text;
            let band = format!("from_{:02}", found.score.hundredths() / 500 * 5);
            let kinds = ["all", &band].into_iter().chain((rank == 0).then_some("best"));
            for kind in kinds.chain(has_words.then_some("with_words")) {
                self.count(&format!("adapted_{kind}"));
                if equal {
                    self.count(&format!("equal_{kind}"));
                }
            }
            if differ_only_in_notation(&adapted.text, &known.target.text) {
                self.count("differ_in_notation_only");
                self.show(known, found, &adapted.text);
            }
        }
    }

    fn show(&mut self, known: &UnitContent, found: &FoundMatch, adapted: &str) {
        self.shown += 1;
        if self.shown <= SHOWN_MAX {
            note!(
                "query     {}\nsource    {}\ntarget    {}\nadapted   {adapted}\nreference {}\n",
                known.source.text,
                found.unit.content.source.text,
                found.unit.content.target.text,
                known.target.text
            );
        }
    }

    fn into_figures(self) -> Figures {
        let mut figures = self.figures;
        let counted = figures.get("adapted_all").max(1.0);
        let share = figures.get("equal_all") / counted;
        figures.put("equal_share", share);
        figures
    }
}

/// Whether two texts are the same but for zeros, separators, digits and signs of their numbers.
fn differ_only_in_notation(one: &str, other: &str) -> bool {
    one != other
        && [true, false].iter().any(|&it| without_notation(one, it) == without_notation(other, it))
}

/// A text with its numbers reduced to their value, in one reading: all digits, or the significant ones.
fn without_notation(text: &str, keep_precision: bool) -> String {
    let ascii = |it: char| match it {
        '\u{660}'..='\u{669}' | '\u{6f0}'..='\u{6f9}' => {
            char::from_digit(it as u32 & 0xf, 10).unwrap_or(it)
        }
        '\u{66a}' => '%',
        '\u{a0}' => ' ',
        _ => it,
    };
    let text: Vec<char> =
        text.chars().map(ascii).collect::<String>().replace(" %", "%").chars().collect();
    let is_digit = |at: usize| text.get(at).is_some_and(char::is_ascii_digit);
    let is_separator = |it: char| ".,\u{66b}\u{66c}\u{60c}'\u{2019} \u{202f}\u{2009}".contains(it);
    let (mut out, mut at) = (String::new(), 0);
    while let Some(&character) = text.get(at) {
        if !is_digit(at) {
            // A sign or space beside a number is a matter of notation too.
            let beside = is_digit(at + 1) || at.checked_sub(1).is_some_and(is_digit);
            if !(beside && matches!(character, ' ' | '%' | '$' | '+')) {
                out.push(character);
            }
            at += 1;
            continue;
        }
        let (mut digits, mut fraction) = (String::new(), false);
        while let Some(&character) = text.get(at) {
            if character.is_ascii_digit() {
                digits.push(character);
            } else if is_separator(character) && is_digit(at + 1) {
                fraction = true;
            } else {
                break;
            }
            at += 1;
        }
        let digits = digits.trim_start_matches('0');
        let zeros_count = keep_precision || !fraction;
        out.push_str(if zeros_count { digits } else { digits.trim_end_matches('0') });
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn notation_is_told_from_other_differences() {
        for (one, other, only) in [
            ("costs $1,250.50 now", "costs $1250.50 now", true),
            ("takes 12.0 s", "takes 12.00 s", true),
            ("room 0042", "room 42", true),
            ("50 % of all", "50% of all", true),
            ("\u{665}\u{660}\u{66a} of all", "50% of all", true),
            ("room 42", "room 43", false),
            ("room 42", "rooms 42", false),
            ("room 42", "room 42", false),
        ] {
            assert_eq!(differ_only_in_notation(one, other), only, "{one} / {other}");
        }
    }
}
