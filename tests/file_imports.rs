//! `ImportFile`: a file in pieces, whatever the client does with them.

use std::time::Duration;

use tokio::sync::mpsc;
use tokio_stream::StreamExt as _;
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Code, Status, Streaming};

use crate::support::proto::{self, import_file_request::Message};
use crate::support::{Clients, TestServer};

const ID: &str = "01890a5d-ac96-774b-bcce-b302099a8057";

fn header() -> proto::ImportFileHeader {
    proto::ImportFileHeader {
        parent: "memories/m".into(),
        import_id: ID.into(),
        duplicate_policy: proto::DuplicatePolicy::KeepAll.into(),
        ..Default::default()
    }
}

fn message(message: Message) -> proto::ImportFileRequest {
    proto::ImportFileRequest { message: Some(message) }
}

/// A header, and bytes in pieces of a size.
fn requests(
    header: proto::ImportFileHeader,
    bytes: &[u8],
    piece: usize,
) -> Vec<proto::ImportFileRequest> {
    let pieces = bytes.chunks(piece).map(|piece| message(Message::Chunk(piece.to_vec())));
    std::iter::once(message(Message::Header(header))).chain(pieces).collect()
}

async fn send(
    clients: &mut Clients,
    requests: Vec<proto::ImportFileRequest>,
) -> Result<Vec<proto::ImportFileResponse>, Status> {
    let answers = clients.units.import_file(tokio_stream::iter(requests)).await?.into_inner();
    answers.collect().await
}

fn rows(from: usize, to: usize) -> Vec<u8> {
    let mut text = "ar\ten\n".to_owned();
    for number in from..to {
        text += &format!("\u{62c}\u{645}\u{644}\u{629} {number}\tSentence {number}\n");
    }
    text.into_bytes()
}

async fn start() -> (TestServer, Clients) {
    let server = TestServer::start().await;
    let mut clients = server.clients().await;
    clients.create_memory("m").await;
    (server, clients)
}

async fn stored(clients: &mut Clients) -> i64 {
    let request = proto::GetMemoryRequest { name: "memories/m".into() };
    clients.memories.get_memory(request).await.unwrap().into_inner().memory.unwrap().unit_count
}

fn counts(response: &proto::ImportFileResponse) -> (i64, i64, i64) {
    let counts = response.counts.unwrap();
    (counts.read, counts.stored, counts.rejected)
}

#[tokio::test]
async fn a_file_is_imported_piece_by_piece_and_says_what_is_wrong() {
    let (_server, mut clients) = start().await;
    let mut file = rows(0, 500);
    file.extend_from_slice("\u{62c}\t\n".as_bytes());
    file.extend_from_slice("\u{62c}\u{645}\u{644}\u{629}\tThe last one\n".as_bytes());
    // Pieces that cut through characters.
    let answers = send(&mut clients, requests(header(), &file, 7)).await.unwrap();
    let last = answers.last().unwrap();
    assert!(last.complete);
    assert_eq!((counts(last), last.bytes_read), ((502, 501, 1), file.len() as i64));
    let told: Vec<_> = answers.iter().flat_map(|it| &it.diagnostics).collect();
    assert_eq!(told.len(), 1, "{told:?}");
    assert_eq!((told[0].line, told[0].cause.as_str()), (502, "EMPTY_SEGMENT"));
    assert_eq!(stored(&mut clients).await, 501);

    // The same once more: it is known, and nothing is stored twice.
    let answers = send(&mut clients, requests(header(), &file, 4096)).await.unwrap();
    assert!(answers[0].complete);
    assert_eq!(counts(answers.last().unwrap()), (502, 501, 1));
    assert_eq!(stored(&mut clients).await, 501);
}

