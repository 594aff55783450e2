//! Changes or deletes all units that match a filter: counts them first, and carries the change out when the caller confirms the
//! count.
//!
//! The units are changed in steps, each one commit with the progress in it, so that the same request continues after an
//! interruption. Units that others change after they were listed are left as they are.

use std::collections::BTreeSet;

use xxhash_rust::xxh3::Xxh3;

use crate::limits::{BATCH_UNITS_MAX, LOAD_PAGE_UNITS, MATCHING_SAMPLE_UNITS};
use crate::store::{RequestKey, Sequence};
use crate::unit::{MemoryName, Timestamp, Unit, UnitContent, UnitId};
use crate::validate::{ContentFault, validate_content};

use super::patch::UnitPatch;
use crate::engine::Engine;
use crate::engine::cancel::Cancel;
use crate::engine::clock::now;
use crate::engine::commit::idempotency::{Idempotency, fingerprint};
use crate::engine::commit::outcome::{MatchingState, Outcome};
use crate::engine::commit::work::{MatchedUnit, MatchingStep, Work};
use crate::engine::error::EngineError;
use crate::engine::handle::{internal, receive};
use crate::engine::read::filter::UnitFilter;
use crate::engine::replica::catalog::Memory;
use crate::engine::replica::changes::{changed_since, check_held};

/// What becomes of units that match a filter.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum MatchingChange {
    /// They are deleted.
    Delete,
    /// They are changed.
    Update(Box<UnitPatch>),
}

/// The units that match a filter now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MatchingCount {
    /// How many.
    pub count: u64,
    /// Hash of their numbers and revisions.
    pub hash: u128,
    /// The first ones.
    pub sample: Vec<Unit>,
}

/// A count that the caller confirms.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Confirmation {
    /// Units that were counted.
    pub count: u64,
    /// Hash of their numbers and revisions.
    pub hash: u128,
    /// The change may begin before this time.
    pub expires: Timestamp,
    /// Identifies the change: the same key and content continue it.
    pub key: RequestKey,
    /// Hash of the request, without what may differ when it is repeated.
    pub request: u128,
    /// Name of the field that held the key.
    pub key_field: &'static str,
}

/// The result of a change.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MatchingResult {
    /// Units that matched when the change began.
    pub matching: u64,
    /// Units that were changed; the others were changed or deleted by others meanwhile.
    pub changed: u64,
}

/// The numbers of matching units, with the revisions of their contents.
type Listed = Vec<(UnitId, u64)>;

impl Engine {
    /// Counts the units that match a filter; changes nothing.
    ///
    /// # Errors
    /// No such memory; a unit that the change would make invalid; cancelled; the store.
    pub fn count_matching(
        &self,
        name: &MemoryName,
        filter: &UnitFilter,
        change: &MatchingChange,
        cancel: &Cancel,
    ) -> Result<MatchingCount, EngineError> {
        let memory = self.named(name)?;
        let mut sample = Vec::new();
        let listed = self.list_matching(&memory, (filter, UnitId(0)), cancel, |unit| {
            change.check(name, &unit)?;
            if sample.len() < MATCHING_SAMPLE_UNITS {
                sample.push(unit);
            }
            Ok(())
        })?;
        Ok(MatchingCount { count: listed.len() as u64, hash: hash_of(&listed), sample })
    }

    /// Changes the units that match a filter, if they are the ones that were counted; or continues to.
    ///
    /// # Errors
    /// No such memory; [`EngineError::MatchesChanged`]; the confirmation has expired; [`EngineError::RequestReused`]; cancelled, which
    /// leaves the rest for a repetition; the store.
    pub fn change_matching(
        &self,
        name: &MemoryName,
        filter: &UnitFilter,
        change: &MatchingChange,
        confirmation: &Confirmation,
        cancel: &Cancel,
    ) -> Result<MatchingResult, EngineError> {
        let memory = self.named(name)?;
        let Confirmation { key, request, key_field, .. } = *confirmation;
        let fingerprint = fingerprint(&("change_matching", name, request)).map_err(internal)?;
        let idempotency = Idempotency { key, fingerprint, field: key_field };
        let mut state = self.matching_step(MatchingStep::query(&memory), idempotency)?;
        if state.complete {
            return Ok(state.result());
        }
        let listed_at = *self.sequence.borrow();
        let listed = if state.through == UnitId(0) {
            self.confirmed(&memory, (filter, change), confirmation, cancel)?
        } else {
            self.rest_of(&memory, filter, &state, cancel)?
        };
        let matching = listed.len() as u64;
        while !state.complete {
            if cancel.is_cancelled() {
                return Err(EngineError::Cancelled);
            }
            let from = listed.partition_point(|(id, _)| *id <= state.through);
            let to = listed.len().min(from + BATCH_UNITS_MAX);
            let step = &listed[from..to];
            let step = MatchingStep {
                matching,
                listed_at,
                after: state.through,
                changes: self.prepare_step(&memory, change, step)?,
                // Above zero, which stands for a change that has not begun.
                through: Some(step.last().map_or(state.through.max(UnitId(1)), |it| it.0)),
                is_last: to == listed.len(),
                ..MatchingStep::query(&memory)
            };
            state = self.matching_step(step, idempotency)?;
        }
        Ok(state.result())
    }

