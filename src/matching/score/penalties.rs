//! Rules by which hits lose points for what their units are, and the points lost by them.

use std::fmt;

use crate::matching::encode::{RowFacts, Vocabulary};
use crate::unit::{Timestamp, UnitId};

/// Computes what the rest of a unit costs; `None` when the unit must not be found.
pub type UnitPenalties<'a> = dyn Fn(UnitId) -> Option<PenaltyPoints> + Sync + 'a;

/// Rules by which hits lose points besides the penalty of the memory; points are in hundredths. The default has no rules.
#[derive(Clone, Copy, Default)]
pub struct Penalties<'a> {
    /// Points of the units by an author.
    pub authors: &'a [(String, u16)],
    /// Points of the units that were last changed before a time.
    pub ages: &'a [(Timestamp, u16)],
    /// Points of every unfinished translation, besides [`Options::state_penalty`](super::Options::state_penalty).
    pub unfinished: u32,
    /// Points that depend on the rest of the unit. Called last, only for units that would otherwise be returned.
    pub of_unit: Option<&'a UnitPenalties<'a>>,
}

impl fmt::Debug for Penalties<'_> {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_struct("Penalties")
            .field("authors", &self.authors)
            .field("ages", &self.ages)
            .field("unfinished", &self.unfinished)
            .field("of_unit", &self.of_unit.is_some())
            .finish()
    }
}

/// Points by the kind of rule, in hundredths; the rules of one kind add up.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub struct PenaltyPoints {
    /// Of the state of the translation.
    pub state: u32,
    /// Of its author.
    pub author: u32,
    /// Of its attributes.
    pub attribute: u32,
    /// Of its age.
    pub age: u32,
    /// Of the confidence of its alignment.
    pub confidence: u32,
    /// Of machine translation.
    pub machine_translation: u32,
}

impl PenaltyPoints {
    /// All points together.
    pub(crate) fn total(&self) -> u32 {
        let Self { state, author, attribute, age, confidence, machine_translation } = *self;
        [state, author, attribute, age, confidence, machine_translation]
            .into_iter()
            .fold(0, u32::saturating_add)
    }

    fn plus(&self, other: &Self) -> Self {
        Self {
            state: self.state.saturating_add(other.state),
            author: self.author.saturating_add(other.author),
            attribute: self.attribute.saturating_add(other.attribute),
            age: self.age.saturating_add(other.age),
            confidence: self.confidence.saturating_add(other.confidence),
            machine_translation: self.machine_translation.saturating_add(other.machine_translation),
        }
    }
}

/// [`Penalties`] in the numbers of one vocabulary.
pub(crate) struct EncodedPenalties<'a> {
    penalties: Penalties<'a>,
    authors: Vec<(u32, u16)>,
    /// Whether rules depend on the facts of a row.
    by_facts: bool,
}

impl<'a> EncodedPenalties<'a> {
    pub(crate) fn new(penalties: Penalties<'a>, vocabulary: &Vocabulary) -> Self {
        let known = |(name, points): &(String, u16)| Some((vocabulary.find_text(name)?, *points));
        let authors: Vec<_> = penalties.authors.iter().filter_map(known).collect();
        let by_facts =
            !authors.is_empty() || !penalties.ages.is_empty() || penalties.unfinished > 0;
        Self { penalties, authors, by_facts }
    }

    /// The points that a row loses by its facts; `None` when no rule depends on them.
    pub(crate) fn by_facts(&self, facts: &RowFacts) -> Option<PenaltyPoints> {
        if !self.by_facts {
            return None;
        }
        let sum = |points: &mut dyn Iterator<Item = u16>| points.map(u32::from).sum();
        let by_author = &mut self.authors.iter().filter(|it| it.0 == facts.author);
        let by_age = &mut self.penalties.ages.iter().filter(|it| facts.changed < it.0);
        Some(PenaltyPoints {
            state: if facts.unfinished { self.penalties.unfinished } else { 0 },
            author: sum(&mut by_author.map(|it| it.1)),
            age: sum(&mut by_age.map(|it| it.1)),
            ..PenaltyPoints::default()
        })
    }

    /// Whether rules depend on more than the facts of a row.
    pub(crate) fn reads_units(&self) -> bool {
        self.penalties.of_unit.is_some()
    }

    /// All points that a unit loses; `None` when it must not be found.
    pub(crate) fn of_unit(&self, facts: &RowFacts) -> Option<PenaltyPoints> {
        let by_facts = self.by_facts(facts).unwrap_or_default();
        match self.penalties.of_unit {
            Some(of_unit) => Some(by_facts.plus(&of_unit(facts.unit)?)),
            None => Some(by_facts),
        }
    }
}
