//! The lists of several memories, merged, against one list of all their units.

use std::cmp::Reverse;

use dhakira::matching::{MemoryIndex, Options, merge};
use dhakira::unit::{Score, UnitId};

use super::penalized::Rules;
use super::world::World;
use super::{Model, change, query_of, ranked, some_query};

#[test]
fn several_memories_make_one_list() {
    let mut world = World::new(7);
    let (mut models, mut indexes) = (Vec::new(), Vec::new());
    for _ in 0..3 {
        let (index, mut model) = (MemoryIndex::new(), Model::new());
        for _ in 0..4 {
            change(&mut world, &index, &mut model, 60, 8);
        }
        models.push(model);
        indexes.push(index);
    }
    let penalties = [0, 300, 0];
    for _ in 0..30 {
        let query = some_query(&mut world, &models[1]);
        let min_score = Score::from_points(50.0).unwrap();
        let mut lists = Vec::new();
        let mut all = Vec::new();
        for (memory, index) in indexes.iter().enumerate() {
            let rules = Rules::random(&mut world.rng);
            let of_unit = |unit: UnitId| rules.of_unit(unit);
            let options = Options {
                min_score,
                limit: 6,
                penalty: penalties[memory],
                penalties: rules.for_search(&of_unit),
                ..Options::default()
            };
            lists.push(index.scan(&query_of(&query), &options).unwrap());
            let unlimited = Options { limit: usize::MAX, ..options };
            for (unit, verdict, penalty) in ranked(&models[memory], &query, &unlimited) {
                let changed = models[memory][&unit].entry.facts.changed;
                all.push((
                    verdict.kind,
                    Reverse(verdict.score),
                    penalty,
                    Reverse(changed),
                    memory,
                    unit,
                ));
            }
        }
        all.sort_unstable();
        all.truncate(6);
        let merged: Vec<_> =
            merge(&lists, 6).iter().map(|(memory, hit)| (*memory, hit.unit)).collect();
        let truth: Vec<_> = all.iter().map(|entry| (entry.4, entry.5)).collect();
        assert_eq!(merged, truth);
    }
}
