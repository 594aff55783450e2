//! Risk: a masked answer lacks what was asked for, holds what was not, or differs from the whole answer in what both hold.
//!
//! Every mask is compared with the whole answer, from which a slow pruning by the descriptor takes what the mask does not name.

use proptest::prelude::*;
use prost::Message;
use prost_reflect::{
    DescriptorPool, DynamicMessage, Kind, MapKey, MessageDescriptor, ReflectMessage as _, Value,
};
use prost_types::FieldMask;
use tokio_stream::StreamExt as _;
use tonic::Code;

use dhakira::grpc::DESCRIPTORS;

use crate::grpc::field;
use crate::support::{Clients, TestServer, lookup_request, proto, segment};

fn descriptor(name: &str) -> MessageDescriptor {
    let pool = DescriptorPool::decode(DESCRIPTORS).unwrap();
    pool.get_message_by_name(&format!("dhakira.v1.{name}")).unwrap()
}

/// Every path that a mask of a message may hold; `keys` are the keys of its maps.
fn paths(of: &MessageDescriptor, keys: &[&str]) -> Vec<String> {
    let mut all = Vec::new();
    for field in of.fields() {
        let name = field.name().to_owned();
        if field.is_map() {
            all.extend(keys.iter().map(|key| format!("{name}.`{key}`")));
        } else if let Kind::Message(inner) = field.kind()
            && !field.is_list()
            && ["Unit", "Segment"].contains(&inner.name())
        {
            all.extend(paths(&inner, keys).into_iter().map(|path| format!("{name}.{path}")));
        }
        all.push(name);
    }
    all
}

/// Takes what no path names.
fn prune(message: &mut DynamicMessage, paths: &[String]) {
    let fields: Vec<_> = message.descriptor().fields().collect();
    for field in fields {
        let inside: Vec<Option<String>> = paths
            .iter()
            .filter_map(|path| match path.split_once('.') {
                Some((name, rest)) => (name == field.name()).then(|| Some(rest.to_owned())),
                None => (path == field.name()).then_some(None),
            })
            .collect();
        if inside.iter().any(Option::is_none) {
            continue;
        }
        let inside: Vec<String> = inside.into_iter().flatten().collect();
        if inside.is_empty() || !message.has_field(&field) {
            message.clear_field(&field);
            continue;
        }
        match message.get_field_mut(&field) {
            Value::Message(inner) => prune(inner, &inside),
            Value::Map(entries) => entries.retain(|key, _| {
                let MapKey::String(key) = key else { panic!("keys are texts") };
                inside.iter().any(|path| path.trim_matches('`') == key)
            }),
            other => panic!("{} is {other:?}", field.full_name()),
        }
    }
}

/// What is left of a message of the answer by a mask.
fn pruned<M: Message + Default>(name: &str, message: &M, paths: &[String]) -> M {
    let mut dynamic = DynamicMessage::decode(descriptor(name), &*message.encode_to_vec()).unwrap();
    if !paths.is_empty() {
        prune(&mut dynamic, paths);
    }
    M::decode(&*dynamic.encode_to_vec()).unwrap()
}

fn mask(paths: &[String]) -> Option<FieldMask> {
    Some(FieldMask { paths: paths.to_vec() })
}

