//! Plans a batch of an import: its new and replaced units, and the progress of the import.

use std::sync::Arc;

use crate::matching::{Identity, Question, Rank, SameSource};
use crate::store::{Commit, MemoryKey, UnitWrite};
use crate::unit::{Unit, UnitContent, UnitId};

use super::planned::Planned;
use super::{OpenMemory, Planner};
use crate::engine::commit::duplicates::{agreement, repeats};
use crate::engine::commit::idempotency::Idempotency;
use crate::engine::commit::outcome::{
    DigestPlace, ImportState, Outcome, Reply, block_key, digest_at, end_of_block, import_reply,
};
use crate::engine::commit::prepare::Prepared;
use crate::engine::commit::progress::UnitOutcome;
use crate::engine::commit::work::{DuplicatePolicy, ImportBatch, PreparedBatch};
use crate::engine::error::EngineError;

impl Planner<'_> {
    pub(super) fn import(
        &mut self,
        batch: &mut ImportBatch,
        mut state: ImportState,
        idempotency: Option<Idempotency>,
        commit: &mut Commit,
    ) -> Result<Reply, EngineError> {
        let ImportBatch { memory, policy, content } = batch;
        let PreparedBatch { number, units, rejected, last, digest } = content;
        let (number, digest) = (*number, *digest);
        if number <= state.progress.acked_through {
            self.check_same_batch(&state, number, digest, idempotency)?;
            return Ok(import_reply(state));
        }
        check_next_batch(&state, number)?;
        let mut memory = OpenMemory::new(self.record(*memory)?);
        let mut unit_outcomes = Vec::with_capacity(units.len());
        let counts = &mut state.progress.counts;
        counts.read += units.len() as u64 + *rejected;
        counts.rejected += *rejected;
        for prepared in units {
            let (outcome, _) = self.save(&mut memory, prepared, *policy, commit)?;
            counts.add(outcome);
            unit_outcomes.push(outcome);
        }
        self.close(memory, commit);
        state.complete = *last;
        if let Some((block, digests)) = state.push(digest)
            && let Some(idempotency) = idempotency
        {
            let key = block_key(idempotency.key, block);
            self.remember(key, idempotency, &Outcome::BatchDigests(digests), commit)?;
        }
        Ok(Reply { unit_outcomes, ..import_reply(state) })
    }

    /// Stores a unit, replaces another one with it, or finds that the memory has it. Returns the unit that has its content now.
    pub(super) fn save(
        &mut self,
        memory: &mut OpenMemory,
        prepared: &mut Prepared,
        policy: DuplicatePolicy,
        commit: &mut Commit,
    ) -> Result<(UnitOutcome, UnitId), EngineError> {
        Ok(match self.deduplicate(memory.record.key, prepared, policy)? {
            UnitAction::Create => (UnitOutcome::Stored, self.create(memory, prepared, commit)),
            UnitAction::Replace(old) => {
                let mut prepared = prepared.clone();
                prepared.complete_context(&old.content);
                let unit = self.put(memory, old.id, Some(&old), &mut prepared);
                commit.units.push(UnitWrite::Update(memory.record.key, unit));
                (UnitOutcome::Replaced, old.id)
            }
            UnitAction::Skip(id) => (UnitOutcome::Duplicate, id),
        })
    }

    /// Refuses a batch whose number is stored with another content.
    fn check_same_batch(
        &self,
        state: &ImportState,
        number: u64,
        digest: u64,
        idempotency: Option<Idempotency>,
    ) -> Result<(), EngineError> {
        let Some(idempotency) = idempotency else { return Ok(()) };
        let stored = match state.place_of(number) {
            DigestPlace::Unknown => return Ok(()),
            DigestPlace::Here(stored) => Some(stored),
            DigestPlace::Block(block) => {
                let record = self.request(block_key(idempotency.key, block))?;
                let outcome = record.map(|it| Outcome::from_bytes(&it.outcome)).transpose()?;
                match outcome {
                    Some(Outcome::BatchDigests(digests)) => {
                        digest_at(&digests, end_of_block(block), number)
                    }
                    // The digests have expired, so it cannot be verified that the batch is the same.
                    _ => None,
                }
            }
        };
        match stored {
            Some(stored) if stored == digest => Ok(()),
            _ => Err(EngineError::BatchReused(number)),
        }
    }

    /// Decides what to do with an imported unit.
    fn deduplicate(
        &self,
        key: MemoryKey,
        prepared: &Prepared,
        policy: DuplicatePolicy,
    ) -> Result<UnitAction, EngineError> {
        if policy == DuplicatePolicy::KeepAll {
            return Ok(UnitAction::Create);
        }
        let identity = prepared.identity();
        let memory = self.basis.catalog.by_key(key);
        let stored = memory.and_then(|memory| memory.index.same_source(identity.source_hash));
        let planned = self.by_source.get(&(key, identity.source_hash));
        if stored.is_none() && planned.is_none() {
            return Ok(UnitAction::Create);
        }
        let same = SameSourceUnits { key, new: prepared.content(), stored, planned };
        if let Some(id) = self.duplicated(&same, identity)? {
            return Ok(UnitAction::Skip(id));
        }
        if policy != DuplicatePolicy::ReplaceSameSource {
            return Ok(UnitAction::Create);
        }
        // A translation does not replace itself only because it is finished now, or no longer.
        if let Some(id) = self.duplicated(&same, prepared.identity_in_other_state())? {
            return Ok(UnitAction::Skip(id));
        }
        let replaced = self.unit_to_replace(&same, identity)?;
        Ok(replaced.map_or(UnitAction::Create, UnitAction::Replace))
    }

    /// The unit of the store or of the plan that a new one duplicates.
    fn duplicated(
        &self,
        same: &SameSourceUnits<'_>,
        identity: Identity,
    ) -> Result<Option<UnitId>, EngineError> {
        let mut found = None;
        if let Some(planned) = same.planned {
            planned.candidates(identity, Question::Repeats, &mut |it| {
                let is_duplicated = identity.may_repeat(it.identity)
                    && self.is_current(same.key, &it.unit)
                    && repeats(same.new, &it.unit.content);
                found = is_duplicated.then_some(it.unit.id);
                is_duplicated
            });
        }
        let (None, Some(stored)) = (found, &same.stored) else { return Ok(found) };
        stored.repeated(identity, |id| {
            let unit = self.unit(same.key, id)?;
            let is_duplicated = unit.is_some_and(|unit| repeats(same.new, &unit.content));
            found = is_duplicated.then_some(id);
            Ok::<_, EngineError>(is_duplicated)
        })?;
        Ok(found)
    }

    /// The unit that a new one replaces: the one whose context agrees best, then the newest.
    fn unit_to_replace(
        &self,
        same: &SameSourceUnits<'_>,
        identity: Identity,
    ) -> Result<Option<Arc<Unit>>, EngineError> {
        let mut best: Option<Rank> = None;
        if let Some(planned) = same.planned {
            planned.candidates(identity, Question::Places, &mut |it| {
                let fits =
                    identity.may_share_place(it.identity) && self.is_current(same.key, &it.unit);
                if fits {
                    best = best.max(Some(rank(identity.agreement(it.identity), &it.unit)));
                }
                fits
            });
        }
        // The index has the old state of units that the plan has changed.
        let as_indexed = |id: UnitId| !self.units.contains_key(&(same.key, id));
        let stored = same.stored.as_ref();
        let best = best.max(stored.and_then(|it| it.best_place(identity, as_indexed)));
        let Some((.., id)) = best else { return Ok(None) };
        match self.unit(same.key, id)? {
            Some(unit) if agreement(same.new, &unit.content).is_some() => Ok(Some(unit)),
            _ => self.best_by_content(same, identity),
        }
    }

    /// The same by reading all candidates, for when the best one by its hashes has another source or context with the same hash.
    fn best_by_content(
        &self,
        same: &SameSourceUnits<'_>,
        identity: Identity,
    ) -> Result<Option<Arc<Unit>>, EngineError> {
        let stored = same.stored.iter().flat_map(SameSource::all);
        let planned = same.planned.into_iter().flat_map(Planned::units);
        let planned = planned.map(|it| (it.unit.id, it.identity));
        let mut best: Option<(Rank, Arc<Unit>)> = None;
        for (id, other) in stored.chain(planned) {
            if !identity.may_share_place(other) {
                continue;
            }
            let Some(unit) = self.unit(same.key, id)? else { continue };
            let Some(agreement) = agreement(same.new, &unit.content) else { continue };
            let rank = rank(agreement, &unit);
            if best.as_ref().is_none_or(|(best, _)| *best < rank) {
                best = Some((rank, unit));
            }
        }
        Ok(best.map(|(_, unit)| unit))
    }

    /// Whether a planned unit still has the latest content in the plan.
    fn is_current(&self, key: MemoryKey, unit: &Arc<Unit>) -> bool {
        let current = self.units.get(&(key, unit.id)).and_then(Option::as_ref);
        current.is_some_and(|current| current.content_revision() == unit.content_revision())
    }
}

/// A new unit, and the units of its memory with its source.
struct SameSourceUnits<'a> {
    key: MemoryKey,
    new: &'a UnitContent,
    stored: Option<SameSource>,
    planned: Option<&'a Planned>,
}

fn rank(agreement: usize, unit: &Unit) -> Rank {
    (agreement, unit.content.changed.unwrap_or_default(), unit.id)
}

/// What to do with an imported unit.
enum UnitAction {
    Create,
    Replace(Arc<Unit>),
    /// It is a duplicate of this one.
    Skip(UnitId),
}

/// Checks that a batch is the next one of its import.
fn check_next_batch(state: &ImportState, number: u64) -> Result<(), EngineError> {
    let next = state.progress.acked_through + 1;
    if number != next {
        let what = format!(
            "batch {number} came, but {next} is next: send the batches in order without gaps"
        );
        return Err(EngineError::invalid("batch.number", what));
    }
    if state.complete {
        let what = "this import ended with an earlier batch; choose a new import_id";
        return Err(EngineError::invalid("batch.number", what));
    }
    Ok(())
}
