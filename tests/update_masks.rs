//! Update masks: every set of paths, on units with tags, against a slow model that says what each must do.

use std::collections::BTreeMap;
use std::sync::Arc;

use dhakira::engine::Engine;
use dhakira::grpc::Api;
use dhakira::store::InMemoryStore;
use proptest::prelude::*;
use prost_types::{FieldMask, Timestamp};
use tonic::service::Routes;
use tonic::{Code, Status};
use tonic_types::StatusExt as _;

use crate::support::{MemoryServiceClient, UnitServiceClient, proto};

const PATHS: [&str; 17] = [
    "source",
    "source.text",
    "source.tags",
    "target",
    "target.text",
    "target.tags",
    "context",
    "document",
    "author",
    "create_time",
    "update_time",
    "attributes",
    "attributes.a",
    "attributes.`b.c`",
    "*",
    "revision",
    "name",
];

struct World {
    units: UnitServiceClient<Routes>,
}

impl World {
    async fn new() -> Self {
        let engine = Engine::open(Arc::new(InMemoryStore::default()), None, &mut |_| ()).unwrap();
        let routes = Api::ready(engine).routes();
        let memory = proto::Memory {
            source_language_code: "ar".into(),
            target_language_code: "en".into(),
            ..Default::default()
        };
        let request = proto::CreateMemoryRequest {
            memory_id: "m".into(),
            memory: Some(memory),
            ..Default::default()
        };
        MemoryServiceClient::new(routes.clone()).create_memory(request).await.unwrap();
        Self { units: UnitServiceClient::new(routes) }
    }

    async fn create(&mut self, unit: proto::Unit) -> proto::Unit {
        let request = proto::CreateUnitRequest {
            parent: "memories/m".into(),
            unit: Some(unit),
            ..Default::default()
        };
        self.units.create_unit(request).await.unwrap().into_inner().unit.unwrap()
    }

    async fn update(&mut self, unit: proto::Unit, paths: &[&str]) -> Result<proto::Unit, Status> {
        let mask = FieldMask { paths: paths.iter().map(|&path| path.to_owned()).collect() };
        let request = proto::UpdateUnitRequest {
            unit: Some(unit),
            update_mask: Some(mask),
            ..Default::default()
        };
        Ok(self.units.update_unit(request).await?.into_inner().unit.unwrap())
    }
}

/// A segment with another text: each tag goes wherever the text before it or the text behind it says, if that is one place.
fn with_text(old: &proto::Segment, text: &str) -> Option<proto::Segment> {
    let (before, now): (Vec<char>, Vec<char>) =
        (old.text.chars().collect(), text.chars().collect());
    let mut tags = Vec::new();
    for tag in &old.tags {
        let offset = usize::try_from(tag.offset).unwrap();
        let fits = |place: &usize| {
            let by_start = *place == offset && now.get(..offset) == Some(&before[..offset]);
            let behind = before.len() - offset;
            let by_end = place + behind == now.len() && now[*place..] == before[offset..];
            by_start || by_end
        };
        let places: Vec<usize> = (0..=now.len()).filter(fits).collect();
        let [place] = places[..] else { return None };
        tags.push(proto::InlineTag { offset: i32::try_from(place).unwrap(), ..tag.clone() });
    }
    let in_order = tags.windows(2).all(|pair| pair[0].offset <= pair[1].offset);
    in_order.then(|| proto::Segment { text: text.to_owned(), tags })
}

fn with_tags(old: &proto::Segment, tags: &[proto::InlineTag]) -> Option<proto::Segment> {
    let length = i32::try_from(old.text.chars().count()).unwrap();
    let fit = tags.iter().all(|tag| tag.offset <= length);
    fit.then(|| proto::Segment { text: old.text.clone(), tags: tags.to_vec() })
}

fn side(
    name: &str,
    (old, given): (&Option<proto::Segment>, &Option<proto::Segment>),
    paths: &[&str],
) -> Option<Option<proto::Segment>> {
    let has = |part: &str| paths.contains(&format!("{name}{part}").as_str());
    let (old, given) = (old.clone().unwrap(), given.clone().unwrap_or_default());
    let new = match (has(""), has(".text"), has(".tags")) {
        (true, ..) | (_, true, true) => given,
        (_, true, false) => with_text(&old, &given.text)?,
        (_, false, true) => with_tags(&old, &given.tags)?,
        _ => old,
    };
    Some(Some(new))
}

