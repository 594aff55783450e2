//! Filters of lookups, concordances and exports against a loop over all units that writes the conditions out.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use dhakira::engine::{
    AttributeCondition, AttributeValue, Cancel, ConcordanceSettings, Engine, EngineError, Explain,
    ExportQuery, ListQuery, LookupSettings, MatchingChange, MemoryChoice, NameCondition,
    QuerySegment, TextCondition, TimeRange, UnitFilter,
};
use dhakira::matching::{ConcordanceMode, Side, WordForm};
use dhakira::store::InMemoryStore;
use dhakira::text::Analyzer;
use dhakira::unit::{MemoryName, Score, Segment, Unit, UnitId};
use proptest::prelude::*;

use crate::matching::world::Rng;
use crate::penalties::{random_content, text};

use super::support::new_memory;

fn name() -> MemoryName {
    "m".parse().unwrap()
}

fn of_name(condition: &NameCondition, name: &str) -> bool {
    let is_one_of = |names: &BTreeSet<String>| names.iter().any(|it| it == name);
    (condition.any_of.is_empty() || is_one_of(&condition.any_of)) && !is_one_of(&condition.none_of)
}

/// The words of a text: folded forms, and the parts of dates, links and the like.
fn words(text: &str, lang: &str) -> BTreeSet<String> {
    let analysis = Analyzer::new(&lang.parse().unwrap()).analyze(text);
    let mut words = BTreeSet::new();
    for token in analysis.words() {
        words.insert(analysis.folded(token).to_owned());
        words.extend(analysis.search_parts(token).into_iter().map(|(part, _)| part));
    }
    words
}

fn parts(text: &str, lang: &str) -> BTreeSet<String> {
    let analysis = Analyzer::new(&lang.parse().unwrap()).analyze(text);
    let parts = analysis.words().flat_map(|token| analysis.search_parts(token));
    parts.map(|(part, _)| part).collect()
}

fn of_text(condition: &TextCondition, text: &str, lang: &str) -> bool {
    let has = |wanted: &str| parts(wanted, lang).is_subset(&words(text, lang));
    (condition.contains.is_empty() || has(&condition.contains))
        && (condition.excludes.is_empty() || !has(&condition.excludes))
}

/// What a filter says, condition by condition.
pub(crate) fn accepts(filter: &UnitFilter, unit: &Unit) -> bool {
    let content = &unit.content;
    let within = |range: &TimeRange, time| {
        range.from.is_none_or(|from| time >= from)
            && range.before.is_none_or(|before| time < before)
    };
    let of_attribute = |condition: &AttributeCondition| {
        let value = content.attributes.get(&condition.name);
        match &condition.value {
            AttributeValue::Any => value.is_some(),
            AttributeValue::Absent => value.is_none(),
            AttributeValue::Values(values) => match value {
                Some(value) => of_name(values, value),
                None => values.any_of.is_empty(),
            },
        }
    };
    of_name(&filter.document, &content.document)
        && of_name(&filter.author, &content.author)
        && within(&filter.changed, content.changed.unwrap())
        && within(&filter.created, content.created.unwrap())
        && filter.attributes.iter().all(of_attribute)
        && of_text(&filter.source, &content.source.text, "ar")
        && of_text(&filter.target, &content.target.text, "en")
}

