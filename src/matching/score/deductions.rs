//! Computes the score of a match and why it is not 100 %, in integers.
//!
//! Scores are hundredths of a point and distances thousandths of a word, so that every machine ranks alike. Knows
//! nothing of texts, tokens or indexes.

use serde::{Deserialize, Serialize};

use crate::limits::FUZZY_EDITS_MAX;
use crate::text::Differences;
use crate::unit::Score;

use super::penalties::PenaltyPoints;

/// Version of the score: raised whenever two texts may get another score than before.
pub const SCORE_VERSION: u32 = 6;

/// Cost of a whole word in a distance; distances are in thousandths of a word.
pub const WORD_COST: u32 = 1000;

/// Cost of a number in place of another: it will be replaced anyway, so it costs little and always the same.
pub const NUMBER_COST: u32 = 100;

/// Longest folded token, in characters, that is compared by characters. Longer tags and placeholders are compared by
/// their parts; a longer word that differs (a page of base64) counts as another word.
pub const GRADED_CHARS_MAX: usize = 512;

/// Deduction for one kind of spelling difference, in hundredths.
const DIFFERENCE_HUNDREDTHS: u16 = 100;

/// Most that all spelling differences deduct together, in hundredths: such a match scores 97 or more.
const FORMS_HUNDREDTHS_MAX: u16 = 300;

/// Deduction for different markup, in hundredths. More than a spelling difference and outside their common maximum:
/// of two sources that differ from the query in nothing else, the one with its markup ranks first.
const MARKUP_HUNDREDTHS: u16 = 200;

const FULL_HUNDREDTHS: u16 = 10_000;

/// Why a match is not 100 %, in the order in which points are deducted.
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
    /// Different markup characters, such as `**`.
    Markup,
    /// Different inline tags.
    Tags,
    /// The translation is not finished.
    State,
    /// Who wrote the translation.
    Author,
    /// An attribute of the unit.
    Attribute,
    /// The time since the unit was last changed.
    Age,
    /// The confidence with which the unit was aligned.
    Confidence,
    /// The translation is a machine's.
    MachineTranslation,
    /// The penalty of the memory.
    Penalty,
}

impl Reason {
    /// All reasons, in the order in which points are deducted.
    pub const ALL: [Self; 18] = [
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
        Self::Author,
        Self::Attribute,
        Self::Age,
        Self::Confidence,
        Self::MachineTranslation,
        Self::Penalty,
    ];

    /// Whether a penalty takes the points, and not a difference between the texts.
    pub fn is_penalty(self) -> bool {
        matches!(
            self,
            Self::State
                | Self::Author
                | Self::Attribute
                | Self::Age
                | Self::Confidence
                | Self::MachineTranslation
                | Self::Penalty
        )
    }

    /// A stable lower-case name for users and programs.
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
            Self::Author => "author",
            Self::Attribute => "attribute",
            Self::Age => "age",
            Self::Confidence => "confidence",
            Self::MachineTranslation => "machine-translation",
            Self::Penalty => "penalty",
        }
    }
}

/// The spelling differences with their reasons, in the order in which points are deducted.
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

/// Deducted points by reason, in hundredths. Together with the score they always add up to 10,000.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub struct Deductions {
    points: [u16; Reason::ALL.len()],
}

impl Deductions {
    /// Points deducted for a reason, in hundredths.
    pub fn hundredths(&self, reason: Reason) -> u16 {
        self.points[reason as usize]
    }

