//! Do sealed, merged and written sets of the index answer as what was put in, and is damage of a written one seen?

use dhakira::matching::{ArrayReader, ArrayWriter, IndexChange, MemoryIndex, Options};
use dhakira::unit::{Score, UnitId};

use super::naive::Side;
use super::world::{Text, World};
use super::{Model, change, check, check_exact, loaded, query_of, some_query, written_and_read};

#[test]
fn no_damage_of_a_written_index_goes_unseen() {
    let mut world = World::new(5);
    let (index, mut model) = (MemoryIndex::new(), Model::new());
    for _ in 0..4 {
        change(&mut world, &index, &mut model, 60, 8);
    }
    let mut out = ArrayWriter::new(Vec::new());
    loaded(&model).freeze().write(&mut out).unwrap();
    let bytes = out.finish().unwrap();
    let read = |bytes: &[u8]| MemoryIndex::read(ArrayReader::new(bytes, bytes.len() as u64));
    assert_eq!(read(&bytes).unwrap().len(), model.len());
    for _ in 0..400 {
        let mut damaged = bytes.clone();
        let place = world.rng.below(bytes.len());
        damaged[place] ^= 1 << world.rng.below(8);
        assert!(read(&damaged).is_err(), "byte {place}");
        assert!(read(&bytes[..place]).is_err(), "cut at {place}");
    }
}

/// Large groups of new units, as imports bring them, while others go: whatever a thread is sealing or merging meanwhile, each
/// unit that is there is there once, and each that is gone is gone.
#[test]
fn nothing_comes_back_and_nothing_is_lost_while_sets_are_sealed() {
    for seed in 1..4 {
        let mut world = World::new(seed);
        let (index, mut model) = (MemoryIndex::new(), Model::new());
        let mut next = 1;
        for round in 0..24 {
            let mut changes = Vec::new();
            for _ in 0..*world.rng.pick(&[3, 40, 300, 900]) {
                let words = world.rng.below(6);
                let text = world.text(words);
                let stored = world.stored(UnitId(next), text);
                let Side { analysis, tags, .. } = &stored.side;
                let mut encoder = index.encoder();
                let facts = &stored.entry.facts;
                let target = encoder.words(&stored.target, dhakira::matching::Side::Target);
                let names = [facts.document.as_str(), facts.author.as_str()];
                let entry = encoder.encode_scanned((analysis, *tags), target, facts, names);
                changes.push(IndexChange::PutEncoded(entry.at(
                    UnitId(next),
                    facts.revision,
                    facts.changed,
                )));
                model.insert(UnitId(next), stored);
                next += 1;
            }
            if world.rng.chance(50) {
                index.apply_in_bulk(&changes);
            } else {
                index.apply(&changes);
            }
            // Sometimes all of what came last, and much of what came before.
            let gone = if round % 3 == 2 { 95 } else { 5 };
            let from = next.saturating_sub(1_500);
            let removed: Vec<UnitId> =
                model.keys().copied().filter(|it| it.0 >= from && world.rng.chance(gone)).collect();
            for unit in &removed {
                model.remove(unit);
            }
            index.apply(&removed.into_iter().map(IndexChange::Remove).collect::<Vec<_>>());
            assert_eq!(index.len(), model.len(), "seed {seed}, round {round}");
        }
        check_exact(&index, &model);
        let read = written_and_read(&index);
        check_exact(&read, &model);
        index.settle();
        for index in [&index, &read] {
            check_exact(index, &model);
            for _ in 0..10 {
                let query = some_query(&mut world, &model);
                check(index, &model, &query, &Options { limit: 7, ..Options::default() });
            }
        }
    }
}

/// Many segments, so that sets are sealed and merged while units are changed and taken out; the scan is the judge.
#[test]
fn sealed_and_merged_sets_answer_as_the_scan() {
    for (seed, longest, units) in [(1, 6, 9_000), (2, 16, 6_000), (3, 120, 1_500)] {
        let mut world = World::new(seed);
        let (index, mut texts) = (MemoryIndex::new(), Vec::<Text>::new());
        let mut stored = 0;
        while stored < units {
            let mut changes = Vec::new();
            for _ in 0..(1 + world.rng.below(700)) {
                let text = if !texts.is_empty() && world.rng.chance(70) {
                    let text = world.rng.pick(&texts).clone();
                    world.edited(&text, 4)
                } else {
                    let words = world.rng.below(longest);
                    world.text(words)
                };
                let unit = UnitId(1 + world.rng.next() % units);
                if texts.len() < 500 {
                    texts.push(text.clone());
                }
                changes.push(if world.rng.chance(15) {
                    IndexChange::Remove(unit)
                } else {
                    IndexChange::Put(world.stored(unit, text).entry)
                });
                stored += 1;
            }
            index.apply(&changes);
        }
        for round in 0..2 {
            for _ in 0..60 {
                let text = world.rng.pick(&texts).clone();
                let text = world.edited(&text, 3);
                let side = world.side(&text);
                let query = query_of(&side);
                for points in [100.0, 92.0, 80.0, 70.0, 60.0, 50.0] {
                    for limit in [1, 5, usize::MAX] {
                        let min_score = Score::from_points(points).unwrap();
                        let penalty = *world.rng.pick(&[0, 0, 150]);
                        let options = Options { min_score, limit, penalty, ..Options::default() };
                        let found = index.search(&query, &options).unwrap();
                        assert_eq!(
                            found,
                            index.scan(&query, &options).unwrap(),
                            "seed {seed}, round {round}, {points}, {limit}: {:?}",
                            side.analysis.canonical()
                        );
                    }
                }
            }
            index.settle();
        }
    }
}
