//! The program as a user types it: outputs, exit codes, errors that help.

use std::io::Write as _;
use std::path::Path;
use std::process::{Command, Output, Stdio};

use serde_json::Value;

use crate::crash::Process;
use crate::support::shared;

const SMALL: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/data/small.tsv");

/// The program with arguments, in a directory, its input and outputs in pipes.
pub(crate) fn program(directory: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_dhakira"));
    command
        .args(arguments)
        .current_dir(directory)
        .env_remove("DHAKIRA_DATA")
        .env_remove("DHAKIRA_SERVER")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    command
}

pub(crate) fn run_with(directory: &Path, arguments: &[&str], input: &str) -> Output {
    let mut child = program(directory, arguments).spawn().unwrap();
    child.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
    child.wait_with_output().unwrap()
}

pub(crate) fn run(directory: &Path, arguments: &[&str]) -> Output {
    run_with(directory, arguments, "")
}

pub(crate) fn stdout(output: &Output) -> String {
    String::from_utf8(output.stdout.clone()).unwrap()
}

pub(crate) fn stderr(output: &Output) -> String {
    String::from_utf8(output.stderr.clone()).unwrap()
}

pub(crate) fn code(output: &Output) -> i32 {
    output.status.code().unwrap()
}

pub(crate) fn json(output: &Output) -> Value {
    serde_json::from_str(stdout(output).lines().last().unwrap()).unwrap()
}

/// Sources of the small memory, in its order.
fn sources() -> Vec<String> {
    let text = std::fs::read_to_string(SMALL).unwrap();
    text.lines().skip(1).map(|line| line.split('\t').nth(3).unwrap().to_owned()).collect()
}

#[test]
fn an_import_counts_reports_and_says_so_in_its_exit_code() {
    let directory = tempfile::tempdir().unwrap();
    let output = run(directory.path(), &["import", "--memory", "m", SMALL, "--json"]);
    assert_eq!(code(&output), 3, "{}", stderr(&output));
    let sums = json(&output);
    for (name, expected) in [("read", 7), ("stored", 4), ("duplicates", 1), ("rejected", 2)] {
        assert_eq!(sums[name], expected, "{name}");
    }
    assert_eq!(stdout(&output).lines().count(), 1);
    let faults = stderr(&output);
    assert!(faults.contains("small.tsv:6: source: empty"), "{faults}");
    assert!(faults.contains("small.tsv:7: '2024-02-30' is not a date"), "{faults}");
    let again = run(directory.path(), &["import", "--memory", "m", SMALL, "--json"]);
    assert_eq!(
        (json(&again)["stored"].as_u64(), json(&again)["duplicates"].as_u64()),
        (Some(0), Some(5))
    );
}

