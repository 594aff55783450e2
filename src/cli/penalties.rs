//! The flags by which matches lose points, and their written form: `CONDITION:POINTS`.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use clap::Args;

use crate::unit::{Confidence, PenaltyCondition, PenaltyRule, Score};

/// Rules for all memories of a lookup.
#[derive(Debug, Clone, Args)]
pub(super) struct PenaltyFlags {
    /// Deduct points from matches that meet a condition, in all memories: author=NAME:5, attribute=KEY:5, attribute=KEY=VALUE:5,
    /// older-than=365d:5 (days, or h, w, y), confidence-below=0.8:5, machine-translation:5, unfinished:5, unfinished=STATE:5. May be
    /// repeated; the points add up.
    #[arg(long = "penalty-rule", value_name = "CONDITION:POINTS")]
    rules: Vec<WrittenRule>,
}

impl PenaltyFlags {
    pub(super) fn rules(&self) -> Vec<PenaltyRule> {
        self.rules.iter().map(|rule| rule.0.clone()).collect()
    }
}

/// A rule as written on the command line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct WrittenRule(pub(super) PenaltyRule);

const CONDITIONS: &str = "author=NAME, attribute=KEY, attribute=KEY=VALUE, older-than=365d, confidence-below=0.8, machine-translation, \
                          unfinished or unfinished=STATE";

impl FromStr for WrittenRule {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        // Names may contain a colon, points do not.
        let parts = text.rsplit_once(':');
        let (condition, points) = parts.ok_or_else(|| {
            format!("'{text}' does not end in its points, as in author=NAME:5 or unfinished:10")
        })?;
        let points = points.trim().parse().ok().and_then(|points| Score::from_points(points).ok());
        let points =
            points.ok_or_else(|| format!("'{text}' does not end in points from 0 to 100"))?;
        let condition = self::condition(condition)?;
        Ok(Self(PenaltyRule { points, condition }))
    }
}

fn condition(text: &str) -> Result<PenaltyCondition, String> {
    let (name, value) = match text.split_once('=') {
        Some((name, value)) => (name, Some(value)),
        None => (text, None),
    };
    match (name, value) {
        ("author", Some(author)) => Ok(PenaltyCondition::Author(author.to_owned())),
        ("attribute", Some(attribute)) => {
            let (name, value) = match attribute.split_once('=') {
                Some((name, value)) => (name, Some(value.to_owned())),
                None => (attribute, None),
            };
            if name.is_empty() {
                return Err(format!("'{text}' names no attribute"));
            }
            Ok(PenaltyCondition::Attribute { name: name.to_owned(), value })
        }
        ("older-than", Some(age)) => {
            age_of(age).map(PenaltyCondition::OlderThan).ok_or_else(|| {
                format!("'{age}' is not an age: a number with y, w, d or h behind it, such as 365d")
            })
        }
        ("confidence-below", Some(least)) => {
            let confidence = least.parse().ok().and_then(|least| Confidence::new(least).ok());
            let invalid = || format!("'{least}' is not a confidence: a number from 0 to 1");
            confidence.map(PenaltyCondition::ConfidenceBelow).ok_or_else(invalid)
        }
        ("machine-translation", None) => Ok(PenaltyCondition::MachineTranslated),
        ("unfinished", None) => Ok(PenaltyCondition::Unfinished { state: None }),
        ("unfinished", Some(state)) if !state.is_empty() => {
            Ok(PenaltyCondition::Unfinished { state: Some(state.to_owned()) })
        }
        _ => Err(format!("'{text}' is not a condition: {CONDITIONS}")),
    }
}

const HOUR_SECONDS: u64 = 3_600;
/// Units of ages with their seconds, the longest first.
const AGES: [(char, u64); 4] = [
    ('y', 365 * 24 * HOUR_SECONDS),
    ('w', 7 * 24 * HOUR_SECONDS),
    ('d', 24 * HOUR_SECONDS),
    ('h', HOUR_SECONDS),
];

fn age_of(text: &str) -> Option<Duration> {
    let (unit, seconds) = AGES.into_iter().find(|(unit, _)| text.ends_with(*unit))?;
    let count: u32 = text.strip_suffix(unit)?.parse().ok()?;
    Some(Duration::from_secs(u64::from(count) * seconds))
}

/// The rule as it can be given to `--penalty-rule`; an age that is no number of hours is rounded down.
impl fmt::Display for WrittenRule {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0.condition {
            PenaltyCondition::Author(author) => write!(out, "author={author}")?,
            PenaltyCondition::Attribute { name, value: None } => write!(out, "attribute={name}")?,
            PenaltyCondition::Attribute { name, value: Some(value) } => {
                write!(out, "attribute={name}={value}")?;
            }
            PenaltyCondition::OlderThan(age) => {
                let hours = age.as_secs() / HOUR_SECONDS;
                match (hours / 24, hours % 24) {
                    (days, 0) => write!(out, "older-than={days}d")?,
                    _ => write!(out, "older-than={hours}h")?,
                }
            }
            PenaltyCondition::ConfidenceBelow(least) => {
                write!(out, "confidence-below={}", least.value())?;
            }
            PenaltyCondition::MachineTranslated => write!(out, "machine-translation")?,
            PenaltyCondition::Unfinished { state: None } => write!(out, "unfinished")?,
            PenaltyCondition::Unfinished { state: Some(state) } => {
                write!(out, "unfinished={state}")?;
            }
        }
        write!(out, ":{}", self.0.points.points())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rules_are_written_as_they_are_read() {
        for text in [
            "author=MT!:5",
            "author=a: b=c:5",
            "author=:0.5",
            "attribute=client:3",
            "attribute=client=a=b:c:3",
            "older-than=365d:100",
            "older-than=25h:1",
            "confidence-below=0.8:2.25",
            "machine-translation:7",
            "unfinished:10",
            "unfinished=needs-review:10",
        ] {
            assert_eq!(text.parse::<WrittenRule>().unwrap().to_string(), text);
        }
        let age = |text: &str| format!("older-than={text}:1").parse::<WrittenRule>();
        assert_eq!(age("2y"), age("730d"));
        assert_eq!(age("2w").unwrap(), age("336h").unwrap());
    }

    #[test]
    fn bad_rules_say_what_is_wrong() {
        for (text, what) in [
            ("author=huda", "does not end in its points"),
            ("author=huda:x", "points from 0 to 100"),
            ("author=huda:101", "points from 0 to 100"),
            ("author:5", "is not a condition: author=NAME"),
            ("attribute==x:5", "names no attribute"),
            ("older-than=5:5", "is not an age"),
            ("older-than=d:5", "is not an age"),
            ("confidence-below=1.5:5", "a number from 0 to 1"),
            ("machine-translation=yes:5", "is not a condition"),
            ("unfinished=:5", "is not a condition"),
            ("state:5", "is not a condition"),
        ] {
            let error = text.parse::<WrittenRule>().unwrap_err();
            assert!(error.contains(what), "{text}: {error}");
        }
    }
}
