//! What do sentences that stand for each other teach? Translation probabilities, by expectation and maximisation.
//!
//! IBM model 1 (Brown et al., "The mathematics of statistical machine translation", Computational Linguistics 19, 1993) with a
//! sparse prior by variational Bayes (Riley and Gildea, "Improving the IBM alignment models using variational Bayes", ACL
//! 2012): rare words do not gather every word that they meet. Knows nothing of where sentences come from.

use crate::text::Analysis;

use super::lexicon::{Lexicon, Table, TermNumbers};
use super::side::{length_u32, write_term};
use super::{Cancelled, Stop};

/// Passes over the sentences.
const ITERATIONS: usize = 6;
/// What a pair of terms counts for before it is seen: the smaller, the fewer translations a term keeps.
const PRIOR: f64 = 0.02;
/// Sentences with more terms teach little for their time.
const TERMS_MAX: usize = 120;
/// Least probability that is kept.
const PROBABILITY_MIN: f32 = 0.004;
/// Sentences between two questions whether to give up.
const STOP_EVERY: usize = 1_000;

/// Pairs of sentences to learn from, as numbers of their terms.
#[derive(Debug, Default)]
pub struct Corpus {
    source: CorpusSide,
    target: CorpusSide,
}

/// One language of a corpus. The term of number 0 stands for no word: what has no counterpart comes from it.
#[derive(Debug)]
struct CorpusSide {
    terms: TermNumbers,
    counts: Vec<u32>,
    tokens: Vec<u32>,
    ends: Vec<u32>,
}

impl Default for CorpusSide {
    fn default() -> Self {
        let mut terms = TermNumbers::default();
        terms.intern("");
        Self { terms, counts: vec![0], tokens: Vec::new(), ends: Vec::new() }
    }
}

impl CorpusSide {
    fn add(&mut self, analysis: &Analysis) {
        let mut text = String::new();
        for token in analysis.tokens() {
            if !write_term(analysis, token, &mut text) {
                continue;
            }
            let number = self.terms.intern(&text);
            self.counts.resize(self.terms.len(), 0);
            self.counts[number as usize] += 1;
            self.tokens.push(number);
        }
        self.ends.push(length_u32(self.tokens.len()));
    }

    fn sentence(&self, number: usize) -> &[u32] {
        let from = number.checked_sub(1).map_or(0, |before| self.ends[before]);
        &self.tokens[from as usize..self.ends[number] as usize]
    }

    #[expect(clippy::cast_precision_loss)]
    fn shares(&self) -> Vec<f32> {
        let all = self.tokens.len().max(1) as f32;
        self.counts.iter().map(|&count| count as f32 / all).collect()
    }
}

impl Corpus {
    /// Adds a sentence and its translation.
    pub fn add(&mut self, source: &Analysis, target: &Analysis) {
        self.source.add(source);
        self.target.add(target);
    }

    /// Pairs of sentences.
    pub fn len(&self) -> usize {
        self.source.ends.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The lexicon that these sentences teach. Both directions are learnt at the same time.
    ///
    /// # Errors
    /// [`Cancelled`] when `stop` says so.
    pub fn train(self, stop: Stop<'_>) -> Result<Lexicon, Cancelled> {
        let (source, target) = (&self.source, &self.target);
        let (forward, backward) = rayon::join(
            || Learning::new(source, target).run(stop),
            || Learning::new(target, source).run(stop),
        );
        let (forward, backward) = (forward?, backward?);
        let shares = (source.shares(), target.shares());
        Ok(Lexicon {
            source: self.source.terms,
            target: self.target.terms,
            forward,
            backward,
            shares,
        })
    }
}

/// One direction: how the terms `to` come from the terms `from`.
struct Learning<'a> {
    from: &'a CorpusSide,
    to: &'a CorpusSide,
    /// Where the row of each term ends.
    ends: Vec<u32>,
    /// Terms that it meets, in order.
    met: Vec<u32>,
    probabilities: Vec<f32>,
}

impl<'a> Learning<'a> {
    fn new(from: &'a CorpusSide, to: &'a CorpusSide) -> Self {
        let sentences = from.ends.len();
        // Which sentences a term stands in, then which terms it meets there: one term at a time, so that memory holds the
        // result and no list of all meetings.
        let mut starts = vec![0_u32; from.terms.len() + 1];
        let each = |number: usize| std::iter::once(&0).chain(from.sentence(number));
        let usable = |number: &usize| {
            from.sentence(*number).len() <= TERMS_MAX && to.sentence(*number).len() <= TERMS_MAX
        };
        for number in (0..sentences).filter(usable) {
            for &term in each(number) {
                starts[term as usize + 1] += 1;
            }
        }
        for at in 1..starts.len() {
            starts[at] += starts[at - 1];
        }
        let mut next = starts.clone();
        let mut places = vec![0_u32; starts.last().map_or(0, |&end| end as usize)];
        for number in (0..sentences).filter(usable) {
            for &term in each(number) {
                let place = &mut next[term as usize];
                places[*place as usize] = length_u32(number);
                *place += 1;
            }
        }
        let mut seen = vec![u32::MAX; to.terms.len()];
        let (mut ends, mut met) = (Vec::with_capacity(from.terms.len()), Vec::new());
        for (term, range) in (0_u32..).zip(starts.windows(2)) {
            let row = met.len();
            for &number in &places[range[0] as usize..range[1] as usize] {
                for &other in to.sentence(number as usize) {
                    if seen[other as usize] != term {
                        seen[other as usize] = term;
                        met.push(other);
                    }
                }
            }
            met[row..].sort_unstable();
            ends.push(length_u32(met.len()));
        }
        // What is equal everywhere is as good as one.
        let probabilities = vec![1.0; met.len()];
        Self { from, to, ends, met, probabilities }
    }

