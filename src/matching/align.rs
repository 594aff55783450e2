//! What is the cheapest way from one sequence to another when some replacements cost less than a whole word?
//!
//! The graded distance (with a cut-off, in a band), and one alignment that has it. Of several cheapest alignments always
//! the same one is taken: what both begin and end with is paired, and in between, going from the end, a pair is preferred
//! to a token of the first sequence alone, and that to a token of the second alone. Knows nothing of what the tokens are.

use super::score::WORD_COST;

/// One step of an alignment; the numbers count tokens from 0.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Step {
    /// A token of the first stands for one of the second: the same or another.
    Pair(usize, usize),
    /// A token of the first that stands for nothing.
    First(usize),
    /// A token of the second that stands for nothing.
    Second(usize),
}

/// Cells of a table that is kept whole (one byte each); a larger problem is halved until its parts fit.
const TABLE_CELLS_MAX: usize = 1 << 24;

/// What the first token of a pair costs in place of the second: 0 for equal ones, at most [`WORD_COST`].
pub(super) trait Cost: FnMut(usize, usize) -> u32 {}
impl<F: FnMut(usize, usize) -> u32> Cost for F {}

/// The cheapest distance between sequences of these lengths, or `None` when it is above `most`.
///
/// `rows` is working memory.
pub(super) fn distance(
    lengths: (usize, usize),
    most: u32,
    cost: &mut impl Cost,
    rows: &mut Vec<u32>,
) -> Option<u32> {
    let (head, tail) = common(lengths, cost);
    let (first, second) = (lengths.0 - head - tail, lengths.1 - head - tail);
    let band = (most / WORD_COST) as usize;
    if first.abs_diff(second) > band {
        return None;
    }
    let beyond = most.saturating_add(1);
    rows.clear();
    rows.extend((0..=second).map(|j| if j <= band { whole(j) } else { beyond }));
    for i in 0..first {
        // A cell further than the band from the diagonal costs more than `most` in added or missing words alone.
        let (from, to) = (i.saturating_sub(band), second.min(i + 1 + band));
        let mut diagonal = rows[from];
        let mut left = if from == 0 { whole(i + 1).min(beyond) } else { beyond };
        rows[from] = left;
        let mut least = left;
        for j in from..to {
            let above = rows[j + 1];
            let paired = diagonal + cost(head + i, head + j);
            diagonal = above;
            left = paired.min(above.min(left) + WORD_COST).min(beyond);
            least = least.min(left);
            rows[j + 1] = left;
        }
        if least > most {
            return None;
        }
    }
    Some(rows[second]).filter(|&distance| distance <= most)
}

/// The alignment, from the first step to the last.
pub(super) fn align(lengths: (usize, usize), cost: &mut impl Cost) -> Vec<Step> {
    let mut steps = Vec::with_capacity(lengths.0.max(lengths.1));
    align_within((0, lengths.0), (0, lengths.1), cost, &mut steps);
    steps
}

/// How many tokens both sequences begin with, and how many of the others both end with. There always is a cheapest
/// alignment that pairs them: to pair two equal ends is never worse than to pair either with something else.
fn common(lengths: (usize, usize), cost: &mut impl Cost) -> (usize, usize) {
    let shorter = lengths.0.min(lengths.1);
    let mut head = 0;
    while head < shorter && cost(head, head) == 0 {
        head += 1;
    }
    let mut tail = 0;
    while tail < shorter - head && cost(lengths.0 - 1 - tail, lengths.1 - 1 - tail) == 0 {
        tail += 1;
    }
    (head, tail)
}

fn whole(words: usize) -> u32 {
    u32::try_from(words).map_or(u32::MAX / 4, |words| words.saturating_mul(WORD_COST))
}

/// Aligns `first.0..first.1` with `second.0..second.1`.
fn align_within(
    first: (usize, usize),
    second: (usize, usize),
    cost: &mut impl Cost,
    steps: &mut Vec<Step>,
) {
    let lengths = (first.1 - first.0, second.1 - second.0);
    let (head, tail) = common(lengths, &mut |i, j| cost(first.0 + i, second.0 + j));
    steps.extend((0..head).map(|k| Step::Pair(first.0 + k, second.0 + k)));
    let middle_first = (first.0 + head, first.1 - tail);
    let middle_second = (second.0 + head, second.1 - tail);
    let rows = middle_first.1 - middle_first.0;
    let columns = middle_second.1 - middle_second.0;
    if rows == 0 || columns == 0 {
        steps.extend((middle_first.0..middle_first.1).map(Step::First));
        steps.extend((middle_second.0..middle_second.1).map(Step::Second));
    } else if rows > 1 && (rows + 1).saturating_mul(columns + 1) > TABLE_CELLS_MAX {
        let (cut_first, cut_second) = halve(middle_first, middle_second, cost);
        align_within((middle_first.0, cut_first), (middle_second.0, cut_second), cost, steps);
        align_within((cut_first, middle_first.1), (cut_second, middle_second.1), cost, steps);
    } else {
        align_table(middle_first, middle_second, cost, steps);
    }
    steps.extend((0..tail).map(|k| Step::Pair(first.1 - tail + k, second.1 - tail + k)));
}

