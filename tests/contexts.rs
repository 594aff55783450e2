//! Is context part of what a unit is? Random imports against a slow model of what must be stored, and what lookups answer.

use std::collections::{BTreeSet, HashSet};
use std::sync::Arc;

use dhakira::engine::{
    Batches, Cancel, DuplicatePolicy, Engine, Explain, Import, LookupSettings, MemoryChoice,
    PreparedBatch, QuerySegment, UnitFilter, batch_digest, context_hash,
};
use dhakira::formats::{self, ReadOptions};
use dhakira::matching::MatchKind;
use dhakira::store::{Backend, InMemoryStore, RequestKey};
use dhakira::unit::{
    CONTEXT_KEY_ATTRIBUTE, Context, MemoryName, Score, Segment, Timestamp, Unit, UnitContent,
};
use proptest::prelude::*;
use xxhash_rust::xxh3::xxh3_128;

use crate::support::{all_units, shared};

use super::support::new_memory;

fn name() -> MemoryName {
    "m".parse().unwrap()
}

fn engine(store: &Arc<InMemoryStore>) -> Engine {
    let store: Backend = store.clone().into();
    Engine::open(store, None, &mut |_| ()).unwrap()
}

fn empty() -> (Arc<InMemoryStore>, Engine) {
    let store = Arc::new(InMemoryStore::default());
    let engine = engine(&store);
    engine.create_memory(new_memory(name()), None).unwrap();
    (store, engine)
}

/// A unit out of few texts and contexts, so that they meet again.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Given {
    source: u8,
    target: u8,
    previous: Option<u8>,
    next: Option<u8>,
    key: Option<u8>,
    changed: i64,
}

const SOURCES: [&str; 3] =
    ["\u{646}\u{639}\u{645}", "\u{642}\u{641} \u{647}\u{646}\u{627}", "\u{643}\u{644}\u{627}"];

fn neighbour(number: u8) -> String {
    format!("\u{62c}\u{645}\u{644}\u{629} {number}")
}

impl Given {
    fn content(&self) -> UnitContent {
        let hash = |number: Option<u8>| number.map(|it| context_hash(&neighbour(it)));
        let key = self.key.map(|key| (CONTEXT_KEY_ATTRIBUTE.to_owned(), format!("key {key}")));
        UnitContent {
            source: Segment::plain(SOURCES[self.source as usize]),
            target: Segment::plain(format!("target {}", self.target)),
            context: Context {
                previous: hash(self.previous),
                next: hash(self.next),
                ..Context::default()
            },
            changed: Some(Timestamp { micros: self.changed }),
            attributes: key.into_iter().collect(),
            ..UnitContent::default()
        }
    }

    fn known(&self) -> [Option<u8>; 3] {
        [self.previous, self.next, self.key]
    }
}

/// What a memory holds by the rules, unit by unit.
#[derive(Debug, Default)]
struct Model(Vec<Given>);

impl Model {
    fn import(&mut self, new: &Given, policy: DuplicatePolicy) {
        let zip = |old: &Given| new.known().into_iter().zip(old.known()).collect::<Vec<_>>();
        let repeats = |old: &Given| {
            (new.source, new.target) == (old.source, old.target)
                && zip(old).iter().all(|(new, old)| new.is_none() || new == old)
        };
        if policy == DuplicatePolicy::KeepAll {
            return self.0.push(new.clone());
        }
        if self.0.iter().any(repeats) {
            return;
        }
        let conflicts = |old: &Given| {
            zip(old).iter().any(|(new, old)| new.is_some() && old.is_some() && new != old)
        };
        let common = |old: &Given| zip(old).iter().filter(|(a, b)| a.is_some() && a == b).count();
        let replaced = (0..self.0.len())
            .filter(|&at| self.0[at].source == new.source && !conflicts(&self.0[at]))
            .max_by_key(|&at| (common(&self.0[at]), self.0[at].changed, at));
        match replaced {
            Some(at) if policy == DuplicatePolicy::ReplaceSameSource => {
                let old = self.0[at].clone();
                self.0[at] = Given {
                    previous: new.previous.or(old.previous),
                    next: new.next.or(old.next),
                    key: new.key.or(old.key),
                    ..new.clone()
                };
            }
            _ => self.0.push(new.clone()),
        }
    }
}

