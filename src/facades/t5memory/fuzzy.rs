//! `fuzzysearch`: the matches of a segment, with the match rates that translate5 knows.

use std::cmp::Reverse;
use std::ops::Range;

use serde::Serialize;
use serde_json::{Value, json};

use crate::client::MemoryInfo;
use crate::engine::{Explain, FoundMatch, QuerySegment};
use crate::matching::{ContextPart, Edit, MatchKind};
use crate::text::{Analysis, Analyzer};
use crate::unit::{Score, Segment};

use super::super::memories::lookup;
use super::super::settings::FacadeSettings;
use super::super::visit::Visit;
use super::entry::Entry;
use super::fault::Fault;
use super::fields::Fields;
use super::tags;

/// Most matches, as t5memory has it, and how many it gives unasked.
const PROPOSALS_MAX: u64 = 20;
const PROPOSALS_DEFAULT: u64 = 5;

/// A match.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Proposal {
    #[serde(flatten)]
    entry: Entry,
    match_type: &'static str,
    match_rate: u16,
    /// Words of the query; -1 when the match is exact.
    fuzzy_words: i64,
    /// Of those, and of the words of the match, the ones that differ; -1 when it is exact.
    fuzzy_diffs: i64,
}

/// The type of a match, and its rate.
fn rate(found: &FoundMatch) -> (&'static str, u16) {
    let is_exact = found.kind != MatchKind::Fuzzy && found.score == Score::FULL;
    if !is_exact {
        // What lost points by a penalty is no exact match to these clients.
        return ("Fuzzy", (found.score.hundredths() / 100).min(99));
    }
    let in_document = found.agreed_contexts.contains(ContextPart::Document);
    let in_context = matches!(found.kind, MatchKind::Context | MatchKind::DoubleContext);
    match (in_document, in_context) {
        (true, true) => ("ExactExact", 102),
        (true, false) => ("ExactSameDoc", 101),
        (false, _) => ("Exact", 100),
    }
}

pub(super) async fn search(
    visit: &mut Visit,
    settings: &FacadeSettings,
    memory: MemoryInfo,
) -> Result<Value, Fault> {
    let fields = Fields::of(visit).await?;
    let segment = tags::read("source", fields.required("source")?)?;
    fields.required("sourceLang")?;
    fields.required("targetLang")?;
    let (source_lang, target_lang) = (fields.lang("sourceLang")?, fields.lang("targetLang")?);
    let wanted = match fields.number("numOfProposals")?.unwrap_or(0) {
        0 => PROPOSALS_DEFAULT,
        more if more > PROPOSALS_MAX => {
            let what = format!("the field numOfProposals is {more}; at most {PROPOSALS_MAX}");
            return Err(Fault::bad_request(&what));
        }
        wanted => wanted,
    };
    let is_of_pair = source_lang.is_none_or(|lang| memory.source_lang.accepts(&lang))
        && target_lang.is_none_or(|lang| memory.target_lang.accepts(&lang));
    let query = QuerySegment {
        segment: segment.clone(),
        context_id: fields.text("context").to_owned(),
        document: fields.text("documentName").to_owned(),
        ..QuerySegment::default()
    };
    let memories = if is_of_pair { vec![memory.clone()] } else { Vec::new() };
    let found = lookup(&mut visit.client, settings, &memories, &query, |lookup| {
        lookup.max_matches = usize::try_from(wanted).unwrap_or_default();
        lookup.explain = Explain { edits: true, adapted: false, spans_to_edit: false };
    });
    let mut found = match found.await.map_err(Fault::from) {
        // A text that no memory can hold has no translation.
        Err(fault) if fault.is_invalid_argument() => Vec::new(),
        found => found?,
    };
    // The document changes the order among exact matches; others keep theirs.
    found.sort_by_key(|it| Reverse(rate(it).1));
    let words = Words::new(&memory);
    let proposals: Vec<Proposal> =
        found.into_iter().map(|it| proposal(&memory, &segment, &words, it)).collect();
    Ok(json!({
        "ReturnValue": 0,
        "ErrorMsg": "",
        "NumOfFoundProposals": proposals.len(),
        "results": proposals,
    }))
}

fn proposal(memory: &MemoryInfo, query: &Segment, words: &Words, found: FoundMatch) -> Proposal {
    let (match_type, match_rate) = rate(&found);
    let (fuzzy_words, fuzzy_diffs) = match match_type {
        "Fuzzy" => words.counts(query, &found.unit.content.source, &found.edits),
        _ => (-1, -1),
    };
    let content = &found.unit.content;
    let texts = tags::write_for(query, &content.source, &content.target);
    let entry = Entry::with_texts(memory, found.unit, texts);
    Proposal { entry, match_type, match_rate, fuzzy_words, fuzzy_diffs }
}

/// Counts the words of texts, as scores count them.
struct Words(Analyzer);

impl Words {
    fn new(memory: &MemoryInfo) -> Self {
        Self(Analyzer::new(&memory.source_lang))
    }

    /// The words of a query, and how many of them or of the stored text differ.
    fn counts(&self, query: &Segment, source: &Segment, edits: &[Edit]) -> (i64, i64) {
        let [query, source] = [query, source].map(|it| self.0.analyze_segment(it));
        let differing =
            edits.iter().map(|edit| inside(&query, &edit.query).max(inside(&source, &edit.source)));
        let all = query.words().count();
        let signed = |count: usize| i64::try_from(count).unwrap_or(i64::MAX);
        (signed(all), signed(differing.sum()))
    }
}

/// How many words are at least in part within a span.
fn inside(text: &Analysis, span: &Range<usize>) -> usize {
    let spans = text.words().map(|word| text.span(word));
    spans.filter(|word| word.start < span.end && span.start < word.end).count()
}
