//! `v2`: a store and a backup with used units and memories with penalties, of the version before contexts had targets and ids.
//!
//! Written by the engine of that version, requests included: `DHAKIRA_WRITE_STORE=DIR cargo test the_second_version_is_written`.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use dhakira::engine::backup::{self, Target};
use dhakira::engine::{
    Cancel, Engine, Explain, LookupSettings, MemoryChoice, MemoryPatch, NewMemory, QuerySegment,
    UnitFilter, UnitPatch, UnitUse, context_hash,
};
use dhakira::matching::MatchKind;
use dhakira::store::{RequestKey, Sequence};
use dhakira::unit::{
    Confidence, Context, ContextMode, MemoryName, PenaltyCondition, PenaltyRule, Score, Scoring,
    Segment, Unit, UnitContent, UnitId,
};

use crate::support::all_units;

use super::{STORES, at, long_unit, open, pack, rich_unit, unpack};
use crate::upkeep::{add_part, findings};

/// The neighbours of the first unit.
const BEFORE: &str = "\u{645}\u{644}\u{641}";
const AFTER: &str = "\u{62e}\u{631}\u{648}\u{62c}";

fn name(name: &str) -> MemoryName {
    name.parse().unwrap()
}

fn request(number: u8) -> RequestKey {
    RequestKey([number; 16])
}

fn rules() -> Vec<PenaltyRule> {
    let rule =
        |points, condition| PenaltyRule { points: Score::from_points(points).unwrap(), condition };
    let value = Some("x".to_owned());
    vec![
        rule(1.5, PenaltyCondition::Author("sara".to_owned())),
        rule(2.0, PenaltyCondition::Attribute { name: "client".to_owned(), value }),
        rule(0.25, PenaltyCondition::OlderThan(Duration::from_secs(86_400))),
        rule(9.0, PenaltyCondition::ConfidenceBelow(Confidence::new(0.5).unwrap())),
        rule(5.0, PenaltyCondition::MachineTranslated),
        rule(3.0, PenaltyCondition::Unfinished { state: None }),
    ]
}

/// A memory with every setting.
fn news() -> NewMemory {
    NewMemory {
        display_name: "News".to_owned(),
        description: "kept for ever".to_owned(),
        unfinished_penalty: Some(Score::from_points(4.0).unwrap()),
        scoring: Scoring {
            default_penalty: Score::from_points(1.0).unwrap(),
            penalty_rules: rules(),
            ..Scoring::default()
        },
        ..NewMemory::new(name("news"), "ar".parse().unwrap(), "en".parse().unwrap())
    }
}

fn plain() -> NewMemory {
    NewMemory::new(name("plain"), "ar".parse().unwrap(), "en".parse().unwrap())
}

fn attributes<const N: usize>(
    pairs: [(&str, &str); N],
) -> std::collections::BTreeMap<String, String> {
    pairs.map(|(name, value)| (name.to_owned(), value.to_owned())).into()
}

/// The units of the memory `news`, as created.
fn contents() -> Vec<UnitContent> {
    let content = |source: &str, target: &str| UnitContent {
        source: Segment::plain(source),
        target: Segment::plain(target),
        ..UnitContent::default()
    };
    let mut with_neighbours = content("\u{62d}\u{641}\u{638}", "Save");
    let hash = |text| Some(context_hash(text));
    with_neighbours.context.previous = hash(BEFORE);
    with_neighbours.context.next = hash(AFTER);
    let mut with_key = content("\u{62e}\u{631}\u{648}\u{62c}", "Exit");
    with_key.attributes = attributes([("msgctxt", "menu"), ("unfinished", "fuzzy")]);
    let mut of_xliff = content("\u{645}\u{644}\u{641}", "File");
    of_xliff.attributes =
        attributes([("resname", "dialog.file"), ("alignment-confidence", "0.25")]);
    of_xliff.author = "MT!".to_owned();
    let mut rich = rich_unit().content;
    rich.created = Some(at(2_000));
    rich.changed = Some(at(2_001));
    let unused = content("\u{625}\u{644}\u{63a}\u{627}\u{621}", "Cancel");
    vec![with_neighbours, rich, with_key, of_xliff, long_unit().content, unused]
}

fn uses() -> Vec<UnitUse> {
    let time = Some(at(5_000_000));
    vec![
        UnitUse { unit: UnitId(1), count: 3, time },
        UnitUse { unit: UnitId(2), count: 1, time },
        UnitUse { unit: UnitId(5), count: u32::MAX, time: None },
    ]
}

fn new_target() -> UnitPatch {
    UnitPatch { target: Some(Segment::plain("Save it").into()), ..UnitPatch::default() }
}

fn open_engine(directory: &Path) -> Engine {
    Engine::open(Arc::new(open(directory)), None, &mut |_| ()).unwrap()
}

