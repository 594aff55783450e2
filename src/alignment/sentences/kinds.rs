//! Estimates the prior probabilities of bead kinds and of one-sided sentences from expected counts.
//!
//! How often a translator splits or joins sentences is a habit of the document. The numbers of additional source and target
//! sentences in a bead are modelled as Poisson variables whose means are fitted first; single kinds are fitted only as far as
//! there are enough beads. A document of 1-2 and 1-3 thus also expects 1-4 before it has one. Knows nothing of lengths, words or
//! paths.

/// Kinds of beads with both sides: source and target sentences. Literary Arabic needs up to eight for one or two.
pub(crate) const KINDS: [(usize, usize); 25] = [
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
    (2, 5),
    (2, 6),
    (2, 7),
    (2, 8),
    (3, 4),
    (4, 3),
];
/// Most source sentences of a bead.
pub(crate) const SOURCES_MAX: usize = 6;
/// Most target sentences of a bead.
pub(crate) const TARGETS_MAX: usize = 8;

/// Shares of the kinds in literal translations.
const LITERAL_SHARES: [f32; KINDS.len()] = [
    0.85, 0.053, 0.053, 0.011, 0.011, 0.0043, 0.0032, 0.0032, 0.0021, 0.0021, 0.0011, 0.0011,
    0.0011, 0.0006, 0.0006, 0.0004, 0.0004, 0.0002, 0.0001, 0.0002, 0.0001, 0.00005, 0.00003,
    0.0003, 0.0003,
];
/// Weight of these shares relative to the Poisson variables, whose tails are thin.
const LITERAL_PART: f32 = 0.15;
/// Initial mean of the Poisson variables. Fitted on the development documents, which are insensitive to this and the constants
/// below: half or twice of each changes less than a point.
const FURTHER_MEAN: f32 = 0.1;
/// Weight of this mean, in beads, and of its first estimate, in sentences.
const FURTHER_MEAN_BEADS: f32 = 5.0;
const FURTHER_MEAN_SENTENCES: f32 = 10.0;
/// Weight of the Poisson variables relative to counts of single kinds, in beads.
const KINDS_BEADS: f32 = 30.0;
/// Share of runs of one-sided sentences among the beads of a document, for each side, and its weight in beads.
const GAP_SHARE: f32 = 0.02;
const GAP_BEADS: f32 = 30.0;
/// Probability that such a run continues, and its weight in sentences. If either is too small, a document that is hard to align
/// drifts, pass by pass, towards one that is not translated at all.
const GAP_MORE: f32 = 0.25;
const GAP_MORE_SENTENCES: f32 = 10.0;
/// Probability that target-only sentences follow source-only sentences, and its weight in runs. An omission and an addition at the
/// same place are rarer than a free translation.
const CROSSING: f32 = 0.01;
const CROSSING_RUNS: f32 = 20.0;

/// How common beads of each kind are, as logarithms of probabilities.
#[derive(Debug, Clone)]
pub(crate) struct Priors {
    /// In the order of [`KINDS`].
    pub(crate) kinds: [f32; KINDS.len()],
    /// The first sentence of a one-sided run: source, target.
    pub(crate) gap: [f32; 2],
    /// Each further sentence.
    pub(crate) gap_more: [f32; 2],
    /// The end of such a run, by a bead with both sides.
    pub(crate) gap_end: [f32; 2],
    /// A run of target sentences directly after a run of source sentences.
    pub(crate) crossing: f32,
}

/// Expected counts of the bead kinds in a pass.
#[derive(Debug, Clone, Default)]
pub(crate) struct KindCounts {
    pub(crate) kinds: [f32; KINDS.len()],
    pub(crate) gap: [f32; 2],
    pub(crate) gap_more: [f32; 2],
    pub(crate) crossing: f32,
}

impl KindCounts {
    pub(crate) fn add(&mut self, more: &Self) {
        let add = |sums: &mut [f32], more: &[f32]| {
            sums.iter_mut().zip(more).for_each(|(sum, count)| *sum += count);
        };
        add(&mut self.kinds, &more.kinds);
        add(&mut self.gap, &more.gap);
        add(&mut self.gap_more, &more.gap_more);
        self.crossing += more.crossing;
    }
}

impl Priors {
    /// The priors before the first pass, by the numbers of sentences: if one side has twice as many, beads take two of them.
    #[expect(clippy::cast_precision_loss)]
    pub(crate) fn new((sources, targets): (usize, usize)) -> Self {
        let (sources, targets) = (sources as f32, targets as f32);
        let ratio = (targets + FURTHER_MEAN_SENTENCES) / (sources + FURTHER_MEAN_SENTENCES);
        let mean = |ratio: f32| FURTHER_MEAN + (ratio - 1.0).max(0.0);
        Self::shrunk(&KindCounts::default(), (mean(1.0 / ratio), mean(ratio)))
    }

