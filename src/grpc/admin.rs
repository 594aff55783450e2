//! The calls of `AdminService`: backup, verification, compaction.

use std::io::{self, Write};
use std::time::Duration;

use tonic::{Request, Response, Status};

use crate::engine::backup::{Mark, PartSummary};
use crate::engine::{Finding, Severity};
use crate::limits::{BACKUP_CHUNK_BYTES, LOG_RETENTION_DAYS};
use crate::store::Sequence;

use super::access::Visible;
use super::alignment_streams::{send, tell};
use super::convert::{signed, timestamp, timestamp_to_wire};
use super::proto::admin_service_server::AdminService;
use super::proto::backup_store_response::Message as BackupMessage;
use super::proto::compact_store_response::Message as CompactMessage;
use super::proto::verify_store_response::Message as VerifyMessage;
use super::proto::{
    BackupStoreRequest, BackupStoreResponse, BackupSummary, CommitMark, CompactStoreRequest,
    CompactStoreResponse, CompactSummary, FindingSeverity, VerifyFinding, VerifyStoreRequest,
    VerifyStoreResponse, VerifySummary,
};
use super::status::invalid;
use super::unit_streams::{Answers, Sender};
use super::{Api, status};

#[tonic::async_trait]
impl AdminService for Api {
    type BackupStoreStream = Answers<BackupStoreResponse>;
    type VerifyStoreStream = Answers<VerifyStoreResponse>;
    type CompactStoreStream = Answers<CompactStoreResponse>;

    async fn backup_store(
        &self,
        request: Request<BackupStoreRequest>,
    ) -> Result<Response<Self::BackupStoreStream>, Status> {
        // What a caller may see is noted by the layer that asks for tokens.
        let tokens_required = request.extensions().get::<Visible>().is_some();
        let BackupStoreRequest { after, full } = request.into_inner();
        let after = after.map(mark).transpose()?;
        let answers = self.long_call(move |engine, cancel, answers| {
            let answer = |message| BackupStoreResponse { message: Some(message) };
            let told = |done: f32| tell(answers, answer(BackupMessage::Progress(done.into())));
            let mut out = Chunks { answers, waiting: Vec::new() };
            let summary = engine.backup((full, after), &mut out, cancel, &told);
            let summary = summary.map_err(status::from_engine)?;
            let summary = summary_to_wire(summary, tokens_required);
            send(answers, answer(BackupMessage::Summary(summary)));
            Ok(())
        })?;
        Ok(Response::new(answers))
    }

    async fn verify_store(
        &self,
        _: Request<VerifyStoreRequest>,
    ) -> Result<Response<Self::VerifyStoreStream>, Status> {
        let answers = self.long_call(move |engine, cancel, answers| {
            let answer = |message| VerifyStoreResponse { message: Some(message) };
            let told = |done: f32| tell(answers, answer(VerifyMessage::Progress(done.into())));
            let verified = engine.verify(cancel, &told).map_err(status::from_engine)?;
            let summary = VerifySummary {
                memories: signed(verified.memories),
                units: signed(verified.units),
                commits: signed(verified.commits),
                files: signed(verified.files),
                findings: signed(verified.findings.len() as u64),
            };
            for finding in verified.findings {
                send(answers, answer(VerifyMessage::Finding(finding_to_wire(finding))));
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
            let told = |done: f32| tell(answers, answer(CompactMessage::Progress(done.into())));
            let done = engine.compact(keep_log, cancel, &told).map_err(status::from_engine)?;
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

/// Sends what is written in messages; the reader's pace is the writer's.
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

fn mark(mark: CommitMark) -> Result<Mark, Status> {
    let sequence = u64::try_from(mark.sequence)
        .map_err(|_| invalid("after.sequence", "not a sequence: 0 or more"))?;
    let time = timestamp("after.commit_time", mark.commit_time.unwrap_or_default())?;
    Ok(Mark { sequence: Sequence(sequence), checksum: mark.chain, time })
}

pub(crate) fn mark_to_wire(mark: Mark) -> CommitMark {
    CommitMark {
        sequence: signed(mark.sequence.0),
        chain: mark.checksum,
        commit_time: Some(timestamp_to_wire(mark.time)),
    }
}

fn summary_to_wire(summary: PartSummary, tokens_required: bool) -> BackupSummary {
    BackupSummary {
        full: summary.full,
        after: Some(mark_to_wire(summary.after)),
        through: Some(mark_to_wire(summary.through)),
        units: signed(summary.units),
        commits: signed(summary.commits),
        tokens_required: Some(tokens_required),
    }
}

pub(crate) fn summary_of(summary: BackupSummary) -> Result<PartSummary, Status> {
    Ok(PartSummary {
        full: summary.full,
        after: mark(summary.after.unwrap_or_default())?,
        through: mark(summary.through.unwrap_or_default())?,
        units: u64::try_from(summary.units).unwrap_or_default(),
        commits: u64::try_from(summary.commits).unwrap_or_default(),
    })
}

fn finding_to_wire(finding: Finding) -> VerifyFinding {
    let severity = match finding.severity {
        Severity::Damage => FindingSeverity::Damage,
        Severity::Derived => FindingSeverity::Derived,
    };
    VerifyFinding { severity: severity.into(), what: finding.what }
}
