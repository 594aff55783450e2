//! Saves what can be saved of a store that cannot be opened: every unit whose checksum holds, and a list of the others.
//!
//! The files are read without the database (see `raw`) and nothing is written to them. The commit log says which revision of a unit
//! is its last, and which units are deleted; where the log does not go back that far, the pages of the database do.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::io;
use std::path::Path;

use crate::unit::{Unit, UnitId};

use super::log_ends::LOG_START_KEY;
use super::raw::{Place, RawDatabase};
use super::{directory, watermark};
use crate::store::codec::{self, CHUNK_BYTES};
use crate::store::{
    ChangeKind, LogRecord, LogStart, MemoryCounters, MemoryKey, MemoryRecord, Sequence, StoreError,
};

/// What became of a store.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Salvaged {
    /// Units that were saved.
    pub saved: u64,
    /// Units that were not.
    pub lost: Vec<LostUnit>,
    /// What else is missing, for a person.
    pub notes: Vec<String>,
}

/// A unit that is there no more.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LostUnit {
    /// The memory it was in; `memory-7` where only its number is left.
    pub memory: String,
    /// Its number.
    pub unit: UnitId,
    /// What is the matter with it.
    pub why: String,
}

/// Where the pieces of a record of a unit may lie: in pages as they are, and in messages that fail their checksum.
#[derive(Default)]
struct Candidates {
    live: BTreeMap<u8, Vec<Place>>,
    loose: BTreeMap<u8, Vec<Place>>,
}

/// The last word of the log on a unit: revision, and whether it is there.
type LastWord = (u64, bool);
type UnitKey = (MemoryKey, UnitId);

/// Combinations of pieces of one unit that are tried.
const COMBINATIONS_MAX: usize = 64;
/// Pairs of a value without its key and a unit without its value that are tried.
const MATCHES_MAX: usize = 2_000_000;

/// Reads the store in a directory and gives every unit that can be saved, with the name of its memory, in the order of their
/// numbers. Nothing is written there, and no other process may write meanwhile.
///
/// # Errors
/// I/O; there is no store; `give` fails.
pub fn salvage(
    directory: &Path,
    give: &mut dyn FnMut(&str, Unit) -> io::Result<()>,
) -> Result<Salvaged, StoreError> {
    let failed = |doing: &str, error: io::Error| StoreError::Io {
        doing: format!("{doing} {}", directory.display()),
        cause: error.to_string(),
    };
    let name = directory::likely_name(directory)
        .ok_or_else(|| failed("opening", io::Error::other("there is no Dhakira store")))?;
    let database = RawDatabase::read(&directory.join(name))
        .map_err(|error| failed("reading the database in", error))?;
    let acknowledged = watermark::read(directory).ok().flatten();
    let mut work = Work::new(&database, acknowledged);
    work.choose_units();
    work.match_loose_values();
    let result = work.give(give);
    result.map_err(|error| failed("writing what was saved from", error))
}

struct Work<'a> {
    database: &'a RawDatabase,
    memories: BTreeMap<MemoryKey, MemoryRecord>,
    units: BTreeMap<UnitKey, Candidates>,
    words: HashMap<UnitKey, LastWord>,
    /// The pieces of the records that were chosen, in order.
    chosen: BTreeMap<UnitKey, Vec<Place>>,
    /// Values that fail their checksum under their keys, or have none.
    unplaced: Vec<Place>,
    result: Salvaged,
}

impl<'a> Work<'a> {
    fn new(database: &'a RawDatabase, acknowledged: Option<Sequence>) -> Self {
        let mut work = Self {
            database,
            memories: BTreeMap::new(),
            units: BTreeMap::new(),
            words: HashMap::new(),
            chosen: BTreeMap::new(),
            unplaced: Vec::new(),
            result: Salvaged::default(),
        };
        let mut log: BTreeMap<[u8; 8], Vec<Place>> = BTreeMap::new();
        let mut counters: BTreeMap<MemoryKey, MemoryCounters> = BTreeMap::new();
        let live = database.entries().map(|(key, place)| (key, place, true));
        let loose = database.loose.iter().map(|(key, place)| (key.clone(), *place, false));
        for (key, place, is_live) in live.chain(loose) {
            if let Some((memory, unit, chunk)) = codec::parse_unit_key(&key) {
                let candidates = work.units.entry((memory, unit)).or_default();
                let of = if is_live { &mut candidates.live } else { &mut candidates.loose };
                of.entry(chunk).or_default().push(place);
            } else if let Ok(key) = <[u8; 8]>::try_from(key.as_slice()) {
                log.entry(key).or_default().push(place);
            } else if key.len() == 4 || key.len() == codec::COUNTERS_KEY_BYTES {
                work.take_memory(&key, place, &mut counters);
            } else if !is_live && key.len() < 4 {
                // Part of a key: the page that it belongs to is lost.
                work.unplaced.push(place);
            }
        }
        for (key, counters) in counters {
            if let Some(record) = work.memories.get_mut(&key) {
                record.set_counters(&counters);
            }
        }
        work.read_log(&log, acknowledged);
        work
    }

