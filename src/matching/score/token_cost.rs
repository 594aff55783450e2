//! Computes the cost of replacing one token by another.

use crate::limits::COMPARED_WORDS_MAX;
use crate::matching::cancel::{NEVER, Ticker};
use crate::matching::encode::Token;
use crate::text::{ComparedParts, compared_parts};

use super::deductions::{GRADED_CHARS_MAX, NUMBER_COST, WORD_COST, graded_cost};
use super::levenshtein::Matcher;

/// Cost of a token in place of another: nothing when they fold to the same, part of a word when only their classes
/// are equal, a word otherwise.
pub(crate) fn substitution_cost(a: Token<'_>, b: Token<'_>) -> u32 {
    if a.class != b.class {
        WORD_COST
    } else if a.folded == b.folded && a.number_like == b.number_like {
        0
    } else {
        same_class_cost(a.class, (a.folded, a.number_like), (b.folded, b.number_like))
    }
}

/// Cost of a token in place of another of its class that folds to something else.
pub(crate) fn same_class_cost(class: &str, a: (&str, bool), b: (&str, bool)) -> u32 {
    if a.1 && b.1 {
        return NUMBER_COST;
    }
    let (a, b) = (a.0, b.0);
    let longest = a.chars().count().max(b.chars().count());
    if (is_compared_by_parts(class) || longest > GRADED_CHARS_MAX)
        && let (Some(a), Some(b)) = (compared_parts(class, a), compared_parts(class, b))
    {
        return cost_of_parts(&a, &b);
    }
    if longest > GRADED_CHARS_MAX {
        return WORD_COST;
    }
    let characters = |text: &str| -> Vec<u32> { text.chars().map(u32::from).collect() };
    graded_cost(edit_distance(&characters(a), &characters(b)), longest)
}

/// Whether tokens of a class are always compared by their words: code and addresses. Short tags and placeholders are
/// compared by characters.
fn is_compared_by_parts(class: &str) -> bool {
    matches!(class, "#code" | "#url" | "#email")
}

/// Compares words one by one, and all other characters together as one more.
fn cost_of_parts(a: &ComparedParts<'_>, b: &ComparedParts<'_>) -> u32 {
    if a.words.len().max(b.words.len()) > COMPARED_WORDS_MAX {
        return WORD_COST;
    }
    let (numbers_a, numbers_b) = numbered(&a.words, &b.words);
    let has_signs = !(a.signs.is_empty() && b.signs.is_empty());
    let longest = a.words.len().max(b.words.len()) + usize::from(has_signs);
    let distance = edit_distance(&numbers_a, &numbers_b) + u32::from(a.signs != b.signs);
    graded_cost(distance, longest)
}

/// Replaces words by numbers, equal words by equal ones.
fn numbered(a: &[&str], b: &[&str]) -> (Vec<u32>, Vec<u32>) {
    let mut places: Vec<(&str, usize)> = a.iter().chain(b).copied().zip(0..).collect();
    places.sort_unstable();
    let mut numbers = vec![0; places.len()];
    let mut number = 0;
    for (at, &(word, place)) in places.iter().enumerate() {
        number += u32::from(at > 0 && places[at - 1].0 != word);
        numbers[place] = number;
    }
    let of_b = numbers.split_off(a.len());
    (numbers, of_b)
}

fn edit_distance(a: &[u32], b: &[u32]) -> u32 {
    let distance = Matcher::new(a).distance(b, u32::MAX, &mut Ticker::new(NEVER));
    // Never cancelled, and no distance is above the cut-off.
    distance.ok().flatten().unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cost(class: &str, a: &str, b: &str) -> u32 {
        let cost = same_class_cost(class, (a, false), (b, false));
        assert_eq!(cost, same_class_cost(class, (b, false), (a, false)));
        cost
    }

    #[test]
    fn code_and_addresses_are_compared_by_their_words() {
        assert_eq!(cost("#code", "`git pull`", "`git push`"), 500);
        assert_eq!(cost("#code", "`cp`", "`rm`"), 1000);
        assert_eq!(cost("#code", "`a+b`", "`a-b`"), 333);
        // Different code, although no part differs.
        assert_eq!(cost("#code", "`cp`", "``cp``"), 1);
        assert_eq!(cost("#url", "https://example.com/a/b", "https://example.com/a/c"), 167);
        assert_eq!(cost("#email", "info@example.org", "sara@example.org"), 250);
    }

    #[test]
    fn long_tokens_are_compared_by_their_words() {
        let attribute = "x".repeat(600);
        let tag = |place| format!("<a href=\"/{place}\" data=\"{attribute}\">");
        assert_eq!(cost("#tag", &tag("help"), &tag("news")), 167);
        assert_eq!(cost("#tag", "<b>", "<i>"), 333);
        let code = |words: usize| format!("`{}`", "a ".repeat(words).trim_end());
        assert_eq!(cost("#code", &code(64), &code(63)), 16);
        assert_eq!(cost("#code", &code(65), &code(64)), 1000);
        assert_eq!(cost("x", &attribute, &format!("{attribute}y")), 1000);
    }
}