#[test]
fn lookups_answer_a_line_each_in_order() {
    let directory = tempfile::tempdir().unwrap();
    run(directory.path(), &["import", "--memory", "m", SMALL]);
    let sources = sources();
    let input = format!("{}\n\nxyz\n{}", sources[2], sources[0]);
    let output = run_with(directory.path(), &["lookup", "--memory", "m", "--json"], &input);
    assert_eq!(code(&output), 0, "{}", stderr(&output));
    let lines: Vec<Value> =
        stdout(&output).lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(lines.len(), 4);
    assert_eq!(lines[0]["query"], sources[2].as_str());
    let found = &lines[0]["matches"][0];
    assert_eq!((found["score"].as_f64(), found["kind"].as_str()), (Some(100.0), Some("exact")));
    assert_eq!(found["target"], "Click Save to confirm the changes");
    assert_eq!(found["unit"], "memories/m/units/3");
    assert_eq!((&lines[1]["query"], &lines[1]["matches"]), (&"".into(), &Value::Array(vec![])));
    assert_eq!(lines[2]["matches"], Value::Array(vec![]));
    assert_eq!(lines[3]["matches"][0]["unit"], "memories/m/units/1");
    // In the order of the document the neighbours are the stored ones.
    let input = sources[..3].join("\n");
    let arguments = ["lookup", "--memory", "m", "--document", "--json"];
    let output = run_with(directory.path(), &arguments, &input);
    let kinds: Vec<String> = stdout(&output)
        .lines()
        .map(|line| serde_json::from_str::<Value>(line).unwrap()["matches"][0]["kind"].to_string())
        .collect();
    assert_eq!(kinds, ["\"context\"", "\"context\"", "\"context\""]);
    let first: Value = serde_json::from_str(stdout(&output).lines().next().unwrap()).unwrap();
    let first = &first["matches"][0];
    assert_eq!((&first["match_rate"], first["score"].as_f64()), (&101.into(), Some(100.0)));
    assert_eq!(first["agreed_contexts"], serde_json::json!(["next-source"]));
    // Neither the units nor the lines have an id.
    let change = ["memories", "update", "m", "--context-mode", "double", "--json"];
    let changed: Value = serde_json::from_str(&stdout(&run(directory.path(), &change))).unwrap();
    assert_eq!(changed["context_mode"], "double");
    let output = run_with(directory.path(), &arguments, &input);
    let first: Value = serde_json::from_str(stdout(&output).lines().next().unwrap()).unwrap();
    let first = &first["matches"][0];
    assert_eq!((&first["match_rate"], &first["kind"]), (&102.into(), &"double-context".into()));
    let made = run(directory.path(), &["memories", "create", "n", "--context-mode", "triple"]);
    assert_eq!(code(&made), 2);
    let output = run_with(directory.path(), &["lookup", "--memory", "m"], "\u{1}\n");
    assert_eq!(code(&output), 3);
    assert!(stdout(&output).contains("U+0001"));
}

#[test]
fn a_search_shows_where_an_expression_stands() {
    let directory = tempfile::tempdir().unwrap();
    run(directory.path(), &["import", "--memory", "m", SMALL]);
    let search = ["search", "--memory", "m", "--side", "target", "--json"];
    let output = run(directory.path(), &[&search[..], &["THE", "settings"]].concat());
    assert_eq!(code(&output), 0, "{}", stderr(&output));
    let line = json(&output);
    assert_eq!(
        (line["unit"].as_str(), line["side"].as_str()),
        (Some("memories/m/units/1"), Some("target"))
    );
    assert_eq!(line["highlights"].to_string(), "[[5,17]]");
    let some = run(directory.path(), &[&search[..], &["the", "--max", "2"]].concat());
    assert_eq!(stdout(&some).lines().count(), 2);
    assert!(stderr(&some).contains("there are more"), "{}", stderr(&some));
    let all = run(directory.path(), &[&search[..], &["the", "--all"]].concat());
    assert_eq!(stdout(&all).lines().count(), 4);
    let filter = ["the", "--all", "--in-document", "news.md", "--changed-before", "2024-02-02"];
    let filtered = run(directory.path(), &[&search[..], &filter].concat());
    assert_eq!(stdout(&filtered).lines().count(), 1);
    let none = run(directory.path(), &["search", "--memory", "m", "zzz"]);
    assert_eq!((code(&none), stdout(&none).as_str()), (0, ""));
    assert!(stderr(&none).contains("no unit contains it"));
    let bad = run(directory.path(), &["search", "--memory", "m", "--changed-from", "soon", "x"]);
    assert_eq!(code(&bad), 2);
}

