//! Risk: saving a unit stores it twice, replaces the wrong one, or two callers overwrite each other unnoticed.
//!
//! Policies of saves against a model that compares each unit with all others; etags; uses by many callers at once.

use std::collections::BTreeMap;
use std::io::Cursor;
use std::sync::Arc;

use dhakira::engine::{
    Batches, DuplicatePolicy, Engine, EngineError, Etag, Import, PreparedBatch, SavedUnit,
    UnitOutcome, UnitPatch, UnitUse, UpdateRequest, unit_etag,
};
use dhakira::formats::{Format, ReadOptions};
use dhakira::store::{InMemoryStore, RequestKey};
use dhakira::unit::{
    CONTEXT_KEY_ATTRIBUTE, Context, Segment, Timestamp, UnitContent, UnitId, Usage,
};

use crate::support::all_units;
use proptest::prelude::*;

use crate::upkeep::{content, create_memory, name};

fn engine() -> Engine {
    let engine = Engine::open(Arc::new(InMemoryStore::default()), None, &mut |_| ()).unwrap();
    create_memory(&engine, &name());
    engine
}

fn save(engine: &Engine, contents: Vec<UnitContent>, policy: DuplicatePolicy) -> Vec<SavedUnit> {
    engine.save_units(&name(), contents, policy, None, |_| String::new()).unwrap()
}

/// The context id, or the attribute that stands for it.
fn key_of(content: &UnitContent) -> Option<&String> {
    let id = Some(&content.context_id).filter(|id| !id.is_empty());
    id.or_else(|| content.attributes.get(CONTEXT_KEY_ATTRIBUTE))
}

fn context_of(content: &UnitContent) -> [Option<String>; 3] {
    let hash = |hash: Option<u64>| hash.map(|it| it.to_string());
    [hash(content.context.previous), hash(content.context.next), key_of(content).cloned()]
}

/// The units of a memory by number, with the policies as their documentation has them.
#[derive(Default)]
struct Model {
    units: BTreeMap<u64, UnitContent>,
    next: u64,
}

impl Model {
    /// The outcome, and the units any of which may be the answer.
    fn save(&mut self, new: &UnitContent, policy: DuplicatePolicy) -> (UnitOutcome, Vec<u64>) {
        let covered =
            |(new, stored): (&Option<String>, &Option<String>)| new.is_none() || new == stored;
        let agree = |(new, stored): (&Option<String>, &Option<String>)| {
            new.is_none() || stored.is_none() || new == stored
        };
        let pairs = |stored: &UnitContent| {
            let (new, stored) = (context_of(new), context_of(stored));
            new.into_iter().zip(stored).collect::<Vec<_>>()
        };
        if policy != DuplicatePolicy::KeepAll {
            let repeated = self.units.iter().filter(|(_, stored)| {
                stored.source == new.source
                    && stored.target == new.target
                    && pairs(stored).iter().all(|(new, stored)| covered((new, stored)))
            });
            let repeated: Vec<u64> = repeated.map(|(id, _)| *id).collect();
            if !repeated.is_empty() {
                return (UnitOutcome::Duplicate, repeated);
            }
        }
        if policy == DuplicatePolicy::ReplaceSameSource {
            let fitting = self.units.iter().filter(|(_, stored)| {
                stored.source == new.source
                    && pairs(stored).iter().all(|(new, stored)| agree((new, stored)))
            });
            let agreement = |stored: &UnitContent| {
                pairs(stored).iter().filter(|(new, stored)| new.is_some() && new == stored).count()
            };
            let best = fitting.max_by_key(|(id, it)| (agreement(it), it.changed, **id));
            if let Some(id) = best.map(|it| *it.0) {
                let old = self.units[&id].clone();
                let mut content = new.clone();
                content.context.previous = content.context.previous.or(old.context.previous);
                content.context.next = content.context.next.or(old.context.next);
                let (targets, before) = (&mut content.context, old.context);
                targets.previous_target = targets.previous_target.or(before.previous_target);
                targets.next_target = targets.next_target.or(before.next_target);
                if key_of(new).is_none() {
                    content.context_id.clone_from(&old.context_id);
                    if let (true, Some(key)) = (old.context_id.is_empty(), key_of(&old)) {
                        content.attributes.insert(CONTEXT_KEY_ATTRIBUTE.to_owned(), key.clone());
                    }
                }
                self.units.insert(id, content);
                return (UnitOutcome::Replaced, vec![id]);
            }
        }
        self.next += 1;
        self.units.insert(self.next, new.clone());
        (UnitOutcome::Stored, vec![self.next])
    }
}

