//! Filters units by document, author, dates, attributes and text.
//!
//! [`PreparedFilter::accepts`] is the truth about a unit. Searches decide as much as they can by what the index knows, and read only
//! units that would otherwise be returned.

use std::borrow::Cow;
use std::collections::BTreeSet;
use std::sync::{Mutex, PoisonError};

use crate::limits::{FILTER_ATTRIBUTES_MAX, FILTER_NAMES_MAX};
use crate::matching::{ConcordanceMode, Expression, Filter, Side, WordForm};
use crate::store::{MemoryKey, Store, StoreError};
use crate::text::Analyzer;
use crate::unit::{Timestamp, Unit, UnitContent, UnitId};

use super::words::{check_words, no_word};
use crate::engine::error::EngineError;
use crate::engine::replica::encoding::Analyzers;

/// Conditions on a unit; empty ones accept every unit.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct UnitFilter {
    /// On its document.
    pub document: NameCondition,
    /// On its author.
    pub author: NameCondition,
    /// On the time of its last change.
    pub changed: TimeRange,
    /// On the time of its creation.
    pub created: TimeRange,
    /// On its attributes; all must be met.
    pub attributes: Vec<AttributeCondition>,
    /// On its source.
    pub source: TextCondition,
    /// On its target.
    pub target: TextCondition,
}

/// A condition on a name; the empty name is that of units without one.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct NameCondition {
    /// It is one of these, unless there are none.
    pub any_of: BTreeSet<String>,
    /// It is none of these.
    pub none_of: BTreeSet<String>,
}

/// A range of times.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct TimeRange {
    /// At this time or later.
    pub from: Option<Timestamp>,
    /// Before this time.
    pub before: Option<Timestamp>,
}

/// A condition on an attribute.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct AttributeCondition {
    /// Name of the attribute.
    pub name: String,
    /// What its value must be.
    pub value: AttributeValue,
}

/// A condition on the value of an attribute.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum AttributeValue {
    /// The unit has the attribute.
    #[default]
    Any,
    /// The unit does not have the attribute.
    Absent,
    /// The unit has the attribute with one of `any_of`, unless that is empty, and with none of `none_of`. Without `any_of`, the unit
    /// need not have it.
    Values(NameCondition),
}

/// A condition on a text. Words are equal as in a concordance by folded forms: marks, letter variants, case and digit script do not
/// matter.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TextCondition {
    /// Every word of this occurs in it, anywhere; empty for any text.
    pub contains: String,
    /// Not every word of this occurs in it; empty for any text.
    pub excludes: String,
}

impl NameCondition {
    /// The condition that a name is one of some.
    pub fn any_of(names: impl IntoIterator<Item = impl Into<String>>) -> Self {
        Self { any_of: names.into_iter().map(Into::into).collect(), none_of: BTreeSet::new() }
    }

    fn accepts(&self, name: &str) -> bool {
        (self.any_of.is_empty() || self.any_of.contains(name)) && !self.none_of.contains(name)
    }

    fn len(&self) -> usize {
        self.any_of.len() + self.none_of.len()
    }
}

impl TimeRange {
    fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    fn accepts(&self, time: Timestamp) -> bool {
        self.from.is_none_or(|from| time >= from) && self.before.is_none_or(|before| time < before)
    }
}

impl AttributeCondition {
    fn accepts(&self, content: &UnitContent) -> bool {
        let stored = content.attributes.get(&self.name);
        match &self.value {
            AttributeValue::Any => stored.is_some(),
            AttributeValue::Absent => stored.is_none(),
            AttributeValue::Values(values) => {
                stored.map_or(values.any_of.is_empty(), |value| values.accepts(value))
            }
        }
    }
}

impl UnitFilter {
    /// Whether it accepts every unit.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// Prepares the filter for units whose texts these analyzers analyse.
    ///
    /// # Errors
    /// A text without a word, or with too many; too many conditions. `field` is the name of the filter in the request.
    pub(crate) fn prepare(
        &self,
        analyzers: &Analyzers,
        field: &str,
    ) -> Result<PreparedFilter<'_>, EngineError> {
        Ok(PreparedFilter { sides: self.texts(analyzers, field)?, filter: Cow::Borrowed(self) })
    }

    /// [`prepare`](Self::prepare) for longer than the filter lives.
    pub(crate) fn into_prepared(
        self,
        analyzers: &Analyzers,
        field: &str,
    ) -> Result<PreparedFilter<'static>, EngineError> {
        Ok(PreparedFilter { sides: self.texts(analyzers, field)?, filter: Cow::Owned(self) })
    }

    fn texts(&self, analyzers: &Analyzers, field: &str) -> Result<Vec<SideCheck>, EngineError> {
        self.check_size(field)?;
        let mut sides = Vec::new();
        for (side, name, condition, analyzer) in [
            (Side::Source, "source", &self.source, &analyzers.source),
            (Side::Target, "target", &self.target, &analyzers.target),
        ] {
            let mut texts = Vec::new();
            for (what, text, occurs) in
                [("contains", &condition.contains, true), ("excludes", &condition.excludes, false)]
            {
                if text.is_empty() {
                    continue;
                }
                let analysis = analyzer.analyze(text);
                let mode = ConcordanceMode::Words;
                let field = || format!("{field}.{name}.{what}");
                let expression = Expression::new(&analysis, side, mode, WordForm::Folded);
                let expression = expression.ok_or_else(|| no_word(field()))?;
                check_words(&field(), &expression)?;
                texts.push(TextCheck { expression, occurs });
            }
            if !texts.is_empty() {
                sides.push(SideCheck { side, analyzer: analyzer.clone(), texts });
            }
        }
        Ok(sides)
    }

    fn check_size(&self, field: &str) -> Result<(), EngineError> {
        if self.attributes.len() > FILTER_ATTRIBUTES_MAX {
            let what = format!(
                "{} conditions on attributes; at most {FILTER_ATTRIBUTES_MAX}",
                self.attributes.len()
            );
            return Err(EngineError::invalid(format!("{field}.attributes"), what));
        }
        let values = |condition: &AttributeCondition| match &condition.value {
            AttributeValue::Any | AttributeValue::Absent => 0,
            AttributeValue::Values(values) => values.len(),
        };
        let names = self.document.len()
            + self.author.len()
            + self.attributes.iter().map(values).sum::<usize>();
        if names > FILTER_NAMES_MAX {
            let what = format!(
                "{names} documents, authors and values of attributes; at most {FILTER_NAMES_MAX}"
            );
            return Err(EngineError::invalid(field, what));
        }
        Ok(())
    }

    /// Whether a unit meets the conditions that the index does not know.
    fn accepts_rest(&self, content: &UnitContent) -> bool {
        self.created.accepts(content.created.unwrap_or_default())
            && self.attributes.iter().all(|condition| condition.accepts(content))
    }
}

