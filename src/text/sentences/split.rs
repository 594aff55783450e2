//! Splits a text into sentences; characters without a shape stay with the text beside them.

use crate::text::chars::is_invisible;

use super::rules::SentenceRules;
use super::sentence::{Sentence, SentenceOptions, trimmed};
use super::splitter::Splitter;

impl SentenceRules {
    /// The sentences of a text, in order, covering it. An empty text has none.
    ///
    /// Characters without a shape (bidirectional controls, joiners, zero widths) are overlooked: they stay with the text
    /// beside them and never decide where a sentence ends.
    pub fn split(&self, text: &str, options: SentenceOptions) -> Vec<Sentence> {
        self.split_unless(text, options, &|| false).unwrap_or_default()
    }

    /// The same of a long text; `None` soon after `stop`, which is asked again and again, says so.
    pub fn split_unless(
        &self,
        text: &str,
        options: SentenceOptions,
        stop: &dyn Fn() -> bool,
    ) -> Option<Vec<Sentence>> {
        if !text.contains(is_invisible) {
            return Splitter::new(self, text, options).run(stop);
        }
        let visible = Visible::of(text);
        let sentences = Splitter::new(self, &visible.text, options).run(stop)?;
        if sentences.is_empty() {
            // Nothing to be seen, yet the pieces are the text.
            let piece = 0..text.len();
            return Some(vec![Sentence { text: trimmed(text, &piece), piece }]);
        }
        let mut start = 0;
        let last = sentences.len() - 1;
        let original = sentences.iter().enumerate().map(|(number, sentence)| {
            let end = if number == last {
                text.len()
            } else {
                visible.original(text, sentence.piece.end)
            };
            let piece = std::mem::replace(&mut start, end)..end;
            Sentence { text: trimmed(text, &piece), piece }
        });
        Some(original.collect())
    }
}

/// A text without its invisible characters.
struct Visible {
    text: String,
    /// Where such characters were left out: the place in `text`, and in the original the first byte after them.
    skipped: Vec<(usize, usize)>,
}

impl Visible {
    fn of(original: &str) -> Self {
        let mut visible = Self { text: String::with_capacity(original.len()), skipped: Vec::new() };
        for (place, character) in original.char_indices() {
            if is_invisible(character) {
                let place = (visible.text.len(), place + character.len_utf8());
                visible.skipped.push(place);
            } else {
                visible.text.push(character);
            }
        }
        visible
    }

    /// The place in the original of a boundary: what ends an embedding stays with the text before it, and so do marks of
    /// direction that touch it; what begins one goes with the text after it.
    fn original(&self, original: &str, boundary: usize) -> usize {
        let before = self.skipped.partition_point(|(place, _)| *place < boundary);
        let mut end = match before.checked_sub(1).map(|last| self.skipped[last]) {
            Some((place, end)) => end + (boundary - place),
            None => boundary,
        };
        let touches = !original[..end].ends_with(char::is_whitespace);
        for character in original[end..].chars().take_while(|it| is_invisible(*it)) {
            let begins = matches!(
                character,
                '\u{202a}' | '\u{202b}' | '\u{202d}' | '\u{202e}' | '\u{2066}'..='\u{2068}'
            );
            let ends = matches!(character, '\u{202c}' | '\u{2069}');
            if begins || !ends && !touches {
                break;
            }
            end += character.len_utf8();
        }
        end
    }
}