    fn take_memory(
        &mut self,
        key: &[u8],
        place: Place,
        counters: &mut BTreeMap<MemoryKey, MemoryCounters>,
    ) {
        let Ok(bytes) = self.database.value(place) else { return };
        if let Ok(found) = codec::decode_counters(key, &bytes) {
            let known = counters.entry(found.key).or_insert(found);
            if found.next_unit > known.next_unit {
                *known = found;
            }
        } else if let Ok(found) = codec::decode_memory(key, &bytes) {
            let age = |it: &MemoryRecord| (it.deleted, it.revision, it.changed, it.next_unit);
            let known = self.memories.entry(found.key).or_insert_with(|| found.clone());
            if age(&found) > age(known) {
                *known = found;
            }
        }
    }

    /// The last word on every unit, and whether commits are missing.
    fn read_log(&mut self, log: &BTreeMap<[u8; 8], Vec<Place>>, acknowledged: Option<Sequence>) {
        let mut last = Sequence(0);
        let mut missing = 0;
        for (key, places) in log {
            let values = places.iter().filter_map(|place| self.database.value(*place).ok());
            if *key == LOG_START_KEY {
                let starts = values.filter_map(|it| codec::decode::<LogStart>(key, &it).ok());
                last = starts.map(|it| it.sequence).max().unwrap_or_default();
                continue;
            }
            let mut records = values.filter_map(|it| codec::decode_log(key, &it).ok());
            let Some(record) = records.next().filter(|it| it.sequence > last) else { continue };
            missing += record.sequence.0 - last.0 - 1;
            last = record.sequence;
            self.take_words(&record);
        }
        missing += acknowledged.map_or(0, |it| it.0.saturating_sub(last.0));
        if missing > 0 {
            self.result.notes.push(format!(
                "commits that cannot be read: {missing}; units that they changed may be saved as they were before, or missing"
            ));
        }
    }

    fn take_words(&mut self, record: &LogRecord) {
        for change in &record.changes {
            let is_there = change.kind != ChangeKind::Deleted;
            self.words.insert((change.memory, change.unit), (change.revision, is_there));
        }
        if let Some(effects) = &record.effects {
            for memory in &effects.memories {
                let known = self.memories.entry(memory.key).or_insert_with(|| memory.clone());
                known.deleted |= memory.deleted;
            }
            for key in &effects.purged {
                self.words.insert(*key, (u64::MAX, false));
            }
        }
    }

    fn is_deleted(&self, memory: MemoryKey) -> bool {
        self.memories.get(&memory).is_some_and(|record| record.deleted)
    }

    fn choose_units(&mut self) {
        let keys: Vec<UnitKey> = self.units.keys().copied().collect();
        let mut live: BTreeMap<MemoryKey, u64> = BTreeMap::new();
        let mut doubtful = Vec::new();
        for key in keys {
            let word = self.words.get(&key).copied();
            if self.is_deleted(key.0) || word.is_some_and(|(_, is_there)| !is_there) {
                continue;
            }
            let candidates = &self.units[&key].live;
            let found = self.newest(key, candidates);
            match found {
                Some((revision, pieces)) if word.is_none_or(|(wanted, _)| revision >= wanted) => {
                    *live.entry(key.0).or_default() += 1;
                    self.chosen.insert(key, pieces);
                }
                _ => doubtful.push(key),
            }
        }
        for key in doubtful {
            let word = self.words.get(&key).copied();
            let found = self.newest(key, &self.units[&key].loose);
            // A page that is older than its segment may hold what was deleted since: only what is missed is taken from there.
            let is_missed = |revision: u64| match word {
                Some((wanted, _)) => revision == wanted,
                None => self.memories.get(&key.0).is_none_or(|record| {
                    live.get(&key.0).copied().unwrap_or_default() < record.unit_count
                }),
            };
            let was_live = !self.units[&key].live.is_empty();
            match found {
                Some((revision, pieces)) if is_missed(revision) => {
                    *live.entry(key.0).or_default() += 1;
                    self.chosen.insert(key, pieces);
                }
                _ if was_live || word.is_some() => {
                    let failed = self.units[&key].live.get(&0).into_iter().flatten();
                    self.unplaced
                        .extend(failed.chain(self.units[&key].loose.get(&0).into_iter().flatten()));
                }
                _ => {}
            }
        }
    }

