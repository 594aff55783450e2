//! Links a word of a sentence to one of its translation.

use crate::text::Analysis;

/// Words that translate each other.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct WordLink {
    /// Number of the token in the source.
    pub source: usize,
    /// Number of the token in the target.
    pub target: usize,
    /// Confidence, from 0 to 1.
    pub confidence: f32,
}

/// A rule for links whose source is an Arabic text and whose target is an English one.
type Rule = fn(&Analysis, &Analysis, &mut Vec<WordLink>);

/// Applies a rule in both directions, because either text may be the Arabic one.
pub(crate) fn either_way(
    (source, target): (&Analysis, &Analysis),
    links: &mut Vec<WordLink>,
    rule: Rule,
) {
    let swap = |links: &mut [WordLink]| {
        for link in links {
            std::mem::swap(&mut link.source, &mut link.target);
        }
    };
    rule(source, target, links);
    swap(links);
    rule(target, source, links);
    swap(links);
}
