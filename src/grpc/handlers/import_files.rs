//! `ImportFile`: the session of an import whose file arrives in pieces, which a reader on a thread of its own parses.
//!
//! Everything between has a bound: pieces that wait for the reader, batches that wait for their checks, units that are being
//! written. A client that stops reading stops being read from; one that goes away ends the reader, and what was acknowledged
//! stays.

use std::collections::{BTreeMap, VecDeque};
use std::io::{self, Read};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use bytes::{Buf as _, Bytes};
use tokio::sync::{OwnedSemaphorePermit, mpsc};
use tokio_stream::wrappers::ReceiverStream;
use tokio_stream::{Stream, StreamExt as _};
use tonic::{Status, Streaming};

use crate::engine::{Batch, Batches};
use crate::formats::{self, Format, ReadOptions};
use crate::limits::IMPORT_FILES_MAX;
use crate::unit::{Diagnostic, Place};

use super::super::api::{Answers, Api, Lifetime, Sender};
use super::super::convert::{Within as _, check_action, parse, signed, unfinished};
use super::super::proto::import_file_request::Message;
use super::super::proto::{
    CauseCount, FileDiagnostic, ImportFileHeader, ImportFileRequest, ImportFileResponse,
};
use super::super::status;
use super::super::status::invalid;
use super::import_session::{ImportAck, ImportSession, IncomingBatch, RejectedUnit, run};
use super::import_units::import;

/// Pieces that wait for the reader, and batches that wait for their checks.
const WAITING: usize = 2;

impl Api {
    pub(super) fn import_file_stream(
        &self,
        requests: Streaming<ImportFileRequest>,
    ) -> Result<Answers<ImportFileResponse>, Status> {
        let place = self.files.clone().try_acquire_owned().map_err(|_| {
            let what = format!(
                "{IMPORT_FILES_MAX} files are being imported already; try again when one is done"
            );
            status::too_much(&what)
        })?;
        self.import_file_answers(place, requests)
    }

    /// The answers of an import, which holds a place of `files`.
    pub(super) fn import_file_answers(
        &self,
        place: OwnedSemaphorePermit,
        requests: impl Stream<Item = Result<ImportFileRequest, Status>> + Send + Unpin + 'static,
    ) -> Result<Answers<ImportFileResponse>, Status> {
        self.stream(Lifetime::UntilDone, |api, answers| async move {
            let _place = place;
            import_file(api, requests, answers).await
        })
    }

    /// Checks a header, before the file that comes after it has arrived.
    pub(super) fn check_file_header(&self, header: ImportFileHeader) -> Result<(), Status> {
        session(self, header).map(drop)
    }
}

async fn import_file(
    api: Api,
    mut requests: impl Stream<Item = Result<ImportFileRequest, Status>> + Send + Unpin,
    answers: Sender<ImportFileResponse>,
) -> Result<(), Status> {
    let first = requests.next().await.transpose()?.and_then(|it| it.message);
    let Some(Message::Header(header)) = first else {
        return Err(invalid("message", "an import begins with its header"));
    };
    let size_bytes = match header.size_bytes {
        0 => None,
        size => Some(
            u64::try_from(size)
                .map_err(|_| invalid("header.size_bytes", "a size is not negative"))?,
        ),
    };
    let all_diagnostics = header.all_diagnostics;
    let (session, options) = session(&api, header)?;
    let (pieces, received) = mpsc::channel(WAITING);
    let (batches, read) = mpsc::channel(WAITING);
    let reading = tokio::task::spawn_blocking(move || {
        let broken = Arc::default();
        let pieces = Pieces { received, piece: Bytes::new(), ended: false, broken };
        read_file(pieces, &options, &batches);
    });
    let report = Report { all_diagnostics, ..Report::default() };
    let report = Arc::new(Mutex::new(report));
    let answered = Arc::clone(&report);
    let batches = ReceiverStream::new(read)
        .zip_numbers()
        .map(move |(number, batch)| Ok(incoming(number, batch?, &report)));
    let answer = move |ack| answered.lock().unwrap_or_else(PoisonError::into_inner).response(ack);
    let mut session = std::pin::pin!(run(api, session, batches, answers, answer));
    let sending = send(requests, pieces, size_bytes);
    let done = tokio::select! {
        // The file is complete, or broke off; the session still has batches to finish.
        sent = sending => match sent {
            Ok(()) => session.await,
            Err(broken) => {
                // It ends with the same failure, in less precise words.
                let _ = session.await;
                Err(broken)
            }
        },
        done = &mut session => done,
    };
    // The reader ends by itself when its batches have no receiver.
    drop(reading);
    done
}

