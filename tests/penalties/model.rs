//! Random memories with rules, and the answers of lookups as they should be.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use dhakira::engine::{
    Cancel, Engine, Explain, FoundMatch, LookupSettings, MemoryChoice, NewMemory, QuerySegment,
    UnitFilter,
};
use dhakira::matching::{MatchKind, Reason};
use dhakira::store::InMemoryStore;
use dhakira::unit::{
    CONFIDENCE_ATTRIBUTE, Confidence, Context, MemoryName, PenaltyCondition, PenaltyRule, Score,
    Scoring, Segment, Timestamp, UNFINISHED_ATTRIBUTE, Unit, UnitContent, UnitId,
};

use crate::filters::accepts;
use crate::matching::world::Rng;
use crate::support::new_memory;

pub(super) const DAY: Duration = Duration::from_secs(86_400);

pub(super) fn now() -> Timestamp {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    Timestamp { micros: i64::try_from(since.as_micros()).unwrap() }
}

/// Words that differ by marks, letters, or more.
const WORDS: [&str; 9] = [
    "\u{648}\u{635}\u{644}",
    "\u{627}\u{644}\u{642}\u{637}\u{627}\u{631}",
    "\u{627}\u{644}\u{642}\u{650}\u{637}\u{627}\u{631}",
    "\u{625}\u{644}\u{649}",
    "\u{627}\u{644}\u{649}",
    "\u{627}\u{644}\u{645}\u{62d}\u{637}\u{629}",
    "\u{645}\u{62d}\u{637}\u{627}\u{62a}",
    "1500",
    "2024-05-01",
];

pub(crate) fn text(rng: &mut Rng) -> String {
    let length = 2 + rng.below(4);
    let words: Vec<&str> = (0..length).map(|_| *rng.pick(&WORDS)).collect();
    words.join(" ")
}

/// A unit that has something of everything that rules and filters ask for.
pub(crate) fn random_content(rng: &mut Rng) -> UnitContent {
    let targets = ["The train arrived", "the TRAIN came", "A stop.", "It is 1,500", "stations"];
    let mut attributes = BTreeMap::new();
    let mut put = |rng: &mut Rng, percent, name: &str, values: &[&str]| {
        if rng.chance(percent) {
            attributes.insert(name.to_owned(), (*rng.pick(values)).to_owned());
        }
    };
    put(rng, 40, "client", &["alpha", "beta", "gamma"]);
    put(rng, 30, CONFIDENCE_ATTRIBUTE, &["0.2000", "0.5000", "0.8000", "1.0000"]);
    put(rng, 15, "origin", &["mt", "tm"]);
    put(rng, 10, "state-qualifier", &["leveraged-mt", "leveraged-tm"]);
    put(rng, 25, UNFINISHED_ATTRIBUTE, &["fuzzy", "needs-review"]);
    let days = |rng: &mut Rng| now().before(DAY * (rng.below(40) as u32) + DAY / 2);
    UnitContent {
        source: Segment::plain(text(rng)),
        target: Segment::plain(*rng.pick(&targets)),
        context: Context::default(),
        document: (*rng.pick(&["", "a.txt", "b.txt", "c.txt"])).to_owned(),
        author: (*rng.pick(&["", "huda", "MT!", "omar"])).to_owned(),
        created: Some(days(rng)),
        changed: Some(days(rng)),
        attributes,
        context_id: String::new(),
    }
}

fn random_rule(rng: &mut Rng) -> PenaltyRule {
    let some =
        |rng: &mut Rng, values: &[&str]| rng.chance(60).then(|| (*rng.pick(values)).to_owned());
    let condition = match rng.below(7) {
        0 => PenaltyCondition::Author((*rng.pick(&["", "huda", "MT!", "nobody"])).to_owned()),
        1 => PenaltyCondition::Attribute {
            name: "client".into(),
            value: some(rng, &["alpha", "beta"]),
        },
        2 => PenaltyCondition::OlderThan(DAY * (rng.below(40) as u32)),
        3 => {
            let least = *rng.pick(&[0.0, 0.5, 0.8, 1.0]);
            PenaltyCondition::ConfidenceBelow(Confidence::new(least).unwrap())
        }
        4 => PenaltyCondition::MachineTranslated,
        5 => PenaltyCondition::Unfinished { state: None },
        _ => PenaltyCondition::Unfinished { state: some(rng, &["fuzzy", "needs-review"]) },
    };
    let points = Score::from_hundredths(*rng.pick(&[1, 150, 500, 1_000, 3_000, 9_999])).unwrap();
    PenaltyRule { points, condition }
}

