//! Works out how words and phrases were translated, from the word links of stored translations.

use std::collections::BTreeMap;
use std::ops::Range;

use schemars::JsonSchema;
use serde::Serialize;
use tokio::time::timeout;

use super::super::super::answer::Failure;
use super::super::super::matches::unit_name;
use super::super::super::session::{Choice, Session};
use super::phrases::Searched;
use crate::engine::AlignedWords;
use crate::limits::{MCP_LEXICON_WAIT, MCP_LINKED_BYTES_MAX};

/// A word or phrase of the segment, and its translations.
#[derive(Debug, Serialize, JsonSchema)]
pub(super) struct Term {
    term: String,
    /// The most frequent first.
    translations: Vec<Translation>,
}

#[derive(Debug, Serialize, JsonSchema)]
struct Translation {
    text: String,
    /// Stored translations that have it, of the few that were read.
    times: usize,
    /// Of the word links, 0 to 1.
    confidence: f32,
    /// The units that have it.
    units: Vec<String>,
}

/// Translations of one term that are shown.
const TRANSLATIONS_MAX: usize = 3;
/// Confidence of a word link from which it counts.
const CONFIDENCE_MIN: f32 = 0.3;
/// Bytes between two linked words of a target, up to which what is between them belongs to the translation: `of the`.
const BETWEEN_BYTES_MAX: usize = 8;

/// English words that Arabic often writes as parts of the next word.
const PARTICLES: [&str; 13] =
    ["the", "a", "an", "of", "and", "to", "in", "for", "with", "by", "from", "as", "at"];

/// A stored translation with its word links.
#[derive(Debug)]
pub(super) struct Linked(AlignedWords);

impl Linked {
    /// The ranges of the target that translate ranges of the source, in order.
    pub(super) fn targets(&self, sources: &[Range<usize>]) -> Vec<Range<usize>> {
        self.linked(sources).0
    }

    /// The same, and the mean confidence of their links.
    fn linked(&self, sources: &[Range<usize>]) -> (Vec<Range<usize>>, f32) {
        let links = self.0.links.iter();
        let fitting = links.filter(|link| {
            link.confidence >= CONFIDENCE_MIN
                && sources.iter().any(|it| it.start < link.source.end && link.source.start < it.end)
        });
        let mut links: Vec<_> = fitting.collect();
        links.sort_by_key(|link| link.target.start);
        #[expect(clippy::cast_precision_loss, reason = "a few links")]
        let confidence =
            links.iter().map(|it| it.confidence).sum::<f32>() / links.len().max(1) as f32;
        let mut targets: Vec<Range<usize>> = Vec::new();
        for link in links {
            match targets.last_mut() {
                Some(last) if link.target.start <= last.end + BETWEEN_BYTES_MAX => {
                    last.end = last.end.max(link.target.end);
                }
                _ => targets.push(link.target.clone()),
            }
        }
        (targets, confidence)
    }
}

/// Found units by their names.
pub(super) type LinkedUnits = BTreeMap<String, Linked>;

/// The found units with their word links, and whether the lexicons of the memories were too late.
pub(super) async fn linked(
    session: &mut Session,
    choice: &Choice,
    searched: &Searched,
) -> Result<(LinkedUnits, bool), Failure> {
    let mut texts = BTreeMap::new();
    for passage in searched.phrases.iter().flat_map(|found| &found.passages) {
        let content = &passage.unit.content;
        let (source, target) = (&content.source.text, &content.target.text);
        if source.len() + target.len() <= MCP_LINKED_BYTES_MAX {
            let name = unit_name(&passage.memory, passage.unit.id);
            texts.entry(name).or_insert_with(|| (source.clone(), target.clone()));
        }
    }
    if texts.is_empty() {
        return Ok((LinkedUnits::new(), false));
    }
    let pairs: Vec<_> = texts.values().cloned().collect();
    let langs = (&choice.source_lang, &choice.target_lang);
    let call = session.client.align_words(langs, &choice.memories, pairs.clone());
    let (aligned, is_late) = match timeout(MCP_LEXICON_WAIT, call).await {
        Ok(aligned) => (aligned?, false),
        Err(_) => (session.client.align_words(langs, &[], pairs).await?, true),
    };
    Ok((texts.into_keys().zip(aligned.into_iter().map(Linked)).collect(), is_late))
}

/// The terms among the phrases: those with linked translations.
pub(super) fn terms_of(searched: &Searched, linked: &LinkedUnits) -> Vec<Term> {
    let mut terms = Vec::new();
    for found in &searched.phrases {
        // By the text in lower case, under which the first form is shown.
        let mut by_text: BTreeMap<String, Translation> = BTreeMap::new();
        for passage in &found.passages {
            let unit = unit_name(&passage.memory, passage.unit.id);
            let Some(pair) = linked.get(&unit) else { continue };
            let (targets, confidence) = pair.linked(&passage.highlights);
            let target = &passage.unit.content.target.text;
            let parts: Vec<&str> = targets.iter().filter_map(|it| target.get(it.clone())).collect();
            let text = without_particles(&parts.join(" … ")).to_owned();
            if text.is_empty() {
                continue;
            }
            let translation = by_text.entry(text.to_lowercase()).or_insert_with(|| Translation {
                text,
                times: 0,
                confidence: 0.0,
                units: Vec::new(),
            });
            translation.times += 1;
            translation.confidence = translation.confidence.max(confidence);
            translation.units.push(unit);
        }
        let mut translations: Vec<Translation> = by_text.into_values().collect();
        translations
            .sort_by(|a, b| b.times.cmp(&a.times).then(b.confidence.total_cmp(&a.confidence)));
        translations.truncate(TRANSLATIONS_MAX);
        if !translations.is_empty() {
            terms.push(Term { term: found.phrase.clone(), translations });
        }
    }
    terms
}

/// A translation without the articles, prepositions and conjunctions before it, which belong to the sentence that it is from.
fn without_particles(mut text: &str) -> &str {
    while let Some((word, rest)) = text.split_once(' ') {
        if !PARTICLES.iter().any(|it| word.eq_ignore_ascii_case(it)) {
            break;
        }
        text = rest;
    }
    text
}

impl Term {
    pub(super) fn text(&self) -> String {
        let translations = self.translations.iter().map(|it| {
            let Translation { text, times, confidence, units } = it;
            let units: Vec<&str> =
                units.iter().map(|it| it.trim_start_matches("memories/")).collect();
            format!("\"{text}\" ({times}×, {confidence:.2}, {})", units.join(", "))
        });
        format!("- {}: {}\n", self.term, translations.collect::<Vec<_>>().join("; "))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn particles_before_a_term_do_not_count() {
        for (text, term) in [
            ("The external auditor", "external auditor"),
            ("of the board", "board"),
            ("of the", "the"),
            ("theatre", "theatre"),
        ] {
            assert_eq!(without_particles(text), term);
        }
    }
}