/// Numbers a stream from 1.
trait Numbered: Stream + Sized {
    fn zip_numbers(self) -> impl Stream<Item = (i64, Self::Item)> {
        let mut number = 0;
        self.map(move |item| {
            number += 1;
            (number, item)
        })
    }
}

impl<S: Stream> Numbered for S {}

fn session(api: &Api, header: ImportFileHeader) -> Result<(ImportSession, ReadOptions), Status> {
    let (import, record) = import(api, &header.parent, &header.import_id, header.duplicate_policy)?;
    let format = match header.format.as_str() {
        "" => None,
        format => Some(parse::<Format>("header.format", format)?),
    };
    let given = |text: String| Some(text).filter(|text| !text.is_empty());
    let options = ReadOptions {
        format,
        source_column: given(header.source_column),
        target_column: given(header.target_column),
        tags: !header.no_tags,
        swap: header.swap,
        ignore_declared_languages: header.ignore_declared_languages,
        unfinished: unfinished(header.unfinished_action).within("header")?,
        ..ReadOptions::new(record.source_lang, record.target_lang, "")
    };
    Ok((
        ImportSession { import, check: check_action(header.check_action).within("header")? },
        options,
    ))
}

/// Passes the pieces of a file to its reader. An error is that of a stream that broke off, which the reader sees as well.
async fn send(
    mut requests: impl Stream<Item = Result<ImportFileRequest, Status>> + Unpin,
    pieces: mpsc::Sender<Piece>,
    size_bytes: Option<u64>,
) -> Result<(), Status> {
    let mut sent_bytes = 0;
    let broken = loop {
        let piece = match requests.next().await {
            None if size_bytes.is_some_and(|size| size != sent_bytes) => {
                break invalid("header.size_bytes", &wrong_size(size_bytes, sent_bytes));
            }
            None => Piece::End,
            Some(Ok(ImportFileRequest { message: Some(Message::Chunk(bytes)) })) => {
                sent_bytes += bytes.len() as u64;
                if size_bytes.is_some_and(|size| size < sent_bytes) {
                    break invalid("header.size_bytes", &wrong_size(size_bytes, sent_bytes));
                }
                Piece::Bytes(bytes)
            }
            Some(Ok(_)) => break invalid("message", "after the header come pieces of the file"),
            Some(Err(error)) => break error,
        };
        let ended = matches!(piece, Piece::End);
        // The reader has ended when the file cannot be read; the session says why.
        if pieces.send(piece).await.is_err() || ended {
            return Ok(());
        }
    };
    drop(pieces);
    Err(broken)
}

fn wrong_size(size_bytes: Option<u64>, sent_bytes: u64) -> String {
    format!(
        "{sent_bytes} bytes of a file of {} bytes arrived; what is acknowledged stays: send the file again to resume",
        size_bytes.unwrap_or_default()
    )
}

enum Piece {
    Bytes(Vec<u8>),
    /// The file is complete.
    End,
}

/// A file as it arrives; reading blocks until the next piece.
struct Pieces {
    received: mpsc::Receiver<Piece>,
    piece: Bytes,
    ended: bool,
    /// Set when the stream broke off.
    broken: Arc<AtomicBool>,
}

impl Read for Pieces {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        while self.piece.is_empty() && !self.ended {
            match self.received.blocking_recv() {
                Some(Piece::Bytes(bytes)) => self.piece = bytes.into(),
                Some(Piece::End) => self.ended = true,
                None => {
                    self.broken.store(true, Ordering::Release);
                    let what = "the client went away in the middle of the file";
                    return Err(io::Error::new(io::ErrorKind::ConnectionAborted, what));
                }
            }
        }
        let bytes = self.piece.len().min(buffer.len());
        self.piece.copy_to_slice(&mut buffer[..bytes]);
        Ok(bytes)
    }
}

