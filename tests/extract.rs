//! Risk: a project memory lacks units that match a segment of the job, or says something wrong about them.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use dhakira::engine::{Cancel, Engine, ExtractCounts, Extraction, QuerySegment};
use dhakira::matching::MatchKind;
use dhakira::store::InMemoryStore;
use dhakira::unit::{MemoryName, Score, Segment, UnitContent, UnitId};
use proptest::prelude::*;
use serde_json::Value;
use tokio_stream::StreamExt as _;
use tonic::Code;
use tonic_types::StatusExt as _;

use crate::command_line::{code, json, run, run_with, stderr, stdout};
use crate::crash::Process;
use crate::filters::random_filter;
use crate::matching::world::Rng;
use crate::penalties::{Model, expected, random_memory, random_rules, settings, text, text_scores};
use crate::support::proto::{self, extract_units_request::Message};
use crate::support::{Clients, TestServer, lookup_request, new_memory, segment, unit};

fn engine() -> Engine {
    Engine::open(Arc::new(InMemoryStore::default()), None, &mut |_| ()).unwrap()
}

fn queries(texts: &[String]) -> Vec<QuerySegment> {
    texts.iter().map(|text| QuerySegment::new(Segment::plain(text.clone()))).collect()
}

/// Kind, hundredths of the score, and of the penalty.
type Best = (MatchKind, u16, u16);

/// All pages of an extraction; asserts their order.
fn pages(engine: &Engine, job: &mut Extraction, limit: usize) -> Vec<((MemoryName, UnitId), Best)> {
    let mut all = Vec::new();
    while let Some(page) = job.page(engine, limit).unwrap() {
        assert!(page.len() <= limit);
        all.extend(page.into_iter().map(|it| {
            let best = (it.kind, it.score.hundredths(), it.penalty.hundredths());
            ((it.memory, it.unit.id), best)
        }));
    }
    all
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(16))]

    /// The model looks each segment up alone, unit by unit and without a limit, and keeps the best of each unit.
    #[test]
    fn an_extraction_is_the_best_of_all_matches_of_all_segments(seed: u64) {
        let rng = &mut Rng(seed);
        let engine = engine();
        let models: Vec<Model> =
            (0..1 + rng.below(3)).map(|number| random_memory(rng, &engine, number)).collect();
        let job: Vec<String> = (0..1 + rng.below(6)).map(|_| text(rng)).collect();
        let texts: Vec<_> = job.iter().map(|query| text_scores(&models, query)).collect();
        for _ in 0..10 {
            let min_score = Score::from_points(*rng.pick(&[0.0, 30.0, 60.0, 99.0])).unwrap();
            let mut settings = settings(&models, min_score, usize::MAX);
            for choice in &mut settings.memories {
                if rng.chance(40) {
                    choice.penalty = Score::from_hundredths(*rng.pick(&[0, 100, 700]));
                }
            }
            if rng.chance(70) {
                settings.penalty_rules = random_rules(rng);
            }
            if rng.chance(60) {
                settings.filter = random_filter(rng);
            }
            let mut best: BTreeMap<(usize, UnitId), Best> = BTreeMap::new();
            let mut matched = 0;
            for texts in &texts {
                let found = expected(&models, texts, &settings);
                matched += u64::from(!found.is_empty());
                for (memory, id, kind, points) in found {
                    let lost: u16 = points.iter().map(|(_, points)| points).sum();
                    let penalties = points.iter().filter(|(reason, _)| reason.is_penalty());
                    let penalty = penalties.map(|(_, points)| points).sum();
                    let hit = (kind, 10_000 - lost, penalty);
                    let rank = |(kind, score, penalty): Best| (kind, 10_000 - score, penalty);
                    let known = best.entry((memory, id)).or_insert(hit);
                    if rank(hit) < rank(*known) {
                        *known = hit;
                    }
                }
            }
            let mut extraction = Extraction::new(&engine, settings.clone()).unwrap();
            // In any number of pieces.
            for some in job.chunks(1 + rng.below(3)) {
                extraction.add(&engine, &queries(some), &Cancel::default()).unwrap();
            }
            let counts = ExtractCounts {
                segments: job.len() as u64,
                matched_segments: matched,
                cut_segments: 0,
                units: best.len() as u64,
            };
            prop_assert_eq!(extraction.counts(), counts);
            let name = |memory: usize| settings.memories[memory].memory.clone();
            let best: Vec<_> =
                best.into_iter().map(|((memory, id), it)| ((name(memory), id), it)).collect();
            let found = pages(&engine, &mut extraction, 1 + rng.below(20));
            prop_assert_eq!(found, best, "{:?}", settings);
        }
    }
}

