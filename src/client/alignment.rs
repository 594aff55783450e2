//! Alignment of documents and words, training, quality checks.

use tokio_stream::StreamExt as _;
use tonic::Streaming;

use crate::alignment::Bead;
use crate::engine::{AlignedWords, DocumentPair, StoreOptions};
use crate::unit::{Lang, MemoryName, Unit};

use super::connection::{Client, stored_unit};
use super::error::ClientError;
use crate::grpc::convert::unsigned;
use crate::grpc::proto;
use crate::grpc::proto::align_documents_response::Message as AlignMessage;
use crate::grpc::proto::check_units_response::Message as CheckMessage;
use crate::grpc::proto::train_lexicon_response::Message as TrainMessage;
use crate::grpc::proto::{AlignSummary, WorkProgress, WorkStage};

/// Receives the stage of a long call and its completed share, from 0 to 1.
pub type Progress<'a> = &'a mut (dyn FnMut(&'static str, f64) + Send);

/// The result of aligning a document.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct AlignReport {
    /// Every sentence is in exactly one.
    pub beads: Vec<Bead>,
    /// Warnings about the documents.
    pub warnings: Vec<String>,
    /// Units stored, and of those the unconfirmed ones.
    pub stored: (u64, u64),
    /// Beads not stored: duplicates, low confidence, rejected.
    pub not_stored: [u64; 3],
}

/// The trained lexicon of a memory.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct LexiconInfo {
    /// Units it was trained on.
    pub units: u64,
    /// Terms of the source and of the target.
    pub terms: (u64, u64),
}

/// A suspect unit.
#[derive(Debug, Clone, PartialEq)]
pub struct SuspectInfo {
    /// The unit.
    pub unit: Unit,
    /// From 0 to 1.
    pub suspicion: f64,
    /// Worst first.
    pub reasons: Vec<String>,
}

impl Client {
    /// Aligns the sentences of a document, and optionally stores the beads.
    ///
    /// # Errors
    /// The server's, at once or in the stream.
    pub async fn align_documents(
        &mut self,
        pair: &DocumentPair,
        store: Option<StoreOptions>,
        report_progress: Progress<'_>,
    ) -> Result<AlignReport, ClientError> {
        let side = |sentences: &[String]| {
            let sentences = sentences.to_vec();
            Some(proto::DocumentSide { sentences, ..proto::DocumentSide::default() })
        };
        let request = proto::AlignDocumentsRequest {
            source_language_code: pair.source_lang.to_string(),
            target_language_code: pair.target_lang.to_string(),
            source: side(&pair.source),
            target: side(&pair.target),
            memories: pair.memories.iter().map(MemoryName::resource).collect(),
            store_options: store.map(Into::into),
        };
        let answers = self.alignment.align_documents(request).await?.into_inner();
        let mut aligned = AlignReport::default();
        each(answers, |answer| {
            match answer.message {
                Some(AlignMessage::Progress(progress)) => report(&progress, report_progress),
                Some(AlignMessage::Bead(bead)) => aligned.beads.push(bead.into()),
                Some(AlignMessage::Summary(summary)) => summarize(&mut aligned, summary),
                Some(AlignMessage::Sentences(_)) | None => {}
            }
            Ok(())
        })
        .await?;
        Ok(aligned)
    }

    /// Links the words of texts and their translations; results in their order.
    ///
    /// # Errors
    /// The server's.
    pub async fn align_words(
        &mut self,
        langs: (&Lang, &Lang),
        memories: &[MemoryName],
        pairs: Vec<(String, String)>,
    ) -> Result<Vec<AlignedWords>, ClientError> {
        let pair = |(source, target)| proto::WordPair { source, target, unit: String::new() };
        let request = proto::AlignWordsRequest {
            source_language_code: langs.0.to_string(),
            target_language_code: langs.1.to_string(),
            memories: memories.iter().map(MemoryName::resource).collect(),
            pairs: pairs.into_iter().map(pair).collect(),
            ..proto::AlignWordsRequest::default()
        };
        let response = self.alignment.align_words(request).await?.into_inner();
        Ok(response.pairs.into_iter().map(Into::into).collect())
    }

    /// Trains the lexicon of a memory.
    ///
    /// # Errors
    /// The server's, at once or in the stream.
    pub async fn train(
        &mut self,
        memory: &MemoryName,
        report_progress: Progress<'_>,
    ) -> Result<LexiconInfo, ClientError> {
        let request = proto::TrainLexiconRequest { memory: memory.resource() };
        let answers = self.alignment.train_lexicon(request).await?.into_inner();
        let mut info = LexiconInfo::default();
        each(answers, |answer| {
            match answer.message {
                Some(TrainMessage::Progress(progress)) => report(&progress, report_progress),
                Some(TrainMessage::Summary(it)) => {
                    let terms = (unsigned(it.source_terms), unsigned(it.target_terms));
                    info = LexiconInfo { units: unsigned(it.units), terms };
                }
                None => {}
            }
            Ok(())
        })
        .await?;
        Ok(info)
    }

    /// The suspect units of a memory, worst first, and the number of units checked.
    ///
    /// # Errors
    /// The server's, at once or in the stream.
    pub async fn check_units(
        &mut self,
        memory: &MemoryName,
        min_suspicion: Option<f64>,
        max_units: i32,
        report_progress: Progress<'_>,
    ) -> Result<(Vec<SuspectInfo>, u64), ClientError> {
        let memory = memory.resource();
        let request = proto::CheckUnitsRequest { memory, min_suspicion, max_units };
        let answers = self.alignment.check_units(request).await?.into_inner();
        let (mut suspects, mut checked) = (Vec::new(), 0);
        each(answers, |answer| {
            match answer.message {
                Some(CheckMessage::Progress(progress)) => report(&progress, report_progress),
                Some(CheckMessage::Suspect(suspect)) => suspects.push(SuspectInfo {
                    unit: stored_unit(suspect.unit.unwrap_or_default())?,
                    suspicion: suspect.suspicion,
                    reasons: suspect.reasons,
                }),
                Some(CheckMessage::Summary(summary)) => checked = unsigned(summary.units_checked),
                None => {}
            }
            Ok(())
        })
        .await?;
        Ok((suspects, checked))
    }
}

/// Reads a stream to its end.
async fn each<T>(
    mut answers: Streaming<T>,
    mut take: impl FnMut(T) -> Result<(), ClientError>,
) -> Result<(), ClientError> {
    while let Some(answer) = answers.next().await {
        take(answer?)?;
    }
    Ok(())
}

fn report(progress: &WorkProgress, report_progress: Progress<'_>) {
    report_progress(stage_name(progress.stage()), progress.fraction);
}

/// What is done in a stage of long work.
pub(super) fn stage_name(stage: WorkStage) -> &'static str {
    match stage {
        WorkStage::Training => "training",
        WorkStage::Aligning => "aligning",
        WorkStage::Storing => "storing",
        WorkStage::Checking => "checking",
        WorkStage::Unspecified => "working",
    }
}

fn summarize(report: &mut AlignReport, summary: AlignSummary) {
    report.warnings = summary.warnings;
    report.stored = (unsigned(summary.units_stored), unsigned(summary.units_unconfirmed));
    let not_stored = [summary.units_duplicate, summary.beads_left_out, summary.units_rejected];
    report.not_stored = not_stored.map(unsigned);
}
