//! How much is a distance worth, and what takes points away? The arithmetic of the score, in integers only.
//!
//! Scores are hundredths of a point and distances are thousandths of a word, so that every machine orders alike. Knows
//! nothing of texts, tokens or indexes.

use serde::{Deserialize, Serialize};

use crate::limits::FUZZY_EDITS_MAX;
use crate::text::Differences;
use crate::unit::Score;

/// Version of the score: raised whenever the same two texts may get another score than before.
pub const SCORE_VERSION: u32 = 6;

/// What a whole word costs in a distance: the unit of every distance of this module is 1/1000 word.
pub const WORD_COST: u32 = 1000;

/// What a number costs in place of another number: it is substituted anyway, so it costs little and always the same.
pub const NUMBER_COST: u32 = 100;

/// Longest folded token, in characters, whose difference from another is measured in characters. A longer tag or placeholder
/// is compared by its parts, and a longer word that differs (a page of base64) counts as another word.
pub const GRADED_CHARS_MAX: usize = 512;

/// What one named difference takes away, in hundredths.
const DIFFERENCE_HUNDREDTHS: u16 = 100;

/// What all differences of form take away mode at most, in hundredths: such a match reads 97 or more.
const FORMS_HUNDREDTHS_MAX: u16 = 300;

/// What other markup takes away, in hundredths. More than a difference of form, and not among those that have a most: of two
/// sources that differ from the query in nothing else, the one with its markup is always first.
const MARKUP_HUNDREDTHS: u16 = 200;

const FULL_HUNDREDTHS: u16 = 10_000;

/// Why a match lost points, in the order in which points are taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Reason {
    /// Words are replaced, missing or added.
    Edited,
    /// Vowel marks of otherwise equal words.
    Marks,
    /// Lengthening strokes of otherwise equal words.
    Tatweel,
    /// Variants of a letter in otherwise equal words.
    Letters,
    /// Upper and lower case.
    Case,
    /// How a number is written: the script of its digits, its separators, the side of its sign.
    Digits,
    /// Punctuation.
    Punctuation,
    /// White space.
    Spacing,
    /// Any other difference in writing.
    Other,
    /// Marks of markup, such as `**`.
    Markup,
    /// The inline tags are not the same.
    Tags,
    /// The translation is not finished.
    State,
    /// The memory is trusted less.
    Penalty,
}

impl Reason {
    /// Every reason, in the order in which points are taken.
    pub const ALL: [Self; 13] = [
        Self::Edited,
        Self::Marks,
        Self::Tatweel,
        Self::Letters,
        Self::Case,
        Self::Digits,
        Self::Punctuation,
        Self::Spacing,
        Self::Other,
        Self::Markup,
        Self::Tags,
        Self::State,
        Self::Penalty,
    ];

    /// A stable lower-case name for people and programs.
    pub fn name(self) -> &'static str {
        match self {
            Self::Edited => "edited",
            Self::Marks => "marks",
            Self::Tatweel => "tatweel",
            Self::Letters => "letters",
            Self::Case => "case",
            Self::Digits => "digits",
            Self::Punctuation => "punctuation",
            Self::Spacing => "spacing",
            Self::Other => "other",
            Self::Markup => "markup",
            Self::Tags => "tags",
            Self::State => "state",
            Self::Penalty => "penalty",
        }
    }
}

/// The differences of form with their reasons, in the order in which points are taken.
const FORMS: [(Differences, Reason); 8] = [
    (Differences::MARKS, Reason::Marks),
    (Differences::TATWEEL, Reason::Tatweel),
    (Differences::LETTERS, Reason::Letters),
    (Differences::CASE, Reason::Case),
    (Differences::DIGITS, Reason::Digits),
    (Differences::PUNCTUATION, Reason::Punctuation),
    (Differences::SPACING, Reason::Spacing),
    (Differences::OTHER, Reason::Other),
];

/// Where the points went: hundredths by reason. ConcordanceMode with the score they always make 10,000.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub struct Deductions {
    points: [u16; Reason::ALL.len()],
}

impl Deductions {
    /// What one reason took, in hundredths.
    pub fn hundredths(&self, reason: Reason) -> u16 {
        self.points[reason as usize]
    }

    /// The reasons that took something, with hundredths.
    pub fn iter(&self) -> impl Iterator<Item = (Reason, u16)> + '_ {
        let all = Reason::ALL.into_iter().zip(self.points);
        all.filter(|&(_, points)| points > 0)
    }

    /// The score that is left.
    pub fn score(&self) -> Score {
        // The points never add up to more than 10,000, see `take`.
        Score::FULL.minus_hundredths(self.points.iter().map(|&points| u32::from(points)).sum())
    }

    /// Takes points for a reason, never more than there are.
    fn take(&mut self, reason: Reason, hundredths: u16) {
        self.points[reason as usize] += hundredths.min(self.score().hundredths());
    }
}

