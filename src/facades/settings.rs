//! Defines how the facades use the memories.

use crate::engine::{Explain, LookupSettings, MemoryChoice, UnitFilter};
use crate::limits::LOOKUP_MATCHES_DEFAULT;
use crate::unit::{MemoryName, PenaltyRule, Score};

/// How one facade uses the memories.
#[derive(Debug, Clone)]
pub struct FacadeSettings {
    /// Whether it answers.
    pub enabled: bool,
    /// The memories that it serves, the best first; every memory that the caller may read when empty.
    pub memories: Vec<MemoryChoice>,
    /// The least score that it gives, whatever a client asks for.
    pub min_score: Score,
    /// Rules by which matches lose points, in addition to those of the memories.
    pub penalty_rules: Vec<PenaltyRule>,
    /// Whether it stores what clients send.
    pub writes: bool,
}

impl FacadeSettings {
    fn with_min_score(hundredths: u32) -> Self {
        Self {
            enabled: true,
            memories: Vec::new(),
            min_score: Score::from_hundredths(hundredths).unwrap_or_default(),
            penalty_rules: Vec::new(),
            writes: false,
        }
    }

    /// Whether it serves a memory.
    pub(super) fn serves(&self, memory: &MemoryName) -> bool {
        self.memories.is_empty() || self.memories.iter().any(|it| it.memory == *memory)
    }

    /// Sets the penalty of a memory that it serves.
    pub(super) fn set_penalty(&mut self, memory: MemoryName, penalty: Score) {
        let penalty = Some(penalty);
        match self.memories.iter_mut().find(|it| it.memory == memory) {
            Some(choice) => choice.penalty = penalty,
            None => self.memories.push(MemoryChoice { memory, penalty }),
        }
    }

    /// The points that matches of a memory lose; `None` for the default of the memory.
    pub(super) fn penalty(&self, memory: &MemoryName) -> Option<Score> {
        self.memories.iter().find(|it| it.memory == *memory)?.penalty
    }

    /// How to look up in memories that it serves.
    pub(super) fn lookup(&self, memories: Vec<MemoryChoice>) -> LookupSettings {
        LookupSettings {
            memories,
            min_score: self.min_score,
            max_matches: LOOKUP_MATCHES_DEFAULT,
            exhaustive: false,
            filter: UnitFilter::default(),
            penalty_rules: self.penalty_rules.clone(),
            explain: Explain { edits: false, adapted: false, spans_to_edit: false },
        }
    }
}

/// How the facades use the memories.
#[derive(Debug, Clone)]
pub struct FacadeTable {
    /// tmserver and amaGama.
    pub tmserver: FacadeSettings,
    /// MyMemory.
    pub mymemory: FacadeSettings,
    /// The memories that keys of MyMemory stand for; another key names the memory itself.
    pub mymemory_keys: Vec<(String, MemoryName)>,
    /// t5memory.
    pub t5memory: FacadeSettings,
    /// The Model Context Protocol.
    pub mcp: FacadeSettings,
}

/// 70 %, the least that amaGama gives.
const TMSERVER_MIN_HUNDREDTHS: u32 = 7_000;
/// 50 %, what MyMemory's clients show.
const MYMEMORY_MIN_HUNDREDTHS: u32 = 5_000;
/// 60 %, the threshold of translate5.
const T5MEMORY_MIN_HUNDREDTHS: u32 = 6_000;

impl Default for FacadeTable {
    /// All of them, read only.
    fn default() -> Self {
        Self {
            tmserver: FacadeSettings::with_min_score(TMSERVER_MIN_HUNDREDTHS),
            mymemory: FacadeSettings::with_min_score(MYMEMORY_MIN_HUNDREDTHS),
            mymemory_keys: Vec::new(),
            t5memory: FacadeSettings::with_min_score(T5MEMORY_MIN_HUNDREDTHS),
            mcp: FacadeSettings::with_min_score(0),
        }
    }
}

impl FacadeTable {
    /// The names of the facades that are on.
    pub fn enabled(&self) -> impl Iterator<Item = &'static str> {
        let all = [
            ("tmserver", &self.tmserver),
            ("MyMemory", &self.mymemory),
            ("t5memory", &self.t5memory),
            ("MCP", &self.mcp),
        ];
        all.into_iter().filter(|(_, facade)| facade.enabled).map(|(name, _)| name)
    }

    /// Whether one of them is on.
    pub fn is_any_enabled(&self) -> bool {
        self.enabled().next().is_some()
    }
}
