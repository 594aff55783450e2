//! The official SDK of the Model Context Protocol uses the tools, over standard input and output and over HTTP.

use std::path::Path;

use serde_json::{Value, json};

use super::{DHAKIRA, Served, answer, file, python, stored};

const TOOLS: [&str; 6] = ["align", "check", "context_pack", "list_memories", "lookup", "search"];

/// Calls tools from a server, by the handshake of the first versions of the protocol and by the newest way.
fn use_tools(programs: &Path, server: &[&str]) {
    let units = stored();
    let [source, target] = ["source", "target"].map(|side| &units[0][side]);
    let calls = json!([
        ["list_memories", {}],
        ["lookup", {"segments": [source, "\u{632}\u{631}\u{627}\u{641}\u{629}"]}],
        ["lookup", {"segments": [source], "memories": ["none"]}],
        ["search", {"text": "\u{627}\u{644}\u{645}\u{62f}\u{627}\u{631}\u{633}"}],
        ["align", {"source": "\u{646}\u{639}\u{645}", "target": "Yes"}],
        ["check", {"source": source, "target": units[1]["target"]}],
        ["context_pack", {"segment": source}],
    ])
    .to_string();
    for mode in ["legacy", "auto"] {
        let arguments = [&[mode, &calls], server].concat();
        let said = answer(programs.join("python"), &file("mcp/tools.py"), &arguments);
        assert_eq!(said["tools"], json!(TOOLS));
        let [memories, lookup, refused, search, align, check, pack] =
            said["answers"].as_array().unwrap().as_slice()
        else {
            panic!("{said}")
        };
        let memory = &memories["memories"][0];
        assert_eq!((&memory["name"], &memory["units"]), (&json!("m"), &json!(units.len())));
        let found = |number: usize| lookup["results"][number]["matches"].as_array().unwrap();
        let texts = |it: &Value| [it["source"].clone(), it["target"].clone()];
        assert_eq!(texts(&found(0)[0]), [source.clone(), target.clone()]);
        assert_eq!((&found(0)[0]["score"], found(0).len(), found(1).len()), (&json!(100.0), 2, 0));
        assert!(refused["error"][0].as_str().unwrap().contains("no memory 'none'"), "{refused}");
        assert!(search.to_string().contains("remote villages"), "{search}");
        assert_eq!(align["pairs"][0]["target"], "Yes");
        assert_eq!(check["issues"], json!([]));
        assert_eq!(texts(&pack["matches"][0]), [source.clone(), target.clone()]);
    }
}

#[test]
fn the_sdk_uses_the_tools_over_standard_input_and_output() {
    let Some(programs) = python("mcp") else { return };
    let served = Served::start();
    let server = [DHAKIRA, "mcp", "--server", served.url(), "--token", &served.token];
    use_tools(&programs, &server);
}

#[test]
fn the_sdk_uses_the_tools_over_http() {
    let Some(programs) = python("mcp") else { return };
    let served = Served::start();
    use_tools(&programs, &[&format!("{}/mcp", served.url()), &served.token]);
}
