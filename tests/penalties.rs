//! Penalty rules and filters of lookups in several memories, on the index and by full scan, against a model that scores each unit
//! without them, subtracts, filters, sorts and cuts.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use dhakira::engine::backup::{self, Target};
use dhakira::engine::{
    Cancel, Engine, FoundMatch, LookupSettings, MemoryChoice, MemoryPatch, NewMemory, QuerySegment,
    UnitFilter,
};
use dhakira::matching::{MatchKind, Reason};
use dhakira::store::{InMemoryStore, salvage};
use dhakira::unit::{
    CONFIDENCE_ATTRIBUTE, Confidence, Context, MemoryName, PenaltyCondition, PenaltyRule, Score,
    Scoring, Segment, Timestamp, UNFINISHED_ATTRIBUTE, Unit, UnitContent, UnitId,
};
use proptest::prelude::*;

use crate::filters::{accepts, random_filter};
use crate::matching::world::Rng;
use crate::upkeep::{add_part, open_store};

const DAY: Duration = Duration::from_secs(86_400);

fn now() -> Timestamp {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    Timestamp { micros: i64::try_from(since.as_micros()).unwrap() }
}

/// Words that differ by marks, letters, or more.
const WORDS: [&str; 9] = [
    "\u{648}\u{635}\u{644}",
    "\u{627}\u{644}\u{642}\u{637}\u{627}\u{631}",
    "\u{627}\u{644}\u{642}\u{650}\u{637}\u{627}\u{631}",
    "\u{625}\u{644}\u{649}",
    "\u{627}\u{644}\u{649}",
    "\u{627}\u{644}\u{645}\u{62d}\u{637}\u{629}",
    "\u{645}\u{62d}\u{637}\u{627}\u{62a}",
    "1500",
    "2024-05-01",
];

pub(crate) fn text(rng: &mut Rng) -> String {
    let length = 2 + rng.below(4);
    let words: Vec<&str> = (0..length).map(|_| *rng.pick(&WORDS)).collect();
    words.join(" ")
}

/// A unit that has something of everything that rules and filters ask for.
pub(crate) fn random_content(rng: &mut Rng) -> UnitContent {
    let targets = ["The train arrived", "the TRAIN came", "A stop.", "It is 1,500", "stations"];
    let mut attributes = BTreeMap::new();
    let mut put = |rng: &mut Rng, percent, name: &str, values: &[&str]| {
        if rng.chance(percent) {
            attributes.insert(name.to_owned(), (*rng.pick(values)).to_owned());
        }
    };
    put(rng, 40, "client", &["alpha", "beta", "gamma"]);
    put(rng, 30, CONFIDENCE_ATTRIBUTE, &["0.2000", "0.5000", "0.8000", "1.0000"]);
    put(rng, 15, "origin", &["mt", "tm"]);
    put(rng, 10, "state-qualifier", &["leveraged-mt", "leveraged-tm"]);
    put(rng, 25, UNFINISHED_ATTRIBUTE, &["fuzzy", "needs-review"]);
    let days = |rng: &mut Rng| now().before(DAY * (rng.below(40) as u32) + DAY / 2);
    UnitContent {
        source: Segment::plain(text(rng)),
        target: Segment::plain(*rng.pick(&targets)),
        context: Context::default(),
        document: (*rng.pick(&["", "a.txt", "b.txt", "c.txt"])).to_owned(),
        author: (*rng.pick(&["", "huda", "MT!", "omar"])).to_owned(),
        created: Some(days(rng)),
        changed: Some(days(rng)),
        attributes,
    }
}

fn random_rule(rng: &mut Rng) -> PenaltyRule {
    let some =
        |rng: &mut Rng, values: &[&str]| rng.chance(60).then(|| (*rng.pick(values)).to_owned());
    let condition = match rng.below(7) {
        0 => PenaltyCondition::Author((*rng.pick(&["", "huda", "MT!", "nobody"])).to_owned()),
        1 => PenaltyCondition::Attribute {
            name: "client".into(),
            value: some(rng, &["alpha", "beta"]),
        },
        2 => PenaltyCondition::OlderThan(DAY * (rng.below(40) as u32)),
        3 => {
            let least = *rng.pick(&[0.0, 0.5, 0.8, 1.0]);
            PenaltyCondition::ConfidenceBelow(Confidence::new(least).unwrap())
        }
        4 => PenaltyCondition::MachineTranslated,
        5 => PenaltyCondition::Unfinished { state: None },
        _ => PenaltyCondition::Unfinished { state: some(rng, &["fuzzy", "needs-review"]) },
    };
    let points = Score::from_hundredths(*rng.pick(&[1, 150, 500, 1_000, 3_000, 9_999])).unwrap();
    PenaltyRule { points, condition }
}