#[tokio::test]
async fn garbage_is_refused_and_costs_nothing() {
    let (_server, mut clients) = start().await;
    let code = |result: Result<Vec<_>, Status>| result.unwrap_err().code();
    let no_header = vec![message(Message::Chunk(b"ar\ten\n".to_vec()))];
    assert_eq!(code(send(&mut clients, no_header).await), Code::InvalidArgument);
    let nothing = vec![proto::ImportFileRequest { message: None }];
    assert_eq!(code(send(&mut clients, nothing).await), Code::InvalidArgument);
    let two = vec![message(Message::Header(header())), message(Message::Header(header()))];
    assert_eq!(code(send(&mut clients, two).await), Code::InvalidArgument);
    for bytes in [&b""[..], b"\x00\x01\x02\x03", &[0xff; 5000], b"PK\x03\x04 no archive"] {
        let result = send(&mut clients, requests(header(), bytes, 100)).await;
        assert_eq!(code(result), Code::InvalidArgument, "{bytes:?}");
    }
    let bad = [
        proto::ImportFileHeader { parent: "memories/none".into(), ..header() },
        proto::ImportFileHeader { import_id: String::new(), ..header() },
        proto::ImportFileHeader { format: "docx".into(), ..header() },
        proto::ImportFileHeader { check_action: 9, ..header() },
    ];
    for header in bad {
        assert!(
            send(&mut clients, requests(header.clone(), b"ar\ten\n", 9)).await.is_err(),
            "{header:?}"
        );
    }
    assert_eq!(stored(&mut clients).await, 0);
    // And the places for files are free again.
    let answers = send(&mut clients, requests(header(), &rows(0, 3), 10)).await.unwrap();
    assert_eq!(counts(answers.last().unwrap()), (3, 3, 0));
}

/// An import whose pieces come when the test says so.
async fn open(
    clients: &mut Clients,
) -> (mpsc::Sender<proto::ImportFileRequest>, Streaming<proto::ImportFileResponse>) {
    let (pieces, received) = mpsc::channel(1);
    pieces.send(message(Message::Header(header()))).await.unwrap();
    let answers = clients.units.import_file(ReceiverStream::new(received)).await.unwrap();
    (pieces, answers.into_inner())
}

#[tokio::test]
async fn a_stream_that_breaks_off_keeps_what_was_acknowledged_and_goes_on() {
    let (_server, mut clients) = start().await;
    let file = rows(0, 20_000);
    let (pieces, mut answers) = open(&mut clients).await;
    pieces.send(message(Message::Chunk(file[..file.len() / 2].to_vec()))).await.unwrap();
    let mut acked = 0;
    while acked == 0 {
        acked = counts(&answers.next().await.unwrap().unwrap()).1;
    }
    // A client that ends its stream says that the file ends; this one breaks it.
    pieces.send(message(Message::Header(header()))).await.unwrap();
    while let Some(Ok(_)) = answers.next().await {}
    drop((pieces, answers));
    // Nothing after the break is taken for the end of the file: the row that was cut is not stored in half.
    let mut before = -1;
    let mut now = stored(&mut clients).await;
    while before != now {
        tokio::time::sleep(Duration::from_millis(100)).await;
        (before, now) = (now, stored(&mut clients).await);
    }
    assert!(now >= acked && now < 11_000, "{now}");
    let answers = send(&mut clients, requests(header(), &file, 10_000)).await.unwrap();
    assert!(counts(&answers[0]).1 >= acked && !answers[0].complete);
    assert_eq!(counts(answers.last().unwrap()), (20_000, 20_000, 0));
    assert_eq!(stored(&mut clients).await, 20_000);
}

#[tokio::test]
async fn a_file_that_is_not_as_long_as_it_was_said_has_broken_off() {
    let (_server, mut clients) = start().await;
    let file = rows(0, 3_000);
    let of = |size_bytes| proto::ImportFileHeader { size_bytes, ..header() };
    let size = file.len() as i64;
    for (size_bytes, cut) in [(size, file.len() - 3), (size - 1, file.len()), (-1, file.len())] {
        let result = send(&mut clients, requests(of(size_bytes), &file[..cut], 1_000)).await;
        let error = result.unwrap_err();
        assert_eq!(error.code(), Code::InvalidArgument, "{error}");
        assert!(error.message().contains("size"), "{error}");
        // The row that was cut is not stored in half.
        assert!(stored(&mut clients).await < 3_000);
    }
    let answers = send(&mut clients, requests(of(size), &file, 1_000)).await.unwrap();
    assert_eq!(counts(answers.last().unwrap()), (3_000, 3_000, 0));
    assert_eq!(stored(&mut clients).await, 3_000);
}

