//! Risk: a change by filter touches a unit that nobody confirmed, misses one, counts wrongly, or is carried out twice; a listing or a
//! history loops or loses units.

use std::collections::BTreeMap;
use std::sync::Arc;

use dhakira::engine::{
    Cancel, Confirmation, DuplicatePolicy, Engine, EngineError, ListQuery, MatchingChange,
    MatchingCount, MatchingResult, UnitFilter, UnitOrder, UnitPatch, UnitUse,
};
use dhakira::store::{InMemoryStore, Maintenance as _, RequestKey, Retention};
use dhakira::unit::{Segment, Timestamp, Unit, UnitContent, UnitId};

use crate::support::all_units;
use proptest::prelude::*;

use crate::upkeep::{Dice, content, create_memory, name};

const AUTHORS: [&str; 3] = ["amal", "basim", "sara"];
const FUTURE: Timestamp = Timestamp { micros: i64::MAX };

fn by(author: &str) -> UnitFilter {
    let mut filter = UnitFilter::default();
    filter.author.any_of.insert(author.to_owned());
    filter
}

fn open(store: &Arc<InMemoryStore>) -> Engine {
    Engine::open(Arc::clone(store), None, &mut |_| ()).unwrap()
}

fn engine() -> Engine {
    let engine = open(&Arc::default());
    create_memory(&engine, &name());
    engine
}

/// Creates units of the authors by turns.
fn fill(engine: &Engine, count: usize) {
    let unit = |at: usize| UnitContent {
        author: AUTHORS[at % AUTHORS.len()].to_owned(),
        ..content("\u{628}\u{627}\u{628}", &format!("door {at}"))
    };
    let contents: Vec<_> = (0..count).map(unit).collect();
    for batch in contents.chunks(200) {
        engine.create_units(&name(), batch.to_vec(), None, |_| String::new()).unwrap();
    }
}

fn all(engine: &Engine) -> BTreeMap<u64, Unit> {
    let units = all_units(engine, &name());
    units.into_iter().map(|unit| (unit.id.0, unit)).collect()
}

fn count(engine: &Engine, filter: &UnitFilter, change: &MatchingChange) -> MatchingCount {
    engine.count_matching(&name(), filter, change, &Cancel::default()).unwrap()
}

fn confirmation(counted: &MatchingCount, key: u8) -> Confirmation {
    Confirmation {
        count: counted.count,
        hash: counted.hash,
        expires: FUTURE,
        key: RequestKey([key; 16]),
        request: 7,
        key_field: "request_id",
    }
}

fn change(
    engine: &Engine,
    what: (&UnitFilter, &MatchingChange),
    confirmation: &Confirmation,
    cancel: &Cancel,
) -> Result<MatchingResult, EngineError> {
    engine.change_matching(&name(), what.0, what.1, confirmation, cancel)
}

fn new_author(author: &str) -> MatchingChange {
    let author = Some(author.to_owned());
    MatchingChange::Update(Box::new(UnitPatch { author, ..UnitPatch::default() }))
}

#[test]
fn what_was_counted_is_changed_once() {
    let engine = engine();
    fill(&engine, 10);
    for (key, what) in [(1, new_author("zaid")), (2, MatchingChange::Delete)] {
        let filter = by(["basim", "zaid"][usize::from(key) - 1]);
        let before = all(&engine);
        let counted = count(&engine, &filter, &what);
        assert_eq!((counted.count, counted.sample.len()), (3, 3));
        assert_eq!(all(&engine), before, "counting changes nothing");
        let confirmed = confirmation(&counted, key);
        let none = Cancel::default();
        let result = change(&engine, (&filter, &what), &confirmed, &none).unwrap();
        assert_eq!(result, MatchingResult { matching: 3, changed: 3 });
        let after = all(&engine);
        for (id, unit) in &before {
            let matched = filter.author.any_of.contains(&unit.content.author);
            match (after.get(id), matched, &what) {
                (Some(now), false, _) => assert_eq!(now, unit),
                (Some(now), true, MatchingChange::Update(_)) => {
                    assert_eq!((now.content.author.as_str(), now.revision), ("zaid", 2));
                    assert_eq!(now.content.target, unit.content.target);
                }
                (now, ..) => assert_eq!((now, matched), (None, true), "{id}"),
            }
        }
        // The same again has no effect, another request with the key is refused.
        fill(&engine, 3);
        let filled = all(&engine);
        assert_eq!(change(&engine, (&filter, &what), &confirmed, &none).unwrap(), result);
        let other = Confirmation { request: 8, ..confirmed };
        let refused = change(&engine, (&filter, &what), &other, &none).unwrap_err();
        assert!(matches!(refused, EngineError::RequestReused("request_id")), "{refused}");
        assert_eq!(all(&engine), filled);
    }
}

