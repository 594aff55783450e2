//! Does a concordance find every place, and no other, in order? Compared with a look at every text.

use std::collections::BTreeSet;
use std::ops::Range;

use dhakira::matching::{
    ConcordanceMode, Expression, Filter, IndexChange, MemoryIndex, Page, Passage, Place, Side,
    WordForm,
};
use dhakira::text::{Analysis, TokenKind};
use dhakira::unit::UnitId;
use proptest::prelude::*;

use super::world::{Stored, World};
use super::{Model, change, loaded, passes};

/// A part of a text: the word it belongs to, folded form and class.
#[derive(Debug, Clone)]
struct Part {
    word: usize,
    folded: String,
    class: Option<String>,
    is_tag: bool,
}

fn parts(text: &Analysis) -> Vec<Part> {
    let of_word = |(word, token): (usize, &dhakira::text::Token)| {
        let is_tag = token.kind == TokenKind::Tag;
        let parts = text.search_parts(token).into_iter();
        parts.map(move |(folded, class)| Part { word, folded, class, is_tag })
    };
    text.words().enumerate().flat_map(of_word).collect()
}

/// Where an expression stands, by the contract.
fn places(
    asked: &[Part],
    stored: &[Part],
    mode: ConcordanceMode,
    word_form: WordForm,
) -> Vec<Range<usize>> {
    let last = asked.len() - 1;
    let is = |number: usize, part: &Part| {
        let prefix = mode == ConcordanceMode::Prefix && number == last;
        let equal =
            |asked: &str, here: &str| if prefix { here.starts_with(asked) } else { here == asked };
        let classes = (&asked[number].class, &part.class);
        equal(&asked[number].folded, &part.folded)
            || word_form == WordForm::Class
                && matches!(classes, (Some(asked), Some(here)) if equal(asked, here))
    };
    if mode == ConcordanceMode::Words {
        let stands = |number| stored.iter().any(|part| is(number, part));
        if !(0..asked.len()).all(stands) {
            return Vec::new();
        }
        let places = stored.iter().filter(|part| (0..asked.len()).any(|number| is(number, part)));
        let mut words: Vec<usize> = places.map(|part| part.word).collect();
        words.dedup();
        return words.into_iter().map(|place| place..place + 1).collect();
    }
    // Tags are overlooked unless one is asked for.
    let tags = asked.iter().any(|part| part.is_tag);
    let seen: Vec<&Part> = stored.iter().filter(|part| tags || !part.is_tag).collect();
    let windows = seen
        .windows(asked.len())
        .filter(|window| window.iter().enumerate().all(|(number, part)| is(number, part)));
    let mut places: Vec<Range<usize>> =
        windows.map(|window| window[0].word..window[last].word + 1).collect();
    places.dedup();
    places
}

fn text_of(stored: &Stored, side: Side) -> &Analysis {
    match side {
        Side::Source => &stored.side.analysis,
        Side::Target => &stored.target,
    }
}

