//! Checks the quality of a memory's units with the lexicon trained on the memory.

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

/// Which units a quality check lists.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct CheckSettings {
    /// Least suspicion of a unit that is listed, from 0 to 1.
    pub min_suspicion: f32,
    /// Most units listed, the worst first; 0 for all.
    pub max_units: usize,
}

/// A unit with quality issues.
#[derive(Debug, Clone)]
pub struct SuspectUnit {
    /// The unit.
    pub unit: Unit,
    /// Its quality issues.
    pub verdict: Verdict,
}

/// How an import treats units with quality issues.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum CheckAction {
    /// Skips the check.
    #[default]
    None,
    /// Stores them with an attribute that lists the issues.
    Tag,
    /// Rejects units with grave issues, tags the others.
    Reject,
}

/// The attribute of a stored unit that lists its quality issues.
pub const CHECK_ATTRIBUTE: &str = "check";

impl Engine {
    /// Lists the units of a memory that have quality issues, worst first, and counts the checked units. Trains the lexicon first, if
    /// it is outdated. `training` and `checking` receive the progress of each stage, from 0 to 1.
    ///
    /// # Errors
    /// No such memory; cancelled; the store.
    pub fn check_units(
        &self,
        name: &MemoryName,
        settings: CheckSettings,
        cancel: &Cancel,
        training: TrainingProgress<'_>,
        checking: TrainingProgress<'_>,
    ) -> Result<(Vec<SuspectUnit>, u64), EngineError> {
        let trained = self.ensure_trained(name, cancel, training)?;
        let memory = self.named(name)?;
        let record = memory.record();
        let lexicons = lexicons((&record.source_lang, &record.target_lang), [&trained]);
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
            // Units deleted meanwhile are left out.
            Some(SuspectUnit { unit: unit?, verdict })
        });
        Ok((suspects.collect(), checked))
    }

    /// Checks units before they are imported into a memory, with its present lexicon; `None` for units without issues.
    ///
    /// # Errors
    /// No such memory.
    pub fn check_contents(
        &self,
        name: &MemoryName,
        contents: &[UnitContent],
    ) -> Result<Vec<Option<Verdict>>, EngineError> {
        let memory = self.named(name)?;
        let record = memory.record();
        let trained = self.cached_lexicon(&memory);
        let lexicons = lexicons((&record.source_lang, &record.target_lang), [&trained]);
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

/// Sorts by suspicion, then by number, and keeps the worst.
fn keep_worst(suspects: &mut Vec<(UnitId, Verdict)>, most: usize) {
    suspects.sort_by(|a, b| b.1.suspicion.total_cmp(&a.1.suspicion).then(a.0.cmp(&b.0)));
    suspects.truncate(most);
}
