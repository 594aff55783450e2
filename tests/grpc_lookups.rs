//! The contract of lookups on the wire: what is found, in which order and why, and what is refused. The texts are Arabic words, escaped.

use tokio_stream::StreamExt as _;
use tonic::Code;

use crate::grpc::{field, memory, start};
use crate::support::{lookup_request, proto, segment, unit};

#[tokio::test]
async fn lookups_find_order_and_explain() {
    let (_server, mut clients) = start().await;
    clients.create_memory("m").await;
    clients.create_memory("n").await;
    let hello = "\u{623}\u{639}\u{644}\u{646}\u{62a} \u{627}\u{644}\u{634}\u{631}\u{643}\u{629} \u{639}\u{646} \u{646}\u{62a}\u{627}\u{626}\u{62c} \u{627}\u{644}\u{631}\u{628}\u{639} \u{627}\u{644}\u{623}\u{648}\u{644}";
    clients.create_unit("m", hello, "The company announced first-quarter results").await;
    clients.create_unit("m", "\u{623}\u{639}\u{644}\u{646}\u{62a} \u{627}\u{644}\u{634}\u{631}\u{643}\u{629} \u{639}\u{646} \u{646}\u{62a}\u{627}\u{626}\u{62c} \u{627}\u{644}\u{631}\u{628}\u{639} \u{627}\u{644}\u{62b}\u{627}\u{646}\u{64a}", "second").await;
    clients
        .create_unit(
            "m",
            "\u{634}\u{64a}\u{621} \u{622}\u{62e}\u{631} \u{62a}\u{645}\u{627}\u{645}\u{627}",
            "Something else",
        )
        .await;
    clients.create_unit("n", hello, "from the other memory").await;
    let found = clients.lookup("m", hello).await;
    let seen: Vec<_> = found
        .iter()
        .map(|found| (found.kind(), found.unit.as_ref().unwrap().name.as_str()))
        .collect();
    assert_eq!(
        seen,
        [
            (proto::MatchKind::Exact, "memories/m/units/1"),
            (proto::MatchKind::Fuzzy, "memories/m/units/2")
        ]
    );
    assert!((found[0].score_percent - 100.0).abs() < 1e-9 && found[0].deductions.is_empty());
    for found in &found {
        let lost: f64 = found.deductions.iter().map(|deduction| deduction.points).sum();
        assert!((100.0 - found.score_percent - lost).abs() < 1e-6, "the reasons add up");
    }
    let edit = &found[1].edits[0];
    let cut = |text: &str, span: &Option<proto::Span>| {
        let span = span.unwrap();
        let (start, end) =
            (usize::try_from(span.start).unwrap(), usize::try_from(span.end).unwrap());
        text.chars().skip(start).take(end - start).collect::<String>()
    };
    assert_eq!(edit.kind(), proto::EditKind::Replaced);
    assert_eq!(cut(hello, &edit.query), "\u{627}\u{644}\u{623}\u{648}\u{644}");
    let stored = &found[1].unit.as_ref().unwrap().source.as_ref().unwrap().text;
    assert_eq!(cut(stored, &edit.source), "\u{627}\u{644}\u{62b}\u{627}\u{646}\u{64a}");

    // Two memories at once; a penalty lowers the score, is named, and decides between equals.
    let mut request = lookup_request(&["n", "m"], hello);
    request.settings.as_mut().unwrap().memories[0].penalty_points = Some(10.0);
    let response = clients.lookups.lookup_segments(request).await.unwrap().into_inner();
    let matches = &response.results[0].matches;
    let seen: Vec<_> = matches
        .iter()
        .map(|found| (found.unit.as_ref().unwrap().name.as_str(), found.score_percent))
        .collect();
    assert_eq!(seen[0], ("memories/m/units/1", 100.0));
    assert_eq!(seen[1], ("memories/n/units/1", 90.0));
    assert_eq!(matches[1].deductions[0].reason, "penalty");
    assert!(response.score_version > 0);
}