fn random_rules(rng: &mut Rng) -> Vec<PenaltyRule> {
    (0..rng.below(4)).map(|_| random_rule(rng)).collect()
}

/// A rule as its sentence says it, written once more.
fn meets(condition: &PenaltyCondition, content: &UnitContent) -> bool {
    let value = |name: &str| content.attributes.get(name).cloned();
    match condition {
        PenaltyCondition::Author(author) => content.author == *author,
        PenaltyCondition::Attribute { name, value: None } => value(name).is_some(),
        PenaltyCondition::Attribute { name, value: wanted } => value(name) == *wanted,
        PenaltyCondition::OlderThan(age) => {
            let micros = now().micros - content.changed.unwrap().micros;
            micros > i64::try_from(age.as_micros()).unwrap()
        }
        PenaltyCondition::ConfidenceBelow(least) => {
            let confidence = value(CONFIDENCE_ATTRIBUTE).map(|it| it.parse::<f64>().unwrap());
            confidence.is_some_and(|it| it < least.value())
        }
        PenaltyCondition::MachineTranslated => {
            content.author == "MT!"
                || value("origin").is_some_and(|it| it == "mt")
                || value("state-qualifier").is_some_and(|it| it == "leveraged-mt")
        }
        PenaltyCondition::Unfinished { state: None } => value(UNFINISHED_ATTRIBUTE).is_some(),
        PenaltyCondition::Unfinished { state } => value(UNFINISHED_ATTRIBUTE) == *state,
    }
}

fn reason(condition: &PenaltyCondition) -> Reason {
    match condition {
        PenaltyCondition::Author(_) => Reason::Author,
        PenaltyCondition::Attribute { .. } => Reason::Attribute,
        PenaltyCondition::OlderThan(_) => Reason::Age,
        PenaltyCondition::ConfidenceBelow(_) => Reason::Confidence,
        PenaltyCondition::MachineTranslated => Reason::MachineTranslation,
        PenaltyCondition::Unfinished { .. } => Reason::State,
    }
}

/// A memory as the model knows it.
struct Model {
    name: MemoryName,
    unfinished_penalty: Score,
    scoring: Scoring,
    units: BTreeMap<UnitId, Unit>,
}

fn random_memory(rng: &mut Rng, engine: &Engine, number: usize) -> Model {
    let name: MemoryName = format!("m{number}").parse().unwrap();
    let points = |rng: &mut Rng| Score::from_hundredths(*rng.pick(&[0, 0, 250, 2_000])).unwrap();
    let unfinished = rng.chance(50).then(|| points(rng));
    let scoring = Scoring { default_penalty: points(rng), penalty_rules: random_rules(rng) };
    let new = NewMemory {
        name: name.clone(),
        display_name: String::new(),
        description: String::new(),
        source_lang: "ar".parse().unwrap(),
        target_lang: "en".parse().unwrap(),
        unfinished_penalty: unfinished,
        scoring: scoring.clone(),
    };
    engine.create_memory(new, None).unwrap();
    let units: Vec<_> = (0..40).map(|_| random_content(rng)).collect();
    let stored = engine.create_units(&name, units, None, |_| String::new()).unwrap();
    Model {
        name,
        unfinished_penalty: unfinished.unwrap_or(Score::from_points(10.0).unwrap()),
        scoring,
        units: stored.into_iter().map(|unit| (unit.id, unit)).collect(),
    }
}

fn settings(models: &[Model], min_score: Score, max_matches: usize) -> LookupSettings {
    let choice = |model: &Model| MemoryChoice { memory: model.name.clone(), penalty: None };
    LookupSettings {
        memories: models.iter().map(choice).collect(),
        min_score,
        max_matches,
        exhaustive: false,
        filter: UnitFilter::default(),
        penalty_rules: Vec::new(),
    }
}

fn lookup(engine: &Engine, settings: &LookupSettings, query: &str) -> Vec<FoundMatch> {
    let segment = Segment::plain(query);
    let query = QuerySegment { segment, previous: None, next: None };
    engine.lookup(settings, &[query], &Cancel::default()).unwrap().remove(0)
}