#[test]
fn the_second_version_is_written() {
    let Some(packed) = std::env::var_os("DHAKIRA_WRITE_STORE") else { return };
    let directory = tempfile::tempdir().unwrap();
    let (data, saved) = (directory.path().join("data"), directory.path().join("backup"));
    let engine = open_engine(&data);
    engine.create_memory(plain(), None).unwrap();
    engine.create_memory(news(), Some(request(1))).unwrap();
    engine.create_units(&name("news"), contents(), Some(request(2)), |_| String::new()).unwrap();
    engine.create_units(&name("plain"), contents()[..1].to_vec(), None, |_| String::new()).unwrap();
    add_part(&engine, &saved, false).unwrap();
    engine.record_uses(&name("news"), uses(), Some(request(3))).unwrap();
    engine.update_unit(&name("news"), UnitId(1), new_target(), None, Some(request(4))).unwrap();
    let one = vec![UnitUse { unit: UnitId(1), count: 1, time: Some(at(6_000_000)) }];
    engine.record_uses(&name("news"), one, None).unwrap();
    engine.delete_unit(&name("news"), UnitId(6), None, Some(request(5))).unwrap();
    let unfinished_penalty = Some(Some(Score::from_points(7.0).unwrap()));
    let patch = MemoryPatch { unfinished_penalty, ..MemoryPatch::default() };
    engine.update_memory(&name("plain"), patch, None, Some(request(6))).unwrap();
    let default_penalty = Some(Score::from_points(2.0).unwrap());
    let patch = MemoryPatch { default_penalty, ..MemoryPatch::default() };
    engine.update_memory(&name("news"), patch, None, Some(request(7))).unwrap();
    // The commits since the first part, then everything in one part.
    add_part(&engine, &saved, false).unwrap();
    add_part(&engine, &saved, true).unwrap();
    drop(engine);
    let packed = Path::new(&packed);
    pack(&data, &packed.join("store"));
    pack(&saved, &packed.join("backup"));
}

/// What the memories hold in the end.
fn assert_whole(engine: &Engine) {
    let memories = engine.memories(None, 10);
    let settings: Vec<_> = memories
        .iter()
        .map(|it| (it.name.as_str(), it.unfinished_penalty.map(Score::points), it.scoring.clone()))
        .collect();
    let scoring = Scoring {
        default_penalty: Score::from_points(2.0).unwrap(),
        penalty_rules: rules(),
        ..Scoring::default()
    };
    assert_eq!(settings, [("news", Some(4.0), scoring), ("plain", Some(7.0), Scoring::default())]);
    assert_eq!((memories[0].revision, memories[0].unit_count), (2, 5));
    assert_eq!(memories[0].description, "kept for ever");
    let mut expected = contents();
    expected.pop();
    expected[0].target = Segment::plain("Save it");
    let units = all_units(engine, &name("news"));
    let held: Vec<UnitContent> = units.iter().map(without_times).collect();
    let expected: Vec<_> = expected
        .into_iter()
        .map(|mut it| {
            (it.created, it.changed) = (None, None);
            it
        })
        .collect();
    assert_eq!(held, expected);
    let usage = |unit: &Unit| (unit.revision, unit.usage.count, unit.usage.revisions);
    let usages: Vec<_> = units.iter().map(usage).collect();
    assert_eq!(usages, [(4, 4, 2), (2, 1, 1), (1, 0, 0), (1, 0, 0), (2, u64::from(u32::MAX), 1)]);
    assert_eq!(units[0].usage.last, Some(at(6_000_000)));
    assert_eq!(units[1].content.changed, Some(at(2_001)));
    let [plain] = &all_units(engine, &name("plain"))[..] else { panic!("one unit") };
    assert_eq!(
        without_times(plain),
        without_times(&Unit::new(UnitId(1), 1, contents().swap_remove(0)))
    );
    assert_eq!(findings(engine), []);
}

fn without_times(unit: &Unit) -> UnitContent {
    UnitContent { created: None, changed: None, ..unit.content.clone() }
}

/// Opens a store, checks what it holds, and changes what this version added.
fn assert_is_read(data: &Path) {
    let engine = open_engine(data);
    assert_whole(&engine);
    assert_contexts_match(&engine, MatchKind::Context);
    let context = Context {
        previous: Some(context_hash(BEFORE)),
        previous_target: Some(context_hash("File")),
        ..Context::default()
    };
    let patch = UnitPatch {
        context: Some(context),
        context_id: Some("menu.save".to_owned()),
        ..UnitPatch::default()
    };
    let changed = engine.update_unit(&name("news"), UnitId(1), patch, None, None).unwrap();
    assert_eq!((changed.revision, changed.usage.count), (5, 4));
    let patch = MemoryPatch { context_mode: Some(ContextMode::Double), ..MemoryPatch::default() };
    let memory = engine.update_memory(&name("news"), patch, None, None).unwrap();
    drop(engine);
    let engine = open_engine(data);
    assert_eq!(engine.unit(&name("news"), UnitId(1)).unwrap(), changed);
    assert_eq!(engine.memory(&name("news")).unwrap(), memory);
    assert_eq!(findings(&engine), []);
    // The unit has no next neighbour any more, and an id that the query lacks.
    assert_contexts_match(&engine, MatchKind::Exact);
}

