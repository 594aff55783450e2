//! Which contexts agree, and what kind of match that makes: random memories against a model written from the rules.

use std::cmp::Reverse;
use std::collections::BTreeSet;
use std::sync::Arc;

use dhakira::engine::{
    Cancel, Engine, Explain, FoundMatch, LookupSettings, MemoryChoice, MemoryPatch, NewMemory,
    QuerySegment, UnitFilter, context_hash,
};
use dhakira::matching::{ContextPart, MatchKind};
use dhakira::store::{Backend, InMemoryStore};
use dhakira::unit::{
    CONTEXT_KEY_ATTRIBUTE, Context, ContextMode, MemoryName, Score, Scoring, Segment, Timestamp,
    UnitContent,
};
use proptest::prelude::*;

const MEMORIES: [&str; 2] = ["a", "b"];
const TEXTS: [&str; 3] = [
    "\u{646}\u{639}\u{645}",
    "\u{642}\u{641} \u{647}\u{646}\u{627}",
    // Nearly the second one.
    "\u{642}\u{650}\u{641} \u{647}\u{646}\u{627}",
];

fn name(name: &str) -> MemoryName {
    name.parse().unwrap()
}

/// The place of a unit or a query, out of few, so that they meet. `None` is unknown.
#[derive(Debug, Clone, Copy, Default)]
struct Where {
    previous: Option<u8>,
    next: Option<u8>,
    previous_target: Option<u8>,
    next_target: Option<u8>,
    id: Option<u8>,
    document: Option<u8>,
}

impl Where {
    fn context(&self) -> Context {
        let hash = |number: Option<u8>| number.map(|it| context_hash(&format!("neighbour {it}")));
        Context {
            previous: hash(self.previous),
            next: hash(self.next),
            previous_target: hash(self.previous_target),
            next_target: hash(self.next_target),
        }
    }

    fn id(&self) -> String {
        self.id.map(|id| format!("id {id}")).unwrap_or_default()
    }

    fn document(&self) -> String {
        self.document.map(|it| format!("{it}.txt")).unwrap_or_default()
    }
}

#[derive(Debug, Clone, Copy)]
struct Stored {
    text: usize,
    target: u8,
    place: Where,
    /// Whether the id is stored as an attribute, as PO files have it.
    as_attribute: bool,
    changed: i64,
}

impl Stored {
    fn content(&self) -> UnitContent {
        let mut content = UnitContent {
            source: Segment::plain(TEXTS[self.text]),
            target: Segment::plain(format!("target {}", self.target)),
            context: self.place.context(),
            document: self.place.document(),
            changed: Some(Timestamp { micros: self.changed }),
            ..UnitContent::default()
        };
        let id = self.place.id();
        if self.as_attribute && !id.is_empty() {
            content.attributes.insert(CONTEXT_KEY_ATTRIBUTE.to_owned(), id);
        } else {
            content.context_id = id;
        }
        content
    }
}

/// How one of the two contexts, text flow and id, compares.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Compared {
    Same,
    BothMissing,
    Other,
}

fn flow(asked: &Where, stored: &Where) -> Compared {
    let mut one_agrees = false;
    for (asked, stored) in [(asked.previous, stored.previous), (asked.next, stored.next)] {
        match (asked, stored) {
            (None, _) => {}
            (Some(asked), Some(stored)) if asked == stored => one_agrees = true,
            (Some(_), _) => return Compared::Other,
        }
    }
    let targets =
        [(asked.previous_target, stored.previous_target), (asked.next_target, stored.next_target)];
    for pair in targets {
        match pair {
            (Some(asked), Some(stored)) if asked == stored => one_agrees = true,
            (Some(_), Some(_)) => return Compared::Other,
            _ => {}
        }
    }
    let knows_sources = |place: &Where| place.previous.is_some() || place.next.is_some();
    if one_agrees {
        Compared::Same
    } else if knows_sources(asked) || knows_sources(stored) {
        Compared::Other
    } else {
        Compared::BothMissing
    }
}

fn id(asked: &Where, stored: &Where) -> Compared {
    match (asked.id, stored.id) {
        (None, None) => Compared::BothMissing,
        (Some(asked), Some(stored)) if asked == stored => Compared::Same,
        _ => Compared::Other,
    }
}

/// The kind of a match with the same text.
fn kind(asked: &Where, stored: &Where, mode: ContextMode) -> MatchKind {
    let both = [flow(asked, stored), id(asked, stored)];
    let same = both.iter().filter(|it| **it == Compared::Same).count();
    let missing = both.iter().filter(|it| **it == Compared::BothMissing).count();
    match (same, missing, mode) {
        (2, ..) | (1, 1, ContextMode::Double) => MatchKind::DoubleContext,
        (1, ..) => MatchKind::Context,
        _ => MatchKind::Exact,
    }
}

