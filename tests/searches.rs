//! The calls that search for more than one segment at a time, on the wire: filters, concordance, analysis of jobs.

use tonic::Code;
use tonic_types::StatusExt as _;

use crate::support::proto::{
    self, ConcordanceMode, SearchConcordanceRequest, TextSide, WordForm,
    analyze_segments_request::Message,
};
use crate::support::{Clients, TestServer, analysis_settings, lookup_request, unit};

/// Lines of source, target, document, author, day of change and value of the attribute `client`.
const UNITS: &str = include_str!("data/searches.tsv");

async fn start() -> (TestServer, Clients) {
    let server = TestServer::start().await;
    let mut clients = server.clients().await;
    clients.create_memory("m").await;
    let units = UNITS.lines().map(|line| {
        let parts: Vec<&str> = line.split('\t').collect();
        let [source, target, document, author, day, client] = *parts.as_slice() else {
            panic!("six parts: {line}")
        };
        let seconds = 1_700_000_000 + 86_400 * day.parse::<i64>().unwrap();
        proto::Unit {
            document: document.into(),
            author: author.into(),
            update_time: Some(prost_types::Timestamp { seconds, nanos: 0 }),
            attributes: [("client".to_owned(), client.to_owned())].into(),
            ..unit(source, target)
        }
    });
    let request = proto::BatchCreateUnitsRequest {
        parent: "memories/m".into(),
        units: units.collect(),
        request_id: String::new(),
        ..Default::default()
    };
    clients.units.batch_create_units(request).await.unwrap();
    (server, clients)
}

fn source(line: usize) -> String {
    UNITS.lines().nth(line).unwrap().split('\t').next().unwrap().to_owned()
}

fn ids(matches: &[proto::Match]) -> Vec<&str> {
    matches.iter().map(|it| it.unit.as_ref().unwrap().name.rsplit('/').next().unwrap()).collect()
}

#[tokio::test]
async fn filters_apply_inside_the_search() {
    let (_server, mut clients) = start().await;
    let mut ask = async |filter: proto::UnitFilter, max_matches: i32, exhaustive: bool| {
        let mut request = lookup_request(&["m"], &source(0));
        let settings = request.settings.as_mut().unwrap();
        settings.filter = Some(filter);
        settings.max_matches = max_matches;
        settings.min_score_percent = Some(50.0);
        settings.exhaustive = exhaustive;
        let response = clients.lookups.lookup_segments(request).await.unwrap().into_inner();
        let matches = response.results.into_iter().next().unwrap().matches;
        ids(&matches).into_iter().map(str::to_owned).collect::<Vec<_>>()
    };
    let time =
        |day: i64| Some(prost_types::Timestamp { seconds: 1_700_000_000 + 86_400 * day, nanos: 0 });
    let of = |names: &[&str]| {
        let any_of = names.iter().map(|&name| name.to_owned()).collect();
        Some(proto::StringCondition { any_of, none_of: Vec::new() })
    };
    let but = |names: &[&str]| {
        let none_of = names.iter().map(|&name| name.to_owned()).collect();
        Some(proto::StringCondition { any_of: Vec::new(), none_of })
    };
    let range = |start_time, end_time| Some(proto::TimeRange { start_time, end_time });
    let attribute = |value: &str| {
        let any_of = vec![value.to_owned()];
        let name = "client".to_owned();
        vec![proto::AttributeCondition { name, any_of, ..Default::default() }]
    };
    for exhaustive in [false, true] {
        let none = proto::UnitFilter::default();
        assert_eq!(ask(none.clone(), 10, exhaustive).await, ["1", "2", "3"]);
        let filter = proto::UnitFilter { document: of(&["b.txt", "c.txt"]), ..none.clone() };
        // With one match asked for, it is the best of those that pass, not nothing.
        assert_eq!(ask(filter, 1, exhaustive).await, ["2"]);
        let filter = proto::UnitFilter { author: of(&["huda"]), ..none.clone() };
        assert_eq!(ask(filter, 1, exhaustive).await, ["3"]);
        let filter = proto::UnitFilter { update_time: range(time(2), None), ..none.clone() };
        assert_eq!(ask(filter, 10, exhaustive).await, ["2", "3"]);
        let filter = proto::UnitFilter { update_time: range(None, time(2)), ..none.clone() };
        assert_eq!(ask(filter, 10, exhaustive).await, ["1"]);
        let attributes = attribute("beta");
        let filter = proto::UnitFilter { attributes, ..none.clone() };
        assert_eq!(ask(filter, 1, exhaustive).await, ["3"]);
        let attributes = attribute("nobody");
        let filter = proto::UnitFilter { attributes, ..none.clone() };
        assert!(ask(filter, 10, exhaustive).await.is_empty());
        let filter = proto::UnitFilter { document: but(&["b.txt"]), ..none.clone() };
        assert_eq!(ask(filter, 10, exhaustive).await, ["1", "3"]);
        let filter = proto::UnitFilter { author: but(&["huda", "nobody"]), ..none.clone() };
        assert_eq!(ask(filter, 10, exhaustive).await, ["1", "2"]);
        let text = |contains: &str, excludes: &str| {
            let (contains, excludes) = (contains.to_owned(), excludes.to_owned());
            Some(proto::TextCondition { contains, excludes })
        };
        let filter = proto::UnitFilter { target: text("OPEN the", ""), ..none.clone() };
        assert_eq!(ask(filter, 10, exhaustive).await, ["1", "2", "3"]);
        let filter = proto::UnitFilter { target: text("", "open"), ..none };
        assert!(ask(filter, 10, exhaustive).await.is_empty());
    }
}

