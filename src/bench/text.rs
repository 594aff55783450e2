//! `dhakira bench text`: measures the analysis of segments.

use std::path::PathBuf;
use std::time::Instant;

use clap::Args;

use crate::text::{Analysis, Analyzer};
use crate::unit::UnitContent;

use super::corpus::{read_units, spread};
use super::measure::{Figures, median, number};

/// Analyses the segments of a memory on one core: canonical and folded forms, tokens, classes.
#[derive(Debug, Args)]
pub(super) struct BenchText {
    /// File with the memory.
    #[arg(long)]
    corpus: PathBuf,
    /// How many units, spread over the file.
    #[arg(long, default_value_t = 20_000)]
    count: usize,
    /// Times that everything is measured; medians are shown.
    #[arg(long, default_value_t = 9, value_parser = clap::value_parser!(u8).range(1..=99))]
    runs: u8,
    /// One JSON object with all figures.
    #[arg(long)]
    json: bool,
}

impl BenchText {
    /// Blocks.
    pub(super) fn run(self) -> anyhow::Result<()> {
        let units = spread(read_units(&self.corpus, usize::MAX)?, self.count);
        let mut figures = Figures::default();
        figures.put("segments", number(units.len()));
        let sources = |unit: &UnitContent| unit.source.text.clone();
        let targets = |unit: &UnitContent| unit.target.text.clone();
        for (lang, texts) in [
            ("ar", units.iter().map(sources).collect::<Vec<String>>()),
            ("en", units.iter().map(targets).collect()),
        ] {
            let analyzer = Analyzer::new(&lang.parse()?);
            let rates = (0..self.runs).map(|_| rate(&analyzer, &texts)).collect();
            figures.put(format!("{lang}_segments_per_second"), median(rates));
            let bytes = texts.iter().map(String::len).sum();
            figures.put(format!("{lang}_bytes_per_segment"), number(bytes) / number(texts.len()));
        }
        figures.show(self.json)
    }
}

fn rate(analyzer: &Analyzer, texts: &[String]) -> f64 {
    let mut analysis = Analysis::default();
    let since = Instant::now();
    for text in texts {
        analyzer.analyze_into(text, &mut analysis);
        std::hint::black_box(&analysis);
    }
    number(texts.len()) / since.elapsed().as_secs_f64()
}