/// A filter with some of all conditions.
pub(crate) fn random_filter(rng: &mut Rng) -> UnitFilter {
    let some = |rng: &mut Rng, names: &[&str]| -> BTreeSet<String> {
        (0..1 + rng.below(2)).map(|_| (*rng.pick(names)).to_owned()).collect()
    };
    let condition = |rng: &mut Rng, names: &[&str]| {
        let mut condition = NameCondition::default();
        if rng.chance(60) {
            condition.any_of = some(rng, names);
        }
        if rng.chance(40) {
            condition.none_of = some(rng, names);
        }
        condition
    };
    let range = |rng: &mut Rng| {
        let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
        let now = dhakira::unit::Timestamp { micros: i64::try_from(since.as_micros()).unwrap() };
        let time = |rng: &mut Rng| now.before(Duration::from_secs(86_400) * rng.below(40) as u32);
        let from = rng.chance(60).then(|| time(rng));
        TimeRange { from, before: rng.chance(40).then(|| time(rng)) }
    };
    let texts = |rng: &mut Rng, texts: &[&str]| {
        let mut condition = TextCondition::default();
        if rng.chance(60) {
            condition.contains = (*rng.pick(texts)).to_owned();
        }
        if rng.chance(40) {
            condition.excludes = (*rng.pick(texts)).to_owned();
        }
        condition
    };
    let mut filter = UnitFilter::default();
    for _ in 0..1 + rng.below(2) {
        match rng.below(7) {
            0 => filter.document = condition(rng, &["", "a.txt", "b.txt", "none.txt"]),
            1 => filter.author = condition(rng, &["", "huda", "MT!", "nobody"]),
            2 => filter.changed = range(rng),
            3 => filter.created = range(rng),
            4 => {
                let value = match rng.below(4) {
                    0 => AttributeValue::Any,
                    1 => AttributeValue::Absent,
                    _ => AttributeValue::Values(condition(rng, &["alpha", "beta", "mt", "zeta"])),
                };
                let name = (*rng.pick(&["client", "origin", "unfinished", "none"])).to_owned();
                filter.attributes.push(AttributeCondition { name, value });
            }
            5 => {
                filter.source = texts(
                    rng,
                    &[
                        "\u{642}\u{637}\u{627}\u{631}",
                        "\u{627}\u{644}\u{642}\u{64e}\u{637}\u{627}\u{631}",
                        "\u{627}\u{644}\u{649} 1,500",
                        "2024",
                        "\u{648}\u{635}\u{644}!",
                    ],
                );
            }
            _ => filter.target = texts(rng, &["TRAIN", "arrived the", "1500", "stations", "zebra"]),
        }
    }
    filter
}

fn new_engine() -> Engine {
    let engine = Engine::open(Arc::new(InMemoryStore::default()), None, &mut |_| ()).unwrap();
    engine.create_memory(new_memory(name()), None).unwrap();
    engine
}

fn export(engine: &Engine, query: ExportQuery) -> Vec<UnitId> {
    let mut export = engine.export(&name(), query, None, &Cancel::default()).unwrap();
    let mut units = Vec::new();
    while let Some(page) = engine.export_page(&mut export, 7).unwrap() {
        units.extend(page.iter().map(|unit| unit.id));
    }
    units
}

fn list(engine: &Engine, filter: &UnitFilter) -> Vec<UnitId> {
    let query = ListQuery { filter: filter.clone(), ..ListQuery::default() };
    let (mut after, mut units) = (None, Vec::new());
    loop {
        let page = engine.list_units(&name(), &query, after, 9, &Cancel::default()).unwrap();
        units.extend(page.units.iter().map(|unit| unit.id));
        after = page.next;
        if after.is_none() {
            return units;
        }
    }
}

