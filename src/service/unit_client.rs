//! The client's calls for single units, and for following changes.

use prost_types::FieldMask;
use tokio_stream::{Stream, StreamExt as _};
use tonic::Status;
use uuid::Uuid;

use crate::unit::{MemoryName, Unit, UnitContent, UnitId};

use super::client::{Client, ClientError};
use super::convert;
use super::proto;

/// A commit as a watcher sees it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CommitInfo {
    /// Its number; what to go on from.
    pub sequence: u64,
    /// Changes in it.
    pub changes: usize,
}

impl Client {
    /// Makes units, all or none; with the same request id a second time, none, and the answer of the first time.
    ///
    /// # Errors
    /// The server's.
    pub async fn create_units(
        &mut self,
        memory: &MemoryName,
        contents: Vec<UnitContent>,
        request_id: Uuid,
    ) -> Result<Vec<Unit>, ClientError> {
        let request = proto::BatchCreateUnitsRequest {
            parent: memory.resource(),
            units: contents.into_iter().map(convert::content_to_wire).collect(),
            request_id: request_id.to_string(),
        };
        let units = self.units.batch_create_units(request).await?.into_inner().units;
        Ok(units.into_iter().map(convert::stored_unit).collect::<Result<_, Status>>()?)
    }

    /// Gives a unit other texts, if it is still at that revision.
    ///
    /// # Errors
    /// The server's.
    pub async fn update_texts(
        &mut self,
        memory: &MemoryName,
        unit: (UnitId, u64),
        content: UnitContent,
        request_id: Uuid,
    ) -> Result<Unit, ClientError> {
        let paths = vec!["source".to_owned(), "target".to_owned()];
        let request = proto::UpdateUnitRequest {
            unit: Some(proto::Unit {
                name: convert::unit_resource(memory, unit.0),
                revision: convert::signed(unit.1),
                ..convert::content_to_wire(content)
            }),
            update_mask: Some(FieldMask { paths }),
            request_id: request_id.to_string(),
        };
        let unit = self.units.update_unit(request).await?.into_inner().unit;
        Ok(convert::stored_unit(unit.unwrap_or_default())?)
    }

    /// Deletes a unit.
    ///
    /// # Errors
    /// The server's.
    pub async fn delete_unit(
        &mut self,
        memory: &MemoryName,
        id: UnitId,
        request_id: Uuid,
    ) -> Result<(), ClientError> {
        let request = proto::DeleteUnitRequest {
            name: convert::unit_resource(memory, id),
            revision: 0,
            request_id: request_id.to_string(),
        };
        self.units.delete_unit(request).await?;
        Ok(())
    }

    /// Commits that change a memory, after a sequence, and then as they happen.
    ///
    /// # Errors
    /// The server's, at once or in the stream.
    pub async fn watch(
        &mut self,
        memory: &MemoryName,
        after: u64,
    ) -> Result<impl Stream<Item = Result<CommitInfo, ClientError>> + use<>, ClientError> {
        let request = proto::WatchUnitsRequest {
            parent: memory.resource(),
            after_sequence: convert::signed(after),
        };
        let answers = self.units.watch_units(request).await?.into_inner();
        Ok(answers.map(|answer| {
            let answer = answer?;
            let sequence = u64::try_from(answer.sequence).unwrap_or_default();
            Ok(CommitInfo { sequence, changes: answer.changes.len() })
        }))
    }
}
