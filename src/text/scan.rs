//! Where do tokens begin and end? Placeables first, then numbers and words.
//!
//! Words follow UAX #29 with Arabic rules on top: marks stay with their word, and digits part from Arabic letters. Works on
//! canonical text; knows nothing of forms.

use super::TokenKind;
use super::canonical::is_mark;
use super::stem::is_arabic_letter;

/// The token at the beginning of `rest`, which is not white space: its kind and length in bytes. `before` is the
/// character before it.
pub(super) fn token(rest: &str, before: Option<char>) -> (TokenKind, usize) {
    let first = rest.chars().next().unwrap_or(' ');
    if let Some(found) = placeable(rest, first, before) {
        return found;
    }
    if is_digit(first) {
        return number(rest);
    }
    if is_word(first) {
        return word(rest);
    }
    if is_sign(first) && !before.is_some_and(is_word) {
        // A sign belongs to the number after it, a currency sign too.
        let sign = first.len_utf8();
        if rest[sign..].chars().next().is_some_and(is_digit) && first != '%' {
            let (kind, length) = number(&rest[sign..]);
            let kind = if is_currency(first) && kind == TokenKind::Number {
                TokenKind::Currency
            } else {
                kind
            };
            if kind != TokenKind::Word {
                return (kind, sign + length);
            }
        }
    }
    (TokenKind::Punctuation, first.len_utf8())
}

fn placeable(rest: &str, first: char, before: Option<char>) -> Option<(TokenKind, usize)> {
    let found = |kind, length: Option<usize>| length.map(|length| (kind, length));
    match first {
        '<' => found(TokenKind::Tag, tag(rest)),
        '{' => found(TokenKind::Placeholder, braces(rest)),
        '%' => found(TokenKind::Placeholder, printf(rest)),
        '$' => found(TokenKind::Placeholder, dollar(rest)),
        '`' => found(TokenKind::Code, code_span(rest)),
        '&' => found(TokenKind::Tag, entity(rest)),
        '(' if before == Some(']') => found(TokenKind::Url, link_target(rest)),
        _ if first.is_ascii_alphanumeric()
            && !before.is_some_and(|it| it.is_ascii_alphanumeric()) =>
        {
            found(TokenKind::Url, url(rest)).or_else(|| found(TokenKind::Email, email(rest)))
        }
        _ => None,
    }
}

/// Longest placeable: what is longer is text. Keeps the search for its end short, whatever the text, and a stray
/// backquote from swallowing a paragraph.
const PLACEABLE_BYTES_MAX: usize = 1_024;

/// The beginning of a text in which the end of a placeable is looked for.
fn window(rest: &str) -> &[u8] {
    &rest.as_bytes()[..rest.len().min(PLACEABLE_BYTES_MAX)]
}

/// `<b>`, `</b>`, `<br/>`, `<a href="x">`, `<!-- x -->`
fn tag(rest: &str) -> Option<usize> {
    let bytes = window(rest);
    let named = match bytes.get(1)? {
        b'/' | b'!' => bytes.get(2)?,
        other => other,
    };
    if !named.is_ascii_alphabetic() && *named != b'-' {
        return None;
    }
    let mut quote = None;
    for (place, &byte) in bytes.iter().enumerate().skip(1) {
        match (quote, byte) {
            (Some(open), _) if byte == open => quote = None,
            (None, b'>') => return Some(place + 1),
            (None, b'<') => return None,
            (None, b'"' | b'\'') if bytes[place - 1] == b'=' => quote = Some(byte),
            _ => {}
        }
    }
    None
}

/// `{0}`, `{name}`, `{0:N2}`, `{{name}}`, `{{PLURAL:$1|a|b}}` only as far as its name.
fn braces(rest: &str) -> Option<usize> {
    let bytes = window(rest);
    let double = bytes.get(1) == Some(&b'{');
    let start = if double { 2 } else { 1 };
    let body = bytes[start..].iter().take_while(|byte| {
        byte.is_ascii_alphanumeric()
            || matches!(byte, b'_' | b'.' | b':' | b'-' | b'#' | b'$' | b'[' | b']')
    });
    let end = start + body.count();
    let close: &[u8] = if double { b"}}" } else { b"}" };
    (end > start && bytes[end..].starts_with(close)).then_some(end + close.len())
}

