//! `search` and `concordancesearch`: entries by conditions on their fields, a page at a time or as a count.
//!
//! With a text for source or target it is a concordance: the text is found from the beginning of a word on, marks, letter variants and
//! case aside. Without one, all entries are looked at.

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::client::{Client, MemoryInfo};
use crate::engine::{
    ConcordanceSettings, ListQuery, NameCondition, TextCondition, TimeRange, UnitFilter,
};
use crate::limits::PAGE_SIZE_MAX;
use crate::matching::{ConcordanceMode, Side, WordForm};
use crate::unit::{Timestamp, Unit};

use super::super::visit::Visit;
use super::condition::{Condition, Mode, TextCheck};
use super::entry::{Entry, MORE_ATTRIBUTE};
use super::fault::Fault;
use super::fields::Fields;
use super::position::Position;

/// Most entries in one answer, and how many it gives unasked.
const RESULTS_MAX: u64 = 200;
const RESULTS_DEFAULT: u64 = 5;
/// Time after which an answer is given with what was found, and where to go on.
const SEARCH_TIME_MAX: Duration = Duration::from_secs(20);
/// Entries that are read at a time when not all of them are found.
const LOOK_UNITS: usize = 200;

/// Which entries are searched for.
struct Search {
    listing: Listing,
    /// Conditions that the listing does not check.
    rest: Vec<Check>,
}

/// What lists the entries.
enum Listing {
    Concordance(ConcordanceSettings),
    All(ListQuery),
}

/// A condition that is checked entry by entry.
enum Check {
    Source(TextCheck),
    Target(TextCheck),
    Document(Condition),
    Author(Condition),
    Context(Condition),
    More(Condition),
}

impl Check {
    fn accepts(&self, unit: &Unit) -> bool {
        let content = &unit.content;
        match self {
            Self::Source(check) => check.accepts(&content.source),
            Self::Target(check) => check.accepts(&content.target),
            Self::Document(condition) => condition.accepts(&content.document),
            Self::Author(condition) => condition.accepts(&content.author),
            Self::Context(condition) => {
                condition.accepts(content.context_key().unwrap_or_default())
            }
            Self::More(condition) => {
                let value = content.attributes.get(MORE_ATTRIBUTE);
                condition.accepts(value.map_or("", String::as_str))
            }
        }
    }
}

pub(super) async fn search(visit: &mut Visit, memory: &MemoryInfo) -> Result<Value, Fault> {
    let fields = Fields::of(visit).await?;
    let is_of_pair = fields.lang("sourceLang")?.is_none_or(|it| memory.source_lang.accepts(&it))
        && fields.lang("targetLang")?.is_none_or(|it| memory.target_lang.accepts(&it));
    let search = Search::new(&fields, memory)?;
    let counts = fields.flag("onlyCountSegments");
    if !is_of_pair {
        return Ok(if counts { counted(0) } else { page(memory, Vec::new(), None) });
    }
    if counts {
        return search.count(&mut visit.client, memory).await.map(counted);
    }
    let wanted = match fields.number("numResults")?.unwrap_or(0) {
        0 => RESULTS_DEFAULT,
        wanted => wanted.min(RESULTS_MAX),
    };
    let wanted = usize::try_from(wanted).unwrap_or_default();
    let from = Position::parse("searchPosition", fields.text("searchPosition"))?;
    let (units, next) = search.page(&mut visit.client, memory, from, wanted).await?;
    Ok(page(memory, units, next))
}

fn counted(count: u64) -> Value {
    json!({"ReturnValue": 0, "NumOfFoundSegments": count})
}

fn page(memory: &MemoryInfo, units: Vec<Unit>, next: Option<Position>) -> Value {
    let entries: Vec<Entry> = units.into_iter().map(|unit| Entry::new(memory, unit)).collect();
    // No message where there is none: translate5 takes an empty one for an error.
    json!({
        "ReturnValue": 0,
        "NewSearchPosition": next.map(|it| it.to_string()),
        "results": entries,
    })
}

