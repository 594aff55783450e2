//! Who sees which operations, and the calls that look at them, wait for them, end them.

use std::sync::Arc;
use std::time::{Duration, Instant};

use prost::Message as _;
use tonic::{Code, Request, Status};
use uuid::Uuid;

use crate::engine::now as time_now;
use crate::limits::OPERATION_WATCH_PAUSE;
use crate::operations::{DeleteError, Operation, Outcome};

use super::super::super::access::{Role, Visible};
use super::super::super::api::{Answers, Api, Lifetime, send};
use super::super::super::call::CallInfo;
use super::super::super::convert::{PageToken, failed, operation_id, operation_to_wire, page_size};
use super::super::super::proto::{
    self, ListOperationsRequest, ListOperationsResponse, ReadOperationResultResponse,
    WaitOperationRequest, WatchOperationResponse,
};
use super::super::super::status::{self, internal, invalid, refusal};

/// Who asks.
pub(super) struct Caller {
    /// The id of its token; `None` where no tokens are in use.
    pub(super) token: Option<Arc<str>>,
    /// Whether it sees the operations of others.
    sees_all: bool,
}

impl Caller {
    pub(super) fn of<T>(request: &Request<T>) -> Self {
        let caller = request.extensions().get::<CallInfo>().and_then(|call| call.caller.as_ref());
        let is_admin = |it: &Visible| it.0.role_for_all() == Some(Role::Admin);
        Self {
            token: caller.map(|(token, _)| Arc::clone(token)),
            // Without tokens, everything is allowed.
            sees_all: caller.is_none_or(|(_, visible)| is_admin(visible)),
        }
    }

    /// Whether it started the operation.
    pub(super) fn owns(&self, operation: &Operation) -> bool {
        operation.header.owner.as_deref() == self.token.as_deref()
    }

    fn sees(&self, operation: &Operation) -> bool {
        self.sees_all || self.owns(operation)
    }
}

/// An operation in its state now.
pub(super) fn now(operation: &Operation) -> proto::Operation {
    operation_to_wire(operation, &operation.state())
}

/// Room for the answer before the deadline of a call: a tenth of its time, at most this.
const ANSWER_TIME_MAX: Duration = Duration::from_millis(500);

/// How long to wait; `None` without a limit.
pub(super) fn waiting_time(
    request: &Request<WaitOperationRequest>,
) -> Result<Option<Duration>, Status> {
    let wanted = request.get_ref().timeout.map(|timeout| {
        Duration::try_from(timeout).map_err(|_| invalid("timeout", "a duration is not negative"))
    });
    let left = request.extensions().get::<CallInfo>().map(|call| {
        let left = call.ends.saturating_duration_since(Instant::now());
        left.saturating_sub((left / 10).min(ANSWER_TIME_MAX))
    });
    Ok(wanted.transpose()?.into_iter().chain(left).min())
}

impl Api {
    /// The operation of a name, if the caller may see it.
    pub(super) fn seen(&self, caller: &Caller, name: &str) -> Result<Arc<Operation>, Status> {
        self.engine()?;
        let id = operation_id("name", name)?;
        let found = self.kept()?.operations.find(id).filter(|it| caller.sees(it));
        found.ok_or_else(|| {
            status::missing("Operation", name, &format!("there is no operation '{name}'"))
        })
    }

    pub(super) fn operations_page(
        &self,
        caller: &Caller,
        request: &ListOperationsRequest,
    ) -> Result<ListOperationsResponse, Status> {
        let secret = self.engine()?.secret();
        let size = page_size(request.page_size)?;
        let listing = format!("operations of {:?}", caller.token);
        let after = PageToken::parse("page_token", &request.page_token, secret, &listing)?;
        let after = after.and_then(|token| {
            let (created, id) = token.position().split_first_chunk::<8>()?;
            Some((i64::from_be_bytes(*created), Uuid::from_slice(id).ok()?))
        });
        let place = |it: &Operation| (it.header.created.micros, it.id);
        let all = self.kept()?.operations.list().into_iter();
        let mut page: Vec<_> = all
            .filter(|it| caller.sees(it) && after.is_none_or(|after| place(it) < after))
            .take(size + 1)
            .collect();
        let more = page.len() > size;
        page.truncate(size);
        let next_page_token = page.last().filter(|_| more).map(|last| {
            let (created, id) = place(last);
            let position = [&created.to_be_bytes()[..], id.as_bytes()].concat();
            PageToken::new(&position).to_text(secret, &listing)
        });
        let operations = page.iter().map(|it| now(it)).collect();
        Ok(ListOperationsResponse {
            operations,
            next_page_token: next_page_token.unwrap_or_default(),
        })
    }

