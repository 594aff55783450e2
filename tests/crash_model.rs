//! Models the acknowledged writes that must survive a crash, and generates random writes for the model and a server.

use std::collections::BTreeMap;

use crate::upkeep::Dice;

/// Number → (revision, target).
pub(crate) type Units = BTreeMap<u64, (u64, String)>;

/// The acknowledged units, and the pending write.
#[derive(Debug, Clone, Default)]
pub(crate) struct Model {
    pub(crate) there: bool,
    pub(crate) units: Units,
    pub(crate) next: u64,
    pub(crate) pending: Option<Write>,
}

#[derive(Debug, Clone)]
pub(crate) enum Write {
    Create(Vec<String>),
    Update(u64, String),
    Delete(u64),
}

impl Model {
    pub(crate) fn apply(&mut self, write: Write) {
        match write {
            Write::Create(targets) => {
                for target in targets {
                    self.next += 1;
                    self.units.insert(self.next, (1, target));
                }
            }
            Write::Update(id, target) => {
                let unit = self.units.get_mut(&id).unwrap();
                *unit = (unit.0 + 1, target);
            }
            Write::Delete(id) => {
                self.units.remove(&id);
            }
        }
    }

    /// The model after the pending write.
    fn with_pending(&self) -> Option<Self> {
        let mut after = self.clone();
        let write = after.pending.take()?;
        after.apply(write);
        Some(after)
    }

    /// Takes over what is there, which must be what was acknowledged, with or without what was on its way; gives how many
    /// acknowledged units are not there as they were, and how many are there that nobody wrote like that.
    pub(crate) fn settle(&mut self, found: &Units) -> (usize, usize) {
        let with = self.with_pending();
        if let Some(with) = with.filter(|with| with.units == *found) {
            *self = with;
        }
        self.pending = None;
        let is_other = |there: &Units, (id, it): (&u64, &(u64, String))| there.get(id) != Some(it);
        let lost = self.units.iter().filter(|unit| is_other(found, *unit)).count();
        let wrong = found.iter().filter(|unit| is_other(&self.units, *unit)).count();
        (lost, wrong)
    }
}

impl Dice {
    pub(crate) fn write(&mut self, model: &Model) -> Write {
        let ids: Vec<u64> = model.units.keys().copied().collect();
        let any = (!ids.is_empty()).then(|| ids[self.below(ids.len().max(1) as u64) as usize]);
        let target = |dice: &mut Self| {
            let word = format!("target {} ", dice.below(1 << 30));
            // Some are longer than the database keeps in its own file.
            let length = if dice.below(8) == 0 { 40_000 } else { 1 };
            word.repeat(length / word.len() + 1)
        };
        match (self.below(6), any) {
            (0, Some(id)) => Write::Delete(id),
            (1 | 2, Some(id)) => Write::Update(id, target(self)),
            _ => Write::Create((0..=self.below(4)).map(|_| target(self)).collect()),
        }
    }
}