#[tokio::test]
async fn neighbours_make_a_context_match() {
    let (_server, mut clients) = start().await;
    clients.create_memory("m").await;
    for (previous, target) in [
        ("\u{642}\u{628}\u{644}", "with its neighbours"),
        ("\u{63a}\u{64a}\u{631}\u{647}", "elsewhere"),
    ] {
        let context = proto::Context {
            previous_source_text: Some(previous.into()),
            next_source_text: Some("\u{628}\u{639}\u{62f}".into()),
            ..Default::default()
        };
        let request = proto::CreateUnitRequest {
            parent: "memories/m".into(),
            unit: Some(proto::Unit {
                context: Some(context),
                ..unit("\u{62d}\u{641}\u{638}", target)
            }),
            request_id: String::new(),
            ..Default::default()
        };
        clients.units.create_unit(request).await.unwrap();
    }
    let mut request = lookup_request(&["m"], "\u{62d}\u{641}\u{638}");
    request.segments[0].context = Some(proto::Context {
        previous_source_text: Some("\u{642}\u{628}\u{644}".into()),
        next_source_text: Some("\u{628}\u{639}\u{62f}".into()),
        ..Default::default()
    });
    let response = clients.lookups.lookup_segments(request).await.unwrap().into_inner();
    let matches = &response.results[0].matches;
    assert_eq!(matches[0].kind(), proto::MatchKind::Context);
    assert_eq!(
        matches[0].unit.as_ref().unwrap().target.as_ref().unwrap().text,
        "with its neighbours"
    );
    assert_eq!(matches[1].kind(), proto::MatchKind::Exact);
    // Without neighbours both are exact and the newer comes first.
    let found = clients.lookup("m", "\u{62d}\u{641}\u{638}").await;
    assert_eq!(found[0].kind(), proto::MatchKind::Exact);
    assert_eq!(found[0].unit.as_ref().unwrap().target.as_ref().unwrap().text, "elsewhere");
}

/// A context that is created, looked up by texts and by hashes, and missing on both sides, in both modes of a memory.
#[tokio::test]
async fn contexts_count_by_the_mode_of_the_memory() {
    let (_server, mut clients) = start().await;
    clients.create_memory("m").await;
    let whole = proto::Context {
        previous_source_text: Some("\u{642}\u{628}\u{644}".into()),
        next_source_text: Some("\u{628}\u{639}\u{62f}".into()),
        previous_target_text: Some("before".into()),
        next_target_text: Some("after".into()),
        context_id: "menu".into(),
        ..Default::default()
    };
    let without_id = proto::Context { context_id: String::new(), ..whole.clone() };
    for (text, context) in [("\u{62d}\u{641}\u{638}", whole), ("\u{641}\u{62a}\u{62d}", without_id)]
    {
        let request = proto::CreateUnitRequest {
            parent: "memories/m".into(),
            unit: Some(proto::Unit {
                context: Some(context.clone()),
                document: "a.txt".into(),
                ..unit(text, "t")
            }),
            ..Default::default()
        };
        let made = clients.units.create_unit(request).await.unwrap().into_inner().unit.unwrap();
        let stored = made.context.unwrap();
        assert_eq!(stored.context_id, context.context_id);
        assert_eq!((&stored.previous_source_text, &stored.next_target_text), (&None, &None));
        for (mode, kind, rate) in [
            (proto::ContextMode::Simple, proto::MatchKind::Context, 101),
            (proto::ContextMode::Double, proto::MatchKind::DoubleContext, 102),
        ] {
            let change = proto::UpdateMemoryRequest {
                memory: Some(proto::Memory {
                    name: "memories/m".into(),
                    context_mode: mode.into(),
                    ..Default::default()
                }),
                ..Default::default()
            };
            let changed = clients.memories.update_memory(change).await.unwrap().into_inner();
            assert_eq!(changed.memory.unwrap().context_mode(), mode);
            let has_id = !context.context_id.is_empty();
            let expected =
                if has_id { (proto::MatchKind::DoubleContext, 102) } else { (kind, rate) };
            // As texts, and as the hashes that the server has answered.
            for context in [context.clone(), stored.clone()] {
                let mut request = lookup_request(&["m"], text);
                request.segments[0].context = Some(context);
                request.segments[0].document = "a.txt".into();
                let response = clients.lookups.lookup_segments(request).await.unwrap();
                let found = &response.into_inner().results[0].matches[0];
                assert_eq!((found.kind(), found.match_rate), expected);
                let all: Vec<_> = found.agreed_contexts().collect();
                assert_eq!(all.len(), 5 + usize::from(has_id), "{all:?}");
                assert!(all.contains(&proto::ContextPart::PreviousTarget));
            }
        }
    }
    let mut unknown = lookup_request(&["m"], "\u{62d}\u{641}\u{638}");
    unknown.segments[0].document = "b.txt".into();
    let response = clients.lookups.lookup_segments(unknown).await.unwrap().into_inner();
    let found = &response.results[0].matches[0];
    assert_eq!((found.kind(), found.match_rate), (proto::MatchKind::Exact, 100));
    assert_eq!(found.agreed_contexts().count(), 0);
}