#[test]
fn a_segment_with_too_many_matches_is_counted() {
    let engine = engine();
    let name: MemoryName = "m".parse().unwrap();
    engine.create_memory(new_memory(name.clone()), None).unwrap();
    let add = |numbers: std::ops::Range<usize>| {
        let units = numbers.map(|number| UnitContent {
            source: Segment::plain("\u{646}\u{639}\u{645}"),
            target: Segment::plain(format!("Yes, {number}")),
            ..UnitContent::default()
        });
        let units: Vec<_> = units.collect();
        for some in units.chunks(100) {
            engine.create_units(&name, some.to_vec(), None, |_| String::new()).unwrap();
        }
    };
    let extract = || {
        let choice = dhakira::engine::MemoryChoice { memory: name.clone(), penalty: None };
        let mut settings = settings(&[], Score::FULL, 1);
        settings.memories.push(choice);
        let mut job = Extraction::new(&engine, settings).unwrap();
        let texts = ["\u{646}\u{639}\u{645}".to_owned(), "\u{644}\u{627}".to_owned()];
        job.add(&engine, &queries(&texts), &Cancel::default()).unwrap();
        let counts = job.counts();
        (counts.cut_segments, counts.matched_segments, pages(&engine, &mut job, 300).len())
    };
    add(0..1_000);
    assert_eq!(extract(), (0, 1, 1_000));
    add(1_000..1_001);
    assert_eq!(extract(), (1, 1, 1_000));
}

#[test]
fn what_changes_during_an_extraction_is_left_out_or_refused() {
    let engine = engine();
    let rng = &mut Rng(7);
    let models = [random_memory(rng, &engine, 0)];
    let name = &models[0].name;
    let job = queries(&[text(rng)]);
    let cancel = Cancel::default();
    let mut extraction = Extraction::new(&engine, settings(&models, Score::ZERO, 1)).unwrap();
    extraction.add(&engine, &job, &cancel).unwrap();
    let all = pages(&engine, &mut extraction, 7);
    extraction.add(&engine, &job, &cancel).unwrap();
    let page = extraction.page(&engine, 1).unwrap().unwrap();
    assert_eq!(page[0].unit.id, all[0].0.1);
    engine.delete_unit(name, all[1].0.1, None, None).unwrap();
    assert_eq!(pages(&engine, &mut extraction, 7), all[2..]);
    // A new memory of the same name is another one.
    extraction.add(&engine, &job, &cancel).unwrap();
    engine.delete_memory(name, true, None, None).unwrap();
    engine.create_memory(new_memory(name.clone()), None).unwrap();
    assert!(extraction.page(&engine, 1).is_err());
    assert!(extraction.add(&engine, &job, &cancel).is_err());
    let mut other = Extraction::new(&engine, settings(&models, Score::ZERO, 1)).unwrap();
    cancel.cancel();
    assert!(other.add(&engine, &job, &cancel).is_err());
}

const HELLO: &str = "\u{635}\u{628}\u{627}\u{62d} \u{627}\u{644}\u{62e}\u{64a}\u{631}";
const EVENING: &str = "\u{645}\u{633}\u{627}\u{621} \u{627}\u{644}\u{62e}\u{64a}\u{631}";
const OTHER: &str = "\u{643}\u{62a}\u{627}\u{628} \u{642}\u{62f}\u{64a}\u{645}";

async fn served() -> (TestServer, Clients) {
    let server = TestServer::start().await;
    let mut clients = server.clients().await;
    for (memory, units) in [("a", &[HELLO, OTHER, EVENING][..]), ("b", &[HELLO][..])] {
        clients.create_memory(memory).await;
        let request = proto::BatchCreateUnitsRequest {
            parent: format!("memories/{memory}"),
            units: units.iter().map(|source| unit(source, "Hello")).collect(),
            ..Default::default()
        };
        clients.units.batch_create_units(request).await.unwrap();
    }
    (server, clients)
}

fn first(memories: &[&str]) -> proto::LookupSettings {
    lookup_request(memories, "").settings.unwrap()
}

