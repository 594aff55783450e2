//! The Model Context Protocol over standard input and output: sessions written by hand, against the program.

use std::path::Path;

use serde_json::{Value, json};

use crate::command_line::{code, run, run_with, stderr, stdout};

mod session;

use session::Session;

/// Sources and targets between tabs, in our own words.
const UNITS: &str = "ar\ten\n\
    عُقد اجتماع مجلس الإدارة يوم الاثنين.\tThe board of directors met on Monday.\n\
    وافق مجلس الإدارة على ميزانية العام 2019.\tThe board of directors approved the budget for 2019.\n\
    يناقش مجلس الإدارة تقرير المدقق الخارجي.\tThe board of directors is discussing the report of the external auditor.\n\
    أرسل المدقق الخارجي تقريره.\tThe external auditor sent his report.\n\
    صباح الخير\tGood morning\n";

/// A data directory with the memory `board`.
fn with_units(directory: &Path) {
    std::fs::write(directory.join("units.tsv"), UNITS).unwrap();
    let output = run(directory, &["import", "--memory", "board", "units.tsv"]);
    assert_eq!(code(&output), 0, "{}", stderr(&output));
}

#[test]
fn a_session_begins_lists_its_tools_and_ends_with_its_input() {
    let directory = tempfile::tempdir().unwrap();
    with_units(directory.path());
    for version in ["2024-11-05", "2025-03-26", "2025-06-18", "2025-11-25"] {
        let mut session = Session::start(directory.path(), &[]);
        let result = session.initialize(version)["result"].clone();
        assert_eq!(result["protocolVersion"], version);
        assert_eq!(result["serverInfo"]["name"], "dhakira");
        assert_eq!(result["serverInfo"]["version"], env!("CARGO_PKG_VERSION"));
        assert!(result["instructions"].as_str().unwrap().contains("context_pack"));
        assert_eq!(result["capabilities"], json!({"tools": {}}));
        session.close();
    }
    let mut session = Session::open(directory.path(), &[]);
    let listed = session.request("tools/list", json!({}))["result"]["tools"].clone();
    let names: Vec<&str> =
        listed.as_array().unwrap().iter().map(|it| it["name"].as_str().unwrap()).collect();
    assert_eq!(names, ["list_memories", "context_pack", "lookup", "search", "align", "check"]);
    for tool in listed.as_array().unwrap() {
        assert_eq!(tool["annotations"]["readOnlyHint"], true, "{tool}");
        assert_eq!(tool["annotations"]["openWorldHint"], false, "{tool}");
        assert_eq!(tool["inputSchema"]["type"], "object", "{tool}");
        assert_eq!(tool["inputSchema"]["additionalProperties"], false, "{tool}");
        assert_eq!(tool["outputSchema"]["type"], "object", "{tool}");
        assert!(tool["description"].as_str().unwrap().len() > 50, "{tool}");
    }
    session.close();
    // A client may disconnect before it sends anything.
    Session::start(directory.path(), &[]).close();
}

#[test]
fn the_current_protocol_needs_no_beginning() {
    let directory = tempfile::tempdir().unwrap();
    with_units(directory.path());
    let mut session = Session::start(directory.path(), &[]);
    let meta = json!({
        "io.modelcontextprotocol/protocolVersion": "2026-07-28",
        "io.modelcontextprotocol/clientInfo": {"name": "by-hand", "version": "1"},
        "io.modelcontextprotocol/clientCapabilities": {},
    });
    let found = session.request("server/discover", json!({"_meta": meta}));
    let versions = found["result"]["supportedVersions"].as_array().unwrap();
    assert!(versions.contains(&json!("2026-07-28")), "{found}");
    let called = session
        .request("tools/call", json!({"_meta": meta, "name": "list_memories", "arguments": {}}));
    assert_eq!(called["result"]["structuredContent"]["memories"][0]["name"], "board", "{called}");
    session.close();
}

