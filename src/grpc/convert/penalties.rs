//! Rules by which matches lose points.

use std::time::Duration;

use crate::unit::{Confidence, PenaltyCondition, PenaltyRule, Score};

use super::super::proto;
use super::super::proto::penalty::Condition;
use super::{FieldViolation, Within as _};

/// The rules in a field. The engine checks their number.
pub(crate) fn penalty_rules(
    field: &str,
    rules: Vec<proto::Penalty>,
) -> Result<Vec<PenaltyRule>, FieldViolation> {
    let rules = rules
        .into_iter()
        .enumerate()
        .map(|(index, rule)| PenaltyRule::try_from(rule).within(format_args!("{field}[{index}]")));
    rules.collect()
}

/// Points of a penalty, from 0 to 100.
pub(crate) fn penalty_points(field: &str, points: f64) -> Result<Score, FieldViolation> {
    Score::from_points(points).map_err(|error| FieldViolation::new(field, error.0))
}

impl TryFrom<proto::Penalty> for PenaltyRule {
    type Error = FieldViolation;

    fn try_from(rule: proto::Penalty) -> Result<Self, FieldViolation> {
        let points = penalty_points("points", rule.points)?;
        let Some(condition) = rule.condition else {
            return Err(FieldViolation::new(
                "condition",
                "what must a unit be to lose the points?",
            ));
        };
        let condition = match condition {
            Condition::Author(author) => PenaltyCondition::Author(author),
            Condition::Attribute(attribute) => {
                if attribute.name.is_empty() {
                    return Err(FieldViolation::new("attribute.name", "which attribute?"));
                }
                let value = Some(attribute.value).filter(|value| !value.is_empty());
                PenaltyCondition::Attribute { name: attribute.name, value }
            }
            Condition::OlderThan(age) => {
                let age = Duration::try_from(age)
                    .map_err(|_| FieldViolation::new("older_than", "it is less than nothing"))?;
                PenaltyCondition::OlderThan(age)
            }
            Condition::ConfidenceBelow(least) => {
                let least = Confidence::new(least)
                    .map_err(|error| FieldViolation::new("confidence_below", error.0))?;
                PenaltyCondition::ConfidenceBelow(least)
            }
            Condition::MachineTranslated(true) => PenaltyCondition::MachineTranslated,
            Condition::MachineTranslated(false) => {
                let what = "only true is a condition";
                return Err(FieldViolation::new("machine_translated", what));
            }
            Condition::UnfinishedState(state) => {
                let state = Some(state).filter(|state| !state.is_empty());
                PenaltyCondition::Unfinished { state }
            }
        };
        Ok(Self { points, condition })
    }
}

impl From<&PenaltyRule> for proto::Penalty {
    fn from(rule: &PenaltyRule) -> Self {
        let condition = match rule.condition.clone() {
            PenaltyCondition::Author(author) => Condition::Author(author),
            PenaltyCondition::Attribute { name, value } => {
                let value = value.unwrap_or_default();
                Condition::Attribute(proto::AttributePenalty { name, value })
            }
            PenaltyCondition::OlderThan(age) => Condition::OlderThan(prost_types::Duration {
                seconds: i64::try_from(age.as_secs()).unwrap_or(i64::MAX),
                nanos: i32::try_from(age.subsec_nanos()).unwrap_or_default(),
            }),
            PenaltyCondition::ConfidenceBelow(least) => Condition::ConfidenceBelow(least.value()),
            PenaltyCondition::MachineTranslated => Condition::MachineTranslated(true),
            PenaltyCondition::Unfinished { state } => {
                Condition::UnfinishedState(state.unwrap_or_default())
            }
        };
        Self { points: rule.points.points(), condition: Some(condition) }
    }
}
