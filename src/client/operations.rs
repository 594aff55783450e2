//! Operations: long calls that run on the server without their client.

use std::fs::File;

use tokio_stream::StreamExt as _;
use uuid::Uuid;

use crate::alignment::Bead;
use crate::engine::backup::Mark;
use crate::formats::Format;
use crate::grpc::convert::{signed, unsigned};
use crate::grpc::proto::import_file_request::Message as ImportMessage;
use crate::grpc::proto::operation::Result as WireResult;
use crate::grpc::proto::operation_response::Response;
use crate::grpc::proto::read_operation_result_response::Answer;
use crate::grpc::proto::{self, OperationKind};
use crate::grpc::truncated_stream;
use crate::unit::{MemoryName, Timestamp};

use super::admin::BackupInfo;
use super::alignment::{SuspectInfo, stage_name};
use super::connection::{Client, ClientStream, stored_unit};
use super::error::ClientError;
use super::import::ImportOrder;
use super::upload::pieces;

/// Counts of a summary by their names, such as `stored`.
pub type Counts = Vec<(&'static str, u64)>;

/// How an operation ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum OperationEnd {
    /// With these counts.
    Done(Counts),
    /// With an error or because it was cancelled: its code, and a message for people.
    Failed(tonic::Code, String),
}

/// The state of an operation.
#[derive(Debug, Clone, PartialEq)]
pub struct OperationInfo {
    /// `operations/…`
    pub name: String,
    /// `import`, `align`, `train`, `check` or `backup`.
    pub kind: &'static str,
    /// When it was started.
    pub created: Option<Timestamp>,
    /// When it was done.
    pub ended: Option<Timestamp>,
    /// What it does, and the completed share; `None` before the first report.
    pub progress: Option<(&'static str, f64)>,
    /// `None` while it is not done.
    pub end: Option<OperationEnd>,
}

/// An answer of the call that an operation ran.
#[derive(Debug, Clone, PartialEq)]
pub enum OperationAnswer {
    /// A diagnostic of an import.
    Diagnostic {
        /// Line in the file, 0 when unknown.
        line: u64,
        /// Number of the unit in the file, 0 when it concerns none.
        unit: u64,
        /// Such as `EMPTY_SEGMENT`.
        cause: String,
        /// For people.
        message: String,
    },
    /// Sentences of the source (`true`) or the target of an alignment.
    Sentences(bool, Vec<String>),
    /// A bead of an alignment.
    Bead(Bead),
    /// A suspect unit of a check.
    Suspect(Box<SuspectInfo>),
    /// Bytes of a part of a backup.
    Content(Vec<u8>),
    /// The end of a part of a backup.
    Backup(BackupInfo),
    /// The end of any other call.
    Summary(Counts),
}

impl Client {
    /// Starts the import of a file, which is uploaded first.
    ///
    /// # Errors
    /// The server's.
    pub async fn start_import(
        &mut self,
        order: ImportOrder,
        format: Option<Format>,
        (file, bytes): (File, u64),
    ) -> Result<OperationInfo, ClientError> {
        let header = proto::ImportFileHeader {
            parent: order.memory.resource(),
            import_id: order.id.to_string(),
            duplicate_policy: proto::DuplicatePolicy::from(order.policy).into(),
            check_action: proto::CheckAction::from(order.check).into(),
            format: format.map(|it| it.name().to_owned()).unwrap_or_default(),
            size_bytes: signed(bytes),
            ..proto::ImportFileHeader::default()
        };
        // A file that cannot be read to its end ends early, which the server sees by its size.
        let (pieces, _) = pieces(file);
        let messages = tokio_stream::once(ImportMessage::Header(header))
            .chain(pieces.map(ImportMessage::Chunk))
            .map(|message| proto::StartImportFileRequest {
                import: Some(proto::ImportFileRequest { message: Some(message) }),
            });
        let started = self.operations.start_import_file(messages).await?.into_inner();
        info(started.operation)
    }

    /// Starts the training of the lexicon of a memory.
    ///
    /// # Errors
    /// The server's.
    pub async fn start_train(&mut self, memory: &MemoryName) -> Result<OperationInfo, ClientError> {
        let request = Some(proto::TrainLexiconRequest { memory: memory.resource() });
        let request_id = Uuid::new_v4().to_string();
        let start = proto::StartTrainLexiconRequest { request, request_id };
        info(self.operations.start_train_lexicon(start).await?.into_inner().operation)
    }

