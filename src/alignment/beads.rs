//! How good is each bead that might be? Its lengths, its words, and how common beads of its kind are.
//!
//! A score is the logarithm of how much likelier the bead's texts are as translations than by chance; a bead with one side
//! only has none but the prior of its kind. Knows nothing of paths.

use rayon::prelude::*;

use super::band::Band;
use super::lengths::Lengths;
use super::pairs::{Direction, Pairs, Weight};
use super::side::Side;
use super::{Cancelled, Stop};

/// Kinds of beads with both sides: source and target sentences. Literary Arabic needs up to eight for one.
pub(super) const KINDS: [(usize, usize); 19] = [
    (1, 1),
    (1, 2),
    (2, 1),
    (1, 3),
    (3, 1),
    (2, 2),
    (1, 4),
    (4, 1),
    (2, 3),
    (3, 2),
    (1, 5),
    (5, 1),
    (3, 3),
    (2, 4),
    (4, 2),
    (6, 1),
    (1, 6),
    (1, 7),
    (1, 8),
];
/// Most source sentences of a bead.
pub(super) const SOURCES_MAX: usize = 6;
/// Most target sentences of a bead.
pub(super) const TARGETS_MAX: usize = 8;
/// Lengths so far off are not looked at further, in standard deviations.
const DEVIATION_MAX: f32 = 4.0;
/// What words count for beside lengths: two directions are added, and words of a sentence do not come independently. Fitted
/// on the development documents, as are the shares and the deviation below.
const LEXICAL_WEIGHT: f32 = 0.3;

/// How common beads of each kind are, as logarithms.
#[derive(Debug, Clone)]
pub(super) struct Priors {
    /// In the order of [`KINDS`].
    pub(super) kinds: [f32; KINDS.len()],
    /// The first of a run of sentences that stand on one side only: source, target.
    pub(super) gap: [f32; 2],
    /// Each further one.
    pub(super) gap_more: f32,
}

/// Shares of the kinds in all beads, before the document has been looked at.
const SHARES: [f32; KINDS.len()] = [
    0.80, 0.05, 0.05, 0.01, 0.01, 0.004, 0.003, 0.003, 0.002, 0.002, 0.001, 0.001, 0.001, 0.0006,
    0.0006, 0.0004, 0.0004, 0.0002, 0.0001,
];
const GAP_SHARE: f32 = 0.03;
const GAP_MORE_SHARE: f32 = 0.4;
/// Beads of evidence that the shares above count for.
const SHARES_BEADS: f32 = 30.0;

impl Default for Priors {
    fn default() -> Self {
        Self { kinds: SHARES.map(f32::ln), gap: [GAP_SHARE.ln(); 2], gap_more: GAP_MORE_SHARE.ln() }
    }
}

/// How many beads of each kind there were: expected counts of a pass.
#[derive(Debug, Clone, Default)]
pub(super) struct KindCounts {
    pub(super) kinds: [f32; KINDS.len()],
    pub(super) gap: [f32; 2],
    pub(super) gap_more: f32,
}

impl Priors {
    /// Fitted to a document.
    pub(super) fn fitted(counts: &KindCounts) -> Self {
        let all = counts.kinds.iter().chain(&counts.gap).sum::<f32>() + SHARES_BEADS;
        let share = |count: f32, before: f32| ((count + before * SHARES_BEADS) / all).ln();
        let gaps: f32 = counts.gap.iter().sum();
        let mut kinds = counts.kinds;
        for (kind, before) in kinds.iter_mut().zip(SHARES) {
            *kind = share(*kind, before);
        }
        Self {
            kinds,
            gap: counts.gap.map(|count| share(count, GAP_SHARE)),
            gap_more: ((counts.gap_more + GAP_MORE_SHARE * 5.0) / (counts.gap_more + gaps + 5.0))
                .ln(),
        }
    }
}

/// Scores of all beads in a band, without priors.
#[derive(Debug)]
pub(super) struct Scores {
    rows: Vec<Vec<[f32; KINDS.len()]>>,
}

