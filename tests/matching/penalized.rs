//! What do penalty rules cost? Worked out for one unit at a time, from the score without any.

use dhakira::matching::{Options, Penalties, PenaltyPoints, Reason};
use dhakira::unit::{Timestamp, UnitId};

use super::naive::Verdict;
use super::world::{Rng, Stored};

/// Rules on units, and points that stand for what only a unit knows.
#[derive(Debug, Default)]
pub(super) struct Rules {
    authors: Vec<(String, u16)>,
    ages: Vec<(Timestamp, u16)>,
    unfinished: u32,
    /// Seed of the rules on the rest of a unit; none when 0.
    rest: u64,
}

impl Rules {
    pub(super) fn random(rng: &mut Rng) -> Self {
        let mut rules = Self::default();
        let points = |rng: &mut Rng| *rng.pick(&[0, 1, 50, 100, 333, 1_000, 9_000, 10_000]);
        for _ in 0..rng.below(3) {
            rules.authors.push((format!("a{}", rng.below(4)), points(rng)));
        }
        for _ in 0..rng.below(3) {
            let before = Timestamp { micros: rng.below(5) as i64 };
            rules.ages.push((before, points(rng)));
        }
        if rng.chance(30) {
            rules.unfinished = points(rng).into();
        }
        if rng.chance(60) {
            rules.rest = 1 + rng.next() % 1_000;
        }
        rules
    }

    /// What the rest of a unit costs; some units must not be found.
    pub(super) fn of_unit(&self, unit: UnitId) -> Option<PenaltyPoints> {
        let mut rng = Rng(self.rest * 1_000_003 + unit.0);
        let mut points =
            || if rng.chance(60) { 0 } else { *rng.pick(&[1, 100, 700, 6_000, 20_000]) };
        let points = PenaltyPoints {
            attribute: points(),
            confidence: points(),
            machine_translation: points(),
            state: points(),
            ..PenaltyPoints::default()
        };
        (!rng.chance(15)).then_some(points)
    }

    pub(super) fn has_rest(&self) -> bool {
        self.rest > 0
    }

    pub(super) fn for_search<'a>(
        &'a self,
        of_unit: &'a (dyn Fn(UnitId) -> Option<PenaltyPoints> + Sync),
    ) -> Penalties<'a> {
        Penalties {
            authors: &self.authors,
            ages: &self.ages,
            unfinished: self.unfinished,
            of_unit: self.has_rest().then_some(of_unit),
        }
    }
}

/// A verdict without penalties, and the total that ranks equal scores, after all penalties of the options.
pub(super) fn penalized(
    verdict: Verdict,
    stored: &Stored,
    options: &Options<'_>,
) -> Option<(Verdict, u32)> {
    let facts = &stored.entry.facts;
    let rules = &options.penalties;
    let rest = match rules.of_unit {
        Some(of_unit) => of_unit(stored.entry.unit)?,
        None => PenaltyPoints::default(),
    };
    let by_author: u32 =
        rules.authors.iter().filter(|it| it.0 == facts.author).map(|it| u32::from(it.1)).sum();
    let by_age: u32 =
        rules.ages.iter().filter(|it| facts.changed < it.0).map(|it| u32::from(it.1)).sum();
    let unfinished = if facts.unfinished { rules.unfinished } else { 0 };
    let own_state = if facts.unfinished { options.state_penalty.into() } else { 0 };
    let by_rules = [
        (Reason::State, rest.state + unfinished),
        (Reason::Author, by_author),
        (Reason::Attribute, rest.attribute),
        (Reason::Age, by_age),
        (Reason::Confidence, rest.confidence),
        (Reason::MachineTranslation, rest.machine_translation),
        (Reason::Penalty, options.penalty.into()),
    ];
    let Verdict { mut score, kind, mut points } = verdict;
    for (reason, lost) in by_rules {
        let lost = if reason == Reason::State { lost + own_state } else { lost };
        let taken = lost.min(score.into()) as u16;
        score -= taken;
        if taken > 0 {
            points.push((reason, taken));
        }
    }
    let total = by_rules.iter().map(|(_, lost)| lost).sum();
    Some((Verdict { score, kind, points }, total))
}