/// `%s`, `%d`, `%1$s`, `%-5.2f`, `%(name)s`, `%@`, `%%`
fn printf(rest: &str) -> Option<usize> {
    let bytes = window(rest);
    let mut place = 1;
    if bytes.get(1) == Some(&b'(') {
        let name =
            bytes[2..].iter().take_while(|byte| byte.is_ascii_alphanumeric() || **byte == b'_');
        place = 2 + name.count();
        if bytes.get(place) != Some(&b')') {
            return None;
        }
        place += 1;
    }
    while bytes.get(place).is_some_and(|byte| {
        byte.is_ascii_digit() || matches!(byte, b'$' | b'.' | b'-' | b'+' | b'#')
    }) {
        place += 1;
    }
    while bytes.get(place).is_some_and(|byte| matches!(byte, b'l' | b'h' | b'z')) {
        place += 1;
    }
    let conversion = bytes.get(place)?;
    let ends = !bytes.get(place + 1).is_some_and(u8::is_ascii_alphanumeric);
    let known = matches!(
        conversion,
        b's' | b'd'
            | b'i'
            | b'u'
            | b'f'
            | b'g'
            | b'e'
            | b'x'
            | b'X'
            | b'c'
            | b'o'
            | b'p'
            | b'@'
            | b'%'
    );
    (known && ends).then_some(place + 1)
}

/// `$1`, `${name}`, `$name$`
fn dollar(rest: &str) -> Option<usize> {
    let bytes = window(rest);
    if bytes.get(1) == Some(&b'{') {
        let name = bytes[2..]
            .iter()
            .take_while(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'.'));
        let end = 2 + name.count();
        return (end > 2 && bytes.get(end) == Some(&b'}')).then_some(end + 1);
    }
    let digit = bytes.get(1)?.is_ascii_digit();
    // `$1` is a placeholder, `$12.50` and `$100` are money.
    (digit
        && !bytes.get(2).is_some_and(|byte| byte.is_ascii_digit() || matches!(byte, b'.' | b',')))
    .then_some(2)
}

/// A stretch between backquotes.
fn code_span(rest: &str) -> Option<usize> {
    let bytes = window(rest);
    let ticks = bytes.iter().take_while(|byte| **byte == b'`').count();
    let close = &bytes[..ticks];
    let inside = bytes[ticks..].windows(ticks).position(|window| window == close)?;
    (inside > 0).then_some(ticks + inside + ticks)
}

/// `&nbsp;`, `&#160;`
fn entity(rest: &str) -> Option<usize> {
    let bytes = window(rest);
    let name = bytes[1..]
        .iter()
        .take(32)
        .take_while(|byte| byte.is_ascii_alphanumeric() || **byte == b'#');
    let end = 1 + name.count();
    (end > 2 && bytes.get(end) == Some(&b';')).then_some(end + 1)
}

/// The `(target)` of a Markdown link, after its `]`.
fn link_target(rest: &str) -> Option<usize> {
    let bytes = window(rest);
    let end = bytes.iter().position(|byte| matches!(byte, b')' | b' '))?;
    (bytes[end] == b')' && end > 1).then_some(end + 1)
}

fn url(rest: &str) -> Option<usize> {
    let bytes = window(rest);
    let starts = |prefix: &str| {
        bytes.len() > prefix.len() && bytes[..prefix.len()].eq_ignore_ascii_case(prefix.as_bytes())
    };
    if !["http://", "https://", "ftp://", "mailto:", "www."].into_iter().any(starts) {
        return None;
    }
    let legal = |byte: u8| {
        byte.is_ascii_graphic()
            && !matches!(byte, b'<' | b'>' | b'"' | b'`' | b'|' | b'\\' | b'^' | b'{' | b'}')
    };
    let mut end = bytes.iter().take_while(|byte| legal(**byte)).count();
    // What ends a sentence does not belong to the address; a bracket only if it opened inside of it.
    while let Some(last) = bytes[..end].last() {
        let opened = bytes[..end].contains(&b'(');
        match last {
            b'.' | b',' | b';' | b':' | b'!' | b'?' | b'\'' | b'*' | b']' | b'[' => end -= 1,
            b')' if !opened => end -= 1,
            _ => break,
        }
    }
    Some(end)
}

fn email(rest: &str) -> Option<usize> {
    let bytes = &rest.as_bytes()[..rest.len().min(320)];
    let local = bytes.iter().take_while(|byte| {
        byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'-' | b'+')
    });
    let at = local.count();
    if bytes.get(at) != Some(&b'@') {
        return None;
    }
    let domain = bytes[at + 1..]
        .iter()
        .take_while(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-'));
    let mut end = at + 1 + domain.count();
    while end > at + 1 && matches!(bytes[end - 1], b'.' | b'-') {
        end -= 1;
    }
    bytes[at + 1..end].contains(&b'.').then_some(end)
}