fn import(engine: &Engine, number: u8, policy: DuplicatePolicy, units: &[Given]) -> [u64; 2] {
    let import = Import::new(RequestKey([number; 16]), name(), policy);
    let contents: Vec<UnitContent> = units.iter().map(Given::content).collect();
    let digest = batch_digest(contents.iter().map(Ok), (0, true)).unwrap();
    let prepared = engine.prepare(&name(), contents).unwrap();
    let units = prepared.into_iter().map(Result::unwrap).collect();
    let batch = PreparedBatch { number: 1, units, rejected: 0, last: true, digest };
    let answer = engine.import(&import, batch).unwrap();
    let counts = answer.wait().unwrap().counts;
    [counts.stored, counts.duplicates]
}

/// All units without what the store adds.
fn stored(engine: &Engine) -> Vec<UnitContent> {
    let units = all_units(engine, &name());
    let content = |unit: Unit| UnitContent { created: None, ..unit.content };
    units.into_iter().map(content).collect()
}

fn given() -> impl Strategy<Value = Given> {
    let known = |most: u8| prop_oneof![1 => Just(None), 2 => (0..most).prop_map(Some)];
    (0..3_u8, 0..2_u8, known(2), known(2), prop_oneof![4 => Just(None), 1 => known(2)], 1..4_i64)
        .prop_map(|(source, target, previous, next, key, changed)| Given {
            source,
            target,
            previous,
            next,
            key,
            changed,
        })
}

fn policy() -> impl Strategy<Value = DuplicatePolicy> {
    prop_oneof![
        1 => Just(DuplicatePolicy::KeepAll),
        4 => Just(DuplicatePolicy::SkipIdentical),
        3 => Just(DuplicatePolicy::ReplaceSameSource),
    ]
}

fn query(unit: &Given) -> QuerySegment {
    QuerySegment {
        segment: Segment::plain(SOURCES[unit.source as usize]),
        context: unit.content().context,
        ..QuerySegment::default()
    }
}

fn settings(exhaustive: bool) -> LookupSettings {
    LookupSettings {
        memories: vec![MemoryChoice { memory: name(), penalty: None }],
        min_score: Score::from_points(70.0).unwrap(),
        max_matches: 5,
        exhaustive,
        filter: UnitFilter::default(),
        penalty_rules: Vec::new(),
        explain: Explain::default(),
    }
}

/// What was imported is answered, in its context, and no pair twice.
fn check_lookups(engine: &Engine, units: &[Given]) {
    let queries: Vec<QuerySegment> = units.iter().map(query).collect();
    let found = engine.lookup(&settings(false), &queries, &Cancel::default()).unwrap();
    let scanned = engine.lookup(&settings(true), &queries, &Cancel::default()).unwrap();
    for ((unit, matches), scanned) in units.iter().zip(found).zip(scanned) {
        let ids = |matches: &[dhakira::engine::FoundMatch]| -> Vec<_> {
            matches.iter().map(|it| (it.unit.id, it.kind)).collect()
        };
        assert_eq!(ids(&matches), ids(&scanned));
        let pairs: HashSet<_> =
            matches.iter().map(|it| (&it.unit.content.source, &it.unit.content.target)).collect();
        assert_eq!(pairs.len(), matches.len());
        let wanted = unit.content();
        let own = matches.iter().find(|it| it.unit.content.target == wanted.target).unwrap();
        let has_context = unit.previous.or(unit.next).is_some();
        assert_eq!(own.kind, if has_context { MatchKind::Context } else { MatchKind::Exact });
    }
}

/// Imports, against the model; the store is opened again now and then.
fn check_imports(imports: &[(DuplicatePolicy, Vec<Given>)]) {
    let (store, mut engine) = empty();
    let mut model = Model::default();
    for (number, (policy, units)) in (1..).zip(imports) {
        let before = model.0.len();
        let [stored_now, duplicates] = import(&engine, number, *policy, units);
        units.iter().for_each(|unit| model.import(unit, *policy));
        assert_eq!(stored_now + duplicates, units.len() as u64);
        assert!(stored_now >= (model.0.len() - before) as u64);
        let expected: Vec<UnitContent> = model.0.iter().map(Given::content).collect();
        assert_eq!(stored(&engine), expected);
        if *policy != DuplicatePolicy::ReplaceSameSource {
            check_lookups(&engine, units);
            // Nothing is stored twice.
            if *policy == DuplicatePolicy::SkipIdentical {
                let again = import(&engine, 100 + number, *policy, units);
                assert_eq!(again, [0, units.len() as u64]);
            }
        }
        if number % 3 == 0 {
            drop(engine);
            engine = self::engine(&store);
        }
    }
}

