//! Verifies the store: checksums of records, the running checksum of the commit log, units against the log, counts, indexes against
//! the store, and the files derived from it.
//!
//! Others may write meanwhile, so a disagreement is checked again before it is reported.

use std::collections::{BTreeSet, HashMap, HashSet};

use rayon::iter::{IntoParallelIterator as _, ParallelIterator as _};

use crate::limits::{COMPACTION_PAGE_RECORDS, FINDINGS_MAX, LOAD_PAGE_UNITS};
use crate::matching::MemoryIndex;
use crate::store::{Backend, ChangeKind, MemoryKey, MemoryRecord, Sequence};
use crate::unit::{Unit, UnitId};

use crate::engine::Engine;
use crate::engine::cancel::Cancel;
use crate::engine::error::EngineError;
use crate::engine::replica::catalog::Memory;
use crate::engine::replica::changes::changed_since;
use crate::engine::replica::checkpoints::Checkpoints;
use crate::engine::replica::encoding::{self, Analyzers};
use crate::engine::replica::lexicon;

/// How bad a finding is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Severity {
    /// Stored data is lost or changed; restore a backup.
    Damage,
    /// Derived data is wrong; a restart rebuilds it, and nothing is lost.
    Derived,
}

/// A disagreement.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// How bad it is.
    pub severity: Severity,
    /// A description for a person.
    pub what: String,
}

/// The result of a verification.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Verified {
    /// Memories that are not deleted.
    pub memories: u64,
    /// Their units.
    pub units: u64,
    /// Commits in the log.
    pub commits: u64,
    /// Checkpoint and lexicon files.
    pub files: u64,
    /// Disagreements; at most [`FINDINGS_MAX`] are listed.
    pub findings: Vec<Finding>,
}

/// Attempts before a disagreement is reported: enough for concurrent writes to finish.
const ATTEMPTS_MAX: usize = 10;
/// How often wrong counts must repeat without a commit in between before they are reported.
const REPETITIONS_MIN: usize = 4;

impl Engine {
    /// Reads and compares everything. Blocks.
    ///
    /// # Errors
    /// Cancelled; the store cannot be read at all.
    pub fn verify(&self, cancel: &Cancel, progress: &dyn Fn(f32)) -> Result<Verified, EngineError> {
        let result = Verified::default();
        let mut verification =
            Verification { engine: self, cancel, progress, result, done: 0, total: 0 };
        verification.run()?;
        Ok(verification.result)
    }
}

struct Verification<'a> {
    engine: &'a Engine,
    cancel: &'a Cancel,
    progress: &'a dyn Fn(f32),
    result: Verified,
    done: u64,
    total: u64,
}

/// The last change of a unit in the log: its revision, and whether the unit exists after it.
type LastChange = (u64, bool);