    /// The reasons that deducted points, with hundredths.
    pub fn iter(&self) -> impl Iterator<Item = (Reason, u16)> + '_ {
        let all = Reason::ALL.into_iter().zip(self.points);
        all.filter(|&(_, points)| points > 0)
    }

    /// What penalties deducted, in hundredths: not the differences of the texts.
    pub fn penalty_hundredths(&self) -> u16 {
        let is_penalty = |reason: Reason| reason >= Reason::State;
        self.iter().filter(|(reason, _)| is_penalty(*reason)).map(|(_, points)| points).sum()
    }

    /// The score after all deductions.
    pub fn score(&self) -> Score {
        // The points never add up to more than 10,000, see `take`.
        Score::FULL.minus_hundredths(self.points.iter().map(|&points| u32::from(points)).sum())
    }

    /// Deducts points for a reason, at most as many as are left.
    fn take(&mut self, reason: Reason, hundredths: impl Into<u32>) {
        let hundredths = hundredths.into();
        if hundredths > 0 {
            let left = self.score().hundredths();
            self.points[reason as usize] +=
                u16::try_from(hundredths).map_or(left, |it| it.min(left));
        }
    }

    /// Deducts what a hit loses for its unit: for an unfinished translation, by rules, and as the penalty of the memory.
    pub(crate) fn penalize(&mut self, state: u16, rules: Option<&PenaltyPoints>, penalty: u16) {
        let state = u32::from(state);
        self.take(Reason::State, rules.map_or(state, |rules| state.saturating_add(rules.state)));
        if let Some(rules) = rules {
            self.take(Reason::Author, rules.author);
            self.take(Reason::Attribute, rules.attribute);
            self.take(Reason::Age, rules.age);
            self.take(Reason::Confidence, rules.confidence);
            self.take(Reason::MachineTranslation, rules.machine_translation);
        }
        self.take(Reason::Penalty, penalty);
    }

    /// The deductions for differences from the query, without those for the unit.
    pub(crate) fn of_text(mut self) -> Self {
        self.points[Reason::State as usize..].fill(0);
        self
    }
}

impl FromIterator<(Reason, u16)> for Deductions {
    fn from_iter<T: IntoIterator<Item = (Reason, u16)>>(taken: T) -> Self {
        let mut deductions = Self::default();
        for (reason, hundredths) in taken {
            deductions.take(reason, hundredths);
        }
        deductions
    }
}

/// What is known of a match when its score is worked out.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Findings {
    /// What the edits leave, in hundredths.
    pub(crate) base: u16,
    /// Canonical texts and tags are equal.
    pub(crate) exact: bool,
    pub(crate) differences: Differences,
    pub(crate) tags_differ: bool,
}

/// Computes the deductions of a match for its differences from the query.
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
    // Only exact matches score 100: a distance below a hundredth, or a difference without a name, counts once.
    if !findings.exact && deductions.score() == Score::FULL {
        deductions.take(Reason::Other, DIFFERENCE_HUNDREDTHS);
    }
    deductions
}

/// What a distance leaves of 10,000 hundredths when the longer segment has `longest` tokens (≥ 1).
pub(crate) fn base_hundredths(distance: u32, longest: usize) -> u16 {
    let (distance, longest) = (u64::from(distance), longest as u64);
    // round(10,000 · distance / (1000 · longest)), halves up.
    let lost = (20 * distance + longest) / (2 * longest);
    FULL_HUNDREDTHS - u16::try_from(lost).map_or(FULL_HUNDREDTHS, |lost| lost.min(FULL_HUNDREDTHS))
}

/// The largest distance of a match with at least `base` hundredths: the inverse of [`base_hundredths`], limited to
/// [`FUZZY_EDITS_MAX`] words.
pub(crate) fn distance_max(base: u16, longest: usize) -> u32 {
    let lost = u64::from(FULL_HUNDREDTHS.saturating_sub(base));
    // floor((20·D + m) / 2m) ≤ lost  ⇔  20·D ≤ m·(2·lost + 1) − 1
    let distance = ((longest as u64) * (2 * lost + 1)).saturating_sub(1) / 20;
    let most = u64::from(WORD_COST) * FUZZY_EDITS_MAX as u64;
    u32::try_from(distance.min(most)).unwrap_or(u32::MAX)
}

/// Cost of a token in place of another of its class, from the distance of their folded forms in characters and the
/// length of the longer one.
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
                    let findings = Findings { base, exact, differences, tags_differ };
                    let of_text = deductions(findings);
                    let mut found = of_text;
                    let rules = PenaltyPoints { author: 70, age: u32::MAX, ..Default::default() };
                    found.penalize(1_000, Some(&rules), penalty);
                    assert_eq!((found.score(), found.of_text()), (Score::ZERO, of_text));
                    let mut found = of_text;
                    found.penalize(0, None, penalty);
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