fn segments(texts: &[&str]) -> Message {
    let query = |text: &&str| proto::QuerySegment { segment: segment(text), ..Default::default() };
    Message::Segments(proto::JobSegments { segments: texts.iter().map(query).collect() })
}

async fn extract(
    clients: &mut Clients,
    messages: Vec<Message>,
) -> Result<Vec<proto::ExtractUnitsResponse>, tonic::Status> {
    let requests = messages.into_iter().map(|it| proto::ExtractUnitsRequest { message: Some(it) });
    let requests: Vec<_> = requests.collect();
    let answers = clients.lookups.extract_units(tokio_stream::iter(requests)).await?.into_inner();
    answers.collect().await
}

#[tokio::test]
async fn extract_answers_over_the_wire() {
    let (_server, mut clients) = served().await;
    let mut settings = first(&["b", "a"]);
    settings.memories[0].penalty_points = Some(2.5);
    // Both are of no use to an extraction.
    settings.max_matches = -1;
    settings.read_mask = Some(prost_types::FieldMask { paths: vec!["nonsense".into()] });
    let messages =
        vec![Message::Settings(settings.clone()), segments(&[HELLO, OTHER]), segments(&[HELLO])];
    let answers = extract(&mut clients, messages).await.unwrap();
    let counts = |segments, matched_segments, units| {
        Some(proto::ExtractCounts { segments, matched_segments, cut_segments: 0, units })
    };
    assert_eq!(answers.last().unwrap().counts, counts(3, 3, 3));
    let units = answers.iter().flat_map(|it| &it.units).map(|it| {
        let name = it.unit.as_ref().unwrap().name.as_str();
        (name, it.score_percent, it.penalty_points, it.kind())
    });
    let exact = proto::MatchKind::Exact;
    assert_eq!(
        units.collect::<Vec<_>>(),
        [
            ("memories/b/units/1", 97.5, 2.5, exact),
            ("memories/a/units/1", 100.0, 0.0, exact),
            ("memories/a/units/2", 100.0, 0.0, exact),
        ]
    );
    let target = answers.iter().flat_map(|it| &it.units).next().unwrap().unit.clone().unwrap();
    assert_eq!(target.target.unwrap().text, "Hello");
    // The least score and the filter are those of the settings.
    settings.min_score_percent = Some(98.0);
    let messages = vec![Message::Settings(settings), segments(&[HELLO])];
    let answers = extract(&mut clients, messages).await.unwrap();
    assert_eq!(answers.last().unwrap().counts, counts(1, 1, 1));
    // Nothing to search is nothing found.
    let answers = extract(&mut clients, vec![Message::Settings(first(&["a"]))]).await.unwrap();
    assert_eq!(answers.last().unwrap().counts, counts(0, 0, 0));
}

#[tokio::test]
async fn an_extract_of_large_units_fits_into_messages() {
    let (_server, mut clients) = served().await;
    let attributes = (0..3).map(|number| (format!("large{number}"), "x".repeat(60_000)));
    let attributes: std::collections::HashMap<String, String> = attributes.collect();
    for batch in 0..5 {
        let units = (0..20).map(|number| proto::Unit {
            attributes: attributes.clone(),
            ..unit(HELLO, &format!("Hello {batch} {number}"))
        });
        let request = proto::BatchCreateUnitsRequest {
            parent: "memories/b".into(),
            units: units.collect(),
            ..Default::default()
        };
        clients.units.batch_create_units(request).await.unwrap();
    }
    let messages = vec![Message::Settings(first(&["b"])), segments(&[HELLO])];
    let answers = extract(&mut clients, messages).await.unwrap();
    assert_eq!(answers.last().unwrap().counts.unwrap().units, 101);
    assert_eq!(answers.iter().map(|it| it.units.len()).sum::<usize>(), 101);
}

