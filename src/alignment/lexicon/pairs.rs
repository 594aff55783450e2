//! Combines lexicons, anchors and co-occurrence into translation probabilities between the terms of two documents.
//!
//! Anchors are terms that are copied (numbers and dates by value, Latin words, addresses, codes), and names, which match by
//! consonants. Knows nothing of sentences.

use std::collections::HashMap;

use foldhash::fast::FixedState;

use crate::alignment::cancel::{Cancelled, Stop};
use crate::alignment::features::{Side, Skeleton, Term};

use super::tables::{Lexicon, Table, TermNumbers};

/// Weight of a copied anchor, in observations.
const SAME_MASS: f32 = 6.0;
/// Weight of a name, in observations, times its likeness.
const NAME_MASS: f32 = 1.5;
/// Factor for names of three consonants, which often match by chance.
const SHORT_NAME_SHARE: f32 = 0.4;
/// Most observations of a word that count in one lexicon, so that a memory of another subject does not outweigh the others.
const MASS_MAX: f32 = 4.0;
/// Observations at which a translation is half trusted.
const KNOWN_HALF: f32 = 1.0;
/// Share of well-known words that are translated as a lexicon predicts, when one pair of texts is scored: no lexicon is
/// complete, and no translation literal.
const TELLING: f32 = 0.6;
/// The same for a lexicon trained on the memory of the texts. Fitted on a memory in which one unit in twenty had the target of
/// another.
const JUDGED: f32 = 0.9;
/// Observations of a word at which half of the difference counts.
const JUDGED_HALF: f32 = 5.0;

/// Share in running text of an unknown term.
const SHARE: f32 = 0.0001;
/// Tokens of evidence that shares from lexicons count for.
const SHARE_TOKENS: f32 = 3000.0;

/// Expected counts of pairs of terms from a pass over the document.
pub(crate) type Counts = HashMap<(u32, u32), f32, FixedState>;

/// Translation probabilities from the terms of one side to those of the other.
#[derive(Debug, Default)]
pub(crate) struct Direction {
    /// Translations of each term of the first side, with their probabilities.
    pub(crate) rows: Vec<Vec<(u32, f32)>>,
    /// The weight of each term of the second side.
    pub(crate) weights: Vec<Weight>,
    /// The mean of [`Weight::sure`] over the tokens of the second side.
    pub(crate) sure_mean: f32,
}

/// The weight of a term as evidence.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Weight {
    /// Certainty of its translations, from 0 to 1.
    pub(crate) sure: f32,
    /// Probability that it is translated as predicted, when one pair of texts is scored.
    pub(crate) telling: f32,
    /// Its share in running text.
    pub(crate) share: f32,
}

impl Direction {
    #[expect(clippy::cast_precision_loss)]
    fn new(rows: Evidence, weights: Vec<Weight>, looked_at: &Side) -> Self {
        let tokens = looked_at.all_tokens();
        let of_tokens: f32 = tokens.iter().map(|&term| weights[term as usize].sure).sum();
        let sure_mean = of_tokens / tokens.len().max(1) as f32;
        Self { rows: rows.probabilities(), weights, sure_mean }
    }
}

/// How far a lexicon is trusted.
#[derive(Debug, Clone, Copy)]
struct Trust {
    /// Observations subtracted from each count.
    own: f32,
    /// Most observations of a word that count.
    mass_max: f32,
    /// Whether clitics are split off as in training; otherwise a missing clitic is no evidence.
    taken_apart: bool,
    /// Added to [`TELLING`] for well-known words.
    telling_more: f32,
}

const OF_DOCUMENT: Trust =
    Trust { own: 0.0, mass_max: MASS_MAX, taken_apart: false, telling_more: 0.0 };

/// Translation probabilities in both directions.
#[derive(Debug, Default)]
pub(crate) struct Pairs {
    /// How target terms come from source terms.
    pub(crate) forward: Direction,
    /// How source terms come from target terms.
    pub(crate) backward: Direction,
}

impl Pairs {
    /// `learnt` holds the counts of previous passes over the document.
    pub(crate) fn new(
        source: &Side,
        target: &Side,
        lexicons: &[&Lexicon],
        learnt: &Counts,
        stop: Stop<'_>,
    ) -> Result<Self, Cancelled> {
        Self::of_evidence((source, target), lexicons, learnt, OF_DOCUMENT, stop)
    }

    /// For texts that may have been part of the training: up to `own` observations of each pair are subtracted. Since a pair is
    /// scored by its own memory, no lexicon is capped.
    pub(crate) fn leaving_out(
        source: &Side,
        target: &Side,
        lexicons: &[&Lexicon],
        own: f32,
    ) -> Self {
        let trust = Trust {
            own,
            mass_max: f32::INFINITY,
            taken_apart: true,
            telling_more: JUDGED - TELLING,
        };
        let learnt = Counts::default();
        // One pair of texts is too little work to be cancelled.
        Self::of_evidence((source, target), lexicons, &learnt, trust, &|| false).unwrap_or_default()
    }

