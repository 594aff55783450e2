//! Splits clitics off Arabic words: "and", "the", "by", "will", "their".
//!
//! A clitic is split off only if the rest is itself a word of the corpus, and not a much rarer one than the whole, because
//! the letter may also belong to the word. Knows nothing of translations.

use std::collections::HashMap;

use foldhash::fast::FixedState;
use serde::{Deserialize, Serialize};

use crate::text::{Analysis, Token, TokenKind};

const AND: &str = "\u{648}";
const THEN: &str = "\u{641}";
const BY: &str = "\u{628}";
const TO: &str = "\u{644}";
const LIKE: &str = "\u{643}";
const WILL: &str = "\u{633}";
const ARTICLE: &str = "\u{627}\u{644}";
/// After the preposition "to" the article loses its alef.
const ARTICLE_AFTER_TO: &str = "\u{644}";
const HEH: char = '\u{647}';
const TEH_MARBUTA: char = '\u{629}';
const TEH: char = '\u{62a}';

/// Proclitics in their order: conjunction, preposition or future, article.
const CONJUNCTIONS: [&str; 3] = ["", AND, THEN];
const PREPOSITIONS: [&str; 5] = ["", BY, TO, LIKE, WILL];
/// Pronouns: her, them, both of them, them (of women), us, you, him.
pub(crate) const PRONOUNS: [&str; 7] = [
    "\u{647}\u{627}",
    "\u{647}\u{645}",
    "\u{647}\u{645}\u{627}",
    "\u{647}\u{646}",
    "\u{646}\u{627}",
    "\u{643}\u{645}",
    "\u{647}",
];
/// Beginnings of relative pronouns, without the letters that look like an article.
const RELATIVE: [&str; 4] =
    ["\u{630}\u{64a}", "\u{62a}\u{64a}", "\u{644}\u{630}", "\u{644}\u{62a}"];
/// First letters of the imperfect, the only form that follows the future particle.
const IMPERFECT: [char; 4] = ['\u{64a}', '\u{62a}', '\u{646}', '\u{627}'];

/// Word counts of a corpus.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Vocabulary(HashMap<Box<str>, u32, FixedState>);

/// The clitics of a word.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Clitics {
    /// In the order of the word; absent ones are empty.
    pub(crate) before: [&'static str; 3],
    pub(crate) after: Option<&'static str>,
}

impl Clitics {
    /// Passes the terms of a word to `add` in order: its clitics, with `stem` among them. `text` is working memory.
    pub(crate) fn write(&self, stem: &str, text: &mut String, mut add: impl FnMut(&str)) {
        for clitic in self.before.iter().filter(|it| !it.is_empty()) {
            text.clear();
            text.extend([clitic, "+"]);
            add(text);
        }
        add(stem);
        if let Some(clitic) = self.after {
            text.clear();
            text.extend(["+", clitic]);
            add(text);
        }
    }
}

impl Vocabulary {
    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(crate) fn add(&mut self, word: &str, count: u32) {
        match self.0.get_mut(word) {
            Some(known) => *known += count,
            None => drop(self.0.insert(word.into(), count)),
        }
    }

    fn count(&self, word: &str) -> u32 {
        self.0.get(word).copied().unwrap_or(0)
    }
}

/// The clitics of a word in the form of [`write_word`], by the words of the vocabularies.
pub(crate) fn split(vocabularies: &[&Vocabulary], word: &str) -> Clitics {
    let count_of = |word: &str| vocabularies.iter().map(|it| it.count(word)).sum::<u32>();
    let mut best = (0, Clitics::default());
    if !word.starts_with(|it| ('\u{620}'..='\u{64a}').contains(&it)) {
        return best.1;
    }
    let whole = count_of(word);
    let mut other = String::new();
    for conjunction in CONJUNCTIONS {
        let Some(word) = word.strip_prefix(conjunction) else { continue };
        for preposition in PREPOSITIONS {
            let Some(word) = word.strip_prefix(preposition) else { continue };
            if preposition == WILL && !word.starts_with(IMPERFECT) {
                continue;
            }
            let article = if preposition == TO { ARTICLE_AFTER_TO } else { ARTICLE };
            let rest = word.strip_prefix(article).filter(|_| preposition != WILL);
            if let Some(rest) = rest.filter(|it| takes_article(it)) {
                other.clear();
                other.extend([ARTICLE, rest]);
                let count = count_of(rest) + count_of(&other);
                let clitics = Clitics { before: [conjunction, preposition, ARTICLE], after: None };
                consider(&mut best, count, clitics, rest, whole);
            }
            let bare = Clitics { before: [conjunction, preposition, ""], after: None };
            if bare != Clitics::default() {
                consider(&mut best, count_of(word), bare, word, whole);
            }
            for pronoun in PRONOUNS {
                let Some(rest) = word.strip_suffix(pronoun) else { continue };
                let clitics = Clitics { after: Some(pronoun), ..bare };
                if rest.is_empty() && matches!(preposition, BY | TO) {
                    // "To him" has no stem, so the whole is one term.
                    return Clitics { after: Some(pronoun), ..Clitics::default() };
                }
                let mut count = count_of(rest);
                if let Some(stem) = rest.strip_suffix(TEH) {
                    other.clear();
                    other.push_str(stem);
                    other.push(TEH_MARBUTA);
                    count += count_of(&other);
                }
                consider(&mut best, count, clitics, rest, whole);
            }
        }
    }
    best.1
}

/// Keeps the split that leaves the most frequent rest.
fn consider(best: &mut (u32, Clitics), count: u32, clitics: Clitics, rest: &str, whole: u32) {
    let is_word = match rest.chars().count() {
        0 | 1 => false,
        2 => count > 2 * whole,
        _ => 2 * count >= whole,
    };
    if is_word && count > best.0 {
        *best = (count, clitics);
    }
}

fn takes_article(rest: &str) -> bool {
    rest.chars().nth(2).is_some() && !RELATIVE.iter().any(|it| rest.starts_with(it))
}

/// Writes a word for splitting: folded, except for the feminine ending, which would look like a pronoun.
pub(crate) fn write_word(analysis: &Analysis, token: &Token, word: &mut String) {
    word.clear();
    if token.kind != TokenKind::Word {
        return;
    }
    word.push_str(analysis.folded(token));
    let ends_so = || analysis.surface(token).chars().rev().find(|it| it.is_alphabetic());
    if word.ends_with(HEH) && ends_so() == Some(TEH_MARBUTA) {
        word.pop();
        word.push(TEH_MARBUTA);
    }
}
