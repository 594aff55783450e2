//! Prepares the penalty rules of a lookup and of its memories for a search.

use crate::limits::PENALTY_RULES_MAX;
use crate::matching::{Penalties, PenaltyPoints, UnitPenalties};
use crate::unit::{PenaltyCondition, PenaltyRule, Timestamp, UnitContent};

use crate::engine::error::EngineError;

/// Checks the number of rules.
///
/// # Errors
/// There are too many. `field` is their name in the request.
pub(crate) fn check_rules(rules: &[PenaltyRule], field: &str) -> Result<(), EngineError> {
    if rules.len() <= PENALTY_RULES_MAX {
        return Ok(());
    }
    let what = format!("{} rules; at most {PENALTY_RULES_MAX}", rules.len());
    Err(EngineError::invalid(field, what))
}

/// The rules for the matches of one memory, by what decides them.
#[derive(Debug, Default)]
pub(crate) struct PreparedRules {
    authors: Vec<(String, u16)>,
    ages: Vec<(Timestamp, u16)>,
    unfinished: u32,
    /// Rules that only the unit itself decides.
    of_unit: Vec<PenaltyRule>,
    now: Timestamp,
}

impl PreparedRules {
    pub(crate) fn new<'a>(
        rules: impl IntoIterator<Item = &'a PenaltyRule>,
        now: Timestamp,
    ) -> Self {
        let mut prepared = Self { now, ..Self::default() };
        for rule in rules {
            let points = rule.points.hundredths();
            match &rule.condition {
                PenaltyCondition::Author(author) => prepared.authors.push((author.clone(), points)),
                PenaltyCondition::OlderThan(age) => prepared.ages.push((now.before(*age), points)),
                PenaltyCondition::Unfinished { state: None } => {
                    prepared.unfinished += u32::from(points);
                }
                PenaltyCondition::Attribute { .. }
                | PenaltyCondition::ConfidenceBelow(_)
                | PenaltyCondition::MachineTranslated
                | PenaltyCondition::Unfinished { .. } => prepared.of_unit.push(rule.clone()),
            }
        }
        prepared
    }

    /// Whether rules depend on more than the index knows.
    pub(crate) fn read_units(&self) -> bool {
        !self.of_unit.is_empty()
    }

    /// The rules as a search applies them.
    pub(crate) fn for_search<'a>(
        &'a self,
        of_unit: Option<&'a UnitPenalties<'a>>,
    ) -> Penalties<'a> {
        let Self { authors, ages, unfinished, .. } = self;
        Penalties { authors, ages, unfinished: *unfinished, of_unit }
    }

    /// What a unit loses by the rules that the index does not decide.
    pub(crate) fn of_unit(&self, content: &UnitContent) -> PenaltyPoints {
        let mut points = PenaltyPoints::default();
        for PenaltyRule { points: lost, condition } in &self.of_unit {
            let sum = match condition {
                PenaltyCondition::Attribute { .. } => &mut points.attribute,
                PenaltyCondition::ConfidenceBelow(_) => &mut points.confidence,
                PenaltyCondition::MachineTranslated => &mut points.machine_translation,
                PenaltyCondition::Unfinished { .. } => &mut points.state,
                PenaltyCondition::Author(_) => &mut points.author,
                PenaltyCondition::OlderThan(_) => &mut points.age,
            };
            if condition.is_met_by(content, self.now) {
                *sum += u32::from(lost.hundredths());
            }
        }
        points
    }
}
