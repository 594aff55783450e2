//! `WatchUnits`: the changes of memories, as they are committed.

use tonic::Status;

use crate::engine::{Engine, EngineError};
use crate::limits::WATCH_PAGE_COMMITS;
use crate::store::{ChangeKind, LogRecord, MemoryKey, Sequence};
use crate::unit::MemoryName;

use super::super::api::{Answers, Api, Lifetime, Sender};
use super::super::convert::{signed, unit_resource};
use super::super::proto::{self, UnitChange, WatchUnitsResponse};
use super::super::status::{self, invalid};

impl Api {
    pub(super) fn watch_stream(
        &self,
        memory: Option<MemoryName>,
        after: i64,
    ) -> Result<Answers<WatchUnitsResponse>, Status> {
        let engine = self.engine()?;
        let memory = memory.map(|name| engine.memory_key(&name).map(|key| (key, name)));
        let memory = memory.transpose().map_err(status::from_engine)?;
        let last = *engine.watch_sequence().borrow();
        let after =
            u64::try_from(after).ok().map(Sequence).filter(|after| *after <= last).ok_or_else(
                || {
                    let what = format!("not a sequence of this server, which is at {}", last.0);
                    invalid("after_sequence", &what)
                },
            )?;
        engine.check_held(after).map_err(status::from_engine)?;
        self.stream(Lifetime::Endless, |api, answers| watch(api, memory, after, answers))
    }
}

async fn watch(
    api: Api,
    memory: Option<(MemoryKey, MemoryName)>,
    mut after: Sequence,
    answers: Sender<WatchUnitsResponse>,
) -> Result<(), Status> {
    let mut sequence = api.engine()?.watch_sequence();
    let key = memory.as_ref().map(|(key, _)| *key);
    loop {
        let call = move |engine: &Engine| {
            // The log shows commits before they are on disk; watchers see them when writers do.
            let published = *engine.watch_sequence().borrow();
            let mut records = engine.changes_since(after, WATCH_PAGE_COMMITS)?;
            records.retain(|record| record.sequence <= published);
            let last = records.last().map(|record| record.sequence);
            let events: Vec<_> = records
                .iter()
                .map(|record| event(engine, key, record))
                .collect::<Result<_, _>>()?;
            Ok((last, events))
        };
        let (last, events) = api.run(call).await?;
        for event in events.into_iter().filter(|event| !event.changes.is_empty()) {
            if answers.send(Ok(event)).await.is_err() {
                return Ok(());
            }
        }
        if let Some(last) = last {
            after = last;
            continue;
        }
        // A deleted memory has no more changes, even if another one gets its name.
        if let Some((key, name)) = &memory
            && api.engine()?.memory_name(*key).is_none()
        {
            return Err(status::from_engine(EngineError::NoMemory(name.clone())));
        }
        if sequence.changed().await.is_err() {
            return Err(status::stopping());
        }
    }
}

/// The changes of one commit, as a watcher sees them.
fn event(
    engine: &Engine,
    memory: Option<MemoryKey>,
    record: &LogRecord,
) -> Result<WatchUnitsResponse, EngineError> {
    let mut changes = Vec::new();
    for change in &record.changes {
        if memory.is_some_and(|wanted| wanted != change.memory) {
            continue;
        }
        // Changes of a memory that is deleted by now are skipped.
        let Some(name) = engine.memory_name(change.memory) else {
            continue;
        };
        let unit = match engine.unit(&name, change.unit) {
            Ok(unit) => Some((&name, unit).into()),
            Err(EngineError::NoUnit(..) | EngineError::NoMemory(_)) => None,
            Err(error) => return Err(error),
        };
        changes.push(UnitChange {
            kind: proto::ChangeKind::from(change.kind).into(),
            name: unit_resource(&name, change.unit),
            revision: signed(change.revision),
            unit,
        });
    }
    Ok(WatchUnitsResponse {
        sequence: signed(record.sequence.0),
        commit_time: Some(record.time.into()),
        changes,
    })
}

impl From<ChangeKind> for proto::ChangeKind {
    fn from(kind: ChangeKind) -> Self {
        match kind {
            ChangeKind::Created => Self::Created,
            ChangeKind::Updated | ChangeKind::Used => Self::Updated,
            ChangeKind::Deleted => Self::Deleted,
        }
    }
}
