//! Risk: a client that counts in UTF-16 or in bytes gets an offset in another unit, or one of its own is taken for another place.
//!
//! The answer in code points is recounted slowly, character by character, and compared with the answer in each other unit.

use proptest::prelude::*;
use tokio_stream::StreamExt as _;
use tonic::Code;

use crate::grpc::field;
use crate::support::{Clients, TestServer, lookup_request, proto};

const UNITS: [proto::OffsetUnit; 4] = [
    proto::OffsetUnit::Unspecified,
    proto::OffsetUnit::CodePoint,
    proto::OffsetUnit::Utf8Byte,
    proto::OffsetUnit::Utf16CodeUnit,
];

/// An offset in code points, in another unit.
fn recounted(text: &str, offset: i32, unit: proto::OffsetUnit) -> i32 {
    let before = text.chars().take(offset as usize);
    let count: usize = match unit {
        proto::OffsetUnit::Unspecified | proto::OffsetUnit::CodePoint => before.count(),
        proto::OffsetUnit::Utf8Byte => before.map(char::len_utf8).sum(),
        proto::OffsetUnit::Utf16CodeUnit => before.map(char::len_utf16).sum(),
    };
    count as i32
}

fn recount_span(text: &str, span: &mut Option<proto::Span>, unit: proto::OffsetUnit) {
    let span = span.as_mut().unwrap();
    span.start = recounted(text, span.start, unit);
    span.end = recounted(text, span.end, unit);
}

fn recount_segment(segment: &mut Option<proto::Segment>, unit: proto::OffsetUnit) {
    let segment = segment.as_mut().unwrap();
    for tag in &mut segment.tags {
        tag.offset = recounted(&segment.text, tag.offset, unit);
    }
}

fn recount_unit(mut stored: proto::Unit, unit: proto::OffsetUnit) -> proto::Unit {
    recount_segment(&mut stored.source, unit);
    recount_segment(&mut stored.target, unit);
    stored
}

fn recount_match(query: &str, mut found: proto::Match, unit: proto::OffsetUnit) -> proto::Match {
    let stored = found.unit.take().unwrap();
    let source = stored.source.as_ref().unwrap().text.clone();
    let target = stored.target.as_ref().unwrap().text.clone();
    for edit in &mut found.edits {
        recount_span(query, &mut edit.query, unit);
        recount_span(&source, &mut edit.source, unit);
    }
    for it in &mut found.substitutions {
        recount_span(query, &mut it.query, unit);
        recount_span(&source, &mut it.source, unit);
        recount_span(&target, &mut it.target, unit);
        recount_span(&found.adapted_target, &mut it.adapted, unit);
    }
    for span in &mut found.spans_to_edit {
        let mut one = Some(*span);
        recount_span(&target, &mut one, unit);
        *span = one.unwrap();
    }
    proto::Match { unit: Some(recount_unit(stored, unit)), ..found }
}

/// A text in which the units differ, with tags in it.
fn tagged(words: &[&str]) -> proto::Segment {
    let text = words.join(" ");
    let starts = words.iter().scan(0, |at, word| {
        let start = *at;
        *at += word.chars().count() as i32 + 1;
        Some(start)
    });
    let tags = starts.enumerate().map(|(number, offset)| proto::InlineTag {
        offset,
        kind: proto::TagKind::Standalone.into(),
        label: format!("t{number}"),
        ..Default::default()
    });
    proto::Segment { tags: tags.collect(), text: text.clone() }
}

fn recounted_tags(segment: &proto::Segment, unit: proto::OffsetUnit) -> proto::Segment {
    let mut segment = Some(segment.clone());
    recount_segment(&mut segment, unit);
    segment.unwrap()
}