/// A match of the model: memory, unit, kind, and points by reason in order.
type Expected = (usize, UnitId, MatchKind, Vec<(Reason, u16)>);

/// The answer worked out unit by unit. Each unit's score without penalties is that of a memory that holds only its text.
fn expected(models: &[Model], texts: &TextScores, settings: &LookupSettings) -> Vec<Expected> {
    let mut all = Vec::new();
    for (number, model) in models.iter().enumerate() {
        let own = settings.memories[number].penalty.unwrap_or(model.scoring.default_penalty);
        let rules = settings.penalty_rules.iter().chain(&model.scoring.penalty_rules);
        let rules: Vec<&PenaltyRule> = rules.collect();
        for unit in model.units.values().filter(|unit| accepts(&settings.filter, unit)) {
            let Some((kind, of_text)) = texts.get(&unit.content.source.text) else { continue };
            let mut lost: BTreeMap<Reason, u32> = BTreeMap::new();
            for rule in rules.iter().filter(|rule| meets(&rule.condition, &unit.content)) {
                *lost.entry(reason(&rule.condition)).or_default() +=
                    u32::from(rule.points.hundredths());
            }
            *lost.entry(Reason::Penalty).or_default() += u32::from(own.hundredths());
            let total: u32 = lost.values().sum();
            if unit.content.attributes.contains_key(UNFINISHED_ATTRIBUTE) {
                *lost.entry(Reason::State).or_default() +=
                    u32::from(model.unfinished_penalty.hundredths());
            }
            let mut points = of_text.clone();
            let mut score = 10_000 - points.iter().map(|(_, lost)| u32::from(*lost)).sum::<u32>();
            for (reason, lost) in lost {
                let taken = lost.min(score);
                score -= taken;
                if taken > 0 {
                    points.push((reason, u16::try_from(taken).unwrap()));
                }
            }
            if score >= u32::from(settings.min_score.hundredths()) {
                let changed = Reverse(unit.content.changed);
                let rank = (*kind, Reverse(score), total, changed, number, unit.id);
                all.push((rank, points));
            }
        }
    }
    all.sort();
    // Of the units of a memory with the same pair, the best counts.
    let mut pairs = BTreeSet::new();
    all.retain(|((.., number, id), _)| {
        let content = &models[*number].units[id].content;
        let unfinished = content.attributes.contains_key(UNFINISHED_ATTRIBUTE);
        pairs.insert((
            *number,
            content.source.text.clone(),
            content.target.text.clone(),
            unfinished,
        ))
    });
    all.truncate(settings.max_matches);
    all.into_iter().map(|((kind, .., number, id), points)| (number, id, kind, points)).collect()
}

type TextScores = BTreeMap<String, (MatchKind, Vec<(Reason, u16)>)>;