impl Scores {
    /// Of the beads that begin at each cell of the band.
    pub(super) fn new(
        (source, target): (&Side, &Side),
        band: &Band,
        pairs: &Pairs,
        lengths: &Lengths,
        stop: Stop<'_>,
    ) -> Result<Self, Cancelled> {
        let links = (0..source.len())
            .into_par_iter()
            .map_init(
                || Scratch::new(target),
                |scratch, i| {
                    if stop() {
                        Err(Cancelled)
                    } else {
                        Ok(scratch.links(source, target, band, pairs, i))
                    }
                },
            )
            .collect::<Result<Vec<_>, _>>()?;
        let earlier = (source.earlier(), target.earlier());
        let earlier = (&*earlier.0, &*earlier.1);
        let words = Words { source, target, links: &links, pairs, earlier };
        let rows = (0..=source.len())
            .into_par_iter()
            .map_init(Sums::default, |sums, i| {
                if stop() {
                    return Err(Cancelled);
                }
                Ok(band.row(i).map(|j| cell(&words, lengths, sums, i, j)).collect())
            })
            .collect::<Result<Vec<_>, _>>()?;
        Ok(Self { rows })
    }

    /// Of the beads that begin at a cell, by kind; without likelihood for those that leave the documents.
    pub(super) fn of(&self, band: &Band, i: usize, j: usize) -> &[f32; KINDS.len()] {
        &self.rows[i][j - band.row(i).start]
    }
}

fn cell(
    words: &Words<'_>,
    lengths: &Lengths,
    sums: &mut Sums,
    i: usize,
    j: usize,
) -> [f32; KINDS.len()] {
    let mut scores = [f32::NEG_INFINITY; KINDS.len()];
    for (score, &(n, m)) in scores.iter_mut().zip(&KINDS) {
        if i + n > words.source.len()
            || j + m > words.target.len()
            || lengths.deviation((i, n), (j, m)).abs() > DEVIATION_MAX
        {
            continue;
        }
        *score = lengths.score((i, n), (j, m)) + words.score(sums, (i, n), (j, m));
    }
    scores
}

/// Tokens of two sentences that may stand for each other: places of target tokens with what source tokens give them, and the
/// other way round.
#[derive(Debug, Default, Clone)]
struct Links {
    target: Vec<(u16, Support)>,
    source: Vec<(u16, Support)>,
}

/// What one side gives a token of the other.
#[derive(Debug, Clone, Copy, Default)]
struct Support {
    /// Sum of the probabilities.
    sum: f32,
    /// Tokens that give them.
    tokens: u16,
}

impl Support {
    fn add(&mut self, probability: f32) {
        self.sum += probability;
        self.tokens = self.tokens.saturating_add(1);
    }

    fn join(&mut self, other: Self) {
        self.sum += other.sum;
        self.tokens = self.tokens.saturating_add(other.tokens);
    }
}

/// Links of a source sentence with the target sentences that it may meet.
#[derive(Debug, Default)]
struct RowLinks {
    from: usize,
    links: Vec<Links>,
}

impl RowLinks {
    fn of(&self, j: usize) -> Option<&Links> {
        self.links.get(j.checked_sub(self.from)?)
    }
}

/// Working memory for links: support by term.
struct Scratch {
    of_target: Vec<Support>,
    touched: Vec<u32>,
}

impl Scratch {
    fn new(target: &Side) -> Self {
        Self { of_target: vec![Support::default(); target.terms.len()], touched: Vec::new() }
    }

    fn links(
        &mut self,
        source: &Side,
        target: &Side,
        band: &Band,
        pairs: &Pairs,
        i: usize,
    ) -> RowLinks {
        // A bead that holds sentence i begins at most SOURCES_MAX before it.
        let from = band.row((i + 1).saturating_sub(SOURCES_MAX)).start;
        let to = (band.row(i).end + TARGETS_MAX).min(target.len());
        for &a in source.tokens(i) {
            for &(b, probability) in &pairs.forward.rows[a as usize] {
                let support = &mut self.of_target[b as usize];
                if support.tokens == 0 {
                    self.touched.push(b);
                }
                support.add(probability);
            }
        }
        let mut of_source: Vec<Support> = Vec::new();
        let links = (from..to)
            .map(|j| {
                let mut links = Links::default();
                of_source.clear();
                of_source.resize(source.tokens(i).len(), Support::default());
                for (place, &b) in (0..).zip(target.tokens(j)) {
                    let support = self.of_target[b as usize];
                    if support.tokens == 0 {
                        continue;
                    }
                    links.target.push((place, support));
                    let row = &pairs.backward.rows[b as usize];
                    for (support, a) in of_source.iter_mut().zip(source.tokens(i)) {
                        if let Some(entry) = row.iter().find(|entry| entry.0 == *a) {
                            support.add(entry.1);
                        }
                    }
                }
                let found = (0..).zip(&of_source).filter(|(_, support)| support.tokens > 0);
                links.source = found.map(|(place, &support)| (place, support)).collect();
                links
            })
            .collect();
        for b in self.touched.drain(..) {
            self.of_target[b as usize] = Support::default();
        }
        RowLinks { from, links }
    }
}

