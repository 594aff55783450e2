//! Looks up how well the tokens of a side are known, and which of them repeat.
//!
//! Knows nothing of beads.

use std::ops::Range;

use crate::alignment::features::{NO_TOKEN, Side};
use crate::alignment::lexicon::Direction;

/// Weight, in tokens, of the assumption that the words of a bead are as well known as those of the document.
const COVER_TOKENS: f32 = 4.0;

/// Facts about consecutive tokens of a side, looked up once for the many beads that share them.
#[derive(Debug)]
pub(crate) struct Known {
    /// Number of the first token in the side.
    pub(crate) first: usize,
    pub(crate) tokens: Vec<KnownToken>,
    /// Sums of [`KnownToken::sure`] from the first token on.
    sure_sums: Vec<f32>,
    sure_mean: f32,
}

#[derive(Debug, Clone, Copy)]
pub(crate) struct KnownToken {
    /// Certainty of its translations, from 0 to 1.
    pub(crate) sure: f32,
    /// Rarity: tokens of running text per occurrence of its term.
    pub(crate) rarity: f32,
    /// The previous token of the same term.
    earlier: u32,
}

impl Known {
    /// Looks up the tokens in `range`; `direction` leads to this side.
    pub(crate) fn new(
        side: &Side,
        direction: &Direction,
        earlier: &[u32],
        range: Range<usize>,
    ) -> Self {
        let known = |(&term, &earlier): (&u32, &u32)| {
            let weight = direction.weights[term as usize];
            KnownToken { sure: weight.sure, rarity: 1.0 / weight.share, earlier }
        };
        let terms = &side.all_tokens()[range.clone()];
        let tokens: Vec<_> = terms.iter().zip(&earlier[range.clone()]).map(known).collect();
        let mut sum = 0.0;
        let sums = tokens.iter().map(|token| {
            sum += token.sure;
            sum
        });
        let sure_sums = std::iter::once(0.0).chain(sums).collect();
        Self { first: range.start, tokens, sure_sums, sure_mean: direction.sure_mean }
    }

    /// How well some tokens are known relative to the whole document, at most 1. If they are not, for example because spaces are
    /// missing, the words of the other side lack counterparts through no fault of the bead.
    #[expect(clippy::cast_precision_loss)]
    pub(crate) fn cover(&self, first: usize, count: usize) -> f32 {
        let from = first - self.first;
        let sum = self.sure_sums[from + count] - self.sure_sums[from];
        let expected = self.sure_mean * count as f32;
        let prior = self.sure_mean * COVER_TOKENS;
        if expected > 0.0 { ((sum + prior) / (expected + prior)).min(1.0) } else { 1.0 }
    }

    /// Whether `most` tokens of the same term precede this one in a bead that begins at `first`: a word of the other side
    /// translates only one of them.
    pub(crate) fn repeats(&self, token: &KnownToken, first: usize, most: u16) -> bool {
        let mut earlier = token.earlier;
        for _ in 1..most {
            if earlier == NO_TOKEN || (earlier as usize) < first {
                return false;
            }
            earlier = self.tokens[earlier as usize - self.first].earlier;
        }
        earlier != NO_TOKEN && earlier as usize >= first
    }
}