/// What each text scores for the query without any penalties, by a full scan of one memory that holds each text once.
fn text_scores(models: &[Model], query: &str) -> TextScores {
    let engine = Engine::open(Arc::new(InMemoryStore::default()), None, &mut |_| ()).unwrap();
    let name: MemoryName = "plain".parse().unwrap();
    let new = NewMemory {
        name: name.clone(),
        display_name: String::new(),
        description: String::new(),
        source_lang: "ar".parse().unwrap(),
        target_lang: "en".parse().unwrap(),
        unfinished_penalty: None,
        scoring: Scoring::default(),
    };
    engine.create_memory(new, None).unwrap();
    let units = models.iter().flat_map(|model| model.units.values());
    let texts: BTreeSet<String> = units.map(|unit| unit.content.source.text.clone()).collect();
    let contents = texts.into_iter().map(|text| UnitContent {
        source: Segment::plain(text),
        target: Segment::plain("x"),
        ..UnitContent::default()
    });
    let contents: Vec<UnitContent> = contents.collect();
    for some in contents.chunks(100) {
        engine.create_units(&name, some.to_vec(), None, |_| String::new()).unwrap();
    }
    let plain = LookupSettings {
        memories: vec![MemoryChoice { memory: name, penalty: None }],
        min_score: Score::ZERO,
        max_matches: 1_000,
        exhaustive: true,
        filter: UnitFilter::default(),
        penalty_rules: Vec::new(),
    };
    lookup(&engine, &plain, query)
        .into_iter()
        .map(|it| (it.unit.content.source.text, (it.kind, it.deductions.iter().collect())))
        .collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(12))]

    #[test]
    fn penalties_and_filters_answer_like_the_model(seed: u64) {
        let rng = &mut Rng(seed);
        let engine = Engine::open(Arc::new(InMemoryStore::default()), None, &mut |_| ()).unwrap();
        let models: Vec<Model> =
            (0..1 + rng.below(3)).map(|number| random_memory(rng, &engine, number)).collect();
        for _ in 0..3 {
            let query = text(rng);
            let texts = text_scores(&models, &query);
            for _ in 0..20 {
                let min_score = Score::from_points(*rng.pick(&[0.0, 30.0, 70.0, 99.0])).unwrap();
                let mut settings = settings(&models, min_score, *rng.pick(&[1, 3, 10, 1_000]));
                for choice in &mut settings.memories {
                    if rng.chance(40) {
                        let hundredths = *rng.pick(&[0, 100, 700]);
                        choice.penalty = Score::from_hundredths(hundredths);
                    }
                }
                if rng.chance(70) {
                    settings.penalty_rules = random_rules(rng);
                }
                if rng.chance(60) {
                    settings.filter = random_filter(rng);
                }
                let expected = expected(&models, &texts, &settings);
                for exhaustive in [false, true] {
                    settings.exhaustive = exhaustive;
                    let found = lookup(&engine, &settings, &query);
                    for it in &found {
                        let lost: u16 = it.deductions.iter().map(|(_, points)| points).sum();
                        prop_assert_eq!(lost + it.score.hundredths(), 10_000);
                    }
                    let number = |name: &MemoryName| models.iter().position(|it| it.name == *name);
                    let found: Vec<Expected> = found
                        .iter()
                        .map(|it| {
                            let points = it.deductions.iter().collect();
                            (number(&it.memory).unwrap(), it.unit.id, it.kind, points)
                        })
                        .collect();
                    prop_assert_eq!(&found, &expected, "exhaustive {}: {:?}", exhaustive, settings);
                }
            }
        }
    }
}

#[test]
fn every_rule_is_a_deduction_of_its_own() {
    let engine = Engine::open(Arc::new(InMemoryStore::default()), None, &mut |_| ()).unwrap();
    let rng = &mut Rng(1);
    let mut model = random_memory(rng, &engine, 0);
    let query = "\u{645}\u{62f}\u{64a}\u{646}\u{629} \u{643}\u{628}\u{64a}\u{631}\u{629}";
    let unit = UnitContent {
        source: Segment::plain(query),
        target: Segment::plain("a large city"),
        author: "MT!".into(),
        changed: Some(now().before(DAY * 30)),
        attributes: [
            ("client".to_owned(), "alpha".to_owned()),
            (CONFIDENCE_ATTRIBUTE.to_owned(), "0.5000".to_owned()),
            (UNFINISHED_ATTRIBUTE.to_owned(), "fuzzy".to_owned()),
        ]
        .into(),
        ..UnitContent::default()
    };
    let patch = MemoryPatch {
        unfinished_penalty: Some(Some(Score::from_points(2.0).unwrap())),
        default_penalty: Some(Score::from_points(1.0).unwrap()),
        penalty_rules: Some(vec![PenaltyRule {
            points: Score::from_points(4.0).unwrap(),
            condition: PenaltyCondition::Author("MT!".into()),
        }]),
        ..Default::default()
    };
    engine.update_memory(&model.name, patch, None, None).unwrap();
    engine.create_units(&model.name, vec![unit], None, |_| String::new()).unwrap();
    model.units.clear();
    let mut settings = settings(&[model], Score::ZERO, 1);
    let rule =
        |points, condition| PenaltyRule { points: Score::from_points(points).unwrap(), condition };
    settings.penalty_rules = vec![
        rule(3.0, PenaltyCondition::Attribute { name: "client".into(), value: None }),
        rule(
            0.5,
            PenaltyCondition::Attribute { name: "client".into(), value: Some("alpha".into()) },
        ),
        rule(5.0, PenaltyCondition::OlderThan(DAY * 29)),
        rule(9.0, PenaltyCondition::OlderThan(DAY * 31)),
        rule(6.0, PenaltyCondition::ConfidenceBelow(Confidence::new(0.51).unwrap())),
        rule(7.0, PenaltyCondition::MachineTranslated),
        rule(8.0, PenaltyCondition::Unfinished { state: Some("fuzzy".into()) }),
        rule(9.0, PenaltyCondition::Unfinished { state: Some("new".into()) }),
    ];
    let found = &lookup(&engine, &settings, query)[0];
    let points: Vec<_> = found.deductions.iter().map(|(it, points)| (it.name(), points)).collect();
    assert_eq!(
        points,
        [
            ("state", 1_000),
            ("author", 400),
            ("attribute", 350),
            ("age", 500),
            ("confidence", 600),
            ("machine-translation", 700),
            ("penalty", 100),
        ]
    );
    assert_eq!(found.score, Score::from_points(63.5).unwrap());
    // A penalty of the request replaces the default of the memory, also by nothing.
    settings.memories[0].penalty = Some(Score::ZERO);
    assert_eq!(lookup(&engine, &settings, query)[0].score, Score::from_points(64.5).unwrap());
    // No more than everything.
    settings.penalty_rules.push(rule(99.0, PenaltyCondition::MachineTranslated));
    assert_eq!(lookup(&engine, &settings, query)[0].score, Score::ZERO);
}

