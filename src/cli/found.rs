//! Shows what lookups found: as blocks of lines for people, or as JSON lines.

use std::io::Write as _;
use std::ops::Range;

use serde::Serialize;

use crate::engine::FoundMatch;
use crate::matching::ContextPart;
use crate::terminal::{brief, isolate, json_to, paragraph, stdout};
use crate::unit::{TextOffsets, Timestamp};

/// The result of one segment.
pub(super) enum Found {
    Matches(Vec<FoundMatch>),
    /// It is not a valid segment: empty, too long, not text.
    Refused(String),
}

#[derive(Serialize)]
struct Line<'a> {
    query: &'a str,
    matches: Vec<MatchLine<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<&'a str>,
}

#[derive(Serialize)]
struct MatchLine<'a> {
    score: f64,
    kind: &'a str,
    match_rate: u16,
    /// The parts of the context that agree.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    agreed_contexts: Vec<&'a str>,
    unit: String,
    source: &'a str,
    target: &'a str,
    deductions: Vec<DeductionLine<'a>>,
    edits: Vec<EditLine>,
    /// The target with the numbers and other placeables of the query, where they differ.
    #[serde(skip_serializing_if = "str::is_empty")]
    adapted_target: &'a str,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    substitutions: Vec<SubstitutionLine>,
    /// Words of the target that translate words of the source which the query does not have.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    to_change: Vec<[usize; 2]>,
    #[serde(skip_serializing_if = "str::is_empty")]
    document: &'a str,
    #[serde(skip_serializing_if = "str::is_empty")]
    author: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    changed: Option<String>,
    #[serde(skip_serializing_if = "std::collections::BTreeMap::is_empty")]
    attributes: &'a std::collections::BTreeMap<String, String>,
}

#[derive(Serialize)]
struct DeductionLine<'a> {
    reason: &'a str,
    points: f64,
}

#[derive(Serialize)]
struct EditLine {
    kind: &'static str,
    query: [usize; 2],
    source: [usize; 2],
}

#[derive(Serialize)]
struct SubstitutionLine {
    query: [usize; 2],
    source: [usize; 2],
    target: [usize; 2],
    adapted: [usize; 2],
}

/// Prints a result as a JSON object on a line.
pub(super) fn print_json(query: &str, found: &Found) -> anyhow::Result<()> {
    let line = match found {
        Found::Matches(matches) => Line {
            query,
            matches: matches.iter().map(|found| match_line(query, found)).collect(),
            error: None,
        },
        Found::Refused(_) if query.trim().is_empty() => {
            Line { query, matches: Vec::new(), error: None }
        }
        Found::Refused(fault) => Line { query, matches: Vec::new(), error: Some(fault) },
    };
    json_to(&mut stdout(), &line)
}

fn match_line<'a>(query: &str, found: &'a FoundMatch) -> MatchLine<'a> {
    let content = &found.unit.content;
    let adapted_target = found.adapted.as_ref().map_or("", |adapted| &adapted.text);
    let query = TextOffsets::code_points(query);
    let source = TextOffsets::code_points(&content.source.text);
    let target = TextOffsets::code_points(&content.target.text);
    let adapted = TextOffsets::code_points(adapted_target);
    let deductions = found.deductions.iter().map(|(reason, hundredths)| DeductionLine {
        reason: reason.name(),
        points: f64::from(hundredths) / 100.0,
    });
    let edits = found.edits.iter().map(|edit| EditLine {
        kind: edit.kind.name(),
        query: span(&query, &edit.query),
        source: span(&source, &edit.source),
    });
    let substitutions = found.adapted.iter().flat_map(|adapted| &adapted.substitutions);
    let substitutions = substitutions.map(|it| SubstitutionLine {
        query: span(&query, &it.query),
        source: span(&source, &it.source),
        target: span(&target, &it.target),
        adapted: span(&adapted, &it.adapted),
    });
    MatchLine {
        score: found.score.points(),
        kind: found.kind.name(),
        match_rate: found.match_rate(),
        agreed_contexts: found.agreed_contexts.iter().map(ContextPart::name).collect(),
        unit: format!("{}/units/{}", found.memory.resource(), found.unit.id),
        source: &content.source.text,
        target: &content.target.text,
        deductions: deductions.collect(),
        edits: edits.collect(),
        adapted_target,
        substitutions: substitutions.collect(),
        to_change: found.spans_to_edit.iter().map(|bytes| span(&target, bytes)).collect(),
        document: &content.document,
        author: &content.author,
        changed: content.changed.and_then(rfc3339),
        attributes: &content.attributes,
    }
}

/// A span of bytes in code points, as JSON shows it.
pub(super) fn span(points: &TextOffsets<'_>, bytes: &Range<usize>) -> [usize; 2] {
    let span = points.span(bytes);
    [span.start, span.end]
}

fn rfc3339(time: Timestamp) -> Option<String> {
    jiff::Timestamp::from_microsecond(time.micros).ok().map(|time| time.to_string())
}

/// Prints a result for people.
pub(super) fn print_table(query: &str, found: &Found) -> anyhow::Result<()> {
    let mut out = stdout();
    match found {
        // It may be a whole file without line ends.
        Found::Refused(_) => writeln!(out, "{}", isolate(&brief(query)))?,
        Found::Matches(_) => writeln!(out, "{}", paragraph(query, 0))?,
    }
    match found {
        Found::Refused(fault) => writeln!(out, "  not looked up: {fault}")?,
        Found::Matches(matches) if matches.is_empty() => writeln!(out, "  no match")?,
        Found::Matches(matches) => {
            for found in matches {
                write!(out, "{}", match_block(found))?;
            }
        }
    }
    writeln!(out)?;
    Ok(())
}

/// The column in which texts begin.
const TEXT_COLUMN: usize = 18;

/// A match on three lines: score and deductions, source, translation; on a fourth the adapted translation, if there is one.
pub(super) fn match_block(found: &FoundMatch) -> String {
    let adapted = found.adapted.as_ref().map_or_else(String::new, |adapted| {
        format!("{:>16}: {}\n", "adapted", paragraph(&adapted.text, TEXT_COLUMN))
    });
    format!(
        "  {:>6.2} {:<7}  {}\n{:TEXT_COLUMN$}{}\n{:TEXT_COLUMN$}{}\n{adapted}",
        found.score.points(),
        found.kind.name(),
        reasons(found),
        "",
        paragraph(&found.unit.content.source.text, TEXT_COLUMN),
        "",
        paragraph(&found.unit.content.target.text, TEXT_COLUMN),
    )
}

/// The deductions in words: `edited -8.33, marks -1`.
pub(super) fn reasons(found: &FoundMatch) -> String {
    let parts = found.deductions.iter().map(|(reason, hundredths)| {
        format!("{} -{}", reason.name(), f64::from(hundredths) / 100.0)
    });
    let parts: Vec<String> = parts.collect();
    if parts.is_empty() { "the same text".to_owned() } else { parts.join(", ") }
}
