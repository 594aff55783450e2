//! Resolves references, unescapes attribute values, and escapes text.
//!
//! Entities of a DTD are never expanded. The entities of HTML are, because files use them everywhere.

use super::raw::html_entity;

/// The meaning of a reference between `&` and `;`.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Reference {
    Character(char),
    /// A surrogate, written by programs that take UTF-16 units for characters.
    Surrogate(u16),
    /// One of the five entities that need no declaration.
    Predefined(&'static str),
    /// An entity of HTML.
    Html(&'static str),
    /// A number that is not a character, or an undefined entity.
    Unknown,
    /// Not a reference: the `&` is text.
    None,
}

impl Reference {
    pub(crate) fn of(name: &str) -> Self {
        if let Some(number) = name.strip_prefix('#') {
            return Self::of_number(number);
        }
        if let Some(text) = predefined(name) {
            return Self::Predefined(text);
        }
        let is_name = name.starts_with(|first: char| first.is_alphabetic() || first == '_')
            && !name.contains(|it: char| it.is_whitespace() || it.is_control());
        match html_entity(name) {
            Some(text) => Self::Html(text),
            None if is_name => Self::Unknown,
            None => Self::None,
        }
    }

    fn of_number(number: &str) -> Self {
        let (digits, radix) = match number.strip_prefix(['x', 'X']) {
            Some(digits) => (digits, 16),
            None => (number, 10),
        };
        if digits.is_empty() || !digits.chars().all(|digit| digit.is_digit(radix)) {
            return Self::None;
        }
        match u32::from_str_radix(digits, radix) {
            Ok(code) => match (char::from_u32(code), u16::try_from(code)) {
                (Some(character), _) => Self::Character(character),
                (None, Ok(surrogate)) => Self::Surrogate(surrogate),
                (None, Err(_)) => Self::Unknown,
            },
            Err(_) => Self::Unknown,
        }
    }
}

/// The character of a surrogate pair.
pub(crate) fn joined(high: u16, low: u16) -> Option<char> {
    char::decode_utf16([high, low]).next()?.ok()
}

/// The five entities that need no declaration.
fn predefined(name: &str) -> Option<&'static str> {
    Some(match name {
        "amp" => "&",
        "lt" => "<",
        "gt" => ">",
        "quot" => "\"",
        "apos" => "'",
        _ => return None,
    })
}

/// Longest reference in an attribute value; the longest name of HTML has 31 bytes.
const REFERENCE_BYTES_MAX: usize = 48;

/// The reference at the beginning of a text, and its bytes; `None` if the `&` is text.
fn reference(text: &str) -> Option<(Reference, usize)> {
    if !text.starts_with('&') {
        return None;
    }
    let end = text.bytes().take(REFERENCE_BYTES_MAX).position(|byte| byte == b';')?;
    let reference = Reference::of(&text[1..end]);
    (!matches!(reference, Reference::None)).then_some((reference, end + 1))
}

/// Unescapes the value of an attribute: resolves references, and normalizes white space (XML 1.0, section 3.3.3). Unknown
/// references are kept as written.
pub(crate) fn unescape(raw: &str) -> String {
    let mut text = String::with_capacity(raw.len());
    let mut rest = raw;
    while let Some(place) = rest.find(['&', '\t', '\n', '\r']) {
        text.push_str(&rest[..place]);
        rest = &rest[place..];
        if !rest.starts_with('&') {
            let newline = if rest.starts_with("\r\n") { 2 } else { 1 };
            text.push(' ');
            rest = &rest[newline..];
            continue;
        }
        let (found, mut bytes) = reference(rest).unwrap_or((Reference::None, 1));
        match found {
            Reference::Character(character) => text.push(character),
            Reference::Predefined(known) | Reference::Html(known) => text.push_str(known),
            Reference::Surrogate(high) => match reference(&rest[bytes..]) {
                Some((Reference::Surrogate(low), more)) if joined(high, low).is_some() => {
                    bytes += more;
                    text.extend(joined(high, low));
                }
                _ => text.push_str(&rest[..bytes]),
            },
            Reference::Unknown | Reference::None => text.push_str(&rest[..bytes]),
        }
        rest = &rest[bytes..];
    }
    text.push_str(rest);
    text
}