pub(crate) fn random_rules(rng: &mut Rng) -> Vec<PenaltyRule> {
    (0..rng.below(4)).map(|_| random_rule(rng)).collect()
}

/// A rule as its sentence says it, written once more.
fn meets(condition: &PenaltyCondition, content: &UnitContent) -> bool {
    let value = |name: &str| content.attributes.get(name).cloned();
    match condition {
        PenaltyCondition::Author(author) => content.author == *author,
        PenaltyCondition::Attribute { name, value: None } => value(name).is_some(),
        PenaltyCondition::Attribute { name, value: wanted } => value(name) == *wanted,
        PenaltyCondition::OlderThan(age) => {
            let micros = now().micros - content.changed.unwrap().micros;
            micros > i64::try_from(age.as_micros()).unwrap()
        }
        PenaltyCondition::ConfidenceBelow(least) => {
            let confidence = value(CONFIDENCE_ATTRIBUTE).map(|it| it.parse::<f64>().unwrap());
            confidence.is_some_and(|it| it < least.value())
        }
        PenaltyCondition::MachineTranslated => {
            content.author == "MT!"
                || value("origin").is_some_and(|it| it == "mt")
                || value("state-qualifier").is_some_and(|it| it == "leveraged-mt")
        }
        PenaltyCondition::Unfinished { state: None } => value(UNFINISHED_ATTRIBUTE).is_some(),
        PenaltyCondition::Unfinished { state } => value(UNFINISHED_ATTRIBUTE) == *state,
    }
}

fn reason(condition: &PenaltyCondition) -> Reason {
    match condition {
        PenaltyCondition::Author(_) => Reason::Author,
        PenaltyCondition::Attribute { .. } => Reason::Attribute,
        PenaltyCondition::OlderThan(_) => Reason::Age,
        PenaltyCondition::ConfidenceBelow(_) => Reason::Confidence,
        PenaltyCondition::MachineTranslated => Reason::MachineTranslation,
        PenaltyCondition::Unfinished { .. } => Reason::State,
    }
}

/// A memory as the model knows it.
pub(crate) struct Model {
    pub(crate) name: MemoryName,
    unfinished_penalty: Score,
    scoring: Scoring,
    pub(crate) units: BTreeMap<UnitId, Unit>,
}

pub(crate) fn random_memory(rng: &mut Rng, engine: &Engine, number: usize) -> Model {
    let name: MemoryName = format!("m{number}").parse().unwrap();
    let points = |rng: &mut Rng| Score::from_hundredths(*rng.pick(&[0, 0, 250, 2_000])).unwrap();
    let unfinished = rng.chance(50).then(|| points(rng));
    let scoring = Scoring {
        default_penalty: points(rng),
        penalty_rules: random_rules(rng),
        ..Scoring::default()
    };
    let new = NewMemory {
        unfinished_penalty: unfinished,
        scoring: scoring.clone(),
        ..new_memory(name.clone())
    };
    engine.create_memory(new, None).unwrap();
    let units: Vec<_> = (0..40).map(|_| random_content(rng)).collect();
    let stored = engine.create_units(&name, units, None, |_| String::new()).unwrap();
    Model {
        name,
        unfinished_penalty: unfinished.unwrap_or(Score::from_points(10.0).unwrap()),
        scoring,
        units: stored.into_iter().map(|unit| (unit.id, unit)).collect(),
    }
}

pub(crate) fn settings(models: &[Model], min_score: Score, max_matches: usize) -> LookupSettings {
    let choice = |model: &Model| MemoryChoice { memory: model.name.clone(), penalty: None };
    LookupSettings {
        memories: models.iter().map(choice).collect(),
        min_score,
        max_matches,
        exhaustive: false,
        filter: UnitFilter::default(),
        penalty_rules: Vec::new(),
        explain: Explain::default(),
    }
}

pub(super) fn lookup(engine: &Engine, settings: &LookupSettings, query: &str) -> Vec<FoundMatch> {
    let segment = Segment::plain(query);
    let query = QuerySegment::new(segment);
    engine.lookup(settings, &[query], &Cancel::default()).unwrap().remove(0)
}

