//! Looks up segments: searches memories for similar sources, reads the best units, and explains their differences.

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::Arc;
use std::time::Instant;

use metrics::histogram;
use rayon::iter::{IntoParallelRefIterator as _, ParallelIterator as _};

use crate::matching::{
    Adapted, AgreedContexts, ComparedText, Deductions, Edit, Filter, Hit, MatchKind, Options,
    Query, UnitPenalties, merge,
};
use crate::store::MemoryRecord;
use crate::text::Analysis;
use crate::unit::{ContextMode, MemoryName, PenaltyRule, Score, Unit, UnitContent, UnitId};
use crate::validate::validate_segment;

use super::explain::{Explain, Explanation};
use super::filter::{OfUnit, PreparedFilter, UnitFilter, search_filtered};
use super::penalties::{PreparedRules, check_rules};
use super::query_segment::QuerySegment;
use crate::engine::Engine;
use crate::engine::cancel::Cancel;
use crate::engine::clock::now;
use crate::engine::error::EngineError;
use crate::engine::replica::catalog::Memory;
use crate::engine::replica::encoding::{Analyzers, id_hash, short_revision, tag_signature};

/// A memory to search in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MemoryChoice {
    /// Its name.
    pub memory: MemoryName,
    /// Subtracted from the score of each of its matches; `None` for the default of the memory.
    pub penalty: Option<Score>,
}

/// How to search.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LookupSettings {
    /// At least one, without duplicates, all with the same languages.
    pub memories: Vec<MemoryChoice>,
    /// Least score of a match.
    pub min_score: Score,
    /// Most matches for each segment.
    pub max_matches: usize,
    /// Compare every unit instead of searching the index.
    pub exhaustive: bool,
    /// Which units may be found.
    pub filter: UnitFilter,
    /// Rules by which matches of all memories lose points, in addition to those of each memory.
    pub penalty_rules: Vec<PenaltyRule>,
    /// What to work out about each match.
    pub explain: Explain,
}

/// A match: a stored unit whose source resembles the query.
#[derive(Debug, Clone)]
pub struct FoundMatch {
    /// Its memory.
    pub memory: MemoryName,
    /// The unit.
    pub unit: Unit,
    /// The kind of match.
    pub kind: MatchKind,
    /// The parts of the context that agree; none for a fuzzy match.
    pub agreed_contexts: AgreedContexts,
    /// Its score.
    pub score: Score,
    /// Why the score is below 100.
    pub deductions: Deductions,
    /// Where query and stored source differ.
    pub edits: Vec<Edit>,
    /// The target with the numbers and other placeables of the query, if they differ.
    pub adapted: Option<Adapted>,
    /// Byte ranges of the target that translate words of the source which the query lacks, in order.
    pub spans_to_edit: Vec<Range<usize>>,
}

impl FoundMatch {
    /// [`MatchKind::match_rate`]
    pub fn match_rate(&self) -> u16 {
        self.kind.match_rate(self.score)
    }
}

/// Most searches for one query when units change between the search and their reading.
pub(crate) const RETRIES_MAX: usize = 8;

impl Engine {
    /// The best matches of each segment, best first.
    ///
    /// # Errors
    /// No such memory; memories of different languages; a segment that breaks a rule; cancelled; the store.
    pub fn lookup(
        &self,
        settings: &LookupSettings,
        segments: &[QuerySegment],
        cancel: &Cancel,
    ) -> Result<Vec<Vec<FoundMatch>>, EngineError> {
        let search = self.searcher(settings, segments, cancel)?;
        // A single segment is faster without another thread.
        match segments {
            [segment] => Ok(vec![search.one(segment)?]),
            _ => segments.par_iter().map(|segment| search.one(segment)).collect(),
        }
    }

