//! Computes the graded edit distance between two token sequences, and an alignment that has it.
//!
//! Insertions and deletions cost a word, replacements at most that. The distance has a cut-off and is computed in a
//! band. Of several cheapest alignments one is chosen deterministically: common beginnings and ends are paired, and
//! in between, from the end, a pair is preferred to a token of the first sequence alone, and that to a token of the
//! second. Work and memory grow with the length of the sequences times their distance, which is bounded. Knows
//! nothing of what the tokens are.

use crate::limits::FUZZY_EDITS_MAX;

use crate::matching::cancel::{Cancelled, Ticker};

use super::deductions::WORD_COST;

/// A step of an alignment; tokens are numbered from 0.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Step {
    /// A token of the first sequence is paired with one of the second, equal or not.
    Pair(usize, usize),
    /// A token of the first sequence has no partner.
    First(usize),
    /// A token of the second sequence has no partner.
    Second(usize),
}

/// Half the width of the first band; it holds every alignment of segments of usual length.
const BAND_FIRST: usize = 64;
/// Above every distance, with room to add.
const BEYOND: u32 = u32::MAX / 4;

/// The cost of pairing two tokens: 0 for equal ones, at most [`WORD_COST`].
pub(crate) trait Cost: FnMut(usize, usize) -> u32 {}
impl<F: FnMut(usize, usize) -> u32> Cost for F {}

/// Returns the distance between sequences of these lengths, or `None` when it is above `most`.
///
/// `rows` is working memory.
pub(crate) fn distance(
    lengths: (usize, usize),
    most: u32,
    cost: &mut impl Cost,
    rows: &mut Vec<u32>,
    ticker: &mut Ticker<'_>,
) -> Result<Option<u32>, Cancelled> {
    let (head, tail) = common(lengths, cost);
    let (first, second) = (lengths.0 - head - tail, lengths.1 - head - tail);
    ticker.tick(head + tail + second)?;
    let band = (most / WORD_COST) as usize;
    if first.abs_diff(second) > band {
        return Ok(None);
    }
    let beyond = most.saturating_add(1);
    rows.clear();
    rows.extend((0..=second).map(|j| if j <= band { whole(j) } else { beyond }));
    for i in 0..first {
        // A cell further from the diagonal than the band costs more than `most` in insertions or deletions alone.
        let (from, to) = (i.saturating_sub(band), second.min(i + 1 + band));
        ticker.tick(to.saturating_sub(from))?;
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
            return Ok(None);
        }
    }
    Ok(Some(rows[second]).filter(|&distance| distance <= most))
}

/// Returns a cheapest alignment. Where more than [`FUZZY_EDITS_MAX`] words differ, only the common beginning and end
/// are paired.
pub(crate) fn align(
    lengths: (usize, usize),
    cost: &mut impl Cost,
    ticker: &mut Ticker<'_>,
) -> Result<Vec<Step>, Cancelled> {
    let mut steps = Vec::with_capacity(lengths.0.max(lengths.1));
    let (head, tail) = common(lengths, cost);
    ticker.tick(head + tail)?;
    steps.extend((0..head).map(|k| Step::Pair(k, k)));
    let middle = (lengths.0 - head - tail, lengths.1 - head - tail);
    let mut of_middle = |i: usize, j: usize| cost(head + i, head + j);
    let aligned = align_in_bands(middle, &mut of_middle, ticker)?;
    steps.extend(aligned.into_iter().map(|step| match step {
        Step::Pair(i, j) => Step::Pair(head + i, head + j),
        Step::First(i) => Step::First(head + i),
        Step::Second(j) => Step::Second(head + j),
    }));
    steps.extend((0..tail).map(|k| Step::Pair(lengths.0 - tail + k, lengths.1 - tail + k)));
    Ok(steps)
}

