//! Does everything agree? Records with their checksums, the commit log with its chain and with the units it tells of, counts, the
//! index with the store, and the files made from the store with it.
//!
//! Others may write meanwhile: what does not agree is looked at again before it is reported.

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
use crate::engine::replica::encoding;
use crate::engine::replica::encoding::Analyzers;
use crate::engine::replica::lexicon;

/// How bad a finding is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Severity {
    /// What was stored is not what is there: restore.
    Damage,
    /// What is made from the store is not right: it is made anew by a restart, and nothing is lost.
    Derived,
}

/// Something that does not agree.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// How bad it is.
    pub severity: Severity,
    /// What it is, for a person.
    pub what: String,
}

/// What a verification saw.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Verified {
    /// Memories that are alive.
    pub memories: u64,
    /// Their units.
    pub units: u64,
    /// Commits in the log.
    pub commits: u64,
    /// Checkpoints and lexicons that are there.
    pub files: u64,
    /// What does not agree; at most [`FINDINGS_MAX`] are listed.
    pub findings: Vec<Finding>,
}

/// Often enough for whatever was being written to be over.
const LOOKS: usize = 10;
/// How often counts must be seen again, with no commit between, before they are believed.
const LOOKS_ALIKE: usize = 4;

impl Engine {
    /// Reads everything and compares it. Blocks.
    ///
    /// # Errors
    /// Cancelled; the store cannot be read at all.
    pub fn verify(&self, cancel: &Cancel, progress: &dyn Fn(f32)) -> Result<Verified, EngineError> {
        let mut look =
            Look { engine: self, cancel, progress, seen: Verified::default(), done: 0, all: 0 };
        look.everything()?;
        Ok(look.seen)
    }
}

struct Look<'a> {
    engine: &'a Engine,
    cancel: &'a Cancel,
    progress: &'a dyn Fn(f32),
    seen: Verified,
    done: u64,
    all: u64,
}

/// The last word of the log on a unit: revision, and whether it is there.
type LastWord = (u64, bool);

