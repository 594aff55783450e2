//! Penalty rules and filters over the API and by the command line: nothing is lost on the way, and what is wrong is named.

use tonic::Code;
use tonic_types::StatusExt as _;

use crate::command_line::{code, run, stderr, stdout};
use crate::support::{TestServer, lookup_request, proto, unit};
use proto::penalty::Condition;

fn penalty(points: f64, condition: Condition) -> proto::Penalty {
    proto::Penalty { points, condition: Some(condition) }
}

fn every_rule() -> Vec<proto::Penalty> {
    let age = prost_types::Duration { seconds: 86_400, nanos: 5_000 };
    let attribute =
        |value: &str| proto::AttributePenalty { name: "client".into(), value: value.into() };
    vec![
        penalty(1.0, Condition::Author("MT!".into())),
        penalty(2.0, Condition::Attribute(attribute(""))),
        penalty(3.25, Condition::Attribute(attribute("alpha"))),
        penalty(4.0, Condition::OlderThan(age)),
        penalty(5.0, Condition::ConfidenceBelow(0.75)),
        penalty(6.0, Condition::MachineTranslated(true)),
        penalty(7.0, Condition::UnfinishedState(String::new())),
        penalty(8.0, Condition::UnfinishedState("fuzzy".into())),
    ]
}

#[tokio::test]
async fn rules_of_a_memory_are_a_field_like_others() {
    let server = TestServer::start().await;
    let mut memories = server.clients().await.memories;
    let memory = |default_penalty_points, penalties: &[proto::Penalty]| proto::Memory {
        name: "memories/m".into(),
        source_language_code: "ar".into(),
        target_language_code: "en".into(),
        default_penalty_points,
        penalties: penalties.to_vec(),
        ..Default::default()
    };
    let request = proto::CreateMemoryRequest {
        memory_id: "m".into(),
        memory: Some(memory(2.5, &every_rule())),
        request_id: "7c2d5f58-8a6f-4c1a-9df1-3f1b2a7f8c12".into(),
    };
    let created =
        memories.create_memory(request.clone()).await.unwrap().into_inner().memory.unwrap();
    assert_eq!((created.default_penalty_points, &created.penalties), (2.5, &every_rule()));
    let mut update = async |memory: proto::Memory, paths: Option<&[&str]>| {
        let paths = paths.map(|it| it.iter().map(|&it| it.to_owned()).collect());
        let update_mask = paths.map(|paths| prost_types::FieldMask { paths });
        let request = proto::UpdateMemoryRequest {
            memory: Some(memory),
            update_mask,
            request_id: String::new(),
        };
        let memory = memories.update_memory(request).await?.into_inner().memory.unwrap();
        Ok::<_, tonic::Status>((memory.default_penalty_points, memory.penalties))
    };
    let (one, all) = (&every_rule()[..1], every_rule());
    // Without a mask: what is set. With one: what is named, also to reset it.
    assert_eq!(update(memory(0.0, &[]), None).await.unwrap(), (2.5, all.clone()));
    assert_eq!(update(memory(3.0, one), None).await.unwrap(), (3.0, one.to_vec()));
    let named = update(memory(9.0, &[]), Some(&["penalties"])).await.unwrap();
    assert_eq!(named, (3.0, vec![]));
    let named = update(memory(0.0, &all), Some(&["default_penalty_points"])).await.unwrap();
    assert_eq!(named, (0.0, vec![]));
    assert_eq!(update(memory(4.0, &all), Some(&["*"])).await.unwrap(), (4.0, all.clone()));
    assert_eq!(update(memory(0.0, &[]), Some(&["*"])).await.unwrap(), (0.0, vec![]));
    let nothing = proto::AttributePenalty::default();
    let past = prost_types::Duration { seconds: -1, nanos: 0 };
    for (field, bad) in [
        ("points", penalty(-1.0, Condition::Author("x".into()))),
        ("points", penalty(f64::NAN, Condition::Author("x".into()))),
        ("condition", proto::Penalty { points: 1.0, condition: None }),
        ("attribute.name", penalty(1.0, Condition::Attribute(nothing))),
        ("older_than", penalty(1.0, Condition::OlderThan(past))),
        ("confidence_below", penalty(1.0, Condition::ConfidenceBelow(1.01))),
        ("machine_translated", penalty(1.0, Condition::MachineTranslated(false))),
    ] {
        let error = update(memory(0.0, &[one[0].clone(), bad]), None).await.unwrap_err();
        assert_eq!(error.code(), Code::InvalidArgument, "{error}");
        let violations = error.get_error_details().bad_request().unwrap().field_violations.clone();
        assert_eq!(violations[0].field, format!("memory.penalties[1].{field}"), "{error}");
    }
    assert!(update(memory(100.1, &[]), None).await.is_err());
    assert!(update(memory(f64::NAN, &[]), None).await.is_err());
    let many = vec![one[0].clone(); 33];
    assert_eq!(update(memory(0.0, &many), None).await.unwrap_err().code(), Code::InvalidArgument);
    // The first request again is answered as it was.
    let again = memories.create_memory(request.clone()).await.unwrap().into_inner().memory;
    assert_eq!(again, Some(created));
    let memory = Some(memory(2.5, one));
    let other = proto::CreateMemoryRequest { memory, ..request };
    assert_eq!(memories.create_memory(other).await.unwrap_err().code(), Code::AlreadyExists);
}