    fn row(&self, term: u32) -> std::ops::Range<usize> {
        let from = (term as usize).checked_sub(1).map_or(0, |before| self.ends[before]);
        from as usize..self.ends[term as usize] as usize
    }

    fn run(mut self, stop: Stop<'_>) -> Result<Table, Cancelled> {
        let mut counts = vec![0.0_f32; self.met.len()];
        let mut places: Vec<usize> = Vec::new();
        for _ in 0..ITERATIONS {
            counts.fill(0.0);
            for number in 0..self.from.ends.len() {
                if number % STOP_EVERY == 0 && stop() {
                    return Err(Cancelled);
                }
                let (here, there) = (self.from.sentence(number), self.to.sentence(number));
                if here.len() > TERMS_MAX || there.len() > TERMS_MAX {
                    continue;
                }
                for &other in there {
                    places.clear();
                    let mut sum = 0.0;
                    for &term in std::iter::once(&0).chain(here) {
                        let row = self.row(term);
                        let at = self.met[row.clone()].partition_point(|&met| met < other);
                        sum += self.probabilities[row.start + at];
                        places.push(row.start + at);
                    }
                    let share = 1.0 / sum;
                    for &place in &places {
                        counts[place] += self.probabilities[place] * share;
                    }
                }
            }
            self.maximise(&counts);
        }
        Ok(self.table(&counts))
    }

    /// Probabilities from expected counts.
    #[expect(clippy::cast_possible_truncation, clippy::cast_precision_loss)]
    fn maximise(&mut self, counts: &[f32]) {
        for term in 0..length_u32(self.ends.len()) {
            let row = self.row(term);
            let sum: f64 = counts[row.clone()].iter().map(|&count| f64::from(count)).sum();
            let all = digamma(sum + PRIOR * row.len() as f64);
            for place in row {
                let log = digamma(f64::from(counts[place]) + PRIOR) - all;
                // Never nothing: a sentence of which no word is left would divide by it.
                self.probabilities[place] = (log.exp() as f32).max(1e-20);
            }
        }
    }

    /// The table of the terms; what no word stands for is left out.
    fn table(&self, counts: &[f32]) -> Table {
        let rows = (0..length_u32(self.ends.len())).map(|term| {
            let row = self.row(term);
            let sum: f32 = counts[row.clone()].iter().sum();
            if term == 0 || sum <= 0.0 {
                return (0.0, Vec::new());
            }
            let entries = row.map(|place| (self.met[place], counts[place] / sum));
            (sum, entries.filter(|entry| entry.1 >= PROBABILITY_MIN).collect())
        });
        Table::new(rows)
    }
}

/// The logarithmic derivative of the gamma function, for positive arguments, to six places.
fn digamma(mut x: f64) -> f64 {
    let mut result = 0.0;
    while x < 6.0 {
        result -= 1.0 / x;
        x += 1.0;
    }
    let square = 1.0 / (x * x);
    // The asymptotic expansion (Abramowitz and Stegun, 6.3.18).
    result + x.ln() - 0.5 / x - square * (1.0 / 12.0 - square * (1.0 / 120.0 - square / 252.0))
}

#[cfg(test)]
mod tests {
    use super::{Corpus, digamma};
    use crate::text::Analyzer;

    #[test]
    fn digamma_is_what_the_tables_say() {
        for (x, value) in [(1.0, -0.577_215_66), (0.5, -1.963_510_03), (10.0, 2.251_752_59)] {
            assert!((digamma(x) - value).abs() < 1e-6, "{x}");
        }
    }

    #[test]
    fn words_that_go_together_are_translations() {
        let analyzer = Analyzer::new(&"en".parse().unwrap());
        let mut corpus = Corpus::default();
        for (source, target) in [
            ("house big", "haus gross"),
            ("house small", "haus klein"),
            ("book big", "buch gross"),
            ("book small", "buch klein"),
        ] {
            for _ in 0..3 {
                corpus.add(&analyzer.analyze(source), &analyzer.analyze(target));
            }
        }
        let lexicon = corpus.train(&|| false).unwrap();
        let book = lexicon.source.find("book").unwrap();
        let (mass, row) = lexicon.forward.row(book);
        let best = row.iter().max_by(|a, b| a.1.total_cmp(&b.1)).unwrap();
        assert_eq!(lexicon.target.find("buch"), Some(best.0));
        assert!(best.1 > 0.8 && mass > 4.0, "{row:?}");
    }
}
