//! Links "the" and "of" to the Arabic words that express them: an article, or the mere order of two nouns.
//!
//! A noun before a definite one is definite without an article, and depends on it without a preposition: in "the number of the
//! ships", the first article is expressed by the first noun, and "of" by the second one. A model of words confuses the articles of
//! the two nouns. Only words that Arabic expresses this way are linked; other links stay unchanged.

use std::ops::Range;

use crate::text::{Analysis, TokenKind};

use super::link::WordLink;

/// Letters that may precede an article, with the article after them.
const WITH_ARTICLE: [&str; 10] = [
    "\u{627}\u{644}",
    "\u{644}\u{644}",
    "\u{648}\u{627}\u{644}",
    "\u{641}\u{627}\u{644}",
    "\u{628}\u{627}\u{644}",
    "\u{643}\u{627}\u{644}",
    "\u{648}\u{644}\u{644}",
    "\u{641}\u{644}\u{644}",
    "\u{648}\u{628}\u{627}\u{644}",
    "\u{641}\u{628}\u{627}\u{644}",
];
/// Fewest letters after an article.
const LETTERS_MIN: usize = 2;
/// Share of the confidence of a noun's link that its article and its "of" inherit.
const CONFIDENCE_KEPT: f32 = 0.8;

/// Adds and moves the links of articles and "of".
pub(crate) fn attach(arabic: &Analysis, english: &Analysis, links: &mut Vec<WordLink>) {
    let found = Words::new(arabic, english, links).found();
    links.retain(|link| found.iter().all(|it| !it.is_article || it.link.target != link.target));
    links.extend(found.iter().map(|it| it.link));
}

/// A link that was found.
struct Found {
    link: WordLink,
    is_article: bool,
}

/// Two texts, and for each English token its most confident Arabic link.
struct Words<'a> {
    arabic: &'a Analysis,
    english: &'a Analysis,
    of_word: Vec<Option<(usize, f32)>>,
}

impl<'a> Words<'a> {
    fn new(arabic: &'a Analysis, english: &'a Analysis, links: &[WordLink]) -> Self {
        let mut of_word = vec![None; english.tokens().len()];
        for link in links {
            let surest: &mut Option<(usize, f32)> = &mut of_word[link.target];
            if surest.is_none_or(|it| link.confidence > it.1) {
                *surest = Some((link.source, link.confidence));
            }
        }
        Self { arabic, english, of_word }
    }

    fn found(&self) -> Vec<Found> {
        let words = 0..self.of_word.len();
        words.filter_map(|at| self.article(at).or_else(|| self.genitive(at))).collect()
    }

    fn is(&self, at: usize, word: &str) -> bool {
        self.english.tokens().get(at).is_some_and(|it| self.english.folded(it) == word)
    }

    fn linked(&self, at: usize) -> Option<(usize, f32)> {
        self.of_word.get(at).copied().flatten()
    }

    /// The noun that an article determines, if Arabic says that it is definite.
    fn article(&self, at: usize) -> Option<Found> {
        if !self.is(at, "the") {
            return None;
        }
        let mut next = at + 1;
        let (mut arabic, mut confidence) = self.linked(next)?;
        // Adjectives precede English nouns and follow Arabic ones, each with an article of its own.
        while let Some((noun, sure)) = self.linked(next + 1)
            && noun + 1 == arabic
            && self.has_article(noun)
            && self.has_article(arabic)
        {
            (arabic, confidence, next) = (noun, sure, next + 1);
        }
        let is_definite =
            self.has_article(arabic) || self.is_arabic(arabic) && self.has_article(arabic + 1);
        let link =
            WordLink { source: arabic, target: at, confidence: confidence * CONFIDENCE_KEPT };
        is_definite.then_some(Found { link, is_article: true })
    }