async fn units(clients: &mut Clients, unit: proto::OffsetUnit) -> Vec<Vec<proto::Unit>> {
    let (parent, offset_unit) = ("memories/m".to_owned(), i32::from(unit));
    let name = "memories/m/units/1".to_owned();
    let get = proto::GetUnitRequest { name: name.clone(), offset_unit, ..Default::default() };
    let batch = proto::BatchGetUnitsRequest {
        parent: parent.clone(),
        names: vec![name.clone()],
        offset_unit,
        ..Default::default()
    };
    let list =
        proto::ListUnitsRequest { parent: parent.clone(), offset_unit, ..Default::default() };
    let revisions = proto::ListUnitRevisionsRequest { name, offset_unit, ..Default::default() };
    let export =
        proto::ExportUnitsRequest { parent: parent.clone(), offset_unit, ..Default::default() };
    let exported = clients.units.export_units(export).await.unwrap().into_inner();
    let exported: Vec<_> = exported.collect::<Result<_, _>>().await.unwrap();
    let start = Some(proto::watch_units_request::Start::AfterSequence(0));
    let watch = proto::WatchUnitsRequest { parent, start, offset_unit, ..Default::default() };
    let mut feed = clients.units.watch_units(watch).await.unwrap().into_inner();
    let first = feed.next().await.unwrap().unwrap();
    vec![
        clients.units.get_unit(get).await.unwrap().into_inner().unit.into_iter().collect(),
        clients.units.batch_get_units(batch).await.unwrap().into_inner().units,
        clients.units.list_units(list).await.unwrap().into_inner().units,
        clients.units.list_unit_revisions(revisions).await.unwrap().into_inner().units,
        exported.into_iter().flat_map(|page| page.units).collect(),
        first.changes.into_iter().filter_map(|change| change.unit).collect(),
    ]
}

const GRIN: &str = "\u{1f600}";
const MINISTRY: &str = "\u{627}\u{644}\u{648}\u{632}\u{627}\u{631}\u{629}";
const SCHOOL: &str = "\u{645}\u{62f}\u{631}\u{633}\u{629}";

async fn filled() -> (TestServer, Clients) {
    let server = TestServer::start().await;
    let mut clients = server.clients().await;
    clients.create_memory("m").await;
    let unit = proto::Unit {
        source: Some(tagged(&[GRIN, MINISTRY, "12", SCHOOL, GRIN])),
        target: Some(tagged(&[GRIN, "ministry", "12", "schools", GRIN])),
        ..Default::default()
    };
    let request = proto::CreateUnitRequest {
        parent: "memories/m".into(),
        unit: Some(unit),
        ..Default::default()
    };
    clients.units.create_unit(request).await.unwrap();
    (server, clients)
}

#[tokio::test]
async fn every_answer_counts_in_the_unit_that_was_asked_for() {
    let (_server, mut clients) = filled().await;
    let whole = units(&mut clients, proto::OffsetUnit::CodePoint).await;
    assert!(whole.iter().all(|units| units[0].target.as_ref().unwrap().tags.len() == 5));
    let query = tagged(&[GRIN, GRIN, MINISTRY, "30", SCHOOL]);
    let lookup = |unit: proto::OffsetUnit| {
        let mut request = lookup_request(&["m"], "");
        request.segments[0].segment = Some(recounted_tags(&query, unit));
        let settings = request.settings.as_mut().unwrap();
        (settings.min_score_percent, settings.offset_unit) = (Some(30.0), unit.into());
        request
    };
    let found = clients.lookups.lookup_segments(lookup(proto::OffsetUnit::CodePoint)).await;
    let found = found.unwrap().into_inner().results.remove(0).matches;
    assert!(!found[0].edits.is_empty() && !found[0].substitutions.is_empty());
    for unit in UNITS {
        let expected: Vec<Vec<_>> = whole
            .iter()
            .map(|units| units.iter().map(|it| recount_unit(it.clone(), unit)).collect())
            .collect();
        assert_eq!(units(&mut clients, unit).await, expected, "{unit:?}");
        // The same tags in the query, counted otherwise, make the same score.
        let answer = clients.lookups.lookup_segments(lookup(unit)).await.unwrap().into_inner();
        let expected: Vec<_> =
            found.iter().map(|it| recount_match(&query.text, it.clone(), unit)).collect();
        assert_eq!(answer.results[0].matches, expected, "{unit:?}");
        let search = |offset_unit: proto::OffsetUnit| proto::SearchConcordanceRequest {
            memories: vec!["memories/m".into()],
            text: SCHOOL.into(),
            offset_unit: offset_unit.into(),
            ..Default::default()
        };
        let points = clients.lookups.search_concordance(search(proto::OffsetUnit::CodePoint));
        let mut hit = points.await.unwrap().into_inner().hits.remove(0);
        let text = hit.unit.as_ref().unwrap().source.as_ref().unwrap().text.clone();
        let mut highlight = Some(hit.highlights[0]);
        recount_span(&text, &mut highlight, unit);
        hit.highlights = vec![highlight.unwrap()];
        hit.unit = hit.unit.map(|it| recount_unit(it, unit));
        let hits =
            clients.lookups.search_concordance(search(unit)).await.unwrap().into_inner().hits;
        assert_eq!(hits, [hit], "{unit:?}");
    }
}

