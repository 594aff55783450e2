//! Aligns the sentences of two documents in several passes, each of which trains the next.
//!
//! Every pass computes the probability of each bead by lengths, marks and words. Co-occurrence in the beads becomes the lexicon of
//! the document (Sennrich and Volk, "Iterative, MT-based sentence alignment of parallel texts", NODALIDA 2011, with
//! co-occurrence instead of machine translation); expected counts become its priors, length ratio and wording.

use std::ops::Range;

use crate::alignment::cancel::{Cancelled, Stop};
use crate::alignment::features::{Side, length_u32};
use crate::alignment::lexicon::{Counts, Lexicon, Pairs};
use crate::limits::MEETINGS_MAX;

use super::band::Band;
use super::confidence::Calibration;
use super::decode::decode;
use super::evidence::Words;
use super::kinds::Priors;
use super::lengths::Lengths;
use super::marks::Marks;
use super::posteriors::Posteriors;
use super::scores::{Model, Scores};
use super::search::Search;
use super::span::BeadSpan;
use super::wording::Wording;

/// Passes with words, the first of them by the lexicons alone.
const PASSES: usize = 3;
/// Passes before those, by lengths and marks alone.
const PASSES_BY_LENGTH: usize = 2;
/// Cells on each side of the path of the previous pass.
const PATH_WIDTH: usize = 6;
/// The same where that path was near the edge of its band.
const EDGE_WIDTH: usize = 48;
/// Least Dice coefficient of terms that are passed to the next pass.
const DICE_MIN: f32 = 0.4;

/// One link of a sentence alignment.
#[derive(Debug, Clone, PartialEq)]
pub struct Bead {
    /// Source sentences; empty if the target has no source.
    pub source: Range<usize>,
    /// Target sentences; empty if the source is not translated.
    pub target: Range<usize>,
    /// Confidence, from 0 to 1.
    pub confidence: f32,
}

/// Aligns the sentences of two documents: every sentence is in exactly one bead, in order.
///
/// `progress` receives the fraction done, from 0 to 1.
///
/// # Errors
/// [`Cancelled`] if `stop` returns `true`.
pub fn align_document(
    source: &Side,
    target: &Side,
    lexicons: &[&Lexicon],
    stop: Stop<'_>,
    progress: &mut dyn FnMut(f32),
) -> Result<Vec<Bead>, Cancelled> {
    let sizes = (source.len(), target.len());
    let mut pairs = Pairs::new(source, target, lexicons, &Counts::default(), stop)?;
    let mut band = Band::new(source, target, &pairs, stop)?;
    let mut passes = Passes::new(source, target, stop);
    passes.learn_from_lengths(&band)?;
    for pass in 1..PASSES {
        let path = passes.run(&band, &pairs)?;
        let links: Vec<BeadSpan> = path.iter().map(|it| it.0).collect();
        #[expect(clippy::cast_precision_loss)]
        progress(pass as f32 / PASSES as f32);
        let learnt = co_occurrences(source, target, &links, stop)?;
        pairs = Pairs::new(source, target, lexicons, &learnt, stop)?;
        band = next_band(&band, &links, sizes);
    }
    let path = passes.run(&band, &pairs)?;
    progress(1.0);
    let calibration = Calibration::new(source);
    let bead = |&(link, probability): &(BeadSpan, f32)| {
        let letters = source.letters_of(link.source) + target.letters_of(link.target);
        Bead::new(link, calibration.confidence(link, letters, probability))
    };
    Ok(path.iter().map(bead).collect())
}

/// The parameters that the passes fit to a document.
struct Passes<'a> {
    source: &'a Side,
    target: &'a Side,
    stop: Stop<'a>,
    lengths: Lengths,
    marks: Marks,
    wording: Wording,
    priors: Priors,
}

impl<'a> Passes<'a> {
    fn new(source: &'a Side, target: &'a Side, stop: Stop<'a>) -> Self {
        Self {
            source,
            target,
            stop,
            lengths: Lengths::new(source, target),
            marks: Marks::new(source, target),
            wording: Wording::default(),
            priors: Priors::new((source.len(), target.len())),
        }
    }

