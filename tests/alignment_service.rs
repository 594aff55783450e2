//! Risk: documents sent to the server are lost, stored twice or stored unsure; what a memory has learnt is stale, or gone
//! after a restart, or taken from another memory.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use dhakira::engine::{Cancel, Engine, EngineError};
use dhakira::store::InMemoryStore;
use dhakira::unit::{MemoryName, Segment, UnitContent};
use tokio_stream::StreamExt as _;
use tonic::Code;

use crate::support::proto::align_documents_response::Message;
use crate::support::proto::{self, check_units_response, train_lexicon_response};
use crate::support::{AlignmentServiceClient, Clients, TestServer};

use super::support::new_memory;

const ID: &str = "01890a5d-ac96-774b-bcce-b302099a8057";
const SOURCE: &str = "وصل الرئيس إلى العاصمة أمس. رفض الوزير التعليق على التقرير! \
    قال المتحدث إن 1450 شخصا شاركوا في المؤتمر.";
const TARGET: &str = "The president arrived in the capital yesterday. The minister refused to comment on the report! \
    The spokesman said that 1,450 people took part in the conference.";

type AlignmentClient = AlignmentServiceClient<tonic::transport::Channel>;

async fn start() -> (TestServer, Clients, AlignmentClient) {
    let server = TestServer::start().await;
    let clients = server.clients().await;
    let alignment = AlignmentServiceClient::new(clients.channel.clone());
    (server, clients, alignment)
}

fn request(source: &str, target: &str) -> proto::AlignDocumentsRequest {
    let side = |text: &str| Some(proto::DocumentSide { text: text.into(), ..Default::default() });
    proto::AlignDocumentsRequest {
        source_language_code: "ar".into(),
        target_language_code: "en".into(),
        source: side(source),
        target: side(target),
        ..Default::default()
    }
}

#[derive(Default)]
struct Aligned {
    sentences: (Vec<String>, Vec<String>),
    beads: Vec<proto::Bead>,
    summary: Option<proto::AlignSummary>,
}

async fn align(
    client: &mut AlignmentClient,
    request: proto::AlignDocumentsRequest,
) -> Result<Aligned, tonic::Status> {
    let mut answers = client.align_documents(request).await?.into_inner();
    let mut aligned = Aligned::default();
    while let Some(answer) = answers.next().await {
        assert!(aligned.summary.is_none(), "the summary comes last");
        match answer?.message.unwrap() {
            Message::Progress(progress) => assert!((0.0..=1.0).contains(&progress.fraction)),
            Message::Sentences(page) if page.side() == proto::TextSide::Target => {
                aligned.sentences.1.extend(page.sentences)
            }
            Message::Sentences(page) => aligned.sentences.0.extend(page.sentences),
            Message::Bead(bead) => aligned.beads.push(bead),
            Message::Summary(summary) => aligned.summary = Some(summary),
        }
    }
    Ok(aligned)
}

