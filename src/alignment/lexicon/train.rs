//! Trains a lexicon on pairs of sentences by expectation maximization.
//!
//! IBM model 1 (Brown et al., "The mathematics of statistical machine translation", Computational Linguistics 19, 1993) with a
//! sparse prior by variational Bayes (Riley and Gildea, "Improving the IBM alignment models using variational Bayes", ACL
//! 2012): rare words do not become translations of every word that they occur with. Knows nothing of where sentences come from.

use crate::alignment::cancel::{Cancelled, Stop};
use crate::alignment::features::length_u32;

use super::corpus::{Corpus, Split};
use super::hmm::{JumpCounts, Jumps, Lattice};
use super::places::Places;
use super::tables::{Lexicon, Table};

/// Passes of model 1.
const ITERATIONS: usize = 5;
/// Passes of the hidden Markov model after those, and their cost relative to a pass of model 1.
const ITERATIONS_IN_ORDER: usize = 3;
const COST_IN_ORDER: usize = 2;
/// Prior count of a pair of terms: the smaller, the fewer translations a term keeps.
const PRIOR: f64 = 0.02;
/// Sentences with more terms are skipped: they contribute little for their time.
const TERMS_MAX: usize = 120;
/// Pairs below this probability are dropped after pass [`PRUNED_AFTER`].
const PRUNED_BELOW: f32 = 1e-12;
const PRUNED_AFTER: usize = 2;
/// Probability of dropped pairs; not zero, so that sums can be divided by.
const PROBABILITY_NONE: f32 = 1e-20;
/// Least probability in the lexicon.
const PROBABILITY_MIN: f32 = 0.004;
/// Sentences between two checks of `stop`.
const STOP_EVERY: usize = 1_000;

impl Corpus {
    /// Trains a lexicon, both directions in parallel. `progress` receives the fraction done, from 0 to 1.
    ///
    /// # Errors
    /// [`Cancelled`] if `stop` returns `true`.
    pub fn train(
        self,
        stop: Stop<'_>,
        progress: &(dyn Fn(f32) + Sync),
    ) -> Result<Lexicon, Cancelled> {
        self.train_within(PLACES_BYTES_MAX, stop, progress)
    }

    fn train_within(
        self,
        places_bytes_max: usize,
        stop: Stop<'_>,
        progress: &(dyn Fn(f32) + Sync),
    ) -> Result<Lexicon, Cancelled> {
        let (source, target) = (self.source.split(), self.target.split());
        let vocabularies = (source.0, target.0);
        let (source, target) = (source.1, target.1);
        let shares = (source.shares(), target.shares());
        let train = |from, to, shares, progress| {
            Training::new(from, to, places_bytes_max).run(shares, stop, progress)
        };
        // Both take about as long, so one of them reports.
        let (forward, backward) = rayon::join(
            || train(&source, &target, &shares.1, progress),
            || train(&target, &source, &shares.0, &|_| ()),
        );
        let ((forward, jumps), (backward, jumps_back)) = (forward?, backward?);
        Ok(Lexicon {
            source: source.terms,
            target: target.terms,
            forward,
            backward,
            shares,
            jumps: (jumps, jumps_back),
            vocabularies,
        })
    }
}

/// Memory for the places of one direction, see [`Places`].
const PLACES_BYTES_MAX: usize = 64 * 1024 * 1024;
/// A pair of terms with a smaller expected count, in a row whose sum has at least this digamma, has a probability below
/// [`PROBABILITY_NONE`], by [`PRIOR`].
const COUNT_MIN: f32 = 0.001;
const SUM_LOG_MIN: f64 = 0.0;

/// A pair of sentences, as their terms, and its number among those used for training.
type Sentences<'a> = (&'a [u32], &'a [u32], usize);

/// The fraction of the work done.
#[expect(clippy::cast_precision_loss)]
fn done(alone: usize, in_order: usize) -> f32 {
    (alone + in_order) as f32 / (ITERATIONS + ITERATIONS_IN_ORDER * COST_IN_ORDER) as f32
}

/// Training of one direction: how the terms `to` come from the terms `from`.
struct Training<'a> {
    from: &'a Split,
    to: &'a Split,
    /// Where the row of each term ends.
    ends: Vec<u32>,
    /// The terms that each term occurs with, sorted.
    met: Vec<u32>,
    /// The probabilities of these pairs, and last that of all dropped pairs.
    probabilities: Vec<f32>,
    places: Places,
    places_bytes_max: usize,
}