#[tokio::test]
async fn bad_lookups_are_refused_by_field() {
    let (_server, mut clients) = start().await;
    clients.create_memory("m").await;
    let other = proto::CreateMemoryRequest {
        memory_id: "fr".into(),
        memory: memory("fr", "en"),
        request_id: String::new(),
    };
    clients.memories.create_memory(other).await.unwrap();
    type Change = fn(&mut proto::LookupSegmentsRequest);
    let cases: [(Change, Code, &str); 12] = [
        (|it| it.settings = None, Code::InvalidArgument, "settings"),
        (|it| settings(it).memories.clear(), Code::InvalidArgument, "settings.memories"),
        (
            |it| settings(it).memories[0].name = "m".into(),
            Code::InvalidArgument,
            "settings.memories[0].name",
        ),
        (|it| settings(it).memories[0].name = "memories/no".into(), Code::NotFound, "memories/no"),
        (
            |it| settings(it).memories[0].penalty_points = Some(-1.0),
            Code::InvalidArgument,
            "settings.memories[0].penalty_points",
        ),
        (
            |it| settings(it).min_score_percent = Some(f64::NAN),
            Code::InvalidArgument,
            "settings.min_score_percent",
        ),
        (|it| settings(it).max_matches = -1, Code::InvalidArgument, "settings.max_matches"),
        (
            |it| settings(it).source_language_code = "he".into(),
            Code::InvalidArgument,
            "settings.source_language_code",
        ),
        (
            |it| it.segments[0].segment = segment(" "),
            Code::InvalidArgument,
            "segments[0].segment.text",
        ),
        (|it| it.segments[0].segment = None, Code::InvalidArgument, "segments[0].segment.text"),
        (|it| it.segments = vec![it.segments[0].clone(); 1_001], Code::InvalidArgument, "segments"),
        (
            |it| {
                let second =
                    proto::MemoryChoice { name: "memories/fr".into(), penalty_points: None };
                settings(it).memories.push(second);
            },
            Code::InvalidArgument,
            "settings.memories[1].name",
        ),
    ];
    for (change, code, expected) in cases {
        let mut request = lookup_request(&["m"], "\u{646}\u{635}");
        change(&mut request);
        let error = clients.lookups.lookup_segments(request).await.unwrap_err();
        assert_eq!(field(&error, code), expected);
    }
}

fn settings(request: &mut proto::LookupSegmentsRequest) -> &mut proto::LookupSettings {
    request.settings.as_mut().unwrap()
}

#[tokio::test]
async fn a_stream_of_lookups_keeps_its_order() {
    use proto::stream_lookup_request::Message;
    let (_server, mut clients) = start().await;
    clients.create_memory("m").await;
    for index in 0..10 {
        clients
            .create_unit(
                "m",
                &format!("\u{643}\u{644}\u{645}\u{629}{index}"),
                &format!("word {index}"),
            )
            .await;
    }
    let mut messages = vec![Message::Settings(lookup_request(&["m"], "x").settings.unwrap())];
    messages.extend((0..10).rev().map(|index| {
        let segment = segment(&format!("\u{643}\u{644}\u{645}\u{629}{index}"));
        Message::Segment(proto::QuerySegment { segment, ..Default::default() })
    }));
    let requests = messages.into_iter().map(|it| proto::StreamLookupRequest { message: Some(it) });
    let answers = clients.lookups.stream_lookup(tokio_stream::iter(requests.collect::<Vec<_>>()));
    let answers: Vec<_> = answers.await.unwrap().into_inner().map(Result::unwrap).collect().await;
    assert_eq!(answers.len(), 10);
    for (index, answer) in answers.into_iter().enumerate() {
        assert_eq!(usize::try_from(answer.index).unwrap(), index);
        let found = &answer.result.unwrap().matches[0];
        let target = found.unit.as_ref().unwrap().target.as_ref().unwrap();
        assert_eq!(target.text, format!("word {}", 9 - index));
    }
}
