//! Splits a text that may contain invisible characters, which stay with the text beside them.

use crate::text::chars::is_invisible;

use super::rules::SentenceRules;
use super::sentence::{Sentence, SentenceOptions, trimmed};
use super::splitter::Splitter;

impl SentenceRules {
    /// Splits a text into sentences, in order, that cover it. An empty text has none.
    ///
    /// Invisible characters (bidirectional controls, joiners, zero widths) are ignored: they stay with the text
    /// beside them and never decide where a sentence ends.
    pub fn split(&self, text: &str, options: SentenceOptions) -> Vec<Sentence> {
        self.split_unless(text, options, &|| false).unwrap_or_default()
    }

    /// Splits a long text; `None` soon after `stop`, which is called often, returns true.
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
            // Nothing visible, but the pieces must cover the text.
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
    /// Where characters were removed: the place in `text`, and the first byte after them in the original.
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

    /// Maps a boundary to the original. The end of an embedding stays with the text before it, as do direction marks
    /// that touch it; the start of one goes with the text after it.
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
