//! Rules by which matches lose points for what their units are, and what a memory says of its matches.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::content::{ContextMode, Timestamp, UnitContent};
use super::diagnostics::ValidationError;
use super::score::Score;

/// The attribute of a unit that its file calls unfinished; its value is the state that the file gives.
pub const UNFINISHED_ATTRIBUTE: &str = "unfinished";
/// The attribute with the confidence, from 0 to 1, of a unit that was aligned automatically.
pub const CONFIDENCE_ATTRIBUTE: &str = "alignment-confidence";

/// A rule by which matches lose points.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PenaltyRule {
    /// What a match loses if its unit meets the condition.
    pub points: Score,
    /// The condition.
    pub condition: PenaltyCondition,
}

/// A condition on a unit that costs its matches points.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum PenaltyCondition {
    /// Its author is this.
    Author(String),
    /// It has this attribute, with this value if there is one.
    Attribute {
        /// Name of the attribute.
        name: String,
        /// Its value; `None` for any.
        value: Option<String>,
    },
    /// It was last changed longer ago than this.
    OlderThan(Duration),
    /// It was aligned automatically, with less confidence than this.
    ConfidenceBelow(Confidence),
    /// A machine translated it, see [`UnitContent::is_machine_translated`].
    MachineTranslated,
    /// Its file called the translation unfinished.
    Unfinished {
        /// In this state; `None` for any.
        state: Option<String>,
    },
}

/// A confidence from 0 to 1, in millionths.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Confidence {
    millionths: u32,
}

impl Confidence {
    /// From 0.0 to 1.0, rounded to the millionth.
    ///
    /// # Errors
    /// When the value is not a number from 0 to 1.
    pub fn new(confidence: f64) -> Result<Self, ValidationError> {
        if !(0.0..=1.0).contains(&confidence) {
            let what = format!("{confidence} is not a confidence: a number from 0 to 1");
            return Err(ValidationError(what));
        }
        // In range by the check above.
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
        let millionths = (confidence * 1e6).round() as u32;
        Ok(Self { millionths })
    }

    /// From 0.0 to 1.0.
    pub fn value(self) -> f64 {
        f64::from(self.millionths) / 1e6
    }
}

impl PenaltyCondition {
    /// Whether a unit meets it at a time.
    pub fn is_met_by(&self, content: &UnitContent, now: Timestamp) -> bool {
        let attribute = |name: &str| content.attributes.get(name).map(String::as_str);
        let has = |name: &str, wanted: &Option<String>| {
            let value = attribute(name);
            value.is_some() && wanted.as_deref().is_none_or(|wanted| value == Some(wanted))
        };
        match self {
            Self::Author(author) => content.author == *author,
            Self::Attribute { name, value } => has(name, value),
            Self::OlderThan(age) => content.changed.unwrap_or_default() < now.before(*age),
            Self::ConfidenceBelow(least) => {
                let confidence = attribute(CONFIDENCE_ATTRIBUTE).and_then(|it| it.parse().ok());
                confidence.is_some_and(|it: f64| it < least.value())
            }
            Self::MachineTranslated => content.is_machine_translated(),
            Self::Unfinished { state } => has(UNFINISHED_ATTRIBUTE, state),
        }
    }
}

impl Timestamp {
    /// The time this long before.
    #[must_use]
    pub fn before(self, time: Duration) -> Self {
        let micros = i64::try_from(time.as_micros()).unwrap_or(i64::MAX);
        Self { micros: self.micros.saturating_sub(micros) }
    }
}

/// Authors that stand for a machine: `MT!` in memories of `MyMemory`, `MT` in those of other tools.
const MACHINE_AUTHORS: [&str; 2] = ["MT!", "MT"];
/// Attributes that tell how a translation came about.
///
/// `origin`: of a candidate in XLIFF 1.2 (2.3.3) and of a segment in SDLXLIFF. `state-qualifier`: of a target in XLIFF 1.2. `type`: of a
/// match in XLIFF 2 (5.1.3.2). `mq:status`: of a unit in MQXLIFF. `x-origin`, `x-Origin`: in TMX files of Trados. `unfinished`: the
/// state of an unfinished translation, whatever the format.
const ORIGIN_ATTRIBUTES: [&str; 7] = [
    "origin",
    "state-qualifier",
    "type",
    "mq:status",
    "x-origin",
    "x-Origin",
    UNFINISHED_ATTRIBUTE,
];
/// Their values for a machine, in lower case.
const MACHINE_ORIGINS: [&str; 9] = [
    "mt",
    "mt-suggestion",
    "leveraged-mt",
    "nmt",
    "amt",
    "machinetranslated",
    "machinetranslation",
    "machine-translation",
    "adaptivemachinetranslation",
];