impl<'a> Training<'a> {
    fn new(from: &'a Split, to: &'a Split, places_bytes_max: usize) -> Self {
        let sentences = from.ends.len();
        // First the sentences of each term, then the terms that it occurs with, one term at a time, so that memory never holds a
        // list of all co-occurrences.
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
        // The start is uniform, so any value will do.
        let probabilities = vec![1.0; met.len() + 1];
        let places = Places::default();
        let mut training = Self { from, to, ends, met, probabilities, places, places_bytes_max };
        training.find_places();
        training
    }

    fn row(&self, term: u32) -> std::ops::Range<usize> {
        let from = (term as usize).checked_sub(1).map_or(0, |before| self.ends[before]);
        from as usize..self.ends[term as usize] as usize
    }

    /// Runs all passes; `shares` are those of the `to` terms.
    fn run(
        mut self,
        shares: &[f32],
        stop: Stop<'_>,
        progress: &(dyn Fn(f32) + Sync),
    ) -> Result<(Table, Jumps), Cancelled> {
        let mut counts = Vec::new();
        for iteration in 0..ITERATIONS {
            self.clear(&mut counts);
            self.expect_alone(&mut counts, stop)?;
            self.maximise(&counts);
            if iteration == PRUNED_AFTER {
                self.prune();
                self.find_places();
            }
            progress(done(iteration + 1, 0));
        }
        let mut jumps = Jumps::default();
        for iteration in 0..ITERATIONS_IN_ORDER {
            self.clear(&mut counts);
            let met = self.expect_in_order(&mut counts, shares, &jumps, stop)?;
            jumps = Jumps::fitted(&met);
            self.maximise(&counts);
            progress(done(ITERATIONS, (iteration + 1) * COST_IN_ORDER));
        }
        Ok((self.table(&counts), jumps))
    }

