//! Reduces the commits of one append to rows: what the tables hold after the last of them, and what it replaces.

use std::collections::BTreeMap;
use std::num::TryFromIntError;

use crate::store::codec::{self, CodecError};
use crate::store::unit_codec;
use crate::store::{
    Commit, LogPosition, LogRecord, MemoryCounters, MemoryKey, MemoryRecord, RequestKey,
    RequestRecord, UnitWrite,
};
use crate::unit::UnitId;

/// Rows of the log.
#[derive(Default)]
pub(super) struct LogRows {
    pub(super) sequences: Vec<i64>,
    pub(super) chains: Vec<i32>,
    pub(super) times: Vec<i64>,
    pub(super) bodies: Vec<Vec<u8>>,
}

/// Rows of units, or of versions of them.
#[derive(Default)]
pub(super) struct UnitRows {
    pub(super) memories: Vec<i32>,
    pub(super) ids: Vec<i64>,
    pub(super) revisions: Vec<i64>,
    pub(super) sequences: Vec<i64>,
    pub(super) bodies: Vec<Vec<u8>>,
}

/// Keys of units, each with a commit.
#[derive(Default)]
pub(super) struct UnitKeys {
    pub(super) memories: Vec<i32>,
    pub(super) ids: Vec<i64>,
    pub(super) sequences: Vec<i64>,
}

/// Rows of memories.
#[derive(Default)]
pub(super) struct MemoryRows {
    pub(super) keys: Vec<i32>,
    pub(super) sequences: Vec<i64>,
    /// Empty where only the counters change.
    pub(super) records: Vec<Vec<u8>>,
    pub(super) counters: Vec<Vec<u8>>,
}

/// Rows of requests.
#[derive(Default)]
pub(super) struct RequestRows {
    pub(super) keys: Vec<Vec<u8>>,
    pub(super) sequences: Vec<i64>,
    pub(super) times: Vec<i64>,
    pub(super) records: Vec<Vec<u8>>,
}

/// The commits of one append, as rows.
#[derive(Default)]
pub(super) struct Group {
    pub(super) records: Vec<LogRecord>,
    pub(super) log: LogRows,
    /// Units that did not exist before.
    pub(super) created: UnitRows,
    /// Units that did, in their last state.
    pub(super) stored: UnitRows,
    /// Units whose stored version goes to the history, with the commit that replaces it.
    pub(super) replaced: UnitKeys,
    /// Units that do not exist afterwards.
    pub(super) removed: UnitKeys,
    /// Versions that a later commit of the group replaces.
    pub(super) passed: UnitRows,
    pub(super) memories: MemoryRows,
    pub(super) counters: MemoryRows,
    pub(super) collected: Vec<i32>,
    pub(super) requests: RequestRows,
    pub(super) forgotten: Vec<Vec<u8>>,
}