#[tokio::test]
async fn deductions_of_rules_are_named_in_the_answer() {
    let server = TestServer::start().await;
    let mut clients = server.clients().await;
    clients.create_memory("m").await;
    let text = "\u{648}\u{635}\u{644} \u{627}\u{644}\u{642}\u{637}\u{627}\u{631}";
    let stored = proto::Unit {
        author: "MT!".into(),
        attributes: [("client".to_owned(), "alpha".to_owned())].into(),
        ..unit(text, "The train arrived")
    };
    let request = proto::BatchCreateUnitsRequest {
        parent: "memories/m".into(),
        units: vec![stored],
        ..Default::default()
    };
    clients.units.batch_create_units(request).await.unwrap();
    let mut request = lookup_request(&["m"], text);
    request.settings.as_mut().unwrap().penalties = every_rule();
    let answer = clients.lookups.lookup_segments(request.clone()).await.unwrap().into_inner();
    let deductions = &answer.results[0].matches[0].deductions;
    let named: Vec<_> = deductions.iter().map(|it| (it.reason.as_str(), it.points)).collect();
    let expected = [("author", 1.0), ("attribute", 5.25), ("machine-translation", 6.0)];
    assert_eq!(named, expected);
    request.settings.as_mut().unwrap().penalties = vec![every_rule()[0].clone(); 33];
    let error = clients.lookups.lookup_segments(request).await.unwrap_err();
    assert_eq!(error.code(), Code::InvalidArgument);
}

#[tokio::test]
async fn bad_filters_are_refused_by_field_on_the_wire() {
    let server = TestServer::start().await;
    let mut clients = server.clients().await;
    clients.create_memory("m").await;
    let attribute = |name: &str, values: usize, absent| proto::UnitFilter {
        attributes: vec![proto::AttributeCondition {
            name: name.into(),
            any_of: vec!["x".into(); values],
            none_of: Vec::new(),
            absent,
        }],
        ..Default::default()
    };
    let time = Some(prost_types::Timestamp { seconds: i64::MAX, nanos: 0 });
    let range = proto::TimeRange { start_time: None, end_time: time };
    let punctuation = proto::TextCondition { contains: String::new(), excludes: "..".into() };
    for (field, filter) in [
        ("attributes[0].name", attribute("", 1, false)),
        ("attributes[0].absent", attribute("client", 1, true)),
        (
            "create_time.end_time",
            proto::UnitFilter { create_time: Some(range), ..Default::default() },
        ),
        ("source.excludes", proto::UnitFilter { source: Some(punctuation), ..Default::default() }),
    ] {
        let mut request = lookup_request(&["m"], "word");
        request.settings.as_mut().unwrap().filter = Some(filter);
        let error = clients.lookups.lookup_segments(request).await.unwrap_err();
        assert_eq!(error.code(), Code::InvalidArgument, "{error}");
        let violations = error.get_error_details().bad_request().unwrap().field_violations.clone();
        assert_eq!(violations[0].field, format!("settings.filter.{field}"), "{error}");
    }
}