#[test]
fn every_tool_answers_in_text_and_data() {
    let directory = tempfile::tempdir().unwrap();
    with_units(directory.path());
    let mut session = Session::open(directory.path(), &[]);

    let (text, data) = session.tool("list_memories", json!({}));
    assert_eq!(text, "board: ar to en, 5 units\n");
    let board =
        json!({"name": "board", "source_language": "ar", "target_language": "en", "units": 5});
    assert_eq!(data, json!({"memories": [board], "writable": false}));

    let segment = "وافق مجلس الإدارة على ميزانية العام 2020.";
    let (text, data) = session.tool("lookup", json!({"segments": [segment]}));
    let found = &data["results"][0]["matches"][0];
    assert_eq!(found["unit"], "memories/board/units/2");
    assert_eq!(found["adapted_target"], "The board of directors approved the budget for 2020.");
    assert_eq!(found["edits"], json!([{"kind": "replaced", "stored": "2019", "segment": "2020"}]));
    assert_eq!(found["deductions"][0]["reason"], "edited");
    assert!(text.contains(r#"stored "2019" is "2020" in the segment"#), "{text}");
    assert!(
        text.contains("adapted target: The board of directors approved the budget for 2020."),
        "{text}"
    );

    let (text, data) = session.tool("search", json!({"text": "مجلس الاداره", "max": 2}));
    assert!(text.contains("⟦مجلس الإدارة⟧"), "{text}");
    assert_eq!(data["hits"].as_array().unwrap().len(), 2);
    let more = json!({"text": "مجلس الاداره", "max": 2, "page_token": data["next_page_token"]});
    let (_, data) = session.tool("search", more);
    assert_eq!((data["hits"].as_array().unwrap().len(), data.get("next_page_token")), (1, None));
    let (_, data) =
        session.tool("search", json!({"text": "audit", "side": "target", "mode": "prefix"}));
    assert_eq!(data["hits"].as_array().unwrap().len(), 2);

    let (text, data) = session.tool(
        "align",
        json!({"source": "صباح الخير. أرسل المدقق الخارجي تقريره.", "target": "Good morning. The external auditor sent his report."}),
    );
    let pairs = data["pairs"].as_array().unwrap();
    assert_eq!(pairs.len(), 2, "{text}");
    assert_eq!(pairs[1]["target"], "The external auditor sent his report.");
    assert_eq!((&data["untranslated"], &data["added"]), (&json!(0), &json!(0)));

    let (text, data) = session.tool("check", json!({"source": segment, "target": "The board of directors approved the budget for 2019."}));
    assert_eq!(data["issues"][0]["name"], "numbers", "{text}");
    let (text, data) = session.tool("check", json!({"source": "صباح الخير", "target": "Good day"}));
    assert_eq!(
        data["stored_otherwise"],
        json!([{"target": "Good morning", "unit": "memories/board/units/5"}]),
        "{text}"
    );
    let (_, data) =
        session.tool("check", json!({"source": "صباح الخير", "target": "Good morning"}));
    assert_eq!(data["stored_as"], "memories/board/units/5");
    let (_, data) =
        session.tool("check", json!({"memory": "memories/board", "min_suspicion": 0, "max": 2}));
    assert_eq!(
        (&data["units_checked"], data["suspects"].as_array().unwrap().len()),
        (&json!(5), 2)
    );
    session.close();
}

#[test]
fn a_context_pack_gathers_matches_terms_and_concordance_in_its_space() {
    let directory = tempfile::tempdir().unwrap();
    with_units(directory.path());
    let mut session = Session::open(directory.path(), &[]);
    let segment = "ناقش مجلس الإدارة اليوم ما أرسله المدقق الخارجي إلى الوزارة.";
    let (text, data) = session.tool("context_pack", json!({"segment": segment}));
    let terms: Vec<&str> =
        data["terms"].as_array().unwrap().iter().map(|it| it["term"].as_str().unwrap()).collect();
    assert!(terms.contains(&"مجلس الإدارة") && terms.contains(&"المدقق الخارجي"), "{text}");
    let auditor =
        data["terms"].as_array().unwrap().iter().find(|it| it["term"] == "المدقق الخارجي").unwrap();
    assert_eq!(auditor["translations"][0]["text"], "external auditor", "{text}");
    assert_eq!(auditor["translations"][0]["times"], 2, "{text}");
    // Each unit is shown once, with every phrase that it has.
    let lines = data["concordance"].as_array().unwrap();
    let mut units: Vec<&str> = lines.iter().map(|it| it["unit"].as_str().unwrap()).collect();
    units.extend(data["matches"].as_array().unwrap().iter().map(|it| it["unit"].as_str().unwrap()));
    let count = units.len();
    units.sort_unstable();
    units.dedup();
    assert_eq!(units.len(), count, "{text}");
    assert!(text.contains("⟦المدقق الخارجي⟧"), "{text}");
    assert_eq!(data["cut"], json!([]), "{text}");
    assert!(text.ends_with("Nothing was cut.\n"));

    // The same text: its translation, and no more.
    let (text, data) = session.tool("context_pack", json!({"segment": "صباح الخير"}));
    assert_eq!(data["matches"][0]["target"], "Good morning");
    assert!(data["terms"].as_array().unwrap().is_empty() && text.contains("\nCut: "), "{text}");
    session.close();
}

#[test]
fn answers_keep_to_their_size_and_say_what_they_left_out() {
    let directory = tempfile::tempdir().unwrap();
    let long = "كلمة أخرى ".repeat(200);
    let rows =
        (0..20).map(|number| format!("{long}{number}\t{}{number}\n", "another word ".repeat(200)));
    let text: String = std::iter::once("ar\ten\n".to_owned()).chain(rows).collect();
    std::fs::write(directory.path().join("long.tsv"), text).unwrap();
    let output = run(directory.path(), &["import", "--memory", "long", "long.tsv"]);
    assert_eq!(code(&output), 0, "{}", stderr(&output));
    let mut session = Session::open(directory.path(), &[]);
    let segment = format!("{long}99");
    let (text, data) = session.tool("lookup", json!({"segments": [segment], "max_matches": 20}));
    let shown = data["results"][0]["matches"].as_array().unwrap().len();
    let left_out = data["left_out"].as_u64().unwrap();
    assert!(shown >= 2 && shown as u64 + left_out == 20, "{shown} and {left_out}");
    assert!(data.to_string().len() < 100_000 && text.contains("matches are left out"));
    let (text, data) = session.tool("context_pack", json!({"segment": segment, "max_chars": 2000}));
    assert!(text.chars().count() <= 2000, "{}", text.chars().count());
    assert!(text.contains("5 matches (`lookup` shows them)"), "{text}");
    assert!(!data["cut"].as_array().unwrap().is_empty());
    session.close();
}

#[test]
fn wrong_arguments_are_answered_with_the_way_out() {
    let directory = tempfile::tempdir().unwrap();
    with_units(directory.path());
    let mut session = Session::open(directory.path(), &[]);
    let long = "x".repeat(20_000);
    for (tool, arguments, part) in [
        (
            "lookup",
            json!({"segments": ["x"], "memories": ["news"]}),
            "there is no memory 'news' here; the memories are board (ar to en)",
        ),
        (
            "search",
            json!({"text": "x", "source_language": "de"}),
            "the memories are board (ar to en)",
        ),
        ("lookup", json!({"segments": []}), "must be from 1 to 20"),
        ("lookup", json!({"segments": [long]}), "at most 16384 are taken: send it in parts"),
        ("lookup", json!({"segments": ["x"], "min_score": 101}), "`min_score`"),
        ("lookup", json!({"segments": [""]}), "empty"),
        ("lookup", json!({"segment": "x"}), "unknown field `segment`, expected one of `segments`"),
        ("lookup", json!({}), "missing field `segments`"),
        ("search", json!({"text": "x", "max": 1000}), "must be from 1 to 50"),
        ("search", json!({"text": "…"}), "word"),
        ("search", json!({"text": "x", "page_token": "zz"}), "page_token"),
        ("align", json!({"source": "", "target": "x"}), "the source holds no text"),
        (
            "align",
            json!({"source": "x", "target": "y", "source_language": "not a language"}),
            "is not a BCP-47 language tag",
        ),
        ("check", json!({}), "give either `source` and `target`"),
        ("check", json!({"memory": "other"}), "the memories are board"),
        ("context_pack", json!({"segment": " "}), "nothing to translate"),
        ("context_pack", json!({"segment": "x", "max_chars": 5}), "must be from 2000 to 32000"),
    ] {
        let text = session.failure(tool, arguments.clone());
        assert!(text.contains(part), "{tool} {arguments}: {text}");
    }
    let answer = session.request("tools/call", json!({"name": "nothing", "arguments": {}}));
    assert_eq!(answer["error"]["code"], -32602);
    assert!(answer["error"]["message"].as_str().unwrap().contains("the tools are list_memories"));
    session.close();
}

#[test]
fn lines_that_are_no_messages_do_not_end_a_session() {
    let directory = tempfile::tempdir().unwrap();
    with_units(directory.path());
    let mut session = Session::open(directory.path(), &[]);
    for line in ["not json", "", "\u{0}", "{\"jsonrpc\":\"2.0\"", "[[[[", &"[".repeat(10_000)] {
        session.send(line);
        session.request("ping", json!({}));
    }
    session.send_bytes(b"\xff\xfe\n");
    session.request("ping", json!({}));
    // A message that is none of the protocol is refused.
    session.send("{}");
    let answer = session.read();
    assert_eq!(
        (&answer["error"]["code"], &answer["id"]),
        (&json!(-32600), &Value::Null),
        "{answer}"
    );
    // A line that is too long is dropped, however long it is.
    let huge = json!({"segments": ["x".repeat(3 * 1024 * 1024)]});
    let huge = json!({"jsonrpc": "2.0", "id": 9000, "method": "tools/call", "params": {"name": "lookup", "arguments": huge}});
    session.send(&huge.to_string());
    let (_, data) = session.tool("lookup", json!({"segments": ["صباح الخير"]}));
    assert_eq!(data["results"][0]["matches"][0]["kind"], "exact");
    session.close();
}

#[test]
fn a_lookup_answers_what_the_command_does() {
    let directory = tempfile::tempdir().unwrap();
    with_units(directory.path());
    let segments = [
        "عقد اجتماع مجلس الادارة يوم الثلاثاء.",
        "وافق مجلس الإدارة على ميزانية العام 2025.",
        "صباح الخير",
        "هذا نص لا يشبه شيئا",
    ];
    let arguments =
        ["lookup", "--memory", "board", "--min-score", "50", "--max", "4", "--document", "--json"];
    let output = run_with(directory.path(), &arguments, &segments.join("\n"));
    let plain = stdout(&output);
    let plain: Vec<Value> = plain.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let mut session = Session::open(directory.path(), &[]);
    let arguments =
        json!({"segments": segments, "min_score": 50, "max_matches": 4, "consecutive": true});
    let (_, data) = session.tool("lookup", arguments);
    session.close();
    let results = data["results"].as_array().unwrap();
    assert_eq!(results.len(), plain.len());
    let mut compared = 0;
    for (result, plain) in results.iter().zip(&plain) {
        assert_eq!(result["segment"], plain["query"]);
        let (found, expected) =
            (result["matches"].as_array().unwrap(), plain["matches"].as_array().unwrap());
        assert_eq!(found.len(), expected.len());
        for (found, expected) in found.iter().zip(expected) {
            for key in [
                "score",
                "kind",
                "match_rate",
                "unit",
                "source",
                "target",
                "adapted_target",
                "changed",
                "document",
            ] {
                assert_eq!(found.get(key), expected.get(key), "{key}");
            }
            let points = |it: &Value| -> Vec<Value> {
                let all = it["deductions"].as_array().cloned().unwrap_or_default();
                all.iter().map(|it| json!([it["reason"], it["points"]])).collect()
            };
            assert_eq!(points(found), points(expected));
            let edits = found["edits"].as_array().map_or(0, Vec::len);
            assert_eq!(edits, expected["edits"].as_array().unwrap().len());
            compared += 1;
        }
    }
    assert!(compared >= 3, "{compared}");
}

#[test]
fn nothing_is_written_unless_it_is_allowed() {
    let directory = tempfile::tempdir().unwrap();
    with_units(directory.path());
    let new = json!({"memory": "board", "source": "مساء الخير", "target": "Good evening", "author": "Anna"});
    let mut session = Session::open(directory.path(), &[]);
    let answer = session.request("tools/call", json!({"name": "save", "arguments": new}));
    assert!(answer["error"]["message"].as_str().unwrap().contains("only reads"), "{answer}");
    session.close();

    let mut session = Session::open(directory.path(), &["--allow-writes"]);
    let listed = session.request("tools/list", json!({}));
    let save = listed["result"]["tools"].as_array().unwrap().iter().find(|it| it["name"] == "save");
    let annotations = &save.unwrap()["annotations"];
    assert_eq!(
        (&annotations["readOnlyHint"], &annotations["destructiveHint"]),
        (&json!(false), &json!(false))
    );
    let (_, data) = session.tool("save", new.clone());
    assert_eq!(data["unit"], "memories/board/units/6");
    // The same again is the same unit.
    assert_eq!(session.tool("save", new).1, data);
    let (_, data) = session.tool("lookup", json!({"segments": ["مساء الخير"]}));
    let found = &data["results"][0]["matches"][0];
    assert_eq!((&found["kind"], &found["author"]), (&json!("exact"), &json!("Anna")));
    session.close();
}

#[test]
fn only_the_offered_memories_are_there() {
    let directory = tempfile::tempdir().unwrap();
    with_units(directory.path());
    std::fs::write(directory.path().join("other.tsv"), "de\ten\nGuten Morgen\tGood morning\n")
        .unwrap();
    let import =
        ["import", "--memory", "german", "--source-lang", "de", "--target-lang", "en", "other.tsv"];
    let output = run(directory.path(), &import);
    assert_eq!(code(&output), 0, "{}", stderr(&output));

    let mut session = Session::open(directory.path(), &[]);
    let text = session.failure("lookup", json!({"segments": ["Guten Morgen"]}));
    assert!(text.contains("several pairs of languages"), "{text}");
    let (_, data) =
        session.tool("lookup", json!({"segments": ["Guten Morgen"], "source_language": "de"}));
    assert_eq!(data["memories"], json!(["german"]));
    session.close();

    let mut session = Session::open(directory.path(), &["--memory", "board"]);
    let (_, data) = session.tool("list_memories", json!({}));
    assert_eq!(data["memories"].as_array().unwrap().len(), 1);
    let text =
        session.failure("lookup", json!({"segments": ["Guten Morgen"], "memories": ["german"]}));
    assert!(text.contains("there is no memory 'german' here"), "{text}");
    session.close();
}

#[test]
fn a_directory_that_is_not_there_is_named_on_standard_error() {
    let directory = tempfile::tempdir().unwrap();
    let output = run(directory.path(), &["mcp", "--data", "nowhere"]);
    assert_eq!((code(&output), stdout(&output).as_str()), (1, ""));
    assert!(stderr(&output).contains("nowhere"), "{}", stderr(&output));
}
