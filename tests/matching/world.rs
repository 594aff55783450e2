//! Where do the tests' texts come from? Random segments of real shapes, and edited copies of them, from a seed.

use dhakira::matching::{ContentHash, Facts, Form, IndexEntry};
use dhakira::text::{Analysis, Analyzer};
use dhakira::unit::{Context, Timestamp, UnitId};

use super::naive::Side;

/// SplitMix64 (Steele, Lea and Flood 2014).
pub(crate) struct Rng(pub(crate) u64);

impl Rng {
    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    pub(crate) fn below(&mut self, limit: usize) -> usize {
        (self.next() % limit.max(1) as u64) as usize
    }

    pub(crate) fn chance(&mut self, percent: usize) -> bool {
        self.below(100) < percent
    }

    pub(crate) fn pick<'a, T>(&mut self, from: &'a [T]) -> &'a T {
        &from[self.below(from.len())]
    }
}

/// Words with what stands before each and after the last.
#[derive(Debug, Clone, Default)]
pub(super) struct Text {
    words: Vec<String>,
    gaps: Vec<String>,
    pub(super) tags: u64,
}

impl Text {
    pub(super) fn joined(&self) -> String {
        let mut text = String::new();
        for (gap, word) in self.gaps.iter().zip(&self.words) {
            text.push_str(gap);
            text.push_str(word);
        }
        text + self.gaps.last().map_or("", String::as_str)
    }
}

/// A stored unit as the tests know it.
#[derive(Debug, Clone)]
pub(super) struct Stored {
    pub(super) side: Side,
    pub(super) text: Text,
    pub(super) target: Analysis,
    pub(super) entry: IndexEntry,
}

/// Makes texts.
pub(super) struct World {
    pub(super) rng: Rng,
    analyzer: Analyzer,
    families: Vec<Vec<&'static str>>,
    gaps: Vec<String>,
}

fn lines(data: &'static str) -> impl Iterator<Item = &'static str> {
    data.lines().filter(|line| !line.starts_with('#') && !line.is_empty())
}

impl World {
    pub(super) fn new(seed: u64) -> Self {
        let words = include_str!("../data/matching/words.txt");
        let gaps = include_str!("../data/matching/gaps.txt");
        Self {
            rng: Rng(seed),
            analyzer: Analyzer::new(&"ar".parse().unwrap()),
            families: lines(words)
                .map(|line| line.split(if line.contains('\t') { '\t' } else { ' ' }).collect())
                .collect(),
            gaps: lines(gaps).map(|line| serde_json::from_str(line).unwrap()).collect(),
        }
    }

    fn word(&mut self) -> String {
        // Some words are far more frequent than others.
        let mut family = self.rng.below(self.families.len());
        if self.rng.chance(50) {
            family = family * family / self.families.len();
        }
        (*self.rng.pick(&self.families[family])).to_owned()
    }

    fn gap(&mut self) -> String {
        if self.rng.chance(85) { " ".to_owned() } else { self.rng.pick(&self.gaps).clone() }
    }

    /// A new text of so many words.
    pub(super) fn text(&mut self, words: usize) -> Text {
        let mut text = Text { gaps: vec![String::new()], ..Text::default() };
        for number in 0..words {
            text.words.push(self.word());
            let end = if self.rng.chance(40) { "." } else { "" };
            text.gaps.push(if number + 1 == words { end.to_owned() } else { self.gap() });
        }
        if words == 0 {
            text.gaps[0] = (*self.rng.pick(&["", ".", "...", "\u{061F}", " - "])).to_owned();
        }
        text.tags = if self.rng.chance(90) { 0 } else { self.rng.next() % 3 };
        text
    }

    /// A copy with up to so many changes of words, gaps or tags.
    pub(super) fn edited(&mut self, text: &Text, changes: usize) -> Text {
        let mut text = text.clone();
        for _ in 0..self.rng.below(changes + 1) {
            let place = self.rng.below(text.words.len() + 1);
            match self.rng.below(6) {
                0 | 1 if place < text.words.len() => text.words[place] = self.word(),
                2 if place < text.words.len() => {
                    text.words.remove(place);
                    text.gaps.remove(if place == 0 && text.gaps.len() > 2 { 1 } else { place });
                }
                3 => {
                    let (word, gap) = (self.word(), self.gap());
                    text.words.insert(place, word);
                    text.gaps.insert(place.max(1).min(text.gaps.len()), gap);
                }
                4 if place > 0 => text.gaps[place] = self.gap(),
                _ => text.tags = self.rng.next() % 3,
            }
        }
        text
    }

    /// Neighbours out of few, so that they meet again.
    pub(super) fn context(&mut self) -> Context {
        let mut one = || Some(self.rng.next() % 3).filter(|&hash| hash > 0);
        Context { previous: one(), next: one(), ..Context::default() }
    }

    pub(super) fn side(&mut self, text: &Text) -> Side {
        let context = self.context();
        Side { analysis: self.analyzer.analyze(&text.joined()), tags: text.tags, context }
    }

    pub(super) fn analyze(&self, text: &str) -> Analysis {
        self.analyzer.analyze(text)
    }

    pub(super) fn stored(&mut self, unit: UnitId, text: Text) -> Stored {
        let side = self.side(&text);
        let facts = Facts {
            source_hash: source_hash(&side),
            // Few targets and keys, so that pairs meet again in other contexts.
            content_hash: ContentHash::new(
                (self.rng.next() % 3) << 40,
                Some(self.rng.next()).filter(|hash| hash % 3 > 0),
            ),
            context: side.context,
            changed: Timestamp { micros: self.rng.below(4) as i64 },
            document: format!("d{}", self.rng.below(4)),
            author: format!("a{}", self.rng.below(3)),
            revision: unit.0 as u32,
            unfinished: self.rng.chance(10),
        };
        let words = self.rng.below(9);
        let target = self.text(words).joined();
        let target = self.analyzer.analyze(&target);
        let entry = IndexEntry {
            unit,
            form: Form::new(&side.analysis, text.tags),
            target: Form::words_of(&target),
            facts,
        };
        Stored { side, text, target, entry }
    }
}

/// What an engine would hand over: equal canonical texts and tags, equal hashes.
pub(super) fn source_hash(side: &Side) -> u64 {
    xxhash_rust::xxh3::xxh3_64_with_seed(side.analysis.canonical().as_bytes(), side.tags)
}
