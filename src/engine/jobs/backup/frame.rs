//! Defines the frames of a backup's parts, and their form in the file.
//!
//! A frame of an earlier layout cannot hold every field. Each layout appended frames of its own, and a frame is written in the oldest
//! form that can hold it.

use std::borrow::Cow;

use serde::{Deserialize, Serialize};

use crate::store::{
    LogRecord, LogStart, MemoryCounters, MemoryKey, MemoryRecord, MemorySettings, RequestKey,
    RequestRecord, SettingsOfMemories, SettingsWithMode, all_settings_of, set_settings_of,
    settings_of, settings_with_modes,
};
use crate::unit::{Score, Unit, UnitExtras, Usage};

/// A commit of a store; a part begins after one and ends at another.
pub type Mark = LogStart;

/// A frame of a part.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) enum Frame {
    /// The first frame.
    Begin(Begin),
    /// Memories as of some time after the part began.
    Memories(Vec<MemoryRecord>),
    /// Units of a memory, likewise.
    Units(MemoryKey, Vec<Unit>),
    /// Requests, likewise.
    Requests(Vec<(RequestKey, RequestRecord)>),
    /// A commit, and the units that it stored, one for each change other than a deletion; `None` for one that was no longer held.
    Commit(LogRecord, Vec<Option<Unit>>),
    /// The last frame, with the end of the part.
    End(Mark),
    /// A commit with the fields that [`Frame::Commit`] cannot hold. Only in the file: reading gives a [`Frame::Commit`].
    Counted(LogRecord, Vec<MemoryCounters>, Vec<MemoryKey>, Vec<Option<Unit>>),
    /// The same, and the penalties of its memories for unfinished translations, in the order of the memories.
    PenalizedCommit(
        LogRecord,
        Vec<MemoryCounters>,
        Vec<MemoryKey>,
        Vec<Option<Score>>,
        Vec<Option<Unit>>,
    ),
    /// [`Frame::Memories`] with their penalties. Only in the file: reading gives [`Frame::Memories`].
    PenalizedMemories(Vec<MemoryRecord>, Vec<Option<Score>>),
    /// [`Frame::Units`] with the usage of each. Only in the file: reading gives [`Frame::Units`].
    UsedUnits(MemoryKey, Vec<Unit>, Vec<Usage>),
    /// [`Frame::Counted`] with the settings of its memories, in the order of the memories, and with the usage of its units; each is
    /// empty when there is none. Only in the file: reading gives a [`Frame::Commit`].
    ExtendedCommit(
        LogRecord,
        Vec<MemoryCounters>,
        Vec<MemoryKey>,
        Vec<Option<MemorySettings>>,
        Vec<Option<Unit>>,
        Vec<Usage>,
    ),
    /// [`Frame::Memories`] with their settings. Only in the file: reading gives [`Frame::Memories`].
    MemoriesWithSettings(Vec<MemoryRecord>, Vec<Option<MemorySettings>>),
    /// [`Frame::UsedUnits`] with all extras.
    UnitsWithExtras(MemoryKey, Vec<Unit>, Vec<UnitExtras>),
    /// [`Frame::ExtendedCommit`] with context modes and all extras.
    CommitWithExtras(
        LogRecord,
        Vec<MemoryCounters>,
        Vec<MemoryKey>,
        Vec<Option<SettingsWithMode>>,
        Vec<Option<Unit>>,
        Vec<UnitExtras>,
    ),
    /// [`Frame::MemoriesWithSettings`] with context modes.
    MemoriesWithModes(Vec<MemoryRecord>, Vec<Option<SettingsWithMode>>),
}

impl Frame {
    /// The form in the file.
    pub(super) fn to_file(&self) -> Cow<'_, Self> {
        let form = match self {
            Self::Units(memory, units) => units_to_file(*memory, units),
            Self::Memories(memories) => memories_to_file(memories),
            Self::Commit(record, units) => commit_to_file(record, units),
            _ => None,
        };
        form.map_or(Cow::Borrowed(self), Cow::Owned)
    }

    /// The form in memory.
    pub(super) fn into_read(self) -> Self {
        match self {
            Self::PenalizedMemories(memories, penalties) => {
                memories_with(memories, SettingsOfMemories::Penalties(penalties))
            }
            Self::MemoriesWithSettings(memories, settings) => {
                memories_with(memories, SettingsOfMemories::All(settings))
            }
            Self::MemoriesWithModes(memories, settings) => {
                memories_with(memories, SettingsOfMemories::WithModes(settings))
            }
            Self::UsedUnits(memory, units, usages) => units_with(memory, units, usages),
            Self::UnitsWithExtras(memory, units, extras) => units_with(memory, units, extras),
            Self::Counted(record, counters, collected, units) => {
                let settings = SettingsOfMemories::Default;
                commit_with(record, counters, collected, settings, units)
            }
            Self::PenalizedCommit(record, counters, collected, penalties, units) => {
                let settings = SettingsOfMemories::Penalties(penalties);
                commit_with(record, counters, collected, settings, units)
            }
            Self::ExtendedCommit(record, counters, collected, settings, mut units, usages) => {
                let settings = SettingsOfMemories::All(settings);
                set_extras(&mut units, usages);
                commit_with(record, counters, collected, settings, units)
            }
            Self::CommitWithExtras(record, counters, collected, settings, mut units, extras) => {
                let settings = SettingsOfMemories::WithModes(settings);
                set_extras(&mut units, extras);
                commit_with(record, counters, collected, settings, units)
            }
            other => other,
        }
    }
}

