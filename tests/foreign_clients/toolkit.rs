//! translate-toolkit reads what is exported, and writes what is imported.

use serde_json::{Value, json};

use super::{DHAKIRA, answer, file, printed, python, stored};

/// Source, target and context of each unit.
fn texts(units: &[Value]) -> Value {
    let texts = units.iter().map(|unit| {
        let context = [&unit["context_id"], &unit["attributes"]["msgctxt"]];
        let context = context.into_iter().find_map(Value::as_str).unwrap_or_default();
        json!([unit["source"], unit["target"], context])
    });
    texts.collect()
}

#[test]
fn translate_toolkit_reads_an_export_and_writes_a_catalogue() {
    let Some(programs) = python("toolkit") else { return };
    let directory = tempfile::tempdir().unwrap();
    let path = |name: &str| directory.path().join(name).to_str().unwrap().to_owned();
    let (data, tmx, xliff, catalogue) = (path("data"), path("m.tmx"), path("m.xlf"), path("m.po"));
    let run = |command: &str, memory: &str, arguments: &[&str]| {
        let before = [command, "--data", &data, "--memory", memory];
        printed(DHAKIRA, &[&before, arguments].concat())
    };
    let read =
        |arguments: &[&str]| answer(programs.join("python"), &file("toolkit/read.py"), arguments);
    run("import", "m", &[file("units.jsonl").to_str().unwrap()]);
    run("export", "m", &["--output", &tmx]);
    run("export", "m", &["--output", &xliff]);
    let wanted = texts(&stored());
    assert_eq!(read(&[&tmx, &catalogue]), wanted);
    assert_eq!(read(&[&xliff]), wanted);

    run("import", "catalogue", &[&catalogue]);
    for memory in ["m", "catalogue"] {
        let exported = run("export", memory, &["--format", "jsonl"]);
        let exported: Vec<Value> =
            exported.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        assert_eq!(texts(&exported), wanted, "{memory}");
    }
}
