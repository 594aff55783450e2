//! Plans a step of a change of all units that match a filter, with the progress that a repetition continues from.

use std::sync::Arc;

use crate::store::{Commit, UnitWrite};

use super::{OpenMemory, Planner};
use crate::engine::commit::outcome::{MatchingState, Outcome, Reply};
use crate::engine::commit::work::{MatchedUnit, MatchingStep};
use crate::engine::error::EngineError;

impl Planner<'_> {
    /// Changes the units of a step that are still as they were listed. Answers with the progress; nothing is written when the step is
    /// not the next one, because the same request runs twice.
    pub(super) fn change_matching(
        &mut self,
        step: &mut MatchingStep,
        earlier: Option<Outcome>,
        commit: &mut Commit,
    ) -> Result<Reply, EngineError> {
        let mut memory = OpenMemory::new(self.record(step.memory)?);
        let key = step.memory;
        let mut state = match earlier {
            Some(Outcome::Matching(state)) => *state,
            _ => MatchingState {
                matching: step.matching,
                listed_at: step.listed_at,
                ..MatchingState::new(key)
            },
        };
        let Some(through) = step.through.filter(|_| !state.complete && state.through == step.after)
        else {
            return Ok(Reply::of(Outcome::Matching(Box::new(state))));
        };
        for MatchedUnit { id, from, update } in &mut step.changes {
            let unit = self.unit(key, *id)?;
            let Some(unit) = unit.filter(|unit| unit.content_revision() == *from) else { continue };
            match update {
                None => self.remove(&mut memory, &unit, commit),
                Some(prepared) => {
                    let unit = self.put(&mut memory, *id, Some(&unit), prepared);
                    commit.units.push(UnitWrite::Update(key, Arc::clone(&unit)));
                }
            }
            state.changed += 1;
        }
        if !commit.units.is_empty() {
            self.close(memory, commit);
        }
        state.through = through;
        state.complete = step.is_last;
        Ok(Reply { is_recorded: true, ..Reply::of(Outcome::Matching(Box::new(state))) })
    }
}