#[tokio::test]
async fn every_write_takes_offsets_in_the_unit_that_it_names() {
    for unit in UNITS {
        let (_server, mut clients) = filled().await;
        let (parent, offset_unit) = ("memories/m".to_owned(), i32::from(unit));
        let texts = (tagged(&[MINISTRY, GRIN, "x"]), tagged(&[GRIN, "ministry", GRIN]));
        let given = proto::Unit {
            source: Some(recounted_tags(&texts.0, unit)),
            target: Some(recounted_tags(&texts.1, unit)),
            ..Default::default()
        };
        let keep_all = proto::DuplicatePolicy::KeepAll.into();
        let create = proto::CreateUnitRequest {
            parent: parent.clone(),
            unit: Some(given.clone()),
            duplicate_policy: keep_all,
            offset_unit,
            ..Default::default()
        };
        let created = clients.units.create_unit(create).await.unwrap().into_inner().unit.unwrap();
        assert_eq!((&created.source, &created.target), (&given.source, &given.target));
        let batch = proto::BatchCreateUnitsRequest {
            parent: parent.clone(),
            units: vec![given.clone()],
            duplicate_policy: keep_all,
            offset_unit,
            ..Default::default()
        };
        clients.units.batch_create_units(batch).await.unwrap();
        let header = proto::ImportHeader {
            parent: parent.clone(),
            import_id: uuid::Uuid::new_v4().to_string(),
            duplicate_policy: keep_all,
            offset_unit,
            ..Default::default()
        };
        let units = vec![given.clone()];
        let messages = [
            proto::import_units_request::Message::Header(header),
            proto::import_units_request::Message::Batch(proto::ImportBatch {
                number: 1,
                units,
                last: true,
            }),
        ];
        let messages = messages.map(|it| proto::ImportUnitsRequest { message: Some(it) });
        let answers = clients.units.import_units(tokio_stream::iter(messages)).await.unwrap();
        answers.into_inner().collect::<Result<Vec<_>, _>>().await.unwrap();
        // Another text and its tags, and tags alone, of units 2 and 3.
        let update = |number: u32, path: &str, target: &proto::Segment| proto::UpdateUnitRequest {
            unit: Some(proto::Unit {
                name: format!("memories/m/units/{number}"),
                target: Some(recounted_tags(target, unit)),
                ..Default::default()
            }),
            update_mask: Some(prost_types::FieldMask { paths: vec![path.into()] }),
            ..Default::default()
        };
        let other = tagged(&[GRIN, GRIN, "office"]);
        let whole = proto::UpdateUnitRequest { offset_unit, ..update(2, "target", &other) };
        clients.units.update_unit(whole).await.unwrap();
        let moved = proto::Segment { tags: texts.1.tags[2..].to_vec(), text: texts.1.text.clone() };
        let batch = proto::BatchUpdateUnitsRequest {
            parent: parent.clone(),
            requests: vec![update(3, "target.tags", &moved)],
            offset_unit,
            ..Default::default()
        };
        clients.units.batch_update_units(batch).await.unwrap();
        let list = proto::ListUnitsRequest { parent, ..Default::default() };
        let stored = clients.units.list_units(list).await.unwrap().into_inner().units;
        let targets: Vec<_> = stored[1..].iter().map(|it| it.target.clone().unwrap()).collect();
        assert_eq!(targets, [other, moved, texts.1.clone()], "{unit:?}");
        assert!(stored[1..].iter().all(|it| it.source.as_ref() == Some(&texts.0)), "{unit:?}");
    }
}

