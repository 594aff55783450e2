//! Restricts a search by document, author and time of change: by name, and encoded.

use std::collections::BTreeSet;

use crate::unit::{Timestamp, UnitId};

use super::entry::RowFacts;
use super::vocabulary::Vocabulary;

/// Which units may be found; a field that is `None` admits all.
#[derive(Clone, Copy, Default)]
pub struct Filter<'a> {
    /// Only units of one of these documents.
    pub documents: Option<&'a BTreeSet<String>>,
    /// Only units of other documents than these.
    pub other_documents: Option<&'a BTreeSet<String>>,
    /// Only units by one of these authors.
    pub authors: Option<&'a BTreeSet<String>>,
    /// Only units by other authors than these.
    pub other_authors: Option<&'a BTreeSet<String>>,
    /// Only units changed at this moment or later.
    pub changed_from: Option<Timestamp>,
    /// Only units changed before this moment.
    pub changed_before: Option<Timestamp>,
    /// Only units that the caller accepts. Called last, only for units that would otherwise be returned.
    pub accept: Option<&'a (dyn Fn(UnitId) -> bool + Sync)>,
}

/// A [`Filter`] in the numbers of one vocabulary.
pub(crate) struct EncodedFilter<'a> {
    filter: Filter<'a>,
    documents: [Option<BTreeSet<u32>>; 2],
    authors: [Option<BTreeSet<u32>>; 2],
}

impl<'a> EncodedFilter<'a> {
    pub(crate) fn new(filter: Filter<'a>, vocabulary: &Vocabulary) -> Self {
        let numbers = |names: &BTreeSet<String>| {
            names.iter().filter_map(|name| vocabulary.find_text(name)).collect()
        };
        Self {
            filter,
            documents: [filter.documents, filter.other_documents].map(|it| it.map(numbers)),
            authors: [filter.authors, filter.other_authors].map(|it| it.map(numbers)),
        }
    }

    pub(crate) fn matches_facts(&self, facts: &RowFacts) -> bool {
        let among = |[names, others]: &[Option<BTreeSet<u32>>; 2], name| {
            names.as_ref().is_none_or(|names| names.contains(&name))
                && others.as_ref().is_none_or(|others| !others.contains(&name))
        };
        self.filter.changed_from.is_none_or(|from| facts.changed >= from)
            && self.filter.changed_before.is_none_or(|before| facts.changed < before)
            && among(&self.documents, facts.document)
            && among(&self.authors, facts.author)
    }

    pub(crate) fn accepts(&self, facts: &RowFacts) -> bool {
        self.filter.accept.is_none_or(|accept| accept(facts.unit))
    }
}