    /// The state when it is done, or after some time.
    pub(super) async fn wait_for(
        &self,
        operation: &Operation,
        time: Option<Duration>,
    ) -> Result<proto::Operation, Status> {
        let mut states = operation.watch();
        let timeout = async {
            match time {
                Some(time) => tokio::time::sleep(time).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            _ = states.wait_for(|state| state.end.is_some()) => Ok(now(operation)),
            () = timeout => Ok(now(operation)),
            () = self.stopping.cancelled() => Err(status::stopping()),
        }
    }

    pub(super) fn watch_operation_stream(
        &self,
        operation: Arc<Operation>,
    ) -> Result<Answers<WatchOperationResponse>, Status> {
        self.stream(Lifetime::Endless, |_, answers| async move {
            let mut states = operation.watch();
            loop {
                let state = states.borrow_and_update().clone();
                let answer = operation_to_wire(&operation, &state);
                let answer = WatchOperationResponse { operation: Some(answer) };
                if answers.send(Ok(answer)).await.is_err() || state.end.is_some() {
                    return Ok(());
                }
                // The operation holds the sender, so there is no end of changes before its end.
                let _ = states.changed().await;
                let end = states.wait_for(|state| state.end.is_some());
                let _ = tokio::time::timeout(OPERATION_WATCH_PAUSE, end).await;
            }
        })
    }

    /// The recorded answers; after them the error of an operation that failed, as its call would have ended.
    pub(super) async fn result_stream(
        &self,
        operation: Arc<Operation>,
    ) -> Result<Answers<ReadOperationResultResponse>, Status> {
        let Some(end) = operation.state().end else {
            return Err(not_done("it is not done; WaitOperation waits for it"));
        };
        let operations = Arc::clone(&self.kept()?.operations);
        let read = move || operations.read_result(&operation);
        let mut result = blocking(read).await?.map_err(|error| internal(&error.to_string()))?;
        self.stream(Lifetime::UntilDone, |_, answers| async move {
            let read = move || {
                while let Some(bytes) = result.read()? {
                    let answer = ReadOperationResultResponse::decode(&bytes[..]);
                    if !send(&answers, answer.map_err(std::io::Error::other)?) {
                        return Ok(());
                    }
                }
                Ok(())
            };
            let read: std::io::Result<()> = blocking(read).await?;
            match (&end.outcome, read) {
                // What failed may have left a part of an answer behind.
                (Outcome::Error(error), _) => Err(status::from_message(
                    &tonic_types::Status::decode(&error[..]).unwrap_or_default(),
                )),
                (Outcome::Response(_), Err(error)) => {
                    Err(internal(&format!("the result of an operation cannot be read: {error}")))
                }
                (Outcome::Response(_), Ok(())) => Ok(()),
            }
        })
    }

    /// Records that an operation was cancelled, and stops it.
    pub(super) async fn cancel(&self, operation: Arc<Operation>) -> Result<(), Status> {
        let operations = Arc::clone(&self.kept()?.operations);
        let error =
            failed(refusal(Code::Cancelled, "CANCELLED", "the operation was cancelled", None));
        blocking(move || {
            operations.end(&operation, error, time_now());
            operation.cancel();
        })
        .await
    }

    pub(super) async fn delete(&self, operation: Arc<Operation>) -> Result<(), Status> {
        let operations = Arc::clone(&self.kept()?.operations);
        let deleted = blocking(move || operations.delete(&operation)).await?;
        deleted.map_err(|error| match error {
            DeleteError::NotDone => not_done(&error.to_string()),
            DeleteError::Io(_) => internal(&error.to_string()),
        })
    }
}

fn not_done(message: &str) -> Status {
    refusal(Code::FailedPrecondition, "OPERATION_NOT_DONE", message, None)
}

/// Runs what blocks.
pub(super) async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T, Status> {
    let done = tokio::task::spawn_blocking(work).await;
    done.map_err(|error| internal(&format!("a call failed: {error}")))
}