/// The unit after the change; `None` when it must be refused. Times that the server's clock gives are left out.
fn expected(old: &proto::Unit, given: &proto::Unit, paths: &[&str]) -> Option<proto::Unit> {
    if paths.is_empty() {
        let mut set: Vec<&str> = Vec::new();
        set.extend(given.source.is_some().then_some("source"));
        set.extend(given.target.is_some().then_some("target"));
        set.extend(given.context.is_some().then_some("context"));
        set.extend((!given.document.is_empty()).then_some("document"));
        set.extend((!given.author.is_empty()).then_some("author"));
        set.extend(given.create_time.is_some().then_some("create_time"));
        set.extend(given.update_time.is_some().then_some("update_time"));
        set.extend((!given.attributes.is_empty()).then_some("attributes"));
        return expected_by(old, given, &set);
    }
    if paths == ["*"] {
        let all = [
            "source",
            "target",
            "context",
            "document",
            "author",
            "create_time",
            "update_time",
            "attributes",
        ];
        return expected_by(old, given, &all);
    }
    let fixed = ["*", "revision", "name"];
    if paths.iter().any(|path| fixed.contains(path)) {
        return None;
    }
    expected_by(old, given, paths)
}

fn expected_by(old: &proto::Unit, given: &proto::Unit, paths: &[&str]) -> Option<proto::Unit> {
    let mut new = old.clone();
    new.source = side("source", (&old.source, &given.source), paths)?;
    new.target = side("target", (&old.target, &given.target), paths)?;
    let has = |path: &str| paths.contains(&path);
    if has("context") {
        new.context = given.context.clone();
    }
    if has("document") {
        new.document.clone_from(&given.document);
    }
    if has("author") {
        new.author.clone_from(&given.author);
    }
    if has("create_time") {
        new.create_time = given.create_time.or(old.create_time);
    }
    new.update_time = given.update_time.filter(|_| has("update_time"));
    if has("attributes") {
        new.attributes.clone_from(&given.attributes);
    }
    for (path, key) in [("attributes.a", "a"), ("attributes.`b.c`", "b.c")] {
        if has(path) {
            match given.attributes.get(key) {
                Some(value) => new.attributes.insert(key.to_owned(), value.clone()),
                None => new.attributes.remove(key),
            };
        }
    }
    let empty = |segment: &Option<proto::Segment>| {
        segment.as_ref().is_none_or(|it| it.text.trim().is_empty())
    };
    if empty(&new.source) || empty(&new.target) {
        return None;
    }
    new.revision += 1;
    Some(new)
}

/// Few letters, so that texts have much in common.
fn segment(arabic: bool) -> impl Strategy<Value = proto::Segment> {
    let letters = if arabic { "[\u{628}\u{62a}]{1,6}" } else { "[ab]{1,6}" };
    (letters, proptest::collection::vec(any::<prop::sample::Index>(), 0..3)).prop_map(
        |(text, places)| {
            let length = text.chars().count();
            let mut offsets: Vec<usize> =
                places.iter().map(|place| place.index(length + 1)).collect();
            offsets.sort_unstable();
            let tags = offsets.into_iter().enumerate().map(|(number, offset)| proto::InlineTag {
                offset: i32::try_from(offset).unwrap(),
                kind: proto::TagKind::Standalone.into(),
                label: format!("t{number}"),
                ..Default::default()
            });
            proto::Segment { text, tags: tags.collect() }
        },
    )
}

fn unit(whole: bool) -> impl Strategy<Value = proto::Unit> {
    let maybe = move |segment: BoxedStrategy<proto::Segment>| {
        if whole {
            segment.prop_map(Some).boxed()
        } else {
            prop::option::weighted(0.8, segment).boxed()
        }
    };
    let time = prop::option::of((0..3_i64).prop_map(|seconds| Timestamp { seconds, nanos: 0 }));
    let hash = prop::option::of(1..4_u64);
    let attributes = prop::collection::btree_map(
        prop::sample::select(vec!["a".to_owned(), "b.c".to_owned(), "d".to_owned()]),
        "[xy]",
        0..3,
    );
    (
        (maybe(segment(true).boxed()), maybe(segment(false).boxed())),
        (hash.clone(), hash.clone(), (hash.clone(), hash), "[hi]?"),
        ("[de]?", "[fg]?"),
        (time.clone(), time),
        attributes,
    )
        .prop_map(|(texts, hashes, names, times, attributes): (_, _, _, _, BTreeMap<_, _>)| {
            let context = proto::Context {
                previous_source_hash: hashes.0,
                next_source_hash: hashes.1,
                previous_target_hash: hashes.2.0,
                next_target_hash: hashes.2.1,
                context_id: hashes.3,
                ..Default::default()
            };
            proto::Unit {
                source: texts.0,
                target: texts.1,
                context: (context != proto::Context::default()).then_some(context),
                document: names.0,
                author: names.1,
                create_time: times.0,
                update_time: times.1,
                attributes: attributes.into_iter().collect(),
                ..Default::default()
            }
        })
}

