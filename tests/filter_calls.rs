//! Risk: a filter means something else over the wire than it says, or something else in one call than in another.
//!
//! Random filters, written as messages by the test, in every call that takes one, against a loop over all units. The engine is
//! compared with the same loop in `filters`.

use std::collections::BTreeSet;
use std::sync::Arc;

use dhakira::engine::{
    AttributeValue, Engine, NameCondition, TextCondition, TimeRange, UnitFilter,
};
use dhakira::grpc::Api;
use dhakira::store::InMemoryStore;
use dhakira::unit::{Timestamp, Unit};
use tokio_stream::StreamExt as _;

use crate::filters::{accepts, random_filter};
use crate::matching::world::Rng;
use crate::penalties::random_content;
use crate::support::proto::watch_units_request::Start;
use crate::support::{Clients, TestServer, lookup_request, new_memory, proto};

const PARENT: &str = "memories/m";
/// A word that every source has.
const WORD: &str = "\u{643}\u{644}\u{645}\u{629}";

fn names(condition: &NameCondition) -> Option<proto::StringCondition> {
    let of = |names: &BTreeSet<String>| names.iter().cloned().collect();
    Some(proto::StringCondition { any_of: of(&condition.any_of), none_of: of(&condition.none_of) })
}

fn time(time: Timestamp) -> prost_types::Timestamp {
    prost_types::Timestamp {
        seconds: time.micros.div_euclid(1_000_000),
        nanos: (time.micros.rem_euclid(1_000_000) * 1_000) as i32,
    }
}

fn range(range: TimeRange) -> Option<proto::TimeRange> {
    Some(proto::TimeRange { start_time: range.from.map(time), end_time: range.before.map(time) })
}

fn texts(condition: &TextCondition) -> Option<proto::TextCondition> {
    let TextCondition { contains, excludes } = condition.clone();
    Some(proto::TextCondition { contains, excludes })
}

/// The filter as a message; `None` when it has a condition that no message can say, which every unit meets.
fn message(filter: &UnitFilter) -> Option<proto::UnitFilter> {
    let mut attributes = Vec::new();
    for condition in &filter.attributes {
        let name = condition.name.clone();
        let (values, absent) = match &condition.value {
            AttributeValue::Any => (NameCondition::default(), false),
            AttributeValue::Absent => (NameCondition::default(), true),
            AttributeValue::Values(values) if *values == NameCondition::default() => return None,
            AttributeValue::Values(values) => (values.clone(), false),
        };
        let proto::StringCondition { any_of, none_of } = names(&values).unwrap();
        attributes.push(proto::AttributeCondition { name, any_of, none_of, absent });
    }
    Some(proto::UnitFilter {
        document: names(&filter.document),
        author: names(&filter.author),
        update_time: range(filter.changed),
        create_time: range(filter.created),
        attributes,
        source: texts(&filter.source),
        target: texts(&filter.target),
    })
}

