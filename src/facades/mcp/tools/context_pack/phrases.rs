//! Finds the words and phrases of a segment that occur in memories.

use std::collections::BTreeMap;
use std::ops::Range;

use super::super::super::answer::Failure;
use super::super::super::session::{Choice, Session};
use crate::engine::{ConcordanceSettings, FoundMatch, FoundPassage, UnitFilter};
use crate::limits::{MCP_PACK_HITS, MCP_PACK_SEARCHES_MAX};
use crate::matching::{ConcordanceMode, EditKind, Side, WordForm};
use crate::text::{Analyzer, TokenKind};
use crate::unit::{Lang, Score};

/// A phrase of the segment, and some units in which it occurs.
pub(super) struct FoundPhrase {
    /// As it is in the segment.
    pub(super) phrase: String,
    pub(super) passages: Vec<FoundPassage>,
}

/// What was found.
#[derive(Default)]
pub(super) struct Searched {
    /// In the order of the segment.
    pub(super) phrases: Vec<FoundPhrase>,
    /// What was not searched for, and why.
    pub(super) note: Option<String>,
}

/// A word of the segment.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Word {
    span: Range<usize>,
    letters: usize,
    /// The best match does not have it.
    is_new: bool,
    /// Punctuation is before it, so that no phrase goes across.
    starts_phrase: bool,
}

/// Letters from which a word may begin and end a phrase; shorter ones are mostly particles.
const LETTERS_MIN: usize = 4;
/// Words of the longest phrase.
const PHRASE_WORDS_MAX: usize = 3;

/// Searches for phrases around the words that the best match lacks, and then for the others; longer words first. Of the phrases with a
/// word, the longest that occurs more than once is taken, or else the longest that occurs.
pub(super) async fn search_phrases(
    session: &mut Session,
    choice: &Choice,
    segment: &str,
    best: Option<&FoundMatch>,
) -> Result<Searched, Failure> {
    let mut searched = Searched::default();
    if best.is_some_and(|best| best.score == Score::FULL) {
        searched.note =
            Some("terms and concordance, because the best match has the same text".to_owned());
        return Ok(searched);
    }
    let words = words(segment, &choice.source_lang, best);
    let mut covered = vec![false; words.len()];
    let mut found: Vec<(usize, FoundPhrase)> = Vec::new();
    // Phrases that were searched for, and whether they were taken: a text may repeat them.
    let mut known: BTreeMap<&str, bool> = BTreeMap::new();
    let mut skipped = 0;
    for place in by_worth(&words) {
        let mut best: Option<(Range<usize>, FoundPhrase)> = None;
        for range in phrases_at(&words, place) {
            if covered[range.clone()].contains(&true) {
                continue;
            }
            let span = words[range.start].span.start..words[range.end - 1].span.end;
            let phrase = segment.get(span).unwrap_or_default();
            match known.get(phrase) {
                Some(true) => {
                    covered[range].fill(true);
                    break;
                }
                Some(false) => continue,
                None if known.len() == MCP_PACK_SEARCHES_MAX => {
                    skipped += usize::from(range.len() == 1 && best.is_none());
                    continue;
                }
                None => known.insert(phrase, false),
            };
            let (passages, is_common) = occurrences(session, choice, phrase).await?;
            // A single word that occurs everywhere is no evidence.
            if passages.is_empty() || (range.len() == 1 && is_common) {
                continue;
            }
            // A longer phrase that occurs once may be chance; a shorter one that occurs more often is better.
            let is_repeated = passages.len() > 1;
            if is_repeated || best.is_none() {
                best = Some((range, FoundPhrase { phrase: phrase.to_owned(), passages }));
            }
            if is_repeated {
                break;
            }
        }
        if let Some((range, phrase)) = best {
            covered[range.clone()].fill(true);
            if let Some(is_taken) = known.get_mut(phrase.phrase.as_str()) {
                *is_taken = true;
            }
            found.push((range.start, phrase));
        }
    }
    if skipped > 0 {
        searched.note = Some(format!(
            "{skipped} words that were not searched for (at most {MCP_PACK_SEARCHES_MAX} searches)"
        ));
    }
    found.sort_by_key(|(start, _)| *start);
    searched.phrases = found.into_iter().map(|(_, found)| found).collect();
    Ok(searched)
}

