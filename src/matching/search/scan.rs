//! Finds the best hits by scoring every live segment, on all cores.
//!
//! It is obviously complete, and so the reference for index search, with which it shares only the scorer and the
//! rows.

use rayon::prelude::*;

use crate::matching::cancel::{Cancelled, Ticker};
use crate::matching::index::Snapshot;
use crate::matching::score::{Hit, Scorer, ScorerScratch, reachable};

use super::best::Best;

/// Segments that one task scores.
const SEGMENTS_PER_STEP: usize = 2_048;

/// Returns the best hits of a snapshot.
pub(crate) fn scan(snapshot: &Snapshot, scorer: &Scorer<'_>) -> Result<Vec<Hit>, Cancelled> {
    if !reachable(scorer) {
        return Ok(Vec::new());
    }
    let steps: Vec<(usize, usize)> = snapshot
        .sets()
        .enumerate()
        .flat_map(|(set, rows)| {
            (0..rows.len()).step_by(SEGMENTS_PER_STEP).map(move |from| (set, from))
        })
        .collect();
    let parts: Result<Vec<Vec<Hit>>, Cancelled> =
        steps.par_iter().map(|&(set, from)| scan_step(snapshot, set, from, scorer)).collect();
    let mut best = Best::new(scorer.options.limit);
    parts?.into_iter().flatten().for_each(|hit| best.push(hit));
    Ok(best.finish())
}

fn scan_step(
    snapshot: &Snapshot,
    set: usize,
    from: usize,
    scorer: &Scorer<'_>,
) -> Result<Vec<Hit>, Cancelled> {
    let mut ticker = Ticker::new(scorer.options.cancelled);
    ticker.look()?;
    let mut scratch = ScorerScratch::default();
    let mut best = Best::new(scorer.options.limit);
    snapshot.each_live(set, from, from + SEGMENTS_PER_STEP, &mut |row| {
        if let Some(hit) = scorer.hit(row, &mut scratch, scorer.base_min(), &mut ticker)?
            && best.would_keep(&hit)
            && let Some(hit) = scorer.confirm(hit, &row.facts)
        {
            best.push(hit);
        }
        Ok(())
    })?;
    Ok(best.finish())
}