    /// The pairs of sentences used for training.
    fn sentences(&self, stop: Stop<'_>) -> impl Iterator<Item = Result<Sentences<'a>, Cancelled>> {
        let (from, to) = (self.from, self.to);
        let mut used = 0;
        (0..from.ends.len()).filter_map(move |number| {
            if number % STOP_EVERY == 0 && stop() {
                return Some(Err(Cancelled));
            }
            let (here, there) = (from.sentence(number), to.sentence(number));
            if here.len().max(there.len()) > TERMS_MAX {
                return None;
            }
            used += 1;
            Some(Ok((here, there, used - 1)))
        })
    }

    /// Finds the places of as many pairs of sentences as there is memory for.
    fn find_places(&mut self) {
        // Frees the old ones first.
        self.places = Places::default();
        let pairs = || self.sentences(&|| false).flatten();
        let sizes = pairs().map(|(here, there, _)| (here.len() + 1) * there.len());
        let mut places = Places::with_room_for(sizes, self.places_bytes_max);
        let mut of_pair = Vec::new();
        for (here, there, _) in pairs() {
            if !places.has_room_for((here.len() + 1) * there.len()) {
                break;
            }
            self.search_places(here, there, &mut of_pair);
            places.push(&of_pair);
        }
        self.places = places;
    }

    /// The places of a pair of sentences; `found` is working memory.
    fn places<'p>(
        &'p self,
        (here, there, number): Sentences<'_>,
        found: &'p mut Vec<u32>,
    ) -> &'p [u32] {
        if let Some(places) = self.places.get(number) {
            return places;
        }
        self.search_places(here, there, found);
        found
    }

    fn search_places(&self, here: &[u32], there: &[u32], places: &mut Vec<u32>) {
        places.clear();
        for &term in std::iter::once(&0).chain(here) {
            let row = self.row(term);
            let met = &self.met[row.clone()];
            places.extend(there.iter().map(|&other| {
                let at = met.partition_point(|&it| it < other);
                let found = met.get(at) == Some(&other);
                length_u32(if found { row.start + at } else { self.met.len() })
            }));
        }
    }

    /// Expected counts of model 1, which ignores word order.
    fn expect_alone(&self, counts: &mut [f32], stop: Stop<'_>) -> Result<(), Cancelled> {
        let (mut found, mut shares) = (Vec::new(), Vec::new());
        for sentences in self.sentences(stop) {
            let sentences = sentences?;
            let there = sentences.1;
            let places = self.places(sentences, &mut found);
            let rows = || places.chunks_exact(there.len().max(1));
            shares.clear();
            shares.resize(there.len(), 0.0_f32);
            for row in rows() {
                for (sum, &place) in shares.iter_mut().zip(row) {
                    *sum += self.probabilities[place as usize];
                }
            }
            for sum in &mut shares {
                *sum = 1.0 / *sum;
            }
            for row in rows() {
                for (share, &place) in shares.iter().zip(row) {
                    counts[place as usize] += self.probabilities[place as usize] * share;
                }
            }
        }
        Ok(())
    }

    /// Expected counts of the hidden Markov model; returns the expected jumps.
    fn expect_in_order(
        &self,
        counts: &mut [f32],
        shares: &[f32],
        jumps: &Jumps,
        stop: Stop<'_>,
    ) -> Result<JumpCounts, Cancelled> {
        let mut met = JumpCounts::default();
        let mut lattice = Lattice::default();
        let mut found = Vec::new();
        for sentences in self.sentences(stop) {
            let sentences = sentences?;
            let (here, there, _) = sentences;
            // Without the empty word.
            let places = &self.places(sentences, &mut found)[there.len()..];
            lattice.reset(here.len(), there.len());
            lattice.none.extend(there.iter().map(|&other| shares[other as usize]));
            for j in 0..there.len() {
                let column = places.iter().skip(j).step_by(there.len());
                lattice.emissions.extend(column.map(|&at| self.probabilities[at as usize]));
            }
            lattice.run(jumps, Some(&mut met), stop)?;
            if here.is_empty() {
                continue;
            }
            for (j, row) in lattice.posteriors.chunks_exact(here.len()).enumerate() {
                for (posterior, at) in row.iter().zip(places.iter().skip(j).step_by(there.len())) {
                    counts[*at as usize] += posterior;
                }
            }
        }
        Ok(met)
    }

    fn clear(&self, counts: &mut Vec<f32>) {
        counts.clear();
        counts.resize(self.probabilities.len(), 0.0);
    }

    /// Drops improbable pairs, which are most of them, so that later passes are faster.
    fn prune(&mut self) {
        let mut kept = 0;
        let mut from = 0;
        for end in &mut self.ends {
            for place in from..*end as usize {
                if self.probabilities[place] >= PRUNED_BELOW {
                    self.met[kept] = self.met[place];
                    self.probabilities[kept] = self.probabilities[place];
                    kept += 1;
                }
            }
            from = *end as usize;
            *end = length_u32(kept);
        }
        self.met.truncate(kept);
        self.probabilities.truncate(kept);
        self.probabilities.push(PROBABILITY_NONE);
    }

    /// Sets probabilities by expected counts.
    #[expect(clippy::cast_possible_truncation, clippy::cast_precision_loss)]
    fn maximise(&mut self, counts: &[f32]) {
        for term in 0..length_u32(self.ends.len()) {
            let row = self.row(term);
            let sum: f64 = counts[row.clone()].iter().map(|&count| f64::from(count)).sum();
            let all = digamma(sum + PRIOR * row.len() as f64);
            for place in row {
                if counts[place] < COUNT_MIN && all >= SUM_LOG_MIN {
                    self.probabilities[place] = PROBABILITY_NONE;
                    continue;
                }
                let log = digamma(f64::from(counts[place]) + PRIOR) - all;
                // Never zero: a sentence without any remaining pair would divide by it.
                self.probabilities[place] = (log.exp() as f32).max(PROBABILITY_NONE);
            }
        }
    }

    /// The table of the terms, without the empty word.
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
    use super::*;
    use crate::text::Analyzer;

    #[test]
    fn digamma_is_what_the_tables_say() {
        for (x, value) in [(1.0, -0.577_215_66), (0.5, -1.963_510_03), (10.0, 2.251_752_59)] {
            assert!((digamma(x) - value).abs() < 1e-6, "{x}");
        }
    }

    #[test]
    fn small_counts_have_no_probability() {
        let log = digamma(f64::from(COUNT_MIN) + PRIOR) - SUM_LOG_MIN;
        assert!(log.exp() < f64::from(PROBABILITY_NONE));
    }

    #[test]
    fn words_that_go_together_are_translations() {
        let lexicon = corpus().train(&|| false, &|_| ()).unwrap();
        let book = lexicon.source.find("book").unwrap();
        let (mass, row) = lexicon.forward.row(book);
        let best = row.iter().max_by(|a, b| a.1.total_cmp(&b.1)).unwrap();
        assert_eq!(lexicon.target.find("buch"), Some(best.0));
        assert!(best.1 > 0.8 && mass > 4.0, "{row:?}");
    }

    #[test]
    fn places_that_are_searched_for_in_each_pass_give_the_same_lexicon() {
        let lexicon = |bytes| corpus().train_within(bytes, &|| false, &|_| ()).unwrap();
        for bytes in [0, 100, 200] {
            assert!(lexicon(bytes) == lexicon(PLACES_BYTES_MAX), "{bytes}");
        }
    }

    fn corpus() -> Corpus {
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
        corpus
    }
}