impl Look<'_> {
    fn everything(&mut self) -> Result<(), EngineError> {
        let Backend { store, log, .. } = &self.engine.backend;
        let records = store.memories()?;
        let units: u64 = records.iter().map(|record| record.unit_count).sum();
        self.all = 2 * units + log.end()?.sequence.0 - log.start()?.sequence.0;
        let last_words = self.log()?;
        for record in records.iter().filter(|record| !record.deleted) {
            self.seen.memories += 1;
            let Some(memory) = self.engine.catalog.by_key(record.key) else { continue };
            self.units(&memory, &last_words)?;
            self.files(&memory)?;
        }
        Ok(())
    }

    fn report(&mut self, severity: Severity, what: String) {
        if self.seen.findings.len() < FINDINGS_MAX {
            self.seen.findings.push(Finding { severity, what });
        }
    }

    fn step(&mut self, done: u64) -> Result<(), EngineError> {
        self.done += done;
        #[expect(clippy::cast_precision_loss)]
        (self.progress)((self.done as f32 / self.all.max(1) as f32).min(1.0));
        if self.cancel.is_cancelled() { Err(EngineError::Cancelled) } else { Ok(()) }
    }

    /// Walks the log: numbers without a gap, a chain without a break, earlier versions that are held; the last word on each unit.
    fn log(&mut self) -> Result<HashMap<(MemoryKey, UnitId), LastWord>, EngineError> {
        let Backend { store, log, .. } = &self.engine.backend;
        let mut last_words: HashMap<(MemoryKey, UnitId), LastWord> = HashMap::new();
        let mut at = log.start()?;
        loop {
            let page = log.read(at.sequence, COMPACTION_PAGE_RECORDS)?;
            if page.is_empty() {
                return Ok(last_words);
            }
            for record in &page {
                if record.sequence != at.sequence.next() {
                    // Compacted in the middle of it: the rest of the log is whole by itself.
                    if log.start()?.sequence <= at.sequence {
                        let what = format!("the commit log lacks commit {}", at.sequence.0 + 1);
                        self.report(Severity::Damage, what);
                    }
                } else if !record.follows(at.checksum) {
                    let what = format!(
                        "the chain of the commit log breaks at commit {}",
                        record.sequence.0
                    );
                    self.report(Severity::Damage, what);
                }
                (at.sequence, at.checksum) = (record.sequence, record.checksum);
                for change in &record.changes {
                    let word = (change.revision, change.kind != ChangeKind::Deleted);
                    let before = last_words.insert((change.memory, change.unit), word);
                    let is_held = record.effects.is_some();
                    if let Some((revision, true)) = before.filter(|_| is_held)
                        && store.version(change.memory, change.unit, revision)?.is_none()
                        && log.start()?.sequence < record.sequence
                    {
                        let what = format!(
                            "revision {revision} of unit {} of memory number {} is in the log, but not in the history",
                            change.unit, change.memory.0
                        );
                        self.report(Severity::Damage, what);
                    }
                }
            }
            self.seen.commits += page.len() as u64;
            self.step(page.len() as u64)?;
        }
    }

    /// Compares the units of a memory with its count, with the log, and with its index.
    fn units(
        &mut self,
        memory: &Memory,
        last_words: &HashMap<(MemoryKey, UnitId), LastWord>,
    ) -> Result<(), EngineError> {
        let mut doubtful: BTreeSet<UnitId> = BTreeSet::new();
        let mut seen: HashSet<UnitId> = HashSet::new();
        let mut after = None;
        loop {
            let page = self.engine.backend.store.page(memory.key, after, LOAD_PAGE_UNITS);
            let page = match page {
                Ok(page) => page,
                Err(error) => {
                    let name = memory.record().name;
                    self.report(Severity::Damage, format!("units of memory '{name}': {error}"));
                    return Ok(());
                }
            };
            let Some(last) = page.last() else { break };
            after = Some(last.id);
            let count = page.len() as u64;
            seen.extend(page.iter().map(|unit| unit.id));
            let word = |unit: &Unit| last_words.get(&(memory.key, unit.id));
            let disagrees =
                |unit: &Unit| word(unit).is_some_and(|word| *word != (unit.revision, true));
            doubtful.extend(page.iter().filter(|unit| disagrees(unit)).map(|unit| unit.id));
            doubtful.extend(missing_in(&memory.index, &memory.analyzers, page, self.engine));
            self.step(2 * count)?;
        }
        self.seen.units += seen.len() as u64;
        let told = last_words.iter().filter(|((key, _), word)| *key == memory.key && word.1);
        doubtful.extend(told.map(|((_, id), _)| *id).filter(|id| !seen.contains(id)));
        self.look_again(memory, doubtful)?;
        self.counts(memory)
    }

    /// Looks at single units until what is being written to them is over.
    fn look_again(
        &mut self,
        memory: &Memory,
        mut doubtful: BTreeSet<UnitId>,
    ) -> Result<(), EngineError> {
        let mut faults = Vec::new();
        for look in 0..LOOKS {
            if doubtful.is_empty() {
                return Ok(());
            }
            if look > 0 {
                std::thread::sleep(std::time::Duration::from_millis(100));
            }
            let mut still = BTreeSet::new();
            faults.clear();
            let words = self.last_words_of(memory.key, &doubtful)?;
            for &id in &doubtful {
                let unit = self.engine.backend.store.units(memory.key, &[id])?.pop().flatten();
                let fault = match (words.get(&id), unit) {
                    (Some((revision, true)), None) => Some((
                        Severity::Damage,
                        format!("unit {id} is missing; the log has its revision {revision}"),
                    )),
                    (Some((revision, there)), Some(unit))
                        if (*revision, *there) != (unit.revision, true) =>
                    {
                        let what = format!(
                            "unit {id} is there in revision {}; the log has revision {revision}{}",
                            unit.revision,
                            if *there { "" } else { ", deleted" }
                        );
                        Some((Severity::Damage, what))
                    }
                    (_, Some(unit)) => {
                        let pages = vec![unit];
                        let lost = missing_in(&memory.index, &memory.analyzers, pages, self.engine);
                        let what =
                            || format!("unit {id} is not in the index as it is in the store");
                        (!lost.is_empty()).then(|| (Severity::Derived, what()))
                    }
                    (_, None) => None,
                };
                if let Some(fault) = fault {
                    still.insert(id);
                    faults.push(fault);
                }
            }
            doubtful = still;
        }
        let name = memory.record().name;
        for (severity, what) in faults {
            self.report(severity, format!("memory '{name}': {what}"));
        }
        Ok(())
    }

    fn last_words_of(
        &self,
        memory: MemoryKey,
        ids: &BTreeSet<UnitId>,
    ) -> Result<HashMap<UnitId, LastWord>, EngineError> {
        let log = &self.engine.backend.log;
        let mut words = HashMap::new();
        let mut after = log.start()?.sequence;
        loop {
            let page = log.read(after, COMPACTION_PAGE_RECORDS)?;
            let Some(last) = page.last() else { return Ok(words) };
            after = last.sequence;
            for change in page.iter().flat_map(|record| &record.changes) {
                if change.memory == memory && ids.contains(&change.unit) {
                    words
                        .insert(change.unit, (change.revision, change.kind != ChangeKind::Deleted));
                }
            }
        }
    }

    /// Whether as many units are there as the memory's record counts, and as many in the index.
    fn counts(&mut self, memory: &Memory) -> Result<(), EngineError> {
        let mut fault = None;
        // What is written can be read a moment before it counts as committed: only what stays as it is, is a fault.
        let mut seen = 0;
        for look in 0..LOOKS {
            if look > 0 {
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
                    let what = format!("unit {} has a number that was never given", last.id);
                    self.report(Severity::Damage, what);
                }
            }
            let indexed = memory.index.len() as u64;
            if stored == record.unit_count && indexed == record.unit_count {
                return Ok(());
            }
            let found = Some((before, record, stored, indexed));
            seen = if found == fault && self.is_settled(before)? { seen + 1 } else { 0 };
            fault = found;
            if seen == LOOKS_ALIKE {
                break;
            }
        }
        let Some((_, record, stored, indexed)) = fault.filter(|_| seen == LOOKS_ALIKE) else {
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

    /// Whether nothing was committed since a commit, and the indexes know all that was.
    fn is_settled(&self, since: Sequence) -> Result<bool, EngineError> {
        let end = self.engine.backend.log.end()?.sequence;
        Ok(end == since && *self.engine.sequence.borrow() == since)
    }

    fn record(&self, key: MemoryKey) -> Result<Option<MemoryRecord>, EngineError> {
        Ok(self.engine.backend.store.memories()?.into_iter().find(|record| record.key == key))
    }

    /// The checkpoint and the lexicon of a memory, as the next start would read them.
    fn files(&mut self, memory: &Memory) -> Result<(), EngineError> {
        let log = self.engine.backend.log.as_ref();
        let Some(record) = self.record(memory.key)? else { return Ok(()) };
        let name = record.name.clone();
        let checkpoints = Checkpoints::new(self.engine.derived.clone());
        match checkpoints.read(&record, log) {
            Ok(None) => {}
            Ok(Some((index, sequence))) => {
                self.seen.files += 1;
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
                self.seen.files += 1;
                let what = format!("the checkpoint of memory '{name}' is of no use: {error}");
                self.report(Severity::Derived, what);
            }
        }
        let Some(path) = self.engine.lexicon_path(&record) else { return Ok(()) };
        match lexicon::read(&path, &record, log) {
            Ok(None) => {}
            Ok(Some(_)) => self.seen.files += 1,
            Err(error) => {
                self.seen.files += 1;
                let what = format!("the lexicon of memory '{name}' is of no use: {error}");
                self.report(Severity::Derived, what);
            }
        }
        Ok(())
    }

    /// Units that have not changed since a commit, and are not in an index that stands there.
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
        // Afterwards: what changed while it was being read is not lost either.
        let changed = changed_since(self.engine.backend.log.as_ref(), memory.key, sequence)?;
        Ok(missing.iter().filter(|id| !changed.contains(id)).count())
    }
}

/// Units that an index does not hold as they are.
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