impl Search {
    fn new(fields: &Fields, memory: &MemoryInfo) -> Result<Self, Fault> {
        let mut rest = Vec::new();
        let mut filter = UnitFilter { changed: changed(fields)?, ..UnitFilter::default() };
        let [mut source, mut target] =
            [("source", "sourceSearchMode"), ("target", "targetSearchMode")]
                .map(|(text, mode)| Condition::new(fields, text, mode));
        let single = fields.text("searchString");
        if !single.trim().is_empty() {
            let condition = || Condition::contains(single);
            match fields.text("searchType").to_ascii_lowercase().as_str() {
                "" | "source" => source = Ok(condition()),
                "target" => target = Ok(condition()),
                _ => return Err(Fault::bad_request("searchType is source or target")),
            }
        }
        let (source, target) = (source?, target?);
        let (source, target) = (source.given(), target.given());
        let text = match (source, target) {
            (Some(source), other) => {
                if let Some(other) = other {
                    filter.target =
                        TextCondition { contains: other.whole_words(), ..TextCondition::default() };
                    rest.push(Check::Target(TextCheck::new(other, &memory.target_lang)));
                }
                Some((source, Side::Source))
            }
            (None, Some(target)) => Some((target, Side::Target)),
            (None, None) => None,
        };
        for (field, check) in [
            ("document", Check::Document as fn(Condition) -> Check),
            ("author", Check::Author),
            ("context", Check::Context),
            ("addInfo", Check::More),
        ] {
            let condition = Condition::new(fields, field, &format!("{field}SearchMode"))?;
            let Some(condition) = condition.given() else { continue };
            // Names of documents and authors in just this form are what the index knows.
            let name = condition.is_literal().then(|| NameCondition::any_of([condition.text()]));
            match (field, name) {
                ("document", Some(name)) => filter.document = name,
                ("author", Some(name)) => filter.author = name,
                _ => rest.push(check(condition)),
            }
        }
        let Some((text, side)) = text else {
            let query = ListQuery { filter, ..ListQuery::default() };
            return Ok(Self { listing: Listing::All(query), rest });
        };
        let mode = match text.mode() {
            Mode::Contains => ConcordanceMode::Prefix,
            Mode::Exact => ConcordanceMode::Phrase,
            Mode::Concordance => ConcordanceMode::Words,
        };
        let settings = ConcordanceSettings {
            memories: vec![memory.name.clone()],
            text: text.text().to_owned(),
            side,
            mode,
            word_form: WordForm::Folded,
            filter,
        };
        if !text.is_found_by_words() {
            rest.push(match side {
                Side::Source => Check::Source(TextCheck::new(text, &memory.source_lang)),
                Side::Target => Check::Target(TextCheck::new(text, &memory.target_lang)),
            });
        }
        Ok(Self { listing: Listing::Concordance(settings), rest })
    }

    fn accepts(&self, unit: &Unit) -> bool {
        self.rest.iter().all(|check| check.accepts(unit))
    }

    /// A page of the listing, and the token of the next one.
    async fn read(
        &self,
        client: &mut Client,
        memory: &MemoryInfo,
        size: usize,
        token: String,
    ) -> Result<(Vec<Unit>, String), Fault> {
        Ok(match &self.listing {
            Listing::Concordance(settings) => {
                let (passages, next) = client.concordance(settings, size, token).await?;
                (passages.into_iter().map(|it| it.unit).collect(), next)
            }
            Listing::All(query) => client.list_units(&memory.name, query, (size, token)).await?,
        })
    }

    /// The next entries, at most `wanted`, and the place after them.
    async fn page(
        &self,
        client: &mut Client,
        memory: &MemoryInfo,
        mut from: Position,
        wanted: usize,
    ) -> Result<(Vec<Unit>, Option<Position>), Fault> {
        let size = if self.rest.is_empty() { wanted } else { LOOK_UNITS };
        let started = Instant::now();
        let mut found = Vec::new();
        loop {
            let (units, next) = self.read(client, memory, size, from.token.clone()).await?;
            let last = units.len();
            for (number, unit) in units.into_iter().enumerate().skip(from.skipped) {
                if !self.accepts(&unit) {
                    continue;
                }
                found.push(unit);
                if found.len() == wanted {
                    let skipped = number + 1;
                    let place = if skipped < last {
                        Some(Position { skipped, ..from })
                    } else {
                        after(next)
                    };
                    return Ok((found, place));
                }
            }
            let Some(place) = after(next) else { return Ok((found, None)) };
            if started.elapsed() > SEARCH_TIME_MAX {
                return Ok((found, Some(place)));
            }
            from = place;
        }
    }

    async fn count(&self, client: &mut Client, memory: &MemoryInfo) -> Result<u64, Fault> {
        if let (Listing::All(query), true) = (&self.listing, self.rest.is_empty())
            && query.filter.is_empty()
        {
            return Ok(memory.unit_count);
        }
        let (mut count, mut token) = (0, String::new());
        loop {
            let (units, next) = self.read(client, memory, PAGE_SIZE_MAX, token).await?;
            count += units.iter().filter(|unit| self.accepts(unit)).count() as u64;
            if next.is_empty() {
                return Ok(count);
            }
            token = next;
        }
    }
}

/// The beginning of the next page; `None` after the last one.
fn after(token: String) -> Option<Position> {
    (!token.is_empty()).then_some(Position { token, skipped: 0 })
}

/// The range of times; both its ends belong to it.
fn changed(fields: &Fields) -> Result<TimeRange, Fault> {
    let second = |time: Timestamp| Timestamp { micros: time.micros.saturating_add(1_000_000) };
    let before = fields.time("timestampSpanEnd")?.map(second);
    Ok(TimeRange { from: fields.time("timestampSpanStart")?, before })
}