#[tokio::test]
async fn a_document_is_split_aligned_and_stored_once() {
    let (_server, mut clients, mut client) = start().await;
    clients.create_memory("news").await;
    let mut request = request(SOURCE, TARGET);
    request.memories = vec!["memories/news".into()];
    request.store_options = Some(proto::StoreOptions {
        memory: "memories/news".into(),
        document: "report".into(),
        request_id: ID.into(),
        ..Default::default()
    });
    for _ in 0..2 {
        let aligned = align(&mut client, request.clone()).await.unwrap();
        assert_eq!((aligned.sentences.0.len(), aligned.sentences.1.len()), (3, 3));
        let starts: Vec<_> =
            aligned.beads.iter().map(|it| (it.source_start, it.target_start)).collect();
        assert_eq!(starts, [(0, 0), (1, 1), (2, 2)]);
        let summary = aligned.summary.unwrap();
        assert_eq!((summary.beads, summary.units_stored, summary.units_unconfirmed), (3, 3, 0));
        assert!(summary.warnings.is_empty(), "{:?}", summary.warnings);
    }
    let found = clients.lookup("news", "رفض الوزير التعليق على التقرير!").await;
    let unit = found[0].unit.clone().unwrap();
    assert_eq!((found.len(), unit.document.as_str()), (1, "report"));
    assert!(unit.attributes["alignment-confidence"].parse::<f64>().unwrap() > 0.5);
    assert!(unit.context.is_some(), "neighbours in the document are known");

    // Nobody is sure to the end: everything is left out, or stored as unconfirmed.
    clients.create_memory("strict").await;
    let mut store = request.store_options.clone().unwrap();
    store.memory = "memories/strict".into();
    store.min_confidence = Some(1.0);
    store.request_id = ID.replace("057", "058");
    let strict =
        proto::AlignDocumentsRequest { store_options: Some(store.clone()), ..request.clone() };
    let summary = align(&mut client, strict).await.unwrap().summary.unwrap();
    assert_eq!((summary.units_stored, summary.beads_left_out), (0, 3));
    store.store_unconfirmed = true;
    store.request_id = ID.replace("057", "059");
    let strict = proto::AlignDocumentsRequest { store_options: Some(store), ..request };
    let summary = align(&mut client, strict).await.unwrap().summary.unwrap();
    assert_eq!((summary.units_stored, summary.units_unconfirmed), (3, 3));
    let found = clients.lookup("strict", "رفض الوزير التعليق على التقرير!").await;
    assert_eq!(found[0].unit.as_ref().unwrap().attributes["status"], "unconfirmed");
}

#[tokio::test]
async fn documents_that_cannot_be_meant_are_refused_with_the_reason() {
    let (_server, mut clients, mut client) = start().await;
    clients.create_memory("news").await;
    let mut refused = async |request| {
        let status = align(&mut client, request).await.err().unwrap();
        (status.code(), status.message().to_owned())
    };
    for (source, target, what) in [
        ("", TARGET, "the source holds no text"),
        (SOURCE, " \n", "the target holds no text"),
        (TARGET, SOURCE, "swap them"),
    ] {
        let (code, message) = refused(request(source, target)).await;
        assert_eq!((code, message.contains(what)), (Code::InvalidArgument, true), "{message}");
    }
    let mut both = request(SOURCE, TARGET);
    both.source.as_mut().unwrap().sentences = vec![SOURCE.into()];
    assert!(refused(both).await.1.contains("not both"));
    let mut other = request(SOURCE, TARGET);
    other.memories = vec!["memories/missing".into()];
    assert_eq!(refused(other).await.0, Code::NotFound);
    let mut other = request(TARGET, SOURCE);
    (other.source_language_code, other.target_language_code) = ("en".into(), "ar".into());
    other.memories = vec!["memories/news".into()];
    assert!(refused(other).await.1.contains("is for ar to en"));
    let mut many = request("", TARGET);
    many.source.as_mut().unwrap().sentences = vec!["نص".into(); 100_001];
    assert!(refused(many).await.1.contains("more than 100000 in one message"));
    let (code, message) = refused(request(&"نص ".repeat(3 << 20), TARGET)).await;
    assert_eq!((code, message.contains("bytes")), (Code::InvalidArgument, true), "{message}");

    // One long line, and a side far too short, are no fault.
    let long = align(&mut client, request(&"كلمة ".repeat(100_000), TARGET)).await.unwrap();
    let summary = long.summary.unwrap();
    assert!(summary.warnings[0].contains("times the letters"), "{:?}", summary.warnings);
}