#[test]
fn another_set_of_units_is_refused() {
    let engine = engine();
    fill(&engine, 9);
    let filter = by("amal");
    let what = MatchingChange::Delete;
    let counted = count(&engine, &filter, &what);
    let refused = |key| {
        let before = all(&engine);
        let confirmed = confirmation(&counted, key);
        let error = change(&engine, (&filter, &what), &confirmed, &Cancel::default()).unwrap_err();
        assert!(matches!(error, EngineError::MatchesChanged { counted: 3, .. }), "{error}");
        assert_eq!(all(&engine), before);
    };
    // A use is no change of a unit.
    let used = vec![UnitUse { unit: UnitId(1), count: 1, time: None }];
    engine.record_uses(&name(), used, None).unwrap();
    assert_eq!(count(&engine, &filter, &what).hash, counted.hash);
    let author =
        |author: &str| UnitPatch { author: Some(author.to_owned()), ..UnitPatch::default() };
    engine.update_unit(&name(), UnitId(1), author("amal"), None, None).unwrap();
    refused(1); // The same units, one of them changed.
    engine.update_unit(&name(), UnitId(1), author("sara"), None, None).unwrap();
    refused(2); // One fewer.
    engine.update_unit(&name(), UnitId(2), author("amal"), None, None).unwrap();
    refused(3); // As many, but others.
    let again = count(&engine, &filter, &what);
    let expired = Confirmation { expires: Timestamp { micros: 1 }, ..confirmation(&again, 4) };
    let error = change(&engine, (&filter, &what), &expired, &Cancel::default()).unwrap_err();
    assert!(error.to_string().starts_with("confirmation_token: "), "{error}");
    let done = change(&engine, (&filter, &what), &confirmation(&again, 4), &Cancel::default());
    assert_eq!(done.unwrap().changed, 3);
    // A change that was carried out is answered after its confirmation has expired too.
    let done = change(&engine, (&filter, &what), &expired, &Cancel::default());
    assert_eq!(done.unwrap().changed, 3);
}

#[test]
fn a_change_that_would_make_a_unit_invalid_changes_none() {
    let engine = engine();
    fill(&engine, 3);
    let before = all(&engine);
    let what = new_author(&"a".repeat(100_000));
    let error = engine.count_matching(&name(), &by("sara"), &what, &Cancel::default());
    let error = error.unwrap_err().to_string();
    assert!(error.starts_with("unit.author: memories/m/units/3: "), "{error}");
    assert_eq!(all(&engine), before);
}

/// Interrupts a change after some commits, lets others write, restarts the engine, and continues. Returns whether the change was
/// interrupted midway.
fn interrupt_and_continue(dice: &mut Dice) -> bool {
    let store = Arc::<InMemoryStore>::default();
    let mut engine = open(&store);
    create_memory(&engine, &name());
    fill(&engine, 1_300);
    let filter = by("amal");
    let delete = dice.below(2) == 0;
    let what = if delete { MatchingChange::Delete } else { new_author("zaid") };
    let before = all(&engine);
    let matched: Vec<u64> = (1..=1_300).step_by(3).collect();
    let counted = count(&engine, &filter, &what);
    assert_eq!(counted.count, matched.len() as u64);
    let confirmed = confirmation(&counted, 1);

    let cancel = Cancel::default();
    let until = engine.watch_sequence().borrow().0 + dice.below(4);
    let interrupted = std::thread::scope(|scope| {
        let (watched, cancel) = (engine.watch_sequence(), &cancel);
        scope.spawn(move || {
            while watched.borrow().0 < until {
                std::thread::yield_now();
            }
            cancel.cancel();
        });
        change(&engine, (&filter, &what), &confirmed, cancel)
    });
    let is_done = |unit: Option<&Unit>| unit.is_none_or(|unit| unit.content.author == "zaid");
    let midway = all(&engine);
    let done = matched.iter().filter(|id| is_done(midway.get(id))).count();
    match interrupted {
        Err(EngineError::Cancelled) => {
            assert!(done.is_multiple_of(200), "whole steps: {done}");
        }
        finished => assert_eq!((finished.unwrap().changed, done), (434, 434)),
    }
    let mut others: Vec<u64> = Vec::new();
    if (1..matched.len()).contains(&done) {
        for _ in 0..dice.below(5) {
            let id = matched[usize::try_from(dice.below(434)).unwrap()];
            if midway.contains_key(&id) && !others.contains(&id) {
                let target = Some(Segment::plain("edited").into());
                let patch = UnitPatch { target, ..UnitPatch::default() };
                engine.update_unit(&name(), UnitId(id), patch, None, None).unwrap();
                others.push(id);
            }
        }
        fill(&engine, 30);
    }
    let at_rest = all(&engine);
    if dice.below(2) == 0 {
        drop(engine);
        engine = open(&store);
    }
    let threads = 1 + dice.below(2);
    let none = Cancel::default();
    if done == 0 || done == matched.len() {
        // Not begun, or complete.
        let result = change(&engine, (&filter, &what), &confirmed, &none).unwrap();
        assert_eq!(result, MatchingResult { matching: 434, changed: 434 });
        return false;
    }
    let results: Vec<MatchingResult> = std::thread::scope(|scope| {
        let call = || change(&engine, (&filter, &what), &confirmed, &none).unwrap();
        let calls: Vec<_> = (0..threads).map(|_| scope.spawn(call)).collect();
        calls.into_iter().map(|it| it.join().unwrap()).collect()
    });
    let after = all(&engine);
    let left = others.iter().filter(|id| !is_done(midway.get(id))).count();
    let changed = (434 - left) as u64;
    assert!(results.iter().all(|it| *it == MatchingResult { matching: 434, changed }));
    for (id, unit) in &at_rest {
        let was_matched = matched.contains(id) && before.contains_key(id);
        if !was_matched || others.contains(id) {
            assert_eq!(after.get(id), Some(unit), "{id} is left as it is");
        } else {
            assert!(is_done(after.get(id)), "{id} is done");
            let revision = after.get(id).map(|unit| unit.revision);
            assert_eq!(revision, (!delete).then_some(2), "{id} once");
        }
    }
    true
}