/// The same sentence, in more contexts than are read through one by one.
fn given_in_a_crowd() -> impl Strategy<Value = Given> {
    let known = |most: u8| prop_oneof![1 => Just(None), 5 => (0..most).prop_map(Some)];
    (0..2_u8, known(6), known(6), prop_oneof![3 => Just(None), 1 => known(2)], 1..9_i64).prop_map(
        |(target, previous, next, key, changed)| Given {
            source: 0,
            target,
            previous,
            next,
            key,
            changed,
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(150))]

    #[test]
    fn imports_store_what_the_rules_say(
        imports in prop::collection::vec((policy(), prop::collection::vec(given(), 0..12)), 1..8)
    ) {
        check_imports(&imports);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn imports_of_one_sentence_in_many_contexts_store_what_the_rules_say(
        first in prop::collection::vec(given_in_a_crowd(), 60..120),
        imports in prop::collection::vec(
            (policy(), prop::collection::vec(given_in_a_crowd(), 0..70)),
            1..5,
        ),
    ) {
        let first = (DuplicatePolicy::SkipIdentical, first);
        check_imports(&std::iter::once(first).chain(imports).collect::<Vec<_>>());
    }
}

/// How much more is stored because context is part of a unit, on real documents: printed, and bounded.
#[test]
fn growth_on_real_documents() {
    let Some(path) = shared("data/msdocs/memory.tsv.xz") else { return };
    let file: Box<dyn std::io::Read + Send> = Box::new(std::fs::File::open(path).unwrap());
    let (source, target) = ("ar".parse().unwrap(), "en".parse().unwrap());
    let options = ReadOptions::new(source, target, "memory.tsv");
    let (mut units, mut pairs, mut in_context) = (0, BTreeSet::new(), BTreeSet::new());
    for batch in Batches::new(formats::open(file, &options).unwrap()) {
        for unit in batch.unwrap().units {
            let UnitContent { source, target, context, .. } = unit.content;
            let pair = xxh3_128(format!("{}\t{}", source.text, target.text).as_bytes());
            units += 1;
            pairs.insert(pair);
            in_context.insert((pair, context.previous, context.next));
        }
    }
    let growth = in_context.len() as f64 / pairs.len() as f64;
    println!(
        "{units} units: {} pairs, {} in context: {growth:.3} times as many",
        pairs.len(),
        in_context.len()
    );
    assert!((1.0..1.5).contains(&growth), "{growth}");
}

/// Units that follow each other in a document are neighbours with both of their texts; what the file says comes first.
#[test]
fn consecutive_units_of_a_document_are_neighbours() {
    let line = |number: u32, document: &str, more: &str| {
        format!(
            "{{\"source\":\"\u{62c} {number}\",\"target\":\"t {number}\",\"document\":\"{document}\"{more}}}\n"
        )
    };
    let other = format!("{:016x}", 77);
    let file = [
        line(1, "a", ""),
        line(2, "a", ""),
        // The unit before is another one than the file says: nothing is known of its target.
        line(3, "a", &format!(",\"previous\":\"{other}\",\"next_target\":\"{other}\"")),
        line(4, "a", &format!(",\"next\":\"{other}\"")),
        line(5, "b", ""),
        line(6, "", ""),
        line(7, "", ""),
        line(8, "b", ""),
    ];
    let (source, target) = ("ar".parse().unwrap(), "en".parse().unwrap());
    let options = ReadOptions::new(source, target, "f.jsonl");
    let file = std::io::Cursor::new(file.concat());
    let batches = Batches::new(formats::open(Box::new(file), &options).unwrap()).of(2);
    let units = batches.flat_map(|batch| batch.unwrap().units);
    let contexts: Vec<Context> = units.map(|unit| unit.content.context).collect();
    let source = |number: u32| Some(context_hash(&format!("\u{62c} {number}")));
    let target = |number: u32| Some(context_hash(&format!("t {number}")));
    let of = |previous, next, previous_target, next_target| Context {
        previous,
        next,
        previous_target,
        next_target,
    };
    assert_eq!(
        contexts,
        [
            of(None, source(2), None, target(2)),
            of(source(1), source(3), target(1), target(3)),
            of(Some(77), source(4), None, Some(77)),
            of(source(3), Some(77), target(3), None),
            Context::default(),
            Context::default(),
            Context::default(),
            Context::default(),
        ]
    );
}