/// Reads a file to its end, or until its batches have no receiver; the last one is empty and says so. What was read when the
/// stream broke off is not a batch of the file: it would count as done when the file is sent again.
fn read_file(
    pieces: Pieces,
    options: &ReadOptions,
    batches: &mpsc::Sender<Result<Option<Batch>, Status>>,
) {
    let broken = Arc::clone(&pieces.broken);
    let reader = match formats::open(Box::new(pieces), options) {
        Ok(reader) => reader,
        Err(error) => {
            // It fails only when the session has ended.
            let _ = batches.blocking_send(Err(unreadable(&error.to_string())));
            return;
        }
    };
    for batch in Batches::new(reader) {
        let batch = batch.map(Some).map_err(|error| unreadable(&error.to_string()));
        if broken.load(Ordering::Acquire) || batches.blocking_send(batch).is_err() {
            return;
        }
    }
    if !broken.load(Ordering::Acquire) {
        let _ = batches.blocking_send(Ok(None));
    }
}

fn unreadable(what: &str) -> Status {
    invalid("chunk", what)
}

/// Diagnostics of each cause that are sent when the client does not ask for all.
const EXAMPLES_MAX: u64 = 3;

/// What the answers report about the batches that are being written.
#[derive(Default)]
struct Report {
    batches: VecDeque<ReportBatch>,
    bytes_read: u64,
    all_diagnostics: bool,
    /// Diagnostics so far, by cause and whether they are only notices.
    causes: BTreeMap<(String, bool), u64>,
    unfinished: u64,
}

struct ReportBatch {
    number: u64,
    places: Vec<Place>,
    diagnostics: Vec<FileDiagnostic>,
    unfinished: u64,
    bytes_read: u64,
}

fn incoming(number: i64, batch: Option<Batch>, report: &Mutex<Report>) -> IncomingBatch {
    let Some(batch) = batch else {
        return IncomingBatch { number, units: Vec::new(), rejected: 0, last: true };
    };
    let rejected = batch.rejected.len() as u64;
    let fault = |it: &Diagnostic, notice| {
        diagnostic(&it.place, (it.cause.code().to_owned(), it.message.clone()), notice)
    };
    let faults = batch.rejected.iter().map(|it| fault(&it.diagnostic, false));
    let unfinished = batch.unfinished.len() as u64;
    let notices = batch.notices.iter().chain(&batch.unfinished).map(|it| fault(it, true));
    let diagnostics = faults.chain(notices).collect();
    let (units, places) =
        batch.units.into_iter().map(|unit| (Ok(unit.content), unit.place)).unzip();
    report.lock().unwrap_or_else(PoisonError::into_inner).batches.push_back(ReportBatch {
        number: u64::try_from(number).unwrap_or_default(),
        places,
        diagnostics,
        unfinished,
        bytes_read: batch.bytes_read,
    });
    IncomingBatch { number, units, rejected, last: false }
}

impl Report {
    fn response(&mut self, ack: ImportAck) -> ImportFileResponse {
        let mut diagnostics = Vec::new();
        while self.batches.front().is_some_and(|it| it.number <= ack.batch)
            && let Some(batch) = self.batches.pop_front()
        {
            self.bytes_read = batch.bytes_read;
            self.unfinished += batch.unfinished;
            diagnostics.extend(batch.diagnostics);
            let own = ack.rejected.iter().filter(|it| it.batch == batch.number);
            diagnostics.extend(own.map(|it: &RejectedUnit| {
                let place = batch.places.get(it.index).cloned().unwrap_or_default();
                diagnostic(&place, (it.cause.clone(), it.message.clone()), false)
            }));
        }
        diagnostics.sort_by_key(|it| (it.line, it.unit));
        diagnostics.retain(|it| self.count(it) || self.all_diagnostics);
        let causes = self.causes.iter().map(|((cause, notice), count)| CauseCount {
            cause: cause.clone(),
            count: signed(*count),
            notice: *notice,
        });
        ImportFileResponse {
            counts: Some(ack.counts.into()),
            bytes_read: signed(self.bytes_read),
            diagnostics,
            complete: ack.complete,
            causes: causes.collect(),
            unfinished: signed(self.unfinished),
        }
    }

    /// Counts a diagnostic; whether it is one of the first of its cause.
    fn count(&mut self, diagnostic: &FileDiagnostic) -> bool {
        let cause = (diagnostic.cause.clone(), diagnostic.notice);
        let count = self.causes.entry(cause).or_default();
        *count += 1;
        *count <= EXAMPLES_MAX
    }
}

fn diagnostic(place: &Place, (cause, message): (String, String), notice: bool) -> FileDiagnostic {
    FileDiagnostic {
        line: signed(place.line),
        column: signed(place.column),
        unit: signed(place.unit),
        cause,
        message,
        notice,
    }
}