#[tokio::test]
async fn an_offset_inside_a_character_is_refused() {
    let (_server, mut clients) = filled().await;
    let mut target = tagged(&[GRIN, "x"]);
    target.tags.truncate(1);
    target.tags[0].offset = 1;
    for (unit, is_place) in [
        (proto::OffsetUnit::CodePoint, true),
        (proto::OffsetUnit::Utf8Byte, false),
        (proto::OffsetUnit::Utf16CodeUnit, false),
    ] {
        let stored = proto::Unit {
            source: Some(tagged(&[MINISTRY])),
            target: Some(target.clone()),
            ..Default::default()
        };
        let request = proto::CreateUnitRequest {
            parent: "memories/m".into(),
            unit: Some(stored),
            offset_unit: unit.into(),
            ..Default::default()
        };
        let answer = clients.units.create_unit(request).await;
        if is_place {
            answer.unwrap();
        } else {
            let error = answer.unwrap_err();
            assert_eq!(field(&error, Code::InvalidArgument), "unit.target.tags[0].offset");
        }
    }
    let request = proto::GetUnitRequest {
        name: "memories/m/units/1".into(),
        offset_unit: 9,
        ..Default::default()
    };
    let error = clients.units.get_unit(request).await.unwrap_err();
    assert_eq!(field(&error, Code::InvalidArgument), "offset_unit");
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]

    #[test]
    fn spans_of_sentences_and_words_are_recounted(
        text in "([ab\u{e9}\u{1f600}\u{627}]{1,5}[.!? ]{1,2}){1,6}",
    ) {
        let runtime =
            tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build();
        runtime.unwrap().block_on(async {
            let server = TestServer::start().await;
            let clients = server.clients().await;
            let mut client =
                proto::alignment_service_client::AlignmentServiceClient::new(clients.channel);
            let split = |unit: proto::OffsetUnit| proto::SplitSentencesRequest {
                text: text.clone(),
                language_code: "en".into(),
                offset_unit: unit.into(),
                ..Default::default()
            };
            let link = |unit: proto::OffsetUnit| proto::AlignWordsRequest {
                source_language_code: "ar".into(),
                target_language_code: "en".into(),
                pairs: vec![proto::WordPair {
                    source: text.clone(),
                    target: text.clone(),
                    unit: String::new(),
                }],
                offset_unit: unit.into(),
                ..Default::default()
            };
            let points = proto::OffsetUnit::CodePoint;
            let whole = client.split_sentences(split(points)).await.unwrap().into_inner();
            let linked = client.align_words(link(points)).await.unwrap().into_inner();
            for unit in UNITS {
                let (mut sentences, mut pairs) = (whole.clone(), linked.clone());
                for sentence in &mut sentences.sentences {
                    recount_span(&text, &mut sentence.span, unit);
                    recount_span(&text, &mut sentence.piece, unit);
                }
                for it in &mut pairs.pairs[0].links {
                    recount_span(&text, &mut it.source, unit);
                    recount_span(&text, &mut it.target, unit);
                }
                let answer = client.split_sentences(split(unit)).await.unwrap().into_inner();
                assert_eq!(answer, sentences);
                let answer = client.align_words(link(unit)).await.unwrap().into_inner();
                assert_eq!(answer, pairs);
            }
        });
    }
}