/// Few texts, two of which differ only in how a letter is written, and few contexts.
fn some_content() -> impl Strategy<Value = UnitContent> {
    let sources = ["\u{628}\u{627}\u{628}", "\u{623}\u{628}", "\u{627}\u{654}\u{628}"];
    let hash = || prop_oneof![Just(None), (1..3_u64).prop_map(Some)];
    let key = prop_oneof![Just(None), Just(Some("k")), Just(Some("l"))];
    let texts = (0..sources.len(), 0..3_usize, 0..4_i64);
    let neighbours = (hash(), hash(), hash(), hash());
    (texts, neighbours, key, any::<bool>()).prop_map(
        move |((source, target, changed), hashes, key, is_attribute)| {
            let mut content = content(sources[source], ["door", "father", "gate"][target]);
            let (previous, next, previous_target, next_target) = hashes;
            content.context = Context { previous, next, previous_target, next_target };
            content.changed = Some(Timestamp { micros: changed });
            if is_attribute {
                let key = key.map(|key| (CONTEXT_KEY_ATTRIBUTE.to_owned(), key.to_owned()));
                content.attributes.extend(key);
            } else {
                content.context_id = key.unwrap_or_default().to_owned();
            }
            content
        },
    )
}

fn policy() -> impl Strategy<Value = DuplicatePolicy> {
    prop_oneof![
        1 => Just(DuplicatePolicy::KeepAll),
        3 => Just(DuplicatePolicy::SkipIdentical),
        3 => Just(DuplicatePolicy::ReplaceSameSource),
    ]
}

#[derive(Debug, Clone)]
enum Step {
    Save(Vec<UnitContent>, DuplicatePolicy),
    Delete(usize),
    Use(usize),
}

fn step() -> impl Strategy<Value = Step> {
    let save = (proptest::collection::vec(some_content(), 1..5), policy());
    prop_oneof![
        8 => save.prop_map(|(units, policy)| Step::Save(units, policy)),
        1 => (0..100_usize).prop_map(Step::Delete),
        2 => (0..100_usize).prop_map(Step::Use),
    ]
}

fn run(steps: Vec<Step>) {
    let engine = engine();
    let mut model = Model::default();
    let mut uses: BTreeMap<u64, u64> = BTreeMap::new();
    for step in steps {
        let some = |at: usize| model.units.keys().nth(at % model.units.len().max(1)).copied();
        match step {
            Step::Save(contents, policy) => {
                let expected: Vec<_> =
                    contents.iter().map(|content| model.save(content, policy)).collect();
                for (saved, (outcome, ids)) in save(&engine, contents, policy).iter().zip(expected)
                {
                    assert_eq!(saved.outcome, outcome);
                    assert!(ids.contains(&saved.unit.id.0), "{saved:?}: one of {ids:?}");
                    let now = engine.unit(&name(), saved.unit.id).unwrap();
                    assert_eq!(saved.unit, now, "the unit as it is after the batch");
                }
            }
            Step::Delete(at) => {
                let Some(id) = some(at) else { continue };
                engine.delete_unit(&name(), UnitId(id), None, None).unwrap();
                model.units.remove(&id);
            }
            Step::Use(at) => {
                let Some(id) = some(at) else { continue };
                let used = vec![UnitUse { unit: UnitId(id), count: 1, time: None }];
                engine.record_uses(&name(), used, None).unwrap();
                *uses.entry(id).or_default() += 1;
            }
        }
        let stored = all_units(&engine, &name());
        assert_eq!(stored.len(), model.units.len());
        for (unit, (id, expected)) in stored.iter().zip(&model.units) {
            let expected = UnitContent { created: unit.content.created, ..expected.clone() };
            assert_eq!((unit.id.0, &unit.content), (*id, &expected));
            assert_eq!(unit.usage.count, uses.get(id).copied().unwrap_or_default());
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 128, ..ProptestConfig::default() })]

    #[test]
    fn saves_follow_their_policy(steps in proptest::collection::vec(step(), 1..25)) {
        run(steps);
    }
}

#[test]
fn many_callers_save_one_unit_once() {
    let engine = engine();
    let content = content("\u{628}\u{627}\u{628}", "door");
    let stored = std::thread::scope(|scope| {
        let save = || {
            (0..20)
                .flat_map(|_| {
                    save(&engine, vec![content.clone(); 2], DuplicatePolicy::SkipIdentical)
                })
                .filter(|saved| saved.outcome == UnitOutcome::Stored)
                .count()
        };
        let callers: Vec<_> = (0..8).map(|_| scope.spawn(save)).collect();
        callers.into_iter().map(|it| it.join().unwrap()).sum::<usize>()
    });
    assert_eq!(stored, 1);
    assert_eq!(all_units(&engine, &name()).len(), 1);
}