/// Displays a text escaped for elements and attributes, so that it is read back exactly. Characters that XML cannot hold, which
/// rejected units may have, become U+FFFD.
pub(crate) struct Escaped<'a>(pub(crate) &'a str);

/// The first byte of U+FFFE and U+FFFF, and of many characters that XML can hold.
const NONCHARACTER: u8 = 0xef;

/// Whether a byte may need escaping. Branch-free, so that loops over it are vectorized.
#[expect(clippy::needless_bitwise_bool)]
fn is_special(byte: u8) -> bool {
    (byte < b' ')
        | (byte == b'&')
        | (byte == b'<')
        | (byte == b'>')
        | (byte == b'"')
        | (byte == NONCHARACTER)
}

/// The place of the first special byte at or after `from`.
fn next_special(bytes: &[u8], from: usize) -> Option<usize> {
    const TOGETHER: usize = 32;
    let mut place = from;
    while let Some(some) = bytes.get(place..place + TOGETHER)
        && !some.iter().fold(false, |found, &byte| found | is_special(byte))
    {
        place += TOGETHER;
    }
    bytes[place..].iter().position(|&byte| is_special(byte)).map(|ahead| place + ahead)
}

impl std::fmt::Display for Escaped<'_> {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let (text, bytes) = (self.0, self.0.as_bytes());
        let (mut written, mut seen) = (0, 0);
        while let Some(place) = next_special(bytes, seen) {
            let (instead, length) = match bytes[place] {
                b'&' => ("&amp;", 1),
                b'<' => ("&lt;", 1),
                b'>' => ("&gt;", 1),
                b'"' => ("&quot;", 1),
                b'\t' => ("&#9;", 1),
                b'\n' => ("&#10;", 1),
                b'\r' => ("&#13;", 1),
                NONCHARACTER if !matches!(bytes[place + 1..], [0xbf, 0xbe | 0xbf, ..]) => {
                    seen = place + 1;
                    continue;
                }
                NONCHARACTER => ("\u{fffd}", 3),
                _ => ("\u{fffd}", 1),
            };
            out.write_str(&text[written..place])?;
            out.write_str(instead)?;
            written = place + length;
            seen = written;
        }
        out.write_str(&text[written..])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_keeps_what_is_no_reference() {
        for (raw, value) in [
            ("R&D team", "R&D team"),
            ("R&nbsp;D", "R\u{a0}D"),
            ("a&amp;b &lt;&#66;&#x43;", "a&b <BC"),
            ("&#55357;&#56832;|&#xD83D;&#xDE00;", "\u{1f600}|\u{1f600}"),
            ("&#55357;|&#56832;&#55357;", "&#55357;|&#56832;&#55357;"),
            ("&#x110000;&#99999999999;", "&#x110000;&#99999999999;"),
            ("&foo;&;&#;&# 5;&", "&foo;&;&#;&# 5;&"),
            ("a\tb\r\nc", "a b c"),
        ] {
            assert_eq!(unescape(raw), value, "{raw}");
        }
    }

    #[test]
    fn what_is_escaped_is_what_it_would_be_one_character_after_the_other() {
        let one = |character: char| match character {
            '&' => "&amp;".to_owned(),
            '<' => "&lt;".to_owned(),
            '>' => "&gt;".to_owned(),
            '"' => "&quot;".to_owned(),
            '\t' | '\n' | '\r' => format!("&#{};", u32::from(character)),
            '\u{fffe}' | '\u{ffff}' | '\0'..' ' => "\u{fffd}".to_owned(),
            other => other.to_string(),
        };
        let characters = "\u{ffff}a&\u{fffe}<\u{fefb}>\u{fffd}\"'\t\u{0}\u{1f}\r\n\u{633}\u{1f600}\u{efff} \u{7f}";
        let all: Vec<char> = characters.chars().collect();
        for plain in [0, 1, 31, 32, 33, 70] {
            let plain = "x".repeat(plain);
            for from in 0..all.len() {
                for to in from..=all.len() {
                    let text: String = all[from..to].iter().collect();
                    let slow: String = all[from..to].iter().map(|&it| one(it)).collect();
                    let (text, slow) =
                        (format!("{plain}{text}{plain}"), format!("{plain}{slow}{plain}"));
                    assert_eq!(Escaped(&text).to_string(), slow);
                }
            }
        }
    }
}