fn paths() -> impl Strategy<Value = Vec<&'static str>> {
    prop_oneof![
        1 => Just(vec![]),
        1 => Just(vec!["*"]),
        3 => prop::sample::select(&PATHS[..14]).prop_map(|path| vec![path]),
        2 => Just(vec!["target.text"]),
        4 => prop::sample::subsequence(&PATHS[..14], 1..5),
        1 => prop::sample::subsequence(&PATHS[..], 2..6),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, ..ProptestConfig::default() })]

    #[test]
    fn a_mask_changes_what_it_names(
        old in unit(true),
        given in unit(false),
        paths in paths(),
    ) {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()
            .unwrap();
        runtime.block_on(async {
            let mut world = World::new().await;
            let old = world.create(old).await;
            let given = proto::Unit { name: old.name.clone(), ..given };
            let answer = world.update(given.clone(), &paths).await;
            let read = proto::GetUnitRequest { name: old.name.clone(), ..Default::default() };
            let read = world.units.get_unit(read).await.unwrap().into_inner().unit.unwrap();
            match (expected(&old, &given, &paths), answer) {
                (Some(expected), Ok(mut answer)) => {
                    assert_eq!(read, answer, "it is stored as it was answered");
                    assert!(answer.update_time.is_some());
                    if expected.update_time.is_none() {
                        answer.update_time = None;
                    }
                    // It is a hash of what else is compared.
                    let expected = proto::Unit { etag: answer.etag.clone(), ..expected };
                    assert_eq!(answer, expected, "{paths:?} of {given:?}");
                }
                (None, Err(status)) => {
                    assert_eq!(status.code(), Code::InvalidArgument, "{status}");
                    assert!(status.get_details_error_info().is_some());
                    assert_eq!(read, old, "a refused change changes nothing");
                }
                (expected, answer) => {
                    panic!("{paths:?} of {given:?} over {old:?}: expected {expected:?}, got {answer:?}")
                }
            }
        });
    }
}

#[tokio::test]
async fn tags_stay_where_their_text_stands() {
    let mut world = World::new().await;
    let tag = |offset, kind: proto::TagKind| proto::InlineTag {
        offset,
        kind: kind.into(),
        pair: Some(1),
        label: "bold".into(),
        ..Default::default()
    };
    let tags = vec![tag(6, proto::TagKind::Open), tag(10, proto::TagKind::Close)];
    let target = proto::Segment { text: "Press Save to go on".into(), tags };
    let unit = proto::Unit {
        source: crate::support::segment("\u{627}\u{62d}\u{641}\u{638}"),
        target: Some(target),
        ..Default::default()
    };
    let made = world.create(unit).await;
    let text = |text: &str| proto::Unit {
        name: made.name.clone(),
        target: crate::support::segment(text),
        ..Default::default()
    };
    for (new, places) in [
        ("Press Save to continue", Some((6, 10))),
        ("Now press Save to continue", None),
        ("Please press Save to go on", Some((13, 17))),
        ("Press Save to go on", Some((6, 10))),
        ("Press Keep to go on", Some((6, 10))),
        ("Then Press Save to go on", Some((11, 15))),
        ("Press Save to", Some((6, 10))),
        ("Press to go on", None),
    ] {
        // Each from the same beginning.
        let reset = proto::Unit { target: made.target.clone(), ..text("") };
        world.update(reset, &["target"]).await.unwrap();
        match (world.update(text(new), &["target.text"]).await, places) {
            (Ok(unit), Some(places)) => {
                let target = unit.target.unwrap();
                assert_eq!(target.text, new);
                assert_eq!((target.tags[0].offset, target.tags[1].offset), places, "{new}");
            }
            (Err(status), None) => {
                assert_eq!(status.code(), Code::InvalidArgument);
                assert!(status.message().contains("name `target`"), "{}", status.message());
            }
            (answer, places) => panic!("{new}: {places:?}, {answer:?}"),
        }
    }
}
