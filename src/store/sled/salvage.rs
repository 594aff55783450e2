//! Salvages a store that cannot be opened: recovers every unit whose checksum is valid, and lists the others.
//!
//! The files are read without sled (see `raw`) and not written to. The commit log gives the last revision of each unit and the
//! deletions; for units that the log no longer mentions, the pages of the database decide.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::io;
use std::path::Path;

use crate::unit::{Unit, UnitId};

use super::log_ends::LOG_START_KEY;
use super::raw::{Place, RawDatabase};
use super::{directory, watermark};
use crate::store::codec;
use crate::store::unit_codec::{self, CHUNK_BYTES};
use crate::store::{
    ChangeKind, LogRecord, LogStart, MemoryCounters, MemoryKey, MemoryRecord, Sequence, StoreError,
};

/// The result of a salvage.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Salvaged {
    /// Recovered units.
    pub saved: u64,
    /// Units that could not be recovered.
    pub lost: Vec<LostUnit>,
    /// Other losses, as messages for a person.
    pub notes: Vec<String>,
}

/// A unit that could not be recovered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LostUnit {
    /// The name of its memory; `memory-7` where only the number is known.
    pub memory: String,
    /// Its number.
    pub unit: UnitId,
    /// Why it could not be recovered.
    pub why: String,
}

/// Possible locations of the pieces of a unit's record: in current pages, and in messages that fail their checksum.
#[derive(Default)]
struct Candidates {
    live: BTreeMap<u8, Vec<Place>>,
    loose: BTreeMap<u8, Vec<Place>>,
}

/// The last change of a unit in the log: its revision, and whether the unit exists after it.
type LastChange = (u64, bool);
type UnitKey = (MemoryKey, UnitId);

/// Most combinations of pieces of one unit that are tried.
const COMBINATIONS_MAX: usize = 64;
/// Most pairs of a value without its key and a unit without its value that are tried.
const MATCHES_MAX: usize = 2_000_000;

/// Reads the store in a directory and passes every recovered unit to `emit`, with the name of its memory, in the order of their
/// numbers. Writes nothing to the directory; no other process may write to it meanwhile.
///
/// # Errors
/// I/O; there is no store; `emit` fails.
pub fn salvage(
    directory: &Path,
    emit: &mut dyn FnMut(&str, Unit) -> io::Result<()>,
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
    let mut salvage = Salvage::new(&database, acknowledged);
    salvage.choose_units();
    salvage.match_loose_values();
    let result = salvage.emit(emit);
    result.map_err(|error| failed("writing the units recovered from", error))
}

struct Salvage<'a> {
    database: &'a RawDatabase,
    memories: BTreeMap<MemoryKey, MemoryRecord>,
    units: BTreeMap<UnitKey, Candidates>,
    last_changes: HashMap<UnitKey, LastChange>,
    /// The pieces of the records that were chosen, in order.
    chosen: BTreeMap<UnitKey, Vec<Place>>,
    /// Values that fail their checksum under their keys, or have no key.
    unplaced: Vec<Place>,
    result: Salvaged,
}

impl<'a> Salvage<'a> {
    fn new(database: &'a RawDatabase, acknowledged: Option<Sequence>) -> Self {
        let mut salvage = Self {
            database,
            memories: BTreeMap::new(),
            units: BTreeMap::new(),
            last_changes: HashMap::new(),
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
                let candidates = salvage.units.entry((memory, unit)).or_default();
                let pieces = if is_live { &mut candidates.live } else { &mut candidates.loose };
                pieces.entry(chunk).or_default().push(place);
            } else if let Ok(key) = <[u8; 8]>::try_from(key.as_slice()) {
                log.entry(key).or_default().push(place);
            } else if key.len() == 4 || key.len() == codec::COUNTERS_KEY_BYTES {
                salvage.take_memory(&key, place, &mut counters);
            } else if !is_live && key.len() < 4 {
                // Part of a key, whose page is lost.
                salvage.unplaced.push(place);
            }
        }
        for (key, counters) in counters {
            if let Some(record) = salvage.memories.get_mut(&key) {
                record.set_counters(&counters);
            }
        }
        salvage.read_log(&log, acknowledged);
        salvage
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