fn check(world: &mut World, index: &MemoryIndex, model: &Model) {
    let side = *world.rng.pick(&[Side::Source, Side::Target]);
    let mode = *world.rng.pick(&[
        ConcordanceMode::Words,
        ConcordanceMode::Phrase,
        ConcordanceMode::Prefix,
    ]);
    let word_form = *world.rng.pick(&[WordForm::Folded, WordForm::Class]);
    // Words that stand side by side somewhere, or any.
    let (chosen, start, count) =
        (world.rng.below(model.len().max(1)), world.rng.below(5), 1 + world.rng.below(3));
    let mut text = match model.values().nth(chosen) {
        Some(stored) if world.rng.chance(85) => {
            let analysis = text_of(stored, side);
            let some = analysis.words().skip(start).take(count);
            some.map(|token| analysis.surface(token)).collect::<Vec<_>>().join(" ")
        }
        _ => world.text(count).joined(),
    };
    if world.rng.chance(30) {
        // One part of something longer.
        let parts = parts(&world.analyze(&text));
        if let Some(part) = parts.get(world.rng.below(parts.len())) {
            text.clone_from(&part.folded);
        }
    }
    if mode == ConcordanceMode::Prefix && world.rng.chance(60) {
        text.pop();
    }
    let analysis = world.analyze(&text);
    let Some(expression) = Expression::new(&analysis, side, mode, word_form) else {
        assert_eq!(analysis.words().count(), 0);
        return;
    };
    let documents = BTreeSet::from(["d1".to_owned(), "d2".to_owned()]);
    let odd = |unit: UnitId| unit.0 % 2 == 1;
    let mut filter = Filter::default();
    match world.rng.below(6) {
        0 => filter.documents = Some(&documents),
        1 => filter.accept = Some(&odd),
        _ => {}
    }
    let asked = parts(&analysis);
    let mut truth: Vec<Passage> = model
        .iter()
        .filter(|(_, stored)| passes(stored, &filter))
        .map(|(&unit, stored)| Passage {
            place: Place { source_tokens: stored.side.analysis.words().count() as u32, unit },
            revision: stored.entry.facts.revision,
            tokens: places(&asked, &parts(text_of(stored, side)), mode, word_form),
        })
        .filter(|passage| !passage.tokens.is_empty())
        .collect();
    truth.sort_by_key(|passage| passage.place);
    let limit = *world.rng.pick(&[1, 3, 1_000]);
    let (mut found, mut after) = (Vec::new(), None);
    loop {
        let page = Page { after, limit, filter, cancelled: &|| false };
        let passages = index.concordance(&expression, &page).unwrap();
        let whole = passages.len() == limit;
        after = passages.last().map(|passage| passage.place);
        found.extend(passages);
        if !whole {
            break;
        }
    }
    assert_eq!(found, truth, "{text:?} {side:?} {mode:?} {word_form:?} by {limit}");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(60))]

    #[test]
    fn every_place_is_found_and_no_other(seed: u64) {
        let mut world = World::new(seed);
        let (mut index, mut model) = (MemoryIndex::new(), Model::new());
        for round in 0..10 {
            if round == 5 {
                index = loaded(&model);
            }
            if round == 8 {
                index = super::written_and_read(&index);
            }
            change(&mut world, &index, &mut model, 150, 12);
            for _ in 0..6 {
                check(&mut world, &index, &model);
            }
        }
    }
}

/// Enough rows for several blocks and several sealed sets.
#[test]
fn blocks_and_sets_are_walked_in_order() {
    let mut world = World::new(9);
    let (index, mut model) = (MemoryIndex::new(), Model::new());
    for _ in 0..8 {
        let mut changes = Vec::new();
        for _ in 0..400 {
            let unit = UnitId(1 + world.rng.next() % 2_500);
            let words = world.rng.below(9);
            let text = world.text(words);
            let stored = world.stored(unit, text);
            changes.push(IndexChange::Put(stored.entry.clone()));
            model.insert(unit, stored);
        }
        index.apply(&changes);
    }
    for _ in 0..150 {
        check(&mut world, &index, &model);
    }
    index.settle();
    for _ in 0..50 {
        check(&mut world, &index, &model);
    }
}

#[test]
fn a_cancelled_search_for_words_has_no_answer() {
    let mut world = World::new(3);
    let (index, mut model) = (MemoryIndex::new(), Model::new());
    change(&mut world, &index, &mut model, 60, 8);
    let some = model.values().find(|stored| stored.side.analysis.words().count() > 0).unwrap();
    let expression = Expression::new(
        &some.side.analysis,
        Side::Source,
        ConcordanceMode::Words,
        WordForm::Folded,
    );
    let page = Page { after: None, limit: 5, filter: Filter::default(), cancelled: &|| true };
    assert!(index.concordance(&expression.unwrap(), &page).is_err());
}