#[tokio::test]
async fn a_client_that_sends_little_and_waits_is_answered() {
    let (_server, mut clients) = start().await;
    let file = rows(0, 200);
    let (pieces, mut answers) = open(&mut clients).await;
    // A beginning that leaves no doubt what the file is, in small pieces, and nothing more until its units are stored.
    let begun = file.len() / 2;
    for piece in file[..begun].chunks(100) {
        pieces.send(message(Message::Chunk(piece.to_vec()))).await.unwrap();
    }
    let early = async {
        loop {
            let answer = answers.next().await.unwrap().unwrap();
            if counts(&answer).1 >= 40 {
                return answer;
            }
        }
    };
    let early = tokio::time::timeout(Duration::from_secs(60), early).await.expect("an answer");
    assert!(!early.complete && early.bytes_read as usize <= begun, "{early:?}");
    pieces.send(message(Message::Chunk(file[begun..].to_vec()))).await.unwrap();
    drop(pieces);
    let mut last = early;
    while let Some(answer) = answers.next().await {
        last = answer.unwrap();
    }
    assert!(last.complete);
    assert_eq!(counts(&last), (200, 200, 0));
}

#[tokio::test]
async fn a_client_that_does_not_read_is_not_read_from() {
    let (_server, mut clients) = start().await;
    let (pieces, mut answers) = open(&mut clients).await;
    let file = rows(0, 30_000);
    let mut sent = 0;
    // Until nothing moves any more: everything between has a bound.
    for piece in file.chunks(8 * 1024) {
        let message = message(Message::Chunk(piece.to_vec()));
        if tokio::time::timeout(Duration::from_secs(5), pieces.send(message)).await.is_err() {
            break;
        }
        sent += piece.len();
    }
    if sent < file.len() {
        // It was held up; reading sets it going again.
        let rest = file[sent..].to_vec();
        let sending = tokio::spawn(async move {
            pieces.send(message(Message::Chunk(rest))).await.unwrap();
        });
        while let Some(answer) = answers.next().await {
            answer.unwrap();
        }
        sending.await.unwrap();
    } else {
        drop(pieces);
        while let Some(answer) = answers.next().await {
            answer.unwrap();
        }
    }
    assert_eq!(stored(&mut clients).await, 30_000);
}

