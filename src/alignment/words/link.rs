//! Links a word of a sentence to one of its translation.

use crate::text::Analysis;

/// Words that stand for each other.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct WordLink {
    /// Number of the token in the source.
    pub source: usize,
    /// Number of the token in the target.
    pub target: usize,
    /// How sure it is, from 0 to 1.
    pub confidence: f32,
}

/// A rule for the links of an Arabic text, their source here, and an English one.
type Rule = fn(&Analysis, &Analysis, &mut Vec<WordLink>);

/// Applies a rule whichever of two texts is the Arabic one.
pub(crate) fn either_way(
    (source, target): (&Analysis, &Analysis),
    links: &mut Vec<WordLink>,
    rule: Rule,
) {
    let turn = |links: &mut [WordLink]| {
        for link in links {
            std::mem::swap(&mut link.source, &mut link.target);
        }
    };
    rule(source, target, links);
    turn(links);
    rule(target, source, links);
    turn(links);
}