#[tokio::test]
async fn a_target_is_adapted_to_the_numbers_of_the_query() {
    let (_server, mut clients) = start().await;
    let query = source(3).replace("12", "\u{0663}\u{0660}");
    let found = clients.lookup("m", &query).await;
    assert_eq!(found[0].adapted_target, "The ministry opened 30 schools");
    assert_eq!(
        found[0].unit.as_ref().unwrap().target.as_ref().unwrap().text,
        "The ministry opened 12 schools"
    );
    let it = &found[0].substitutions[0];
    let (target, adapted) = (it.target.unwrap(), it.adapted.unwrap());
    assert_eq!((target.start, target.end, adapted.start, adapted.end), (20, 22, 20, 22));
    let span = it.query.unwrap();
    let text: Vec<char> = query.chars().collect();
    let marked: String = text[span.start as usize..span.end as usize].iter().collect();
    assert_eq!(marked, "\u{0663}\u{0660}");
    let same = clients.lookup("m", &source(3)).await;
    assert!(same[0].adapted_target.is_empty() && same[0].substitutions.is_empty());
}

fn concordance(text: &str, side: TextSide, mode: ConcordanceMode) -> SearchConcordanceRequest {
    SearchConcordanceRequest {
        memories: vec!["memories/m".into()],
        text: text.into(),
        side: side.into(),
        mode: mode.into(),
        ..Default::default()
    }
}

/// Units of all pages, with what is highlighted in each.
async fn search(
    clients: &mut Clients,
    mut request: SearchConcordanceRequest,
) -> Vec<(String, Vec<String>)> {
    let mut found = Vec::new();
    loop {
        let page = clients.lookups.search_concordance(request.clone()).await.unwrap().into_inner();
        for hit in page.hits {
            let unit = hit.unit.unwrap();
            let segment =
                if request.side() == TextSide::Target { unit.target } else { unit.source };
            let text: Vec<char> = segment.unwrap().text.chars().collect();
            let marked = |span: &proto::Span| {
                text[span.start as usize..span.end as usize].iter().collect::<String>()
            };
            let id = unit.name.rsplit('/').next().unwrap().to_owned();
            found.push((id, hit.highlights.iter().map(marked).collect()));
        }
        request.page_token = page.next_page_token;
        if request.page_token.is_empty() {
            return found;
        }
    }
}

fn units(found: &[(String, Vec<String>)]) -> Vec<&str> {
    found.iter().map(|(unit, _)| unit.as_str()).collect()
}

#[tokio::test]
async fn a_concordance_finds_highlights_and_pages() {
    let (_server, mut clients) = start().await;
    let phrase = concordance("OPEN the", TextSide::Target, ConcordanceMode::Phrase);
    let found = search(&mut clients, phrase.clone()).await;
    assert_eq!(found[0], ("1".to_owned(), vec!["Open the".to_owned()]));
    assert_eq!(units(&found), ["1", "2", "3"]);
    // Pages of one unit make the same list.
    let small = SearchConcordanceRequest { page_size: 1, ..phrase.clone() };
    assert_eq!(search(&mut clients, small).await, found);
    let words = concordance("the open", TextSide::Target, ConcordanceMode::Words);
    assert_eq!(units(&search(&mut clients, words).await), ["1", "2", "3"]);
    let prefix = concordance("schoo", TextSide::Target, ConcordanceMode::Prefix);
    let found = search(&mut clients, prefix).await;
    assert_eq!(found, [("4".to_owned(), vec!["schools".to_owned()])]);
    // A source word with vowel marks finds the one without; with classes also the one with an article.
    let word = source(4);
    let marked: String = word.chars().flat_map(|letter| [letter, '\u{064E}']).collect();
    let folded = concordance(&marked, TextSide::Source, ConcordanceMode::Phrase);
    assert_eq!(units(&search(&mut clients, folded.clone()).await), ["5"]);
    let classes = SearchConcordanceRequest { word_form: WordForm::Stem.into(), ..folded };
    assert_eq!(units(&search(&mut clients, classes).await), ["5", "6"]);
    let document = proto::StringCondition { any_of: vec!["c.txt".into()], none_of: Vec::new() };
    let filter = proto::UnitFilter { document: Some(document), ..Default::default() };
    let filtered = SearchConcordanceRequest { filter: Some(filter), ..phrase };
    assert_eq!(units(&search(&mut clients, filtered).await), ["3"]);
}

