//! Risk: a memory that is spread over several indexes answers differently from the same memory in one index.
//!
//! Scores need no statistics of the memory, so the complete best hits of any partition, merged, are those of the whole, in every
//! field.

use std::collections::BTreeSet;

use dhakira::matching::{Filter, Hit, MemoryIndex, Options, merge_parts};
use dhakira::unit::{Score, UnitId};
use proptest::prelude::*;

use super::penalized::Rules;
use super::world::World;
use super::{Model, change, loaded, query_of, some_query};

/// A memory in one index, and the same units in several ones, each unit in any of them.
struct Spread {
    whole: MemoryIndex,
    parts: Vec<MemoryIndex>,
}

impl Spread {
    fn new(world: &mut World, model: &Model, parts: usize) -> Self {
        let mut models = vec![Model::new(); parts];
        for (unit, stored) in model {
            models[world.rng.below(parts)].insert(*unit, stored.clone());
        }
        Self { whole: loaded(model), parts: models.iter().map(loaded).collect() }
    }

    /// The best hits of the whole, and of the parts, merged.
    fn search(
        &self,
        find: impl Fn(&MemoryIndex) -> Vec<Hit>,
        limit: usize,
    ) -> (Vec<Hit>, Vec<Hit>) {
        let parts: Vec<Vec<Hit>> = self.parts.iter().map(&find).collect();
        (find(&self.whole), merge_parts(&parts, limit))
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]

    #[test]
    fn parts_of_a_memory_answer_as_the_whole(seed: u64) {
        let mut world = World::new(seed);
        let (index, mut model) = (MemoryIndex::new(), Model::new());
        let longest = *world.rng.pick(&[3, 8, 14]);
        for _ in 0..10 {
            change(&mut world, &index, &mut model, 200, longest);
        }
        let documents = BTreeSet::from(["d1".to_owned(), "d2".to_owned()]);
        let parts = 1 + world.rng.below(6);
        let spread = Spread::new(&mut world, &model, parts);
        for points in [100.0, 85.0, 70.0, 50.0, 0.0] {
            let query = query_of(&some_query(&mut world, &model));
            let rules = Rules::random(&mut world.rng);
            let of_unit = |unit: UnitId| rules.of_unit(unit);
            let limit = *world.rng.pick(&[1, 2, 5, 20, usize::MAX]);
            let filter = match world.rng.below(3) {
                0 => Filter { documents: Some(&documents), ..Filter::default() },
                _ => Filter::default(),
            };
            let options = Options {
                min_score: Score::from_points(points).unwrap(),
                limit,
                penalty: *world.rng.pick(&[0, 0, 300]),
                penalties: rules.for_search(&of_unit),
                filter,
                ..Options::default()
            };
            let (whole, merged) = spread.search(|it| it.search(&query, &options).unwrap(), limit);
            prop_assert_eq!(&merged, &whole);
            let (whole, merged) = spread.search(|it| it.scan(&query, &options).unwrap(), limit);
            prop_assert_eq!(&merged, &whole);
        }
    }
}
