//! `WatchUnits`: the changes of memories, as they are committed.

use tonic::Status;

use crate::engine::{Engine, EngineError, UnitFilter, WatchQuery, WatchedChange, WatchedCommit};
use crate::limits::WATCH_SILENT_COMMITS;
use crate::store::{ChangeKind, Sequence};
use crate::unit::MemoryName;

use super::super::api::{Answers, Api, Lifetime, Sender};
use super::super::convert::{PageToken, UnitView, Within as _, memory_name, signed, unit_resource};
use super::super::proto::watch_units_request::Start;
use super::super::proto::{self, UnitChange, WatchUnitsRequest, WatchUnitsResponse};
use super::super::status::{self, invalid};

/// The listing that resume tokens belong to: every feed of a store, since its commits have the same numbers in all of them.
const FEED: &str = "changes of units";

/// A feed of changes.
struct Feed {
    query: WatchQuery,
    /// The memory that it watches, if it does not watch all.
    memory: Option<MemoryName>,
    after: Sequence,
    view: UnitView,
}

impl Api {
    pub(super) fn watch_stream(
        &self,
        request: WatchUnitsRequest,
    ) -> Result<Answers<WatchUnitsResponse>, Status> {
        let engine = self.engine()?;
        let memory = match request.parent.as_str() {
            "memories/-" => None,
            name => Some(memory_name("parent", name)?),
        };
        let key = memory.as_ref().map(|name| engine.memory_key(name)).transpose();
        let query = WatchQuery {
            memory: key.map_err(status::from_engine)?,
            filter: UnitFilter::try_from(request.filter.unwrap_or_default()).within("filter")?,
            kinds: kinds(&request.kinds)?,
        };
        let view = UnitView::whole(request.offset_unit)?;
        let after = start(engine, request.start)?;
        engine.check_watch(&query, after).map_err(status::from_engine)?;
        let feed = Feed { query, memory, after, view };
        self.stream(Lifetime::Endless, |api, answers| watch(api, feed, answers))
    }
}

/// The commit after which a feed begins.
fn start(engine: &Engine, start: Option<Start>) -> Result<Sequence, Status> {
    match start {
        None => Ok(engine.sequence()),
        Some(Start::AfterSequence(sequence)) => u64::try_from(sequence)
            .map(Sequence)
            .map_err(|_| invalid("after_sequence", "a sequence is not negative")),
        Some(Start::ResumeToken(token)) => {
            let wrong = || invalid("resume_token", "not a resume token of this server");
            let token = PageToken::parse("resume_token", &token, engine.secret(), FEED)?;
            let sequence = token.as_ref().and_then(|token| token.position().try_into().ok());
            Ok(Sequence(u64::from_be_bytes(sequence.ok_or_else(wrong)?)))
        }
    }
}

fn kinds(numbers: &[i32]) -> Result<Vec<ChangeKind>, Status> {
    let kind = |(index, number): (usize, &i32)| match proto::ChangeKind::try_from(*number) {
        Ok(proto::ChangeKind::Created) => Ok(ChangeKind::Created),
        Ok(proto::ChangeKind::Updated) => Ok(ChangeKind::Updated),
        Ok(proto::ChangeKind::Deleted) => Ok(ChangeKind::Deleted),
        Ok(proto::ChangeKind::Used) => Ok(ChangeKind::Used),
        Ok(proto::ChangeKind::Unspecified) | Err(_) => {
            Err(invalid(&format!("kinds[{index}]"), &format!("{number} is not a kind of change")))
        }
    };
    numbers.iter().enumerate().map(kind).collect()
}

async fn watch(
    api: Api,
    Feed { query, memory, mut after, view }: Feed,
    answers: Sender<WatchUnitsResponse>,
) -> Result<(), Status> {
    let mut sequence = api.engine()?.watch_sequence();
    let mut silent_commits = 0;
    loop {
        let read = {
            let query = query.clone();
            move |engine: &Engine| engine.watched_commits(&query, after)
        };
        let commits = api.run(read).await?;
        let has_advanced = !commits.is_empty();
        for commit in commits {
            after = commit.sequence;
            silent_commits += 1;
            if commit.changes.is_empty() && silent_commits < WATCH_SILENT_COMMITS {
                continue;
            }
            silent_commits = 0;
            let answer = answer(api.engine()?, &view, commit);
            if answers.send(Ok(answer)).await.is_err() {
                return Ok(());
            }
        }
        if has_advanced {
            continue;
        }
        // A deleted memory has no more changes, even if another one gets its name.
        if let (Some(key), Some(name)) = (query.memory, &memory)
            && api.engine()?.memory_name(key).is_none()
        {
            return Err(status::from_engine(EngineError::NoMemory(name.clone())));
        }
        if sequence.changed().await.is_err() {
            return Err(status::stopping());
        }
    }
}

fn answer(engine: &Engine, view: &UnitView, commit: WatchedCommit) -> WatchUnitsResponse {
    let token = PageToken::new(&commit.sequence.0.to_be_bytes());
    WatchUnitsResponse {
        sequence: signed(commit.sequence.0),
        commit_time: Some(commit.time.into()),
        changes: commit.changes.into_iter().map(|change| change_to_wire(view, change)).collect(),
        resume_token: token.to_text(engine.secret(), FEED),
    }
}

fn change_to_wire(view: &UnitView, change: WatchedChange) -> UnitChange {
    UnitChange {
        kind: proto::ChangeKind::from(change.kind).into(),
        name: unit_resource(&change.memory, change.id),
        revision: signed(change.revision),
        unit: change.unit.map(|unit| view.unit(&change.memory, unit)),
    }
}

impl From<ChangeKind> for proto::ChangeKind {
    fn from(kind: ChangeKind) -> Self {
        match kind {
            ChangeKind::Created => Self::Created,
            ChangeKind::Updated => Self::Updated,
            ChangeKind::Deleted => Self::Deleted,
            ChangeKind::Used => Self::Used,
        }
    }
}