    /// Fits the priors to expected counts.
    pub(crate) fn fitted(counts: &KindCounts) -> Self {
        let beads: f32 = counts.kinds.iter().sum();
        #[expect(clippy::cast_precision_loss)]
        let mean = |sentences: fn(&(usize, usize)) -> usize| {
            let further = |(count, kind): (&f32, &_)| count * (sentences(kind) - 1) as f32;
            let sum: f32 = counts.kinds.iter().zip(&KINDS).map(further).sum();
            (sum + FURTHER_MEAN * FURTHER_MEAN_BEADS) / (beads + FURTHER_MEAN_BEADS)
        };
        Self::shrunk(counts, (mean(|kind| kind.0), mean(|kind| kind.1)))
    }

    /// Combines counts with the Poisson model of the given means.
    fn shrunk(counts: &KindCounts, means: (f32, f32)) -> Self {
        let family = family(means);
        let beads: f32 = counts.kinds.iter().sum();
        let steps = beads + counts.gap[0] + counts.gap[1];
        let gap = counts.gap.map(|count| (count + GAP_SHARE * GAP_BEADS) / (steps + GAP_BEADS));
        let both = 1.0 - gap[0] - gap[1];
        let kind = |kind: usize| {
            (counts.kinds[kind] + KINDS_BEADS * family[kind]) / (beads + KINDS_BEADS) * both
        };
        let runs = [counts.gap[0], counts.gap[1] + counts.crossing];
        let more: [f32; 2] = std::array::from_fn(|side| {
            let (further, all) = (counts.gap_more[side], counts.gap_more[side] + runs[side]);
            (further + GAP_MORE * GAP_MORE_SENTENCES) / (all + GAP_MORE_SENTENCES)
        });
        let crossing =
            (counts.crossing + CROSSING * CROSSING_RUNS) / (counts.gap[0] + CROSSING_RUNS);
        Self {
            kinds: std::array::from_fn(|it| kind(it).ln()),
            gap: gap.map(f32::ln),
            gap_more: more.map(f32::ln),
            gap_end: [((1.0 - more[0]) * (1.0 - crossing)).ln(), (1.0 - more[1]).ln()],
            crossing: (crossing * (1.0 - more[0])).ln(),
        }
    }
}

/// Shares of the kinds if beads have these numbers of additional sentences on average.
fn family(means: (f32, f32)) -> [f32; KINDS.len()] {
    let shares = KINDS.map(|(n, m)| poisson(means.0, n - 1) * poisson(means.1, m - 1));
    let sum: f32 = shares.iter().sum();
    std::array::from_fn(|kind| {
        LITERAL_PART * LITERAL_SHARES[kind] + (1.0 - LITERAL_PART) * shares[kind] / sum
    })
}

fn poisson(mean: f32, count: usize) -> f32 {
    #[expect(clippy::cast_precision_loss)]
    let factors = (1..=count).map(|it| mean / it as f32);
    (-mean).exp() * factors.product::<f32>()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn probabilities_add_up_to_one() {
        let mut counts = KindCounts::default();
        for counts in [counts.clone(), {
            counts.kinds[1] = 40.0;
            counts.kinds[6] = 3.5;
            (counts.gap, counts.gap_more, counts.crossing) = ([4.0, 2.0], [9.0, 0.5], 1.5);
            counts
        }] {
            let priors = Priors::fitted(&counts);
            let sum = |logs: &[f32]| logs.iter().map(|it| it.exp()).sum::<f32>();
            let after_bead = sum(&priors.kinds) + sum(&priors.gap);
            let after_source =
                priors.gap_more[0].exp() + priors.gap_end[0].exp() + priors.crossing.exp();
            let after_target = priors.gap_more[1].exp() + priors.gap_end[1].exp();
            for sum in [after_bead, after_source, after_target, sum(&LITERAL_SHARES.map(f32::ln))] {
                assert!((sum - 1.0).abs() < 0.01, "{sum}");
            }
        }
    }

    #[test]
    fn kinds_that_were_not_seen_follow_from_those_that_were() {
        let share = |counts: &KindCounts, kind| {
            let at = KINDS.iter().position(|it| *it == kind).unwrap();
            Priors::fitted(counts).kinds[at].exp()
        };
        let mut counts = KindCounts::default();
        (counts.kinds[0], counts.kinds[1], counts.kinds[3]) = (20.0, 40.0, 20.0);
        assert!(share(&counts, (1, 4)) > 5.0 * share(&KindCounts::default(), (1, 4)));
        assert!(share(&counts, (4, 1)) < share(&KindCounts::default(), (4, 1)));
    }
}
