//! Links English pronouns to the Arabic words that express them: the form of a verb says "we", the ending of a noun "their".
//!
//! Only pronouns without a link get one, and only from a neighbour whose counterpart is in Arabic letters, so that other
//! languages are unaffected. The table is `data/pronouns.tsv`.

use std::collections::HashMap;
use std::sync::LazyLock;

use foldhash::fast::FixedState;

use crate::alignment::features::PRONOUNS;
use crate::text::{Analysis, TokenKind, is_arabic_letter};

use super::link::WordLink;

const TABLE: &str = include_str!("../data/pronouns.tsv");
/// Share of the confidence of a neighbour's link that a pronoun inherits: about how often it is right. Fitted on the pairs with
/// even numbers of `tests/data/alignment/links.gold`.
const CONFIDENCE_KEPT: f32 = 0.6;
/// Most words between a pronoun and the word it belongs to.
const BETWEEN_MAX: usize = 3;

#[derive(Debug, Clone, Copy, Default)]
struct Roles {
    subject: bool,
    possessive: bool,
    /// An object: the word on the left may express it.
    object: bool,
}

impl Roles {
    fn read(roles: &str) -> Self {
        let is = |wanted: &str| roles.split(',').any(|role| role == wanted);
        Self { subject: is("subject"), possessive: is("possessive"), object: is("object") }
    }

    /// Whether the word on the right comes first.
    fn right(self) -> bool {
        self.subject || self.possessive
    }

    fn is_pronoun(self) -> bool {
        self.right() || self.object
    }
}

static ROLES: LazyLock<HashMap<&str, Roles, FixedState>> = LazyLock::new(|| {
    let lines = TABLE.lines().filter(|line| !line.starts_with('#'));
    lines
        .filter_map(|line| line.split_once('\t'))
        .map(|(word, roles)| (word, Roles::read(roles)))
        .collect()
});

/// Links English pronouns without a link to the counterparts of their neighbours.
pub(crate) fn attach(arabic: &Analysis, english: &Analysis, links: &mut Vec<WordLink>) {
    let mut of_word = vec![Vec::new(); english.tokens().len()];
    for link in links.iter() {
        of_word[link.target].push((link.source, link.confidence));
    }
    let words = Words { english, arabic, of_word };
    let without_link = (0..words.of_word.len()).filter(|&at| words.of_word[at].is_empty());
    for at in without_link {
        let Some(of_pronoun) = words.roles(at).filter(|it| it.is_pronoun()) else { continue };
        let Some(neighbour) = words.neighbour(at, of_pronoun) else { continue };
        for &(word, confidence) in &words.of_word[neighbour] {
            if words.arabic_word(word).chars().any(is_arabic_letter) {
                let confidence = confidence * CONFIDENCE_KEPT;
                links.push(WordLink { source: word, target: at, confidence });
            }
        }
    }
}

/// Two texts, and for each English token its links with their confidence.
struct Words<'a> {
    english: &'a Analysis,
    arabic: &'a Analysis,
    of_word: Vec<Vec<(usize, f32)>>,
}

impl Words<'_> {
    fn roles(&self, at: usize) -> Option<Roles> {
        ROLES.get(self.english.folded(&self.english.tokens()[at])).copied()
    }

    fn arabic_word(&self, at: usize) -> &str {
        self.arabic.surface(&self.arabic.tokens()[at])
    }

    fn is_word(&self, at: usize) -> bool {
        self.english.tokens()[at].kind == TokenKind::Word
    }

    fn is_linked_word(&self, at: usize) -> bool {
        self.is_word(at) && !self.of_word[at].is_empty()
    }

    /// The linked word that a pronoun belongs to.
    fn neighbour(&self, at: usize, roles: Roles) -> Option<usize> {
        let right = || self.right(at, roles.possessive);
        let left = || at.checked_sub(1).filter(|&it| self.is_linked_word(it));
        match (roles.right(), roles.object) {
            (true, false) => right(),
            (true, true) => right().or_else(left),
            _ => left().or_else(right),
        }
    }

    /// The next linked word. A possessive looks further, past adjectives, for the noun that carries a pronoun: in "its Egyptian
    /// counterpart", the last word.
    fn right(&self, at: usize, possessive: bool) -> Option<usize> {
        let mut nearest = None;
        for word in (at + 1..self.of_word.len()).take(BETWEEN_MAX + 1) {
            if !self.is_word(word) {
                break;
            }
            let roles = self.roles(word);
            if roles.is_some_and(|it| !it.is_pronoun()) {
                continue;
            }
            if self.of_word[word].is_empty() {
                if roles.is_none() {
                    break;
                }
                continue;
            }
            nearest = nearest.or(Some(word));
            if !possessive {
                break;
            }
            let carries = |text: &str| PRONOUNS.iter().any(|it| text.ends_with(it));
            if self.of_word[word].iter().any(|it| carries(self.arabic_word(it.0))) {
                return Some(word);
            }
        }
        nearest
    }
}

