//! Python with `grpcio` and no generated code: the programs of the documentation, and the example.

use std::path::Path;

use super::{printed, python};
use crate::crash::Process;

const PYTHON: &str = include_str!("../../docs/python.md");
const API: &str = include_str!("../../docs/api.md");

/// The code of a page.
fn code(page: &str) -> Vec<&str> {
    let blocks = page.split("```python\n").skip(1);
    blocks.map(|rest| rest.split_once("```").unwrap().0).collect()
}

#[test]
fn the_python_of_the_documentation_runs() {
    let Some(programs) = python("python") else { return };
    let directory = tempfile::tempdir().unwrap();
    let server = Process::start(&directory.path().join("data"));
    let [page] = code(PYTHON)[..] else { panic!("{PYTHON}") };
    // What creates the memory and its unit is on the page of the API; what the first page looks up is what that made of it.
    let (call, lookup) = page.split_once("\nfound = ").unwrap();
    let script = format!("{call}\n{}\nfound = {lookup}", code(API).join("\n"));
    let script = script.replace("127.0.0.1:50051", server.url.trim_start_matches("http://"));
    let file = directory.path().join("all.py");
    std::fs::write(&file, script).unwrap();
    let said = printed(programs.join("python"), &[file.to_str().unwrap()]);
    let lines: Vec<&str> = said.lines().collect();
    let saved = ["85.7 Save the file", "memories/news/units/1", "100.0 Save file []"];
    for line in saved {
        assert!(lines.contains(&line), "{line}: {said}");
    }
    assert_eq!(lines.iter().filter(|it| it.starts_with("confidence: ")).count(), 2, "{said}");
}

#[test]
fn the_example_in_python_runs() {
    let Some(programs) = python("python") else { return };
    let directory = tempfile::tempdir().unwrap();
    let server = Process::start(directory.path());
    let example = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/client.py");
    let said = printed(programs.join("python"), &[example.to_str().unwrap(), &server.url]);
    assert_eq!(said.lines().collect::<Vec<_>>(), crate::examples::SAID);
}