#[test]
fn a_repeated_save_answers_as_the_first_time_also_for_a_duplicate() {
    let engine = engine();
    let door = content("\u{628}\u{627}\u{628}", "door");
    let ask = |id: u8, target: &str| {
        let contents = vec![content("\u{628}\u{627}\u{628}", target)];
        let request = Some(RequestKey([id; 16]));
        engine.save_units(&name(), contents, DuplicatePolicy::SkipIdentical, request, |_| {
            String::new()
        })
    };
    let first = save(&engine, vec![door], DuplicatePolicy::SkipIdentical).remove(0);
    let answer = ask(1, "door").unwrap();
    assert_eq!((answer[0].outcome, &answer[0].unit), (UnitOutcome::Duplicate, &first.unit));
    engine.delete_unit(&name(), first.unit.id, None, None).unwrap();
    assert_eq!(ask(1, "door").unwrap(), answer, "not stored again");
    assert!(all_units(&engine, &name()).is_empty());
    assert!(matches!(ask(1, "gate"), Err(EngineError::RequestReused("request_id"))));
    assert_eq!(ask(2, "gate").unwrap()[0].outcome, UnitOutcome::Stored);
}

fn target(text: &str) -> UnitPatch {
    UnitPatch { target: Some(Segment::plain(text).into()), ..UnitPatch::default() }
}

#[test]
fn a_stale_etag_is_refused_and_a_use_makes_none_stale() {
    let engine = engine();
    let contents = vec![content("\u{628}\u{627}\u{628}", "door")];
    let unit = save(&engine, contents, DuplicatePolicy::KeepAll).remove(0).unit;
    let etag = || Some(Etag(unit_etag(&unit)));
    let uses = vec![UnitUse { unit: unit.id, count: 3, time: None }];
    engine.record_uses(&name(), uses, None).unwrap();
    let updated = engine.update_unit(&name(), unit.id, target("gate"), etag(), None).unwrap();
    assert_eq!((updated.revision, updated.usage.count), (3, 3));
    assert_ne!(unit_etag(&updated), unit_etag(&unit));
    let stale = engine.update_unit(&name(), unit.id, target("hatch"), etag(), None).unwrap_err();
    assert!(matches!(stale, EngineError::EtagMismatch { .. }), "{stale}");
    assert!(engine.delete_unit(&name(), unit.id, etag(), None).is_err());
    assert!(engine.rollback_unit(&name(), unit.id, 1, etag(), None).is_err());
    let current = Some(Etag(unit_etag(&updated)));
    engine.delete_unit(&name(), unit.id, current, None).unwrap();
}

#[test]
fn uses_by_many_callers_all_count_while_the_unit_is_edited() {
    let engine = engine();
    let contents = vec![content("\u{628}\u{627}\u{628}", "door"); 3];
    save(&engine, contents, DuplicatePolicy::KeepAll);
    std::thread::scope(|scope| {
        for caller in 0..6_u32 {
            let engine = &engine;
            scope.spawn(move || {
                for round in 0..30 {
                    let time = Some(Timestamp { micros: i64::from(caller * 100 + round) });
                    let uses = [1, 2, 2].map(|id| UnitUse { unit: UnitId(id), count: 1, time });
                    engine.record_uses(&name(), uses.to_vec(), None).unwrap();
                    if caller == 0 {
                        let patch = target(&format!("door {round}"));
                        engine.update_unit(&name(), UnitId(2), patch, None, None).unwrap();
                    }
                }
            });
        }
    });
    let units = all_units(&engine, &name());
    let last = Some(Timestamp { micros: 529 });
    assert_eq!(units[0].usage, Usage { count: 180, last, revisions: 180 });
    assert_eq!((units[1].usage.count, units[1].usage.last), (360, last));
    assert_eq!(units[1].content_revision(), 31);
    assert_eq!(units[2].usage, Usage::default());
    // All or none.
    let uses = [1, 9].map(|id| UnitUse { unit: UnitId(id), count: 1, time: None });
    let missing = engine.record_uses(&name(), uses.to_vec(), None).unwrap_err();
    assert!(matches!(missing, EngineError::NoUnit(_, UnitId(9))), "{missing}");
    assert_eq!(engine.unit(&name(), UnitId(1)).unwrap(), units[0]);
}