#[test]
fn rules_of_a_memory_survive_restart_compaction_backup_and_salvage() {
    let directory = tempfile::tempdir().unwrap();
    let (data, saved) = (directory.path().join("data"), directory.path().join("backup"));
    let open = |path: &Path| Engine::open(Arc::new(open_store(path)), None, &mut |_| ()).unwrap();
    let engine = open(&data);
    let rng = &mut Rng(3);
    let models: Vec<Model> = (0..3).map(|number| random_memory(rng, &engine, number)).collect();
    add_part(&engine, &saved, false).unwrap();
    let mut states = Vec::new();
    for round in 0..4 {
        let rules = random_rules(rng);
        let patch = MemoryPatch {
            default_penalty: (round % 2 == 0).then(|| Score::from_hundredths(round + 1).unwrap()),
            penalty_rules: (round != 2).then_some(rules),
            unfinished_penalty: (round == 3).then_some(None),
            ..MemoryPatch::default()
        };
        let model = &models[rng.below(models.len())];
        engine.update_memory(&model.name, patch, None, None).unwrap();
        states.push((*engine.watch_sequence().borrow(), engine.memories(None, 10)));
        if round != 2 {
            add_part(&engine, &saved, false).unwrap();
        }
    }
    assert!(states[3].1.iter().any(|it| !it.scoring.is_default()));
    drop(engine);
    let engine = open(&data);
    assert_eq!(engine.memories(None, 10), states[3].1);
    engine.compact(Duration::ZERO, &Cancel::default(), &|_| ()).unwrap();
    drop(engine);
    let engine = open(&data);
    assert_eq!(engine.memories(None, 10), states[3].1, "from what compaction wrote");
    assert!(engine.verify(&Cancel::default(), &|_| ()).unwrap().findings.is_empty());
    let whole = directory.path().join("whole");
    add_part(&engine, &whole, true).unwrap();
    states.push((*engine.watch_sequence().borrow(), states[3].1.clone()));
    drop(engine);
    for (number, (sequence, memories)) in states.iter().enumerate() {
        let from = if number + 1 == states.len() { &whole } else { &saved };
        let target = directory.path().join(format!("restored-{number}"));
        backup::restore(from, &target, Target::Sequence(*sequence), &|_| ()).unwrap();
        assert_eq!(&open(&target).memories(None, 10), memories, "as of {sequence:?}");
    }
    let mut units = 0;
    let salvaged = salvage(&data, &mut |_, _| {
        units += 1;
        Ok(())
    });
    assert_eq!((salvaged.unwrap().notes, units), (vec![], 120));
}

#[test]
fn too_many_rules_are_refused() {
    let engine = Engine::open(Arc::new(InMemoryStore::default()), None, &mut |_| ()).unwrap();
    let model = random_memory(&mut Rng(2), &engine, 0);
    let rules = |count: usize| {
        let condition = PenaltyCondition::MachineTranslated;
        vec![PenaltyRule { points: Score::ZERO, condition }; count]
    };
    let mut settings = settings(&[model], Score::ZERO, 1);
    settings.penalty_rules = rules(32);
    engine.check_settings(&settings).unwrap();
    settings.penalty_rules = rules(33);
    let error = engine.check_settings(&settings).unwrap_err().to_string();
    assert!(error.contains("33 rules; at most 32"), "{error}");
    let patch = MemoryPatch { penalty_rules: Some(rules(33)), ..Default::default() };
    let error = engine.update_memory(&settings.memories[0].memory, patch, None, None).unwrap_err();
    assert!(error.to_string().contains("33 rules; at most 32"), "{error}");
}
