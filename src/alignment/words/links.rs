//! Links the words of a sentence to those of its translation by hidden Markov models of both directions and the lexicons.
//!
//! Words are linked where both directions agree (Liang, Taskar and Klein, "Alignment by agreement", HLT-NAACL 2006). Knows
//! nothing of documents.

use std::collections::HashSet;

use crate::alignment::cancel::{Cancelled, Stop};
use crate::alignment::features::Side;
use crate::alignment::lexicon::{Counts, Direction, Jumps, Lattice, Lexicon, Pairs};
use crate::text::Analysis;

use super::link::{WordLink, either_way};
use super::{definite, pronouns};

/// Least confidence of a link. Fitted on the pairs with even numbers of `tests/data/alignment/links.gold`, as are the
/// constants below.
const CONFIDENCE_MIN: f32 = 0.4;
/// The same for words without a link, on average of both directions.
const CONFIDENCE_MIN_FREE: f32 = 0.15;
/// Share of a word's probability for words that no lexicon knows as its translation.
const UNKNOWN: f32 = 0.1;

/// Links the tokens of a sentence to those of its translation, in order of the source. Tokens beyond the first five hundred get no
/// links.
///
/// # Errors
/// [`Cancelled`] if `stop` returns `true`.
pub fn link_words(
    source: &Analysis,
    target: &Analysis,
    lexicons: &[&Lexicon],
    stop: Stop<'_>,
) -> Result<Vec<WordLink>, Cancelled> {
    let texts = (source, target);
    let ((source, at_source), (target, at_target)) = pieces(source, target, lexicons);
    let pairs = Pairs::new(&source, &target, lexicons, &Counts::default(), stop)?;
    // The largest lexicon has the best jumps.
    let jumps = lexicons.iter().max_by_key(|it| it.len()).map(|it| it.jumps).unwrap_or_default();
    let (from, to) = (source.all_tokens(), target.all_tokens());
    let mut lattice = Lattice::default();
    let mut run = |from: &[u32], to: &[u32], direction: &Direction, jumps: &Jumps| {
        fill(&mut lattice, from, to, direction);
        lattice.run(jumps, None, stop)?;
        Ok(std::mem::take(&mut lattice.posteriors))
    };
    let forward = run(from, to, &pairs.forward, &jumps.0)?;
    let backward = run(to, from, &pairs.backward, &jumps.1)?;
    let (mut links, mut weaker) = (Vec::new(), Vec::new());
    for (i, &source) in at_source.iter().enumerate() {
        for (j, &target) in at_target.iter().enumerate() {
            let (there, back) = (forward[j * from.len() + i], backward[i * to.len() + j]);
            let confidence = (there * back).sqrt();
            if confidence >= CONFIDENCE_MIN {
                links.push(WordLink { source, target, confidence });
            } else if f32::midpoint(there, back) >= CONFIDENCE_MIN_FREE {
                weaker.push(WordLink { source, target, confidence: f32::midpoint(there, back) });
            }
        }
    }
    // Words left over on both sides usually belong together.
    weaker.sort_by(|a, b| b.confidence.total_cmp(&a.confidence));
    let mut linked_sources: HashSet<usize> = links.iter().map(|it| it.source).collect();
    let mut linked_targets: HashSet<usize> = links.iter().map(|it| it.target).collect();
    for link in weaker {
        if !linked_sources.contains(&link.source) && !linked_targets.contains(&link.target) {
            linked_sources.insert(link.source);
            linked_targets.insert(link.target);
            links.push(link);
        }
    }
    either_way(texts, &mut links, definite::attach);
    either_way(texts, &mut links, pronouns::attach);
    // Clitics of one word may be linked to the same word.
    links.sort_by(|a, b| {
        (a.source, a.target).cmp(&(b.source, b.target)).then(b.confidence.total_cmp(&a.confidence))
    });
    links.dedup_by_key(|link| (link.source, link.target));
    Ok(links)
}

/// Splits clitics off both texts by the vocabularies of the lexicons; also returns the number of the token of each term.
pub(crate) fn pieces(
    source: &Analysis,
    target: &Analysis,
    lexicons: &[&Lexicon],
) -> ((Side, Vec<usize>), (Side, Vec<usize>)) {
    let of_source: Vec<_> = lexicons.iter().map(|it| &it.vocabularies.0).collect();
    let of_target: Vec<_> = lexicons.iter().map(|it| &it.vocabularies.1).collect();
    (Side::of_pieces(source, &of_source), Side::of_pieces(target, &of_target))
}

fn fill(lattice: &mut Lattice, from: &[u32], to: &[u32], direction: &Direction) {
    lattice.reset(from.len(), to.len());
    let mut given = vec![0.0; direction.weights.len() * from.len()];
    for (i, &term) in from.iter().enumerate() {
        for &(other, probability) in &direction.rows[term as usize] {
            given[other as usize * from.len() + i] = probability;
        }
    }
    for &term in to {
        let share = direction.weights[term as usize].share;
        lattice.none.push(share);
        let row = &given[term as usize * from.len()..][..from.len()];
        lattice.emissions.extend(row.iter().map(|it| (1.0 - UNKNOWN) * it + UNKNOWN * share));
    }
}
