//! Pairs the sources and targets of a `trans-unit` or `unit`.

use std::collections::BTreeMap;

use crate::formats::declared;
use crate::formats::event::free_name;
use crate::formats::xml::{Element, Position};
use crate::limits::UNIT_ATTRIBUTES_MAX;
use crate::unit::Segment;

use super::side::Side;

/// A `trans-unit` or `unit` being read.
#[derive(Default)]
pub(crate) struct Translation {
    pub(crate) attributes: BTreeMap<String, String>,
    pub(crate) pairs: Vec<Pair>,
    pub(crate) bytes: usize,
}

/// A source and its target.
#[derive(Default)]
pub(crate) struct Pair {
    pub(crate) position: Option<Position>,
    pub(crate) sides: [Option<Side>; 2],
    /// The `seg-source`, which marks segments that the source does not.
    pub(crate) cut: Option<Side>,
    pub(crate) attributes: BTreeMap<String, String>,
}

/// The state with which a file calls a translation unfinished. `approved` does not count: most tools write `no`, or nothing, for
/// finished translations.
pub(crate) fn unfinished_state(attributes: &BTreeMap<String, String>) -> Option<&str> {
    const STATES: [&str; 3] = ["state", "mq:status", "status"];
    let states = STATES.iter().filter_map(|name| attributes.get(*name));
    states.map(String::as_str).find(|state| declared::is_unfinished_state(state))
}

/// Pairs the segments of both sides by id, or the whole sides if one of them is not segmented.
pub(crate) fn join(source: Side, target: Side) -> Vec<(String, Segment, Segment)> {
    if source.marked.is_empty() {
        return vec![(String::new(), source.whole, joined(target))];
    }
    if target.marked.is_empty() && !target.whole.text.trim().is_empty() {
        return vec![(String::new(), joined(source), target.whole)];
    }
    let mut targets = target.marked;
    let pairs = source.marked.into_iter().map(|(id, source)| {
        let place = targets.iter().position(|(it, _)| *it == id);
        let target = place.map(|place| targets.remove(place).1).unwrap_or_default();
        (id, source, target)
    });
    pairs.collect()
}

fn joined(side: Side) -> Segment {
    if side.marked.is_empty() {
        return side.whole;
    }
    let mut whole = Segment::default();
    for (_, segment) in side.marked {
        if !whole.text.is_empty() {
            whole.text.push(' ');
        }
        let offset = u32::try_from(whole.text.len()).unwrap_or(u32::MAX);
        whole.text.push_str(&segment.text);
        whole.tags.extend(segment.tags.into_iter().map(|mut tag| {
            tag.offset_bytes = tag.offset_bytes.saturating_add(offset);
            tag
        }));
    }
    whole
}

/// Keeps the attributes that describe the translation.
pub(crate) fn keep_attributes(element: &Element, kept: &mut BTreeMap<String, String>) {
    const IGNORED: [&str; 6] =
        ["xml:space", "xml:lang", "translate", "canResegment", "order", "subState"];
    for (name, value) in &element.attributes {
        if !IGNORED.contains(&name.as_ref()) && !value.is_empty() {
            let name = if name == "id" { "tuid" } else { name.as_ref() };
            // The id of a segment of 2.x does not replace that of its unit.
            if !(element.name == "segment" && name == "tuid") {
                keep(kept, name, value.clone());
            }
        }
    }
}

pub(crate) fn keep(kept: &mut BTreeMap<String, String>, name: &str, value: String) {
    // One too many is enough for validation to reject it.
    if kept.len() <= UNIT_ATTRIBUTES_MAX {
        kept.insert(free_name(kept, name), value);
    }
}