/// Why a group cannot be stored.
#[derive(Debug, thiserror::Error)]
pub(super) enum GroupError {
    #[error(transparent)]
    Codec(#[from] CodecError),
    /// The columns are signed.
    #[error("a number is too large for the database")]
    Number(#[from] TryFromIntError),
}

/// A unit's version: revision, the commit that stores it, record.
type Version = (u64, u64, Vec<u8>);

/// What the group does to one unit.
struct UnitFate {
    is_new: bool,
    /// The first commit that touches it.
    first: u64,
    current: Option<Version>,
}

/// What the group does to one memory.
#[derive(Default)]
struct MemoryFate {
    sequence: u64,
    record: Option<MemoryRecord>,
    counters: Option<MemoryCounters>,
    is_collected: bool,
}

#[derive(Default)]
struct Fates {
    units: BTreeMap<(MemoryKey, UnitId), UnitFate>,
    passed: BTreeMap<(MemoryKey, UnitId, u64), (u64, Vec<u8>)>,
    memories: BTreeMap<MemoryKey, MemoryFate>,
    requests: BTreeMap<RequestKey, (u64, Option<RequestRecord>)>,
}

impl Group {
    pub(super) fn new(after: LogPosition, commits: &[Commit]) -> Result<Self, GroupError> {
        let mut group = Self::default();
        let mut fates = Fates::default();
        let mut end = after;
        for commit in commits {
            let mut record = LogRecord::of(commit, end.sequence.next());
            record.checksum = codec::log_checksum(end.checksum, &record)?;
            end = LogPosition::from(&record);
            fates.add(commit, end.sequence.0)?;
            group.log.push(&record)?;
            group.records.push(record);
        }
        group.add_units(fates.units, fates.passed)?;
        group.add_memories(fates.memories)?;
        group.add_requests(fates.requests)?;
        Ok(group)
    }

    /// Where the log ends after it.
    pub(super) fn end(&self) -> Option<LogPosition> {
        self.records.last().map(LogPosition::from)
    }

    fn add_units(
        &mut self,
        units: BTreeMap<(MemoryKey, UnitId), UnitFate>,
        passed: BTreeMap<(MemoryKey, UnitId, u64), (u64, Vec<u8>)>,
    ) -> Result<(), GroupError> {
        for ((memory, id), UnitFate { is_new, first, current }) in units {
            if !is_new {
                self.replaced.push(memory, id, first)?;
            }
            match current {
                Some(version) if is_new => self.created.push((memory, id), version)?,
                Some(version) => self.stored.push((memory, id), version)?,
                None if is_new => {}
                None => self.removed.push(memory, id, first)?,
            }
        }
        for ((memory, id, revision), (by, body)) in passed {
            self.passed.push((memory, id), (revision, by, body))?;
        }
        Ok(())
    }

    fn add_memories(
        &mut self,
        memories: BTreeMap<MemoryKey, MemoryFate>,
    ) -> Result<(), GroupError> {
        for (key, fate) in memories {
            let MemoryFate { sequence, record, counters, is_collected } = fate;
            if let Some(mut record) = record {
                let counters = counters.unwrap_or_else(|| record.counters());
                record.set_counters(&counters);
                let body = codec::encode_memory(&key.0.to_be_bytes(), &record)?;
                self.memories.push(sequence, body, &counters)?;
            } else if is_collected {
                self.collected.push(i32::try_from(key.0)?);
            } else if let Some(counters) = counters {
                self.counters.push(sequence, Vec::new(), &counters)?;
            }
        }
        Ok(())
    }

    fn add_requests(
        &mut self,
        requests: BTreeMap<RequestKey, (u64, Option<RequestRecord>)>,
    ) -> Result<(), GroupError> {
        for (key, (sequence, record)) in requests {
            let Some(record) = record else {
                self.forgotten.push(key.0.to_vec());
                continue;
            };
            self.requests.records.push(codec::encode(&key.0, &record)?);
            self.requests.keys.push(key.0.to_vec());
            self.requests.sequences.push(i64::try_from(sequence)?);
            self.requests.times.push(record.time.micros);
        }
        Ok(())
    }
}

impl Fates {
    fn add(&mut self, commit: &Commit, sequence: u64) -> Result<(), GroupError> {
        for memory in &commit.memories {
            let (record, counters) = (Some(memory.clone()), None);
            let fate = MemoryFate { sequence, record, counters, is_collected: false };
            self.memories.insert(memory.key, fate);
        }
        for counters in &commit.counters {
            let fate = self.memories.entry(counters.key).or_default();
            fate.sequence = sequence;
            // Counters of a memory that is gone belong to nothing.
            fate.counters = (!fate.is_collected).then_some(*counters);
        }
        for memory in &commit.collected {
            let gone = MemoryFate { sequence, is_collected: true, ..MemoryFate::default() };
            self.memories.insert(*memory, gone);
        }
        for write in &commit.units {
            self.add_unit(write, sequence)?;
        }
        for (key, record) in &commit.requests {
            self.requests.insert(*key, (sequence, Some(record.clone())));
        }
        for key in &commit.forgotten {
            self.requests.insert(*key, (sequence, None));
        }
        Ok(())
    }

    fn add_unit(&mut self, write: &UnitWrite, sequence: u64) -> Result<(), GroupError> {
        let is_new = matches!(write, UnitWrite::Create(..));
        let (memory, id, version) = match write {
            UnitWrite::Create(memory, unit)
            | UnitWrite::Update(memory, unit)
            | UnitWrite::Use(memory, unit) => {
                let body = unit_codec::encode_unit(*memory, unit)?;
                (*memory, unit.id, Some((unit.revision, sequence, body)))
            }
            UnitWrite::Delete(memory, id, _) | UnitWrite::Purge(memory, id) => (*memory, *id, None),
        };
        let fate = self.units.entry((memory, id));
        let fate = fate.or_insert(UnitFate { is_new, first: sequence, current: None });
        if let Some((revision, _, body)) = std::mem::replace(&mut fate.current, version) {
            self.passed.insert((memory, id, revision), (sequence, body));
        }
        Ok(())
    }
}

impl LogRows {
    fn push(&mut self, record: &LogRecord) -> Result<(), GroupError> {
        self.bodies.push(codec::encode_log(&record.sequence.0.to_be_bytes(), record)?);
        self.sequences.push(i64::try_from(record.sequence.0)?);
        self.chains.push(record.checksum.cast_signed());
        self.times.push(record.time.micros);
        Ok(())
    }
}

impl UnitRows {
    pub(super) fn is_empty(&self) -> bool {
        self.ids.is_empty()
    }

    /// Adds a version, with the commit that stored it or, in the history, the one that replaced it.
    pub(super) fn push(
        &mut self,
        (memory, id): (MemoryKey, UnitId),
        (revision, sequence, body): Version,
    ) -> Result<(), GroupError> {
        self.memories.push(i32::try_from(memory.0)?);
        self.ids.push(i64::try_from(id.0)?);
        self.revisions.push(i64::try_from(revision)?);
        self.sequences.push(i64::try_from(sequence)?);
        self.bodies.push(body);
        Ok(())
    }
}

impl UnitKeys {
    pub(super) fn is_empty(&self) -> bool {
        self.ids.is_empty()
    }

    fn push(&mut self, memory: MemoryKey, id: UnitId, sequence: u64) -> Result<(), GroupError> {
        self.memories.push(i32::try_from(memory.0)?);
        self.ids.push(i64::try_from(id.0)?);
        self.sequences.push(i64::try_from(sequence)?);
        Ok(())
    }
}

impl MemoryRows {
    pub(super) fn is_empty(&self) -> bool {
        self.keys.is_empty()
    }

    fn push(
        &mut self,
        sequence: u64,
        record: Vec<u8>,
        counters: &MemoryCounters,
    ) -> Result<(), GroupError> {
        self.keys.push(i32::try_from(counters.key.0)?);
        self.sequences.push(i64::try_from(sequence)?);
        self.records.push(record);
        self.counters.push(codec::encode_counters(counters)?);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use crate::store::Sequence;
    use crate::unit::{Unit, UnitContent};

    use super::*;

    const M: MemoryKey = MemoryKey(1);

    fn unit(id: u64, revision: u64) -> std::sync::Arc<Unit> {
        Unit::new(UnitId(id), revision, UnitContent::default()).into()
    }

    fn commit(units: Vec<UnitWrite>) -> Commit {
        Commit { units, ..Commit::default() }
    }

    fn counters(count: u64) -> MemoryCounters {
        MemoryCounters { key: M, unit_count: count, next_unit: UnitId(9) }
    }

    #[test]
    fn a_group_is_what_remains_of_its_commits() {
        let commits = [
            commit(vec![UnitWrite::Create(M, unit(1, 1)), UnitWrite::Create(M, unit(2, 1))]),
            commit(vec![UnitWrite::Update(M, unit(1, 2)), UnitWrite::Update(M, unit(7, 4))]),
            commit(vec![UnitWrite::Delete(M, UnitId(2), 1), UnitWrite::Use(M, unit(7, 5))]),
            commit(vec![UnitWrite::Purge(M, UnitId(8))]),
        ];
        let after = LogPosition { sequence: Sequence(10), checksum: 3 };
        let group = Group::new(after, &commits).unwrap();
        let sequences: Vec<i64> = group.log.sequences.clone();
        assert_eq!(
            (sequences, group.end().unwrap().sequence),
            (vec![11, 12, 13, 14], Sequence(14))
        );
        assert!(group.records[0].follows(3) && group.records[3].follows(group.records[2].checksum));
        let rows = |rows: &UnitRows| -> Vec<(i64, i64, i64)> {
            let columns = rows.ids.iter().zip(&rows.revisions).zip(&rows.sequences);
            columns.map(|((id, revision), sequence)| (*id, *revision, *sequence)).collect()
        };
        assert_eq!(rows(&group.created), [(1, 2, 12)]);
        assert_eq!(rows(&group.stored), [(7, 5, 13)]);
        assert_eq!(rows(&group.passed), [(1, 1, 12), (2, 1, 13), (7, 4, 13)]);
        assert_eq!((&group.replaced.ids, &group.replaced.sequences), (&vec![7, 8], &vec![12, 14]));
        assert_eq!(group.removed.ids, [8]);
    }

    #[test]
    fn counters_without_a_memory_are_an_update_and_belong_to_nothing_once_it_is_collected() {
        let alone = Commit { counters: vec![counters(3)], ..Commit::default() };
        let group = Group::new(LogPosition::default(), std::slice::from_ref(&alone)).unwrap();
        assert_eq!((group.counters.keys.len(), group.memories.is_empty()), (1, true));
        let collected = Commit { collected: vec![M], ..Commit::default() };
        let group = Group::new(LogPosition::default(), &[collected, alone]).unwrap();
        assert_eq!((&group.collected, group.counters.is_empty()), (&vec![1], true));
    }

    #[test]
    fn the_last_word_on_a_request_counts() {
        let (key, time) = (RequestKey([5; 16]), crate::unit::Timestamp { micros: 4 });
        let record = RequestRecord { time, fingerprint: 1, outcome: vec![1] };
        let put = Commit { requests: vec![(key, record)], ..Commit::default() };
        let forget = Commit { forgotten: vec![key], ..Commit::default() };
        let group = Group::new(LogPosition::default(), &[put.clone(), forget.clone()]).unwrap();
        assert_eq!((group.requests.keys.len(), group.forgotten.len()), (0, 1));
        let group = Group::new(LogPosition::default(), &[forget, put]).unwrap();
        assert_eq!((group.requests.sequences, group.forgotten.len()), (vec![2], 0));
    }

    #[test]
    fn a_number_beyond_the_columns_is_refused() {
        let write = commit(vec![UnitWrite::Create(M, unit(u64::MAX, 1))]);
        assert!(matches!(Group::new(LogPosition::default(), &[write]), Err(GroupError::Number(_))));
    }
}