#[test]
fn an_interrupted_change_continues_with_what_is_left() {
    let mut dice = Dice(22);
    let midway = (0..10).filter(|_| interrupt_and_continue(&mut dice)).count();
    assert!(midway > 0, "some changes are interrupted midway");
}

/// All units of a listing, page by page; `between` runs before each page.
fn listed(engine: &Engine, query: &ListQuery, size: usize, mut between: impl FnMut()) -> Vec<Unit> {
    let (mut units, mut after) = (Vec::new(), None);
    for _ in 0..1_000 {
        between();
        let page = engine.list_units(&name(), query, after, size, &Cancel::default()).unwrap();
        assert!(page.units.len() <= size);
        units.extend(page.units);
        match page.next {
            None => return units,
            Some(next) => {
                assert!(after.is_none_or(|after| after < next), "a page goes forward");
                after = Some(next);
            }
        }
    }
    panic!("the listing does not end");
}

fn query() -> impl Strategy<Value = ListQuery> {
    let orders = [
        UnitOrder::Number,
        UnitOrder::Created,
        UnitOrder::Changed,
        UnitOrder::UseCount,
        UnitOrder::LastUse,
    ];
    (0..orders.len(), any::<bool>(), proptest::option::of(0..AUTHORS.len())).prop_map(
        move |(order, descending, author)| ListQuery {
            filter: author.map(|it| by(AUTHORS[it])).unwrap_or_default(),
            order: orders[order],
            descending,
        },
    )
}

/// Creation, change, author and uses of a unit.
fn unit() -> impl Strategy<Value = (i64, i64, usize, Option<(u32, i64)>)> {
    let uses = proptest::option::of((1..4_u32, -3..3_i64));
    (-3..3_i64, -3..3_i64, 0..AUTHORS.len(), uses)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]

    #[test]
    fn listings_are_sorted_and_complete(
        units in proptest::collection::vec(unit(), 0..30),
        query in query(),
        size in 1..12_usize,
    ) {
        let engine = engine();
        for (created, changed, author, uses) in units {
            let content = UnitContent {
                author: AUTHORS[author].to_owned(),
                created: Some(Timestamp { micros: created }),
                changed: Some(Timestamp { micros: changed }),
                ..content("\u{628}\u{627}\u{628}", "door")
            };
            let unit = engine.create_units(&name(), vec![content], None, |_| String::new());
            let unit = unit.unwrap().remove(0).id;
            if let Some((count, time)) = uses {
                let time = Some(Timestamp { micros: time });
                engine.record_uses(&name(), vec![UnitUse { unit, count, time }], None).unwrap();
            }
        }
        let value = |unit: &Unit| match query.order {
            UnitOrder::Number => i64::try_from(unit.id.0).unwrap(),
            UnitOrder::Created => unit.content.created.unwrap().micros,
            UnitOrder::Changed => unit.content.changed.unwrap().micros,
            UnitOrder::UseCount => i64::try_from(unit.usage.count).unwrap(),
            UnitOrder::LastUse => unit.usage.last.map_or(-100, |it| it.micros),
        };
        let authors = &query.filter.author.any_of;
        let mut expected: Vec<Unit> = all(&engine)
            .into_values()
            .filter(|it| authors.is_empty() || authors.contains(&it.content.author))
            .collect();
        expected.sort_by_key(|it| if query.descending { -value(it) } else { value(it) });
        prop_assert_eq!(listed(&engine, &query, size, || ()), expected);
    }
}

