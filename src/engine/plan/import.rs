//! What does a batch of an import write? Its units that are new or take the place of others, and how far the import is.

use std::sync::Arc;

use crate::matching::Identity;
use crate::store::{Commit, MemoryKey, UnitWrite};
use crate::unit::{Timestamp, Unit, UnitId};

use super::super::duplicates::{agreement, repeats};
use super::super::error::EngineError;
use super::super::prepare::Prepared;
use super::super::requests::{
    DigestPlace, Idempotency, ImportState, Outcome, block_key, digest_at, end_of_block,
};
use super::super::work::{DuplicatePolicy, ImportBatch, PreparedBatch, Reply, UnitVerdict};
use super::{OpenMemory, Planner};

impl Planner<'_> {
    pub(super) fn import(
        &mut self,
        batch: ImportBatch,
        mut state: ImportState,
        idempotency: Option<Idempotency>,
        commit: &mut Commit,
    ) -> Result<Reply, EngineError> {
        let ImportBatch { memory, policy, content } = batch;
        let PreparedBatch { number, units, rejected, last, digest } = content;
        let acked_through = state.progress.acked_through;
        if number <= acked_through {
            self.check_same_batch(&state, number, digest, idempotency)?;
            return Ok(import_reply(state));
        }
        if number != acked_through + 1 {
            return Err(EngineError::invalid(
                "batch.number",
                format!(
                    "batch {number} came, but {} is next: send the batches in order without gaps",
                    acked_through + 1
                ),
            ));
        }
        if state.complete {
            let what = "this import ended with an earlier batch; take a new import_id";
            return Err(EngineError::invalid("batch.number", what));
        }
        let mut memory = OpenMemory::new(self.record(memory)?);
        let mut verdicts = Vec::with_capacity(units.len());
        let counts = &mut state.progress.counts;
        counts.read += units.len() as u64 + rejected;
        counts.rejected += rejected;
        for mut prepared in units {
            match self.judge(memory.record.key, &prepared, policy)? {
                Verdict::New => {
                    self.create(&mut memory, prepared, commit);
                    counts.stored += 1;
                    verdicts.push(UnitVerdict::Stored);
                }
                Verdict::Replace(old) => {
                    let (id, revision) = (old.id, old.revision + 1);
                    prepared.complete_context(&old.content);
                    let unit = self.put(&mut memory, id, revision, old.content.created, prepared);
                    commit.units.push(UnitWrite::Update(memory.record.key, unit));
                    counts.stored += 1;
                    counts.replaced += 1;
                    verdicts.push(UnitVerdict::Replaced);
                }
                Verdict::Duplicate => {
                    counts.duplicates += 1;
                    verdicts.push(UnitVerdict::Duplicate);
                }
            }
        }
        self.close(memory, commit);
        state.complete = last;
        if let Some((block, digests)) = state.push(digest)
            && let Some(idempotency) = idempotency
        {
            let key = block_key(idempotency.key, block);
            self.remember(key, idempotency, &Outcome::BatchDigests(digests), commit)?;
        }
        Ok(Reply { verdicts, ..import_reply(state) })
    }

    /// Refuses a batch whose number is on disk with another content.
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
                    // Forgotten by now: that it is the same cannot be said.
                    _ => None,
                }
            }
        };
        match stored {
            Some(stored) if stored == digest => Ok(()),
            _ => Err(EngineError::BatchReused(number)),
        }
    }

    /// What to do with an imported unit.
    fn judge(
        &self,
        key: MemoryKey,
        prepared: &Prepared,
        policy: DuplicatePolicy,
    ) -> Result<Verdict, EngineError> {
        if policy == DuplicatePolicy::KeepAll {
            return Ok(Verdict::New);
        }
        let identity = prepared.identity();
        let wanted = |stored: Identity| match policy {
            DuplicatePolicy::ReplaceSameSource => identity.may_share_place(stored),
            _ => identity.may_repeat(stored),
        };
        let stored = self.catalog.by_key(key);
        let stored = stored.map(|memory| memory.index.exact(identity.source_hash, wanted));
        let planned = self.by_source.get(&(key, identity.source_hash)).into_iter().flatten();
        let planned = planned.copied().filter(|&(_, identity)| wanted(identity));
        let mut best: Option<(Rank, Arc<Unit>)> = None;
        for (id, _) in stored.into_iter().flatten().chain(planned) {
            let Some(unit) = self.unit(key, id)? else {
                continue;
            };
            if repeats(&prepared.content, &unit.content) {
                return Ok(Verdict::Duplicate);
            }
            let Some(agreement) = agreement(&prepared.content, &unit.content) else { continue };
            let rank = (agreement, unit.content.changed, unit.id);
            if best.as_ref().is_none_or(|(best, _)| *best < rank) {
                best = Some((rank, unit));
            }
        }
        Ok(match best {
            Some((_, old)) if policy == DuplicatePolicy::ReplaceSameSource => Verdict::Replace(old),
            _ => Verdict::New,
        })
    }
}

/// How well a stored unit fits to be replaced: what its context has in common with the new one, then the newest.
type Rank = (usize, Option<Timestamp>, UnitId);

enum Verdict {
    New,
    Replace(Arc<Unit>),
    Duplicate,
}

pub(super) fn import_state(earlier: Option<Outcome>, memory: MemoryKey) -> ImportState {
    earlier.and_then(|it| it.import(memory)).unwrap_or_else(|| ImportState::new(memory))
}

pub(super) fn import_reply(state: ImportState) -> Reply {
    Reply::of(Outcome::ImportInto(Box::new(state)))
}
