//! Lists the units of a memory in pages: all or those that a filter accepts, by number, time or use.
//!
//! A page begins after a position in the order, so that units which change between two pages may be missed or listed twice, but
//! never make a listing fail or repeat itself.

use std::collections::BinaryHeap;

use crate::limits::{EXPORT_LOOK_UNITS, LOAD_PAGE_UNITS, UNIT_PAGE_MAX};
use crate::unit::{MemoryName, Timestamp, Unit, UnitId};

use super::filter::{PreparedFilter, UnitFilter};
use crate::engine::Engine;
use crate::engine::cancel::Cancel;
use crate::engine::error::EngineError;
use crate::engine::replica::catalog::Memory;

/// What units are ordered by; those that are equal in it are ordered by their numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Hash)]
pub enum UnitOrder {
    /// Their numbers, which is the order of creation.
    #[default]
    Number,
    /// When they were first translated.
    Created,
    /// When they were last changed.
    Changed,
    /// How often they were used.
    UseCount,
    /// When they were last used; units that never were come first.
    LastUse,
}

/// Which units to list, and how.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ListQuery {
    /// Only units that it accepts.
    pub filter: UnitFilter,
    /// Their order. Any other than by number reads the whole memory for each page.
    pub order: UnitOrder,
    /// Whether the greatest come first; numbers of equal ones rise anyway, but for the order by number.
    pub descending: bool,
}

/// A place in the order of a listing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct ListPosition {
    /// The ordered value, in rising order whatever the direction.
    pub value: i64,
    /// The number of the unit, likewise.
    pub number: u64,
}

/// A page of a listing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ListPage {
    /// Its units. There may be fewer than asked for, or none, before the last page.
    pub units: Vec<Unit>,
    /// Where the next page begins; `None` after the last page.
    pub next: Option<ListPosition>,
}

impl ListQuery {
    fn position(&self, unit: &Unit) -> ListPosition {
        let micros = |time: Option<Timestamp>| time.map_or(i64::MIN, |time| time.micros);
        let value = match self.order {
            UnitOrder::Number => 0,
            UnitOrder::Created => micros(unit.content.created),
            UnitOrder::Changed => micros(unit.content.changed),
            UnitOrder::UseCount => i64::try_from(unit.usage.count).unwrap_or(i64::MAX),
            UnitOrder::LastUse => micros(unit.usage.last),
        };
        // Inverting all bits inverts the order.
        match (self.order, self.descending) {
            (UnitOrder::Number, true) => ListPosition { value, number: !unit.id.0 },
            (_, true) => ListPosition { value: !value, number: unit.id.0 },
            (_, false) => ListPosition { value, number: unit.id.0 },
        }
    }
}

impl Engine {
    /// The units of a page, from the first one after a position, at most `limit`.
    ///
    /// # Errors
    /// No such memory, or it was deleted; a filter with a text without a word, or with too many conditions; cancelled; the store.
    pub fn list_units(
        &self,
        name: &MemoryName,
        query: &ListQuery,
        after: Option<ListPosition>,
        limit: usize,
        cancel: &Cancel,
    ) -> Result<ListPage, EngineError> {
        let memory = self.named(name)?;
        let limit = limit.clamp(1, UNIT_PAGE_MAX);
        let filter = query.filter.prepare(&memory.analyzers, "filter")?;
        if query.order == UnitOrder::Number && !query.descending {
            self.page_by_number(&memory, (query, &filter), after, limit, cancel)
        } else {
            self.page_in_order(&memory, (query, &filter), after, limit, cancel)
        }
    }

    /// Reads only the units of the page, and those that the filter refuses between them.
    fn page_by_number(
        &self,
        memory: &Memory,
        (query, filter): (&ListQuery, &PreparedFilter<'_>),
        after: Option<ListPosition>,
        limit: usize,
        cancel: &Cancel,
    ) -> Result<ListPage, EngineError> {
        let mut at = after.map(|it| UnitId(it.number));
        let mut units = Vec::new();
        let mut examined = 0;
        // One more than wanted shows that there is another page.
        while examined < EXPORT_LOOK_UNITS {
            let wanted = limit + 1 - units.len();
            let page = self.read_page(memory, at, wanted, cancel)?;
            let is_last = page.len() < wanted;
            at = page.last().map(|unit| unit.id).or(at);
            examined += page.len();
            units.extend(page.into_iter().filter(|unit| filter.accepts(unit)));
            if units.len() > limit {
                units.truncate(limit);
                let next = units.last().map(|unit| query.position(unit));
                return Ok(ListPage { units, next });
            }
            if is_last {
                return Ok(ListPage { units, next: None });
            }
        }
        let next = at.map(|id| ListPosition { value: 0, number: id.0 });
        Ok(ListPage { units, next })
    }

    /// Reads the whole memory, keeping only the positions of the page.
    fn page_in_order(
        &self,
        memory: &Memory,
        (query, filter): (&ListQuery, &PreparedFilter<'_>),
        after: Option<ListPosition>,
        limit: usize,
        cancel: &Cancel,
    ) -> Result<ListPage, EngineError> {
        // The greatest of the smallest is on top.
        let mut first: BinaryHeap<(ListPosition, UnitId)> = BinaryHeap::with_capacity(limit + 2);
        let mut at = None;
        loop {
            let page = self.read_page(memory, at, LOAD_PAGE_UNITS, cancel)?;
            let Some(last) = page.last() else { break };
            at = Some(last.id);
            for unit in &page {
                let place = query.position(unit);
                if after.is_none_or(|after| place > after) && filter.accepts(unit) {
                    first.push((place, unit.id));
                    if first.len() > limit + 1 {
                        first.pop();
                    }
                }
            }
        }
        let mut first = first.into_sorted_vec();
        let more = first.len() > limit;
        first.truncate(limit);
        let next = first.last().filter(|_| more).map(|it| it.0);
        let ids: Vec<UnitId> = first.iter().map(|it| it.1).collect();
        let units = self.backend.store.units(memory.key, &ids)?.into_iter().flatten();
        Ok(ListPage { units: units.collect(), next })
    }

    /// Units above a number, unless the memory was deleted meanwhile, whose units may be partly purged.
    pub(crate) fn read_page(
        &self,
        memory: &Memory,
        after: Option<UnitId>,
        limit: usize,
        cancel: &Cancel,
    ) -> Result<Vec<Unit>, EngineError> {
        if cancel.is_cancelled() {
            return Err(EngineError::Cancelled);
        }
        let page = self.backend.store.page(memory.key, after, limit)?;
        if self.catalog.by_key(memory.key).is_none() {
            return Err(EngineError::NoMemory(memory.record().name.clone()));
        }
        Ok(page)
    }
}
