//! Checks by script whether each side is in its language.
//!
//! Knows nothing of words.

use crate::text::is_arabic_letter;
use crate::unit::Lang;

/// Primary subtags of languages that are written in Arabic letters.
const ARABIC_SCRIPT: [&str; 7] = ["ar", "fa", "ur", "ps", "ckb", "sd", "ug"];
/// Letters of a side that are checked.
const LETTERS_LOOKED_AT: usize = 20_000;

/// Whether most letters of a text are in the script of the other side's language; `None` if both languages share a script or the
/// text has no letters.
pub fn is_in_other_script<'a>(
    texts: impl IntoIterator<Item = &'a str>,
    lang: &Lang,
    other: &Lang,
) -> Option<bool> {
    other_script_share(texts, lang, other).map(|share| share > 0.5)
}

/// The share of letters in the script of the other side's language, from 0 to 1; `None` as above.
pub(crate) fn other_script_share<'a>(
    texts: impl IntoIterator<Item = &'a str>,
    lang: &Lang,
    other: &Lang,
) -> Option<f32> {
    let arabic = |lang: &Lang| ARABIC_SCRIPT.contains(&lang.primary());
    if arabic(lang) == arabic(other) {
        return None;
    }
    let letters = texts.into_iter().flat_map(str::chars).filter(|it| it.is_alphabetic());
    let (mut of_arabic, mut all) = (0.0, 0.0);
    for letter in letters.take(LETTERS_LOOKED_AT) {
        all += 1.0;
        of_arabic += f32::from(u8::from(is_arabic_letter(letter)));
    }
    let share = if arabic(lang) { 1.0 - of_arabic / all } else { of_arabic / all };
    (all > 0.0).then_some(share)
}

/// Why a document and its translation can hardly be aligned.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum PairDoubt {
    /// The source is empty.
    #[error("the source holds no text: nothing to align")]
    SourceEmpty,
    /// The target is empty.
    #[error("the target holds no text: nothing to align")]
    TargetEmpty,
    /// Each text is in the language of the other.
    #[error("by their letters, source and target are each in the language of the other: swap them")]
    Swapped,
    /// The source is not in its language.
    #[error("the source has hardly any letters of its language; is it the right text?")]
    SourceForeign,
    /// The target is not in its language.
    #[error("the target has hardly any letters of its language; is it the right text?")]
    TargetForeign,
    /// One side is far too long for the other: the letters of both.
    #[error(
        "one text has more than {RATIO_MAX} times the letters of the other ({0} and {1}); most of it will have no counterpart"
    )]
    Unequal(usize, usize),
}

/// Largest plausible ratio of the letters of both sides.
const RATIO_MAX: usize = 10;

impl PairDoubt {
    /// Whether alignment would be useless.
    pub fn is_fatal(self) -> bool {
        matches!(self, Self::SourceEmpty | Self::TargetEmpty | Self::Swapped)
    }
}

/// Checks a document and its translation; the worst problem comes first.
pub fn pair_doubts(source: &[String], target: &[String], langs: (&Lang, &Lang)) -> Vec<PairDoubt> {
    let letters = |sentences: &[String]| -> usize {
        sentences.iter().flat_map(|it| it.chars()).filter(|it| it.is_alphanumeric()).count()
    };
    let (here, there) = (letters(source), letters(target));
    if here == 0 {
        return vec![PairDoubt::SourceEmpty];
    }
    if there == 0 {
        return vec![PairDoubt::TargetEmpty];
    }
    let foreign = |texts: &[String], lang, other| {
        is_in_other_script(texts.iter().map(String::as_str), lang, other) == Some(true)
    };
    let foreign = (foreign(source, langs.0, langs.1), foreign(target, langs.1, langs.0));
    let mut doubts = match foreign {
        (true, true) => vec![PairDoubt::Swapped],
        (true, false) => vec![PairDoubt::SourceForeign],
        (false, true) => vec![PairDoubt::TargetForeign],
        (false, false) => Vec::new(),
    };
    if here > RATIO_MAX * there || there > RATIO_MAX * here {
        doubts.push(PairDoubt::Unequal(here, there));
    }
    doubts
}