#[test]
fn an_analysis_counts_files_by_band() {
    let directory = tempfile::tempdir().unwrap();
    run(directory.path(), &["import", "--memory", "m", SMALL]);
    let sources = sources();
    let job = format!("{}. {}\n\n{}\nxyz abc 1 --\n", sources[2], sources[0], sources[0]);
    std::fs::write(directory.path().join("job.txt"), job).unwrap();
    let analyze = ["analyze", "--memory", "m", "job.txt", SMALL];
    let output = run(directory.path(), &[&analyze[..], &["--json"]].concat());
    assert_eq!(code(&output), 0, "{}", stderr(&output));
    let lines: Vec<Value> =
        stdout(&output).lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let band = |line: &Value, name: &str| {
        let bands = line["bands"].as_array().unwrap();
        let band = bands.iter().find(|band| band["band"] == name).unwrap();
        (band["segments"].as_u64().unwrap(), band["words"].as_u64().unwrap())
    };
    assert_eq!((lines.len(), lines[0]["segments"].as_u64()), (3, Some(4)));
    // The full stop is not in the memory: that segment is nearly exact.
    assert_eq!(band(&lines[0], "95-99").0, 1);
    assert_eq!(band(&lines[0], "repetition"), (1, 3));
    assert_eq!(band(&lines[0], "none"), (1, 3));
    assert_eq!(lines[2]["files"], 2);
    let csv = run(directory.path(), &[&analyze[..], &["--format", "csv"]].concat());
    let csv = stdout(&csv);
    assert!(csv.starts_with("file,band,segments,words\njob.txt,double-context,"), "{csv}");
    assert!(csv.contains("\ntotal,none,"), "{csv}");
    let table = stdout(&run(directory.path(), &analyze));
    assert!(table.contains("all files") && table.contains("repetition"), "{table}");
    let missing = run(directory.path(), &["analyze", "--memory", "m", "nowhere.txt"]);
    assert_eq!(code(&missing), 1);
    assert!(stderr(&missing).contains("nowhere.txt"), "{}", stderr(&missing));
}

#[test]
fn embedded_and_served_answers_are_the_same() {
    let directory = tempfile::tempdir().unwrap();
    run(directory.path(), &["import", "--memory", "m", SMALL]);
    let data = directory.path().join("dhakira-data");
    let input = sources().join("\n");
    let lookup = ["lookup", "--memory", "m", "--min-score", "30", "--json"];
    let embedded = run_with(directory.path(), &lookup, &input);
    let export = run(directory.path(), &["export", "--memory", "m"]);
    let process = Process::start(&data);
    // The directory is in use now; the error names the holder and the way out.
    let refused = run(directory.path(), &["memories"]);
    assert_eq!(code(&refused), 1);
    let error = stderr(&refused);
    let hint = format!("--server {}", process.url);
    assert!(error.contains(&hint) && error.contains("process"), "{error}");
    let with_server = |arguments: &[&str]| -> Output {
        let all: Vec<&str> = arguments.iter().copied().chain(["--server", &process.url]).collect();
        run_with(directory.path(), &all, &input)
    };
    assert_eq!(stdout(&with_server(&lookup)), stdout(&embedded));
    assert_eq!(stdout(&with_server(&["export", "--memory", "m"])), stdout(&export));
    let listed = json(&with_server(&["memories", "--json"]));
    assert_eq!((&listed["name"], &listed["units"]), (&"m".into(), &4.into()));
}

#[test]
fn an_export_imports_to_the_same_export() {
    let directory = tempfile::tempdir().unwrap();
    run(directory.path(), &["import", "--memory", "m", SMALL]);
    let first = run(directory.path(), &["export", "--memory", "m", "--output", "m.tmx"]);
    assert_eq!(code(&first), 0, "{}", stderr(&first));
    let refused = run(directory.path(), &["export", "--memory", "m", "--output", "m.tmx"]);
    assert_eq!(code(&refused), 1);
    let output = run(directory.path(), &["import", "--memory", "n", "m.tmx", "--json"]);
    assert_eq!(json(&output)["stored"], 4, "{}", stderr(&output));
    let text = std::fs::read_to_string(directory.path().join("m.tmx")).unwrap();
    assert_eq!(stdout(&run(directory.path(), &["export", "--memory", "n"])), text);
}

#[test]
fn a_truncated_file_gives_its_good_part_and_the_place_of_the_break() {
    let directory = tempfile::tempdir().unwrap();
    run(directory.path(), &["import", "--memory", "m", SMALL]);
    let text = stdout(&run(directory.path(), &["export", "--memory", "m"]));
    let third = text.match_indices("</tu>").nth(2).unwrap().0;
    std::fs::write(directory.path().join("cut.tmx"), &text[..third]).unwrap();
    let output = run(directory.path(), &["import", "--memory", "n", "cut.tmx", "--json"]);
    assert_eq!(code(&output), 3);
    assert_eq!(json(&output)["stored"], 2);
    let line = text[..third].matches('\n').count() + 1;
    let error = stderr(&output);
    assert!(error.contains(&format!("cut.tmx:{line}:")), "{error}");
    assert!(error.contains("the file ends inside <tu>"), "{error}");
}