fn agreed(asked: &Where, stored: &Where) -> Vec<ContextPart> {
    let parts = [
        (ContextPart::PreviousSource, asked.previous, stored.previous),
        (ContextPart::NextSource, asked.next, stored.next),
        (ContextPart::PreviousTarget, asked.previous_target, stored.previous_target),
        (ContextPart::NextTarget, asked.next_target, stored.next_target),
        (ContextPart::ContextId, asked.id, stored.id),
        (ContextPart::Document, asked.document, stored.document),
    ];
    let same = parts.into_iter().filter(|(_, asked, stored)| asked.is_some() && asked == stored);
    same.map(|(part, ..)| part).collect()
}

/// What a match must be: memory, number of the unit, kind, agreed contexts, rate.
type Expected = (usize, u64, MatchKind, Vec<ContextPart>, u16);

/// Every unit of every memory by the rules, in order.
fn expected(
    memories: &[(Vec<Stored>, ContextMode); 2],
    (text, asked): (usize, &Where),
    (penalty, limit): (u16, usize),
) -> Vec<Expected> {
    let mut all = Vec::new();
    for (memory, (units, mode)) in memories.iter().enumerate() {
        let mut of_memory = Vec::new();
        for (unit, number) in units.iter().zip(1..) {
            // One vowel mark is one point.
            let (kind, agreed, score) = if unit.text == text {
                let agreed = agreed(asked, &unit.place);
                (kind(asked, &unit.place, *mode), agreed, 100 - penalty)
            } else if unit.text > 0 && text > 0 {
                (MatchKind::Fuzzy, Vec::new(), 99 - penalty)
            } else {
                continue;
            };
            let above = match kind {
                MatchKind::DoubleContext => 2,
                MatchKind::Context => 1,
                MatchKind::Exact | MatchKind::Fuzzy => 0,
            };
            let order = (kind, Reverse(score), Reverse(unit.changed), memory, number);
            let found = (memory, number, kind, agreed, score + above);
            of_memory.push((order, (unit.text, unit.target), found));
        }
        of_memory.sort_by_key(|it| it.0);
        // A memory answers a pair once.
        let mut pairs = BTreeSet::new();
        of_memory.retain(|it| pairs.insert(it.1));
        all.extend(of_memory);
    }
    all.sort_by_key(|it| it.0);
    all.into_iter().map(|it| it.2).take(limit).collect()
}

fn found(matches: &[FoundMatch]) -> Vec<Expected> {
    let found = matches.iter().map(|found| {
        let memory = MEMORIES.iter().position(|it| *it == found.memory.to_string()).unwrap();
        let agreed = found.agreed_contexts.iter().collect();
        (memory, found.unit.id.0, found.kind, agreed, found.match_rate())
    });
    found.collect()
}

/// A memory made with the mode, or changed to it.
fn create(engine: &Engine, memory: &str, units: &[Stored], mode: ContextMode, by_update: bool) {
    let created = if by_update { ContextMode::Simple } else { mode };
    let new = NewMemory {
        name: name(memory),
        display_name: String::new(),
        description: String::new(),
        source_lang: "ar".parse().unwrap(),
        target_lang: "en".parse().unwrap(),
        unfinished_penalty: None,
        scoring: Scoring { context_mode: created, ..Scoring::default() },
    };
    engine.create_memory(new, None).unwrap();
    if by_update {
        let patch = MemoryPatch { context_mode: Some(mode), ..MemoryPatch::default() };
        engine.update_memory(&name(memory), patch, None, None).unwrap();
    }
    for unit in units {
        engine.create_units(&name(memory), vec![unit.content()], None, |_| String::new()).unwrap();
    }
}

fn place() -> impl Strategy<Value = Where> {
    let known = || prop_oneof![1 => Just(None), 2 => (0..2_u8).prop_map(Some)];
    (known(), known(), known(), known(), known(), known()).prop_map(
        |(previous, next, previous_target, next_target, id, document)| Where {
            previous,
            next,
            previous_target,
            next_target,
            id,
            document,
        },
    )
}

fn stored() -> impl Strategy<Value = Stored> {
    (0..TEXTS.len(), 0..3_u8, place(), any::<bool>(), 1..4_i64).prop_map(
        |(text, target, place, as_attribute, changed)| Stored {
            text,
            target,
            place,
            as_attribute,
            changed,
        },
    )
}

