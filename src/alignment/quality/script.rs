//! Are the two sides the right way round? Told by the scripts of their letters.
//!
//! Knows nothing of words.

use crate::text::is_arabic_letter;
use crate::unit::Lang;

/// Primary subtags of languages that are written in Arabic letters.
const ARABIC_SCRIPT: [&str; 7] = ["ar", "fa", "ur", "ps", "ckb", "sd", "ug"];
/// Letters of a side that are looked at.
const LETTERS_LOOKED_AT: usize = 20_000;

/// Whether a text is, by most of its letters, in the language of the other side: `None` where the scripts of the languages do
/// not differ, or the text has no letters.
pub fn is_in_other_script<'a>(
    texts: impl IntoIterator<Item = &'a str>,
    lang: &Lang,
    other: &Lang,
) -> Option<bool> {
    other_script_share(texts, lang, other).map(|share| share > 0.5)
}

/// The part of a text's letters, from 0 to 1, that are in the script of the language of the other side; `None` as above.
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

/// What can hardly be meant, of a document and its translation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum PairDoubt {
    /// Nothing to align.
    #[error("the source holds no text: nothing to align")]
    SourceEmpty,
    /// Nothing to align.
    #[error("the target holds no text: nothing to align")]
    TargetEmpty,
    /// Each text is in the language of the other.
    #[error(
        "by their letters, source and target are each in the language of the other: turn them round"
    )]
    Turned,
    /// It is not in its language.
    #[error("the source has hardly any letters of its language; is it the right text?")]
    SourceForeign,
    /// It is not in its language.
    #[error("the target has hardly any letters of its language; is it the right text?")]
    TargetForeign,
    /// One side with so many times the letters of the other is hardly its translation.
    #[error(
        "one text has more than {RATIO_MAX} times the letters of the other ({0} and {1}); most of it will stand alone"
    )]
    Unequal(usize, usize),
}

/// Letters of one side for one of the other beyond which it is said.
const RATIO_MAX: usize = 10;

impl PairDoubt {
    /// Whether nothing useful can come of it.
    pub fn is_fatal(self) -> bool {
        matches!(self, Self::SourceEmpty | Self::TargetEmpty | Self::Turned)
    }
}

/// What can hardly be meant, worst first.
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
        (true, true) => vec![PairDoubt::Turned],
        (true, false) => vec![PairDoubt::SourceForeign],
        (false, true) => vec![PairDoubt::TargetForeign],
        (false, false) => Vec::new(),
    };
    if here > RATIO_MAX * there || there > RATIO_MAX * here {
        doubts.push(PairDoubt::Unequal(here, there));
    }
    doubts
}