    fn of_evidence(
        (source, target): (&Side, &Side),
        lexicons: &[&Lexicon],
        learnt: &Counts,
        trust: Trust,
        stop: Stop<'_>,
    ) -> Result<Self, Cancelled> {
        let mut forward = Evidence::new(source.terms.len());
        let mut backward = Evidence::new(target.terms.len());
        let mut shares = (Shares::new(source), Shares::new(target));
        for lexicon in lexicons {
            if stop() {
                return Err(Cancelled);
            }
            let here = Numbers::new(source, &lexicon.source);
            let there = Numbers::new(target, &lexicon.target);
            shares.0.raise(&here, &lexicon.shares.0);
            shares.1.raise(&there, &lexicon.shares.1);
            let trust = if lexicon.is_trained() {
                trust
            } else {
                Trust { own: 0.0, telling_more: 0.0, ..trust }
            };
            let (a, b) = (&lexicon.source, &lexicon.target);
            let (of_a, of_b) = (|it| a.is_clitic(it), |it| b.is_clitic(it));
            forward.add_table(&lexicon.forward, &here, (&there, of_b), trust);
            backward.add_table(&lexicon.backward, &there, (&here, of_a), trust);
        }
        let mut both = |a: u32, b: u32, count: f32| {
            forward.add(a, b, count);
            backward.add(b, a, count);
        };
        for (a, term) in (0..).zip(&source.terms) {
            if let Some(b) = target.find(&term.text) {
                both(a, b, SAME_MASS);
            }
        }
        names(source, target, stop, &mut both)?;
        for (&(a, b), &count) in learnt {
            both(a, b, count);
        }
        let of_source = forward.weights(shares.0.rarity(source));
        let of_target = backward.weights(shares.1.rarity(target));
        Ok(Self {
            forward: Direction::new(forward, of_target, target),
            backward: Direction::new(backward, of_source, source),
        })
    }
}

/// Evidence for the translations of each term, added up.
struct Evidence {
    /// For each term: its observations, and its translations.
    rows: Vec<(f32, Vec<(u32, f32)>)>,
    /// For each term: its observations times the bonus of its lexicon.
    telling_more: Vec<f32>,
}

impl Evidence {
    fn new(terms: usize) -> Self {
        Self { rows: vec![(0.0, Vec::new()); terms], telling_more: vec![0.0; terms] }
    }

    fn add(&mut self, from: u32, to: u32, count: f32) {
        let (mass, row) = &mut self.rows[from as usize];
        *mass += count;
        match row.iter_mut().find(|entry| entry.0 == to) {
            Some(entry) => entry.1 += count,
            None => row.push((to, count)),
        }
    }

    /// `here` and `there` map terms to numbers of the lexicon.
    fn add_table(
        &mut self,
        table: &Table,
        here: &Numbers,
        (there, is_clitic): (&Numbers, impl Fn(u32) -> bool),
        trust: Trust,
    ) {
        for &(number, term) in &here.terms {
            let (seen, translations) = table.row(number);
            let scale = trust.mass_max.min(seen) / seen.max(f32::MIN_POSITIVE);
            // Translations that do not occur in this document count as known, too.
            let mut missing = (seen - trust.own).max(0.0);
            for &(translation, probability) in translations {
                if let Some(to) = there.term(translation) {
                    let count = (seen * probability - trust.own).max(0.0);
                    missing -= count;
                    self.add(term, to, count * scale);
                } else if !trust.taken_apart && is_clitic(translation) {
                    missing -= seen * probability;
                }
            }
            let mass = &mut self.rows[term as usize].0;
            *mass += missing.max(0.0) * scale;
            let sure = seen * seen / (seen + JUDGED_HALF);
            self.telling_more[term as usize] += sure * scale * trust.telling_more;
        }
    }

    /// The weights of terms of these rarities.
    fn weights(&self, rarity: Vec<f32>) -> Vec<Weight> {
        let of_term = |(((mass, _), more), rarity): ((&(f32, _), &f32), f32)| {
            let more = (more / mass.max(f32::MIN_POSITIVE)).min(JUDGED - TELLING);
            Weight {
                sure: mass / (mass + KNOWN_HALF),
                telling: TELLING + more,
                share: 1.0 / rarity,
            }
        };
        self.rows.iter().zip(&self.telling_more).zip(rarity).map(of_term).collect()
    }