#[test]
fn the_command_line_takes_rules_and_filters() {
    let directory = tempfile::tempdir().unwrap();
    let call = |arguments: &[&str]| {
        let output = run(directory.path(), arguments);
        assert_eq!(code(&output), 0, "{arguments:?}: {}", stderr(&output));
        let line = stdout(&output).lines().last().unwrap_or("null").to_owned();
        serde_json::from_str::<serde_json::Value>(&line).unwrap_or_default()
    };
    let created = call(&[
        "memories",
        "--json",
        "create",
        "m",
        "--default-penalty",
        "1",
        "--penalty-rule",
        "author=huda:2",
    ]);
    assert_eq!(created["default_penalty"], 1.0);
    assert_eq!(created["penalty_rules"], serde_json::json!(["author=huda:2"]));
    let file = directory.path().join("units.jsonl");
    let unit = |author: &str, client: &str, target: &str| {
        serde_json::json!({
            "source": "\u{648}\u{635}\u{644} \u{627}\u{644}\u{642}\u{637}\u{627}\u{631}",
            "target": target, "author": author, "attributes": {"client": client},
        })
        .to_string()
    };
    let lines =
        [unit("huda", "alpha", "The train arrived"), unit("MT", "beta", "A train has come")];
    std::fs::write(&file, lines.join("\n")).unwrap();
    let path = file.to_str().unwrap();
    call(&["import", "--memory", "m", path]);
    let query = "\u{648}\u{635}\u{644} \u{627}\u{644}\u{642}\u{637}\u{627}\u{631}";
    let lookup = |flags: &[&str]| {
        let found = call(&[&["lookup", "--json"], flags, &[query]].concat());
        let scores = found["matches"].as_array().unwrap().iter();
        scores.map(|it| it["score"].as_f64().unwrap()).collect::<Vec<_>>()
    };
    assert_eq!(lookup(&["-m", "m"]), [99.0, 97.0]);
    assert_eq!(lookup(&["-m", "m:0"]), [100.0, 98.0]);
    let rules = ["--penalty-rule", "machine-translation:7", "--penalty-rule", "attribute=client:1"];
    assert_eq!(lookup(&[&["-m", "m"], &rules[..]].concat()), [96.0, 91.0]);
    for (flags, count) in [
        (&["--not-by-author", "huda"][..], 1),
        (&["--by-author", "huda", "--by-author", "MT"], 2),
        (&["--attribute", "client=alpha", "--attribute", "client=beta"], 2),
        (&["--attribute", "client", "--not-attribute", "client=beta"], 1),
        (&["--not-attribute", "client"], 0),
        (&["--not-in-document", ""], 0),
        (&["--target-contains", "TRAIN the"], 1),
        (&["--target-excludes", "arrived"], 1),
        (&["--source-excludes", query], 0),
        (&["--created-before", "2001-01-01"], 0),
        (&["--created-from", "2001-01-01"], 2),
    ] {
        assert_eq!(lookup(&[&["-m", "m"], flags].concat()).len(), count, "{flags:?}");
    }
    let updated = call(&["memories", "--json", "update", "m", "--no-penalty-rules"]);
    assert_eq!(updated["default_penalty"], 1.0);
    assert_eq!(updated["penalty_rules"], serde_json::json!([]));
    assert_eq!(lookup(&["-m", "m"]), [99.0, 99.0]);
    for bad in ["author=huda", "author=huda:x", "nonsense:5", "older-than=soon:5"] {
        let output = run(directory.path(), &["lookup", "-m", "m", "--penalty-rule", bad, query]);
        assert_eq!(code(&output), 2, "{bad}");
        assert!(stderr(&output).contains("--penalty-rule"), "{}", stderr(&output));
    }
}
