//! Which sentences of two documents stand for each other? Passes over the document, each of which teaches the next one.
//!
//! A pass finds the best beads by lengths and words; what they have in common becomes the document's own lexicon, their
//! kinds and lengths its own priors (Sennrich and Volk, "Iterative, MT-based sentence alignment of parallel texts", NODALIDA
//! 2011, with co-occurrence in place of machine translation).

use std::ops::Range;

use super::band::Band;
use super::beads::{Priors, Scores};
use super::lengths::Lengths;
use super::lexicon::Lexicon;
use super::pairs::{Counts, Pairs, TELLING};
use super::search::{self, Link, Search};
use super::side::{Side, length_u32};
use super::{Cancelled, Stop};

/// Passes, the first with what is known before.
const PASSES: usize = 3;
/// Cells on each side of the path of the pass before.
const PATH_WIDTH: usize = 6;
/// The same where that path came near the edge of its band.
const EDGE_WIDTH: usize = 48;
/// Terms teach the next pass that meet at least so often in proportion.
const DICE_MIN: f32 = 0.4;

/// One link of a sentence alignment.
#[derive(Debug, Clone, PartialEq)]
pub struct Bead {
    /// Source sentences; empty when nothing stands for the target.
    pub source: Range<usize>,
    /// Target sentences; empty when the source is not translated.
    pub target: Range<usize>,
    /// How sure it is, from 0 to 1.
    pub confidence: f32,
}

/// Aligns the sentences of two documents: every sentence is in exactly one bead, in order.
///
/// `progress` is told the part that is done, from 0 to 1.
///
/// # Errors
/// [`Cancelled`] when `stop` says so.
pub fn align_document(
    source: &Side,
    target: &Side,
    lexicons: &[&Lexicon],
    stop: Stop<'_>,
    progress: &mut dyn FnMut(f32),
) -> Result<Vec<Bead>, Cancelled> {
    let sizes = (source.len(), target.len());
    let mut lengths = Lengths::new(source, target);
    let mut priors = Priors::default();
    let mut pairs = Pairs::new(source, target, lexicons, &Counts::default(), (TELLING, TELLING));
    let mut band = Band::new(source, target, &pairs);
    for pass in 1..=PASSES {
        let scores = Scores::new((source, target), &band, &pairs, &lengths, stop)?;
        let search = Search { sizes, band: &band, scores: &scores, priors: &priors, stop };
        let path = search.best()?;
        #[expect(clippy::cast_precision_loss)]
        progress(pass as f32 / PASSES as f32);
        if pass == PASSES {
            let probabilities = search.probabilities(&path)?;
            return Ok(path.iter().zip(probabilities).map(Bead::new).collect());
        }
        priors = Priors::fitted(&search::counts(&path));
        let (mut letters, mut others) = (0.0, 0.0);
        for link in path.iter().filter(|link| link.has_both()) {
            letters += lengths.of_source(link.source.0, link.source.1);
            others += lengths.of_target(link.target.0, link.target.1);
        }
        lengths.set_ratio(letters, others);
        let telling = telling(source, target, &pairs, &path);
        pairs = Pairs::new(source, target, lexicons, &learn(source, target, &path), telling);
        band = next_band(&band, &path, sizes);
    }
    Ok(Vec::new())
}

/// The probabilities of the model are too sure of themselves: words of a bead do not come independently. Fitted on the
/// development documents, families of documents weighted by the root of their size: a shift of the log odds, a factor of
/// them, which count for nothing beyond [`LOG_ODDS_MAX`], and a shift for beads with one side.
const CALIBRATION: (f32, f32, f32) = (-0.476, 0.4, 1.32);
const LOG_ODDS_MAX: f32 = 8.0;

fn calibrated(probability: f32, has_both: bool) -> f32 {
    let log_odds = (probability / (1.0 - probability)).ln().clamp(-LOG_ODDS_MAX, LOG_ODDS_MAX);
    let (shift, factor, one_sided) = CALIBRATION;
    let shift = if has_both { shift } else { shift + one_sided };
    1.0 / (1.0 + (-shift - factor * log_odds).exp())
}

impl Bead {
    fn new((link, probability): (&Link, f32)) -> Self {
        Self {
            source: link.source.0..link.source.0 + link.source.1,
            target: link.target.0..link.target.0 + link.target.1,
            confidence: calibrated(probability, link.has_both()),
        }
    }
}

/// The band of the next pass: round the path, wider where it came near the edge of this one.
fn next_band(band: &Band, path: &[Link], sizes: (usize, usize)) -> Band {
    if band.is_whole(sizes) {
        return band.clone();
    }
    let points: Vec<(usize, usize)> =
        path.iter().map(|link| (link.source.0, link.target.0)).chain([sizes]).collect();
    let near_edge = |&&(i, j): &&(usize, usize)| band.at_edge(i, j, sizes.1);
    let edges: Vec<usize> = points.iter().filter(near_edge).map(|point| point.0).collect();
    Band::round(&points, sizes, |i| {
        let next = edges.partition_point(|&edge| edge + EDGE_WIDTH < i);
        let near = edges.get(next).is_some_and(|&edge| edge <= i + EDGE_WIDTH);
        if near { EDGE_WIDTH } else { PATH_WIDTH }
    })
}

/// The part of the known source words, and of the target words, that is translated as is known.
fn telling(source: &Side, target: &Side, pairs: &Pairs, path: &[Link]) -> (f32, f32) {
    let beads = || path.iter().filter(|link| link.has_both());
    let texts = |link: &Link| (source.tokens_of(link.source), target.tokens_of(link.target));
    let of_target = pairs.forward.refit(beads().map(texts));
    let of_source = pairs.backward.refit(beads().map(texts).map(|(here, there)| (there, here)));
    (of_source, of_target)
}

/// What the beads of a path have in common, beside what the lexicons know: how often terms meet, of those that meet in two
/// beads at least. One bead alone would teach what it is then praised for.
fn learn(source: &Side, target: &Side, path: &[Link]) -> Counts {
    let of = |side: &Side, sentences: (usize, usize)| -> Vec<u32> {
        let mut terms = side.tokens_of(sentences).to_vec();
        terms.sort_unstable();
        terms.dedup();
        terms
    };
    let beads = || path.iter().filter(|link| link.has_both());
    let mut in_beads = (vec![0_u32; source.terms.len()], vec![0_u32; target.terms.len()]);
    for link in beads() {
        for a in of(source, link.source) {
            in_beads.0[a as usize] += 1;
        }
        for b in of(target, link.target) {
            in_beads.1[b as usize] += 1;
        }
    }
    // Words that stand everywhere meet everything.
    let telling = 2..=(length_u32(path.len()) / 10).max(8);
    let mut meetings = Counts::default();
    for link in beads() {
        let (mut here, mut there) = (of(source, link.source), of(target, link.target));
        here.retain(|&a| telling.contains(&in_beads.0[a as usize]));
        there.retain(|&b| telling.contains(&in_beads.1[b as usize]));
        for &a in &here {
            for &b in &there {
                *meetings.entry((a, b)).or_default() += 1.0;
            }
        }
    }
    #[expect(clippy::cast_precision_loss)]
    meetings.retain(|&(a, b), met| {
        let (of_a, of_b) = (in_beads.0[a as usize] as f32, in_beads.1[b as usize] as f32);
        // Dice's coefficient, less what one bead gives.
        let dice = 2.0 * (*met - 1.0) / (of_a + of_b);
        let keep = *met >= 2.0 && dice >= DICE_MIN;
        *met = (*met - 1.0) * dice;
        keep
    });
    meetings
}
