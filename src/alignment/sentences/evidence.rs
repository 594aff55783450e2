//! Computes the evidence of words for beads: which words of a bead have a counterpart on its other side.
//!
//! Each token may translate any token of the other side, preferably one at a similar place: IBM model 1 (Brown et al.,
//! Computational Linguistics 19, 1993) with the positions of `fast_align` (Dyer, Chahuneau and Smith, NAACL 2013), in both
//! directions. Unknown words are no evidence. Knows nothing of lengths, kinds of beads or paths.

use std::sync::LazyLock;

use rayon::prelude::*;

use crate::alignment::features::{Side, length_u32};
use crate::alignment::lexicon::{Direction, Pairs};

use super::band::Band;
use super::kinds::{SOURCES_MAX, TARGETS_MAX};
use super::known::Known;
use super::span::BeadSpan;
use super::wording::{Evidence, LEVELS};

/// Rows per unit of parallel work.
pub(crate) const ROWS_AT_ONCE: usize = 32;

/// How fast likelihood falls with the distance of places, relative to the length of the bead, and the share of tokens to which
/// this applies: the rest is in free order. Fitted on the development documents.
const PLACE_DECAY: f32 = 6.0;
const PLACED: f32 = 0.8;
/// Number of distinguished places in a bead: a power of two.
const PLACES: usize = 64;

/// Likelihood of a place on the other side relative to a uniform one, by the place of the token.
static PLACE_WEIGHTS: LazyLock<[[f32; PLACES]; PLACES]> = LazyLock::new(|| {
    let mut weights = [[0.0; PLACES]; PLACES];
    #[expect(clippy::cast_precision_loss)]
    for (from, row) in weights.iter_mut().enumerate() {
        for (to, weight) in row.iter_mut().enumerate() {
            *weight = (-PLACE_DECAY * from.abs_diff(to) as f32 / PLACES as f32).exp();
        }
        let mean = row.iter().sum::<f32>() / PLACES as f32;
        for weight in row {
            *weight = 1.0 - PLACED + PLACED * *weight / mean;
        }
    }
    weights
});

/// Tokens of two sentences that may translate each other.
#[derive(Debug, Clone, Copy)]
struct TokenLink {
    /// Number of the token in its sentence.
    source: u16,
    target: u16,
    /// Probability of the target token given the source token, and vice versa.
    forward: f32,
    backward: f32,
}

/// Links of a source sentence with the target sentences that it may align with.
#[derive(Debug, Default)]
struct RowLinks {
    /// The first target sentence.
    from: usize,
    /// Where the links of each target sentence end.
    ends: Vec<u32>,
    links: Vec<TokenLink>,
}

impl RowLinks {
    fn of(&self, j: usize) -> &[TokenLink] {
        let Some(at) = j.checked_sub(self.from) else { return &[] };
        let Some(&end) = self.ends.get(at) else { return &[] };
        let start = at.checked_sub(1).map_or(0, |before| self.ends[before]);
        &self.links[start as usize..end as usize]
    }
}

/// Working memory of one thread: linked lists of the source tokens that may translate to each target term.
struct Chains {
    /// For each target term, its first entry.
    first: Vec<u32>,
    /// Token, probability and next entry.
    entries: Vec<(u16, f32, u32)>,
    touched: Vec<u32>,
}

const END: u32 = u32::MAX;
/// Factors whose product is certain to stay finite.
const FACTORS: usize = 40;

impl Chains {
    fn new(target: &Side) -> Self {
        Self { first: vec![END; target.terms.len()], entries: Vec::new(), touched: Vec::new() }
    }

    fn fill(&mut self, tokens: &[u32], forward: &Direction) {
        for term in self.touched.drain(..) {
            self.first[term as usize] = END;
        }
        self.entries.clear();
        for (place, &term) in (0..).zip(tokens) {
            for &(other, probability) in &forward.rows[term as usize] {
                let first = &mut self.first[other as usize];
                if *first == END {
                    self.touched.push(other);
                }
                let next = std::mem::replace(first, length_u32(self.entries.len()));
                self.entries.push((place, probability, next));
            }
        }
    }

    /// The tokens that may translate to a term, with their probabilities.
    fn of(&self, term: u32) -> impl Iterator<Item = (u16, f32)> {
        let mut at = self.first[term as usize];
        std::iter::from_fn(move || {
            let &(place, probability, next) = self.entries.get(at as usize)?;
            at = next;
            Some((place, probability))
        })
    }
}