/// The conditions on the text of one side, which is analysed once for all of them.
#[derive(Debug, Clone)]
struct SideCheck {
    side: Side,
    analyzer: Analyzer,
    texts: Vec<TextCheck>,
}

/// A condition on a text, with its words.
#[derive(Debug, Clone)]
struct TextCheck {
    expression: Expression,
    /// Whether all words must occur, or not all may.
    occurs: bool,
}

/// A filter with the words of its texts.
#[derive(Debug, Clone)]
pub(crate) struct PreparedFilter<'a> {
    filter: Cow<'a, UnitFilter>,
    sides: Vec<SideCheck>,
}

impl PreparedFilter<'_> {
    /// Whether a unit meets all conditions.
    pub(crate) fn accepts(&self, unit: &Unit) -> bool {
        let content = &unit.content;
        self.filter.document.accepts(&content.document)
            && self.filter.author.accepts(&content.author)
            && self.filter.changed.accepts(content.changed.unwrap_or_default())
            && self.accepts_rest(content)
    }

    /// Whether a unit meets the conditions that the index does not know.
    fn accepts_rest(&self, content: &UnitContent) -> bool {
        let accepts = |check: &SideCheck| {
            let analysis = check.analyzer.analyze_segment(match check.side {
                Side::Source => &content.source,
                Side::Target => &content.target,
            });
            check.texts.iter().all(|text| text.expression.occurs_in(&analysis) == text.occurs)
        };
        self.filter.accepts_rest(content) && self.sides.iter().all(accepts)
    }

    /// Whether some conditions can be decided only with the unit itself.
    pub(crate) fn reads_units(&self) -> bool {
        let UnitFilter { created, attributes, .. } = self.filter.as_ref();
        !created.is_empty() || !attributes.is_empty() || !self.sides.is_empty()
    }

    /// The texts that must occur, which an index finds.
    pub(crate) fn required_texts(&self) -> impl Iterator<Item = &Expression> {
        let texts = self.sides.iter().flat_map(|check| &check.texts);
        texts.filter(|text| text.occurs).map(|text| &text.expression)
    }

    /// The conditions that an index decides by itself.
    fn of_index(&self) -> Filter<'_> {
        fn some(names: &BTreeSet<String>) -> Option<&BTreeSet<String>> {
            Some(names).filter(|names| !names.is_empty())
        }
        let UnitFilter { document, author, changed, .. } = self.filter.as_ref();
        Filter {
            documents: some(&document.any_of),
            other_documents: some(&document.none_of),
            authors: some(&author.any_of),
            other_authors: some(&author.none_of),
            changed_from: changed.from,
            changed_before: changed.before,
            accept: None,
        }
    }
}

/// Computes something from a unit.
pub(crate) type OfUnit<'a, T> = dyn Fn(&UnitContent) -> T + Sync + 'a;

/// The same from its number; `None` when the unit must not be found.
pub(crate) type OfUnitId<'a, T> = dyn Fn(UnitId) -> Option<T> + Sync + 'a;

/// Runs a search of a memory with a filter. Its callbacks read units from the store, only for units that would otherwise be returned:
/// the one in the filter accepts units; the second argument of `search`, present if `of_unit` is, accepts them and computes that, so
/// that each unit is read once.
///
/// # Errors
/// The store's.
pub(crate) fn search_filtered<T, U>(
    (store, memory): (&dyn Store, MemoryKey),
    filter: &PreparedFilter<'_>,
    of_unit: Option<&OfUnit<'_, T>>,
    search: impl FnOnce(Filter<'_>, Option<&OfUnitId<'_, T>>) -> U,
) -> Result<U, StoreError> {
    let of_index = filter.of_index();
    if of_unit.is_none() && !filter.reads_units() {
        return Ok(search(of_index, None));
    }
    let failure = Mutex::new(None);
    let read = |unit: UnitId| match store.units(memory, &[unit]) {
        Ok(units) => units.into_iter().flatten().next(),
        Err(error) => {
            failure.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(error);
            None
        }
    };
    let accepted = |unit: UnitId| read(unit).filter(|unit| filter.accepts_rest(&unit.content));
    let found = match of_unit {
        Some(of_unit) => {
            search(of_index, Some(&|unit| accepted(unit).map(|unit| of_unit(&unit.content))))
        }
        None => search(Filter { accept: Some(&|unit| accepted(unit).is_some()), ..of_index }, None),
    };
    match failure.into_inner().unwrap_or_else(PoisonError::into_inner) {
        Some(error) => Err(error),
        None => Ok(found),
    }
}