#[tokio::test]
async fn bad_extract_requests_are_refused_by_field() {
    let (_server, mut clients) = served().await;
    let good = || Message::Settings(first(&["a"]));
    let with = |change: &dyn Fn(&mut proto::LookupSettings)| {
        let mut settings = first(&["a"]);
        change(&mut settings);
        Message::Settings(settings)
    };
    let many = vec![HELLO; 1_001];
    let cases = [
        ("message", vec![]),
        ("message", vec![segments(&[HELLO])]),
        ("message", vec![good(), good()]),
        ("settings.memories", vec![with(&|it| it.memories.clear())]),
        ("settings.memories[1].name", vec![Message::Settings(first(&["a", "a"]))]),
        ("settings.min_score_percent", vec![with(&|it| it.min_score_percent = Some(101.0))]),
        ("settings.offset_unit", vec![with(&|it| it.offset_unit = 99)]),
        ("segments.segments[1].segment.text", vec![good(), segments(&[HELLO, ""])]),
        ("segments.segments[0].segment.text", vec![good(), segments(&["\u{1}"])]),
        ("segments.segments", vec![good(), segments(&many)]),
    ];
    for (field, messages) in cases {
        let error = extract(&mut clients, messages).await.unwrap_err();
        assert_eq!(error.code(), Code::InvalidArgument, "{field}: {error}");
        let details = error.get_error_details();
        assert_eq!(details.bad_request().unwrap().field_violations[0].field, field, "{error}");
    }
    let error = extract(&mut clients, vec![Message::Settings(first(&["none"]))]).await.unwrap_err();
    assert_eq!(error.code(), Code::NotFound);
    let answers = extract(&mut clients, vec![good(), segments(&many[1..])]).await.unwrap();
    assert_eq!(answers.last().unwrap().counts.unwrap().segments, 1_000);
}

const SMALL: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/data/small.tsv");

/// A directory with the small memory as `m`, and a job in a text, an XLIFF and a PO file, neither of them translated.
fn job() -> tempfile::TempDir {
    let directory = tempfile::tempdir().unwrap();
    run(directory.path(), &["import", "--memory", "m", SMALL]);
    let units = units(directory.path(), "m");
    let source = |index: usize| units[index]["source"].as_str().unwrap();
    let write = |name: &str, text: String| {
        std::fs::write(directory.path().join(name), text).unwrap();
    };
    write("job.txt", format!("{}. {}\n\nxyz abc\n", source(0), source(0)));
    let xliff = format!(
        "<xliff version=\"1.2\"><file original=\"a\" source-language=\"ar\" datatype=\"x\"><body>\
         <trans-unit id=\"1\"><source>{}</source></trans-unit>\
         <trans-unit id=\"2\"><source>{OTHER}</source><target/></trans-unit></body></file></xliff>",
        source(3).replace("12", "30")
    );
    write("job.xlf", xliff);
    write("job.po", format!("msgid \"{}\"\nmsgstr \"\"\n", source(2)));
    directory
}