/// The sides of a document with the translations of their words.
pub(crate) struct Words<'a> {
    source: &'a Side,
    target: &'a Side,
    pairs: &'a Pairs,
    /// For each token of the sides, the previous one of the same term.
    earlier: (Vec<u32>, Vec<u32>),
}

/// The words of some rows of a band, prepared for comparison.
pub(crate) struct RowWords<'a> {
    words: &'a Words<'a>,
    first_row: usize,
    rows: Vec<RowLinks>,
    source: Known,
    target: Known,
    sums: Sums,
}

impl<'a> Words<'a> {
    pub(crate) fn new(source: &'a Side, target: &'a Side, pairs: &'a Pairs) -> Self {
        Self { source, target, pairs, earlier: (source.earlier(), target.earlier()) }
    }

    /// The evidence of the two-sided beads of a path, in order.
    pub(crate) fn along(&'a self, path: &[BeadSpan]) -> Vec<Evidence> {
        let sizes = (self.source.len(), self.target.len());
        let points = path.iter().map(|link| (link.source.0, link.target.0)).chain([sizes]);
        let band = Band::around(&points.collect::<Vec<_>>(), sizes, |_| 0);
        let evidence = |links: &[BeadSpan]| -> Vec<Evidence> {
            let rows = links[0].source.0..links[links.len() - 1].source.0 + 1;
            let mut words = self.rows(&band, rows);
            links.iter().map(|link| words.evidence(link.source, link.target)).collect()
        };
        path.par_chunks(ROWS_AT_ONCE).flat_map_iter(evidence).collect()
    }

    /// Prepares the beads that begin in some rows.
    pub(crate) fn rows(&'a self, band: &Band, rows: std::ops::Range<usize>) -> RowWords<'a> {
        let mut chains = Chains::new(self.target);
        let sentences = rows.start..(rows.end + SOURCES_MAX).min(self.source.len());
        let others = band.row(rows.start).start
            ..(band.row(rows.end.max(1) - 1).end + TARGETS_MAX).min(self.target.len());
        let tokens = |side: &Side, sentences: &std::ops::Range<usize>| {
            side.first_token(sentences.start)..side.first_token(sentences.end)
        };
        let (here, there) = (tokens(self.source, &sentences), tokens(self.target, &others));
        let Pairs { forward, backward } = self.pairs;
        RowWords {
            words: self,
            first_row: rows.start,
            rows: sentences.map(|i| self.links(&mut chains, band, i)).collect(),
            source: Known::new(self.source, backward, &self.earlier.0, here),
            target: Known::new(self.target, forward, &self.earlier.1, there),
            sums: Sums::default(),
        }
    }

    fn links(&self, chains: &mut Chains, band: &Band, i: usize) -> RowLinks {
        // A bead that holds sentence i begins at most SOURCES_MAX before it.
        let from = band.row((i + 1).saturating_sub(SOURCES_MAX)).start;
        let to = (band.row(i).end + TARGETS_MAX).min(self.target.len());
        let tokens = self.source.tokens(i);
        chains.fill(tokens, &self.pairs.forward);
        let mut row = RowLinks { from, ..RowLinks::default() };
        for j in from..to {
            for (place, &term) in (0..).zip(self.target.tokens(j)) {
                let back = &self.pairs.backward.rows[term as usize];
                row.links.extend(chains.of(term).map(|(source, forward)| {
                    let a = tokens[usize::from(source)];
                    let backward = back.iter().find(|it| it.0 == a).map_or(0.0, |it| it.1);
                    TokenLink { source, target: place, forward, backward }
                }));
            }
            row.ends.push(length_u32(row.links.len()));
        }
        row
    }
}

/// The support of a token by the other side.
#[derive(Debug, Clone, Copy, Default)]
struct Support {
    /// Sum of the probabilities.
    sum: f32,
    /// Sum of the probabilities, each times the weight of its place.
    placed: f32,
    /// Number of supporting tokens.
    tokens: u16,
    /// Place of the token in the bead, less than [`PLACES`].
    place: u16,
}

impl Support {
    fn add(&mut self, probability: f32, weight: f32) {
        self.sum += probability;
        self.placed += probability * weight;
        self.tokens = self.tokens.saturating_add(1);
    }