impl Verification<'_> {
    fn run(&mut self) -> Result<(), EngineError> {
        let Backend { store, log, .. } = &self.engine.backend;
        let records = store.memories()?;
        let units: u64 = records.iter().map(|record| record.unit_count).sum();
        self.total = 2 * units + log.end()?.sequence.0 - log.start()?.sequence.0;
        let last_changes = self.check_log()?;
        for record in records.iter().filter(|record| !record.deleted) {
            self.result.memories += 1;
            let Some(memory) = self.engine.catalog.by_key(record.key) else { continue };
            self.check_units(&memory, &last_changes)?;
            self.check_files(&memory)?;
        }
        Ok(())
    }

    fn report(&mut self, severity: Severity, what: String) {
        if self.result.findings.len() < FINDINGS_MAX {
            self.result.findings.push(Finding { severity, what });
        }
    }

    fn step(&mut self, done: u64) -> Result<(), EngineError> {
        self.done += done;
        #[expect(clippy::cast_precision_loss)]
        (self.progress)((self.done as f32 / self.total.max(1) as f32).min(1.0));
        if self.cancel.is_cancelled() { Err(EngineError::Cancelled) } else { Ok(()) }
    }

    /// Verifies the numbers and checksums of the log, and that the versions it names are held; returns the last change of each unit.
    fn check_log(&mut self) -> Result<HashMap<(MemoryKey, UnitId), LastChange>, EngineError> {
        let Backend { store, log, .. } = &self.engine.backend;
        let mut last_changes: HashMap<(MemoryKey, UnitId), LastChange> = HashMap::new();
        let mut at = log.start()?;
        loop {
            let page = log.read(at.sequence, COMPACTION_PAGE_RECORDS)?;
            if page.is_empty() {
                return Ok(last_changes);
            }
            for record in &page {
                if record.sequence != at.sequence.next() {
                    // After a truncation during the verification, the rest of the log is verified from its new start.
                    if log.start()?.sequence <= at.sequence {
                        let what = format!("the commit log lacks commit {}", at.sequence.0 + 1);
                        self.report(Severity::Damage, what);
                    }
                } else if !record.follows(at.checksum) {
                    let what = format!("the commit log breaks at commit {}", record.sequence.0);
                    self.report(Severity::Damage, what);
                }
                (at.sequence, at.checksum) = (record.sequence, record.checksum);
                for change in &record.changes {
                    let last = (change.revision, change.kind != ChangeKind::Deleted);
                    let before = last_changes.insert((change.memory, change.unit), last);
                    let is_held = record.effects.is_some();
                    if let Some((revision, true)) = before.filter(|_| is_held)
                        && store.version(change.memory, change.unit, revision)?.is_none()
                        && log.start()?.sequence < record.sequence
                    {
                        let what = format!(
                            "revision {revision} of unit {} of memory number {} is in the log but not in the history",
                            change.unit, change.memory.0
                        );
                        self.report(Severity::Damage, what);
                    }
                }
            }
            self.result.commits += page.len() as u64;
            self.step(page.len() as u64)?;
        }
    }

    /// Compares the units of a memory with its count, with the log, and with its index.
    fn check_units(
        &mut self,
        memory: &Memory,
        last_changes: &HashMap<(MemoryKey, UnitId), LastChange>,
    ) -> Result<(), EngineError> {
        let mut suspects: BTreeSet<UnitId> = BTreeSet::new();
        let mut seen: HashSet<UnitId> = HashSet::new();
        let mut after = None;
        loop {
            let page = self.engine.backend.store.page(memory.key, after, LOAD_PAGE_UNITS);
            let page = match page {
                Ok(page) => page,
                Err(error) => {
                    let name = memory.record().name.clone();
                    self.report(Severity::Damage, format!("units of memory '{name}': {error}"));
                    return Ok(());
                }
            };
            let Some(last) = page.last() else { break };
            after = Some(last.id);
            let count = page.len() as u64;
            seen.extend(page.iter().map(|unit| unit.id));
            let disagrees = |unit: &Unit| {
                let last = last_changes.get(&(memory.key, unit.id));
                last.is_some_and(|last| *last != (unit.revision, true))
            };
            suspects.extend(page.iter().filter(|unit| disagrees(unit)).map(|unit| unit.id));
            suspects.extend(missing_in(&memory.index, &memory.analyzers, page, self.engine));
            self.step(2 * count)?;
        }
        self.result.units += seen.len() as u64;
        let in_log = last_changes.iter().filter(|((key, _), last)| *key == memory.key && last.1);
        suspects.extend(in_log.map(|((_, id), _)| *id).filter(|id| !seen.contains(id)));
        self.recheck_units(memory, suspects)?;
        self.check_counts(memory)
    }

    /// Checks suspect units again until concurrent writes to them have finished, and reports those that still disagree.
    fn recheck_units(
        &mut self,
        memory: &Memory,
        mut suspects: BTreeSet<UnitId>,
    ) -> Result<(), EngineError> {
        let mut faults = Vec::new();
        for attempt in 0..ATTEMPTS_MAX {
            if suspects.is_empty() {
                return Ok(());
            }
            if attempt > 0 {
                std::thread::sleep(std::time::Duration::from_millis(100));
            }
            let mut still = BTreeSet::new();
            faults.clear();
            let last_changes = self.last_changes_of(memory.key, &suspects)?;
            for &id in &suspects {
                let unit = self.engine.backend.store.units(memory.key, &[id])?.pop().flatten();
                let fault = match (last_changes.get(&id), unit) {
                    (Some((revision, true)), None) => Some((
                        Severity::Damage,
                        format!("unit {id} is missing; the log has its revision {revision}"),
                    )),
                    (Some((revision, exists)), Some(unit))
                        if (*revision, *exists) != (unit.revision, true) =>
                    {
                        let what = format!(
                            "unit {id} is stored in revision {}; the log has revision {revision}{}",
                            unit.revision,
                            if *exists { "" } else { ", deleted" }
                        );
                        Some((Severity::Damage, what))
                    }
                    (_, Some(unit)) => {
                        let page = vec![unit];
                        let lost = missing_in(&memory.index, &memory.analyzers, page, self.engine);
                        let what =
                            || format!("the index entry of unit {id} differs from the store");
                        (!lost.is_empty()).then(|| (Severity::Derived, what()))
                    }
                    (_, None) => None,
                };
                if let Some(fault) = fault {
                    still.insert(id);
                    faults.push(fault);
                }
            }
            suspects = still;
        }
        let name = memory.record().name.clone();
        for (severity, what) in faults {
            self.report(severity, format!("memory '{name}': {what}"));
        }
        Ok(())
    }

    fn last_changes_of(
        &self,
        memory: MemoryKey,
        ids: &BTreeSet<UnitId>,
    ) -> Result<HashMap<UnitId, LastChange>, EngineError> {
        let log = &self.engine.backend.log;
        let mut last_changes = HashMap::new();
        let mut after = log.start()?.sequence;
        loop {
            let page = log.read(after, COMPACTION_PAGE_RECORDS)?;
            let Some(last) = page.last() else { return Ok(last_changes) };
            after = last.sequence;
            for change in page.iter().flat_map(|record| &record.changes) {
                if change.memory == memory && ids.contains(&change.unit) {
                    last_changes
                        .insert(change.unit, (change.revision, change.kind != ChangeKind::Deleted));
                }
            }
        }
    }

    /// Compares the numbers of stored and indexed units with the count in the memory's record.
    fn check_counts(&mut self, memory: &Memory) -> Result<(), EngineError> {
        let mut fault = None;
        // Writes can be read shortly before they are committed, so only a disagreement that persists is a fault.
        let mut repetitions = 0;
        for attempt in 0..ATTEMPTS_MAX {
            if attempt > 0 {
                std::thread::sleep(std::time::Duration::from_millis(100));
            }
            let before = *self.engine.sequence.borrow();
            let record = self.record(memory.key)?;
            let Some(record) = record.filter(|record| !record.deleted) else { return Ok(()) };
            let mut stored = 0;
            let mut after = None;
            loop {
                let page = self.engine.backend.store.page(memory.key, after, LOAD_PAGE_UNITS)?;
                let Some(last) = page.last() else { break };
                after = Some(last.id);
                stored += page.len() as u64;
                if last.id >= record.next_unit && self.engine.backend.log.end()?.sequence == before
                {
                    let what = format!("unit {} has a number that was never assigned", last.id);
                    self.report(Severity::Damage, what);
                }
            }
            let indexed = memory.index.len() as u64;
            if stored == record.unit_count && indexed == record.unit_count {
                return Ok(());
            }
            let found = Some((before, record, stored, indexed));
            let is_repeated = found == fault && self.is_settled(before)?;
            repetitions = if is_repeated { repetitions + 1 } else { 0 };
            fault = found;
            if repetitions == REPETITIONS_MIN {
                break;
            }
        }
        let Some((_, record, stored, indexed)) = fault.filter(|_| repetitions == REPETITIONS_MIN)
        else {
            return Ok(());
        };
        if stored == record.unit_count {
            let what =
                format!("memory '{}' holds {stored} units, but its index {indexed}", record.name);
            self.report(Severity::Derived, what);
        } else {
            let what = format!(
                "memory '{}' holds {stored} units, but its record counts {}",
                record.name, record.unit_count
            );
            self.report(Severity::Damage, what);
        }
        Ok(())
    }

    /// Whether there was no commit after this one, and the indexes are up to date.
    fn is_settled(&self, since: Sequence) -> Result<bool, EngineError> {
        let end = self.engine.backend.log.end()?.sequence;
        Ok(end == since && *self.engine.sequence.borrow() == since)
    }

    fn record(&self, key: MemoryKey) -> Result<Option<MemoryRecord>, EngineError> {
        Ok(self.engine.backend.store.memories()?.into_iter().find(|record| record.key == key))
    }

    /// Checks that the next start can read the checkpoint and the lexicon of a memory.
    fn check_files(&mut self, memory: &Memory) -> Result<(), EngineError> {
        let log = self.engine.backend.log.as_ref();
        let Some(record) = self.record(memory.key)? else { return Ok(()) };
        let name = record.name.clone();
        let checkpoints = Checkpoints::new(self.engine.derived.clone());
        match checkpoints.read(&record, log) {
            Ok(None) => {}
            Ok(Some((index, sequence))) => {
                self.result.files += 1;
                let lost = self.lost_from(memory, &index, sequence)?;
                if lost > 0 {
                    let what = format!(
                        "the checkpoint of memory '{name}' lacks {lost} units of commit {}",
                        sequence.0
                    );
                    self.report(Severity::Derived, what);
                }
            }
            Err(error) => {
                self.result.files += 1;
                let what = format!("the checkpoint of memory '{name}' cannot be used: {error}");
                self.report(Severity::Derived, what);
            }
        }
        let Some(path) = self.engine.lexicon_path(&record) else { return Ok(()) };
        match lexicon::read(&path, &record, log) {
            Ok(None) => {}
            Ok(Some(_)) => self.result.files += 1,
            Err(error) => {
                self.result.files += 1;
                let what = format!("the lexicon of memory '{name}' cannot be used: {error}");
                self.report(Severity::Derived, what);
            }
        }
        Ok(())
    }

    /// Counts the units that have not changed since a commit but are missing in an index of that commit.
    fn lost_from(
        &mut self,
        memory: &Memory,
        index: &MemoryIndex,
        sequence: Sequence,
    ) -> Result<usize, EngineError> {
        let mut missing = Vec::new();
        let mut after = None;
        loop {
            let page = self.engine.backend.store.page(memory.key, after, LOAD_PAGE_UNITS)?;
            let Some(last) = page.last() else { break };
            after = Some(last.id);
            missing.extend(missing_in(index, &memory.analyzers, page, self.engine));
            self.step(0)?;
        }
        // Read last, to include units that changed during the comparison.
        let changed = changed_since(self.engine.backend.log.as_ref(), memory.key, sequence)?;
        Ok(missing.iter().filter(|id| !changed.contains(id)).count())
    }
}

/// Units that are missing in an index or differ there.
fn missing_in(
    index: &MemoryIndex,
    analyzers: &Analyzers,
    units: Vec<Unit>,
    engine: &Engine,
) -> Vec<UnitId> {
    let missing = |unit: Unit| {
        let id = unit.id;
        let facts = encoding::entry(&unit, analyzers).facts;
        let identity = facts.identity();
        (!index.holds(id, identity)).then_some(id)
    };
    engine.bulk.install(|| units.into_par_iter().filter_map(missing).collect())
}
