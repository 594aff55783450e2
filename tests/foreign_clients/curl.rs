//! `curl` calls the server by JSON, tmserver and MyMemory: by the commands of the documentation, those for `grpcurl` included.

use std::process::Command;

use serde_json::{Value, json};

use super::{SCRIPT_SECONDS, Served, file, limited, skip, stored};

const API: &str = include_str!("../../docs/api.md");
const TOOLS: &str = include_str!("../../docs/tools.md");

/// The commands of a page that begin with a program, whole where they go over several lines; without those that follow a feed.
fn commands(page: &str, program: &str) -> Vec<String> {
    let page = page.replace("\\\n", " ");
    let lines = page.lines().filter(|line| line.split(' ').next() == Some(program));
    lines.filter(|line| !line.to_lowercase().contains("watch")).map(str::to_owned).collect()
}

/// What a command prints, in a shell whose `curl` sends the token and fails when the server does.
fn shell(served: &Served, command: &str) -> String {
    let settings =
        format!("user = \"anna:{}\"\nsilent\nshow-error\nfail-with-body\n", served.token);
    std::fs::write(served.path(".curlrc"), settings).unwrap();
    let command = command.replace("127.0.0.1:50051", served.url().trim_start_matches("http://"));
    let mut shell = limited(SCRIPT_SECONDS, "bash");
    shell.args(["-c", &command]).env("CURL_HOME", served.path("")).current_dir(served.path(""));
    let output = shell.output().unwrap();
    let said = String::from_utf8(output.stdout).unwrap();
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{command}: {said}{errors}");
    said
}

pub(crate) fn has_curl() -> bool {
    let has = Command::new("curl").arg("--version").output().is_ok();
    if !has {
        skip("curl", "it is not installed");
    }
    has
}

/// What a command prints, as the JSON of each line.
fn answers(served: &Served, command: &str) -> Vec<Value> {
    let said = shell(served, command);
    said.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

#[test]
fn the_commands_of_the_documentation_do_what_they_say() {
    if !has_curl() {
        return;
    }
    let served = Served::start();
    std::fs::write(served.path("news.tsv"), "ar\ten\nyes\tno\n").unwrap();
    let said: Vec<Vec<Value>> = [API, TOOLS]
        .into_iter()
        .flat_map(|page| commands(page, "curl"))
        .map(|command| answers(&served, &command))
        .collect();
    let [memory, unit, found, hits, changed, imported, exported, rest @ ..] = said.as_slice()
    else {
        panic!("{said:?}")
    };
    assert_eq!(memory[0]["memory"]["name"], "memories/news");
    assert_eq!(unit[0]["unit"]["name"], "memories/news/units/1");
    assert_eq!(found[0]["results"][0]["matches"][0]["unit"]["target"]["text"], "Save the file");
    assert_eq!(hits[0]["hits"][0]["unit"]["name"], "memories/news/units/1");
    assert_eq!(changed[0]["unit"]["target"]["text"], "Save file");
    assert_eq!(imported.last().unwrap()["complete"], true);
    assert!(exported.is_empty());
    assert!(std::fs::read_to_string(served.path("news.tmx")).unwrap().contains("Save file"));

    let [aligned, started, operations, lookup, answer, languages] = rest else {
        panic!("{rest:?}")
    };
    assert_eq!(aligned.iter().filter(|it| it["bead"].is_object()).count(), 2, "{aligned:?}");
    assert_eq!(started[0]["operation"]["kind"], "OPERATION_KIND_TRAIN_LEXICON");
    assert_eq!(operations[0]["operations"][0]["name"], started[0]["operation"]["name"]);
    assert!(lookup[0]["results"].is_array() && answer[0]["responseStatus"] == 200);
    assert_eq!(languages[0]["sourceLanguages"], json!(["ar"]));
}

/// `grpcurl` sends its JSON as the message of a call; so does `curl`, to the path of the call.
#[test]
fn the_messages_for_grpcurl_in_the_documentation_are_answered() {
    if !has_curl() {
        return;
    }
    let served = Served::start();
    let commands = commands(API, "grpcurl");
    assert!(commands.len() >= 9, "{commands:?}");
    for command in commands {
        let rest = command.strip_prefix("grpcurl -plaintext -d ").unwrap();
        let (message, call) = rest.split_once("127.0.0.1:50051 ").unwrap();
        let kind = "-H 'content-type: application/json'";
        let said = answers(&served, &format!("curl {kind} -d {message} {}/{call}", served.url()));
        assert!(!said.is_empty(), "{command}");
    }
}

#[test]
fn curl_calls_json_tmserver_and_mymemory() {
    if !has_curl() {
        return;
    }
    let served = Served::start();
    let (server, units) = (served.url(), stored());
    let run = |command: &str| shell(&served, command);
    let read = |command: &str| -> Value { serde_json::from_str(&run(command)).unwrap() };

    // JSON: a file in, and a stream of lines out.
    let units_file = file("units.jsonl");
    let body = format!(
        "-H 'content-type: application/octet-stream' --data-binary @{}",
        units_file.display()
    );
    let memory = r#"{"sourceLanguageCode":"ar","targetLanguageCode":"en"}"#;
    let kind = "-H 'content-type: application/json'";
    run(&format!("curl {kind} -d '{memory}' '{server}/v1/memories?memoryId=in'"));
    run(&format!("curl {body} '{server}/v1/memories/in:import'"));
    let lines = run(&format!("curl {server}/v1/memories/in:export"));
    let answers = lines.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
    let texts: Vec<[Value; 2]> = answers
        .flat_map(|it| it["units"].as_array().unwrap().clone())
        .map(|it| ["source", "target"].map(|side| it[side]["text"].clone()))
        .collect();
    let wanted: Vec<[Value; 2]> =
        units.iter().map(|it| ["source", "target"].map(|side| it[side].clone())).collect();
    assert_eq!(texts, wanted);

    // The protocols of translation tools.
    let text = units[5]["source"].as_str().unwrap();
    let found =
        read(&format!("curl -G --data-urlencode 'source={text}' {server}/api/v1//ar/en/unit/"));
    assert_eq!((&found[0]["target"], &found[0]["quality"]), (&units[5]["target"], &json!(100.0)));
    let found = read(&format!(
        "curl --data-urlencode 'q={text}' --data-urlencode 'langpair=AR-SA|en' {server}/mymemory/get"
    ));
    assert_eq!(found["responseData"]["translatedText"], units[5]["target"]);
}