/// A memory with units that have every field, and a query whose matches have every field.
async fn filled() -> (TestServer, Clients) {
    let server = TestServer::start().await;
    let mut clients = server.clients().await;
    clients.create_memory("m").await;
    let tag = |offset| proto::InlineTag {
        offset,
        kind: proto::TagKind::Standalone.into(),
        label: "br".into(),
        code: "<br/>".into(),
        ..Default::default()
    };
    let texts = [
        (
            "\u{627}\u{641}\u{62a}\u{62a}\u{62d}\u{62a} \u{627}\u{644}\u{648}\u{632}\u{627}\u{631}\u{629} 12 \u{645}\u{62f}\u{631}\u{633}\u{629} \u{641}\u{64a} \u{627}\u{644}\u{642}\u{631}\u{64a}\u{629} \u{623}\u{645}\u{633}",
            "The ministry opened 12 schools in the village yesterday",
        ),
        (
            "\u{627}\u{641}\u{62a}\u{62a}\u{62d}\u{62a} \u{627}\u{644}\u{648}\u{632}\u{627}\u{631}\u{629} 12 \u{645}\u{643}\u{62a}\u{628}\u{629} \u{641}\u{64a} \u{627}\u{644}\u{642}\u{631}\u{64a}\u{629} \u{623}\u{645}\u{633}",
            "The ministry opened 12 libraries in the village yesterday",
        ),
    ];
    for (source, target) in texts {
        let side =
            |text: &str| Some(proto::Segment { tags: vec![tag(3)], ..segment(text).unwrap() });
        let context = proto::Context {
            previous_source_text: Some("\u{642}\u{628}\u{644}".into()),
            ..Default::default()
        };
        let unit = proto::Unit {
            source: side(source),
            target: side(target),
            context: Some(context),
            document: "d".into(),
            author: "amal".into(),
            attributes: [("a".into(), "1".into()), ("b.c".into(), "2".into())].into(),
            ..Default::default()
        };
        let request = proto::CreateUnitRequest {
            parent: "memories/m".into(),
            unit: Some(unit),
            ..Default::default()
        };
        let name =
            clients.units.create_unit(request).await.unwrap().into_inner().unit.unwrap().name;
        let used = proto::RecordUnitUsesRequest {
            parent: "memories/m".into(),
            uses: vec![proto::UnitUse { name, count: 3, use_time: None }],
            ..Default::default()
        };
        clients.units.record_unit_uses(used).await.unwrap();
    }
    (server, clients)
}

async fn lookup(clients: &mut Clients, read_mask: Option<FieldMask>) -> Vec<proto::Match> {
    let text = "\u{627}\u{641}\u{62a}\u{62a}\u{62d}\u{62a} \u{627}\u{644}\u{648}\u{632}\u{627}\u{631}\u{629} 30 \u{645}\u{62f}\u{631}\u{633}\u{629} \u{641}\u{64a} \u{627}\u{644}\u{642}\u{631}\u{64a}\u{629} \u{64a}\u{648}\u{645}";
    let mut request = lookup_request(&["m"], text);
    let settings = request.settings.as_mut().unwrap();
    settings.min_score_percent = Some(40.0);
    settings.read_mask = read_mask;
    let answer = clients.lookups.lookup_segments(request).await.unwrap().into_inner();
    answer.results.into_iter().next().unwrap().matches
}

async fn hits(clients: &mut Clients, read_mask: Option<FieldMask>) -> Vec<proto::ConcordanceHit> {
    let request = proto::SearchConcordanceRequest {
        memories: vec!["memories/m".into()],
        text: "\u{627}\u{644}\u{648}\u{632}\u{627}\u{631}\u{629}".into(),
        read_mask,
        ..Default::default()
    };
    clients.lookups.search_concordance(request).await.unwrap().into_inner().hits
}

/// The units of the memory by each call that lists them.
async fn units(clients: &mut Clients, read_mask: Option<FieldMask>) -> Vec<Vec<proto::Unit>> {
    let (parent, name) = ("memories/m".to_owned(), "memories/m/units/1".to_owned());
    let get = proto::GetUnitRequest {
        name: name.clone(),
        read_mask: read_mask.clone(),
        ..Default::default()
    };
    let batch = proto::BatchGetUnitsRequest {
        parent: parent.clone(),
        names: vec![name],
        read_mask: read_mask.clone(),
        ..Default::default()
    };
    let list = proto::ListUnitsRequest {
        parent: parent.clone(),
        read_mask: read_mask.clone(),
        ..Default::default()
    };
    let export = proto::ExportUnitsRequest { parent, read_mask, ..Default::default() };
    let exported = clients.units.export_units(export).await.unwrap().into_inner();
    let exported: Vec<_> = exported.collect::<Result<_, _>>().await.unwrap();
    vec![
        clients.units.get_unit(get).await.unwrap().into_inner().unit.into_iter().collect(),
        clients.units.batch_get_units(batch).await.unwrap().into_inner().units,
        clients.units.list_units(list).await.unwrap().into_inner().units,
        exported.into_iter().flat_map(|page| page.units).collect(),
    ]
}

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap()
}