#[tokio::test]
async fn bad_concordances_are_refused_by_field() {
    let (_server, mut clients) = start().await;
    let good = concordance("the", TextSide::Target, ConcordanceMode::Phrase);
    let first = SearchConcordanceRequest { page_size: 1, ..good.clone() };
    let token = clients.lookups.search_concordance(first).await.unwrap().into_inner();
    let token = token.next_page_token;
    assert!(!token.is_empty());
    let cases = [
        ("memories", SearchConcordanceRequest { memories: vec![], ..good.clone() }),
        ("memories[0]", SearchConcordanceRequest { memories: vec!["m".into()], ..good.clone() }),
        (
            "memories[1]",
            SearchConcordanceRequest { memories: vec!["memories/m".into(); 2], ..good.clone() },
        ),
        ("text", SearchConcordanceRequest { text: " .. ! ".into(), ..good.clone() }),
        ("text", SearchConcordanceRequest { text: String::new(), ..good.clone() }),
        ("text", SearchConcordanceRequest { text: "x".repeat(1 << 20), ..good.clone() }),
        ("side", SearchConcordanceRequest { side: 9, ..good.clone() }),
        ("mode", SearchConcordanceRequest { mode: 9, ..good.clone() }),
        ("word_form", SearchConcordanceRequest { word_form: 9, ..good.clone() }),
        ("page_size", SearchConcordanceRequest { page_size: -1, ..good.clone() }),
        ("page_token", SearchConcordanceRequest { page_token: "zz".into(), ..good.clone() }),
        // A token of another question.
        ("page_token", SearchConcordanceRequest { page_token: token, text: "open".into(), ..good }),
    ];
    for (field, request) in cases {
        let error = clients.lookups.search_concordance(request).await.unwrap_err();
        assert_eq!(error.code(), Code::InvalidArgument, "{field}: {error}");
        let details = error.get_error_details();
        assert_eq!(details.bad_request().unwrap().field_violations[0].field, field, "{error}");
    }
    let missing = SearchConcordanceRequest {
        memories: vec!["memories/none".into()],
        ..concordance("x", TextSide::Source, ConcordanceMode::Words)
    };
    let error = clients.lookups.search_concordance(missing).await.unwrap_err();
    assert_eq!(error.code(), Code::NotFound);
}

/// In place of a match rate: segments that repeat earlier ones.
const REPEATED: i32 = -1;

#[tokio::test]
async fn a_job_is_counted_by_bands() {
    let (_server, mut clients) = start().await;
    let settings = analysis_settings(&["m"]);
    let message = |message| proto::AnalyzeSegmentsRequest { message: Some(message) };
    let file = |name: &str, texts: &[String]| {
        message(Message::Segments(proto::FileSegments {
            file: name.into(),
            texts: texts.to_vec(),
            segments: Vec::new(),
        }))
    };
    let unknown = "\u{0630}\u{0631}\u{0632} \u{0638}\u{0639}\u{063A}".to_owned();
    let stream = vec![
        message(Message::Settings(settings.clone())),
        file("one", &[source(0), unknown.clone(), " ".into()]),
        // The same file goes on: its last segment and this one are neighbours.
        file("one", &[source(3).replace("12", "30"), source(0)]),
        file("two", &[unknown, source(5)]),
        file("empty", &[]),
    ];
    let response = clients.lookups.analyze_segments(tokio_stream::iter(stream)).await.unwrap();
    let response = response.into_inner();
    let counts = |file: &proto::FileAnalysis| -> Vec<(i32, i64, i64)> {
        let rates: Vec<_> = file.bands.iter().map(|band| band.min_rate).collect();
        assert_eq!(rates, [102, 101, 100, 95, 85, 75, 70, 0]);
        let bands = file.bands.iter().map(|band| (band.min_rate, band.segments, band.words));
        let repeated = file.repetitions.unwrap();
        bands
            .chain([(REPEATED, repeated.segments, repeated.words)])
            .filter(|(_, segments, _)| *segments > 0)
            .collect()
    };
    let words = |line: usize| source(line).split_whitespace().count() as i64;
    assert_eq!(response.files.len(), 3);
    assert_eq!(
        counts(&response.files[0]),
        [(100, 1, words(0)), (95, 1, words(3)), (0, 1, 2), (REPEATED, 1, words(0)),]
    );
    assert_eq!(counts(&response.files[1]), [(100, 1, words(5)), (REPEATED, 1, 2)]);
    assert_eq!(counts(&response.files[2]), []);
    let total: i64 = counts(&response.total.unwrap()).iter().map(|(_, segments, _)| segments).sum();
    assert_eq!(total, 6);
    let error =
        clients.lookups.analyze_segments(tokio_stream::iter([file("one", &[])])).await.unwrap_err();
    assert_eq!(error.code(), Code::InvalidArgument);
    let twice =
        vec![message(Message::Settings(settings.clone())), message(Message::Settings(settings))];
    let error = clients.lookups.analyze_segments(tokio_stream::iter(twice)).await.unwrap_err();
    assert_eq!(error.code(), Code::InvalidArgument);
}