/// Doubles the band until it holds every cheapest alignment.
fn align_in_bands(
    lengths: (usize, usize),
    cost: &mut impl Cost,
    ticker: &mut Ticker<'_>,
) -> Result<Vec<Step>, Cancelled> {
    let longest = lengths.0.max(lengths.1);
    let mut band = longest.min(BAND_FIRST).max(lengths.0.abs_diff(lengths.1));
    let apart = || {
        let first = (0..lengths.0).map(Step::First);
        first.chain((0..lengths.1).map(Step::Second)).collect()
    };
    if lengths.0 == 0 || lengths.1 == 0 {
        return Ok(apart());
    }
    while band <= FUZZY_EDITS_MAX {
        let table = Table::fill(lengths, band, cost, ticker)?;
        // An alignment that leaves the band costs more than that in insertions or deletions alone.
        if band >= longest || table.distance <= whole(band) {
            return Ok(table.steps(lengths));
        }
        band = if band == FUZZY_EDITS_MAX { band + 1 } else { (2 * band).min(FUZZY_EDITS_MAX) };
    }
    Ok(apart())
}

/// Lengths of the common beginning and of the common end of the rest. Some cheapest alignment pairs them: pairing two
/// equal ends is never worse than pairing either with something else.
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

/// The last step of a cheapest alignment to each cell of a band around the diagonal, two bits each.
struct Table {
    band: usize,
    directions: Vec<u8>,
    distance: u32,
}

const PAIR: u8 = 0;
const FIRST: u8 = 1;
const SECOND: u8 = 2;

impl Table {
    /// Fills the table; the lengths differ by no more than the band.
    fn fill(
        (height, width): (usize, usize),
        band: usize,
        cost: &mut impl Cost,
        ticker: &mut Ticker<'_>,
    ) -> Result<Self, Cancelled> {
        let directions = vec![0; (height * (2 * band + 1)).div_ceil(4)];
        let mut table = Self { band, directions, distance: BEYOND };
        let mut row: Vec<u32> =
            (0..=width).map(|j| if j <= band { whole(j) } else { BEYOND }).collect();
        for i in 0..height {
            let (from, to) = (i.saturating_sub(band), width.min(i + 1 + band));
            ticker.tick(to.saturating_sub(from))?;
            let mut diagonal = row[from];
            let mut left = if from == 0 { whole(i + 1) } else { BEYOND };
            row[from] = left;
            for j in from..to {
                let paired = diagonal + cost(i, j);
                let (alone_first, alone_second) = (row[j + 1] + WORD_COST, left + WORD_COST);
                diagonal = row[j + 1];
                left = paired.min(alone_first).min(alone_second);
                row[j + 1] = left;
                let direction = match left {
                    _ if left == paired => PAIR,
                    _ if left == alone_first => FIRST,
                    _ => SECOND,
                };
                let (byte, shift) = table.place(i, j);
                table.directions[byte] |= direction << shift;
            }
        }
        table.distance = row[width];
        Ok(table)
    }

    /// Byte and shift of a cell.
    fn place(&self, i: usize, j: usize) -> (usize, usize) {
        let cell = i * (2 * self.band + 1) + (j + self.band - i);
        (cell / 4, 2 * (cell % 4))
    }