/// The units of a memory, as JSON.
fn units(directory: &Path, memory: &str) -> Vec<Value> {
    let export = run(directory, &["export", "--memory", memory, "--format", "jsonl"]);
    stdout(&export).lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// Takes an attribute off a unit.
fn take(unit: &mut Value, name: &str) -> String {
    let attributes = unit["attributes"].as_object_mut().unwrap();
    let value = attributes.remove(name).unwrap();
    if attributes.is_empty() {
        unit.as_object_mut().unwrap().remove("attributes");
    }
    value.as_str().unwrap().to_owned()
}

#[test]
fn an_extract_of_an_untranslated_job_imports_to_the_same_units() {
    let directory = job();
    let run = |arguments: &[&str]| run(directory.path(), arguments);
    let extract = ["extract", "--memory", "m:1.5", "job.txt", "job.xlf", "job.po"];
    let output = run(&[&extract[..], &["--output", "job.tmx", "--json"]].concat());
    assert_eq!(code(&output), 0, "{}", stderr(&output));
    let counts = json(&output);
    let expected = serde_json::json!({
        "segments": 6, "matched_segments": 4, "cut_segments": 0, "left_out": 0, "units": 3
    });
    assert_eq!(counts, expected, "{}", stderr(&output));
    assert!(stderr(&output).contains("3 units written to job.tmx; 4 of 6 segments had a match"));
    let tmx = std::fs::read_to_string(directory.path().join("job.tmx")).unwrap();
    assert!(tmx.contains("<prop type=\"x-match-score\">98.5</prop>"), "{tmx}");
    // The same on standard output, also from a server.
    for to_stdout in [&[][..], &["--output", "-"]] {
        assert_eq!(stdout(&run(&[&extract[..], to_stdout].concat())), tmx);
    }
    let memory = units(directory.path(), "m");
    for (number, name) in ["job.tmx", "x.tsv.xz", "x.xlf.gz", "x.jsonl.zst"].iter().enumerate() {
        if number > 0 {
            let output = run(&[&extract[..], &["--output", name]].concat());
            assert_eq!(code(&output), 0, "{name}: {}", stderr(&output));
        }
        let again = format!("again{number}");
        let output = run(&["import", "--memory", &again, name, "--json"]);
        assert_eq!(json(&output)["stored"], 3, "{name}: {}", stderr(&output));
        let mut found = units(directory.path(), &again);
        let scores: Vec<f64> = found
            .iter_mut()
            .map(|unit| {
                assert_eq!(take(unit, "x-match-penalty"), "1.5");
                take(unit, "x-match-score").parse().unwrap()
            })
            .collect();
        assert_eq!((scores[0], scores[1]), (98.5, 98.5), "{name}");
        assert!((60.0..98.5).contains(&scores[2]), "{name}: {scores:?}");
        for (unit, index) in found.iter().zip([0, 2, 3]) {
            for field in ["source", "target", "document", "created", "changed", "attributes"] {
                assert_eq!(unit.get(field), memory[index].get(field), "{name}: {field}");
            }
        }
    }
    // What the units have of an earlier extraction stays.
    let twice = run(&["extract", "--memory", "again0", "job.po"]);
    let twice = stdout(&twice);
    assert!(twice.contains("\"x-match-score\">98.5<"), "{twice}");
    assert!(twice.contains("\"x-match-score.2\">100<"), "{twice}");
    let process = Process::start(&directory.path().join("dhakira-data"));
    let served = run(&[&extract[..], &["--server", &process.url]].concat());
    assert_eq!(stdout(&served), tmx);
}

#[test]
fn an_extract_that_fails_says_why_and_leaves_no_file() {
    let directory = job();
    let run = |arguments: &[&str]| run(directory.path(), arguments);
    let is_there = |name: &str| directory.path().join(name).exists();
    let missing = ["extract", "--memory", "m", "job.txt", "nowhere.txt"];
    let output = run(&missing);
    assert_eq!((code(&output), stdout(&output).as_str()), (1, ""));
    assert!(stderr(&output).contains("nowhere.txt"), "{}", stderr(&output));
    let output = run(&[&missing[..], &["--output", "x.tmx"]].concat());
    assert_eq!(code(&output), 1);
    assert!(!is_there("x.tmx") && !is_there("x.tmx.partial"));
    for (arguments, expected, message) in [
        (&["--memory", "none", "job.txt"][..], 1, "there is no memory 'none'"),
        (&["--memory", "m", "job.txt", "--output", "job.xlf"], 1, "exists"),
        (&["--memory", "m", "job.txt", "--output", "x.docx"], 1, "--format"),
        (&["--memory", "m", "job.txt", "--output", "x.zip"], 1, ".zip"),
        (&["--memory", "m", "job.txt", "--output", "-", "--json"], 1, "--output"),
        (&["--memory", "m", "job.txt", "--json"], 2, "--output"),
        (&["--memory", "m", "job.txt", "--min-score", "101"], 2, "--min-score"),
        (&["--memory", "m"], 2, "FILE"),
    ] {
        let output = run(&[&["extract"], arguments].concat());
        assert_eq!(code(&output), expected, "{arguments:?}: {}", stderr(&output));
        assert!(stderr(&output).contains(message), "{arguments:?}: {}", stderr(&output));
    }
    // An analysis reads the same files.
    let output = run(&["analyze", "--memory", "m", "job.xlf", "job.po", "--json"]);
    assert_eq!(json(&output)["segments"], 3, "{}", stderr(&output));
    // What cannot be used is left out and said; the rest counts.
    std::fs::write(directory.path().join("cut.tmx"), "<tmx version=\"1.4\"><body><tu><tuv")
        .unwrap();
    let output =
        run(&["extract", "--memory", "m", "job.po", "cut.tmx", "--output", "y.tmx", "--json"]);
    assert_eq!(code(&output), 3, "{}", stderr(&output));
    let counts = json(&output);
    assert_eq!((&counts["units"], &counts["left_out"]), (&1.into(), &1.into()));
    assert!(stderr(&output).contains("cut.tmx:1:"), "{}", stderr(&output));
    // A job on standard input is a text.
    let piped = run_with(directory.path(), &["extract", "--memory", "m", "-"], "xyz\n");
    assert_eq!(code(&piped), 0, "{}", stderr(&piped));
    assert!(stdout(&piped).contains("<tmx") && !stdout(&piped).contains("<tu>"));
}