#[test]
fn memories_are_made_changed_and_deleted() {
    let directory = tempfile::tempdir().unwrap();
    let memories = |arguments: &[&str]| {
        let all: Vec<&str> = ["memories"].iter().chain(arguments).copied().collect();
        run(directory.path(), &all)
    };
    let missing = memories(&["list"]);
    assert_eq!(code(&missing), 1);
    assert!(stderr(&missing).contains("--data"), "{}", stderr(&missing));
    assert_eq!(code(&memories(&["create", "law", "--target-lang", "fr"])), 0);
    assert_eq!(code(&memories(&["create", "law"])), 1);
    assert_eq!(code(&memories(&["update", "law", "--description", "contracts"])), 0);
    let shown = json(&memories(&["show", "law", "--json"]));
    assert_eq!((&shown["target_lang"], &shown["description"]), (&"fr".into(), &"contracts".into()));
    // Both names of the flag mean the same.
    for (flag, points) in [("--penalty", 7.5), ("--default-penalty", 5.0)] {
        let updated = json(&memories(&["update", "law", flag, &points.to_string(), "--json"]));
        assert_eq!(updated["default_penalty"], points, "{flag}");
    }
    let wrong = run(directory.path(), &["import", "--memory", "law", "--target-lang", "en", SMALL]);
    assert_eq!(code(&wrong), 1);
    assert!(stderr(&wrong).contains("for ar to fr"), "{}", stderr(&wrong));
    assert_eq!(code(&memories(&["delete", "law"])), 0);
    assert_eq!(code(&memories(&["show", "law"])), 1);
}

#[test]
fn bad_usage_and_bad_input_have_their_own_exit_codes_and_say_what_to_do() {
    let directory = tempfile::tempdir().unwrap();
    for usage in [
        vec!["lookup"],
        vec!["import", "--memory", "a b", "x"],
        vec!["lookup", "--memory", "m", "--min-score", "101"],
        vec!["lookup", "--memory", "m", "--max", "0"],
        vec!["nonsense"],
    ] {
        assert_eq!(code(&run(directory.path(), &usage)), 2, "{usage:?}");
    }
    let write =
        |name: &str, bytes: &[u8]| std::fs::write(directory.path().join(name), bytes).unwrap();
    write("empty.tsv", b"");
    write("columns.tsv", b"one\ttwo\nx\ty\n");
    write("words.txt", b"just a line\n");
    write("page.html", b"<html><body>x</body></html>");
    let cases = [
        ("empty.tsv", 1, "is empty"),
        ("columns.tsv", 1, "--source-column"),
        ("words.txt", 1, "unrecognized format"),
        ("page.html", 1, "this is HTML"),
        ("missing.tmx", 1, "missing.tmx"),
        (".", 1, "2 of 2 files could not be imported"),
    ];
    for (file, expected, message) in cases {
        let output = run(directory.path(), &["import", "--memory", "m", file]);
        assert_eq!(code(&output), expected, "{file}: {}", stderr(&output));
        assert!(stderr(&output).contains(message), "{file}: {}", stderr(&output));
    }
    let none = run_with(directory.path(), &["lookup", "--memory", "none"], "x\n");
    assert_eq!(code(&none), 1);
    assert!(stderr(&none).contains("there is no memory 'none'"), "{}", stderr(&none));
    let nobody = run(directory.path(), &["memories", "--server", "127.0.0.1:1"]);
    assert_eq!(code(&nobody), 1);
    assert!(stderr(&nobody).contains("dhakira serve"), "{}", stderr(&nobody));
}

#[test]
fn the_demo_shows_ten_lookups() {
    let directory = tempfile::tempdir().unwrap();
    let output = run(directory.path(), &["demo"]);
    assert_eq!(code(&output), 0, "{}", stderr(&output));
    let text = stdout(&output);
    assert_eq!(text.matches("Query ").count(), 10);
    for word in ["exact", "fuzzy", "no match", "What next"] {
        assert!(text.contains(word), "{word}");
    }
    assert_eq!(std::fs::read_dir(directory.path()).unwrap().count(), 0, "it leaves nothing behind");
}

