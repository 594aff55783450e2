//! Splits a token into the parts that searches look for: the words of an address, the numbers of a date, a number
//! without its grouping.
//!
//! Query and stored text are split by the same rules, so that an expression is found wherever its parts are adjacent.
//! Links and code are also compared by their parts.

use super::chars::{Chars, Part};
use super::hamza;
use super::kinds::TokenKind;
use super::stem;
use super::values::{Value, value};

/// The folded parts of a token with this class, surface and folded form; `None` when it has one part, its folded
/// form.
///
/// Tags in the text have no parts: searches skip them.
pub fn parts_of(class: &str, surface: &str, folded: &str) -> Option<Vec<String>> {
    let mut parts = Vec::new();
    match TokenKind::of_class(class) {
        TokenKind::Tag => return None,
        TokenKind::Word if !may_part(folded) => return None,
        TokenKind::Number | TokenKind::Percent | TokenKind::Currency => amounts(folded, &mut parts),
        TokenKind::Date => split(folded, true, &mut parts),
        _ => split(surface, false, &mut parts),
    }
    let whole = parts.is_empty() || parts.len() == 1 && parts[0] == folded;
    (!whole).then_some(parts)
}

/// The parts by which a long token is compared.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ComparedParts<'a> {
    /// Runs of letters and digits.
    pub words: Vec<&'a str>,
    /// All other characters, without delimiters of the token.
    pub signs: String,
}

/// The parts by which a folded token of this class is compared with others of its class; `None` for words and
/// numbers.
pub fn compared_parts<'a>(class: &str, folded: &'a str) -> Option<ComparedParts<'a>> {
    let content = match TokenKind::of_class(class) {
        TokenKind::Code => folded.trim_matches('`'),
        TokenKind::Url => {
            let inner = folded.strip_prefix('(').and_then(|it| it.strip_suffix(')'));
            inner.unwrap_or(folded)
        }
        TokenKind::Email | TokenKind::Placeholder | TokenKind::Tag => folded,
        _ => return None,
    };
    let chars = Chars::get();
    let is_word = |it: char| it != '_' && chars.part(it).is_word_or_digit();
    let mut parts = ComparedParts::default();
    let mut rest = content;
    while !rest.is_empty() {
        let signs = rest.find(is_word).unwrap_or(rest.len());
        parts.signs.extend(rest[..signs].chars().filter(|&it| it != ' '));
        rest = &rest[signs..];
        let word = rest.find(|it| !is_word(it)).unwrap_or(rest.len());
        if word > 0 {
            parts.words.push(&rest[..word]);
        }
        rest = &rest[word..];
    }
    Some(parts)
}

/// Appends the folded form of code or of a tag, without spaces that separate no words: `<br />` is `<br/>`, but `git
/// pull` is not `gitpull`.
pub(super) fn write_code(surface: &str, forms: &mut String) {
    let chars = Chars::get();
    let mut parts_words = false;
    let mut characters = surface.chars().peekable();
    while let Some(character) = characters.next() {
        let next_is_word = |it: &mut std::iter::Peekable<std::str::Chars<'_>>| {
            it.peek().is_some_and(|&next| chars.part(next).is_word_or_digit())
        };
        if character != ' ' || parts_words && next_is_word(&mut characters) {
            chars.fold_into(forms, character);
        }
        parts_words = chars.part(character).is_word_or_digit();
    }
}

/// The class of a part, as for a word.
pub fn class_of_part(part: &str, english: bool) -> String {
    let mut class = String::new();
    stem::class_of(part, english, &mut class);
    class
}

/// Whether a folded word may have several parts: most have only letters and digits.
fn may_part(folded: &str) -> bool {
    folded.bytes().any(|it| matches!(it, b'\'' | b'.' | b'_')) || folded.contains('\u{b7}')
}

/// Splits into runs of letters and of digits. Dates are split between both (`21st`), other tokens only between digits
/// and Arabic letters.
fn split(text: &str, apart: bool, parts: &mut Vec<String>) {
    let chars = Chars::get();
    let mut start = None;
    let mut last = Part::Other;
    for (place, character) in text.char_indices().chain([(text.len(), ' ')]) {
        let part = match (character, chars.part(character)) {
            ('_', _) => Part::Other,
            (_, part) => part,
        };
        let goes_on = match part {
            Part::Space | Part::Other => false,
            Part::Digit if last != Part::Digit => last == Part::Letter && !apart,
            Part::Letter | Part::Ideograph | Part::Arabic if last == Part::Digit => {
                part != Part::Arabic && !apart
            }
            Part::Mark | Part::Digit | Part::Letter | Part::Ideograph | Part::Arabic => true,
        };
        if let Some(from) = start
            && !goes_on
        {
            parts.push(folded_part(&text[from..place]));
            start = None;
        }
        if part == Part::Mark && start.is_none() {
            continue;
        }
        if start.is_none() && !matches!(part, Part::Space | Part::Other) {
            start = Some(place);
        }
        if part != Part::Mark {
            last = part;
        }
    }
}

/// Folds a part like a word; digits lose leading zeros.
fn folded_part(text: &str) -> String {
    let mut folded = String::with_capacity(text.len());
    text.chars().for_each(|it| Chars::get().fold_into(&mut folded, it));
    if folded.bytes().all(|it| it.is_ascii_digit()) {
        let number = folded.trim_start_matches('0');
        return if number.is_empty() { "0".to_owned() } else { number.to_owned() };
    }
    hamza::unify(text, &mut folded, 0, &mut Vec::new());
    folded
}