    /// Lists the units that match now, if they are those of the confirmation.
    fn confirmed(
        &self,
        memory: &Memory,
        (filter, change): (&UnitFilter, &MatchingChange),
        confirmation: &Confirmation,
        cancel: &Cancel,
    ) -> Result<Listed, EngineError> {
        if now() >= confirmation.expires {
            let what = "it has expired; count the units again without it";
            return Err(EngineError::invalid("confirmation_token", what));
        }
        let name = memory.record().name.clone();
        let listed = self.list_matching(memory, (filter, UnitId(0)), cancel, |unit| {
            change.check(&name, &unit)
        })?;
        let found = listed.len() as u64;
        if (found, hash_of(&listed)) != (confirmation.count, confirmation.hash) {
            return Err(EngineError::MatchesChanged { counted: confirmation.count, found });
        }
        Ok(listed)
    }

    /// Lists the units that an interrupted change has left: those that match and have not changed since it began. They have matched
    /// then, so they were among those that were confirmed.
    fn rest_of(
        &self,
        memory: &Memory,
        filter: &UnitFilter,
        state: &MatchingState,
        cancel: &Cancel,
    ) -> Result<Listed, EngineError> {
        let log = self.backend.log.as_ref();
        let mut listed = self.list_matching(memory, (filter, state.through), cancel, |_| Ok(()))?;
        // Read after the units: a change that the list has missed is in the log.
        let changed: BTreeSet<UnitId> = changed_since(log, memory.key, state.listed_at)?;
        check_held(log, state.listed_at)?;
        listed.retain(|(id, _)| !changed.contains(id));
        Ok(listed)
    }

    /// The units above a number that match a filter, each also passed to `visit`.
    fn list_matching(
        &self,
        memory: &Memory,
        (filter, mut after): (&UnitFilter, UnitId),
        cancel: &Cancel,
        mut visit: impl FnMut(Unit) -> Result<(), EngineError>,
    ) -> Result<Listed, EngineError> {
        let filter = filter.prepare(&memory.analyzers, "filter")?;
        let mut listed = Vec::new();
        loop {
            let page = self.read_page(memory, Some(after), LOAD_PAGE_UNITS, cancel)?;
            let Some(last) = page.last() else { return Ok(listed) };
            after = last.id;
            for unit in page {
                if filter.accepts(&unit) {
                    listed.push((unit.id, unit.content_revision()));
                    visit(unit)?;
                }
            }
        }
    }

    /// Prepares the changes of a step. Units that have changed since they were listed are left out.
    fn prepare_step(
        &self,
        memory: &Memory,
        change: &MatchingChange,
        step: &[(UnitId, u64)],
    ) -> Result<Vec<MatchedUnit>, EngineError> {
        let MatchingChange::Update(patch) = change else {
            let delete = |&(id, from): &(UnitId, u64)| MatchedUnit { id, from, update: None };
            return Ok(step.iter().map(delete).collect());
        };
        let name = memory.record().name.clone();
        let ids: Vec<UnitId> = step.iter().map(|it| it.0).collect();
        let units = self.backend.store.units(memory.key, &ids)?;
        let mut changes = Vec::with_capacity(units.len());
        for (&(id, from), unit) in step.iter().zip(units) {
            let unit = unit.filter(|unit| unit.content_revision() == from);
            let Some(unit) = unit else { continue };
            let prepared = self.prepare_content(memory, changed_content(&name, patch, &unit)?);
            let update = Some(prepared.map_err(|fault| invalid_unit(&name, id, fault))?);
            changes.push(MatchedUnit { id, from, update });
        }
        Ok(changes)
    }

    fn matching_step(
        &self,
        step: MatchingStep,
        idempotency: Idempotency,
    ) -> Result<MatchingState, EngineError> {
        let work = Work::ChangeMatching(step);
        let answer = self.writer.submit_when_free(work, Some(idempotency))?;
        match receive(answer.blocking_recv())?.outcome {
            Outcome::Matching(state) => Ok(*state),
            _ => Err(EngineError::RequestReused(idempotency.field)),
        }
    }
}

impl MatchingStep {
    /// A step that reads the progress only.
    fn query(memory: &Memory) -> Self {
        Self {
            memory: memory.key,
            matching: 0,
            listed_at: Sequence(0),
            after: UnitId(0),
            changes: Vec::new(),
            through: None,
            is_last: false,
        }
    }
}

impl MatchingState {
    fn result(&self) -> MatchingResult {
        MatchingResult { matching: self.matching, changed: self.changed }
    }
}

impl MatchingChange {
    /// Checks that a unit would be valid after the change.
    fn check(&self, memory: &MemoryName, unit: &Unit) -> Result<(), EngineError> {
        let Self::Update(patch) = self else { return Ok(()) };
        let content = changed_content(memory, patch, unit)?;
        validate_content(&content).map_err(|fault| invalid_unit(memory, unit.id, fault))
    }
}

fn changed_content(
    memory: &MemoryName,
    patch: &UnitPatch,
    unit: &Unit,
) -> Result<UnitContent, EngineError> {
    let content = patch.clone().apply(unit.content.clone());
    content.map_err(|fault| invalid_unit(memory, unit.id, fault))
}

fn invalid_unit(memory: &MemoryName, id: UnitId, fault: ContentFault) -> EngineError {
    let unit = format!("{}/units/{id}", memory.resource());
    EngineError::invalid(format!("unit.{}", fault.field), format!("{unit}: {}", fault.message))
}

fn hash_of(listed: &[(UnitId, u64)]) -> u128 {
    let mut hasher = Xxh3::new();
    for (id, revision) in listed {
        hasher.update(&id.0.to_le_bytes());
        hasher.update(&revision.to_le_bytes());
    }
    hasher.digest128()
}
