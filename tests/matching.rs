//! Is the score what the contract says, and does every way of searching find the same? Laws, and models with random data.

mod adapted;
mod expressions;
mod merged;
mod naive;
mod parts;
mod penalized;
mod sealed;
pub(crate) mod world;

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};

use dhakira::matching::{
    ArrayReader, ArrayWriter, ComparedText, Filter, Form, Hit, Identity, IndexChange, MatchKind,
    MemoryIndex, Options, Query, Reason, compare,
};
use dhakira::unit::{Score, Timestamp, UnitId};
use proptest::prelude::*;

use naive::{Side, Verdict, class_distance, distance, judge};
use penalized::{Rules, penalized};
use world::{Stored, Text, World, source_hash};

/// A memory as it should be.
type Model = BTreeMap<UnitId, Stored>;

fn query_of(side: &Side) -> Query {
    Query::new(&side.analysis, side.tags, side.context)
}

fn kind_number(kind: MatchKind) -> u8 {
    match kind {
        MatchKind::DoubleContext | MatchKind::Context => 0,
        MatchKind::Exact => 1,
        MatchKind::Fuzzy => 2,
    }
}

fn passes(stored: &Stored, filter: &Filter<'_>) -> bool {
    let facts = &stored.entry.facts;
    filter.documents.is_none_or(|names| names.contains(&facts.document))
        && filter.other_documents.is_none_or(|names| !names.contains(&facts.document))
        && filter.authors.is_none_or(|names| names.contains(&facts.author))
        && filter.other_authors.is_none_or(|names| !names.contains(&facts.author))
        && filter.changed_from.is_none_or(|from| facts.changed >= from)
        && filter.changed_before.is_none_or(|before| facts.changed < before)
        && filter.accept.is_none_or(|accept| accept(stored.entry.unit))
}

/// The answer by the contract: every unit judged from its text, sorted, cut.
fn expected(model: &Model, query: &Side, options: &Options<'_>) -> Vec<(UnitId, Verdict)> {
    let ranked = ranked(model, query, options).into_iter();
    ranked.map(|(unit, verdict, _)| (unit, verdict)).collect()
}

/// The same with the total of penalties.
fn ranked(model: &Model, query: &Side, options: &Options<'_>) -> Vec<(UnitId, Verdict, u32)> {
    let mut all: Vec<_> = model
        .iter()
        .filter(|(_, stored)| passes(stored, &options.filter))
        .filter_map(|(&unit, stored)| {
            let verdict = judge(query, (&stored.side, false), 0)?;
            let (verdict, penalty) = penalized(verdict, stored, options)?;
            Some((unit, verdict, penalty))
        })
        .filter(|(_, verdict, _)| verdict.score >= options.min_score.hundredths())
        .collect();
    all.sort_by_key(|(unit, verdict, penalty)| {
        let changed = Reverse(model[unit].entry.facts.changed);
        (verdict.kind, Reverse(verdict.score), *penalty, changed, *unit)
    });
    // A pair is answered once, by the best of its units.
    let mut pairs = BTreeSet::new();
    all.retain(|(unit, ..)| {
        let facts = &model[unit].entry.facts;
        pairs.insert((facts.source_hash, facts.content_hash.with_key(None)))
    });
    all.truncate(options.limit);
    all
}

fn as_verdict(hit: &Hit) -> (UnitId, Verdict) {
    let score = hit.score.hundredths();
    (
        hit.unit,
        Verdict { score, kind: kind_number(hit.kind), points: hit.deductions.iter().collect() },
    )
}

/// Every way of searching must answer what the contract says.
fn check(index: &MemoryIndex, model: &Model, query: &Side, options: &Options<'_>) {
    let truth = expected(model, query, options);
    let asked = query_of(query);
    let scanned: Vec<_> = index.scan(&asked, options).unwrap().iter().map(as_verdict).collect();
    assert_eq!(scanned, truth, "scan for {:?}", query.analysis.canonical());
    let found: Vec<_> = index.search(&asked, options).unwrap().iter().map(as_verdict).collect();
    assert_eq!(found, truth, "search for {:?}", query.analysis.canonical());
}

