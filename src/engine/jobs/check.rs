//! Which units of a memory are no good? Judges each by what the memory itself has taught.

use rayon::iter::{IntoParallelIterator as _, ParallelIterator as _};

use crate::alignment::{Lexicon, Verdict, judge};
use crate::store::MemoryRecord;
use crate::unit::{MemoryName, Unit, UnitContent, UnitId};

use crate::engine::Engine;
use crate::engine::cancel::Cancel;
use crate::engine::error::EngineError;
use crate::engine::jobs::train::{TrainingProgress, Units};
use crate::engine::replica::catalog::Memory;
use crate::engine::replica::lexicon::lexicons;

/// What to list.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct CheckSettings {
    /// Least suspicion of a unit that is listed, from 0 to 1.
    pub min_suspicion: f32,
    /// Most units, the worst ones; 0 is all.
    pub max_units: usize,
}

/// A unit that is probably no good.
#[derive(Debug, Clone)]
pub struct SuspectUnit {
    /// The unit.
    pub unit: Unit,
    /// What speaks against it.
    pub verdict: Verdict,
}

/// What an import does with units that are probably no good.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum CheckAction {
    /// Does not look.
    #[default]
    None,
    /// Stores them with an attribute that says what speaks against them.
    Tag,
    /// Rejects grave ones, tags the others.
    Reject,
}

/// The attribute that says of a stored unit what speaks against it.
pub const CHECK_ATTRIBUTE: &str = "check";

impl Engine {
    /// The units of a memory that are probably no good, worst first, and how many were looked at. Learns the lexicon of the
    /// memory first, if it is far behind. `learning` and `checking` are told the part that is done, from 0 to 1.
    ///
    /// # Errors
    /// No such memory; cancelled; the store.
    pub fn check_units(
        &self,
        name: &MemoryName,
        settings: CheckSettings,
        cancel: &Cancel,
        learning: TrainingProgress<'_>,
        checking: TrainingProgress<'_>,
    ) -> Result<(Vec<SuspectUnit>, u64), EngineError> {
        let taught = self.ensure_trained(name, cancel, learning)?;
        let memory = self.named(name)?;
        let record = memory.record();
        let lexicons = lexicons((&record.source_lang, &record.target_lang), [&taught]);
        let mut suspects: Vec<(UnitId, Verdict)> = Vec::new();
        let mut checked = 0;
        self.pages(&memory, Units::All, cancel, |page| {
            checked += page.len() as u64;
            let found: Vec<_> = self.bulk.install(|| {
                let judged = page
                    .into_par_iter()
                    .map(|unit| (unit.id, verdict(&memory, &record, &unit.content, &lexicons)));
                judged.filter(|(_, it)| it.suspicion >= settings.min_suspicion).collect()
            });
            suspects.extend(found);
            if settings.max_units > 0 && suspects.len() > 2 * settings.max_units {
                keep_worst(&mut suspects, settings.max_units);
            }
            #[expect(clippy::cast_precision_loss)]
            checking((checked as f32 / record.unit_count.max(1) as f32).min(1.0));
            Ok(())
        })?;
        let most = if settings.max_units > 0 { settings.max_units } else { suspects.len() };
        keep_worst(&mut suspects, most);
        let ids: Vec<UnitId> = suspects.iter().map(|it| it.0).collect();
        let units = self.backend.store.units(memory.key, &ids)?;
        let suspects = units.into_iter().zip(suspects).filter_map(|(unit, (_, verdict))| {
            // One that was deleted meanwhile is no trouble any more.
            Some(SuspectUnit { unit: unit?, verdict })
        });
        Ok((suspects.collect(), checked))
    }

    /// What speaks against units on their way into a memory, by what it has taught so far; `None` for those that are fine.
    ///
    /// # Errors
    /// No such memory.
    pub fn doubts(
        &self,
        name: &MemoryName,
        contents: &[UnitContent],
    ) -> Result<Vec<Option<Verdict>>, EngineError> {
        let memory = self.named(name)?;
        let record = memory.record();
        let taught = self.cached_lexicon(&memory);
        let lexicons = lexicons((&record.source_lang, &record.target_lang), [&taught]);
        let judge = |content: &UnitContent| {
            let verdict = verdict(&memory, &record, content, &lexicons);
            (!verdict.doubts.is_empty()).then_some(verdict)
        };
        Ok(self.bulk.install(|| contents.into_par_iter().map(judge).collect()))
    }
}

fn verdict(
    memory: &Memory,
    record: &MemoryRecord,
    content: &UnitContent,
    lexicons: &[&Lexicon],
) -> Verdict {
    let source = memory.analyzers.source.analyze_segment(&content.source);
    let target = memory.analyzers.target.analyze_segment(&content.target);
    judge((&source, &record.source_lang), (&target, &record.target_lang), lexicons)
}

/// Worst first; of equals the older first.
fn keep_worst(suspects: &mut Vec<(UnitId, Verdict)>, most: usize) {
    suspects.sort_by(|a, b| b.1.suspicion.total_cmp(&a.1.suspicion).then(a.0.cmp(&b.0)));
    suspects.truncate(most);
}
