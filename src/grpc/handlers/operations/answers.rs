//! Records the answers of a call: progress is reported, the others go into the result of the operation.

use std::sync::Arc;

use prost::Message as _;
use tokio_stream::StreamExt as _;
use tonic::Status;

use crate::operations::{Operation, Operations, Progress, ResultWriter};

use super::super::super::api::Answers;
use super::super::super::proto::operation_response::Response;
use super::super::super::proto::read_operation_result_response::Answer;
use super::super::super::proto::{
    self, AlignDocumentsResponse, BackupStoreResponse, CheckUnitsResponse, ImportFileResponse,
    OperationResponse, ReadOperationResultResponse, TrainLexiconResponse, WorkProgress, WorkStage,
};
use super::super::super::status::{internal, truncated_stream};
use super::view::blocking;

/// What one answer is for an operation.
#[derive(Default)]
pub(super) struct Noted {
    progress: Option<Progress>,
    answer: Option<Answer>,
    response: Option<Response>,
}

impl Noted {
    fn progress(progress: WorkProgress) -> Self {
        let WorkProgress { stage, fraction } = progress;
        Self { progress: Some(Progress { stage, fraction }), ..Self::default() }
    }

    fn fraction(fraction: f64) -> Self {
        Self::progress(WorkProgress { stage: WorkStage::Unspecified.into(), fraction })
    }

    fn answer(answer: Answer) -> Self {
        Self { answer: Some(answer), ..Self::default() }
    }

    fn last(answer: Answer, response: Response) -> Self {
        Self { response: Some(response), ..Self::answer(answer) }
    }
}

/// An answer of an import of a file of `size_bytes`: each holds the totals so far, so the last one is the response.
pub(super) fn of_import(size_bytes: u64) -> impl Fn(ImportFileResponse) -> Noted + Send {
    move |answer| {
        #[expect(clippy::cast_precision_loss, reason = "a share for people")]
        let fraction = (answer.bytes_read as f64 / size_bytes as f64).clamp(0.0, 1.0);
        let stage = WorkStage::Storing.into();
        Noted {
            response: answer.complete.then(|| Response::ImportFile(answer.clone())),
            answer: (!answer.diagnostics.is_empty()).then_some(Answer::ImportFile(answer)),
            progress: Some(Progress { stage, fraction }),
        }
    }
}

pub(super) fn of_align(answer: AlignDocumentsResponse) -> Noted {
    use proto::align_documents_response::Message;
    match answer.message {
        None => Noted::default(),
        Some(Message::Progress(progress)) => Noted::progress(progress),
        Some(Message::Summary(ref summary)) => {
            let response = Response::AlignDocuments(summary.clone());
            Noted::last(Answer::AlignDocuments(answer), response)
        }
        Some(Message::Sentences(_) | Message::Bead(_)) => {
            Noted::answer(Answer::AlignDocuments(answer))
        }
    }
}

pub(super) fn of_train(answer: TrainLexiconResponse) -> Noted {
    use proto::train_lexicon_response::Message;
    match answer.message {
        None => Noted::default(),
        Some(Message::Progress(progress)) => Noted::progress(progress),
        Some(Message::Summary(summary)) => {
            Noted::last(Answer::TrainLexicon(answer), Response::TrainLexicon(summary))
        }
    }
}

pub(super) fn of_check(answer: CheckUnitsResponse) -> Noted {
    use proto::check_units_response::Message;
    match answer.message {
        None => Noted::default(),
        Some(Message::Progress(progress)) => Noted::progress(progress),
        Some(Message::Summary(summary)) => {
            Noted::last(Answer::CheckUnits(answer), Response::CheckUnits(summary))
        }
        Some(Message::Suspect(_)) => Noted::answer(Answer::CheckUnits(answer)),
    }
}

pub(super) fn of_backup(answer: BackupStoreResponse) -> Noted {
    use proto::backup_store_response::Message;
    match answer.message {
        None => Noted::default(),
        Some(Message::ProgressFraction(fraction)) => Noted::fraction(fraction),
        Some(Message::Summary(ref summary)) => {
            let response = Response::BackupStore(*summary);
            Noted::last(Answer::BackupStore(answer), response)
        }
        Some(Message::Content(_)) => Noted::answer(Answer::BackupStore(answer)),
    }
}

/// Reads the answers of a call to their end; the last one. What was answered before an error is recorded too.
pub(super) async fn record<T>(
    (operations, operation): (&Arc<Operations>, &Arc<Operation>),
    mut answers: Answers<T>,
    note: impl Fn(T) -> Noted + Send,
) -> Result<OperationResponse, Status> {
    let (of_blocking, this) = (Arc::clone(operations), Arc::clone(operation));
    let result = blocking(move || of_blocking.write_result(&this)).await?;
    let mut result = result.map_err(|error| unwritable(&error))?;
    let mut response = None;
    let error = loop {
        let answer = match answers.next().await {
            None => break None,
            Some(Err(error)) => break Some(error),
            Some(Ok(answer)) => answer,
        };
        let noted = note(answer);
        if let Some(progress) = noted.progress {
            operation.report(progress);
        }
        response = noted.response.or(response);
        if let Some(answer) = noted.answer {
            let answer = ReadOperationResultResponse { answer: Some(answer) };
            if result.add(&answer.encode_to_vec()) {
                result = write(result).await?;
            }
        }
    };
    let finished = blocking(move || result.finish()).await?;
    if let Some(error) = error {
        return Err(error);
    }
    finished.map_err(|error| unwritable(&error))?;
    // A call that ends without its last answer has panicked; the log says where.
    Ok(OperationResponse { response: Some(response.ok_or_else(truncated_stream)?) })
}

async fn write(mut result: ResultWriter) -> Result<ResultWriter, Status> {
    let written = blocking(move || result.write().map(|()| result)).await?;
    written.map_err(|error| unwritable(&error))
}

fn unwritable(error: &std::io::Error) -> Status {
    internal(&format!("the result of an operation cannot be written: {error}"))
}