/// A number with its separators, a date, a percentage, an amount; digits that go on as Latin letters are a word.
fn number(rest: &str) -> (TokenKind, usize) {
    let mut end = 0;
    let mut slashes = 0;
    let mut characters = rest.char_indices().peekable();
    while let Some((place, character)) = characters.next() {
        if is_digit(character) {
            end = place + character.len_utf8();
            continue;
        }
        let digit_follows = characters.peek().is_some_and(|(_, next)| is_digit(*next));
        match character {
            '.' | ',' | ':' | '\u{66b}' | '\u{66c}' if digit_follows => {}
            '/' | '-' if digit_follows => slashes += 1,
            _ if is_word(character) && !is_arabic_letter(character) && !is_mark(character) => {
                return word(rest);
            }
            _ => break,
        }
    }
    let digits = &rest[..end];
    let kind = if slashes == 2 && digits.chars().count() <= 10 {
        TokenKind::Date
    } else {
        TokenKind::Number
    };
    let (kind, end) = match rest[end..].chars().next() {
        Some(sign @ ('%' | '\u{66a}')) => (TokenKind::Percent, end + sign.len_utf8()),
        Some(sign) if is_currency(sign) && kind == TokenKind::Number => {
            (TokenKind::Currency, end + sign.len_utf8())
        }
        _ => (kind, end),
    };
    (kind, end)
}

fn word(rest: &str) -> (TokenKind, usize) {
    let mut end = 0;
    let mut last = ' ';
    let mut characters = rest.char_indices().peekable();
    while let Some((place, character)) = characters.next() {
        let next = characters.peek().map(|(_, next)| *next);
        if is_word(character) || is_digit(character) {
            // Digits part from Arabic letters: wa-21, 10wa.
            let parts = is_digit(character) && is_arabic_letter(last)
                || is_arabic_letter(character) && is_digit(last);
            if place > 0 && (parts || is_ideograph(character) || is_ideograph(last)) {
                break;
            }
            end = place + character.len_utf8();
            if !is_mark(character) && !is_joiner(character) {
                last = character;
            }
            continue;
        }
        // UAX #29: MidLetter and MidNumLet between letters, MidNum between digits.
        let joins = match character {
            '\'' | '\u{2019}' | '.' | '\u{b7}' => {
                last.is_alphabetic()
                    && next.is_some_and(char::is_alphabetic)
                    && !is_arabic_letter(last)
                    && !next.is_some_and(is_arabic_letter)
                    || is_digit(last) && next.is_some_and(is_digit)
            }
            _ => false,
        };
        if !joins {
            break;
        }
    }
    (TokenKind::Word, end)
}

fn is_digit(character: char) -> bool {
    matches!(character, '0'..='9' | '\u{660}'..='\u{669}' | '\u{6f0}'..='\u{6f9}')
}

fn is_word(character: char) -> bool {
    match character {
        '\0'..='\u{7f}' => character.is_ascii_alphabetic() || character == '_',
        // The letters of the Arabic script first: the tables of the standard library are slow there.
        '\u{620}'..='\u{65f}' => true,
        _ => {
            character.is_alphanumeric() && !is_digit(character)
                || is_mark(character)
                || is_joiner(character)
                || is_other_mark(character)
        }
    }
}

fn is_joiner(character: char) -> bool {
    matches!(character, '\u{200c}' | '\u{200d}')
}

/// Combining marks of other scripts, as far as they stand in blocks of their own.
fn is_other_mark(character: char) -> bool {
    matches!(character, '\u{300}'..='\u{36f}' | '\u{591}'..='\u{5bd}' | '\u{1ab0}'..='\u{1aff}' | '\u{20d0}'..='\u{20ff}')
}

/// Scripts written without spaces: each character is a token, as UAX #29 has it.
fn is_ideograph(character: char) -> bool {
    matches!(character, '\u{3040}'..='\u{30ff}' | '\u{3400}'..='\u{4dbf}' | '\u{4e00}'..='\u{9fff}' | '\u{20000}'..='\u{3ffff}')
}

fn is_sign(character: char) -> bool {
    matches!(character, '-' | '+' | '\u{2212}') || is_currency(character)
}

fn is_currency(character: char) -> bool {
    matches!(character, '$' | '\u{a2}'..='\u{a5}' | '\u{20a0}'..='\u{20c0}' | '\u{fdfc}' | '\u{60b}')
}
