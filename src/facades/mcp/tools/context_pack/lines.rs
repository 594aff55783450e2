//! Shows the stored units in which phrases of a segment occur, each once.

use std::ops::Range;

use schemars::JsonSchema;
use serde::Serialize;

use super::super::super::matches::unit_name;
use super::super::search::marked;
use super::excerpt::excerpt;
use super::phrases::Searched;
use super::terms::LinkedUnits;
use crate::engine::FoundPassage;

/// A unit in which phrases of the segment occur.
#[derive(Debug, Serialize, JsonSchema)]
pub(super) struct Line {
    unit: String,
    /// Phrases of the segment that it contains, in some form.
    phrases: Vec<String>,
    /// The source around them, which are marked as ⟦…⟧.
    source: String,
    /// The target, or what of it is around their translations.
    target: String,
}

/// A unit while its phrases are collected.
struct Gathered<'a> {
    name: String,
    passage: &'a FoundPassage,
    phrases: Vec<String>,
    sources: Vec<Range<usize>>,
    targets: Vec<Range<usize>>,
}

/// The lines of what was found, in the order of the segment, without the units that are shown already.
pub(super) fn lines_of(
    searched: &Searched,
    linked: &LinkedUnits,
    is_shown: impl Fn(&str) -> bool,
) -> Vec<Line> {
    let mut units: Vec<Gathered<'_>> = Vec::new();
    for found in &searched.phrases {
        for passage in &found.passages {
            let name = unit_name(&passage.memory, passage.unit.id);
            let targets = linked.get(&name).map(|pair| pair.targets(&passage.highlights));
            if is_shown(&name) {
                continue;
            }
            let place = units.iter().position(|unit| unit.name == name).unwrap_or(units.len());
            if place == units.len() {
                let (phrases, sources, targets) = Default::default();
                units.push(Gathered { name, passage, phrases, sources, targets });
            }
            let unit = &mut units[place];
            unit.phrases.push(found.phrase.clone());
            unit.sources.extend(passage.highlights.iter().cloned());
            unit.targets.extend(targets.unwrap_or_default());
        }
    }
    let line = |unit: Gathered<'_>| {
        let content = &unit.passage.unit.content;
        let source = excerpt(&content.source.text, &united(unit.sources));
        Line {
            unit: unit.name,
            phrases: unit.phrases,
            source: marked(&source.text, &source.ranges),
            target: excerpt(&content.target.text, &united(unit.targets)).text,
        }
    };
    units.into_iter().map(line).collect()
}

/// Ranges in order, those that overlap as one.
fn united(mut ranges: Vec<Range<usize>>) -> Vec<Range<usize>> {
    ranges.sort_by_key(|range| range.start);
    let mut united: Vec<Range<usize>> = Vec::with_capacity(ranges.len());
    for range in ranges {
        match united.last_mut() {
            Some(last) if range.start <= last.end => last.end = last.end.max(range.end),
            _ => united.push(range),
        }
    }
    united
}

impl Line {
    pub(super) fn text(&self) -> String {
        let Self { unit, source, target, .. } = self;
        format!("- {unit}\n  {source}\n  {target}\n")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_that_overlap_become_one() {
        assert_eq!(united(vec![5..9, 0..2, 7..12, 14..15]), [0..2, 5..12, 14..15]);
    }
}
