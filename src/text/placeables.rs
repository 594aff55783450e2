//! Finds placeables, which are carried over rather than translated: tags, placeholders, addresses, code.
//!
//! Digits may be of any script: `{0}` with an Arabic-Indic digit is still a placeholder. Whether `%20` and `$5` are
//! placeholders depends on the whole text, see [`Numbered`].
//!
//! Any character of a text may open a placeable, so a search for its end stops where the next search would stop too:
//! the time is linear in the length of the text.

use super::chars::beginning;
use super::kinds::TokenKind;
use super::measures;

/// Longest placeable; longer ones are ordinary text. Limits the search for an end.
const PLACEABLE_BYTES_MAX: usize = 1_024;
/// Longest parts of an e-mail address (RFC 5321, 4.5.3.1).
const EMAIL_NAME_BYTES_MAX: usize = 64;
const EMAIL_DOMAIN_BYTES_MAX: usize = 255;

/// Which signs make placeholders of plain digits in a text (`%1`, `$1`) rather than percentages and amounts.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Numbered {
    percent: bool,
    dollar: bool,
}

impl Numbered {
    /// Decides for a whole text.
    pub(super) fn of(text: &str) -> Self {
        Self { percent: counts_up(text, '%'), dollar: counts_up(text, '$') }
    }
}

/// Whether the numbers after a sign count from one without a gap, as placeholders do and percentages and amounts
/// hardly ever.
fn counts_up(text: &str, sign: char) -> bool {
    let mut seen = 0_u128;
    for (at, _) in text.match_indices(sign) {
        let (before, rest) = (&text[..at], &text[at + 1..]);
        let end = rest.find(|it: char| !it.is_ascii_digit()).unwrap_or(rest.len());
        let after = &rest[end..];
        // `50%20`, `%s`, `%1$s`.
        let of_another = before.ends_with(|it: char| it.is_ascii_digit())
            || end == 0
            || after.starts_with(|it: char| it == '$' || it.is_ascii_alphabetic());
        if of_another {
            continue;
        }
        let fraction =
            after.starts_with(['.', ',']) && after[1..].starts_with(|it: char| it.is_ascii_digit());
        let is_amount = match sign {
            '%' => measures::ends_with_rate(before),
            _ => measures::begins_with_scale(after),
        };
        match rest[..end].parse::<u32>() {
            Ok(number) if number < 100 && !fraction && !is_amount => seen |= 1 << number,
            _ => return false,
        }
    }
    let from_one = seen >> 1;
    from_one != 0 && from_one & (from_one + 1) == 0
}

/// The placeable at the start of `rest`: kind and length in bytes. `before` is the character before it.
pub(super) fn placeable(
    rest: &str,
    before: Option<char>,
    numbered: Numbered,
) -> Option<(TokenKind, usize)> {
    let found = |kind, length: Option<usize>| length.map(|length| (kind, length));
    let first = rest.chars().next().map_or(END, shape);
    if first == FOREIGN {
        return None;
    }
    let at = Cursor::new(rest, PLACEABLE_BYTES_MAX);
    match first {
        b'<' => found(TokenKind::Tag, tag(at)),
        b'&' => found(TokenKind::Tag, entity(at)),
        b'{' => found(TokenKind::Placeholder, braces(at)),
        b'%' => found(TokenKind::Placeholder, printf(at, numbered.percent)),
        b'$' => found(TokenKind::Placeholder, dollar(at, numbered.dollar)),
        // A run of backquotes opens code as a whole or not at all (`CommonMark` 0.31, 6.1).
        b'`' if before != Some('`') => found(TokenKind::Code, code_span(at)),
        b'(' if before == Some(']') => found(TokenKind::Url, link_target(at)),
        first
            if first.is_ascii_alphanumeric()
                && !before.is_some_and(|it| it.is_ascii_alphanumeric()) =>
        {
            found(TokenKind::Url, url(at)).or_else(|| found(TokenKind::Email, email(rest)))
        }
        _ => None,
    }
}

/// Reads the start of a text as ASCII. Digits and number signs of any script read as their ASCII shapes, all other
/// characters as [`FOREIGN`].
#[derive(Debug, Clone, Copy)]
struct Cursor<'a> {
    text: &'a str,
    place: usize,
}