    /// The second of two nouns for "of" between them that has no link.
    fn genitive(&self, at: usize) -> Option<Found> {
        if !self.is(at, "of") || self.linked(at).is_some() {
            return None;
        }
        let (first, _) = self.linked(at.checked_sub(1)?)?;
        let is_determiner = |at: usize| ["the", "a", "an"].iter().any(|it| self.is(at, it));
        let next = (at + 1..self.of_word.len()).find(|&it| !is_determiner(it))?;
        let nouns: Range<usize> = first + 1..first + 2;
        let second = |at: usize| self.linked(at).filter(|it| nouns.contains(&it.0));
        // The noun, or after an adjective before it.
        let (arabic, confidence) = second(next).or_else(|| second(next + 1))?;
        let link =
            WordLink { source: arabic, target: at, confidence: confidence * CONFIDENCE_KEPT };
        let both = self.is_arabic(first) && self.is_arabic(arabic);
        both.then_some(Found { link, is_article: false })
    }

    fn is_arabic(&self, at: usize) -> bool {
        self.word(at).starts_with(crate::text::is_arabic_letter)
    }

    fn has_article(&self, at: usize) -> bool {
        let word = self.word(at);
        let behind = |article: &&str| word.strip_prefix(*article);
        let rest = WITH_ARTICLE.iter().find_map(behind);
        rest.is_some_and(|it| it.chars().nth(LETTERS_MIN - 1).is_some())
    }

    fn word(&self, at: usize) -> &str {
        let token = self.arabic.tokens().get(at).filter(|it| it.kind == TokenKind::Word);
        token.map_or("", |it| self.arabic.folded(it))
    }
}

#[cfg(test)]
mod tests {
    use super::{WordLink, attach};
    use crate::alignment::words::link::either_way;
    use crate::text::Analyzer;

    /// All links between two texts once articles are attached to the given ones.
    fn attached(arabic: &str, english: &str, known: &[(usize, usize)]) -> Vec<(usize, usize)> {
        let analyze = |lang: &str, text: &str| Analyzer::new(&lang.parse().unwrap()).analyze(text);
        let (arabic, english) = (analyze("ar", arabic), analyze("en", english));
        let pairs = |is_turned: bool| {
            let link = |&(a, e): &(usize, usize)| {
                let (source, target) = if is_turned { (e, a) } else { (a, e) };
                WordLink { source, target, confidence: 0.9 }
            };
            let mut links: Vec<WordLink> = known.iter().map(link).collect();
            let texts = if is_turned { (&english, &arabic) } else { (&arabic, &english) };
            either_way(texts, &mut links, attach);
            let pair = |it: &WordLink| {
                if is_turned { (it.target, it.source) } else { (it.source, it.target) }
            };
            let mut pairs: Vec<_> = links.iter().map(pair).collect();
            pairs.sort_unstable();
            pairs
        };
        assert_eq!(pairs(false), pairs(true), "the English text may be the source");
        pairs(false)
    }

    #[test]
    fn a_noun_before_a_definite_one_is_definite() {
        let found = attached("عدد السفن", "the number of the ships", &[(0, 1), (1, 4), (1, 0)]);
        assert_eq!(found, [(0, 0), (0, 1), (1, 2), (1, 3), (1, 4)]);
        let found = attached("عدد سفن", "a number of ships", &[(0, 1), (1, 3)]);
        assert_eq!(found, [(0, 1), (1, 2), (1, 3)]);
    }

    #[test]
    fn an_article_belongs_to_the_noun_behind_adjectives() {
        let found = attached("الجسر الجديد", "the new bridge", &[(0, 2), (1, 1), (1, 0)]);
        assert_eq!(found, [(0, 0), (0, 2), (1, 1)]);
        let found = attached("غرقت السفينة", "the ship sank", &[(0, 2), (1, 1)]);
        assert_eq!(found, [(0, 2), (1, 0), (1, 1)]);
    }

    #[test]
    fn what_arabic_does_not_say_is_left_alone() {
        for (arabic, english, known) in [
            ("مصر", "the Egypt", &[(0, 1)][..]),
            ("عدد كبير من السفن", "a number of ships", &[(0, 1), (2, 2), (3, 3)]),
            ("كتاب جديد عن البحر", "book of sea", &[(0, 0), (3, 2)]),
            ("الجسر", "the old bridge", &[(0, 2)]),
        ] {
            assert_eq!(attached(arabic, english, known), known, "{english}");
        }
    }
}
