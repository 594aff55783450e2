//! Does an adapted target write its numbers as a translator does? On those queries of real documentation whose known translation
//! has, but for its numbers, the words of a stored target: where an adapted target can differ from it in nothing else.
//!
//! `dhakira bench adapt` measures the same on all queries.

use std::collections::BTreeSet;
use std::io::Read as _;
use std::path::Path;

use crate::command_line::{code, json, run, stderr};
use crate::support::shared;

/// A source and its target.
type Row = (String, String);

/// The rows of a compressed table.
fn table(path: &Path) -> Vec<Row> {
    let mut text = String::new();
    let file = std::fs::File::open(path).unwrap();
    liblzma::read::XzDecoder::new(file).read_to_string(&mut text).unwrap();
    let rows = text.lines().skip(1).map(|line| line.split('\t').collect::<Vec<_>>());
    rows.filter(|row| row.len() == 5).map(|row| (row[3].to_owned(), row[4].to_owned())).collect()
}

/// What is left of a text without its numbers.
fn words(text: &str) -> String {
    text.chars().filter(|it| it.is_alphabetic()).collect()
}

/// The rows whose targets hold numbers, and the words of a target of `others`.
fn agreeing<'a>(rows: &'a [Row], others: &[&Row]) -> Vec<&'a Row> {
    let others: BTreeSet<String> = others.iter().map(|(_, target)| words(target)).collect();
    let has_number = |target: &str| target.contains(|it: char| it.is_numeric());
    let agrees = |(_, target): &&Row| has_number(target) && others.contains(&words(target));
    rows.iter().filter(agrees).collect()
}

fn write(path: &Path, rows: &[&Row]) {
    let mut out = csv::WriterBuilder::new().delimiter(b'\t').from_path(path).unwrap();
    out.write_record(["ar", "en"]).unwrap();
    for (source, target) in rows {
        out.write_record([source, target]).unwrap();
    }
    out.flush().unwrap();
}

#[test]
fn no_adapted_target_differs_from_its_reference_only_in_how_a_number_is_written() {
    let (Some(memory), Some(queries)) =
        (shared("data/msdocs/memory.tsv.xz"), shared("data/msdocs/queries.tsv.xz"))
    else {
        return;
    };
    let (memory, queries) = (table(&memory), table(&queries));
    let stored = agreeing(&memory, &queries.iter().collect::<Vec<_>>());
    let asked = agreeing(&queries, &stored);

    let directory = tempfile::tempdir().unwrap();
    write(&directory.path().join("memory.tsv"), &stored);
    write(&directory.path().join("queries.tsv"), &asked);
    let arguments =
        ["bench", "adapt", "--corpus", "memory.tsv", "--queries", "queries.tsv", "--json"];
    let output = run(directory.path(), &arguments);
    assert_eq!(code(&output), 0, "{}", stderr(&output));
    let figures = json(&output);
    println!("{} stored, {} asked: {figures}", stored.len(), asked.len());
    assert!(figures["adapted_all"].as_f64().unwrap() >= 100.0, "too few to tell: {figures}");
    assert!(figures["equal_all"].as_f64().unwrap() >= 50.0, "too few are right: {figures}");
    assert_eq!(figures["differ_in_notation_only"], 0.0, "{}", stderr(&output));
}
