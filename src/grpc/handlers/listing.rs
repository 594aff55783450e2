//! The order in which the units of a memory are listed and exported, and where the next page begins.

use tonic::Status;

use crate::engine::Engine;
use crate::store::Secret;
use crate::unit::{MemoryName, UnitId};

use super::super::convert::PageToken;
use super::super::status;

/// The units of a memory in their order. The token of a page and the cursor of an export are the same thing.
#[derive(Debug, Clone)]
pub(super) struct UnitListing {
    secret: Secret,
    name: String,
}

impl UnitListing {
    /// Identified by the number of the memory, so that tokens of a deleted memory are not valid for a new one of the same name.
    pub(super) fn new(engine: &Engine, memory: &MemoryName) -> Result<Self, Status> {
        let key = engine.memory_key(memory).map_err(status::from_engine)?;
        Ok(Self { secret: *engine.secret(), name: format!("units of {}", key.0) })
    }

    /// The unit after which a page or an export continues; `None` for an empty token, which is the beginning.
    pub(super) fn position(&self, field: &str, text: &str) -> Result<Option<UnitId>, Status> {
        let Some(token) = PageToken::parse(field, text, &self.secret, &self.name)? else {
            return Ok(None);
        };
        let id = token.position().try_into().map_err(|_| {
            status::internal("a token of units passed its check and holds no number of a unit")
        })?;
        Ok(Some(UnitId(u64::from_be_bytes(id))))
    }

    /// The token with which a listing continues after a unit.
    pub(super) fn cursor(&self, last: UnitId) -> String {
        PageToken::new(&last.0.to_be_bytes()).to_text(&self.secret, &self.name)
    }
}
