//! Stores encoded segments as rows in flat arrays, cheap to build and to merge.
//!
//! Knows nothing of texts, queries or locks.

use std::io::{self, Read, Write};

use crate::matching::array_codec::{ArrayReader, ArrayWriter};
use crate::matching::encode::{Row, RowFacts};
use crate::matching::jagged_array::JaggedArray;
use crate::matching::packed_lists::PackedLists;
use crate::unit::UnitId;

use super::fact_table::{FactTable, Keys};
use super::gap_lists::GapLists;
use super::hash_filter::HashFilter;

/// From this many units with one source on, they are found through a context index. Fewer are read one by one, which
/// needs no memory.
pub const CONTEXT_INDEX_UNITS_MIN: usize = 32;

/// Encoded segments in any order.
#[derive(Debug, Clone, Default)]
pub(crate) struct Rows {
    facts: FactTable,
    words: JaggedArray<u32>,
    gaps: GapLists,
    /// Read by searches of translations only.
    target: PackedLists,
    /// Rows in order of unit.
    by_unit: Vec<u32>,
    /// Rows in order of source hash.
    by_hash: Vec<u32>,
    /// Rules out most absent hashes at once; imports ask for each unit.
    hashes: HashFilter,
}

impl Rows {
    /// Collects rows in the given order.
    pub(crate) fn collect<'a>(given: impl Iterator<Item = Row<'a>>) -> Self {
        let mut rows = Self::default();
        given.for_each(|row| rows.push(row));
        rows.sorted()
    }

    /// Appends a row; call [`sorted`](Self::sorted) before looking anything up.
    pub(crate) fn push(&mut self, row: Row<'_>) {
        self.facts.push(&row.facts);
        self.words.push(row.words);
        self.gaps.push(row.gaps);
        self.target.push(row.target);
    }

    /// Builds the look-up structures.
    pub(crate) fn sorted(mut self) -> Self {
        self.by_unit = self.order(|keys| keys.unit.0);
        self.by_hash = self.order(|keys| keys.source_hash);
        self.hashes = filter_of(&self.facts);
        self.facts = self.facts.packed();
        self.words.shrink_to_fit();
        self.gaps.shrink_to_fit();
        self.target.shrink_to_fit();
        self
    }

    /// Rows in order of a key; rows with equal keys keep their order.
    fn order(&self, key: impl Fn(&Keys) -> u64) -> Vec<u32> {
        // Keys are copied beside the rows: looking one up for each comparison would dominate.
        let mut order: Vec<(u64, u32)> = self.facts.all_keys().iter().map(key).zip(0..).collect();
        order.sort_unstable();
        order.into_iter().map(|(_, row)| row).collect()
    }

    /// An empty store with the capacity of all `others` together.
    pub(crate) fn with_room_of<'a>(others: impl Iterator<Item = &'a Self> + Clone) -> Self {
        let sum = |of: fn(&Self) -> usize| others.clone().map(of).sum::<usize>();
        let rows = sum(Self::len);
        Self {
            facts: FactTable::with_capacity(rows),
            words: JaggedArray::with_capacity(rows, sum(|it| it.words.all().len())),
            gaps: GapLists::with_room_of(others.clone().map(|it| &it.gaps)),
            target: PackedLists::with_room_of(others.clone().map(|it| &it.target)),
            ..Self::default()
        }
    }

    pub(crate) fn len(&self) -> usize {
        self.facts.len()
    }

    pub(crate) fn row(&self, number: usize) -> Row<'_> {
        Row {
            facts: self.facts.get(number),
            words: self.words.get(number),
            gaps: self.gaps.get(number),
            target: self.target.get(number),
        }
    }

    pub(crate) fn facts(&self, number: usize) -> RowFacts {
        self.facts.get(number)
    }

    /// The unit of a row.
    pub(crate) fn unit(&self, number: usize) -> UnitId {
        self.facts.keys(number).unit
    }

    /// Number of tokens of a row.
    pub(crate) fn length(&self, number: usize) -> usize {
        self.words.range(number).len()
    }

    /// The words of all rows.
    pub(crate) fn words(&self) -> &JaggedArray<u32> {
        &self.words
    }

    /// The words of the translations of all rows.
    pub(crate) fn target(&self) -> &PackedLists {
        &self.target
    }

    /// The highest unit.
    pub(crate) fn last_unit(&self) -> Option<UnitId> {
        self.by_unit.last().map(|&row| self.unit(row as usize))
    }

    /// The row of a unit.
    pub(crate) fn find(&self, unit: UnitId) -> Option<usize> {
        let unit_of = |&row: &u32| self.unit(row as usize);
        self.by_unit.binary_search_by_key(&unit, unit_of).ok().map(|at| self.by_unit[at] as usize)
    }

    /// The source hashes of all rows.
    pub(crate) fn source_hashes(&self) -> impl Iterator<Item = u64> {
        self.facts.all_keys().iter().map(|keys| keys.source_hash)
    }

    /// The rows with a source hash.
    pub(crate) fn with_hash(&self, hash: u64) -> &[u32] {
        if !self.hashes.may_hold(hash) {
            return &[];
        }
        let hash_of = |&row: &u32| self.facts.keys(row as usize).source_hash;
        let from = self.by_hash.partition_point(|row| hash_of(row) < hash);
        let rest = &self.by_hash[from..];
        // Mostly none or one has it; only many are worth a binary search for the end.
        let few = rest
            .iter()
            .take(CONTEXT_INDEX_UNITS_MIN)
            .take_while(|row| hash_of(row) == hash)
            .count();
        let same = match few {
            CONTEXT_INDEX_UNITS_MIN => rest.partition_point(|row| hash_of(row) == hash),
            few => few,
        };
        &rest[..same]
    }

    pub(crate) fn write(&self, out: &mut ArrayWriter<impl Write>) -> io::Result<()> {
        self.facts.write(out)?;
        self.words.write(out)?;
        self.gaps.write(out)?;
        self.target.write(out)?;
        out.array(&self.by_unit)?;
        out.array(&self.by_hash)
    }

    pub(crate) fn read(input: &mut ArrayReader<impl Read>) -> io::Result<Self> {
        let facts = FactTable::read(input)?;
        Ok(Self {
            hashes: filter_of(&facts),
            facts,
            words: JaggedArray::read(input)?,
            gaps: GapLists::read(input)?,
            target: PackedLists::read(input)?,
            by_unit: input.array()?,
            by_hash: input.array()?,
        })
    }

    /// Whether all parts are consistent, with `words` words in the vocabulary.
    pub(crate) fn fits(&self, words: u32) -> bool {
        let rows = self.len();
        let among =
            |order: &[u32]| order.len() == rows && order.iter().all(|&row| (row as usize) < rows);
        let mut target = Vec::new();
        let mut knows_target = |row| {
            target.clear();
            self.target.get(row).append_to(&mut target);
            target.iter().all(|&word| word < words)
        };
        self.words.len() == rows
            && self.words.all().iter().all(|&word| word < words)
            && self.target.len() == rows
            && (0..rows).all(&mut knows_target)
            && self.gaps.len() == rows
            && among(&self.by_unit)
            && among(&self.by_hash)
    }

    /// Size in memory.
    pub(crate) fn bytes(&self) -> usize {
        self.facts.bytes()
            + self.words.bytes()
            + self.gaps.bytes()
            + self.target.bytes()
            + 4 * (self.by_unit.capacity() + self.by_hash.capacity())
            + self.hashes.bytes()
    }
}

fn filter_of(facts: &FactTable) -> HashFilter {
    HashFilter::of(facts.len(), facts.all_keys().iter().map(|keys| keys.source_hash))
}