/// The names of the units that each call finds with a filter.
async fn found(clients: &mut Clients, filter: proto::UnitFilter) -> Vec<BTreeSet<String>> {
    let (parent, filter) = (PARENT.to_owned(), Some(filter));
    let of = |units: Vec<proto::Unit>| units.into_iter().map(|unit| unit.name).collect();
    let list = proto::ListUnitsRequest {
        parent: parent.clone(),
        filter: filter.clone(),
        page_size: 1_000,
        ..Default::default()
    };
    let listed = clients.units.list_units(list).await.unwrap().into_inner().units;
    let export = proto::ExportUnitsRequest {
        parent: parent.clone(),
        filter: filter.clone(),
        ..Default::default()
    };
    let exported = clients.units.export_units(export).await.unwrap().into_inner();
    let exported: Vec<_> = exported.collect::<Result<_, _>>().await.unwrap();
    let mut lookup = lookup_request(&["m"], WORD);
    let settings = lookup.settings.as_mut().unwrap();
    settings.filter.clone_from(&filter);
    (settings.min_score_percent, settings.max_matches) = (Some(0.0), 1_000);
    let matches = clients.lookups.lookup_segments(lookup).await.unwrap().into_inner().results;
    let matches = matches.into_iter().flat_map(|it| it.matches).filter_map(|it| it.unit).collect();
    let search = proto::SearchConcordanceRequest {
        memories: vec![parent.clone()],
        text: WORD.into(),
        filter: filter.clone(),
        page_size: 1_000,
        ..Default::default()
    };
    let hits = clients.lookups.search_concordance(search).await.unwrap().into_inner().hits;
    let hits = hits.into_iter().filter_map(|hit| hit.unit).collect();
    let start = Some(Start::AfterSequence(0));
    let watch = proto::WatchUnitsRequest { parent, start, filter, ..Default::default() };
    let mut feed = clients.units.watch_units(watch).await.unwrap().into_inner();
    // All units were stored by one commit, which is silent when none of them is wanted.
    let is_silent = listed.is_empty();
    let changes = if is_silent { Vec::new() } else { feed.next().await.unwrap().unwrap().changes };
    let changes = changes.into_iter().filter_map(|change| change.unit).collect();
    let exported = exported.into_iter().flat_map(|page| page.units).collect();
    [listed, exported, matches, hits, changes].map(of).to_vec()
}

async fn counts(clients: &mut Clients, filter: proto::UnitFilter) -> [i64; 2] {
    let (parent, filter) = (PARENT.to_owned(), Some(filter));
    let delete = proto::DeleteMatchingUnitsRequest {
        parent: parent.clone(),
        filter: filter.clone(),
        ..Default::default()
    };
    let update = proto::UpdateMatchingUnitsRequest {
        parent,
        filter,
        unit: Some(proto::Unit { author: "x".into(), ..Default::default() }),
        update_mask: Some(prost_types::FieldMask { paths: vec!["author".into()] }),
        ..Default::default()
    };
    [
        clients.units.delete_matching_units(delete).await.unwrap().into_inner().matching_count,
        clients.units.update_matching_units(update).await.unwrap().into_inner().matching_count,
    ]
}

#[test]
fn every_filter_means_the_same_in_every_call() {
    let rng = &mut Rng(22);
    let engine = Engine::open(Arc::new(InMemoryStore::default()), None, &mut |_| ()).unwrap();
    let name: dhakira::unit::MemoryName = "m".parse().unwrap();
    engine.create_memory(new_memory(name.clone()), None).unwrap();
    let contents = (0..60).map(|number| {
        let mut content = random_content(rng);
        content.source.text = format!("{WORD} {}", content.source.text);
        content.source.tags.clear();
        // No two are the same pair, of which a lookup would return one.
        content.target.text.push_str(&format!(" {}", 1_000 + number));
        content
    });
    let units: Vec<Unit> =
        engine.create_units(&name, contents.collect(), None, |_| String::new()).unwrap();
    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
    runtime.unwrap().block_on(compare(rng, engine, &units));
}

async fn compare(rng: &mut Rng, engine: Engine, units: &[Unit]) {
    let server = TestServer::with(Api::ready(engine)).await;
    let mut clients = server.clients().await;
    let mut examined = 0;
    for _ in 0..250 {
        let filter = random_filter(rng);
        let Some(wire) = message(&filter) else { continue };
        let selected = units.iter().filter(|unit| accepts(&filter, unit));
        let selected: BTreeSet<String> =
            selected.map(|unit| format!("{PARENT}/units/{}", unit.id)).collect();
        for (call, found) in found(&mut clients, wire.clone()).await.into_iter().enumerate() {
            assert_eq!(found, selected, "call {call} by {filter:?}");
        }
        if wire != message(&UnitFilter::default()).unwrap() && filter != UnitFilter::default() {
            assert_eq!(counts(&mut clients, wire).await, [selected.len() as i64; 2], "{filter:?}");
        }
        examined += usize::from(!selected.is_empty());
    }
    assert!(examined > 80, "{examined} filters select something");
}