    /// Starts a check of the units of a memory.
    ///
    /// # Errors
    /// The server's.
    pub async fn start_check(
        &mut self,
        memory: &MemoryName,
        min_suspicion: Option<f64>,
        max_units: i32,
    ) -> Result<OperationInfo, ClientError> {
        let memory = memory.resource();
        let request = Some(proto::CheckUnitsRequest { memory, min_suspicion, max_units });
        let request_id = Uuid::new_v4().to_string();
        let start = proto::StartCheckUnitsRequest { request, request_id };
        info(self.operations.start_check_units(start).await?.into_inner().operation)
    }

    /// Starts a backup: of everything, or of what came after a mark.
    ///
    /// # Errors
    /// The server's.
    pub async fn start_backup(
        &mut self,
        full: bool,
        after: Option<Mark>,
    ) -> Result<OperationInfo, ClientError> {
        let request = Some(proto::BackupStoreRequest { after: after.map(Into::into), full });
        let request_id = Uuid::new_v4().to_string();
        let start = proto::StartBackupStoreRequest { request, request_id };
        info(self.operations.start_backup_store(start).await?.into_inner().operation)
    }

    /// The state of an operation.
    ///
    /// # Errors
    /// The server's.
    pub async fn operation(&mut self, name: &str) -> Result<OperationInfo, ClientError> {
        let get = proto::GetOperationRequest { name: name.to_owned() };
        info(self.operations.get_operation(get).await?.into_inner().operation)
    }

    /// A page of operations, the newest first, and the token of the next page, which is empty after the last one.
    ///
    /// # Errors
    /// The server's.
    pub async fn list_operations(
        &mut self,
        (page_size, page_token): (usize, String),
    ) -> Result<(Vec<OperationInfo>, String), ClientError> {
        let page_size = i32::try_from(page_size).unwrap_or(i32::MAX);
        let list = proto::ListOperationsRequest { page_size, page_token };
        let page = self.operations.list_operations(list).await?.into_inner();
        let operations = page.operations.into_iter().map(|it| info(Some(it)));
        Ok((operations.collect::<Result<_, _>>()?, page.next_page_token))
    }

    /// The state of an operation now and whenever it changes, until it is done.
    ///
    /// # Errors
    /// The server's, at once or in the stream.
    pub async fn watch_operation(
        &mut self,
        name: &str,
    ) -> Result<ClientStream<OperationInfo>, ClientError> {
        let watch = proto::WatchOperationRequest { name: name.to_owned() };
        let states = self.operations.watch_operation(watch).await?.into_inner();
        Ok(Box::pin(states.map(|state| info(state?.operation))))
    }

    /// The answers of the call that an operation ran; the error of one that failed comes after them.
    ///
    /// # Errors
    /// The server's, at once or in the stream.
    pub async fn operation_result(
        &mut self,
        name: &str,
    ) -> Result<ClientStream<Vec<OperationAnswer>>, ClientError> {
        let read = proto::ReadOperationResultRequest { name: name.to_owned() };
        let answers = self.operations.read_operation_result(read).await?.into_inner();
        Ok(Box::pin(answers.map(|answer| answer?.answer.map_or(Ok(Vec::new()), of_answer))))
    }

    /// Cancels an operation.
    ///
    /// # Errors
    /// The server's.
    pub async fn cancel_operation(&mut self, name: &str) -> Result<(), ClientError> {
        let cancel = proto::CancelOperationRequest { name: name.to_owned() };
        self.operations.cancel_operation(cancel).await?;
        Ok(())
    }