    /// Searches the indexes for one segment without reading units, which is fast.
    ///
    /// # Errors
    /// As of [`lookup`](Self::lookup); cancelled also when filter or penalties need more than the indexes know.
    pub fn search_indexes(
        &self,
        settings: &LookupSettings,
        segment: &QuerySegment,
        cancel: &Cancel,
    ) -> Result<Hits, EngineError> {
        let search = self.searcher(settings, std::slice::from_ref(segment), cancel)?;
        if search.reads_units() {
            return Err(EngineError::Cancelled);
        }
        let (analysis, query) = search.query(segment)?;
        let ranked = search.search(&query)?;
        Ok(Hits { chosen: search.chosen, analysis, query, ranked })
    }

    /// Reads the matches that a search of the indexes has found.
    ///
    /// # Errors
    /// Cancelled; the store.
    pub fn read_matches(
        &self,
        settings: &LookupSettings,
        found: Hits,
        cancel: &Cancel,
    ) -> Result<Vec<FoundMatch>, EngineError> {
        let Hits { chosen, analysis, query, ranked } = found;
        let filter = prepared(&settings.filter, &chosen)?;
        Search { engine: self, settings, chosen, filter, cancel }.matches(&analysis, &query, ranked)
    }

    /// Prepares the lookup of segments, after validating them.
    pub(crate) fn searcher<'a>(
        &'a self,
        settings: &'a LookupSettings,
        segments: &[QuerySegment],
        cancel: &'a Cancel,
    ) -> Result<Search<'a>, EngineError> {
        self.catalog.count_search();
        let chosen = self.choose(settings)?;
        for (index, query) in segments.iter().enumerate() {
            validate_segment(&query.segment).map_err(|fault| {
                let field = format!("segments[{index}].segment.{}", fault.field);
                EngineError::invalid(field, fault.message)
            })?;
        }
        let filter = prepared(&settings.filter, &chosen)?;
        Ok(Search { engine: self, settings, chosen, filter, cancel })
    }

    /// Checks the memories of the settings.
    ///
    /// # Errors
    /// No memory, one twice, or one that does not exist; memories of different languages.
    pub fn check_settings(&self, settings: &LookupSettings) -> Result<(), EngineError> {
        prepared(&settings.filter, &self.choose(settings)?).map(drop)
    }

    fn choose(&self, settings: &LookupSettings) -> Result<Vec<Chosen>, EngineError> {
        check_rules(&settings.penalty_rules, "settings.penalties")?;
        let now = now();
        let mut chosen: Vec<Chosen> = Vec::with_capacity(settings.memories.len());
        for (index, choice) in settings.memories.iter().enumerate() {
            let memory = self.named(&choice.memory)?;
            let field = || format!("settings.memories[{index}].name");
            if chosen.iter().any(|other| other.memory.key == memory.key) {
                return Err(EngineError::invalid(field(), "this memory is named twice"));
            }
            let record = memory.record();
            let others = chosen.iter().map(|other| other.memory.record());
            if let Some(other) = others.into_iter().find(|other| !go_together(other, &record)) {
                let what = format!(
                    "'{}' is for {} to {}, but '{}' for {} to {}; look them up one after the other",
                    record.name,
                    record.source_lang,
                    record.target_lang,
                    other.name,
                    other.source_lang,
                    other.target_lang
                );
                return Err(EngineError::invalid(field(), what));
            }
            let state_penalty = record.state_penalty();
            let penalty = choice.penalty.unwrap_or(record.scoring.default_penalty);
            let rules = settings.penalty_rules.iter().chain(&record.scoring.penalty_rules);
            let rules = PreparedRules::new(rules, now);
            let context_mode = record.scoring.context_mode;
            let name = record.name.clone();
            chosen.push(Chosen { memory, name, penalty, state_penalty, rules, context_mode });
        }
        if chosen.is_empty() {
            return Err(EngineError::invalid("settings.memories", "name at least one memory"));
        }
        Ok(chosen)
    }
}

/// The filter of a lookup in memories, of which there is at least one.
fn prepared<'a>(
    filter: &'a UnitFilter,
    chosen: &[Chosen],
) -> Result<PreparedFilter<'a>, EngineError> {
    filter.prepare(&chosen[0].memory.analyzers, "settings.filter")
}