/// Which of their extras units have.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Extent {
    Nothing,
    Usage,
    All,
}

impl Extent {
    fn of<'a>(units: impl Iterator<Item = &'a Unit>) -> Self {
        let of = |unit: &Unit| {
            let extras = unit.extras();
            match extras.are_usage_only() {
                true if extras.usage == Usage::default() => Self::Nothing,
                true => Self::Usage,
                false => Self::All,
            }
        };
        units.map(of).max().unwrap_or(Self::Nothing)
    }
}

/// A unit as earlier versions wrote it, and its extras.
fn without_extras(unit: &Unit) -> (Unit, UnitExtras) {
    let mut plain = unit.clone();
    plain.set_extras(UnitExtras::default());
    (plain, unit.extras())
}

fn units_to_file(memory: MemoryKey, units: &[Unit]) -> Option<Frame> {
    match Extent::of(units.iter()) {
        Extent::Nothing => None,
        Extent::Usage => {
            let usages = units.iter().map(|unit| unit.usage).collect();
            Some(Frame::UsedUnits(memory, units.to_vec(), usages))
        }
        Extent::All => {
            let (units, extras) = units.iter().map(without_extras).unzip();
            Some(Frame::UnitsWithExtras(memory, units, extras))
        }
    }
}

fn memories_to_file(memories: &[MemoryRecord]) -> Option<Frame> {
    let settings = settings_of(memories);
    let memories = || memories.to_vec();
    match settings {
        SettingsOfMemories::Default => None,
        SettingsOfMemories::Penalties(penalties) => {
            Some(Frame::PenalizedMemories(memories(), penalties))
        }
        SettingsOfMemories::All(settings) => {
            Some(Frame::MemoriesWithSettings(memories(), settings))
        }
        SettingsOfMemories::WithModes(settings) => {
            Some(Frame::MemoriesWithModes(memories(), settings))
        }
    }
}

fn commit_to_file(record: &LogRecord, units: &[Option<Unit>]) -> Option<Frame> {
    let effects = record.effects.as_ref()?;
    let settings = settings_of(&effects.memories);
    let extent = Extent::of(units.iter().flatten());
    let counted = !(effects.counters.is_empty() && effects.collected.is_empty());
    if matches!(settings, SettingsOfMemories::Default) && extent == Extent::Nothing && !counted {
        return None;
    }
    let (counters, collected) = (effects.counters.clone(), effects.collected.clone());
    let record = record.clone();
    Some(match (settings, extent) {
        (SettingsOfMemories::WithModes(_), _) | (_, Extent::All) => {
            let split = |unit: &Option<Unit>| {
                let (unit, extras) = unit.as_ref().map(without_extras).unzip();
                (unit, extras.unwrap_or_default())
            };
            let (units, extras) = units.iter().map(split).unzip();
            let settings = settings_with_modes(&effects.memories);
            Frame::CommitWithExtras(record, counters, collected, settings, units, extras)
        }
        (_, Extent::Usage) => {
            let usage = |unit: &Option<Unit>| unit.as_ref().map(|it| it.usage).unwrap_or_default();
            let usages = units.iter().map(usage).collect();
            let (settings, units) = (all_settings_of(&effects.memories), units.to_vec());
            Frame::ExtendedCommit(record, counters, collected, settings, units, usages)
        }
        (SettingsOfMemories::Default, Extent::Nothing) => {
            Frame::Counted(record, counters, collected, units.to_vec())
        }
        (SettingsOfMemories::Penalties(penalties), Extent::Nothing) => {
            Frame::PenalizedCommit(record, counters, collected, penalties, units.to_vec())
        }
        (SettingsOfMemories::All(settings), Extent::Nothing) => {
            let units = units.to_vec();
            Frame::ExtendedCommit(record, counters, collected, settings, units, Vec::new())
        }
    })
}

fn memories_with(mut memories: Vec<MemoryRecord>, settings: SettingsOfMemories) -> Frame {
    set_settings_of(&mut memories, settings);
    Frame::Memories(memories)
}

fn units_with(
    memory: MemoryKey,
    mut units: Vec<Unit>,
    extras: Vec<impl Into<UnitExtras>>,
) -> Frame {
    for (unit, extras) in units.iter_mut().zip(extras) {
        unit.set_extras(extras.into());
    }
    Frame::Units(memory, units)
}