    fn probabilities(self) -> Vec<Vec<(u32, f32)>> {
        let shared = |(mass, mut row): (f32, Vec<(u32, f32)>)| {
            for entry in &mut row {
                entry.1 /= mass;
            }
            row
        };
        self.rows.into_iter().map(shared).collect()
    }
}

/// The terms of a side that a lexicon has.
struct Numbers {
    /// Number in the lexicon and in the side, in the order of the lexicon.
    terms: Vec<(u32, u32)>,
    /// A bit for the low bits of each number: most translations of a word are not in the other text, which this tells without a
    /// search.
    filter: Vec<u64>,
}

impl Numbers {
    fn new(side: &Side, lexicon: &TermNumbers) -> Self {
        let found = (0..).zip(&side.terms);
        let found = found.filter_map(|(term, it)| Some((lexicon.find(&it.text)?, term)));
        let mut terms: Vec<(u32, u32)> = found.collect();
        terms.sort_unstable();
        let mut numbers =
            Self { filter: vec![0; terms.len().next_power_of_two().max(FILTER_WORDS_MIN)], terms };
        for at in 0..numbers.terms.len() {
            let (word, bit) = numbers.bit(numbers.terms[at].0);
            numbers.filter[word] |= bit;
        }
        numbers
    }

    /// The term with a number of the lexicon.
    fn term(&self, number: u32) -> Option<u32> {
        let (word, bit) = self.bit(number);
        if self.filter[word] & bit == 0 {
            return None;
        }
        let at = self.terms.binary_search_by_key(&number, |it| it.0).ok()?;
        Some(self.terms[at].1)
    }

    fn bit(&self, number: u32) -> (usize, u64) {
        // The number of words is a power of two.
        ((number / u64::BITS) as usize & (self.filter.len() - 1), 1 << (number % u64::BITS))
    }
}

/// Fewest words of the filter of [`Numbers`].
const FILTER_WORDS_MIN: usize = 16;

/// Finds pairs of names with similar consonants.
fn names(
    source: &Side,
    target: &Side,
    stop: Stop<'_>,
    found: &mut impl FnMut(u32, u32, f32),
) -> Result<(), Cancelled> {
    let mut by_first: Vec<(u8, u32, &Skeleton)> = Vec::new();
    for (number, term) in (0..).zip(&source.terms).filter(|(_, term)| term.maybe_name) {
        let mut of_term = term.skeletons.iter().filter(|it| !it.is_empty());
        let (first, second) = (of_term.next(), of_term.next());
        for skeleton in first.into_iter().chain(second.filter(|it| Some(*it) != first)) {
            by_first.push((skeleton.first(), number, skeleton));
        }
    }
    by_first.sort_by_key(|it| it.0);
    for (number, term) in (0..).zip(&target.terms).filter(|(_, term)| term.maybe_name) {
        if stop() {
            return Err(Cancelled);
        }
        let skeleton = &term.skeletons[0];
        let from = by_first.partition_point(|it| it.0 < skeleton.first());
        let candidates = by_first[from..].iter().take_while(|it| it.0 == skeleton.first());
        let mut best: Option<(u32, f32)> = None;
        for &(_, candidate, other) in candidates {
            let likeness = skeleton.likeness(other);
            if likeness > 0.0 && source.terms[candidate as usize].text != term.text {
                let share = if skeleton.len() <= 3 { SHORT_NAME_SHARE } else { 1.0 };
                let mass = NAME_MASS * likeness * likeness * share;
                // A term may match by both of its skeletons.
                match best {
                    Some((same, known)) if same == candidate => {
                        best = Some((same, known.max(mass)));
                    }
                    _ => {
                        if let Some((name, mass)) = best.replace((candidate, mass)) {
                            found(name, number, mass);
                        }
                    }
                }
            }
        }
        if let Some((name, mass)) = best {
            found(name, number, mass);
        }
    }
    Ok(())
}

/// The share of each term of a side in running text. The document alone is too short to estimate it.
struct Shares(Vec<f32>);

impl Shares {
    fn new(side: &Side) -> Self {
        Self(vec![SHARE; side.terms.len()])
    }

    /// Takes the shares of a lexicon where they are larger.
    fn raise(&mut self, numbers: &Numbers, of_lexicon: &[f32]) {
        for &(number, term) in &numbers.terms {
            let share = &mut self.0[term as usize];
            *share = share.max(of_lexicon.get(number as usize).copied().unwrap_or(0.0));
        }
    }

    /// Tokens of running text per occurrence of each term.
    #[expect(clippy::cast_precision_loss)]
    fn rarity(self, side: &Side) -> Vec<f32> {
        let all = side.all_tokens().len() as f32 + SHARE_TOKENS;
        let of_term =
            |(term, share): (&Term, f32)| all / (term.count as f32 + SHARE_TOKENS * share);
        side.terms.iter().zip(self.0).map(of_term).collect()
    }
}
