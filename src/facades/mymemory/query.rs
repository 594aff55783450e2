//! `get`: the matches of a segment, or, with `conc=true`, the units in which an expression occurs.

use serde::Deserialize;
use serde_json::Value;

use crate::client::MemoryInfo;
use crate::engine::{ConcordanceSettings, FoundMatch, QuerySegment, UnitFilter};
use crate::matching::{ConcordanceMode, Side, WordForm};
use crate::unit::{MemoryName, Score, Segment};

use super::super::memories::lookup;
use super::super::refusal::Refusal;
use super::super::settings::{FacadeSettings, FacadeTable};
use super::super::visit::Visit;
use super::answer::{Found, Match, matches};
use super::parameters::{context, memories, memory_of_key, pair, required};

/// Matches, if the client does not say how many.
const RESULTS_DEFAULT: u32 = 3;
/// Most matches of one answer.
const RESULTS_MAX: u32 = 100;

pub(super) async fn get(mut visit: Visit, table: &FacadeTable) -> Result<Value, Refusal> {
    let text = required(&visit, "q")?.to_owned();
    let (source, target) = pair(&visit)?;
    let memories = memories(&mut visit, table, (&source, &target)).await?;
    let settings = with_penalties(table, &memories, visit.parameter("penalty_key"))?;
    let max = visit.number("numres").unwrap_or(RESULTS_DEFAULT).clamp(1, RESULTS_MAX) as usize;
    let is_concordance = visit.parameter("conc").is_some_and(|it| matches!(it, "true" | "1"));
    let found = if is_concordance {
        concordance(&mut visit, &memories, text, max).await?
    } else {
        let mut segment = QuerySegment::new(Segment::plain(text));
        segment.context = context(&visit);
        let found = lookup(&mut visit.client, &settings, &memories, &segment, |lookup| {
            lookup.max_matches = max;
        });
        found.await?.into_iter().map(|found| of_match(&memories, found)).collect()
    };
    let found: Vec<Match> = found.into_iter().map(Match::from).collect();
    Ok(matches(&found))
}

fn of_match(memories: &[MemoryInfo], found: FoundMatch) -> Found {
    let penalty = f64::from(found.deductions.penalty_hundredths()) / 10_000.0;
    Found {
        languages: languages(memories, &found.memory),
        score: hundredths(found.score.points() / 100.0),
        penalty: hundredths(penalty),
        in_context: found.match_rate() > 100,
        memory: found.memory,
        unit: found.unit,
    }
}

/// Without the noise of binary fractions.
fn hundredths(share: f64) -> f64 {
    (share * 100.0).round() / 100.0
}

fn languages(memories: &[MemoryInfo], name: &MemoryName) -> (String, String) {
    let memory = memories.iter().find(|it| it.name == *name);
    let codes = memory.map(|it| (it.source_lang.to_string(), it.target_lang.to_string()));
    codes.unwrap_or_default()
}

/// A penalty of a key: 0 to 1.
#[derive(Debug, Deserialize)]
struct KeyPenalty {
    key: String,
    penalty: f64,
}

/// The settings with the penalties of some keys, in addition to their own.
fn with_penalties(
    table: &FacadeTable,
    memories: &[MemoryInfo],
    json: Option<&str>,
) -> Result<FacadeSettings, Refusal> {
    let mut settings = table.mymemory.clone();
    let Some(json) = json.filter(|json| !json.trim().is_empty()) else { return Ok(settings) };
    let wrong = || {
        Refusal::bad_request("penalty_key is a list such as [{\"key\":\"news\",\"penalty\":0.1}]")
    };
    let penalties: Vec<KeyPenalty> = serde_json::from_str(json).map_err(|_| wrong())?;
    for KeyPenalty { key, penalty } in penalties {
        let memory = memory_of_key(table, &key)?;
        let Some(info) = memories.iter().find(|it| it.name == memory) else { continue };
        let choice = settings.memories.iter().find(|it| it.memory == memory);
        let own = choice.and_then(|it| it.penalty).unwrap_or(info.scoring.default_penalty);
        let points = (own.points() + penalty * 100.0).min(100.0);
        let points = Score::from_points(points).map_err(|_| wrong())?;
        settings.set_penalty(memory, points);
    }
    Ok(settings)
}

async fn concordance(
    visit: &mut Visit,
    memories: &[MemoryInfo],
    text: String,
    max: usize,
) -> Result<Vec<Found>, Refusal> {
    if memories.is_empty() {
        return Ok(Vec::new());
    }
    let settings = ConcordanceSettings {
        memories: memories.iter().map(|it| it.name.clone()).collect(),
        text,
        side: Side::Source,
        mode: ConcordanceMode::Phrase,
        word_form: WordForm::Folded,
        filter: UnitFilter::default(),
    };
    let (passages, _) = visit.client.concordance(&settings, max, String::new()).await?;
    let found = passages.into_iter().map(|passage| {
        let text = &passage.unit.content.source.text;
        let covered: usize = passage.highlights.iter().map(ExactSizeIterator::len).sum();
        #[expect(clippy::cast_precision_loss, reason = "a segment is not that long")]
        let share = covered as f64 / text.len().max(1) as f64;
        Found {
            languages: languages(memories, &passage.memory),
            score: hundredths(share.min(1.0)),
            penalty: 0.0,
            in_context: false,
            memory: passage.memory,
            unit: passage.unit,
        }
    });
    Ok(found.collect())
}
