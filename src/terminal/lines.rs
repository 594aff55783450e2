//! Fits text to lines: paragraphs of any direction to the width of a terminal, messages to a length that can be read.

use std::io::{self, IsTerminal};

use unicode_width::{UnicodeWidthChar as _, UnicodeWidthStr as _};

use super::text::{ISOLATE_END, grouped, isolate};

/// LEFT-TO-RIGHT ISOLATE and RIGHT-TO-LEFT ISOLATE.
const ISOLATES: (char, char) = ('\u{2066}', '\u{2067}');
/// Lines are not made narrower than this: on such a terminal they break anywhere.
const TEXT_COLUMNS_MIN: usize = 20;
/// Characters in a line of a message. What is longer quotes input, of which the middle is left out.
const MESSAGE_LINE_CHARS_MAX: usize = 600;
/// Characters that stay at the end of a message's line.
const MESSAGE_END_CHARS: usize = 200;

/// The columns of the terminal that an output is; nothing for a file or a pipe.
pub(super) fn columns(output: &impl IsTerminal) -> Option<usize> {
    let size = output.is_terminal().then(terminal_size::terminal_size).flatten();
    size.map(|(columns, _)| usize::from(columns.0)).filter(|columns| *columns > 0)
}

/// Text of any direction, isolated. On a terminal it is wrapped at words, and its other lines begin in the same column as the first.
pub(crate) fn paragraph(text: &str, column: usize) -> String {
    let room = columns(&io::stdout()).map(|columns| columns.saturating_sub(column + 1));
    match room {
        Some(room) if room >= TEXT_COLUMNS_MIN => wrapped(text, column, room),
        _ => isolate(text),
    }
}

/// Whether no line of a text is wider than the terminal; a file or a pipe is as wide as it takes.
pub(crate) fn fits(text: &str) -> bool {
    let columns = columns(&io::stdout());
    columns.is_none_or(|columns| text.lines().all(|line| line.width() <= columns))
}

fn wrapped(text: &str, column: usize, room: usize) -> String {
    let lines = lines(text, room);
    if lines.len() < 2 {
        return isolate(text);
    }
    // Each line has the direction of the whole, not that of its own first word.
    let begin = if is_right_to_left(text) { ISOLATES.1 } else { ISOLATES.0 };
    let lines = lines.iter().map(|line| format!("{begin}{line}{ISOLATE_END}"));
    lines.collect::<Vec<_>>().join(&format!("\n{:column$}", ""))
}

/// The lines of a text, each with at most so many columns; a word that is longer is divided.
fn lines(text: &str, room: usize) -> Vec<&str> {
    let mut lines = Vec::new();
    // The line that is being filled begins at `begin` and has `used` columns; the next word is at `place`.
    let (mut begin, mut used, mut place) = (0, 0, 0);
    for piece in text.split_inclusive(char::is_whitespace) {
        let word = piece.trim_end();
        if used + word.width() > room && place > begin {
            lines.push(text[begin..place].trim_end());
            (begin, used) = (place, 0);
        }
        for (at, letter) in word.char_indices() {
            let width = letter.width().unwrap_or(0);
            if used + width > room && place + at > begin {
                lines.push(&text[begin..place + at]);
                (begin, used) = (place + at, 0);
            }
            used += width;
        }
        used += piece.width().saturating_sub(word.width());
        place += piece.len();
    }
    lines.push(text[begin..].trim_end());
    lines.retain(|line| !line.is_empty());
    lines
}

/// Whether the first letter with a direction is of a script that is written from right to left.
fn is_right_to_left(text: &str) -> bool {
    let first = text.chars().find(|letter| letter.is_alphabetic());
    first.is_some_and(|letter| {
        matches!(letter, '\u{590}'..='\u{8ff}' | '\u{fb1d}'..='\u{fdff}' | '\u{fe70}'..='\u{feff}')
    })
}

/// A message whose lines can be read: of a line that quotes a great deal of input, beginning and end.
pub(crate) fn brief(message: &str) -> String {
    if message.len() <= MESSAGE_LINE_CHARS_MAX {
        return message.to_owned();
    }
    let lines = message.split('\n').map(|line| {
        let count = line.chars().count();
        if count <= MESSAGE_LINE_CHARS_MAX {
            return line.to_owned();
        }
        let place = |number| line.char_indices().nth(number).map_or(line.len(), |(at, _)| at);
        let kept = MESSAGE_LINE_CHARS_MAX - MESSAGE_END_CHARS;
        let left_out = grouped((count - MESSAGE_LINE_CHARS_MAX) as u64);
        let (first, last) = (&line[..place(kept)], &line[place(count - MESSAGE_END_CHARS)..]);
        format!("{first} […{left_out} characters…] {last}")
    });
    lines.collect::<Vec<_>>().join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_break_at_words_and_lose_none() {
        let text = "one two three  four fifteen-letters-and-more five";
        assert_eq!(
            lines(text, 10),
            ["one two", "three", "four", "fifteen-le", "tters-and-", "more five"]
        );
        assert_eq!(lines("short", 10), ["short"]);
        assert_eq!(lines("", 10), [""; 0]);
        for room in 1..60 {
            let lines = lines(text, room);
            assert!(lines.iter().all(|line| line.width() <= room), "{room}: {lines:?}");
            let letters = |text: &str| text.replace(' ', "");
            assert_eq!(letters(&lines.concat()), letters(text), "{room}");
        }
    }

    #[test]
    fn the_lines_of_a_paragraph_have_its_direction_and_column() {
        let arabic = "\u{628}\u{64a}\u{62a} Windows \u{628}\u{64a}\u{62a}";
        let text = wrapped(arabic, 4, 8);
        let lines: Vec<&str> = text.split('\n').collect();
        assert_eq!(lines.len(), 3);
        assert!(lines[0].starts_with('\u{2067}') && lines[1].starts_with("    \u{2067}Windows"));
        assert!(lines.iter().all(|line| line.ends_with('\u{2069}')));
        assert_eq!(wrapped("a b", 4, 8), "\u{2068}a b\u{2069}");
    }

    #[test]
    fn a_message_that_quotes_a_megabyte_keeps_its_beginning_and_its_end() {
        let message = format!("line 1: '{}' is not a date\nsecond line", "\u{628}".repeat(1 << 20));
        let short = brief(&message);
        assert!(short.len() < 2_000, "{}", short.len());
        assert!(short.starts_with("line 1: '") && short.ends_with("' is not a date\nsecond line"));
        assert!(short.contains("1,048,") && short.contains("characters"), "{short}");
        assert_eq!(brief("a\nb"), "a\nb");
    }
}