/// Whether memories can be looked up together.
fn go_together(a: &MemoryRecord, b: &MemoryRecord) -> bool {
    a.source_lang.accepts(&b.source_lang) && a.target_lang.accepts(&b.target_lang)
}

/// The hits of a segment in the indexes, whose units are not read yet.
pub struct Hits {
    chosen: Vec<Chosen>,
    analysis: Analysis,
    query: Query,
    /// Best first, with the index of their memory.
    ranked: Vec<(usize, Hit)>,
}

impl Hits {
    /// Whether there are no hits.
    pub fn is_empty(&self) -> bool {
        self.ranked.is_empty()
    }
}

struct Chosen {
    memory: Arc<Memory>,
    name: MemoryName,
    penalty: Score,
    /// Penalty for an unfinished translation, in hundredths of a point.
    state_penalty: u16,
    rules: PreparedRules,
    context_mode: ContextMode,
}

/// Looks up segments with the same settings.
pub(crate) struct Search<'a> {
    engine: &'a Engine,
    settings: &'a LookupSettings,
    /// At least one.
    chosen: Vec<Chosen>,
    /// For every chosen memory, since all have the same languages.
    filter: PreparedFilter<'a>,
    cancel: &'a Cancel,
}

impl Search<'_> {
    /// The best hit.
    pub(crate) fn best(&self, segment: &QuerySegment) -> Result<Option<Hit>, EngineError> {
        Ok(self.hits(segment)?.first().map(|(_, hit)| *hit))
    }

    /// The hits, best first, with the index of their memory.
    pub(crate) fn hits(&self, segment: &QuerySegment) -> Result<Vec<(usize, Hit)>, EngineError> {
        self.check_cancelled()?;
        self.search(&self.query(segment)?.1)
    }

    /// The memories, in the order of the settings.
    pub(crate) fn memories(&self) -> impl Iterator<Item = &Arc<Memory>> {
        self.chosen.iter().map(|chosen| &chosen.memory)
    }

    fn one(&self, segment: &QuerySegment) -> Result<Vec<FoundMatch>, EngineError> {
        self.check_cancelled()?;
        let (analysis, query) = self.query(segment)?;
        let hits = self.search(&query)?;
        self.matches(&analysis, &query, hits)
    }

    /// Reads the units of hits, and searches again if one of them has changed meanwhile.
    fn matches(
        &self,
        analysis: &Analysis,
        query: &Query,
        mut hits: Vec<(usize, Hit)>,
    ) -> Result<Vec<FoundMatch>, EngineError> {
        for _ in 0..RETRIES_MAX {
            if let Some(found) = self.read(&hits, analysis)? {
                return Ok(found);
            }
            hits = self.search(query)?;
        }
        Err(EngineError::changing())
    }

    /// Whether a search reads units from the store.
    fn reads_units(&self) -> bool {
        self.filter.reads_units() || self.chosen.iter().any(|chosen| chosen.rules.read_units())
    }

    /// Fails when the call was cancelled.
    fn check_cancelled(&self) -> Result<(), EngineError> {
        if self.cancel.is_cancelled() { Err(EngineError::Cancelled) } else { Ok(()) }
    }

    /// The analyzers of every chosen memory, since all have the same languages.
    fn analyzers(&self) -> &Analyzers {
        &self.chosen[0].memory.analyzers
    }

    fn query(&self, segment: &QuerySegment) -> Result<(Analysis, Query), EngineError> {
        let analysis = self.analyzers().source.analyze_segment(&segment.segment);
        self.check_cancelled()?;
        let tags = tag_signature(&segment.segment, &analysis);
        let key = Some(segment.context_id.as_str()).filter(|id| !id.is_empty()).map(id_hash);
        let query = Query::new(&analysis, tags, segment.context).at(key, &segment.document);
        Ok((analysis, query))
    }

    /// The hits of all memories, best first, with the index of their memory.
    fn search(&self, query: &Query) -> Result<Vec<(usize, Hit)>, EngineError> {
        let started = Instant::now();
        let cancelled = || self.cancel.is_cancelled();
        let mut hits = Vec::with_capacity(self.chosen.len());
        for chosen in &self.chosen {
            let Memory { key, index, .. } = chosen.memory.as_ref();
            let search = |filter: Filter<'_>, of_unit: Option<&UnitPenalties<'_>>| {
                let options = Options {
                    min_score: self.settings.min_score,
                    limit: self.settings.max_matches,
                    penalty: chosen.penalty.hundredths(),
                    state_penalty: chosen.state_penalty,
                    penalties: chosen.rules.for_search(of_unit),
                    context_mode: chosen.context_mode,
                    filter,
                    cancelled: &cancelled,
                };
                if self.settings.exhaustive {
                    index.scan(query, &options)
                } else {
                    index.search(query, &options)
                }
            };
            let of_unit = |content: &UnitContent| chosen.rules.of_unit(content);
            let of_unit: Option<&OfUnit<'_, _>> =
                if chosen.rules.read_units() { Some(&of_unit) } else { None };
            let store = self.engine.backend.store.as_ref();
            let found = search_filtered((store, *key), &self.filter, of_unit, search)?;
            hits.push(found.map_err(|_| EngineError::Cancelled)?);
        }
        let merged = merge(&hits, self.settings.max_matches);
        histogram!("dhakira_index_search_seconds").record(started.elapsed());
        Ok(merged)
    }

    /// Reads the units of hits; `None` when one of them has changed since the search.
    fn read(
        &self,
        hits: &[(usize, Hit)],
        query: &Analysis,
    ) -> Result<Option<Vec<FoundMatch>>, EngineError> {
        let mut units: BTreeMap<(usize, UnitId), Unit> = BTreeMap::new();
        for (number, chosen) in self.chosen.iter().enumerate() {
            let of_memory = hits.iter().filter(|(memory, _)| *memory == number);
            let ids: Vec<UnitId> = of_memory.map(|(_, hit)| hit.unit).collect();
            for some in ids.chunks(UNITS_PER_READ) {
                self.check_cancelled()?;
                for unit in
                    self.engine.backend.store.units(chosen.memory.key, some)?.into_iter().flatten()
                {
                    units.insert((number, unit.id), unit);
                }
            }
        }
        let mut found = Vec::with_capacity(hits.len());
        let compared = ComparedText::new(query);
        for (number, hit) in hits {
            // The time of change is set by clients, so only the revision is compared.
            let unit = units.remove(&(*number, hit.unit));
            let Some(unit) = unit.filter(|unit| short_revision(unit) == hit.revision) else {
                return Ok(None);
            };
            self.check_cancelled()?;
            let memory = &self.chosen[*number];
            let explained = self.explain(memory, (query, &compared), hit, &unit)?;
            found.push(FoundMatch {
                memory: memory.name.clone(),
                kind: hit.kind,
                score: hit.score,
                deductions: hit.deductions,
                edits: explained.edits,
                adapted: explained.adapted,
                spans_to_edit: explained.spans_to_edit,
                agreed_contexts: hit.agreed_contexts,
                unit,
            });
        }
        Ok(Some(found))
    }
}

impl Search<'_> {
    /// Compares a query with the unit of a hit; exact matches are equal.
    fn explain(
        &self,
        memory: &Chosen,
        query: (&Analysis, &ComparedText<'_>),
        hit: &Hit,
        unit: &Unit,
    ) -> Result<Explanation, EngineError> {
        let wanted = self.settings.explain;
        if hit.kind != MatchKind::Fuzzy || !wanted.needs_comparison() {
            return Ok(Explanation::default());
        }
        let memory = (memory.memory.as_ref(), self.analyzers());
        self.engine.explain(wanted, memory, query, unit, self.cancel)
    }
}

/// Units read from the store between two checks for cancellation.
const UNITS_PER_READ: usize = 16;
