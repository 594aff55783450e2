//! The order in which the units of a memory are listed and exported, and where the next page begins.

use tonic::Status;

use crate::engine::{Engine, ListPosition, ListQuery};
use crate::store::Secret;
use crate::unit::{MemoryName, UnitId};

use super::super::convert::PageToken;
use super::super::status;

/// The units of a memory in an order. The token of a page and the cursor of an export are the same thing.
#[derive(Debug, Clone)]
pub(super) struct UnitListing {
    secret: Secret,
    name: String,
}

impl UnitListing {
    /// In the order of their numbers. Identified by the number of the memory, so that tokens of a deleted memory are not valid for a
    /// new one of the same name.
    pub(super) fn new(engine: &Engine, memory: &MemoryName) -> Result<Self, Status> {
        let key = engine.memory_key(memory).map_err(status::from_engine)?;
        Ok(Self { secret: *engine.secret(), name: format!("units of {}", key.0) })
    }

    /// The list of a query; its tokens are valid for this very query.
    pub(super) fn of(
        engine: &Engine,
        memory: &MemoryName,
        query: &ListQuery,
    ) -> Result<Self, Status> {
        let all = Self::new(engine, memory)?;
        Ok(Self { name: format!("{} by {query:?}", all.name), ..all })
    }

    /// The unit after which an export continues; `None` for an empty token, which is the beginning.
    pub(super) fn position(&self, field: &str, text: &str) -> Result<Option<UnitId>, Status> {
        let position = self.read(field, text)?;
        Ok(position.map(|[number]| UnitId(u64::from_be_bytes(number))))
    }

    /// The token with which an export continues after a unit.
    pub(super) fn cursor(&self, last: UnitId) -> String {
        PageToken::new(&last.0.to_be_bytes()).to_text(&self.secret, &self.name)
    }

    /// Where a page begins.
    pub(super) fn page_position(&self, text: &str) -> Result<Option<ListPosition>, Status> {
        let position = self.read("page_token", text)?;
        Ok(position.map(|[value, number]| ListPosition {
            value: i64::from_be_bytes(value),
            number: u64::from_be_bytes(number),
        }))
    }

    /// The token of the page that begins there.
    pub(super) fn page_token(&self, next: ListPosition) -> String {
        let bytes = [next.value.to_be_bytes(), next.number.to_be_bytes()].concat();
        PageToken::new(&bytes).to_text(&self.secret, &self.name)
    }

    /// The numbers in a token.
    fn read<const N: usize>(
        &self,
        field: &str,
        text: &str,
    ) -> Result<Option<[[u8; 8]; N]>, Status> {
        let Some(token) = PageToken::parse(field, text, &self.secret, &self.name)? else {
            return Ok(None);
        };
        let (numbers, rest) = token.position().as_chunks();
        let numbers = numbers.try_into().ok().filter(|_| rest.is_empty());
        numbers.map(Some).ok_or_else(|| {
            status::internal("a token of units passed its check and holds other numbers")
        })
    }
}
