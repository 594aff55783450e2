//! Backup, verification and compaction.

use std::io::Write;

use tokio_stream::StreamExt as _;

use crate::engine::Verified;
use crate::engine::backup::{Mark, PartSummary};

use super::connection::Client;
use super::error::ClientError;
use crate::grpc::proto::backup_store_response::Message as BackupMessage;
use crate::grpc::proto::compact_store_response::Message as CompactMessage;
use crate::grpc::proto::verify_store_response::Message as VerifyMessage;
use crate::grpc::proto::{BackupStoreRequest, CompactStoreRequest, VerifyStoreRequest};
use crate::grpc::{convert::unsigned, truncated_stream};

/// A part of a backup that was created.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BackupInfo {
    /// What it holds.
    pub part: PartSummary,
    /// Whether calls to the server require a token; `None` when it does not say. Always `false` for services in this process.
    pub tokens_required: Option<bool>,
}

/// The result of a compaction.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct CompactInfo {
    /// Bytes of the database on disk, before and after.
    pub bytes: (u64, u64),
    /// Changes after this sequence are still in the log.
    pub oldest_sequence: u64,
}

impl Client {
    /// Writes a part of a backup; it is complete only when this succeeds.
    ///
    /// # Errors
    /// The server's, at once or in the stream; the output's.
    pub async fn backup(
        &mut self,
        (full, after): (bool, Option<Mark>),
        out: &mut impl Write,
        progress: &mut dyn FnMut(f64),
    ) -> Result<BackupInfo, ClientError> {
        let request = BackupStoreRequest { after: after.map(Into::into), full };
        let mut answers = self.admin.backup_store(request).await?.into_inner();
        let mut summary = None;
        while let Some(answer) = answers.next().await {
            match answer?.message {
                Some(BackupMessage::ProgressFraction(done)) => progress(done),
                Some(BackupMessage::Content(bytes)) => {
                    out.write_all(&bytes).map_err(ClientError::Output)?;
                }
                Some(BackupMessage::Summary(it)) => {
                    let tokens_required = it.tokens_required;
                    summary = Some(BackupInfo { part: it.try_into()?, tokens_required });
                }
                None => {}
            }
        }
        Ok(summary.ok_or_else(truncated_stream)?)
    }

    /// Checks the store for consistency.
    ///
    /// # Errors
    /// The server's, at once or in the stream.
    pub async fn verify(&mut self, progress: &mut dyn FnMut(f64)) -> Result<Verified, ClientError> {
        let mut answers = self.admin.verify_store(VerifyStoreRequest {}).await?.into_inner();
        let mut verified = Verified::default();
        let mut summary = None;
        while let Some(answer) = answers.next().await {
            match answer?.message {
                Some(VerifyMessage::ProgressFraction(done)) => progress(done),
                Some(VerifyMessage::Finding(finding)) => verified.findings.push(finding.into()),
                Some(VerifyMessage::Summary(it)) => summary = Some(it),
                None => {}
            }
        }
        let summary = summary.ok_or_else(truncated_stream)?;
        verified.memories = unsigned(summary.memories);
        verified.units = unsigned(summary.units);
        verified.commits = unsigned(summary.commits);
        verified.files = unsigned(summary.files);
        Ok(verified)
    }

    /// Frees disk space and truncates the commit log.
    ///
    /// # Errors
    /// The server's, at once or in the stream.
    pub async fn compact(
        &mut self,
        keep_log_days: u32,
        progress: &mut dyn FnMut(f64),
    ) -> Result<CompactInfo, ClientError> {
        let keep_log_days = Some(i32::try_from(keep_log_days).unwrap_or(i32::MAX));
        let request = CompactStoreRequest { keep_log_days };
        let mut answers = self.admin.compact_store(request).await?.into_inner();
        let mut info = None;
        while let Some(answer) = answers.next().await {
            match answer?.message {
                Some(CompactMessage::ProgressFraction(done)) => progress(done),
                Some(CompactMessage::Summary(it)) => {
                    let bytes = (unsigned(it.bytes_before), unsigned(it.bytes_after));
                    let oldest_sequence = unsigned(it.oldest_sequence);
                    info = Some(CompactInfo { bytes, oldest_sequence });
                }
                None => {}
            }
        }
        Ok(info.ok_or_else(truncated_stream)?)
    }
}