#[test]
fn a_listing_ends_while_units_change_and_go() {
    let engine = engine();
    fill(&engine, 60);
    let mut dice = Dice(5);
    for order in [UnitOrder::Number, UnitOrder::Changed, UnitOrder::UseCount] {
        for descending in [false, true] {
            let query = ListQuery { order, descending, ..ListQuery::default() };
            let untouched: Vec<u64> = all(&engine).into_keys().filter(|id| id % 5 == 0).collect();
            let units = listed(&engine, &query, 7, || {
                let id = UnitId(1 + dice.below(60));
                if id.0.is_multiple_of(5) {
                    return;
                }
                let uses = vec![UnitUse { unit: id, count: 9, time: None }];
                let gone = engine.record_uses(&name(), uses, None).is_err();
                if !gone && dice.below(4) == 0 {
                    engine.delete_unit(&name(), id, None, None).unwrap();
                } else if !gone {
                    let patch = UnitPatch::default();
                    engine.update_unit(&name(), id, patch, None, None).unwrap();
                }
            });
            let seen = |id: &u64| units.iter().filter(|unit| unit.id.0 == *id).count();
            assert!(untouched.iter().all(|id| seen(id) == 1), "{order:?}: each untouched one once");
        }
    }
}

#[test]
fn a_history_has_each_content_once_and_a_rollback_brings_one_back() {
    let store = Arc::<InMemoryStore>::default();
    let engine = open(&store);
    create_memory(&engine, &name());
    let contents = vec![content("\u{628}\u{627}\u{628}", "one")];
    let saved =
        engine.save_units(&name(), contents, DuplicatePolicy::default(), None, |_| String::new());
    let id = saved.unwrap()[0].unit.id;
    let used = || {
        let uses = vec![UnitUse { unit: id, count: 1, time: None }];
        engine.record_uses(&name(), uses, None).unwrap();
    };
    let set = |text: &str| {
        let target = Some(Segment::plain(text).into());
        let patch = UnitPatch { target, ..UnitPatch::default() };
        engine.update_unit(&name(), id, patch, None, None).unwrap();
    };
    used(); // 2
    set("two"); // 3
    used(); // 4
    used(); // 5
    set("three"); // 6
    let history = |size: usize| {
        let (mut units, mut before) = (Vec::new(), None);
        loop {
            let cancel = Cancel::default();
            let page = engine.unit_revisions(&name(), id, before, size, &cancel).unwrap();
            units.extend(page.units);
            before = page.before;
            if before.is_none() {
                return units;
            }
        }
    };
    let seen = |units: &[Unit]| -> Vec<(u64, String, u64)> {
        let seen = |it: &Unit| (it.revision, it.content.target.text.clone(), it.usage.count);
        units.iter().map(seen).collect()
    };
    let at = |revision, text: &str, uses| (revision, text.to_owned(), uses);
    let expected = vec![at(6, "three", 3), at(3, "two", 1), at(1, "one", 0)];
    for size in 1..5 {
        assert_eq!(seen(&history(size)), expected);
    }
    let request = Some(RequestKey([1; 16]));
    let back = engine.rollback_unit(&name(), id, 1, None, request).unwrap();
    assert_eq!(seen(std::slice::from_ref(&back)), [at(7, "one", 3)]);
    assert!(back.content.changed > history(1)[1].content.changed, "it was changed now");
    for revision in [0, 8, 99] {
        let error = engine.rollback_unit(&name(), id, revision, None, None).unwrap_err();
        assert!(matches!(error, EngineError::NoRevision(..)), "{error}");
    }
    let error = engine.rollback_unit(&name(), UnitId(9), 1, None, None).unwrap_err();
    assert!(matches!(error, EngineError::NoUnit(..)), "{error}");
    // After a restart without the old log, what is left is listed, and the first answer stays.
    set("four");
    store.truncate_log(Retention { keep_from: FUTURE }).unwrap();
    assert_eq!(engine.rollback_unit(&name(), id, 1, None, request).unwrap(), back);
    let other = engine.rollback_unit(&name(), id, 3, None, request).unwrap_err();
    assert!(matches!(other, EngineError::RequestReused(_)), "{other}");
    assert_eq!(history(10)[0].content.target.text, "four");
}
