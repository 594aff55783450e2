//! Are the two sides the right way round? Told by the scripts of their letters.
//!
//! Knows nothing of words.

use crate::text::is_arabic_letter;
use crate::unit::Lang;

/// Primary subtags of languages that are written in Arabic letters.
const ARABIC_SCRIPT: [&str; 7] = ["ar", "fa", "ur", "ps", "ckb", "sd", "ug"];
/// Letters of a side that are looked at.
const LETTERS_LOOKED_AT: usize = 20_000;

/// Whether a text is, by its letters, in the language of the other side: `None` where the scripts of the languages do not
/// differ, or the text has no letters.
pub fn is_in_other_script<'a>(
    texts: impl IntoIterator<Item = &'a str>,
    lang: &Lang,
    other: &Lang,
) -> Option<bool> {
    let arabic = |lang: &Lang| ARABIC_SCRIPT.contains(&lang.primary());
    if arabic(lang) == arabic(other) {
        return None;
    }
    let letters = texts.into_iter().flat_map(str::chars).filter(|it| it.is_alphabetic());
    let (mut of_arabic, mut all) = (0, 0);
    for letter in letters.take(LETTERS_LOOKED_AT) {
        all += 1;
        of_arabic += usize::from(is_arabic_letter(letter));
    }
    (all > 0).then_some((2 * of_arabic > all) != arabic(lang))
}
