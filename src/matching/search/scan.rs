//! What would a look at every single segment answer? The oracle: nothing is left out, whatever it costs.
//!
//! Knows nothing of indexes; it shares with them only the judge and the way segments are stored.

use rayon::prelude::*;

use crate::matching::cancel::{Cancelled, Ticker};
use crate::matching::index::Snapshot;
use crate::matching::score::{Bench, Hit, Scorer, reachable};

use super::best::Best;

/// Segments that one thread judges at a time.
const SEGMENTS_PER_STEP: usize = 2_048;

/// The best hits of a snapshot, by judging every live segment on every core.
pub(crate) fn scan(snapshot: &Snapshot, judge: &Scorer<'_>) -> Result<Vec<Hit>, Cancelled> {
    if !reachable(judge) {
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
        steps.par_iter().map(|&(set, from)| scan_step(snapshot, set, from, judge)).collect();
    let mut best = Best::new(judge.options.limit);
    parts?.into_iter().flatten().for_each(|hit| best.push(hit));
    Ok(best.finish())
}

fn scan_step(
    snapshot: &Snapshot,
    set: usize,
    from: usize,
    judge: &Scorer<'_>,
) -> Result<Vec<Hit>, Cancelled> {
    let mut ticker = Ticker::new(judge.options.cancelled);
    ticker.look()?;
    let mut bench = Bench::default();
    let mut best = Best::new(judge.options.limit);
    snapshot.each_live(set, from, from + SEGMENTS_PER_STEP, &mut |row| {
        if let Some(hit) = judge.hit(row, &mut bench, judge.base_min(), &mut ticker)? {
            best.push(hit);
        }
        Ok(())
    })?;
    Ok(best.finish())
}
