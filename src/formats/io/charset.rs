//! Detects the encoding of a file by a byte-order mark, by validity, by its declaration, or by statistics.

use chardetng::{EncodingDetector, Iso2022JpDetection, Utf8Detection};
use encoding_rs::{Encoding, UTF_8, UTF_16BE, UTF_16LE};

use super::head;

/// Bytes beyond ASCII that statistics need at least.
const GUESS_BYTES_MIN: usize = 4;

/// The detected encoding of a file.
#[derive(Debug)]
pub(crate) struct Found {
    pub(crate) encoding: &'static Encoding,
    /// A warning if the file declares another encoding.
    pub(crate) warning: Option<String>,
}

/// Detects the encoding by the beginning of a file: a byte-order mark, the zero bytes of UTF-16, UTF-8 if the bytes are valid,
/// the declared encoding, or the most probable one. Statistics prefer Arabic if `arabic`.
pub(crate) fn find(head: &[u8], arabic: bool) -> Found {
    let declared = declared(head);
    let encoding = encoding(head, declared.as_ref().map(|(encoding, _)| *encoding), arabic);
    let warning = declared
        .filter(|(it, _)| *it != encoding && !head.is_ascii() && !both_utf_16(it, encoding))
        .map(|(_, label)| {
            format!(
                "the file says that it is in {label}, but it is in {}; it is read as that",
                encoding.name()
            )
        });
    Found { encoding, warning }
}

/// Characters beyond ASCII that are not valid UTF-8 by chance.
const CLEAR_CHARACTERS: usize = 32;

/// Whether this beginning proves that the file is UTF-8 and reveals its format: it holds a whole line or, in XML, the root
/// element.
pub(crate) fn is_clear(head: &[u8]) -> bool {
    let (legal, illegal) = sequences(head);
    let text = head.strip_prefix(b"\xef\xbb\xbf").unwrap_or(head).trim_ascii_start();
    let begun = match text.first() {
        Some(b'<') => head::has_root(text),
        // Comments of a message catalog, or of anything.
        Some(b'#') | None => false,
        Some(_) => text.contains(&b'\n'),
    };
    legal >= CLEAR_CHARACTERS && illegal == 0 && begun && !head.contains(&0)
}

fn both_utf_16(declared: &'static Encoding, found: &'static Encoding) -> bool {
    let utf_16 = |it| it == UTF_16LE || it == UTF_16BE;
    utf_16(declared) && utf_16(found)
}

fn encoding(head: &[u8], declared: Option<&'static Encoding>, arabic: bool) -> &'static Encoding {
    if let Some((encoding, _)) = Encoding::for_bom(head) {
        return encoding;
    }
    let zeros =
        |start: usize| head.iter().skip(start).step_by(2).filter(|&&byte| byte == 0).count();
    let (even, odd) = (zeros(0), zeros(1));
    // Text of any script has many ASCII spaces and marks, each with a zero byte in UTF-16 and without one in UTF-8.
    if odd > even && odd * 8 >= head.len() / 2 {
        return UTF_16LE;
    }
    if even > odd && even * 8 >= head.len() / 2 {
        return UTF_16BE;
    }
    // UTF-16 would have been detected above.
    let declared = declared.filter(|it| *it != UTF_16LE && *it != UTF_16BE);
    if head.is_ascii() {
        return declared.unwrap_or(UTF_8);
    }
    let (legal, illegal) = sequences(head);
    // A few damaged bytes do not make it another encoding.
    if legal > 0 && illegal * 4 <= legal {
        return UTF_8;
    }
    match declared {
        Some(declared) if declared != UTF_8 => declared,
        // Too few to tell an encoding from damage: such bytes are marked, and their units rejected.
        _ if illegal < GUESS_BYTES_MIN => UTF_8,
        _ => guess(head, arabic),
    }
}

/// Counts multi-byte sequences that are legal UTF-8, and those that are not.
fn sequences(head: &[u8]) -> (usize, usize) {
    let (mut legal, mut illegal, mut rest) = (0, 0, head);
    loop {
        let (valid, bad) = match std::str::from_utf8(rest) {
            Ok(_) => (rest.len(), 0),
            // The end may split a character.
            Err(error) => (error.valid_up_to(), error.error_len().unwrap_or(0)),
        };
        legal += rest[..valid].iter().filter(|&&byte| byte >= 0xc0).count();
        if bad == 0 {
            return (legal, illegal);
        }
        illegal += 1;
        rest = &rest[valid + bad..];
    }
}

fn guess(head: &[u8], arabic: bool) -> &'static Encoding {
    let mut detector = EncodingDetector::new(Iso2022JpDetection::Deny);
    detector.feed(head, false);
    // The detector takes a country domain as a hint of the language.
    detector.guess(arabic.then_some(&b"sa"[..]), Utf8Detection::Deny)
}

/// The encoding that an XML declaration or the header of a message catalog declares.
fn declared(head: &[u8]) -> Option<(&'static Encoding, String)> {
    let label = xml_label(head).or_else(|| po_label(head))?;
    // US-ASCII is part of UTF-8; encoding_rs would read it as windows-1252.
    if label.eq_ignore_ascii_case("us-ascii") || label.eq_ignore_ascii_case("ascii") {
        return None;
    }
    Some((Encoding::for_label(label.as_bytes())?, label))
}

fn xml_label(head: &[u8]) -> Option<String> {
    let head = &head[..head.len().min(256)];
    // In UTF-16, every other byte of a declaration is zero.
    let ascii: Vec<u8> =
        head.iter().copied().filter(|&byte| byte != 0 && byte.is_ascii()).collect();
    let declaration = ascii.trim_ascii_start().strip_prefix(b"<?xml")?;
    let end = declaration.windows(2).position(|pair| pair == b"?>")?;
    let text = std::str::from_utf8(&declaration[..end]).ok()?;
    let value = text.split_once("encoding")?.1.trim_start().strip_prefix('=')?.trim_start();
    let quote = value.chars().next().filter(|quote| matches!(quote, '"' | '\''))?;
    value[1..].split(quote).next().map(str::to_owned)
}

fn po_label(head: &[u8]) -> Option<String> {
    const NAME: &[u8] = b"Content-Type: text/plain; charset=";
    head.windows(6).position(|it| it == b"msgid ")?;
    let start = head.windows(NAME.len()).position(|it| it == NAME)? + NAME.len();
    let label: Vec<u8> = head[start..]
        .iter()
        .copied()
        .take_while(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(byte))
        .collect();
    String::from_utf8(label).ok()
}