    /// Deletes an operation that is done, with its result.
    ///
    /// # Errors
    /// The server's.
    pub async fn delete_operation(&mut self, name: &str) -> Result<(), ClientError> {
        let delete = proto::DeleteOperationRequest { name: name.to_owned() };
        self.operations.delete_operation(delete).await?;
        Ok(())
    }
}

fn info(operation: Option<proto::Operation>) -> Result<OperationInfo, ClientError> {
    let operation = operation.ok_or_else(truncated_stream)?;
    let time = |time: Option<prost_types::Timestamp>| time.map(Timestamp::try_from).transpose();
    let kind = match operation.kind() {
        OperationKind::ImportFile => "import",
        OperationKind::AlignDocuments => "align",
        OperationKind::TrainLexicon => "train",
        OperationKind::CheckUnits => "check",
        OperationKind::BackupStore => "backup",
        OperationKind::Unspecified => "unknown",
    };
    let end = match operation.result {
        None if operation.done => Some(OperationEnd::Done(Vec::new())),
        None => None,
        Some(WireResult::Error(error)) => {
            Some(OperationEnd::Failed(tonic::Code::from_i32(error.code), error.message))
        }
        Some(WireResult::Response(response)) => {
            Some(OperationEnd::Done(response.response.map(of_response).unwrap_or_default()))
        }
    };
    Ok(OperationInfo {
        name: operation.name,
        kind,
        created: time(operation.create_time)?,
        ended: time(operation.end_time)?,
        progress: operation.progress.map(|it| (stage_name(it.stage()), it.fraction)),
        end,
    })
}

fn counts<const N: usize>(counts: [(&'static str, i64); N]) -> Counts {
    counts.into_iter().map(|(name, count)| (name, unsigned(count))).collect()
}

fn of_response(response: Response) -> Counts {
    match response {
        Response::ImportFile(it) => {
            let proto::ImportCounts { read, stored, replaced, duplicates, rejected } =
                it.counts.unwrap_or_default();
            counts([
                ("read", read),
                ("stored", stored),
                ("replaced", replaced),
                ("duplicates", duplicates),
                ("rejected", rejected),
                ("unfinished", it.unfinished),
            ])
        }
        Response::AlignDocuments(it) => counts([
            ("source_sentences", it.source_sentences.into()),
            ("target_sentences", it.target_sentences.into()),
            ("beads", it.beads.into()),
            ("stored", it.units_stored),
            ("unconfirmed", it.units_unconfirmed),
            ("duplicates", it.units_duplicate),
            ("rejected", it.units_rejected),
        ]),
        Response::TrainLexicon(it) => counts([
            ("units", it.units),
            ("source_terms", it.source_terms),
            ("target_terms", it.target_terms),
        ]),
        Response::CheckUnits(it) => {
            counts([("units_checked", it.units_checked), ("units_listed", it.units_listed)])
        }
        Response::BackupStore(it) => counts([("units", it.units), ("commits", it.commits)]),
    }
}

/// What is in one message of a result.
fn of_answer(answer: Answer) -> Result<Vec<OperationAnswer>, ClientError> {
    use proto::align_documents_response::Message as Align;
    use proto::backup_store_response::Message as Backup;
    use proto::check_units_response::Message as Check;
    use proto::train_lexicon_response::Message as Train;
    let one = match answer {
        Answer::ImportFile(it) => {
            let diagnostic = |it: proto::FileDiagnostic| OperationAnswer::Diagnostic {
                line: unsigned(it.line),
                unit: unsigned(it.unit),
                cause: it.cause,
                message: it.message,
            };
            return Ok(it.diagnostics.into_iter().map(diagnostic).collect());
        }
        Answer::AlignDocuments(it) => match it.message {
            Some(Align::Sentences(page)) => {
                let is_source = page.side() == proto::TextSide::Source;
                Some(OperationAnswer::Sentences(is_source, page.sentences))
            }
            Some(Align::Bead(bead)) => Some(OperationAnswer::Bead(bead.into())),
            Some(Align::Summary(it)) => {
                Some(OperationAnswer::Summary(of_response(Response::AlignDocuments(it))))
            }
            Some(Align::Progress(_)) | None => None,
        },
        Answer::TrainLexicon(it) => match it.message {
            Some(Train::Summary(it)) => {
                Some(OperationAnswer::Summary(of_response(Response::TrainLexicon(it))))
            }
            Some(Train::Progress(_)) | None => None,
        },
        Answer::CheckUnits(it) => match it.message {
            Some(Check::Suspect(it)) => Some(OperationAnswer::Suspect(Box::new(SuspectInfo {
                unit: stored_unit(it.unit.unwrap_or_default())?,
                suspicion: it.suspicion,
                reasons: it.reasons,
            }))),
            Some(Check::Summary(it)) => {
                Some(OperationAnswer::Summary(of_response(Response::CheckUnits(it))))
            }
            Some(Check::Progress(_)) | None => None,
        },
        Answer::BackupStore(it) => match it.message {
            Some(Backup::Content(bytes)) => Some(OperationAnswer::Content(bytes)),
            Some(Backup::Summary(it)) => {
                let tokens_required = it.tokens_required;
                let part = it.try_into()?;
                Some(OperationAnswer::Backup(BackupInfo { part, tokens_required }))
            }
            Some(Backup::ProgressFraction(_)) | None => None,
        },
    };
    Ok(one.into_iter().collect())
}
