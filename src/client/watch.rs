//! The feed of changes.

use tokio_stream::StreamExt as _;
use tonic::Status;

use crate::engine::{UnitFilter, WatchedChange, WatchedCommit};
use crate::grpc::convert::{self, Within as _};
use crate::grpc::proto;
use crate::store::{ChangeKind, Sequence};
use crate::unit::MemoryName;

use super::connection::{Client, ClientStream, stored_unit};
use super::error::ClientError;

/// Which changes to watch.
#[derive(Debug, Clone, Default)]
pub struct ChangeFeed {
    /// Those of this memory; of all that the caller may watch when absent.
    pub memory: Option<MemoryName>,
    /// Those after this commit, then what follows; from now on when absent.
    pub after: Option<u64>,
    /// Those of units that it accepts.
    pub filter: UnitFilter,
    /// Those of these kinds; all when empty.
    pub kinds: Vec<ChangeKind>,
}

impl Client {
    /// The commits with changes that were asked for, as they happen. A commit without changes says that the feed has advanced.
    ///
    /// # Errors
    /// The server's, at once or in the stream.
    pub async fn watch(
        &mut self,
        feed: &ChangeFeed,
    ) -> Result<ClientStream<WatchedCommit>, ClientError> {
        use proto::watch_units_request::Start;
        let parent = feed.memory.as_ref();
        let kinds = feed.kinds.iter().map(|kind| proto::ChangeKind::from(*kind).into());
        let request = proto::WatchUnitsRequest {
            parent: parent.map_or_else(|| "memories/-".to_owned(), MemoryName::resource),
            start: feed.after.map(|after| Start::AfterSequence(convert::signed(after))),
            filter: Some((&feed.filter).into()),
            kinds: kinds.collect(),
            ..proto::WatchUnitsRequest::default()
        };
        let answers = self.units.watch_units(request).await?.into_inner();
        Ok(Box::pin(answers.map(|answer| commit(answer?))))
    }
}

fn commit(answer: proto::WatchUnitsResponse) -> Result<WatchedCommit, ClientError> {
    let time = convert::optional_time("commit_time", answer.commit_time)?;
    Ok(WatchedCommit {
        sequence: Sequence(convert::unsigned(answer.sequence)),
        time: time.unwrap_or_default(),
        changes: answer.changes.into_iter().map(change).collect::<Result<_, _>>()?,
    })
}

fn change(change: proto::UnitChange) -> Result<WatchedChange, ClientError> {
    let (memory, id) = convert::unit_name("name", &change.name).within("changes")?;
    Ok(WatchedChange {
        memory,
        id,
        kind: kind(change.kind())?,
        revision: convert::unsigned(change.revision),
        unit: change.unit.map(stored_unit).transpose()?,
    })
}

fn kind(kind: proto::ChangeKind) -> Result<ChangeKind, Status> {
    match kind {
        proto::ChangeKind::Created => Ok(ChangeKind::Created),
        proto::ChangeKind::Updated => Ok(ChangeKind::Updated),
        proto::ChangeKind::Deleted => Ok(ChangeKind::Deleted),
        proto::ChangeKind::Used => Ok(ChangeKind::Used),
        proto::ChangeKind::Unspecified => Err(Status::internal(
            "the server reports a kind of change that this client does not know",
        )),
    }
}