#[test]
fn every_mask_leaves_what_it_names() {
    const KEYS: [&str; 3] = ["a", "b.c", "none"];
    let runtime = runtime();
    let (_server, clients) = runtime.block_on(filled());
    let mut clients = clients;
    let all = |name: &str| paths(&descriptor(name), &KEYS);
    let (of_match, of_hit, of_unit) = (all("Match"), all("ConcordanceHit"), all("Unit"));
    let whole = runtime.block_on(async {
        let clients = &mut clients;
        (lookup(clients, None).await, hits(clients, None).await, units(clients, None).await)
    });
    // The comparison would be empty if they had nothing to lose.
    let some = |has: fn(&proto::Match) -> bool| assert!(whole.0.iter().any(has), "{:?}", whole.0);
    some(|it| !it.edits.is_empty() && !it.deductions.is_empty());
    some(|it| !it.substitutions.is_empty() && !it.adapted_target.is_empty());
    some(|it| !it.spans_to_edit.is_empty());
    assert!(!whole.1[0].highlights.is_empty());
    assert!(whole.2.iter().all(|units| units[0].use_count == 3 && !units[0].etag.is_empty()));

    let compare =
        |runtime: &tokio::runtime::Runtime,
         clients: &mut Clients,
         (matches, hit, unit): &(Vec<String>, Vec<String>, Vec<String>)| {
            runtime.block_on(async {
                let expected: Vec<_> =
                    whole.0.iter().map(|it| pruned("Match", it, matches)).collect();
                assert_eq!(lookup(clients, mask(matches)).await, expected, "{matches:?}");
                let expected: Vec<_> =
                    whole.1.iter().map(|it| pruned("ConcordanceHit", it, hit)).collect();
                assert_eq!(hits(clients, mask(hit)).await, expected, "{hit:?}");
                let of_call = |units: &Vec<proto::Unit>| {
                    units.iter().map(|it| pruned("Unit", it, unit)).collect::<Vec<_>>()
                };
                let expected: Vec<_> = whole.2.iter().map(of_call).collect();
                assert_eq!(units(clients, mask(unit)).await, expected, "{unit:?}");
            });
        };
    // Every field alone, then sets of them.
    for number in 0..of_match.len().max(of_hit.len()).max(of_unit.len()) {
        let one = |all: &[String]| vec![all[number % all.len()].clone()];
        compare(&runtime, &mut clients, &(one(&of_match), one(&of_hit), one(&of_unit)));
    }
    let sets = |all: Vec<String>| prop::sample::subsequence(all, 0..6);
    let strategy = (sets(of_match), sets(of_hit), sets(of_unit));
    let mut runner = proptest::test_runner::TestRunner::new(ProptestConfig {
        cases: 150,
        failure_persistence: None,
        ..ProptestConfig::default()
    });
    let clients = std::cell::RefCell::new(clients);
    runner
        .run(&strategy, |masks| {
            compare(&runtime, &mut clients.borrow_mut(), &masks);
            Ok(())
        })
        .unwrap();
}

#[tokio::test]
async fn a_mask_of_unknown_fields_is_refused_by_name() {
    let (_server, mut clients) = filled().await;
    for wrong in ["unit.x", "edits.kind", "unit.source.text.x", "", "scorePercent"] {
        let mut request = lookup_request(&["m"], "\u{646}");
        request.settings.as_mut().unwrap().read_mask = mask(&[wrong.to_owned()]);
        let error = clients.lookups.lookup_segments(request).await.unwrap_err();
        assert_eq!(field(&error, Code::InvalidArgument), "settings.read_mask", "{wrong}");
        let request = proto::GetUnitRequest {
            name: "memories/m/units/1".into(),
            read_mask: mask(&[wrong.to_owned()]),
            ..Default::default()
        };
        let error = clients.units.get_unit(request).await.unwrap_err();
        assert_eq!(field(&error, Code::InvalidArgument), "read_mask", "{wrong}");
    }
}

#[tokio::test]
async fn lookups_are_counted_by_kind_whatever_is_asked_for() {
    let api = crate::support::empty_api();
    let server = TestServer::with(api.clone()).await;
    let mut clients = server.clients().await;
    clients.create_memory("m").await;
    clients.create_unit("m", "\u{646}\u{635}", "text").await;
    let mut request = lookup_request(&["m"], "\u{646}\u{635}");
    request.settings.as_mut().unwrap().read_mask = mask(&["unit.target".to_owned()]);
    clients.lookups.lookup_segments(request).await.unwrap();
    let counts: Vec<_> = api.lookup_counts().read().collect();
    assert!(counts.contains(&("exact", 1)), "{counts:?}");
}
