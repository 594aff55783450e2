//! Parses the settings of facades.

use crate::cli::penalties::WrittenRule;
use crate::engine::MemoryChoice;
use crate::unit::{MemoryName, PenaltyRule, Score};

fn items(text: &str) -> impl Iterator<Item = &str> {
    text.split(',').map(str::trim).filter(|item| !item.is_empty())
}

pub(super) fn points(text: &str) -> Result<Score, &'static str> {
    let points = text.parse().ok().and_then(|points| Score::from_points(points).ok());
    points.ok_or("points from 0 to 100")
}

/// `news,ui:5`
pub(super) fn memories(text: &str) -> Result<Vec<MemoryChoice>, String> {
    let choice = |item: &str| {
        let (name, penalty) = match item.split_once(':') {
            None => (item, None),
            Some((name, points)) => {
                let wrong = |what| format!("'{points}' in '{item}' is not {what}");
                (name, Some(self::points(points).map_err(wrong)?))
            }
        };
        Ok(MemoryChoice { memory: memory(name)?, penalty })
    };
    items(text).map(choice).collect()
}

pub(super) fn penalties(text: &str) -> Result<Vec<PenaltyRule>, String> {
    items(text).map(|item| item.parse::<WrittenRule>().map(|rule| rule.0)).collect()
}

/// `KEY=news,OTHER=ui`
pub(super) fn keys(text: &str) -> Result<Vec<(String, MemoryName)>, String> {
    let pair = |item: &str| {
        let (key, name) =
            item.split_once('=').ok_or_else(|| format!("'{item}' is not KEY=MEMORY"))?;
        Ok((key.trim().to_owned(), memory(name.trim())?))
    };
    items(text).map(pair).collect()
}

fn memory(name: &str) -> Result<MemoryName, String> {
    name.parse().map_err(|error| format!("'{name}': {error}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_are_read() {
        let chosen = memories(" news, ui:5 ,law:2.5").unwrap();
        let points: Vec<Option<f64>> =
            chosen.iter().map(|it| it.penalty.map(Score::points)).collect();
        assert_eq!(points, [None, Some(5.0), Some(2.5)]);
        assert_eq!(chosen[1].memory.as_str(), "ui");
        assert_eq!(penalties("unfinished:10,author=MT:5").unwrap().len(), 2);
        assert_eq!(keys("A=news, B = ui").unwrap()[1].0, "B");
        for (fault, what) in [
            (memories("ui:x").unwrap_err(), "'x' in 'ui:x' is not points from 0 to 100"),
            (memories("ui:101").unwrap_err(), "points from 0 to 100"),
            (memories("a/b").unwrap_err(), "'a/b'"),
            (keys("news").unwrap_err(), "KEY=MEMORY"),
            (penalties("x").unwrap_err(), "does not end in its points"),
        ] {
            assert!(fault.contains(what), "{fault}");
        }
    }
}