    /// The support, limited to that of one token.
    fn capped(self) -> f32 {
        self.placed / self.sum.max(1.0)
    }
}

/// Working memory: the support of each token of the bead.
#[derive(Debug, Default)]
struct Sums {
    source: Vec<Support>,
    target: Vec<Support>,
}

impl Sums {
    /// Resets it for a bead of so many tokens.
    #[expect(clippy::cast_precision_loss, clippy::cast_possible_truncation, clippy::cast_sign_loss)]
    fn clear(&mut self, source: usize, target: usize) {
        for (sums, size) in [(&mut self.source, source), (&mut self.target, target)] {
            let scale = PLACES as f32 / size.max(1) as f32;
            let place = |token: usize| ((token as f32 * scale) as u16).min(PLACES as u16 - 1);
            sums.clear();
            sums.extend((0..size).map(|it| Support { place: place(it), ..Support::default() }));
        }
    }
}

impl RowWords<'_> {
    /// Log likelihood ratios of the words of a bead as translations and as unrelated texts, both directions together, at each
    /// level of wording.
    pub(crate) fn evidence(&mut self, (i, n): (usize, usize), (j, m): (usize, usize)) -> Evidence {
        let Words { source, target, .. } = *self.words;
        let (first, other_first) = (source.first_token(i), target.first_token(j));
        let sizes = (source.first_token(i + n) - first, target.first_token(j + m) - other_first);
        self.sums.clear(sizes.0, sizes.1);
        let weights = &*PLACE_WEIGHTS;
        let mut of_source = &mut *self.sums.source;
        for sentence in i..i + n {
            let row = &self.rows[sentence - self.first_row];
            let mut of_target = &mut *self.sums.target;
            for other in j..j + m {
                for link in row.of(other) {
                    let here = &mut of_source[usize::from(link.source)];
                    let there = &mut of_target[usize::from(link.target)];
                    // The masks tell the compiler that places are less than PLACES.
                    let at = usize::from(here.place) % PLACES;
                    let to = usize::from(there.place) % PLACES;
                    // Not symmetric: near an end, fewer places are close.
                    there.add(link.forward, weights[to][at]);
                    if link.backward > 0.0 {
                        here.add(link.backward, weights[at][to]);
                    }
                }
                of_target = &mut of_target[target.tokens(other).len()..];
            }
            of_source = &mut of_source[source.tokens(sentence).len()..];
        }
        let covers = (self.source.cover(first, sizes.0), self.target.cover(other_first, sizes.1));
        let mut evidence = LogProducts::default();
        evidence.add(&self.target, other_first, &self.sums.target, (sizes.0, covers.0));
        evidence.add(&self.source, first, &self.sums.source, (sizes.1, covers.1));
        evidence.finish()
    }
}

/// Levels of wording padded to whole vector registers; the padding multiplies by one.
const LANES: usize = LEVELS.len().next_multiple_of(2);

/// Logarithms of products of a factor for each token, at each level of wording.
struct LogProducts {
    levels: [f64; LANES],
    logs: [f64; LANES],
}

impl Default for LogProducts {
    fn default() -> Self {
        let level = |lane: usize| LEVELS.get(lane).copied().map_or(0.0, f64::from);
        Self { levels: std::array::from_fn(level), logs: [0.0; LANES] }
    }
}

impl LogProducts {
    /// Log likelihood ratios of the tokens of one side of a bead, from `first` on, given the other side and without it.
    #[expect(clippy::cast_precision_loss)]
    fn add(
        &mut self,
        known: &Known,
        first: usize,
        support: &[Support],
        (others, cover): (usize, f32),
    ) {
        let share = 1.0 / (others + 1) as f32;
        let tokens = &known.tokens[first - known.first..][..support.len()];
        // One logarithm for many factors: each is within 10^±7, and double precision reaches 10^±308.
        for (tokens, support) in tokens.chunks(FACTORS).zip(support.chunks(FACTORS)) {
            let mut products = [1.0; LANES];
            for (token, support) in tokens.iter().zip(support) {
                let mut gain = -1.0;
                if support.tokens > 0 && !known.repeats(token, first, support.tokens) {
                    gain += support.capped() * share * token.rarity;
                }
                let gain = f64::from(gain * token.sure * cover);
                for (product, level) in products.iter_mut().zip(self.levels) {
                    *product *= 1.0 + level * gain;
                }
            }
            for (log, product) in self.logs.iter_mut().zip(products).take(LEVELS.len()) {
                *log += product.ln();
            }
        }
    }

    #[expect(clippy::cast_possible_truncation)]
    fn finish(self) -> Evidence {
        std::array::from_fn(|level| self.logs[level] as f32)
    }
}