/// The recorded requests are repeated with their first answers, and are not carried out again.
fn assert_repeats(engine: &Engine) {
    let before = *engine.watch_sequence().borrow();
    let memory = engine.create_memory(news(), Some(request(1))).unwrap();
    assert_eq!((memory.revision, memory.scoring), (1, news().scoring));
    let news = name("news");
    // One of the units is deleted, but the revision that was answered is still there.
    let units = engine.create_units(&news, contents(), Some(request(2)), |_| String::new());
    assert_eq!(units.unwrap().len(), contents().len());
    let used = engine.record_uses(&news, uses(), Some(request(3))).unwrap();
    assert_eq!(used.iter().map(|unit| unit.usage.count).sum::<u64>(), 4 + u64::from(u32::MAX));
    let updated = engine.update_unit(&news, UnitId(1), new_target(), None, Some(request(4)));
    assert_eq!(updated.unwrap().revision, 3);
    engine.delete_unit(&news, UnitId(6), None, Some(request(5))).unwrap();
    assert_eq!(*engine.watch_sequence().borrow(), before);
    // With another content they are refused.
    let mut double = self::news();
    double.scoring.context_mode = ContextMode::Double;
    assert!(engine.create_memory(double, Some(request(1))).is_err());
    let mut others = contents();
    others[0].context_id = "menu".to_owned();
    let others = engine.create_units(&news, others, Some(request(2)), |_| String::new());
    assert!(others.is_err());
}

/// Looks up the first unit between its neighbours, and the one with `msgctxt` by its id.
fn assert_contexts_match(engine: &Engine, with_neighbours: MatchKind) {
    let settings = LookupSettings {
        memories: vec![MemoryChoice { memory: name("news"), penalty: None }],
        min_score: Score::ZERO,
        max_matches: 1,
        exhaustive: false,
        filter: UnitFilter::default(),
        penalty_rules: Vec::new(),
        explain: Explain::default(),
    };
    let context = Context {
        previous: Some(context_hash(BEFORE)),
        next: Some(context_hash(AFTER)),
        ..Context::default()
    };
    let queries = [
        QuerySegment { context, ..QuerySegment::new(contents()[0].source.clone()) },
        QuerySegment {
            context_id: "menu".to_owned(),
            ..QuerySegment::new(contents()[2].source.clone())
        },
        QuerySegment {
            context_id: "dialog.file".to_owned(),
            ..QuerySegment::new(contents()[3].source.clone())
        },
    ];
    let found = engine.lookup(&settings, &queries, &Cancel::default()).unwrap();
    let found: Vec<_> = found.iter().map(|it| (it[0].unit.id.0, it[0].kind)).collect();
    let context = MatchKind::Context;
    let double = engine.memory(&name("news")).unwrap().scoring.context_mode == ContextMode::Double;
    let by_id = if double { MatchKind::DoubleContext } else { context };
    assert_eq!(found, [(1, with_neighbours), (3, by_id), (4, by_id)]);
}

#[test]
fn a_store_of_the_second_version_is_read() {
    let directory = unpack(&Path::new(STORES).join("v2"));
    let data = directory.path().join("store");
    assert_repeats(&open_engine(&data));
    assert_is_read(&data);
}

#[test]
fn a_backup_of_the_second_version_is_restored() {
    let directory = unpack(&Path::new(STORES).join("v2"));
    let saved = directory.path().join("backup");
    let reach = backup::verify(&saved, &|_| ()).unwrap().reach.unwrap();
    // The end from its full part; a commit before, from the first part and commits.
    let target = directory.path().join("latest");
    backup::restore(&saved, &target, Target::Latest, &|_| ()).unwrap();
    assert_is_read(&target);
    let before = Target::Sequence(Sequence(reach.1.sequence.0 - 1));
    let target = directory.path().join("before");
    backup::restore(&saved, &target, before, &|_| ()).unwrap();
    let engine = open_engine(&target);
    assert_eq!(engine.memory(&name("news")).unwrap().scoring, news().scoring);
    let usage = engine.unit(&name("news"), UnitId(1)).unwrap().usage;
    assert_eq!((usage.count, usage.last), (4, Some(at(6_000_000))));
    // Both versions in one backup.
    let engine = open_engine(&directory.path().join("store"));
    let patch = MemoryPatch { context_mode: Some(ContextMode::Double), ..MemoryPatch::default() };
    let memory = engine.update_memory(&name("plain"), patch, None, None).unwrap();
    let content = UnitContent { context_id: "menu".to_owned(), ..contents().swap_remove(0) };
    engine.create_units(&name("plain"), vec![content], None, |_| String::new()).unwrap();
    let units = all_units(&engine, &name("plain"));
    for (full, place) in [(false, "commits"), (true, "full")] {
        add_part(&engine, &saved, full).unwrap();
        let target = directory.path().join(place);
        backup::restore(&saved, &target, Target::Latest, &|_| ()).unwrap();
        let restored = open_engine(&target);
        assert_eq!(restored.memory(&name("plain")).unwrap().scoring, memory.scoring, "{place}");
        assert_eq!(all_units(&restored, &name("plain")), units, "{place}");
    }
}