#[test]
fn batches_are_carried_out_whole_or_not_at_all() {
    let engine = engine();
    let contents = ["door", "gate", "hatch"].map(|it| content("\u{628}\u{627}\u{628}", it));
    save(&engine, contents.to_vec(), DuplicatePolicy::KeepAll);
    let before = all_units(&engine, &name());
    let request =
        |id: u64, text: &str| UpdateRequest { id: UnitId(id), patch: target(text), expected: None };
    let refused = |requests: &[UpdateRequest]| {
        let error = engine.update_units(&name(), requests, None).unwrap_err();
        assert_eq!(all_units(&engine, &name()), before, "{error}");
        error.to_string()
    };
    assert_eq!(refused(&[request(1, "a"), request(7, "b")]), "memory 'm' has no unit 7");
    let empty = refused(&[request(1, "a"), request(2, "")]);
    assert!(empty.starts_with("requests[1].unit.target.text: "), "{empty}");
    let twice = refused(&[request(1, "a"), request(2, "b"), request(1, "c")]);
    assert!(twice.starts_with("requests[2].unit.name: "), "{twice}");
    let stale = UpdateRequest { expected: Some(Etag("x".into())), ..request(2, "b") };
    assert!(refused(&[request(1, "a"), stale]).contains("memories/m/units/2"));
    let etag = Some(Etag(unit_etag(&before[2])));
    let requests = [UpdateRequest { expected: etag, ..request(3, "c") }, request(1, "a")];
    let key = Some(RequestKey([1; 16]));
    let updated = engine.update_units(&name(), &requests, key).unwrap();
    let seen: Vec<_> =
        updated.iter().map(|it| (it.id.0, it.content.target.text.as_str())).collect();
    assert_eq!(seen, [(3, "c"), (1, "a")]);
    assert_eq!(engine.update_units(&name(), &requests, key).unwrap(), updated);
    let other = engine.update_units(&name(), &requests[..1], key).unwrap_err();
    assert!(matches!(other, EngineError::RequestReused(_)));

    let delete = |ids: &[u64], key| {
        let ids: Vec<_> = ids.iter().map(|id| UnitId(*id)).collect();
        engine.delete_units(&name(), &ids, key)
    };
    assert!(matches!(delete(&[1, 9], None), Err(EngineError::NoUnit(..))));
    assert!(matches!(delete(&[1, 1], None), Err(EngineError::InvalidArgument { .. })));
    assert_eq!(all_units(&engine, &name()).len(), 3);
    let key = Some(RequestKey([2; 16]));
    delete(&[3, 1], key).unwrap();
    delete(&[3, 1], key).unwrap();
    assert!(matches!(delete(&[3], key), Err(EngineError::RequestReused(_))));
    let left = engine.units_by_id(&name(), &[UnitId(2)]).unwrap();
    assert_eq!(left, all_units(&engine, &name()));
    let missing = engine.units_by_id(&name(), &[UnitId(2), UnitId(3)]).unwrap_err();
    assert!(matches!(missing, EngineError::NoUnit(_, UnitId(3))));
}

/// Imports a file of a format.
fn import(engine: &Engine, format: Format, file: &[u8]) {
    let mut options = ReadOptions::new("ar".parse().unwrap(), "en".parse().unwrap(), "f");
    options.format = Some(format);
    let reader = dhakira::formats::open(Box::new(Cursor::new(file.to_vec())), &options).unwrap();
    let import = Import::new(RequestKey(*b"import of a file"), name(), DuplicatePolicy::default());
    for (number, batch) in (1..).zip(Batches::new(reader)) {
        let contents = batch.unwrap().units.into_iter().map(|unit| unit.content).collect();
        let units = engine.prepare(&name(), contents).unwrap();
        let units = units.into_iter().map(Result::unwrap).collect();
        let batch = PreparedBatch { number, units, rejected: 0, last: false, digest: number };
        engine.import(&import, batch).unwrap().wait().unwrap();
    }
}

#[test]
fn usage_goes_out_to_files_and_comes_back() {
    let from = engine();
    let contents = ["door", "gate"].map(|it| content("\u{628}\u{627}\u{628}", it));
    save(&from, contents.to_vec(), DuplicatePolicy::KeepAll);
    let time = Some(Timestamp { micros: 1_700_000_000_000_000 });
    let uses = vec![UnitUse { unit: UnitId(2), count: 7, time }];
    from.record_uses(&name(), uses, None).unwrap();
    let units = all_units(&from, &name());
    for format in [Format::Tmx, Format::Jsonl] {
        let header = dhakira::formats::FileHeader {
            source_lang: "ar".parse().unwrap(),
            target_lang: "en".parse().unwrap(),
            tool_version: "1".to_owned(),
        };
        let mut writer = dhakira::formats::create(format, &header, Vec::new()).unwrap();
        for unit in &units {
            writer.write(unit).unwrap();
        }
        let file = writer.finish().unwrap();
        let to = engine();
        import(&to, format, &file);
        let back = all_units(&to, &name());
        let usage: Vec<_> = back.iter().map(|it| (it.usage.count, it.usage.last)).collect();
        assert_eq!(usage, [(0, None), (7, time)], "{}", String::from_utf8_lossy(&file));
        assert!(back.iter().all(|unit| unit.content.attributes.is_empty()));
    }
}