/// Some units that contain a phrase in any form, and whether there are more.
async fn occurrences(
    session: &mut Session,
    choice: &Choice,
    phrase: &str,
) -> Result<(Vec<FoundPassage>, bool), Failure> {
    let settings = ConcordanceSettings {
        memories: choice.memories.clone(),
        text: phrase.to_owned(),
        side: Side::Source,
        mode: ConcordanceMode::Phrase,
        word_form: WordForm::Class,
        filter: UnitFilter::default(),
    };
    let (passages, next) =
        session.client.concordance(&settings, MCP_PACK_HITS, String::new()).await?;
    Ok((passages, !next.is_empty()))
}

fn words(segment: &str, lang: &Lang, best: Option<&FoundMatch>) -> Vec<Word> {
    let analysis = Analyzer::new(lang).analyze(segment);
    let new: Option<Vec<&Range<usize>>> = best.map(|best| {
        let edits = best.edits.iter();
        let new = edits.filter(|it| matches!(it.kind, EditKind::Replaced | EditKind::Inserted));
        new.map(|edit| &edit.query).collect()
    });
    let mut words = Vec::new();
    let mut starts_phrase = true;
    for token in analysis.tokens() {
        if token.kind != TokenKind::Word {
            starts_phrase = true;
            continue;
        }
        let span = analysis.span(token);
        let overlaps = |it: &&Range<usize>| it.start < span.end && span.start < it.end;
        words.push(Word {
            letters: analysis.folded(token).chars().count(),
            is_new: new.as_ref().is_none_or(|new| new.iter().any(overlaps)),
            span,
            starts_phrase,
        });
        starts_phrase = false;
    }
    words
}

/// The places of the words that may begin a phrase: new ones first, then by length.
fn by_worth(words: &[Word]) -> Vec<usize> {
    let long = words.iter().enumerate().filter(|(_, word)| word.letters >= LETTERS_MIN);
    let mut places: Vec<usize> = long.map(|(place, _)| place).collect();
    places.sort_by_key(|&place| (!words[place].is_new, usize::MAX - words[place].letters));
    places
}

/// The phrases with a word, longest first, the word alone last; each begins and ends with a long word.
fn phrases_at(words: &[Word], place: usize) -> Vec<Range<usize>> {
    let mut phrases = Vec::new();
    for length in (1..=PHRASE_WORDS_MAX).rev() {
        for start in (place + 1).saturating_sub(length)..=place {
            let Some(phrase) = words.get(start..start + length) else { continue };
            let is_whole = phrase.iter().skip(1).all(|word| !word.starts_phrase);
            let is_long = |word: Option<&Word>| word.is_some_and(|it| it.letters >= LETTERS_MIN);
            if is_whole && is_long(phrase.first()) && is_long(phrase.last()) {
                phrases.push(start..start + length);
            }
        }
    }
    phrases
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn phrases_do_not_cross_punctuation_and_begin_and_end_with_long_words() {
        let segment = "اجتماع مجلس الأمن، في جنيف";
        let words = words(segment, &"ar".parse().unwrap(), None);
        assert_eq!(words.len(), 5);
        assert!(words[3].starts_phrase && words.iter().all(|it| it.is_new));
        let texts = |place| -> Vec<&str> {
            let phrases = phrases_at(&words, place).into_iter();
            phrases
                .map(|it| &segment[words[it.start].span.start..words[it.end - 1].span.end])
                .collect()
        };
        assert_eq!(texts(1), ["اجتماع مجلس الأمن", "اجتماع مجلس", "مجلس الأمن", "مجلس"]);
        assert_eq!(texts(4), ["جنيف"]);
    }

    #[test]
    fn longer_words_come_first() {
        let words = words("وزير الاقتصاد والتخطيط", &"ar".parse().unwrap(), None);
        // The second and the third are equally long.
        assert_eq!(by_worth(&words), [1, 2, 0]);
    }
}