/// What words say of beads.
struct Words<'a> {
    source: &'a Side,
    target: &'a Side,
    links: &'a [RowLinks],
    pairs: &'a Pairs,
    /// For each token of the sides, the one before it of the same term.
    earlier: (&'a [u32], &'a [u32]),
}

/// Working memory: sums by place in the bead.
#[derive(Debug, Default)]
struct Sums {
    source: Vec<Support>,
    target: Vec<Support>,
}

impl Words<'_> {
    fn score(&self, sums: &mut Sums, (i, n): (usize, usize), (j, m): (usize, usize)) -> f32 {
        let ends = |side: &Side, from: usize, count: usize| -> usize {
            (from..from + count).map(|it| side.tokens(it).len()).sum()
        };
        let sizes = (ends(self.source, i, n), ends(self.target, j, m));
        sums.source.clear();
        sums.source.resize(sizes.0, Support::default());
        sums.target.clear();
        sums.target.resize(sizes.1, Support::default());
        let mut at_source = 0;
        for source in i..i + n {
            let mut at_target = 0;
            for target in j..j + m {
                if let Some(links) = self.links[source].of(target) {
                    for &(place, support) in &links.target {
                        sums.target[at_target + usize::from(place)].join(support);
                    }
                    for &(place, support) in &links.source {
                        sums.source[at_source + usize::from(place)].join(support);
                    }
                }
                at_target += self.target.tokens(target).len();
            }
            at_source += self.source.tokens(source).len();
        }
        let given = |side, sentences, support, earlier| Given { side, sentences, support, earlier };
        let of_target = given(self.target, (j, m), &*sums.target, self.earlier.1);
        let of_source = given(self.source, (i, n), &*sums.source, self.earlier.0);
        let target = of_target.evidence(&self.pairs.forward, sizes.0);
        let source = of_source.evidence(&self.pairs.backward, sizes.1);
        LEXICAL_WEIGHT * (target + source)
    }
}

/// What the tokens of one side of a bead are given by the other.
struct Given<'a> {
    side: &'a Side,
    sentences: (usize, usize),
    support: &'a [Support],
    earlier: &'a [u32],
}

impl Given<'_> {
    /// How much likelier the tokens are with the other side, of so many tokens, than without it, as a logarithm.
    fn evidence(&self, direction: &Direction, others: usize) -> f32 {
        #[expect(clippy::cast_precision_loss)]
        let share = 1.0 / (others + 1) as f32;
        let from = self.side.first_token(self.sentences.0);
        let tokens = &self.side.all_tokens()[from..from + self.support.len()];
        // A logarithm for many factors: none of them is beyond 10^±6.
        let (mut product, mut sum) = (1.0_f32, 0.0);
        for (at, (&token, support)) in (from..).zip(tokens.iter().zip(self.support)) {
            let Weight { known, neutral, .. } = direction.weights[token as usize];
            let repeats = support.tokens > 0 && self.repeats(at, from, support.tokens);
            let given = if repeats { 0.0 } else { support.sum.min(1.0) };
            product *= known * given * share + neutral;
            if !(1e-25..1e25).contains(&product) {
                sum += product.ln();
                product = 1.0;
            }
        }
        sum + product.ln()
    }

    /// Whether so many tokens of the same term stand before one in the bead, which begins at `from`: a word of the other side
    /// stands for one of this.
    fn repeats(&self, mut at: usize, from: usize, most: u16) -> bool {
        for _ in 0..most {
            at = self.earlier[at] as usize;
            if at < from || at == u32::MAX as usize {
                return false;
            }
        }
        true
    }
}