#[test]
fn a_real_memory_goes_in_whole() {
    let Some(file) = shared("data/tico19/all.en-ar.tmx.xz") else {
        return;
    };
    let directory = tempfile::tempdir().unwrap();
    let file = file.to_string_lossy();
    let output = run(directory.path(), &["import", "--memory", "m", &file, "--json"]);
    assert_eq!(code(&output), 0, "{}", stderr(&output));
    let sums = json(&output);
    assert_eq!(sums["read"], 3_071);
    let stored = sums["stored"].as_u64().unwrap() + sums["duplicates"].as_u64().unwrap();
    assert_eq!(stored, 3_071);
}

#[test]
fn a_text_is_split_and_its_tokens_are_shown() {
    let directory = tempfile::tempdir().unwrap();
    let text = "\u{feff}Mr. A came.  \u{648}\u{635}\u{644}. \r\n\r\nThen \"he\nleft.\" ";
    let output = run_with(directory.path(), &["split", "--lang", "en"], text);
    assert_eq!(code(&output), 0, "{}", stderr(&output));
    let lines: Vec<String> = stdout(&output).lines().map(str::to_owned).collect();
    assert_eq!(lines, ["Mr. A came.", "\u{648}\u{635}\u{644}.", "Then \"he", "left.\""]);
    let output =
        run_with(directory.path(), &["split", "--lang", "en", "--wrapped", "--json"], text);
    let last = json(&output);
    assert_eq!(last["text"], "Then \"he\nleft.\"");
    assert_eq!((last["start"].as_u64(), last["end"].as_u64()), (Some(22), Some(37)));

    // UTF-16, rules of one's own, and a file that is not there.
    let path = directory.path().join("text.txt");
    let utf16: Vec<u8> =
        "\u{feff}Lic. Mora came.".encode_utf16().flat_map(u16::to_le_bytes).collect();
    std::fs::write(&path, utf16).unwrap();
    let rules = directory.path().join("rules.tsv");
    std::fs::write(&rules, "title\tLic.\n").unwrap();
    let arguments = ["split", "--lang", "en", "--rules", rules.to_str().unwrap(), "text.txt"];
    assert_eq!(stdout(&run(directory.path(), &arguments)), "Lic. Mora came.\n");
    std::fs::write(&rules, "title\tLic.\nwrong\trow\n").unwrap();
    let output = run(directory.path(), &arguments);
    assert_eq!(code(&output), 1);
    assert!(stderr(&output).contains("rules.tsv: line 2: 'wrong'"), "{}", stderr(&output));
    let output = run(directory.path(), &["split", "--lang", "en", "missing.txt"]);
    assert!(stderr(&output).contains("missing.txt"), "{}", stderr(&output));

    let segment = "\u{648}21 \u{645}\u{627}\u{64a}\u{648} <b>";
    let output = run_with(directory.path(), &["tokens", "--lang", "ar", "--json"], segment);
    let tokens = json(&output);
    let tokens = tokens["tokens"].as_array().unwrap();
    let of = |name: &str| tokens.iter().map(|it| it[name].clone()).collect::<Vec<_>>();
    assert_eq!(of("kind"), ["word", "placeable", "tag"]);
    assert_eq!(of("type"), ["word", "date", "tag"]);
    assert_eq!(of("start"), [0, 1, 9]);
    assert_eq!(of("end"), [1, 8, 12]);
    assert_eq!(tokens[1]["value"], "--05-21");
    assert_eq!(tokens[1]["class"], "#date");
}

/// A lone surrogate as some programs write it is no text: said, with its line, not swallowed.
#[test]
fn bytes_that_are_no_text_are_refused_with_their_line() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("bad.txt");
    std::fs::write(&path, b"good.\nbad \xed\xa0\x80.\n").unwrap();
    for arguments in [["split", "--lang", "ar"], ["tokens", "--lang", "ar"]] {
        let mut child = Command::new(env!("CARGO_BIN_EXE_dhakira"))
            .args(arguments)
            .stdin(std::fs::File::open(&path).unwrap())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        assert_eq!(child.wait().unwrap().code(), Some(1));
        let output = child.wait_with_output().unwrap();
        assert!(stderr(&output).contains("line 2"), "{}", stderr(&output));
    }
}