#[tokio::test]
async fn only_so_many_files_are_imported_at_once() {
    let (_server, mut clients) = start().await;
    let mut open_ones = Vec::new();
    for _ in 0..dhakira::limits::IMPORT_FILES_MAX {
        open_ones.push(open(&mut clients).await);
    }
    let error = send(&mut clients, requests(header(), &rows(0, 1), 100)).await.unwrap_err();
    assert_eq!(error.code(), Code::ResourceExhausted);
    drop(open_ones);
    for _ in 0..100 {
        if send(&mut clients, requests(header(), &rows(0, 1), 100)).await.is_ok() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    panic!("the places are not free again");
}

#[tokio::test]
async fn an_export_takes_a_filter_and_goes_on_from_its_cursor() {
    let (_server, mut clients) = start().await;
    send(&mut clients, requests(header(), &rows(0, 1_000), 10_000)).await.unwrap();
    // "Sentence 7" and nothing longer.
    let request = proto::ExportUnitsRequest {
        parent: "memories/m".into(),
        query: "sentence 7".into(),
        ..Default::default()
    };
    let pages: Vec<_> =
        clients.units.export_units(request).await.unwrap().into_inner().collect().await;
    let units: Vec<_> = pages.into_iter().flat_map(|page| page.unwrap().units).collect();
    assert_eq!(units.iter().map(|it| it.name.as_str()).collect::<Vec<_>>(), ["memories/m/units/8"]);
    let request = proto::ExportUnitsRequest {
        parent: "memories/m".into(),
        query: "sentence".into(),
        filter: Some(proto::UnitFilter::default()),
        ..Default::default()
    };
    let mut pages = clients.units.export_units(request.clone()).await.unwrap().into_inner();
    let first = pages.next().await.unwrap().unwrap();
    drop(pages);
    let again = proto::ExportUnitsRequest { cursor: first.cursor.clone(), ..request };
    let rest: Vec<_> =
        clients.units.export_units(again).await.unwrap().into_inner().collect().await;
    let rest: usize = rest.into_iter().map(|page| page.unwrap().units.len()).sum();
    assert_eq!(first.units.len() + rest, 1_000);
    let request = proto::ExportUnitsRequest {
        parent: "memories/m".into(),
        query: "\u{2026}".into(),
        ..Default::default()
    };
    let mut pages = clients.units.export_units(request).await.unwrap().into_inner();
    assert_eq!(pages.next().await.unwrap().unwrap_err().code(), Code::InvalidArgument);
}

#[tokio::test]
async fn a_file_says_what_it_is_and_the_header_says_what_to_do_about_it() {
    let (_server, mut clients) = start().await;
    let catalogue = |lang: &str| {
        let fuzzy: String =
            (0..20).map(|it| format!("#, fuzzy\nmsgid \"f{it}\"\nmsgstr \"t\"\n\n")).collect();
        format!(
            "msgid \"\"\nmsgstr \"\"\n\"Language: {lang}\\n\"\n\n{fuzzy}msgid \"a\"\nmsgstr \"b\"\n"
        )
        .into_bytes()
    };
    let id = |last: u8| proto::ImportFileHeader {
        import_id: format!("{}{last}", &ID[..ID.len() - 1]),
        ..header()
    };
    let sums = |answers: &[proto::ImportFileResponse]| {
        let last = answers.last().unwrap();
        let told = answers.iter().map(|it| it.diagnostics.len()).sum::<usize>();
        let causes: Vec<_> = last.causes.iter().map(|it| (it.cause.clone(), it.count)).collect();
        (last.counts.unwrap().stored, last.unfinished, told, causes)
    };
    let answers = send(&mut clients, requests(id(1), &catalogue("en"), 100)).await.unwrap();
    assert_eq!(sums(&answers), (1, 20, 3, vec![("UNFINISHED".to_owned(), 20)]));
    let all = proto::ImportFileHeader { all_diagnostics: true, ..id(2) };
    let answers = send(&mut clients, requests(all, &catalogue("en"), 100)).await.unwrap();
    assert_eq!(sums(&answers).2, 20);
    let keep = proto::ImportFileHeader {
        unfinished_action: proto::UnfinishedAction::Keep.into(),
        ..id(3)
    };
    let answers = send(&mut clients, requests(keep, &catalogue("en"), 100)).await.unwrap();
    let (stored, unfinished, ..) = sums(&answers);
    assert_eq!((stored, unfinished), (21, 0));
    let answers = send(&mut clients, requests(id(4), &catalogue("fr"), 100)).await.unwrap();
    assert_eq!(sums(&answers), (0, 0, 1, vec![("DECLARED_LANGUAGE".to_owned(), 1)]));
    let anyway = proto::ImportFileHeader { ignore_declared_languages: true, ..id(5) };
    let answers = send(&mut clients, requests(anyway, &catalogue("fr"), 100)).await.unwrap();
    assert_eq!(sums(&answers).0, 1);
    let unknown = proto::ImportFileHeader { unfinished_action: 9, ..id(6) };
    assert!(send(&mut clients, requests(unknown, b"ar\ten\n", 100)).await.is_err());
}