fn set_extras(units: &mut [Option<Unit>], extras: Vec<impl Into<UnitExtras>>) {
    for (unit, extras) in units.iter_mut().zip(extras) {
        if let Some(unit) = unit {
            unit.set_extras(extras.into());
        }
    }
}

fn commit_with(
    mut record: LogRecord,
    counters: Vec<MemoryCounters>,
    collected: Vec<MemoryKey>,
    settings: SettingsOfMemories,
    units: Vec<Option<Unit>>,
) -> Frame {
    if let Some(effects) = &mut record.effects {
        (effects.counters, effects.collected) = (counters, collected);
        set_settings_of(&mut effects.memories, settings);
    }
    Frame::Commit(record, units)
}

/// The content of a part.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Begin {
    /// Whether it holds memories, units and requests in addition to commits.
    pub(super) full: bool,
    /// It holds the commits after this one.
    pub(super) after: Mark,
}

#[cfg(test)]
mod tests {
    use crate::store::{Change, ChangeKind, Effects, Sequence};
    use crate::unit::{Context, ContextMode, Scoring, Timestamp, UnitContent, UnitId};

    use super::*;

    /// A unit with a usage, and one with the rest.
    fn units() -> [Unit; 3] {
        let plain = Unit::new(UnitId(7), 3, UnitContent::default());
        let usage = Usage { count: 2, last: Some(Timestamp { micros: 4 }), revisions: 1 };
        let mut whole = Unit { usage, ..plain.clone() };
        whole.content.context = Context { next_target: Some(5), ..Context::default() };
        whole.content.context_id = "menu".to_owned();
        [plain.clone(), Unit { usage, ..plain }, whole]
    }

    fn memory(scoring: Scoring) -> MemoryRecord {
        MemoryRecord {
            key: MemoryKey(1),
            name: "m".parse().unwrap(),
            display_name: String::new(),
            description: String::new(),
            source_lang: "ar".parse().unwrap(),
            target_lang: "en".parse().unwrap(),
            created: Timestamp { micros: 1 },
            changed: Timestamp { micros: 2 },
            revision: 3,
            unit_count: 4,
            next_unit: UnitId(9),
            deleted: false,
            unfinished_penalty: None,
            scoring,
        }
    }

    fn memories() -> [MemoryRecord; 3] {
        let plain = Scoring::default();
        let penalized = Scoring { default_penalty: Score::FULL, ..plain.clone() };
        let double = Scoring { context_mode: ContextMode::Double, ..penalized.clone() };
        [plain, penalized, double].map(memory)
    }

    /// The frame as the file has it, by its number, after a round trip that must not change it.
    fn number(frame: &Frame) -> u8 {
        let bytes = postcard::to_stdvec(frame.to_file().as_ref()).unwrap();
        let read: Frame = postcard::from_bytes(&bytes).unwrap();
        assert_eq!(format!("{:?}", read.into_read()), format!("{frame:?}"));
        bytes[0]
    }

    #[test]
    fn frames_use_the_oldest_form_that_holds_them() {
        let [plain, used, whole] = units();
        let frame =
            |units: &[&Unit]| Frame::Units(MemoryKey(1), units.iter().copied().cloned().collect());
        assert_eq!(number(&frame(&[&plain, &plain])), 2);
        assert_eq!(number(&frame(&[&plain, &used])), 9);
        assert_eq!(number(&frame(&[&whole, &used, &plain])), 12);
        let [simple, penalized, double] = memories();
        assert_eq!(number(&Frame::Memories(vec![simple.clone()])), 1);
        assert_eq!(number(&Frame::Memories(vec![simple.clone(), penalized.clone()])), 11);
        let all = vec![simple.clone(), double.clone(), penalized.clone()];
        assert_eq!(number(&Frame::Memories(all.clone())), 14);
        let commit = |memories: Vec<MemoryRecord>, units: Vec<Option<Unit>>| {
            let counters =
                vec![MemoryCounters { key: MemoryKey(9), unit_count: 1, next_unit: UnitId(2) }];
            let change = Change {
                memory: MemoryKey(1),
                unit: UnitId(7),
                kind: ChangeKind::Used,
                revision: 3,
            };
            let record = LogRecord {
                sequence: Sequence(5),
                time: Timestamp { micros: 6 },
                changes: vec![change; units.len()],
                effects: Some(Effects { memories, counters, ..Effects::default() }),
                checksum: 7,
            };
            Frame::Commit(record, units)
        };
        assert_eq!(number(&commit(vec![simple.clone()], vec![Some(plain.clone())])), 6);
        assert_eq!(number(&commit(vec![penalized.clone()], vec![Some(plain.clone()), None])), 10);
        assert_eq!(number(&commit(vec![simple.clone()], vec![None, Some(used.clone())])), 10);
        let units = vec![Some(plain.clone()), None, Some(whole)];
        assert_eq!(number(&commit(vec![penalized], units.clone())), 13);
        assert_eq!(number(&commit(vec![simple], units)), 13);
        assert_eq!(number(&commit(all, vec![Some(plain), Some(used)])), 13);
    }
}
