//! Lists, histories and changes of many units.

use prost_types::FieldMask;
use uuid::Uuid;

use crate::engine::{ListQuery, UnitFilter};
use crate::grpc::convert;
use crate::grpc::proto;
use crate::unit::{MemoryName, Unit, UnitContent, UnitId};

use super::connection::{Client, stored_unit};
use super::error::ClientError;

/// What becomes of the units that match a filter.
#[derive(Debug, Clone)]
pub enum MatchingUnits {
    /// They are deleted.
    Delete,
    /// The named fields become those of this content.
    Update(Box<UnitContent>, Vec<String>),
}

/// The answer to a change of the units that match a filter.
#[derive(Debug, Clone)]
pub struct Matched {
    /// Units that match.
    pub matching: u64,
    /// Some of them, when nothing was changed yet.
    pub sample: Vec<Unit>,
    /// Confirms the change; empty when nothing matches, or the change is done.
    pub token: String,
    /// Units that were changed.
    pub changed: u64,
}

impl Client {
    /// A page of units, and the token of the next page, which is empty after the last one.
    ///
    /// # Errors
    /// The server's.
    pub async fn list_units(
        &mut self,
        memory: &MemoryName,
        query: &ListQuery,
        (page_size, page_token): (usize, String),
    ) -> Result<(Vec<Unit>, String), ClientError> {
        let request = proto::ListUnitsRequest {
            parent: memory.resource(),
            page_size: i32::try_from(page_size).unwrap_or(i32::MAX),
            page_token,
            filter: Some((&query.filter).into()),
            order_by: convert::unit_order_text(query.order, query.descending),
            ..proto::ListUnitsRequest::default()
        };
        let page = self.units.list_units(request).await?.into_inner();
        let units = page.units.into_iter().map(stored_unit).collect::<Result<_, _>>()?;
        Ok((units, page.next_page_token))
    }

    /// Units by their numbers.
    ///
    /// # Errors
    /// The server's.
    pub async fn get_units(
        &mut self,
        memory: &MemoryName,
        ids: &[UnitId],
    ) -> Result<Vec<Unit>, ClientError> {
        let request = proto::BatchGetUnitsRequest {
            parent: memory.resource(),
            names: names(memory, ids),
            ..proto::BatchGetUnitsRequest::default()
        };
        let units = self.units.batch_get_units(request).await?.into_inner().units;
        units.into_iter().map(stored_unit).collect()
    }

    /// Deletes units, all or none.
    ///
    /// # Errors
    /// The server's.
    pub async fn delete_units(
        &mut self,
        memory: &MemoryName,
        ids: &[UnitId],
        request_id: Uuid,
    ) -> Result<(), ClientError> {
        let request = proto::BatchDeleteUnitsRequest {
            parent: memory.resource(),
            names: names(memory, ids),
            request_id: request_id.to_string(),
        };
        self.units.batch_delete_units(request).await?;
        Ok(())
    }

    /// The contents that a unit has had, the newest first.
    ///
    /// # Errors
    /// The server's.
    pub async fn unit_revisions(
        &mut self,
        memory: &MemoryName,
        id: UnitId,
    ) -> Result<Vec<Unit>, ClientError> {
        let mut revisions = Vec::new();
        let mut page_token = String::new();
        loop {
            let request = proto::ListUnitRevisionsRequest {
                name: convert::unit_resource(memory, id),
                page_token,
                ..proto::ListUnitRevisionsRequest::default()
            };
            let page = self.units.list_unit_revisions(request).await?.into_inner();
            for unit in page.units {
                revisions.push(stored_unit(unit)?);
            }
            page_token = page.next_page_token;
            if page_token.is_empty() {
                return Ok(revisions);
            }
        }
    }

    /// Gives a unit the content of an earlier revision.
    ///
    /// # Errors
    /// The server's.
    pub async fn rollback_unit(
        &mut self,
        memory: &MemoryName,
        id: UnitId,
        revision: u64,
        request_id: Uuid,
    ) -> Result<Unit, ClientError> {
        let request = proto::RollbackUnitRequest {
            name: convert::unit_resource(memory, id),
            revision: convert::signed(revision),
            request_id: request_id.to_string(),
            ..proto::RollbackUnitRequest::default()
        };
        let unit = self.units.rollback_unit(request).await?.into_inner().unit;
        stored_unit(unit.unwrap_or_default())
    }

    /// Counts the units that match a filter, without a token; with the token of that answer, changes them.
    ///
    /// # Errors
    /// The server's.
    pub async fn change_matching(
        &mut self,
        memory: &MemoryName,
        filter: &UnitFilter,
        change: MatchingUnits,
        confirmation_token: String,
    ) -> Result<Matched, ClientError> {
        let (parent, filter) = (memory.resource(), Some(filter.into()));
        match change {
            MatchingUnits::Delete => {
                let request = proto::DeleteMatchingUnitsRequest {
                    parent,
                    filter,
                    confirmation_token,
                    ..proto::DeleteMatchingUnitsRequest::default()
                };
                let answer = self.units.delete_matching_units(request).await?.into_inner();
                let sample = answer.sample.into_iter().map(stored_unit);
                Ok(Matched {
                    matching: convert::unsigned(answer.matching_count),
                    sample: sample.collect::<Result<_, _>>()?,
                    token: answer.confirmation_token,
                    changed: convert::unsigned(answer.deleted_count),
                })
            }
            MatchingUnits::Update(content, paths) => {
                let request = proto::UpdateMatchingUnitsRequest {
                    parent,
                    filter,
                    unit: Some(proto::Unit { source: None, target: None, ..(*content).into() }),
                    update_mask: Some(FieldMask { paths }),
                    confirmation_token,
                    ..proto::UpdateMatchingUnitsRequest::default()
                };
                let answer = self.units.update_matching_units(request).await?.into_inner();
                let sample = answer.sample.into_iter().map(stored_unit);
                Ok(Matched {
                    matching: convert::unsigned(answer.matching_count),
                    sample: sample.collect::<Result<_, _>>()?,
                    token: answer.confirmation_token,
                    changed: convert::unsigned(answer.changed_count),
                })
            }
        }
    }
}

fn names(memory: &MemoryName, ids: &[UnitId]) -> Vec<String> {
    ids.iter().map(|id| convert::unit_resource(memory, *id)).collect()
}