#[tokio::test]
async fn words_are_linked_with_their_places() {
    let (_server, mut clients, mut client) = start().await;
    clients.create_memory("news").await;
    let (source, target) = ("رفض الوزير التعليق", "The minister refused to comment");
    let unit = clients.create_unit("news", source, target).await;
    let pair = |unit: &str| proto::WordPair { unit: unit.into(), ..Default::default() };
    let texts = proto::WordPair { source: source.into(), target: target.into(), ..pair("") };
    let request = proto::AlignWordsRequest {
        source_language_code: "ar".into(),
        target_language_code: "en".into(),
        pairs: vec![texts, pair(&unit.name)],
        ..Default::default()
    };
    let pairs = client.align_words(request.clone()).await.unwrap().into_inner().pairs;
    assert_eq!(pairs[0], pairs[1]);
    let span = |start, end| Some(proto::Span { start, end });
    let has = |here, there| pairs[0].links.iter().any(|it| (it.source, it.target) == (here, there));
    assert!(has(span(0, 3), span(13, 20)), "{:?}", pairs[0].links);
    assert!(has(span(4, 10), span(4, 12)), "{:?}", pairs[0].links);

    let gone = proto::AlignWordsRequest { pairs: vec![pair("memories/news/units/99")], ..request };
    assert_eq!(client.align_words(gone).await.unwrap_err().code(), Code::NotFound);
}

#[tokio::test]
async fn a_match_shows_which_words_of_its_target_to_change() {
    let (_server, mut clients, _) = start().await;
    clients.create_memory("news").await;
    let target = "The minister refused to comment on the report yesterday";
    clients.create_unit("news", "رفض الوزير التعليق على التقرير أمس", target).await;
    let found = clients.lookup("news", "رفض السفير التعليق على التقرير أمس").await;
    let words: Vec<&str> = found[0]
        .spans_to_edit
        .iter()
        .map(|it| &target[it.start as usize..it.end as usize])
        .collect();
    assert!(words.len() == 1 && words[0].ends_with("minister"), "{words:?}");
    let found = clients.lookup("news", "رفض الوزير التعليق على التقرير أمس").await;
    assert!(found[0].spans_to_edit.is_empty());
}

#[tokio::test]
async fn a_memory_is_trained_and_checked() {
    let (_server, mut clients, mut client) = start().await;
    clients.create_memory("news").await;
    clients
        .create_unit("news", "وصل الرئيس إلى العاصمة", "The president arrived in the capital")
        .await;
    let bad = clients
        .create_unit("news", "رفض الوزير التعليق", "Rain fell on the village at night")
        .await;
    let request = proto::TrainLexiconRequest { memory: "memories/news".into() };
    let answers = client.train_lexicon(request).await.unwrap().into_inner();
    let last = answers.collect::<Vec<_>>().await.pop().unwrap().unwrap().message;
    let Some(train_lexicon_response::Message::Summary(lexicon)) = last else { panic!("{last:?}") };
    assert_eq!(lexicon.units, 2);

    let request = proto::CheckUnitsRequest { memory: "memories/news".into(), ..Default::default() };
    let answers = client.check_units(request.clone()).await.unwrap().into_inner();
    let (mut suspects, mut summary) = (Vec::new(), None);
    for answer in answers.collect::<Vec<_>>().await {
        match answer.unwrap().message.unwrap() {
            check_units_response::Message::Suspect(suspect) => suspects.push(suspect),
            check_units_response::Message::Summary(it) => summary = Some(it),
            check_units_response::Message::Progress(_) => {}
        }
    }
    assert_eq!(suspects.len(), 1);
    assert_eq!(suspects[0].unit.as_ref().unwrap().name, bad.name);
    assert_eq!(suspects[0].reasons, ["misaligned"]);
    assert_eq!(summary.unwrap().units_checked, 2);
    let wrong = proto::CheckUnitsRequest { min_suspicion: Some(2.0), ..request };
    assert_eq!(client.check_units(wrong).await.unwrap_err().code(), Code::InvalidArgument);
    let gone = proto::TrainLexiconRequest { memory: "memories/gone".into() };
    assert_eq!(client.train_lexicon(gone).await.unwrap_err().code(), Code::NotFound);
}

fn content(number: usize) -> UnitContent {
    let words = ["بيت", "كتاب", "نهر", "جبل", "شجرة", "حجر"];
    let others = ["house", "book", "river", "mountain", "tree", "stone"];
    let pick = |at: usize| (number / 6_usize.pow(at as u32)) % 6;
    let join = |all: [&str; 6]| format!("{} {} {}", all[pick(0)], all[pick(1)], all[pick(2)]);
    let segment = |text| Segment { text, tags: Vec::new() };
    UnitContent {
        source: segment(join(words)),
        target: segment(join(others)),
        ..UnitContent::default()
    }
}