/// Neither ASCII nor a digit.
const FOREIGN: u8 = 0x80;
/// End of the text.
const END: u8 = 0;

impl<'a> Cursor<'a> {
    fn new(text: &'a str, bytes_max: usize) -> Self {
        Self { text: beginning(text, bytes_max), place: 0 }
    }

    fn next(&self) -> Option<char> {
        self.text[self.place..].chars().next()
    }

    fn peek(&self) -> u8 {
        self.next().map_or(END, shape)
    }

    fn bump(&mut self) {
        self.place += self.next().map_or(0, char::len_utf8);
    }

    fn eat(&mut self, shape: u8) -> bool {
        let eaten = self.peek() == shape;
        if eaten {
            self.bump();
        }
        eaten
    }

    /// Advances while the shapes fit; returns the number of characters.
    fn skip(&mut self, fits: impl Fn(u8) -> bool) -> usize {
        let mut count = 0;
        while self.place < self.text.len() && fits(self.peek()) {
            self.bump();
            count += 1;
        }
        count
    }
}

fn shape(character: char) -> u8 {
    // The low four bits of a digit are its value.
    let low = u8::try_from(character as u32 & 0x0f).unwrap_or(0);
    match character {
        '\u{1}'..='\u{7f}' => u8::try_from(character).unwrap_or(FOREIGN),
        '\u{660}'..='\u{669}' | '\u{6f0}'..='\u{6f9}' => b'0' + low,
        '\u{66a}' => b'%',
        '\u{66b}' => b'.',
        '\u{66c}' => b',',
        _ => FOREIGN,
    }
}

/// `<b>`, `</b>`, `<br/>`, `<a href="x">`, `<!-- x -->`. Another `<` ends the search, in quotes too, as in XML.
fn tag(mut at: Cursor) -> Option<usize> {
    at.bump();
    if matches!(at.peek(), b'/' | b'!') {
        at.bump();
    }
    if !at.peek().is_ascii_alphabetic() && at.peek() != b'-' {
        return None;
    }
    let (mut quote, mut last) = (None, END);
    loop {
        let shape = at.peek();
        match (quote, shape) {
            (_, END | b'<') => return None,
            (Some(open), _) if shape == open => quote = None,
            (None, b'>') => return Some(at.place + 1),
            (None, b'"' | b'\'') if last == b'=' => quote = Some(shape),
            _ => {}
        }
        last = shape;
        at.bump();
    }
}

/// `&nbsp;`, `&#160;`
fn entity(mut at: Cursor) -> Option<usize> {
    at.bump();
    let length = at.skip(|it| it.is_ascii_alphanumeric() || it == b'#');
    ((2..=32).contains(&length) && at.eat(b';')).then_some(at.place)
}

/// `{0}`, `{name}`, `{0:N2}`, `{{name}}`
fn braces(mut at: Cursor) -> Option<usize> {
    at.bump();
    let double = at.eat(b'{');
    let length = at.skip(|it| {
        it.is_ascii_alphanumeric()
            || matches!(it, b'_' | b'.' | b':' | b'-' | b'#' | b'$' | b'[' | b']' | b',')
    });
    (length > 0 && at.eat(b'}') && (!double || at.eat(b'}'))).then_some(at.place)
}

/// `%s`, `%d`, `%1`, `%1$s`, `%-5.2f`, `%(name)s`, `%@`, `%%`
fn printf(mut at: Cursor, may_be_numbered: bool) -> Option<usize> {
    at.bump();
    let named = at.eat(b'(');
    if named {
        at.skip(|it| it.is_ascii_alphanumeric() || it == b'_');
        if !at.eat(b')') {
            return None;
        }
    }
    // Digits of another script mean a percentage.
    let ascii = at.text.starts_with('%') && at.next().is_some_and(|it| it.is_ascii());
    let digits = at.skip(|it| it.is_ascii_digit());
    let after_digits = at;
    at.skip(|it| it.is_ascii_digit() || matches!(it, b'$' | b'.' | b'-' | b'+' | b'#'));
    at.skip(|it| matches!(it, b'l' | b'h' | b'z'));
    let conversion = at.peek();
    at.bump();
    if b"sdiufgexXcop@%".contains(&conversion) && !at.peek().is_ascii_alphanumeric() {
        return Some(at.place);
    }
    // `%1`, numbered: at most two digits, and nothing after them that would make it something else.
    let numbered = (1..=2).contains(&digits) && !after_digits.peek().is_ascii_alphanumeric();
    (may_be_numbered && ascii && numbered && !named).then_some(after_digits.place)
}

