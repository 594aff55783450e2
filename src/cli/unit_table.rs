//! Shows stored units: as a table, or as JSON lines.

use std::collections::BTreeMap;

use serde::Serialize;

use crate::terminal::{isolate, json_line, table};
use crate::unit::{MemoryName, Timestamp, Unit};

#[derive(Serialize)]
struct Line<'a> {
    unit: String,
    revision: u64,
    source: &'a str,
    target: &'a str,
    document: &'a str,
    author: &'a str,
    created: Option<String>,
    changed: Option<String>,
    use_count: u64,
    last_use: Option<String>,
    attributes: &'a BTreeMap<String, String>,
}

/// A point in time as users and programs see it.
pub(super) fn time(time: Timestamp) -> Option<String> {
    jiff::Timestamp::from_microsecond(time.micros).ok().map(|time| time.to_string())
}

/// Shows units of a memory.
pub(super) fn show_units(memory: &MemoryName, units: &[Unit], json: bool) -> anyhow::Result<()> {
    let time = |at: Option<Timestamp>| at.and_then(time);
    if json {
        for unit in units {
            let content = &unit.content;
            json_line(&Line {
                unit: format!("{}/units/{}", memory.resource(), unit.id),
                revision: unit.revision,
                source: &content.source.text,
                target: &content.target.text,
                document: &content.document,
                author: &content.author,
                created: time(content.created),
                changed: time(content.changed),
                use_count: unit.usage.count,
                last_use: time(unit.usage.last),
                attributes: &content.attributes,
            })?;
        }
        return Ok(());
    }
    if units.is_empty() {
        return Ok(());
    }
    let header = ["UNIT", "REVISION", "CHANGED", "USES", "AUTHOR", "SOURCE", "TARGET"];
    let header = header.map(str::to_owned).to_vec();
    let one_line = |text: &str| isolate(&text.split_whitespace().collect::<Vec<_>>().join(" "));
    let rows = units.iter().map(|unit| {
        let content = &unit.content;
        vec![
            unit.id.to_string(),
            unit.revision.to_string(),
            time(content.changed).unwrap_or_default(),
            unit.usage.count.to_string(),
            content.author.clone(),
            one_line(&content.source.text),
            one_line(&content.target.text),
        ]
    });
    show!("{}", table(&std::iter::once(header).chain(rows).collect::<Vec<_>>()))?;
    Ok(())
}