fn concordance(engine: &Engine, settings: &ConcordanceSettings) -> BTreeSet<UnitId> {
    let (mut after, mut units) = (None, BTreeSet::new());
    loop {
        let page = engine.concordance(settings, after, 5, &Cancel::default()).unwrap();
        units.extend(page.passages.iter().map(|it| it.unit.id));
        after = page.next;
        if after.is_none() {
            return units;
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(12))]

    #[test]
    fn every_filter_selects_what_a_loop_selects(seed: u64) {
        let rng = &mut Rng(seed);
        let engine = new_engine();
        let mut units = Vec::new();
        for _ in 0..2 {
            let contents: Vec<_> = (0..50)
                .map(|number| {
                    let mut content = random_content(rng);
                    // No two are the same pair, of which a lookup would return one.
                    content.target.text.push_str(&format!(" {}", 1_000 + number + 50 * units.len()));
                    content
                })
                .collect();
            units.extend(engine.create_units(&name(), contents, None, |_| String::new()).unwrap());
        }
        // With a word: numbers alone find only the same numbers.
        let query = format!("\u{648}\u{635}\u{644} {}", text(rng));
        let everything = LookupSettings {
            memories: vec![MemoryChoice { memory: name(), penalty: None }],
            min_score: Score::ZERO,
            max_matches: 1_000,
            exhaustive: false,
            filter: UnitFilter::default(),
            penalty_rules: Vec::new(),
            explain: Explain::default(),
        };
        let word = "\u{627}\u{644}\u{642}\u{637}\u{627}\u{631}";
        for _ in 0..40 {
            let filter = random_filter(rng);
            let selected: Vec<UnitId> =
                units.iter().filter(|unit| accepts(&filter, unit)).map(|unit| unit.id).collect();
            let all: BTreeSet<UnitId> = selected.iter().copied().collect();
            let query_of = |text: &str| ExportQuery { filter: filter.clone(), text: text.into() };
            prop_assert_eq!(&export(&engine, query_of("")), &selected, "{:?}", filter);
            prop_assert_eq!(&list(&engine, &filter), &selected, "{:?}", filter);
            let delete = MatchingChange::Delete;
            let count = engine.count_matching(&name(), &filter, &delete, &Cancel::default());
            prop_assert_eq!(count.unwrap().count, selected.len() as u64, "{:?}", filter);

            let with_word = |unit: &&Unit| {
                parts(word, "ar").is_subset(&words(&unit.content.source.text, "ar"))
            };
            let found: BTreeSet<UnitId> = units
                .iter()
                .filter(with_word)
                .map(|unit| unit.id)
                .filter(|id| all.contains(id))
                .collect();
            let exported: BTreeSet<UnitId> = export(&engine, query_of(word)).into_iter().collect();
            prop_assert_eq!(&exported, &found, "{:?}", filter);
            let settings = ConcordanceSettings {
                memories: vec![name()],
                text: word.into(),
                side: Side::Source,
                mode: ConcordanceMode::Words,
                word_form: WordForm::Folded,
                filter: filter.clone(),
            };
            prop_assert_eq!(&concordance(&engine, &settings), &found, "{:?}", filter);

            for exhaustive in [false, true] {
                let settings =
                    LookupSettings { filter: filter.clone(), exhaustive, ..everything.clone() };
                let segment = Segment::plain(query.clone());
                let query = QuerySegment::new(segment);
                let found = engine.lookup(&settings, &[query], &Cancel::default()).unwrap();
                let found: BTreeSet<UnitId> = found[0].iter().map(|it| it.unit.id).collect();
                prop_assert_eq!(&found, &all, "{:?}", filter);
            }
        }
    }
}

#[test]
fn bad_filters_are_refused_by_field() {
    let engine = new_engine();
    let contains = |text: &str| TextCondition { contains: text.into(), ..Default::default() };
    let many =
        |count: usize| vec![AttributeCondition { name: "a".into(), ..Default::default() }; count];
    let names = |count: usize| NameCondition::any_of((0..count).map(|it| it.to_string()));
    for (field, filter) in [
        ("filter.source.contains", UnitFilter { source: contains(" .. "), ..Default::default() }),
        (
            "filter.target.excludes",
            UnitFilter {
                target: TextCondition { excludes: "!".into(), ..Default::default() },
                ..Default::default()
            },
        ),
        (
            "filter.target.contains",
            UnitFilter { target: contains(&"word ".repeat(101)), ..Default::default() },
        ),
        ("filter.attributes", UnitFilter { attributes: many(33), ..Default::default() }),
        ("filter", UnitFilter { document: names(1_001), ..Default::default() }),
    ] {
        let query = ExportQuery { filter, text: String::new() };
        let Err(EngineError::InvalidArgument { field: found, .. }) =
            engine.export(&name(), query, None, &Cancel::default())
        else {
            panic!("{field} is accepted")
        };
        assert_eq!(found, field);
    }
    let good = UnitFilter { attributes: many(32), document: names(1_000), ..Default::default() };
    let query = ExportQuery { filter: good, text: String::new() };
    assert!(engine.export(&name(), query, None, &Cancel::default()).is_ok());
}