    /// Collects the last change of every unit, and notes missing commits.
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
            self.take_changes(&record);
        }
        missing += acknowledged.map_or(0, |it| it.0.saturating_sub(last.0));
        if missing > 0 {
            self.result.notes.push(format!(
                "commits that cannot be read: {missing}; units that they changed may be recovered in an older state, or missing"
            ));
        }
    }

    fn take_changes(&mut self, record: &LogRecord) {
        for change in &record.changes {
            let exists = change.kind != ChangeKind::Deleted;
            self.last_changes.insert((change.memory, change.unit), (change.revision, exists));
        }
        if let Some(effects) = &record.effects {
            for memory in &effects.memories {
                let known = self.memories.entry(memory.key).or_insert_with(|| memory.clone());
                known.deleted |= memory.deleted;
            }
            for key in &effects.purged {
                self.last_changes.insert(*key, (u64::MAX, false));
            }
        }
    }

    fn is_deleted(&self, memory: MemoryKey) -> bool {
        self.memories.get(&memory).is_some_and(|record| record.deleted)
    }

    fn choose_units(&mut self) {
        let keys: Vec<UnitKey> = self.units.keys().copied().collect();
        let mut live: BTreeMap<MemoryKey, u64> = BTreeMap::new();
        let mut unresolved = Vec::new();
        for key in keys {
            let last_change = self.last_changes.get(&key).copied();
            if self.is_deleted(key.0) || last_change.is_some_and(|(_, exists)| !exists) {
                continue;
            }
            let candidates = &self.units[&key].live;
            let found = self.newest(key, candidates);
            match found {
                Some((revision, pieces))
                    if last_change.is_none_or(|(wanted, _)| revision >= wanted) =>
                {
                    *live.entry(key.0).or_default() += 1;
                    self.chosen.insert(key, pieces);
                }
                _ => unresolved.push(key),
            }
        }
        for key in unresolved {
            let last_change = self.last_changes.get(&key).copied();
            let found = self.newest(key, &self.units[&key].loose);
            // A page that is older than its segment may hold units that were deleted later, so only missing units are taken from it.
            let is_missing = |revision: u64| match last_change {
                Some((wanted, _)) => revision == wanted,
                None => self.memories.get(&key.0).is_none_or(|record| {
                    live.get(&key.0).copied().unwrap_or_default() < record.unit_count
                }),
            };
            let was_live = !self.units[&key].live.is_empty();
            match found {
                Some((revision, pieces)) if is_missing(revision) => {
                    *live.entry(key.0).or_default() += 1;
                    self.chosen.insert(key, pieces);
                }
                _ if was_live || last_change.is_some() => {
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

    /// Decodes the unit from the pieces of its record.
    fn unit(&self, key: UnitKey, pieces: &[Place]) -> Option<Unit> {
        let pieces = pieces.iter().map(|piece| self.database.value(*piece));
        let bytes = pieces.collect::<io::Result<Vec<_>>>().ok()?.concat();
        unit_codec::decode_unit(key.0, key.1, &bytes).ok()
    }

    /// Units that exist by the log or the pages and were not recovered.
    fn missing(&self) -> BTreeSet<UnitKey> {
        let in_log =
            self.last_changes.iter().filter(|(_, last_change)| last_change.1).map(|(key, _)| *key);
        let in_pages = self.units.iter().filter(|(key, it)| {
            !it.live.is_empty()
                && self.last_changes.get(key).is_none_or(|last_change| last_change.1)
        });
        let all = in_log.chain(in_pages.map(|(key, _)| *key));
        all.filter(|key| !self.chosen.contains_key(key) && !self.is_deleted(key.0)).collect()
    }

    /// Finds the units of values whose keys are damaged: the checksum of a record covers its key, so every missing unit is tried.
    fn match_loose_values(&mut self) {
        let missing = self.missing();
        let mut tries = 0;
        for place in std::mem::take(&mut self.unplaced) {
            if place.length as usize >= CHUNK_BYTES || tries > MATCHES_MAX {
                continue;
            }
            let Ok(bytes) = self.database.value(place) else { continue };
            for key in &missing {
                tries += 1;
                let wanted = self.last_changes.get(key).map(|last_change| last_change.0);
                let unit = unit_codec::decode_unit(key.0, key.1, &bytes).ok();
                if unit.is_some_and(|unit| wanted.is_none_or(|wanted| unit.revision == wanted)) {
                    self.chosen.insert(*key, vec![place]);
                }
            }
        }
    }

    /// Emits the chosen units, and lists the lost ones.
    fn emit(mut self, emit: &mut dyn FnMut(&str, Unit) -> io::Result<()>) -> io::Result<Salvaged> {
        let chosen = std::mem::take(&mut self.chosen);
        let mut held: BTreeMap<MemoryKey, u64> = BTreeMap::new();
        for (key, pieces) in &chosen {
            let Some(unit) = self.unit(*key, pieces) else { continue };
            emit(&self.name(key.0), unit)?;
            *held.entry(key.0).or_default() += 1;
            self.result.saved += 1;
        }
        self.chosen = chosen;
        for key in self.missing() {
            let older = self.newest(
                key,
                &self.units.get(&key).map_or_else(BTreeMap::new, |it| it.live.clone()),
            );
            let why = match (older, self.last_changes.get(&key)) {
                (Some((found, _)), Some((wanted, _))) => {
                    format!("revision {wanted} is damaged; the older revision {found} was found")
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
                    "lost units of memory '{}' whose numbers are unknown: {more} of {}",
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