/// A match of the model: memory, unit, kind, and points by reason in order.
pub(crate) type Expected = (usize, UnitId, MatchKind, Vec<(Reason, u16)>);

/// The answer worked out unit by unit. Each unit's score without penalties is that of a memory that holds only its text.
pub(crate) fn expected(
    models: &[Model],
    texts: &TextScores,
    settings: &LookupSettings,
) -> Vec<Expected> {
    let mut all = Vec::new();
    for (number, model) in models.iter().enumerate() {
        let own = settings.memories[number].penalty.unwrap_or(model.scoring.default_penalty);
        let rules = settings.penalty_rules.iter().chain(&model.scoring.penalty_rules);
        let rules: Vec<&PenaltyRule> = rules.collect();
        for unit in model.units.values().filter(|unit| accepts(&settings.filter, unit)) {
            let Some((kind, of_text)) = texts.get(&unit.content.source.text) else { continue };
            let mut lost: BTreeMap<Reason, u32> = BTreeMap::new();
            for rule in rules.iter().filter(|rule| meets(&rule.condition, &unit.content)) {
                *lost.entry(reason(&rule.condition)).or_default() +=
                    u32::from(rule.points.hundredths());
            }
            *lost.entry(Reason::Penalty).or_default() += u32::from(own.hundredths());
            let total: u32 = lost.values().sum();
            if unit.content.attributes.contains_key(UNFINISHED_ATTRIBUTE) {
                *lost.entry(Reason::State).or_default() +=
                    u32::from(model.unfinished_penalty.hundredths());
            }
            let mut points = of_text.clone();
            let mut score = 10_000 - points.iter().map(|(_, lost)| u32::from(*lost)).sum::<u32>();
            for (reason, lost) in lost {
                let taken = lost.min(score);
                score -= taken;
                if taken > 0 {
                    points.push((reason, u16::try_from(taken).unwrap()));
                }
            }
            if score >= u32::from(settings.min_score.hundredths()) {
                let changed = Reverse(unit.content.changed);
                let rank = (*kind, Reverse(score), total, changed, number, unit.id);
                all.push((rank, points));
            }
        }
    }
    all.sort();
    // Of the units of a memory with the same pair, the best counts.
    let mut pairs = BTreeSet::new();
    all.retain(|((.., number, id), _)| {
        let content = &models[*number].units[id].content;
        let unfinished = content.attributes.contains_key(UNFINISHED_ATTRIBUTE);
        pairs.insert((
            *number,
            content.source.text.clone(),
            content.target.text.clone(),
            unfinished,
        ))
    });
    all.truncate(settings.max_matches);
    all.into_iter().map(|((kind, .., number, id), points)| (number, id, kind, points)).collect()
}

pub(crate) type TextScores = BTreeMap<String, (MatchKind, Vec<(Reason, u16)>)>;

/// What each text scores for the query without any penalties, by a full scan of one memory that holds each text once.
pub(crate) fn text_scores(models: &[Model], query: &str) -> TextScores {
    let engine = Engine::open(Arc::new(InMemoryStore::default()), None, &mut |_| ()).unwrap();
    let name: MemoryName = "plain".parse().unwrap();
    engine.create_memory(new_memory(name.clone()), None).unwrap();
    let units = models.iter().flat_map(|model| model.units.values());
    let texts: BTreeSet<String> = units.map(|unit| unit.content.source.text.clone()).collect();
    let contents = texts.into_iter().map(|text| UnitContent {
        source: Segment::plain(text),
        target: Segment::plain("x"),
        ..UnitContent::default()
    });
    let contents: Vec<UnitContent> = contents.collect();
    for some in contents.chunks(100) {
        engine.create_units(&name, some.to_vec(), None, |_| String::new()).unwrap();
    }
    let plain = LookupSettings {
        memories: vec![MemoryChoice { memory: name, penalty: None }],
        min_score: Score::ZERO,
        max_matches: 1_000,
        exhaustive: true,
        filter: UnitFilter::default(),
        penalty_rules: Vec::new(),
        explain: Explain::default(),
    };
    lookup(&engine, &plain, query)
        .into_iter()
        .map(|it| (it.unit.content.source.text, (it.kind, it.deductions.iter().collect())))
        .collect()
}