/// Changes index and model alike by one random batch.
fn change(world: &mut World, index: &MemoryIndex, model: &mut Model, units: u64, longest: usize) {
    let mut changes = Vec::new();
    for _ in 0..world.rng.below(30) {
        let unit = UnitId(1 + world.rng.next() % units);
        if world.rng.chance(25) {
            model.remove(&unit);
            changes.push(IndexChange::Remove(unit));
            continue;
        }
        let copied = model
            .values()
            .nth(world.rng.below(model.len().max(1)))
            .map(|stored| stored.text.clone());
        let text = match copied {
            Some(text) if world.rng.chance(70) => world.edited(&text, 4),
            _ => {
                let words = world.rng.below(longest);
                world.text(words)
            }
        };
        let stored = world.stored(unit, text);
        changes.push(IndexChange::Put(stored.entry.clone()));
        model.insert(unit, stored);
    }
    index.apply(&changes);
}

/// A query that is near to something stored, or not.
fn some_query(world: &mut World, model: &Model) -> Side {
    let stored =
        model.values().nth(world.rng.below(model.len().max(1))).map(|stored| stored.text.clone());
    let text = match stored {
        Some(text) if world.rng.chance(85) => world.edited(&text, 3),
        _ => {
            let words = world.rng.below(12);
            world.text(words)
        }
    };
    world.side(&text)
}

/// Asks with thresholds, limits, penalties and filters of all sorts.
fn check_many_options(world: &mut World, index: &MemoryIndex, model: &Model, query: &Side) {
    let documents = BTreeSet::from(["d1".to_owned(), "d2".to_owned(), "nowhere".to_owned()]);
    let authors = BTreeSet::from(["a1".to_owned()]);
    let odd = |unit: UnitId| unit.0 % 2 == 1;
    for points in [100.0, 99.0, 85.5, 80.0, 70.0, 60.0, 50.0, 30.0, 0.0] {
        let limit = *world.rng.pick(&[1, 2, 5, 20, usize::MAX]);
        let penalty = *world.rng.pick(&[0, 0, 0, 100, 250, 4_000, 10_000]);
        let mut filter = Filter::default();
        match world.rng.below(10) {
            0 => filter.documents = Some(&documents),
            1 => filter.authors = Some(&authors),
            5 => filter.other_documents = Some(&documents),
            6 => (filter.other_authors, filter.documents) = (Some(&authors), Some(&documents)),
            2 => filter.changed_from = Some(Timestamp { micros: 2 }),
            3 => filter.changed_before = Some(Timestamp { micros: 2 }),
            4 => filter.accept = Some(&odd),
            _ => {}
        }
        let min_score = Score::from_points(points).unwrap();
        let rules = match world.rng.below(2) {
            0 => Rules::default(),
            _ => Rules::random(&mut world.rng),
        };
        let of_unit = |unit: UnitId| rules.of_unit(unit);
        let penalties = rules.for_search(&of_unit);
        let options =
            Options { min_score, limit, penalty, penalties, filter, ..Options::default() };
        check(index, model, query, &options);
    }
}

fn check_exact(index: &MemoryIndex, model: &Model) {
    let mut by_hash: BTreeMap<u64, Vec<(UnitId, Identity)>> = BTreeMap::new();
    for (&unit, stored) in model {
        let hash = source_hash(&stored.side);
        by_hash.entry(hash).or_default().push((unit, stored.entry.facts.identity()));
    }
    assert_eq!(index.len(), model.len());
    for (hash, units) in by_hash {
        assert_eq!(index.same_source(hash).unwrap().all(), units);
        assert!(units.iter().all(|&(unit, it)| index.holds(unit, it)));
        assert!(!index.holds(UnitId(units[0].0.0 + 1_000_000), units[0].1));
    }
    assert_eq!(index.same_source(12345).map_or(0, |it| it.all().len()), 0);
}

/// Two texts, the second often an edited copy of the first.
fn two_sides(world: &mut World) -> (Side, Side) {
    let words = world.rng.below(14);
    let first = world.text(words);
    let second = if world.rng.chance(80) {
        world.edited(&first, 5)
    } else {
        let words = world.rng.below(14);
        world.text(words)
    };
    (world.side(&first), world.side(&second))
}