    fn steps(&self, lengths: (usize, usize)) -> Vec<Step> {
        let mut steps = Vec::with_capacity(lengths.0.max(lengths.1));
        let (mut i, mut j) = lengths;
        while i > 0 || j > 0 {
            let direction = match (i, j) {
                (0, _) => SECOND,
                (_, 0) => FIRST,
                _ => {
                    let (byte, shift) = self.place(i - 1, j - 1);
                    self.directions[byte] >> shift & 3
                }
            };
            steps.push(match direction {
                PAIR => Step::Pair(i - 1, j - 1),
                FIRST => Step::First(i - 1),
                _ => Step::Second(j - 1),
            });
            i -= usize::from(direction != SECOND);
            j -= usize::from(direction != FIRST);
        }
        steps.reverse();
        steps
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::matching::cancel::NEVER;
    use crate::matching::score::random_edits::edited;

    /// Symbols below 4 share a class with their neighbour and cost 300 in its place.
    fn cost_of(a: u16, b: u16) -> u32 {
        match a {
            _ if a == b => 0,
            _ if a / 2 == b / 2 && a < 4 => 300,
            _ => WORD_COST,
        }
    }

    fn price(steps: &[Step], a: &[u16], b: &[u16]) -> u32 {
        let price = |step: &Step| match *step {
            Step::Pair(i, j) => cost_of(a[i], b[j]),
            Step::First(_) | Step::Second(_) => WORD_COST,
        };
        steps.iter().map(price).sum()
    }

    /// The textbook recurrence over the whole table.
    fn table_of(a: &[u16], b: &[u16]) -> Vec<Vec<u32>> {
        let mut table = vec![vec![0; b.len() + 1]; a.len() + 1];
        for i in 0..=a.len() {
            for j in 0..=b.len() {
                table[i][j] = match (i, j) {
                    (0, _) => whole(j),
                    (_, 0) => whole(i),
                    _ => (table[i - 1][j - 1] + cost_of(a[i - 1], b[j - 1]))
                        .min(table[i - 1][j] + WORD_COST)
                        .min(table[i][j - 1] + WORD_COST),
                };
            }
        }
        table
    }

    /// The alignment that the module promises, from the whole table.
    fn steps_of(a: &[u16], b: &[u16]) -> Vec<Step> {
        let (head, tail) = common((a.len(), b.len()), &mut |i, j| cost_of(a[i], b[j]));
        let (inner_a, inner_b) = (&a[head..a.len() - tail], &b[head..b.len() - tail]);
        let table = table_of(inner_a, inner_b);
        let (mut i, mut j) = (inner_a.len(), inner_b.len());
        let mut steps: Vec<Step> =
            (0..tail).map(|k| Step::Pair(a.len() - 1 - k, b.len() - 1 - k)).collect();
        while i > 0 || j > 0 {
            let here = table[i][j];
            if i > 0
                && j > 0
                && here == table[i - 1][j - 1] + cost_of(inner_a[i - 1], inner_b[j - 1])
            {
                (i, j) = (i - 1, j - 1);
                steps.push(Step::Pair(head + i, head + j));
            } else if i > 0 && here == table[i - 1][j] + WORD_COST {
                i -= 1;
                steps.push(Step::First(head + i));
            } else {
                j -= 1;
                steps.push(Step::Second(head + j));
            }
        }
        steps.extend((0..head).rev().map(|k| Step::Pair(k, k)));
        steps.reverse();
        steps
    }

    fn check(a: &[u16], b: &[u16], most: u32) {
        let ticker = || Ticker::new(NEVER);
        let lengths = (a.len(), b.len());
        let mut cost = |i: usize, j: usize| cost_of(a[i], b[j]);
        let truth = table_of(a, b)[a.len()][b.len()];
        let mut rows = Vec::new();
        for most in [u32::MAX / 2, most, truth] {
            let found = distance(lengths, most, &mut cost, &mut rows, &mut ticker());
            assert_eq!(found, Ok(Some(truth).filter(|&truth| truth <= most)));
        }
        let steps = align(lengths, &mut cost, &mut ticker()).unwrap();
        assert_eq!(steps, steps_of(a, b));
        assert_eq!(price(&steps, a, b), truth);
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(1000))]
        #[test]
        fn all_ways_agree(a in prop::collection::vec(0_u16..7, 0..14), b in prop::collection::vec(0_u16..7, 0..14), most in 0_u32..16_000) {
            check(&a, &b, most);
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(60))]
        #[test]
        fn a_band_holds_every_cheapest_alignment((base, other) in edited(0_u16..9, 60..400, 90)) {
            check(&base, &other, 30_000);
        }
    }

    #[test]
    fn long_sequences_take_time_in_proportion() {
        use std::cell::Cell;
        let asked = Cell::new(0_u64);
        let cells = |length: usize| {
            asked.set(0);
            let mut cost = |i: usize, j: usize| {
                asked.set(asked.get() + 1);
                if (i * 7 + j).is_multiple_of(5) { 0 } else { WORD_COST }
            };
            let steps = align((length, length), &mut cost, &mut Ticker::new(NEVER)).unwrap();
            assert!(steps.len() >= length);
            asked.get()
        };
        let (once, twice) = (cells(4_000), cells(8_000));
        assert!(twice < once * 5 / 2, "{once} and {twice} cells");
    }

    #[test]
    fn who_gave_up_is_not_kept_waiting() {
        let cancelled = || true;
        let mut cells = 0;
        let mut cost = |_: usize, _: usize| {
            cells += 1;
            WORD_COST
        };
        let aligned = align((100_000, 100_000), &mut cost, &mut Ticker::new(&cancelled));
        assert_eq!(aligned, Err(Cancelled));
        assert!(cells < 1_000_000, "{cells}");
    }
}
