//! Shows stored units: as a table, or as JSON lines.

use std::collections::BTreeMap;

use serde::Serialize;

use crate::terminal::{fits, isolate, json_line, paragraph, table};
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

/// Columns of the table beside the texts.
const FACTS: usize = 5;

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
    let one_line = |text: &str| text.split_whitespace().collect::<Vec<_>>().join(" ");
    let texts =
        |unit: &Unit| [&unit.content.source, &unit.content.target].map(|it| one_line(&it.text));
    let rows = units.iter().map(|unit| {
        let content = &unit.content;
        let facts = [
            unit.id.to_string(),
            unit.revision.to_string(),
            time(content.changed).unwrap_or_default(),
            unit.usage.count.to_string(),
            content.author.clone(),
        ];
        facts.into_iter().chain(texts(unit).map(|text| isolate(&text))).collect()
    });
    let rows: Vec<Vec<String>> = std::iter::once(header).chain(rows).collect();
    let whole = table(&rows);
    if fits(&whole) {
        show!("{whole}")?;
        return Ok(());
    }
    // Texts that are too long for their columns stand below the other ones.
    let facts: Vec<Vec<String>> = rows.iter().map(|row| row[..FACTS].to_vec()).collect();
    let facts = table(&facts);
    let mut lines = facts.lines();
    say!("{}", lines.next().unwrap_or_default().trim_end())?;
    for (line, unit) in lines.zip(units) {
        let [source, target] = texts(unit);
        say!("{}", line.trim_end())?;
        say!("  {}\n  {}", paragraph(&source, 2), paragraph(&target, 2))?;
    }
    Ok(())
}