    fn model<'m>(&'m self, words: Option<(&'m Pairs, &'m Wording)>) -> Model<'m> {
        Model {
            source: self.source,
            target: self.target,
            lengths: &self.lengths,
            marks: &self.marks,
            priors: &self.priors,
            words,
        }
    }

    fn posteriors(&self, band: &Band, scores: &Scores) -> Result<Posteriors, Cancelled> {
        let sizes = (self.source.len(), self.target.len());
        Search { sizes, band, scores, priors: &self.priors, stop: self.stop }.posteriors()
    }

    /// Fits the priors by lengths and marks alone, which work for free translations as well as for literal ones.
    fn learn_from_lengths(&mut self, band: &Band) -> Result<(), Cancelled> {
        let scores = Scores::new(self.model(None), band, self.stop)?;
        for _ in 1..PASSES_BY_LENGTH {
            self.priors = Priors::fitted(&self.posteriors(band, &scores)?.counts);
        }
        let posteriors = self.posteriors(band, &scores)?;
        self.priors = Priors::fitted(&posteriors.counts);
        self.marks.refit(&posteriors);
        Ok(())
    }

    /// The path by words too, with the probabilities of its beads; fits all parameters to the result.
    fn run(&mut self, band: &Band, pairs: &Pairs) -> Result<Vec<(BeadSpan, f32)>, Cancelled> {
        let scores = Scores::new(self.model(Some((pairs, &self.wording))), band, self.stop)?;
        self.priors = Priors::fitted(&self.posteriors(band, &scores)?.counts);
        let posteriors = self.posteriors(band, &scores)?;
        let path = decode((self.source.len(), self.target.len()), band, &posteriors);
        let beads = path.iter().copied().filter(|it| it.0.has_both());
        self.lengths.refit(beads.clone());
        self.marks.refit(&posteriors);
        let (links, probabilities): (Vec<BeadSpan>, Vec<f32>) = beads.unzip();
        let words = Words::new(self.source, self.target, pairs);
        self.wording = self.wording.refit(words.along(&links).into_iter().zip(probabilities));
        Ok(path)
    }
}

impl Bead {
    fn new(link: BeadSpan, confidence: f32) -> Self {
        Self {
            source: link.source.0..link.source.0 + link.source.1,
            target: link.target.0..link.target.0 + link.target.1,
            confidence,
        }
    }
}

/// The band of the next pass: around the path, wider where it is near the edge of this one.
fn next_band(band: &Band, path: &[BeadSpan], sizes: (usize, usize)) -> Band {
    if band.is_whole(sizes) {
        return band.clone();
    }
    let points: Vec<(usize, usize)> =
        path.iter().map(|link| (link.source.0, link.target.0)).chain([sizes]).collect();
    let near_edge = |&&(i, j): &&(usize, usize)| band.at_edge(i, j, sizes.1);
    let edges: Vec<usize> = points.iter().filter(near_edge).map(|point| point.0).collect();
    Band::around(&points, sizes, |i| {
        let next = edges.partition_point(|&edge| edge + EDGE_WIDTH < i);
        let near = edges.get(next).is_some_and(|&edge| edge <= i + EDGE_WIDTH);
        if near { EDGE_WIDTH } else { PATH_WIDTH }
    })
}

/// Counts how often terms co-occur in the beads of a path, at least in two of them: from one bead alone, a pass would confirm its
/// own result.
fn co_occurrences(
    source: &Side,
    target: &Side,
    path: &[BeadSpan],
    stop: Stop<'_>,
) -> Result<Counts, Cancelled> {
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
    // Words that occur everywhere co-occur with everything.
    let telling = 2..=(length_u32(path.len()) / 10).max(8);
    let mut meetings = Counts::default();
    'beads: for link in beads() {
        let (mut here, mut there) = (of(source, link.source), of(target, link.target));
        here.retain(|&a| telling.contains(&in_beads.0[a as usize]));
        there.retain(|&b| telling.contains(&in_beads.1[b as usize]));
        for &a in &here {
            if stop() {
                return Err(Cancelled);
            }
            if meetings.len() >= MEETINGS_MAX {
                break 'beads;
            }
            for &b in &there {
                *meetings.entry((a, b)).or_default() += 1.0;
            }
        }
    }
    #[expect(clippy::cast_precision_loss)]
    meetings.retain(|&(a, b), met| {
        let (of_a, of_b) = (in_beads.0[a as usize] as f32, in_beads.1[b as usize] as f32);
        // Dice's coefficient without the contribution of one bead.
        let dice = 2.0 * (*met - 1.0) / (of_a + of_b);
        let keep = *met >= 2.0 && dice >= DICE_MIN;
        *met = (*met - 1.0) * dice;
        keep
    });
    Ok(meetings)
}