/// The hit of a memory that holds only `source`.
fn hit_of(query: &Side, source: &Side, penalty: u16) -> Option<Hit> {
    let mut stored = World::new(0).stored(UnitId(1), Text::default());
    stored.entry.form = Form::new(&source.analysis, source.tags);
    stored.entry.facts.context = source.context;
    stored.entry.facts.unfinished = false;
    let index = MemoryIndex::new();
    index.apply(&[IndexChange::Put(stored.entry)]);
    let options = Options { min_score: Score::ZERO, penalty, ..Options::default() };
    index.scan(&query_of(query), &options).unwrap().first().copied()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn scores_obey_their_laws(seed: u64) {
        let mut world = World::new(seed);
        let (a, b) = two_sides(&mut world);
        let penalty = *world.rng.pick(&[0, 100, 3_000]);
        let hit = hit_of(&a, &b, penalty);

        prop_assert_eq!(hit.map(|hit| as_verdict(&hit).1), judge(&a, (&b, false), penalty));
        prop_assert_eq!(distance(&a.analysis, &b.analysis), distance(&b.analysis, &a.analysis));
        prop_assert!(distance(&a.analysis, &b.analysis) >= 1000 * class_distance(&a.analysis, &b.analysis)
            || distance(&a.analysis, &b.analysis) >= class_distance(&a.analysis, &b.analysis));
        let own = hit_of(&a, &a, 0).unwrap();
        prop_assert_eq!(own.score, Score::FULL);
        prop_assert_eq!(own.kind == MatchKind::Context, a.context.previous.or(a.context.next).is_some());
        let Some(hit) = hit else { return Ok(()) };
        let points: u16 = hit.deductions.iter().map(|(_, points)| points).sum();
        prop_assert_eq!(points + hit.score.hundredths(), 10_000);
        let same = a.analysis.canonical() == b.analysis.canonical() && a.tags == b.tags;
        prop_assert_eq!(hit.kind != MatchKind::Fuzzy, same);
        prop_assert_eq!(hit.deductions.score() == Score::FULL, same && penalty == 0);
        if let Some(back) = hit_of(&b, &a, penalty) {
            prop_assert_eq!(back.deductions.hundredths(Reason::Edited), hit.deductions.hundredths(Reason::Edited));
        }
        if hit.deductions.hundredths(Reason::Edited) == 0 && penalty == 0 && a.tags == b.tags {
            let markup = hit.deductions.hundredths(Reason::Markup);
            prop_assert!(hit.score.hundredths() + markup >= 9_700);
        }
    }

    #[test]
    fn edits_tell_what_differs_and_where(seed: u64) {
        let mut world = World::new(seed);
        let (a, b) = two_sides(&mut world);
        let (text_a, text_b) = (a.analysis.canonical(), b.analysis.canonical());
        let comparison = compare(&ComparedText::new(&a.analysis), &ComparedText::new(&b.analysis), &|| false).unwrap();
        prop_assert_eq!(comparison.edits.is_empty() , text_a == text_b);
        let (mut end_a, mut end_b) = (0, 0);
        for edit in &comparison.edits {
            prop_assert!(edit.query.start >= end_a && edit.source.start >= end_b);
            prop_assert!(edit.query.end >= edit.query.start && edit.source.end >= edit.source.start);
            (end_a, end_b) = (edit.query.end, edit.source.end);
        }
        prop_assert_eq!(comparison.pairs.len(), b.analysis.words().count());
        let edited = comparison.edited_source_tokens.len();
        prop_assert_eq!(distance(&a.analysis, &b.analysis) == 0, edited == 0 && comparison.pairs.iter().flatten().count() == a.analysis.words().count());
    }
}

/// An index of the whole model, sealed at once.
fn loaded(model: &Model) -> MemoryIndex {
    let index = MemoryIndex::new();
    let entries: Vec<_> = model.values().map(|stored| stored.entry.clone()).collect();
    let mut loader = index.loader();
    for some in entries.chunks(7) {
        let mut encoder = loader.encoder();
        let encoded: Vec<_> = some.iter().map(|entry| encoder.encode(entry)).collect();
        drop(encoder);
        loader.add(encoded);
    }
    loader.finish();
    index
}

fn written_and_read(index: &MemoryIndex) -> MemoryIndex {
    let mut out = ArrayWriter::new(Vec::new());
    index.freeze().write(&mut out).unwrap();
    let bytes = out.finish().unwrap();
    MemoryIndex::read(ArrayReader::new(bytes.as_slice(), bytes.len() as u64)).unwrap()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn small_memories_answer_by_the_contract(seed: u64) {
        let mut world = World::new(seed);
        let (mut index, mut model) = (MemoryIndex::new(), Model::new());
        let longest = *world.rng.pick(&[3, 8, 14, 40, 90]);
        for round in 0..12 {
            if round == 6 {
                // From here on most segments are sealed, and changes take some of them out again.
                index = loaded(&model);
            }
            if round == 9 {
                // And from here on everything has been in a file.
                index = written_and_read(&index);
            }
            change(&mut world, &index, &mut model, 150, longest);
            for _ in 0..2 {
                let query = some_query(&mut world, &model);
                check_many_options(&mut world, &index, &model, &query);
            }
        }
        check_exact(&index, &model);
    }
}