/// The numbers of a token, each without grouping and redundant zeros, then units and signs.
fn amounts(folded: &str, parts: &mut Vec<String>) {
    let is_number = |it: char| it.is_ascii_digit();
    let joins =
        |it: char| matches!(it, '.' | ',' | '\'' | ' ' | '\u{a0}' | '\u{202f}' | '\u{2009}');
    let mut rest = folded;
    let mut others = String::new();
    while let Some(start) = rest.find(is_number) {
        others.push_str(&rest[..start]);
        others.push(' ');
        rest = &rest[start..];
        let mut end = 0;
        let mut characters = rest.char_indices().peekable();
        while let Some((place, character)) = characters.next() {
            let next = characters.peek().is_some_and(|(_, next)| is_number(*next));
            if !(is_number(character) || joins(character) && next) {
                break;
            }
            end = place + character.len_utf8();
        }
        match value(TokenKind::Number, &rest[..end]) {
            Some(Value::Number(number)) => parts.push(number.to_string()),
            _ => split(&rest[..end], true, parts),
        }
        rest = &rest[end..];
    }
    others.push_str(rest);
    split(&others, true, parts);
    let signs = others.chars().filter(|it| *it == '%' || Chars::get().part(*it) == Part::Other);
    parts.extend(
        signs.filter(|it| !it.is_ascii_punctuation() || matches!(it, '%' | '$')).map(String::from),
    );
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::text::Analyzer;

    fn parts(text: &str) -> Vec<String> {
        let analysis = Analyzer::new(&"en".parse().unwrap()).analyze(text);
        let of_token = |token| {
            let folded = analysis.folded(token);
            let parts = parts_of(analysis.class(token), analysis.surface(token), folded);
            parts.unwrap_or_else(|| vec![folded.to_owned()])
        };
        analysis.words().flat_map(of_token).collect()
    }

    #[test]
    fn a_number_is_one_part_however_it_is_written() {
        for text in
            ["1500", "1,500", "\u{661}\u{665}\u{660}\u{660}", "\u{661}\u{66c}\u{665}\u{660}\u{660}"]
        {
            assert_eq!(parts(text), ["1500"], "{text}");
        }
        assert_eq!(parts("50%"), ["50", "%"]);
        assert_eq!(parts("$12.50"), ["12.5", "$"]);
        assert_eq!(parts("USD 100"), parts("100 USD"));
        assert_eq!(parts("5MB"), ["5", "mb"]);
        assert_eq!(parts("10-21"), ["10", "21"]);
    }

    #[test]
    fn placeables_are_the_words_in_them() {
        assert_eq!(parts("www.example.com/help"), ["www", "example", "com", "help"]);
        assert_eq!(parts("example.com"), ["example", "com"]);
        assert_eq!(parts("sara.k@example.org"), ["sara", "k", "example", "org"]);
        assert_eq!(parts("3 May 2024"), ["3", "may", "2024"]);
        assert_eq!(parts("2024-05-01"), ["2024", "5", "1"]);
        assert_eq!(parts("{name} %s `git pull`"), ["name", "s", "git", "pull"]);
        assert_eq!(parts("don't stop"), ["don", "t", "stop"]);
        assert_eq!(parts("<b>bold</b>"), ["<b>", "bold", "</b>"]);
    }

    fn compared(text: &str) -> (Vec<String>, String) {
        let analysis = Analyzer::new(&"en".parse().unwrap()).analyze(text);
        let token = analysis.words().next().unwrap();
        let parts = compared_parts(analysis.class(token), analysis.folded(token)).unwrap();
        (parts.words.into_iter().map(str::to_owned).collect(), parts.signs)
    }

    #[test]
    fn long_placeables_are_compared_by_their_words_and_signs() {
        let expected = |words: &[&str], signs: &str| {
            (words.iter().map(|&it| it.to_owned()).collect(), signs.to_owned())
        };
        assert_eq!(compared("`git pull --rebase`"), expected(&["git", "pull", "rebase"], "--"));
        assert_eq!(compared("``user_id = 5``"), expected(&["user", "id", "5"], "_="));
        assert_eq!(
            compared("https://example.com/a?b=1"),
            expected(&["https", "example", "com", "a", "b", "1"], "://./?=")
        );
        assert_eq!(compared("sara.k@example.org").0, ["sara", "k", "example", "org"]);
        assert_eq!(compared("<a href=\"x\">").0, ["a", "href", "x"]);
        let word = compared_parts("files", "file");
        assert_eq!((word, compared_parts("#number", "12.5")), (None, None));
    }

    #[test]
    fn only_spaces_between_words_count_in_code() {
        let folded = |text: &str| {
            let analysis = Analyzer::new(&"en".parse().unwrap()).analyze(text);
            analysis.folded(analysis.words().next().unwrap()).to_owned()
        };
        assert_eq!(folded("`git  pull`"), "`git pull`");
        assert_eq!(folded("`x = 1`"), "`x=1`");
        assert_eq!(folded("`x=1`"), "`x=1`");
        assert_eq!(folded("<br />"), "<br/>");
        assert_eq!(folded("<a  href=\"x\" >"), "<a href=\"x\">");
    }
}