#[cfg(test)]
#[expect(clippy::cast_precision_loss)]
mod tests {
    use crate::alignment::builtin;
    use crate::alignment::lexicon::Counts;
    use crate::text::Analyzer;

    use super::*;

    /// The oracle: compares every token of the bead with every token of its other side.
    fn by_definition(
        (side, sentences): (&Side, (usize, usize)),
        (others, other_sentences): (&Side, (usize, usize)),
        (direction, back): (&Direction, &Direction),
    ) -> [f64; LEVELS.len()] {
        let (tokens, givers) = (side.tokens_of(sentences), others.tokens_of(other_sentences));
        let place = |at: usize, of: usize| (at * PLACES) / of;
        let weight = |from: usize, to: usize| -> f64 {
            let near = |at: usize| (-f64::from(PLACE_DECAY) * at as f64 / PLACES as f64).exp();
            let all: f64 = (0..PLACES).map(|it| near(it.abs_diff(from))).sum();
            let placed = f64::from(PLACED);
            1.0 - placed + placed * near(to.abs_diff(from)) * PLACES as f64 / all
        };
        let all_tokens = 0..others.all_tokens().len();
        let known = Known::new(others, back, &others.earlier(), all_tokens);
        let first = others.first_token(other_sentences.0);
        let cover = f64::from(known.cover(first, givers.len()));
        let mut sums = [0.0; LEVELS.len()];
        for (at, &token) in tokens.iter().enumerate() {
            let given: Vec<(f64, f64)> = givers
                .iter()
                .enumerate()
                .filter_map(|(giver, &term)| {
                    let entry = direction.rows[term as usize].iter().find(|it| it.0 == token)?;
                    let places = (place(at, tokens.len()), place(giver, givers.len()));
                    Some((f64::from(entry.1), weight(places.0, places.1)))
                })
                .collect();
            let of_term = direction.weights[token as usize];
            let before = tokens[..at].iter().filter(|it| **it == token).count();
            let mut found = 0.0;
            if before < given.len() {
                let placed: f64 = given.iter().map(|(p, weight)| p * weight).sum();
                let all: f64 = given.iter().map(|(p, _)| p).sum();
                let rarity = 1.0 / f64::from(of_term.share);
                found = rarity * placed / all.max(1.0) / (givers.len() + 1) as f64;
            }
            for (sum, level) in sums.iter_mut().zip(LEVELS) {
                let known = f64::from(level) * f64::from(of_term.sure) * cover;
                *sum += (1.0 - known + known * found).ln();
            }
        }
        sums
    }

    #[test]
    fn evidence_is_what_its_definition_says() {
        let langs = ("ar".parse().unwrap(), "en".parse().unwrap());
        let (source, target) = (Analyzer::new(&langs.0), Analyzer::new(&langs.1));
        let text = (
            include_str!("../../../tests/data/alignment/harbour.ar"),
            include_str!("../../../tests/data/alignment/harbour.en"),
        );
        let source = Side::new(text.0.lines().take(12), &source);
        let target = Side::new(text.1.lines().take(12), &target);
        let lexicons = [builtin(&langs.0, &langs.1)];
        let pairs = Pairs::new(&source, &target, &lexicons, &Counts::default(), &|| false).unwrap();
        let band = Band::new(&source, &target, &pairs, &|| false).unwrap();
        let words = Words::new(&source, &target, &pairs);
        let (forward, backward) = (&pairs.forward, &pairs.backward);
        let mut said = 0;
        for i in 0..source.len() {
            let mut rows = words.rows(&band, i..i + 1);
            for j in 0..target.len() {
                for n in 1..=(source.len() - i).min(3) {
                    for m in 1..=(target.len() - j).min(3) {
                        let (here, there) = ((&source, (i, n)), (&target, (j, m)));
                        let of_target = by_definition(there, here, (forward, backward));
                        let of_source = by_definition(here, there, (backward, forward));
                        let found = rows.evidence((i, n), (j, m));
                        for level in 0..LEVELS.len() {
                            let expected = of_target[level] + of_source[level];
                            assert!(
                                (f64::from(found[level]) - expected).abs() < 0.01,
                                "{i}+{n}:{j}+{m} {found:?} {expected}"
                            );
                            said += usize::from(expected > 1.0);
                        }
                    }
                }
            }
        }
        assert!(said > 10, "the words say something of {said} beads only");
    }
}