/// Numbers, codes and links alone match what has the same values, however written, and nothing else.
#[test]
fn segments_without_words_match_exactly_or_not_at_all() {
    let analyzer = dhakira::text::Analyzer::new(&"ar".parse().unwrap());
    let side = |text: &str| Side {
        analysis: analyzer.analyze(text),
        tags: 0,
        context: dhakira::unit::Context::default(),
    };
    for (query, source, score) in [
        ("1,250", "1,250", Some(10_000)),
        ("1,250", "1250", Some(9_900)),
        ("1,250", "\u{661}\u{66c}\u{662}\u{665}\u{660}", Some(9_900)),
        ("(1,250)", "1,250", Some(9_900)),
        ("1,250", "1,251", None),
        ("2.1", "2.10", None),
        ("1 2 3 4 5 6 7 8 9 10 11 12", "1 2 3 4 5 6 7 8 9 10 11 13", None),
        ("AB-1234", "AB-1235", None),
        ("AB-1234", "AB-1234", Some(10_000)),
        ("https://example.org/long/a", "https://example.org/long/b", None),
        ("{0}: %s", "{1}: %s", None),
        ("10 kg", "20 kg", None),
        ("$5", "$7", None),
    ] {
        let (query, source) = (side(query), side(source));
        let found = hit_of(&query, &source, 0).map(|hit| hit.score.hundredths());
        assert_eq!(found, score, "{}", query.analysis.canonical());
        assert_eq!(judge(&query, (&source, false), 0).map(|verdict| verdict.score), score);
    }
}

#[test]
fn the_markup_of_the_query_wins() {
    let analyzer = dhakira::text::Analyzer::new(&"en".parse().unwrap());
    let side = |text: &str| Side {
        analysis: analyzer.analyze(text),
        tags: 0,
        context: dhakira::unit::Context::default(),
    };
    let query = side("Press **Save** to keep \"all\" changes (now).");
    let score = |source: &str| {
        let source = side(source);
        let hit = as_verdict(&hit_of(&query, &source, 0).unwrap()).1;
        assert_eq!(Some(&hit), judge(&query, (&source, false), 0).as_ref());
        hit
    };
    for (with, without) in [
        (
            "Press **Save** to keep \"all\" changes (now).",
            "Press Save to keep \"all\" changes (now).",
        ),
        ("Press **Save** to keep all changes (now).", "Press Save to keep \"all\" changes (now)."),
        ("Press **Save** to keep all changes (now).", "Press Save to keep all changes (now)."),
        // Three other differences, which is as many as count.
        ("press **Save** to keep all changes(now).", "press Save to keep all changes(now)."),
        ("Press **Save** to keep some changes (now).", "Press Save to keep some changes (now)."),
    ] {
        assert!(score(with).score > score(without).score, "{with} {without}");
    }
    assert_eq!(score("Press Save to keep \"all\" changes (now).").points, [(Reason::Markup, 200)]);
    assert_eq!(
        score("Press **Save** to keep all changes (now).").points,
        [(Reason::Punctuation, 100)]
    );
}

#[test]
fn a_cancelled_search_has_no_answer() {
    let mut world = World::new(3);
    let (index, mut model) = (MemoryIndex::new(), Model::new());
    change(&mut world, &index, &mut model, 60, 8);
    let query = some_query(&mut world, &model);
    let options = Options { cancelled: &|| true, ..Options::default() };
    assert!(index.scan(&query_of(&query), &options).is_err());
    assert!(index.search(&query_of(&query), &options).is_err());
    assert!(loaded(&model).search(&query_of(&query), &options).is_err());
}

#[test]
fn long_segments_are_compared_whole() {
    let mut world = World::new(11);
    let (index, mut model) = (MemoryIndex::new(), Model::new());
    let text = world.text(4_200);
    let copy = world.edited(&text, 400);
    let stored = world.stored(UnitId(1), copy);
    index.apply(&[IndexChange::Put(stored.entry.clone())]);
    model.insert(UnitId(1), stored);
    let query = world.side(&text);
    let options = Options { min_score: Score::from_points(60.0).unwrap(), ..Options::default() };
    check(&index, &model, &query, &options);
    assert_eq!(expected(&model, &query, &options).len(), 1);
}
