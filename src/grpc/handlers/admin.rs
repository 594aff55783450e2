//! The calls of `AdminService`: backup, verification, compaction.

use std::io::{self, Write};
use std::time::Duration;

use tonic::{Request, Response, Status};

use crate::engine::backup::Mark;
use crate::limits::{BACKUP_CHUNK_BYTES, LOG_RETENTION_DAYS};

use super::super::api::{Answers, Api, Sender, report, send};
use super::super::call::CallInfo;
use super::super::convert::{Within as _, signed};
use super::super::proto::admin_service_server::AdminService;
use super::super::proto::backup_store_response::Message as BackupMessage;
use super::super::proto::compact_store_response::Message as CompactMessage;
use super::super::proto::verify_store_response::Message as VerifyMessage;
use super::super::proto::{
    BackupStoreRequest, BackupStoreResponse, BackupSummary, CompactStoreRequest,
    CompactStoreResponse, CompactSummary, VerifyStoreRequest, VerifyStoreResponse, VerifySummary,
};
use super::super::status;
use super::super::status::invalid;

#[tonic::async_trait]
impl AdminService for Api {
    type BackupStoreStream = Answers<BackupStoreResponse>;
    type VerifyStoreStream = Answers<VerifyStoreResponse>;
    type CompactStoreStream = Answers<CompactStoreResponse>;

    async fn backup_store(
        &self,
        request: Request<BackupStoreRequest>,
    ) -> Result<Response<Self::BackupStoreStream>, Status> {
        // The layer that requires tokens notes what the caller may see.
        let call = request.extensions().get::<CallInfo>();
        let tokens_required = call.is_some_and(|call| call.caller.is_some());
        self.backup_stream(request.into_inner(), tokens_required).map(Response::new)
    }

    async fn verify_store(
        &self,
        _: Request<VerifyStoreRequest>,
    ) -> Result<Response<Self::VerifyStoreStream>, Status> {
        let answers = self.long_call(move |engine, cancel, answers| {
            let answer = |message| VerifyStoreResponse { message: Some(message) };
            let progress =
                |done: f32| report(answers, answer(VerifyMessage::ProgressFraction(done.into())));
            let verified = engine.verify(cancel, &progress).map_err(status::from_engine)?;
            let summary = VerifySummary::from(&verified);
            for finding in verified.findings {
                send(answers, answer(VerifyMessage::Finding(finding.into())));
            }
            send(answers, answer(VerifyMessage::Summary(summary)));
            Ok(())
        })?;
        Ok(Response::new(answers))
    }

    async fn compact_store(
        &self,
        request: Request<CompactStoreRequest>,
    ) -> Result<Response<Self::CompactStoreStream>, Status> {
        let days = match request.into_inner().keep_log_days {
            None => LOG_RETENTION_DAYS,
            Some(days) => u32::try_from(days)
                .map_err(|_| invalid("keep_log_days", "a number of days, 0 or more"))?,
        };
        let keep_log = Duration::from_secs(u64::from(days) * 24 * 3_600);
        let answers = self.long_call(move |engine, cancel, answers| {
            let answer = |message| CompactStoreResponse { message: Some(message) };
            let progress =
                |done: f32| report(answers, answer(CompactMessage::ProgressFraction(done.into())));
            let done = engine.compact(keep_log, cancel, &progress).map_err(status::from_engine)?;
            let summary = CompactSummary {
                bytes_before: signed(done.bytes.0),
                bytes_after: signed(done.bytes.1),
                oldest_sequence: signed(done.log_start.sequence.0),
            };
            send(answers, answer(CompactMessage::Summary(summary)));
            Ok(())
        })?;
        Ok(Response::new(answers))
    }
}

impl Api {
    pub(super) fn backup_stream(
        &self,
        request: BackupStoreRequest,
        tokens_required: bool,
    ) -> Result<Answers<BackupStoreResponse>, Status> {
        let BackupStoreRequest { after, full } = request;
        let after = after.map(|mark| Mark::try_from(mark).within("after")).transpose()?;
        self.long_call(move |engine, cancel, answers| {
            let answer = |message| BackupStoreResponse { message: Some(message) };
            let progress =
                |done: f32| report(answers, answer(BackupMessage::ProgressFraction(done.into())));
            let mut out = Chunks { answers, waiting: Vec::new() };
            let summary = engine.backup((full, after), &mut out, cancel, &progress);
            let summary = summary.map_err(status::from_engine)?;
            let summary =
                BackupSummary { tokens_required: Some(tokens_required), ..summary.into() };
            send(answers, answer(BackupMessage::Summary(summary)));
            Ok(())
        })
    }
}

/// Sends what is written as messages, at the pace of the reader.
struct Chunks<'a> {
    answers: &'a Sender<BackupStoreResponse>,
    waiting: Vec<u8>,
}

impl Chunks<'_> {
    fn send(&mut self) -> io::Result<()> {
        if self.waiting.is_empty() {
            return Ok(());
        }
        let content = BackupMessage::Content(std::mem::take(&mut self.waiting));
        let message = BackupStoreResponse { message: Some(content) };
        if send(self.answers, message) {
            Ok(())
        } else {
            Err(io::Error::other("the reader went away"))
        }
    }
}

impl Write for Chunks<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.waiting.extend_from_slice(bytes);
        if self.waiting.len() >= BACKUP_CHUNK_BYTES {
            self.send()?;
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.send()
    }
}