fn engine(store: &Arc<InMemoryStore>, directory: &Path) -> Engine {
    Engine::open(Arc::clone(store), Some(directory.to_owned()), &mut |_| ()).unwrap()
}

#[test]
fn a_lexicon_is_kept_and_follows_the_memory() {
    let directory = tempfile::tempdir().unwrap();
    let store = Arc::new(InMemoryStore::default());
    let name: MemoryName = "m".parse().unwrap();
    let fill = |engine: &Engine, numbers: std::ops::Range<usize>| {
        let contents = numbers.map(content).collect();
        engine.create_units(&name, contents, None, |_| String::new()).unwrap();
    };
    let first = engine(&store, directory.path());
    first.create_memory(new_memory(name.clone()), None).unwrap();
    fill(&first, 0..100);
    let told = AtomicUsize::new(0);
    let tell = |_: f32| {
        told.fetch_add(1, Ordering::Relaxed);
    };
    let learn = |engine: &Engine| engine.ensure_trained(&name, &Cancel::default(), &tell).unwrap();
    assert_eq!(learn(&first).units, 100);
    let learnt = told.swap(0, Ordering::Relaxed);
    assert!(learnt > 0);
    // It is there, and one more unit does not make it old.
    fill(&first, 100..101);
    assert_eq!((learn(&first).units, told.swap(0, Ordering::Relaxed)), (100, 0));
    drop(first);

    // After a restart it is read, not learnt.
    let second = engine(&store, directory.path());
    assert_eq!((learn(&second).units, told.swap(0, Ordering::Relaxed)), (100, 0));
    fill(&second, 101..150);
    assert_eq!(learn(&second).units, 150);
    let stopped = Cancel::default();
    stopped.cancel();
    assert!(matches!(second.train(&name, &stopped, &tell), Err(EngineError::Cancelled)));
    drop(second);

    // A damaged one is learnt again; one of another store is not used.
    let path = directory.path().join("1.lexicon");
    let mut bytes = std::fs::read(&path).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    std::fs::write(&path, &bytes).unwrap();
    told.store(0, Ordering::Relaxed);
    let third = engine(&store, directory.path());
    assert_eq!(learn(&third).units, 150);
    assert!(told.load(Ordering::Relaxed) > 0);
}

#[tokio::test]
async fn sentences_are_split_with_their_places() {
    let (_server, _, mut client) = start().await;
    let text = " \u{647}\u{644} \u{648}\u{635}\u{644}\u{61f} \u{646}\u{639}\u{645}.\n";
    let request = |text: &str| proto::SplitSentencesRequest {
        text: text.into(),
        language_code: "ar".into(),
        ..Default::default()
    };
    let sentences = client.split_sentences(request(text)).await.unwrap().into_inner().sentences;
    let span = |start, end| Some(proto::Span { start, end });
    assert_eq!(sentences.len(), 2);
    assert_eq!((sentences[0].span, sentences[0].piece), (span(1, 8), span(0, 9)));
    assert_eq!((sentences[1].span, sentences[1].piece), (span(9, 13), span(9, 14)));
    assert_eq!(sentences[1].text, "\u{646}\u{639}\u{645}.");
    assert!(client.split_sentences(request("")).await.unwrap().into_inner().sentences.is_empty());

    let no_lang = proto::SplitSentencesRequest { language_code: String::new(), ..request(text) };
    let status = client.split_sentences(no_lang).await.unwrap_err();
    assert_eq!((status.code(), status.message().contains("lang")), (Code::InvalidArgument, true));
    let bad = proto::SplitSentencesRequest { extra_rules: "end\t..".into(), ..request(text) };
    let status = client.split_sentences(bad).await.unwrap_err();
    assert!(status.message().contains("line 1"), "{}", status.message());
    let long = request(&"a".repeat(15 * 1024 * 1024 + 1));
    let status = client.split_sentences(long).await.unwrap_err();
    assert_eq!(status.code(), Code::InvalidArgument);
}