#[cfg(test)]
mod tests {
    use super::{WordLink, attach};
    use crate::alignment::words::link::either_way;
    use crate::text::Analyzer;

    /// All links between two texts once the pronouns are attached to the given ones.
    fn attached(
        (source_lang, source): (&str, &str),
        (target_lang, target): (&str, &str),
        known: &[(usize, usize)],
    ) -> Vec<(usize, usize)> {
        let analyze = |lang: &str, text: &str| Analyzer::new(&lang.parse().unwrap()).analyze(text);
        let (source, target) = (analyze(source_lang, source), analyze(target_lang, target));
        let link =
            |&(source, target): &(usize, usize)| WordLink { source, target, confidence: 0.9 };
        let mut links: Vec<WordLink> = known.iter().map(link).collect();
        either_way((&source, &target), &mut links, attach);
        assert!(links[known.len()..].iter().all(|it| it.confidence < 0.9));
        let mut pairs: Vec<_> = links.iter().map(|it| (it.source, it.target)).collect();
        pairs.sort_unstable();
        pairs
    }

    #[test]
    fn a_pronoun_inside_an_arabic_word_is_linked_to_it() {
        let attached = |ar, en, known: &[_]| attached(("ar", ar), ("en", en), known);
        assert_eq!(attached("نعتقد", "We believe", &[(0, 1)]), [(0, 0), (0, 1)]);
        assert_eq!(attached("سنعمل", "we will not work", &[(0, 3)]), [(0, 0), (0, 3)]);
        assert_eq!(
            attached("في بيتهم", "in their house", &[(0, 0), (1, 2)]),
            [(0, 0), (1, 1), (1, 2)]
        );
        assert_eq!(
            attached("شكرهم أمس", "thanked them yesterday", &[(0, 0), (1, 2)]),
            [(0, 0), (0, 1), (1, 2)]
        );
    }

    #[test]
    fn adjectives_and_negations_are_stepped_over() {
        let attached = |ar, en, known: &[_]| attached(("ar", ar), ("en", en), known);
        let found = attached("نظيره المصري", "its Egyptian counterpart", &[(0, 2), (1, 1)]);
        assert_eq!(found, [(0, 0), (0, 2), (1, 1)]);
        let found = attached("لا نعرف", "We do not know", &[(0, 2), (1, 3)]);
        assert_eq!(found, [(0, 2), (1, 0), (1, 3)]);
    }

    #[test]
    fn the_english_text_may_be_the_source() {
        let found = attached(("en", "We believe"), ("ar", "نعتقد"), &[(1, 0)]);
        assert_eq!(found, [(0, 0), (1, 0)]);
    }

    #[test]
    fn other_pronouns_are_left_alone() {
        let attached =
            |ar, en, known: &[_]| attached(("ar", ar), ("en", en), known).len() - known.len();
        // It has a word of its own, the neighbour has no counterpart, and a sentence ends in between.
        assert_eq!(attached("نحن نعتقد", "We believe", &[(0, 0), (1, 1)]), 0);
        assert_eq!(attached("نعتقد", "we sometimes believe", &[(0, 2)]), 0);
        assert_eq!(attached("نعتقد", "we , believe", &[(0, 2)]), 0);
    }

    #[test]
    fn other_pairs_of_languages_are_left_alone() {
        assert_eq!(attached(("fr", "croyons"), ("en", "we believe"), &[(0, 1)]), [(0, 1)]);
    }
}