/// `$1`, `${name}`
fn dollar(mut at: Cursor, may_be_numbered: bool) -> Option<usize> {
    at.bump();
    if at.eat(b'{') {
        let length = at.skip(|it| it.is_ascii_alphanumeric() || matches!(it, b'_' | b'.'));
        return (length > 0 && at.eat(b'}')).then_some(at.place);
    }
    let ascii = at.next().is_some_and(|it| it.is_ascii());
    let digits = at.skip(|it| it.is_ascii_digit());
    (may_be_numbered && ascii && (1..=2).contains(&digits)).then_some(at.place)
}

/// Text between two equal runs of backquotes (`CommonMark` 0.31, 6.1).
fn code_span(mut at: Cursor) -> Option<usize> {
    let ticks = at.skip(|it| it == b'`');
    loop {
        if at.skip(|it| it != b'`') == 0 {
            return None;
        }
        if at.skip(|it| it == b'`') == ticks {
            return Some(at.place);
        }
    }
}

/// The `(target)` of a Markdown link, after its `]`. Targets contain no other `]`.
fn link_target(mut at: Cursor) -> Option<usize> {
    at.bump();
    let length = at.skip(|it| !matches!(it, b')' | b' ' | b']'));
    (length > 0 && at.eat(b')')).then_some(at.place)
}

fn url(mut at: Cursor) -> Option<usize> {
    let bytes = at.text.as_bytes();
    if !bytes.first().is_some_and(|it| b"hfmwHFMW".contains(it)) {
        return None;
    }
    let starts = |prefix: &str| {
        bytes.len() > prefix.len() && bytes[..prefix.len()].eq_ignore_ascii_case(prefix.as_bytes())
    };
    if !["http://", "https://", "ftp://", "mailto:", "www."].into_iter().any(starts) {
        return None;
    }
    // Punctuation that ends a sentence is not part of the address; a closing bracket is, if it was opened inside.
    let (mut end, mut opened) = (0, false);
    loop {
        let shape = at.peek();
        let legal = shape.is_ascii_graphic()
            && !matches!(shape, b'<' | b'>' | b'"' | b'`' | b'|' | b'\\' | b'^' | b'{' | b'}');
        if !legal {
            return (end > 0).then_some(end);
        }
        at.bump();
        opened |= shape == b'(';
        match shape {
            b'.' | b',' | b';' | b':' | b'!' | b'?' | b'\'' | b'*' | b']' | b'[' => {}
            b')' if !opened => {}
            _ => end = at.place,
        }
    }
}

fn email(rest: &str) -> Option<usize> {
    let mut at = Cursor::new(rest, EMAIL_NAME_BYTES_MAX + 1);
    let in_name = |it: u8| it.is_ascii_alphanumeric() || matches!(it, b'.' | b'_' | b'-' | b'+');
    // A cheap check first: nearly all words fail it.
    let stop = at.text.bytes().find(|it| !in_name(*it));
    if stop.is_none_or(|it| it.is_ascii() && it != b'@') {
        return None;
    }
    at.skip(in_name);
    if !at.eat(b'@') {
        return None;
    }
    let start = at.place;
    let mut at = Cursor::new(&rest[start..], EMAIL_DOMAIN_BYTES_MAX);
    let (mut end, mut dotted, mut has_dot) = (0, false, false);
    loop {
        let shape = at.peek();
        if !shape.is_ascii_alphanumeric() && !matches!(shape, b'.' | b'-') {
            return (has_dot && end > 0).then_some(start + end);
        }
        at.bump();
        if shape.is_ascii_alphanumeric() {
            has_dot |= dotted;
            end = at.place;
        }
        dotted |= shape == b'.';
    }
}
