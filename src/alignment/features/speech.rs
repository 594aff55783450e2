//! Tells whether a sentence begins or ends a stretch of speech or a quotation.

/// Whether speech begins and ends with a sentence. Words that name the speaker do not count: Arabic puts them before the
/// speech, English often after it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Speech {
    pub(crate) begins: bool,
    pub(crate) ends: bool,
}

impl Speech {
    /// Detects speech by the marks before the first and after the last letter, and by whether most of the sentence is quoted.
    pub(crate) fn of(text: &str) -> Self {
        let is_mark = |it: &char| !it.is_alphanumeric();
        let mut before = text.chars().take_while(is_mark);
        let attributed = |(at, mark): (usize, &str)| text[at + mark.len()..].starts_with(is_quote);
        let (most, closed) = mostly_speech(text);
        Self {
            begins: before.any(|it| is_quote(it) || is_dash(it)) || most,
            ends: text.chars().rev().take_while(is_mark).any(is_quote)
                || text.match_indices(SPEECH_ENDS).any(attributed)
                || most && closed,
        }
    }
}

/// Whether most of a text is between quotation marks or after one that is not closed, and whether it is closed.
fn mostly_speech(text: &str) -> (bool, bool) {
    let is_double = |it: char| is_quote(it) && !matches!(it, '\'' | '\u{2018}'..='\u{201b}');
    let Some((before, rest)) = text.split_once(is_double) else { return (false, false) };
    let (speech, behind) = rest.rsplit_once(is_double).unwrap_or((rest, ""));
    let letters = |text: &str| text.chars().filter(|it| it.is_alphanumeric()).count();
    let closed = rest.contains(is_double);
    let ends_only = !closed && before.ends_with(SPEECH_ENDS);
    (!ends_only && letters(speech) > letters(before) + letters(behind), closed)
}

/// Marks before the quotation mark that ends a speech inside a sentence.
const SPEECH_ENDS: [char; 5] = [',', '\u{60c}', '?', '\u{61f}', '!'];

/// Quotation marks of all shapes; Arabic writers use each of them for both ends.
fn is_quote(it: char) -> bool {
    matches!(
        it,
        '"' | '\'' | '\u{ab}' | '\u{bb}' | '\u{2018}'..='\u{201f}' | '\u{2039}' | '\u{203a}'
    )
}

/// Dialogue may begin with a dash instead of a quotation mark.
fn is_dash(it: char) -> bool {
    matches!(it, '-' | '\u{2010}'..='\u{2015}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn speech_begins_and_ends_with_its_marks() {
        for (text, begins, ends) in [
            ("\u{201c}Go,\u{201d} she said.", true, true),
            ("She said: \u{201c}Go home, all of you.\u{201d}", true, true),
            ("She said: \u{201c}Go home, all of you.", true, false),
            ("She only said it to be rid of us: \u{201c}Go.\u{201d}", false, true),
            ("Go,\u{201d} she said to all who were still there.", false, true),
            (
                "\u{642}\u{627}\u{644}\u{62a}:\u{201c}\u{627}\u{630}\u{647}\u{628}\u{648}\u{627}\u{201d}.",
                true,
                true,
            ),
            ("\u{201c}Go.", true, false),
            ("She said: go, it's time.", false, false),
            ("Then go.\u{201d}", false, true),
            ("\u{ab}\u{627}\u{630}\u{647}\u{628}\u{bb}.", true, true),
            ("\u{2013} \u{646}\u{639}\u{645}.", true, false),
            ("The \u{201c}old\u{201d} harbour.", false, false),
            ("- ", true, false),
            ("", false, false),
        ] {
            assert_eq!(Speech::of(text), Speech { begins, ends }, "{text}");
        }
    }
}
