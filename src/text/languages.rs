//! Lists the languages of which the analysis of texts has special knowledge.

use std::collections::BTreeSet;

use super::conventions;
use super::sentences;

/// Languages whose words are reduced to stems.
const STEMMED: [&str; 2] = ["ar", "en"];

/// What is known of a language.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LanguageKnowledge {
    /// BCP 47, of a language or of a language in a region.
    pub code: &'static str,
    /// Other forms of a word are found by its stem.
    pub stems: bool,
    /// It has rules for the ends of its sentences.
    pub sentence_rules: bool,
    /// The signs in its numbers are known.
    pub numerals: bool,
}

/// The languages with special knowledge, in the order of their codes.
pub fn known_languages() -> Vec<LanguageKnowledge> {
    let with_numerals: BTreeSet<_> = conventions::languages().collect();
    let with_rules: BTreeSet<_> = sentences::languages().collect();
    let codes: BTreeSet<_> =
        STEMMED.into_iter().chain(with_numerals.iter().chain(&with_rules).copied()).collect();
    let knowledge = |code| LanguageKnowledge {
        code,
        stems: STEMMED.contains(&code),
        sentence_rules: with_rules.contains(code),
        numerals: with_numerals.contains(code),
    };
    codes.into_iter().map(knowledge).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arabic_and_english_are_known_best() {
        let known = known_languages();
        for code in ["ar", "en"] {
            let language = known.iter().find(|language| language.code == code).unwrap();
            assert!(language.stems && language.sentence_rules && language.numerals);
        }
        assert!(known.iter().any(|language| language.numerals && !language.stems));
        assert!(known.iter().all(|language| language.code.parse::<crate::unit::Lang>().is_ok()));
    }
}
