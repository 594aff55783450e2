//! What do these bytes say? Takes compression off, finds the encoding, gives UTF-8.
//!
//! Bytes that are not legal in the encoding come out as [`ILLEGAL`], which no text may hold: whoever meets it knows that
//! the input was damaged there. Knows nothing of formats.

use std::io::{self, BufRead, BufReader, Read};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use encoding_rs::{Decoder, DecoderResult, Encoding, UTF_8, UTF_16BE, UTF_16LE};
use flate2::bufread::MultiGzDecoder;
use liblzma::bufread::XzDecoder;

/// Stands for bytes that are not legal: a noncharacter that XML 1.0 and the checks of a unit forbid.
pub const ILLEGAL: char = '\u{ffff}';

/// Decoded bytes kept ready.
const BUFFER_BYTES: usize = 64 * 1024;
/// Bytes looked at to find the encoding.
const SNIFF_BYTES: usize = 1024;

/// What is known of the raw input while it is read.
#[derive(Debug, Clone, Default)]
pub(super) struct Source {
    bytes: Arc<AtomicU64>,
    failed: Arc<AtomicBool>,
}

impl Source {
    /// Bytes taken from the input so far, compressed as they are.
    pub(super) fn bytes_read(&self) -> u64 {
        self.bytes.load(Ordering::Relaxed)
    }

    /// Whether reading the input itself failed: an error of the machine, not of the file.
    pub(super) fn failed(&self) -> bool {
        self.failed.load(Ordering::Relaxed)
    }
}

/// Text of an input.
pub(super) type Text<'r> = Box<dyn BufRead + Send + 'r>;

/// Opens an input for reading as UTF-8.
pub(super) fn open<'r>(input: Box<dyn Read + Send + 'r>) -> io::Result<(Text<'r>, Source)> {
    let source = Source::default();
    let counted = Counted { input, source: source.clone() };
    let mut raw = BufReader::with_capacity(BUFFER_BYTES, counted);
    let magic = raw.fill_buf()?;
    let plain: Text<'r> = if magic.starts_with(&[0x1f, 0x8b]) {
        Box::new(BufReader::with_capacity(BUFFER_BYTES, MultiGzDecoder::new(raw)))
    } else if magic.starts_with(b"\xfd7zXZ\0") {
        Box::new(BufReader::with_capacity(BUFFER_BYTES, XzDecoder::new_multi_decoder(raw)))
    } else {
        Box::new(raw)
    };
    let peeked = Peeked::new(plain);
    let encoding = sniff(peeked.head());
    let decoder = encoding.new_decoder_with_bom_removal();
    Ok((Box::new(Decoded::new(peeked, decoder)), source))
}

/// Counts what is read and remembers whether reading failed.
struct Counted<'r> {
    input: Box<dyn Read + Send + 'r>,
    source: Source,
}

impl Read for Counted<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.input.read(buffer);
        match &read {
            Ok(bytes) => {
                self.source.bytes.fetch_add(*bytes as u64, Ordering::Relaxed);
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(_) => self.source.failed.store(true, Ordering::Relaxed),
        }
        read
    }
}

/// An input whose beginning was looked at.
struct Peeked<'r> {
    head: Vec<u8>,
    taken: usize,
    rest: Text<'r>,
}

impl<'r> Peeked<'r> {
    fn new(mut rest: Text<'r>) -> Self {
        let mut head = Vec::new();
        while head.len() < SNIFF_BYTES {
            // A damaged beginning is met again, and told, when it is read.
            let Ok(bytes) = rest.fill_buf() else { break };
            if bytes.is_empty() {
                break;
            }
            let taken = bytes.len().min(SNIFF_BYTES - head.len());
            head.extend_from_slice(&bytes[..taken]);
            rest.consume(taken);
        }
        Self { head, taken: 0, rest }
    }

    fn head(&self) -> &[u8] {
        &self.head
    }
}

impl Read for Peeked<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.taken == self.head.len() {
            return self.rest.read(buffer);
        }
        let bytes = buffer.len().min(self.head.len() - self.taken);
        buffer[..bytes].copy_from_slice(&self.head[self.taken..self.taken + bytes]);
        self.taken += bytes;
        Ok(bytes)
    }
}

/// The encoding that the first bytes show: a byte-order mark, the zero bytes of UTF-16, an XML declaration; or UTF-8.
fn sniff(head: &[u8]) -> &'static Encoding {
    if let Some((encoding, _)) = Encoding::for_bom(head) {
        return encoding;
    }
    let zeros =
        |start: usize| head.iter().skip(start).step_by(2).filter(|&&byte| byte == 0).count();
    let (even, odd) = (zeros(0), zeros(1));
    // Text of any script has many ASCII spaces and marks; in UTF-16 each brings a zero byte, in UTF-8 none does.
    if odd > even && odd * 8 >= head.len() / 2 {
        return UTF_16LE;
    }
    if even > odd && even * 8 >= head.len() / 2 {
        return UTF_16BE;
    }
    declared(head).unwrap_or(UTF_8)
}