fn memory() -> impl Strategy<Value = (Vec<Stored>, ContextMode)> {
    let mode = prop_oneof![Just(ContextMode::Simple), Just(ContextMode::Double)];
    (prop::collection::vec(stored(), 0..16), mode)
}

fn check(
    memories: &[(Vec<Stored>, ContextMode); 2],
    queries: &[(usize, Where)],
    (penalty, limit): (u16, usize),
) {
    let store = Arc::new(InMemoryStore::default());
    let backend: Backend = store.clone().into();
    let mut engine = Engine::open(backend, None, &mut |_| ()).unwrap();
    for (number, (units, mode)) in memories.iter().enumerate() {
        create(&engine, MEMORIES[number], units, *mode, number == 1);
    }
    // As written, and as read again.
    for _ in 0..2 {
        for exhaustive in [false, true] {
            let penalty = Some(Score::from_points(f64::from(penalty)).unwrap());
            let choice = |memory: &str| MemoryChoice { memory: name(memory), penalty };
            let settings = LookupSettings {
                memories: MEMORIES.into_iter().map(choice).collect(),
                min_score: Score::from_points(60.0).unwrap(),
                max_matches: limit,
                exhaustive,
                filter: UnitFilter::default(),
                penalty_rules: Vec::new(),
                explain: Explain::default(),
            };
            let query = |(text, place): &(usize, Where)| QuerySegment {
                segment: Segment::plain(TEXTS[*text]),
                context: place.context(),
                context_id: place.id(),
                document: place.document(),
            };
            let segments: Vec<_> = queries.iter().map(query).collect();
            let answers = engine.lookup(&settings, &segments, &Cancel::default()).unwrap();
            for ((text, place), matches) in queries.iter().zip(answers) {
                let penalty = settings.memories[0].penalty.unwrap().hundredths() / 100;
                let expected = expected(memories, (*text, place), (penalty, limit));
                assert_eq!(found(&matches), expected, "{text} {place:?} exhaustive: {exhaustive}");
            }
        }
        drop(engine);
        let backend: Backend = store.clone().into();
        engine = Engine::open(backend, None, &mut |_| ()).unwrap();
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn contexts_count_by_the_rules(
        first in memory(),
        second in memory(),
        queries in prop::collection::vec((0..TEXTS.len(), place()), 1..8),
        penalty in prop_oneof![Just(0_u16), Just(5)],
        limit in prop_oneof![Just(1_usize), Just(3), Just(1_000)],
    ) {
        check(&[first, second], &queries, (penalty, limit));
    }
}

/// The rules one by one.
#[test]
fn each_rule_by_an_example() {
    let (simple, double) = (ContextMode::Simple, ContextMode::Double);
    let nothing = Where::default();
    let flow = Where { previous: Some(1), next: Some(2), ..nothing };
    let both = Where { id: Some(1), ..flow };
    let id = Where { id: Some(1), ..nothing };
    let (exact, context, best) = (MatchKind::Exact, MatchKind::Context, MatchKind::DoubleContext);
    for (asked, stored, in_simple, in_double) in [
        (nothing, nothing, exact, exact),
        (nothing, both, exact, exact),
        (both, nothing, exact, exact),
        (both, both, best, best),
        // The other context is missing on both sides, or on one.
        (flow, flow, context, best),
        (id, id, context, best),
        (flow, both, context, context),
        (both, flow, context, context),
        (id, both, context, context),
        // The other context is another one.
        (Where { id: Some(2), ..flow }, both, context, context),
        (Where { next: Some(3), ..both }, both, context, context),
        (Where { next: Some(3), ..flow }, flow, exact, exact),
        // A neighbour that only the query knows differs, one that it does not know is not compared.
        (flow, Where { next: None, ..flow }, exact, exact),
        (Where { next: None, ..flow }, flow, context, best),
        // Targets differ where both know them.
        (Where { next_target: Some(1), ..flow }, flow, context, best),
        (
            Where { next_target: Some(1), ..flow },
            Where { next_target: Some(2), ..flow },
            exact,
            exact,
        ),
        // A document alone is no context.
        (
            Where { document: Some(1), ..nothing },
            Where { document: Some(1), ..nothing },
            exact,
            exact,
        ),
    ] {
        for (mode, expected) in [(simple, in_simple), (double, in_double)] {
            assert_eq!(kind(&asked, &stored, mode), expected, "{mode:?} {asked:?} {stored:?}");
            let unit =
                Stored { text: 0, target: 0, place: stored, as_attribute: false, changed: 1 };
            check(&[(vec![unit], mode), (Vec::new(), mode)], &[(0, asked)], (0, 5));
        }
    }
}