/// What is known of a match when its score is worked out.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Findings {
    /// What is left after the edits, in hundredths.
    pub(crate) base: u16,
    /// Canonical texts and tags are equal.
    pub(crate) exact: bool,
    pub(crate) differences: Differences,
    pub(crate) tags_differ: bool,
    /// For a translation that is not finished, in hundredths.
    pub(crate) state: u16,
    /// Of the memory, in hundredths.
    pub(crate) penalty: u16,
}

/// Every deduction of a match.
pub(crate) fn deductions(findings: Findings) -> Deductions {
    let mut deductions = Deductions::default();
    deductions.take(Reason::Edited, FULL_HUNDREDTHS - findings.base);
    let mut left_for_forms = FORMS_HUNDREDTHS_MAX;
    for (difference, reason) in FORMS {
        if findings.differences.contains(difference) && left_for_forms > 0 {
            deductions.take(reason, DIFFERENCE_HUNDREDTHS);
            left_for_forms -= DIFFERENCE_HUNDREDTHS;
        }
    }
    if findings.differences.contains(Differences::MARKUP) {
        deductions.take(Reason::Markup, MARKUP_HUNDREDTHS);
    }
    if findings.tags_differ {
        deductions.take(Reason::Tags, DIFFERENCE_HUNDREDTHS);
    }
    // Only what is exact reads 100: a distance too small for a hundredth, or a difference without a name, counts once.
    if !findings.exact && deductions.score() == Score::FULL {
        deductions.take(Reason::Other, DIFFERENCE_HUNDREDTHS);
    }
    deductions.take(Reason::State, findings.state);
    deductions.take(Reason::Penalty, findings.penalty);
    deductions
}

/// What is left of 10,000 hundredths at a distance between segments of which the longer has `longest` tokens (≥ 1).
pub(crate) fn base_hundredths(distance: u32, longest: usize) -> u16 {
    let (distance, longest) = (u64::from(distance), longest as u64);
    // round(10,000 · distance / (1000 · longest)), halves up.
    let lost = (20 * distance + longest) / (2 * longest);
    FULL_HUNDREDTHS - u16::try_from(lost).map_or(FULL_HUNDREDTHS, |lost| lost.min(FULL_HUNDREDTHS))
}

/// The largest distance of a match with at least `base` hundredths: the inverse of [`base_hundredths`], but never more than
/// [`FUZZY_EDITS_MAX`] words.
pub(crate) fn distance_max(base: u16, longest: usize) -> u32 {
    let lost = u64::from(FULL_HUNDREDTHS.saturating_sub(base));
    // floor((20·D + m) / 2m) ≤ lost  ⇔  20·D ≤ m·(2·lost + 1) − 1
    let distance = ((longest as u64) * (2 * lost + 1)).saturating_sub(1) / 20;
    let most = u64::from(WORD_COST) * FUZZY_EDITS_MAX as u64;
    u32::try_from(distance.min(most)).unwrap_or(u32::MAX)
}

/// What a token costs in place of another of the same class, given the distance of their folded forms in characters and
/// the characters of the longer one.
pub(crate) fn graded_cost(distance: u32, longest: usize) -> u32 {
    let (distance, longest) = (u64::from(distance), longest.max(1) as u64);
    let cost = (2 * u64::from(WORD_COST) * distance + longest) / (2 * longest);
    u32::try_from(cost).map_or(WORD_COST, |cost| cost.clamp(1, WORD_COST))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn distance_max_is_the_inverse_of_base() {
        for longest in [1, 2, 3, 7, 13, 64, 100, 333, 4_000] {
            for base in [0, 1, 4_999, 5_000, 6_999, 7_000, 7_001, 9_876, 9_999, 10_000] {
                let most = distance_max(base, longest);
                assert!(base_hundredths(most, longest) >= base, "{longest} {base}");
                let is_longest = most == WORD_COST * u32::try_from(FUZZY_EDITS_MAX).unwrap();
                let next = base_hundredths(most + 1, longest);
                assert!(base == 0 || is_longest || next < base, "{longest} {base}");
            }
        }
    }

    #[test]
    fn points_and_score_add_up() {
        for base in [0, 50, 150, 9_950, 10_000] {
            for bits in 0..1 << 9 {
                for (tags_differ, penalty) in [(false, 0), (true, 0), (true, 9_990), (false, 500)] {
                    let differences = Differences::from_bits_truncate(bits);
                    let exact = false;
                    let findings =
                        Findings { base, exact, differences, tags_differ, state: 0, penalty };
                    let found = deductions(findings);
                    let taken: u16 = found.iter().map(|(_, points)| points).sum();
                    assert_eq!(taken + found.score().hundredths(), FULL_HUNDREDTHS);
                    if base == FULL_HUNDREDTHS && !tags_differ && penalty == 0 {
                        let forms = found.score().hundredths() + found.hundredths(Reason::Markup);
                        assert!((9_700..=10_000).contains(&forms));
                        assert!(found.score().hundredths() <= 9_900);
                    }
                }
            }
        }
    }
}
