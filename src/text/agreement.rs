//! Decides whether another number fits the words around a number: the noun after it, and the English article before
//! it.
//!
//! Accepts only what is certain.

use std::collections::HashSet;
use std::ops::Range;
use std::sync::LazyLock;

use super::analysis::Analysis;
use super::conventions::Nouns;
use super::data::rows;
use super::kinds::TokenKind;
use super::measures;
use super::scan::{Token, range};
use super::written::Written;

/// Words after numbers that do not depend on the number, by language.
static INDEPENDENT: LazyLock<HashSet<(&str, &str)>> = LazyLock::new(|| {
    let rows = rows(include_str!("data/agreement.tsv"));
    rows.map(|columns| (columns[0], columns[1])).collect()
});

impl Analysis {
    /// Writes the digits `asked` of a query as this text would write them in `place`, which corresponds to `stored`:
    /// all zeros are kept, digits and separators are those of this text. Also returns the bytes of the original text
    /// to replace.
    ///
    /// `None` where it is uncertain: `place` and `stored` are not the same number written alike, the notation is not
    /// evident, or the words beside the number may have to change.
    pub fn rewritten(
        &self,
        asked: &Written<'_>,
        stored: &Written<'_>,
        place: &Token,
    ) -> Option<(String, Range<usize>)> {
        let written = self.written(place)?;
        let new = asked.rewritten(stored, &written, self.convention)?;
        let (start, digits) = (range(place.canonical).start, written.place());
        let replaced = self.original(start + digits.start..start + digits.end);
        agrees(self, place, &written, asked).then_some((new, replaced))
    }
}

/// Whether the words around a number of a text also fit another number.
fn agrees(text: &Analysis, place: &Token, old: &Written<'_>, new: &Written<'_>) -> bool {
    if !old.is_bare() {
        return true;
    }
    let (Some(old), Some(new)) = (old.counted(), new.counted()) else { return true };
    let nouns = text.convention.nouns;
    let around = |step: isize| text.tokens.get((place.number as usize).checked_add_signed(step)?);
    if nouns == Nouns::English
        && around(-1).is_some_and(|it| matches!(text.folded(it), "a" | "an"))
        && sounds_like_vowel(old.0) != sounds_like_vowel(new.0)
    {
        return false;
    }
    let Some(next) = around(1).filter(|it| it.kind == TokenKind::Word) else { return true };
    let language = if nouns == Nouns::Arabic { "ar" } else { "en" };
    let known = matches!(nouns, Nouns::Arabic | Nouns::English);
    if measures::is_unit(text.surface(next))
        || known && INDEPENDENT.contains(&(language, text.folded(next)))
    {
        return true;
    }
    let form = |(whole, fraction): (&str, bool)| nouns.form(whole, fraction);
    form(old).is_some() && form(old) == form(new)
}

/// Eight, eleven, eighteen, and thousands of them.
fn sounds_like_vowel(whole: &str) -> bool {
    let thousands = whole.len() % 3;
    whole.starts_with('8') || thousands == 2 && (whole.starts_with("11") || whole.starts_with("18"))
}