/// What the XML declaration says, unless it cannot be true of bytes that were readable as ASCII so far.
fn declared(head: &[u8]) -> Option<&'static Encoding> {
    let head = &head[..head.len().min(256)];
    let declaration = head.trim_ascii_start().strip_prefix(b"<?xml")?;
    let end = declaration.windows(2).position(|pair| pair == b"?>")?;
    let text = std::str::from_utf8(&declaration[..end]).ok()?;
    let value = text.split_once("encoding")?.1.trim_start().strip_prefix('=')?.trim_start();
    let quote = value.chars().next().filter(|quote| matches!(quote, '"' | '\''))?;
    let label = value[1..].split(quote).next()?;
    // US-ASCII is part of UTF-8; what is beyond it was not meant to be windows-1252.
    if label.eq_ignore_ascii_case("us-ascii") || label.eq_ignore_ascii_case("ascii") {
        return None;
    }
    Encoding::for_label(label.as_bytes()).filter(|it| *it != UTF_16LE && *it != UTF_16BE)
}

/// Bytes of any encoding as UTF-8.
struct Decoded<R> {
    input: BufReader<R>,
    decoder: Decoder,
    output: Vec<u8>,
    taken: usize,
    ended: bool,
}

impl<R: Read> Decoded<R> {
    fn new(input: R, decoder: Decoder) -> Self {
        Self {
            input: BufReader::with_capacity(BUFFER_BYTES, input),
            decoder,
            output: Vec::new(),
            taken: 0,
            ended: false,
        }
    }

    fn refill(&mut self) -> io::Result<()> {
        self.taken = 0;
        self.output.resize(BUFFER_BYTES, 0);
        let mut written = 0;
        // Enough room for one character and the mark of an illegal one.
        while written == 0 && !self.ended {
            let bytes = self.input.fill_buf()?;
            let last = bytes.is_empty();
            let room = &mut self.output[written..BUFFER_BYTES - ILLEGAL.len_utf8()];
            let (result, read, wrote) =
                self.decoder.decode_to_utf8_without_replacement(bytes, room, last);
            self.input.consume(read);
            written += wrote;
            match result {
                DecoderResult::InputEmpty => self.ended = last,
                DecoderResult::OutputFull => {}
                DecoderResult::Malformed(..) => {
                    written += ILLEGAL.encode_utf8(&mut self.output[written..]).len();
                }
            }
        }
        self.output.truncate(written);
        Ok(())
    }
}

impl<R: Read> Read for Decoded<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let available = self.fill_buf()?;
        let bytes = available.len().min(buffer.len());
        buffer[..bytes].copy_from_slice(&available[..bytes]);
        self.consume(bytes);
        Ok(bytes)
    }
}

impl<R: Read> BufRead for Decoded<R> {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        if self.taken == self.output.len() && !self.ended {
            self.refill()?;
        }
        Ok(&self.output[self.taken..])
    }

    fn consume(&mut self, bytes: usize) {
        self.taken += bytes;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(bytes: &[u8]) -> io::Result<String> {
        let (mut text, _) = open(Box::new(bytes))?;
        let mut decoded = String::new();
        text.read_to_string(&mut decoded)?;
        Ok(decoded)
    }

    /// Arabic "salaam" and a tag.
    const TEXT: &str = "<a>\u{633}\u{644}\u{627}\u{645}</a>";

    #[test]
    fn encodings_are_found() {
        let utf_16 = |bom: bool, order: fn(u16) -> [u8; 2]| -> Vec<u8> {
            let units = bom.then_some(0xfeff).into_iter().chain(TEXT.encode_utf16());
            units.flat_map(order).collect()
        };
        assert_eq!(read(TEXT.as_bytes()).unwrap(), TEXT);
        assert_eq!(read(&[b"\xef\xbb\xbf", TEXT.as_bytes()].concat()).unwrap(), TEXT);
        for bom in [true, false] {
            assert_eq!(read(&utf_16(bom, u16::to_le_bytes)).unwrap(), TEXT);
            assert_eq!(read(&utf_16(bom, u16::to_be_bytes)).unwrap(), TEXT);
        }
        let declaration = "<?xml version='1.0' encoding='windows-1256'?>";
        let bytes = [declaration.as_bytes(), b"\xd3\xe1\xc7\xe3"].concat();
        assert!(read(&bytes).unwrap().ends_with("\u{633}\u{644}\u{627}\u{645}"));
        let lie = format!("<?xml version='1.0' encoding='utf-16'?>{TEXT}");
        assert_eq!(read(lie.as_bytes()).unwrap(), lie);
    }

    #[test]
    fn illegal_bytes_are_marked_and_the_rest_is_kept() {
        assert_eq!(read(b"ab\xffcd\xe2\x82").unwrap(), "ab\u{ffff}cd\u{ffff}");
        let long = [b"x".repeat(200_000).as_slice(), b"\xff", &b"y".repeat(200_000)].concat();
        let decoded = read(&long).unwrap();
        assert_eq!(decoded.chars().filter(|&it| it == ILLEGAL).count(), 1);
        assert_eq!(decoded.chars().count(), 400_001);
    }

    #[test]
    fn compression_is_taken_off_by_content() {
        use std::io::Write as _;
        let mut gz = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        gz.write_all(TEXT.as_bytes()).unwrap();
        let gz = gz.finish().unwrap();
        let mut xz = liblzma::write::XzEncoder::new(Vec::new(), 1);
        xz.write_all(TEXT.as_bytes()).unwrap();
        let xz = xz.finish().unwrap();
        assert_eq!(read(&gz).unwrap(), TEXT);
        assert_eq!(read(&xz).unwrap(), TEXT);
        assert_eq!(read(&[gz.as_slice(), &gz].concat()).unwrap(), TEXT.repeat(2));
        for cut in [&gz, &xz] {
            assert!(read(&cut[..cut.len() - 4]).is_err());
        }
    }
}
