//! Penalty rules and filters of lookups in several memories, on the index and by full scan, against a model that scores each unit
//! without them, subtracts, filters, sorts and cuts.

mod model;

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use dhakira::engine::backup::{self, Target};
use dhakira::engine::{Cancel, Engine, MemoryPatch};
use dhakira::store::{InMemoryStore, salvage};
use dhakira::unit::{
    CONFIDENCE_ATTRIBUTE, Confidence, MemoryName, PenaltyCondition, PenaltyRule, Score, Segment,
    UNFINISHED_ATTRIBUTE, UnitContent,
};
use proptest::prelude::*;

use crate::filters::random_filter;
use crate::matching::world::Rng;
use crate::upkeep::{add_part, open_store};

use model::{DAY, Expected, lookup, now};
pub(crate) use model::{
    Model, expected, random_content, random_memory, random_rules, settings, text, text_scores,
};

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
