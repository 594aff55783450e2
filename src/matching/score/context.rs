//! Compares the context of a query with that of a stored segment with the same text, and decides the kind of match.
//!
//! Two contexts count: the text flow (the neighbours) and the context id. The rules are memoQ's ("Double context
//! matches" in its documentation).

use crate::matching::encode::{ContentHash, Neighbours, RowFacts, Vocabulary};
use crate::unit::ContextMode;

use super::context_parts::{AgreedContexts, ContextPart};
use super::hit::MatchKind;
use super::query::Query;

/// How one of the two contexts compares.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Agreement {
    /// Both sides know it, and it is the same.
    Agrees,
    /// Neither side knows it.
    Missing,
    /// It is another one, or only one side knows it.
    Differs,
}

/// The context of a query in the numbers of one memory.
pub(crate) struct QueryContext {
    sources: Neighbours,
    targets: Neighbours,
    /// Hash of the context id; 0 for none.
    key: u32,
    /// `None` when it is unknown, or no stored segment has it.
    document: Option<u32>,
    mode: ContextMode,
}

impl QueryContext {
    pub(crate) fn new(query: &Query, mode: ContextMode, vocabulary: &Vocabulary) -> Self {
        let document = Some(query.document.as_str()).filter(|name| !name.is_empty());
        Self {
            sources: Neighbours::sources(query.context),
            targets: Neighbours::targets(query.context),
            key: ContentHash::new(0, query.context_key).key(),
            document: document.and_then(|name| vocabulary.find_text(name)),
            mode,
        }
    }

    /// The kind of a match with the same text, and the parts of the context that agree.
    pub(crate) fn compare(&self, facts: &RowFacts) -> (MatchKind, AgreedContexts) {
        let (stored_key, stored) = (facts.content_hash.key(), facts.neighbours);
        let sources = [(self.sources.previous, stored.previous), (self.sources.next, stored.next)];
        let stored = facts.target_neighbours;
        let targets = [(self.targets.previous, stored.previous), (self.targets.next, stored.next)];
        let same = |(asked, stored): (u32, u32)| asked != 0 && asked == stored;
        let agreed = [
            (ContextPart::PreviousSource, same(sources[0])),
            (ContextPart::NextSource, same(sources[1])),
            (ContextPart::PreviousTarget, same(targets[0])),
            (ContextPart::NextTarget, same(targets[1])),
            (ContextPart::ContextId, same((self.key, stored_key))),
            (ContextPart::Document, self.document == Some(facts.document)),
        ];
        let agreed = agreed.into_iter().filter(|(_, agrees)| *agrees).map(|(part, _)| part);
        let id = match (self.key, stored_key) {
            (0, 0) => Agreement::Missing,
            pair if same(pair) => Agreement::Agrees,
            _ => Agreement::Differs,
        };
        (kind(flow(sources, targets), id, self.mode), agreed.collect())
    }
}

/// Compares the text flow, given as pairs (of the query, stored), 0 for unknown. A source that the query knows must be
/// the stored one, a target that both know must be the same, and one of all must agree.
fn flow(sources: [(u32, u32); 2], targets: [(u32, u32); 2]) -> Agreement {
    let other_source = |(asked, stored)| asked != 0 && asked != stored;
    let other_target = |(asked, stored)| asked != 0 && stored != 0 && asked != stored;
    if sources.into_iter().any(other_source) || targets.into_iter().any(other_target) {
        Agreement::Differs
    } else if sources
        .into_iter()
        .chain(targets)
        .any(|(asked, stored)| asked != 0 && asked == stored)
    {
        Agreement::Agrees
    } else if sources == [(0, 0); 2] {
        Agreement::Missing
    } else {
        Agreement::Differs
    }
}

fn kind(flow: Agreement, id: Agreement, mode: ContextMode) -> MatchKind {
    use Agreement::{Agrees, Missing};
    match (flow, id) {
        (Agrees, Agrees) => MatchKind::DoubleContext,
        (Agrees, Missing) | (Missing, Agrees) if mode == ContextMode::Double => {
            MatchKind::DoubleContext
        }
        (Agrees, _) | (_, Agrees) => MatchKind::Context,
        _ => MatchKind::Exact,
    }
}