impl UnitContent {
    /// Whether its author or an attribute says that a machine translated it.
    ///
    /// A translation that somebody changed afterwards has another author, and only its creator is the machine: it does not count.
    pub fn is_machine_translated(&self) -> bool {
        let by_machine = |value: &String| {
            MACHINE_ORIGINS.iter().any(|origin| value.trim().eq_ignore_ascii_case(origin))
        };
        let origins = || ORIGIN_ATTRIBUTES.iter().filter_map(|name| self.attributes.get(*name));
        MACHINE_AUTHORS.iter().any(|author| self.author.eq_ignore_ascii_case(author))
            || !self.attributes.is_empty() && origins().any(by_machine)
    }
}

/// How lookups score the matches of a memory when they do not say otherwise.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Scoring {
    /// Points that every match loses, unless the lookup gives the memory a penalty of its own.
    pub default_penalty: Score,
    /// Rules by which its matches lose points, in every lookup.
    pub penalty_rules: Vec<PenaltyRule>,
    /// How contexts that are missing count. Stored only in the layouts that can hold it, see `codec` of the store.
    #[serde(skip)]
    pub context_mode: ContextMode,
}

impl Scoring {
    /// Whether nothing is set.
    pub fn is_default(&self) -> bool {
        *self == Self::default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn content(author: &str, attributes: &[(&str, &str)]) -> UnitContent {
        let pair = |(name, value): &(&str, &str)| ((*name).to_owned(), (*value).to_owned());
        UnitContent {
            author: author.into(),
            attributes: attributes.iter().map(pair).collect(),
            changed: Some(Timestamp { micros: 1_000_000 }),
            ..UnitContent::default()
        }
    }

    #[test]
    fn machines_are_known_by_author_and_origin() {
        for (author, attributes) in [
            ("MT!", &[][..]),
            ("mt", &[]),
            ("", &[("origin", "mt")]),
            ("huda", &[("state-qualifier", "leveraged-mt")]),
            ("huda", &[("state-qualifier", "mt-suggestion")]),
            ("huda", &[("type", "mt")]),
            ("huda", &[("mq:status", "MachineTranslated")]),
            ("huda", &[("x-Origin", "MachineTranslation")]),
            ("huda", &[("unfinished", "MachineTranslated")]),
        ] {
            assert!(content(author, attributes).is_machine_translated(), "{author} {attributes:?}");
        }
        for (author, attributes) in [
            ("", &[][..]),
            ("MTA", &[]),
            ("huda", &[("creationid", "MT!")]),
            ("huda", &[("origin", "tm")]),
            ("huda", &[("note", "mt")]),
        ] {
            assert!(
                !content(author, attributes).is_machine_translated(),
                "{author} {attributes:?}"
            );
        }
    }

    #[test]
    fn a_condition_is_met_only_as_it_says() {
        let is_met = |condition: PenaltyCondition, content: &UnitContent, seconds: i64| {
            condition.is_met_by(content, Timestamp { micros: seconds * 1_000_000 })
        };
        let below = |it| PenaltyCondition::ConfidenceBelow(Confidence::new(it).unwrap());
        for (written, threshold, expected) in [
            ("0.7999", 0.8, true),
            ("0.8", 0.8, false),
            ("0.80001", 0.8, false),
            ("0", 0.000_001, true),
            ("NaN", 1.0, false),
            ("high", 1.0, false),
        ] {
            let unit = content("", &[(CONFIDENCE_ATTRIBUTE, written)]);
            assert_eq!(is_met(below(threshold), &unit, 0), expected, "{written} {threshold}");
        }
        assert!(!is_met(below(1.0), &content("", &[]), 0), "without a confidence");
        let older = |seconds| PenaltyCondition::OlderThan(Duration::from_secs(seconds));
        assert!(is_met(older(9), &content("", &[]), 11));
        assert!(!is_met(older(10), &content("", &[]), 11));
        assert!(!is_met(PenaltyCondition::OlderThan(Duration::MAX), &content("", &[]), 11));
        let state =
            |state: Option<&str>| PenaltyCondition::Unfinished { state: state.map(Into::into) };
        let unit = content("", &[(UNFINISHED_ATTRIBUTE, "fuzzy")]);
        assert!(is_met(state(None), &unit, 0) && is_met(state(Some("fuzzy")), &unit, 0));
        assert!(
            !is_met(state(Some("new")), &unit, 0) && !is_met(state(None), &content("", &[]), 0)
        );
        for bad in [-0.1, 1.000_1, f64::NAN, f64::INFINITY] {
            assert!(Confidence::new(bad).is_err());
        }
    }
}