    /// The newest record of a unit that passes its checksum.
    fn newest(&self, key: UnitKey, pieces: &BTreeMap<u8, Vec<Place>>) -> Option<(u64, Vec<Place>)> {
        let firsts = pieces.get(&0)?;
        let found = firsts.iter().filter_map(|first| {
            let mut ways = vec![vec![*first]];
            // A piece of the full size is followed by another.
            for chunk in 1..=u8::MAX {
                let is_open = |way: &Vec<Place>| {
                    way.last().is_some_and(|last| last.length as usize == CHUNK_BYTES)
                };
                if !ways.iter().any(is_open) {
                    break;
                }
                let next = pieces.get(&chunk)?;
                let longer = ways
                    .iter()
                    .flat_map(|way| next.iter().map(move |piece| [&way[..], &[*piece]].concat()));
                ways = longer.take(COMBINATIONS_MAX).collect();
            }
            ways.into_iter().find_map(|way| {
                let unit = self.unit(key, &way)?;
                Some((unit.revision, way))
            })
        });
        found.max_by_key(|(revision, _)| *revision)
    }

    /// The unit whose record lies in these pieces.
    fn unit(&self, key: UnitKey, pieces: &[Place]) -> Option<Unit> {
        let pieces = pieces.iter().map(|piece| self.database.value(*piece));
        let bytes = pieces.collect::<io::Result<Vec<_>>>().ok()?.concat();
        codec::decode_unit(key.0, key.1, &bytes).ok()
    }

    /// Units that must be there and were not found.
    fn missed(&self) -> BTreeSet<UnitKey> {
        let told = self.words.iter().filter(|(_, word)| word.1).map(|(key, _)| *key);
        let seen = self.units.iter().filter(|(key, it)| {
            !it.live.is_empty() && self.words.get(key).is_none_or(|word| word.1)
        });
        let all = told.chain(seen.map(|(key, _)| *key));
        all.filter(|key| !self.chosen.contains_key(key) && !self.is_deleted(key.0)).collect()
    }

    /// The checksum of a record covers its key: where a key is damaged, each one that is missed is tried.
    fn match_loose_values(&mut self) {
        let missed = self.missed();
        let mut tries = 0;
        for place in std::mem::take(&mut self.unplaced) {
            if place.length as usize >= CHUNK_BYTES || tries > MATCHES_MAX {
                continue;
            }
            let Ok(bytes) = self.database.value(place) else { continue };
            for key in &missed {
                tries += 1;
                let wanted = self.words.get(key).map(|word| word.0);
                let unit = codec::decode_unit(key.0, key.1, &bytes).ok();
                if unit.is_some_and(|unit| wanted.is_none_or(|wanted| unit.revision == wanted)) {
                    self.chosen.insert(*key, vec![place]);
                }
            }
        }
    }

    /// Gives what was chosen, and says what is lost.
    fn give(mut self, give: &mut dyn FnMut(&str, Unit) -> io::Result<()>) -> io::Result<Salvaged> {
        let chosen = std::mem::take(&mut self.chosen);
        let mut held: BTreeMap<MemoryKey, u64> = BTreeMap::new();
        for (key, pieces) in &chosen {
            let Some(unit) = self.unit(*key, pieces) else { continue };
            give(&self.name(key.0), unit)?;
            *held.entry(key.0).or_default() += 1;
            self.result.saved += 1;
        }
        self.chosen = chosen;
        for key in self.missed() {
            let older = self.newest(
                key,
                &self.units.get(&key).map_or_else(BTreeMap::new, |it| it.live.clone()),
            );
            let why = match (older, self.words.get(&key)) {
                (Some((found, _)), Some((wanted, _))) => {
                    format!("revision {wanted} is damaged; there is an older one, {found}")
                }
                _ => "its record is damaged".to_owned(),
            };
            let memory = self.name(key.0);
            self.result.lost.push(LostUnit { memory, unit: key.1, why });
            *held.entry(key.0).or_default() += 1;
        }
        for record in self.memories.values().filter(|it| !it.deleted) {
            let known = held.get(&record.key).copied().unwrap_or_default();
            if let Some(more) = record.unit_count.checked_sub(known).filter(|more| *more > 0) {
                self.result.notes.push(format!(
                    "units of memory '{}' that are lost with their numbers: {more} of {}",
                    record.name, record.unit_count
                ));
            }
        }
        Ok(self.result)
    }

    /// The name of a memory, or its number where its record is lost.
    fn name(&self, key: MemoryKey) -> String {
        self.memories
            .get(&key)
            .map_or_else(|| format!("memory-{}", key.0), |it| it.name.to_string())
    }
}
