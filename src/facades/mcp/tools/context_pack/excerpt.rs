//! Cuts an excerpt around some ranges out of a long text.

use std::ops::Range;

/// A part of a text, with `…` where it was cut.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Excerpt {
    pub(super) text: String,
    /// The ranges in this text.
    pub(super) ranges: Vec<Range<usize>>,
}

/// Characters of an excerpt before the first range and after the last one.
const AROUND_CHARS: usize = 80;
/// Texts up to this length are not cut.
const WHOLE_CHARS: usize = 240;
/// Characters between two ranges, from which the later one is left out.
const BETWEEN_CHARS: usize = 120;

/// What is around ranges of bytes, which are in order; the beginning when there are none.
pub(super) fn excerpt(text: &str, ranges: &[Range<usize>]) -> Excerpt {
    let is_valid = |range: &&Range<usize>| text.get((*range).clone()).is_some();
    let ranges: Vec<Range<usize>> = ranges.iter().filter(is_valid).cloned().collect();
    if text.chars().nth(WHOLE_CHARS).is_none() {
        return Excerpt { text: text.to_owned(), ranges };
    }
    let first = ranges.first().cloned().unwrap_or(0..0);
    let mut near = vec![first];
    for range in ranges.get(1..).unwrap_or_default() {
        let end = near.last().map_or(0, |it| it.end);
        let is_near =
            text.get(end..range.start).is_some_and(|it| it.chars().count() <= BETWEEN_CHARS);
        if !is_near {
            break;
        }
        near.push(range.clone());
    }
    let inside = near.first().map_or(0, |it| it.start)..near.last().map_or(0, |it| it.end);
    let start = before(text, inside.start);
    let end = after(text, inside.end);
    let (lead, tail) = (if start > 0 { "…" } else { "" }, if end < text.len() { "…" } else { "" });
    let moved = |range: &Range<usize>| {
        let moved = |at: usize| at + lead.len() - start;
        moved(range.start)..moved(range.end)
    };
    let ranges = if ranges.is_empty() { Vec::new() } else { near.iter().map(moved).collect() };
    Excerpt { text: format!("{lead}{}{tail}", &text[start..end]), ranges }
}

/// The start of a word some characters before a place.
fn before(text: &str, place: usize) -> usize {
    let head = &text[..place];
    let Some((start, _)) = head.char_indices().rev().nth(AROUND_CHARS) else { return 0 };
    let space = head[start..].char_indices().find(|(_, it)| it.is_whitespace());
    space.map_or(start, |(at, it)| start + at + it.len_utf8())
}

/// The end of a word some characters after a place.
fn after(text: &str, place: usize) -> usize {
    let tail = &text[place..];
    let Some((end, _)) = tail.char_indices().nth(AROUND_CHARS) else { return text.len() };
    let space = tail[..end].char_indices().rev().find(|(_, it)| it.is_whitespace());
    place + space.map_or(end, |(at, _)| at)
}

#[cfg(test)]
#[expect(clippy::single_range_in_vec_init, reason = "a list of one range")]
mod tests {
    use super::*;

    #[test]
    fn short_texts_are_whole() {
        let whole = excerpt("one two", &[4..7]);
        assert_eq!(whole, Excerpt { text: "one two".to_owned(), ranges: vec![4..7] });
    }

    #[test]
    fn long_texts_are_cut_between_words_around_what_was_found() {
        let text = format!("{}هدف {}", "كلمة ".repeat(100), "word ".repeat(100));
        let at = text.find("هدف").unwrap();
        let found = excerpt(&text, &[at..at + "هدف".len()]);
        assert!(found.text.starts_with("…كلمة") && found.text.ends_with("word…"), "{}", found.text);
        assert_eq!(&found.text[found.ranges[0].clone()], "هدف");
        assert!(found.text.chars().count() <= 2 * AROUND_CHARS + 6);
        let start = excerpt(&text, &[]);
        assert!(
            start.text.starts_with("كلمة") && start.text.ends_with('…') && start.ranges.is_empty()
        );
    }

    #[test]
    fn what_is_far_away_is_left_out() {
        let text = format!("a {} b", "x ".repeat(400));
        let found = excerpt(&text, &[0..1, text.len() - 1..text.len()]);
        assert_eq!(found.ranges, [0..1]);
    }
}