/// With the whole table of directions in memory.
fn align_table(
    first: (usize, usize),
    second: (usize, usize),
    cost: &mut impl Cost,
    steps: &mut Vec<Step>,
) {
    const PAIR: u8 = 0;
    const FIRST: u8 = 1;
    const SECOND: u8 = 2;
    let (height, width) = (first.1 - first.0, second.1 - second.0);
    let mut directions = vec![PAIR; height * width];
    let mut row: Vec<u32> = (0..=width).map(whole).collect();
    for i in 0..height {
        let mut diagonal = row[0];
        row[0] = whole(i + 1);
        for j in 0..width {
            let paired = diagonal + cost(first.0 + i, second.0 + j);
            let (alone_first, alone_second) = (row[j + 1] + WORD_COST, row[j] + WORD_COST);
            diagonal = row[j + 1];
            let best = paired.min(alone_first).min(alone_second);
            directions[i * width + j] = match best {
                _ if best == paired => PAIR,
                _ if best == alone_first => FIRST,
                _ => SECOND,
            };
            row[j + 1] = best;
        }
    }
    let begin = steps.len();
    let (mut i, mut j) = (height, width);
    while i > 0 || j > 0 {
        let direction = match (i, j) {
            (0, _) => SECOND,
            (_, 0) => FIRST,
            _ => directions[(i - 1) * width + j - 1],
        };
        steps.push(match direction {
            PAIR => Step::Pair(first.0 + i - 1, second.0 + j - 1),
            FIRST => Step::First(first.0 + i - 1),
            _ => Step::Second(second.0 + j - 1),
        });
        i -= usize::from(direction != SECOND);
        j -= usize::from(direction != FIRST);
    }
    steps[begin..].reverse();
}

/// Where a cheapest alignment crosses the middle of the first sequence (Hirschberg, CACM 18, 1975): memory for one row.
fn halve(first: (usize, usize), second: (usize, usize), cost: &mut impl Cost) -> (usize, usize) {
    let middle = first.0.midpoint(first.1);
    let width = second.1 - second.0;
    let before = last_row(middle - first.0, width, &mut |i, j| cost(first.0 + i, second.0 + j));
    let after =
        last_row(first.1 - middle, width, &mut |i, j| cost(first.1 - 1 - i, second.1 - 1 - j));
    let total = |cut: &usize| before[*cut].saturating_add(after[width - *cut]);
    let cut = (0..=width).min_by_key(total).unwrap_or(0);
    (middle, second.0 + cut)
}

fn last_row(height: usize, width: usize, cost: &mut impl Cost) -> Vec<u32> {
    let mut row: Vec<u32> = (0..=width).map(whole).collect();
    for i in 0..height {
        let mut diagonal = row[0];
        row[0] = whole(i + 1);
        for j in 0..width {
            let paired = diagonal + cost(i, j);
            diagonal = row[j + 1];
            row[j + 1] = paired.min(diagonal.min(row[j]) + WORD_COST);
        }
    }
    row
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::{Step, WORD_COST, align, align_within, distance, halve, last_row};

    /// Symbols below 4 share a class with their neighbour and cost 300 in its place.
    fn cost_of(a: u8, b: u8) -> u32 {
        match a {
            _ if a == b => 0,
            _ if a / 2 == b / 2 && a < 4 => 300,
            _ => WORD_COST,
        }
    }

    fn price(steps: &[Step], a: &[u8], b: &[u8]) -> u32 {
        let price = |step: &Step| match *step {
            Step::Pair(i, j) => cost_of(a[i], b[j]),
            Step::First(_) | Step::Second(_) => WORD_COST,
        };
        steps.iter().map(price).sum()
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(1000))]
        #[test]
        fn all_ways_agree(a in prop::collection::vec(0_u8..7, 0..14), b in prop::collection::vec(0_u8..7, 0..14), most in 0_u32..16_000) {
            let mut cost = |i: usize, j: usize| cost_of(a[i], b[j]);
            let truth = last_row(a.len(), b.len(), &mut cost)[b.len()];
            let mut rows = Vec::new();
            prop_assert_eq!(distance((a.len(), b.len()), u32::MAX / 2, &mut cost, &mut rows), Some(truth));
            prop_assert_eq!(distance((a.len(), b.len()), most, &mut cost, &mut rows), Some(truth).filter(|&truth| truth <= most));
            prop_assert_eq!(distance((a.len(), b.len()), truth, &mut cost, &mut rows), Some(truth));
            let mut swapped = |i: usize, j: usize| cost_of(a[j], b[i]);
            prop_assert_eq!(last_row(b.len(), a.len(), &mut swapped)[a.len()], truth);

            let steps = align((a.len(), b.len()), &mut cost);
            prop_assert_eq!(price(&steps, &a, &b), truth);
            let (mut i, mut j) = (0, 0);
            for step in &steps {
                match *step {
                    Step::Pair(x, y) => { prop_assert_eq!((x, y), (i, j)); i += 1; j += 1; }
                    Step::First(x) => { prop_assert_eq!(x, i); i += 1; }
                    Step::Second(y) => { prop_assert_eq!(y, j); j += 1; }
                }
            }
            prop_assert_eq!((i, j), (a.len(), b.len()));

            if a.len() > 1 && !b.is_empty() {
                let (x, y) = halve((0, a.len()), (0, b.len()), &mut cost);
                let mut halves = Vec::new();
                align_within((0, x), (0, y), &mut cost, &mut halves);
                align_within((x, a.len()), (y, b.len()), &mut cost, &mut halves);
                prop_assert_eq!(price(&halves, &a, &b), truth);
            }
        }
    }
}
