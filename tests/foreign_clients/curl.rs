//! `curl` calls the server by JSON, tmserver and MyMemory, by the commands of the documentation among others.

use std::process::Command;

use serde_json::{Value, json};

use super::{SCRIPT_SECONDS, Served, file, limited, skip, stored};

const README: &str = include_str!("../../README.md");
const TOOLS: &str = include_str!("../../docs/tools.md");

/// The commands of a text that are `curl` in a block of code, whole where they go over several lines.
fn commands(text: &str) -> Vec<String> {
    let text = text.replace("\\\n", " ");
    text.lines().filter(|line| line.starts_with("curl ")).map(str::to_owned).collect()
}

/// What a command prints, in a shell whose `curl` sends the token and fails when the server does.
fn shell(served: &Served, command: &str) -> String {
    let settings =
        format!("user = \"anna:{}\"\nsilent\nshow-error\nfail-with-body\n", served.token);
    std::fs::write(served.path(".curlrc"), settings).unwrap();
    let command = command.replace("127.0.0.1:50051", served.url().trim_start_matches("http://"));
    let mut shell = limited(SCRIPT_SECONDS, "bash");
    shell.args(["-c", &command]).env("CURL_HOME", served.path(""));
    let output = shell.output().unwrap();
    let said = String::from_utf8(output.stdout).unwrap();
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{command}: {said}{errors}");
    said
}

fn has_curl() -> bool {
    let has = Command::new("curl").arg("--version").output().is_ok();
    if !has {
        skip("curl", "it is not installed");
    }
    has
}

#[test]
fn the_commands_of_the_documentation_do_what_they_say() {
    if !has_curl() {
        return;
    }
    let served = Served::start();
    let said: Vec<Value> = [README, TOOLS]
        .into_iter()
        .flat_map(commands)
        .map(|command| serde_json::from_str(&shell(&served, &command)).unwrap())
        .collect();
    let [memory, unit, found, lookup, answer, languages] = said.as_slice() else {
        panic!("{said:?}")
    };
    assert_eq!(memory["memory"]["name"], "memories/news");
    assert_eq!(unit["unit"]["name"], "memories/news/units/1");
    assert_eq!(found["results"][0]["matches"][0]["unit"]["target"]["text"], "Save the file");
    assert!(lookup["results"].is_array() && answer["responseStatus"] == 200);
    assert_eq!(languages["sourceLanguages"], json!(["ar"]));
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
