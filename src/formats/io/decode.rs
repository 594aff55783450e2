//! Decompresses an input and decodes it to UTF-8.
//!
//! Bytes that are illegal in the encoding are decoded as [`ILLEGAL`], which no valid text holds, so that damage can be seen
//! later. Knows nothing of formats.

use std::io::{self, BufRead, BufReader, Read};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use encoding_rs::{Decoder, DecoderResult};
use flate2::bufread::MultiGzDecoder;
use liblzma::bufread::XzDecoder;
use ruzstd::decoding::StreamingDecoder;

use crate::limits::DECODER_BYTES_MAX;

use super::budget::Budget;
use super::charset;

/// Replaces illegal bytes: a noncharacter that XML 1.0 and the validation of units forbid.
pub const ILLEGAL: char = '\u{ffff}';

/// Size of the buffers.
const BUFFER_BYTES: usize = 64 * 1024;
/// Bytes from which the encoding is detected.
const SNIFF_BYTES: usize = 64 * 1024;
/// Bytes that are enough if they leave no doubt, so that slow streams start early.
const SNIFF_EARLY_BYTES: usize = 1_024;

/// State of the raw input while it is read.
#[derive(Debug, Clone, Default)]
pub(crate) struct Source {
    bytes: Arc<AtomicU64>,
    failed: Arc<AtomicBool>,
    encoding_warning: Option<String>,
    /// The expansion budget, if it is packed.
    budget: Option<Budget>,
}

impl Source {
    /// An input that is held in memory as a whole.
    pub(crate) fn of_bytes(bytes: u64) -> Self {
        let source = Self::default();
        source.bytes.store(bytes, Ordering::Relaxed);
        source
    }

    /// Bytes read from the input so far, before decompression.
    pub(crate) fn bytes_read(&self) -> u64 {
        self.bytes.load(Ordering::Relaxed)
    }

    /// The expansion budget; `None` for a file that is not packed.
    pub(crate) fn budget(&self) -> Option<&Budget> {
        self.budget.as_ref()
    }

    /// Charges a row or line of a packed file to its budget.
    pub(crate) fn spend_row(&self) -> io::Result<()> {
        self.budget.as_ref().map_or(Ok(()), Budget::spend_row)
    }

    /// A warning if the file declares another encoding than it has.
    pub(crate) fn encoding_warning(&self) -> Option<&String> {
        self.encoding_warning.as_ref()
    }

    /// Whether reading the input itself failed: an I/O error rather than a fault of the file.
    pub(crate) fn failed(&self) -> bool {
        self.failed.load(Ordering::Relaxed)
    }
}

/// The decoded text of an input.
pub(crate) type Text<'r> = Box<dyn BufRead + Send + 'r>;

/// Opens an input for reading as UTF-8. Statistics prefer Arabic encodings if `arabic`. A file of an archive shares the
/// budget of the archive.
pub(crate) fn open<'r>(
    input: Box<dyn Read + Send + 'r>,
    arabic: bool,
    budget: Option<&Budget>,
) -> io::Result<(Text<'r>, Source)> {
    let mut source = Source { budget: budget.cloned(), ..Source::default() };
    let counted = Counted { input, source: source.clone() };
    let mut raw = BufReader::with_capacity(BUFFER_BYTES, counted);
    let magic = raw.fill_buf()?;
    let mut expanded = |unpacked: Box<dyn Read + Send + 'r>| -> Text<'r> {
        let own = || Budget::new(Arc::clone(&source.bytes));
        let budget = source.budget.get_or_insert_with(own).clone();
        let expanded = Expanded { unpacked, budget, source: source.clone() };
        Box::new(BufReader::with_capacity(BUFFER_BYTES, expanded))
    };
    let plain: Text<'r> = if magic.starts_with(&[0x1f, 0x8b]) {
        expanded(Box::new(MultiGzDecoder::new(raw)))
    } else if magic.starts_with(b"\xfd7zXZ\0") {
        let flags = liblzma::stream::CONCATENATED;
        let stream = liblzma::stream::Stream::new_stream_decoder(DECODER_BYTES_MAX, flags)?;
        expanded(Box::new(XzDecoder::new_stream(raw, stream)))
    } else if magic.starts_with(&ZSTD_MAGIC) {
        expanded(Box::new(Frames { decoder: None, input: Some(raw) }))
    } else {
        Box::new(raw)
    };
    let peeked = Peeked::new(plain);
    let found = charset::find(peeked.head(), arabic);
    source.encoding_warning = found.warning;
    let decoder = found.encoding.new_decoder_with_bom_removal();
    Ok((Box::new(Decoded::new(peeked, decoder)), source))
}

/// The first bytes of a Zstandard frame.
const ZSTD_MAGIC: [u8; 4] = [0x28, 0xb5, 0x2f, 0xfd];

/// Decompresses the frames of a Zstandard file one after the other.
struct Frames<R: Read> {
    decoder: Option<Box<StreamingDecoder<R, ruzstd::decoding::FrameDecoder>>>,
    /// The input between frames.
    input: Option<R>,
}

impl<R: BufRead> Read for Frames<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        loop {
            if let Some(mut input) = self.input.take() {
                if input.fill_buf()?.is_empty() {
                    self.input = Some(input);
                    return Ok(0);
                }
                let decoder = StreamingDecoder::new_with_max_window_size(input, DECODER_BYTES_MAX)
                    .map_err(|error| {
                        io::Error::new(io::ErrorKind::InvalidData, error.to_string())
                    })?;
                self.decoder = Some(Box::new(decoder));
            }
            let Some(decoder) = &mut self.decoder else { return Ok(0) };
            let bytes = decoder.read(buffer)?;
            if bytes > 0 || buffer.is_empty() {
                return Ok(bytes);
            }
            self.input = self.decoder.take().map(|decoder| decoder.into_inner());
        }
    }
}

/// Charges decompressed bytes to a budget, and says what the faults of decoders mean.
struct Expanded<'r> {
    unpacked: Box<dyn Read + Send + 'r>,
    budget: Budget,
    source: Source,
}

impl Read for Expanded<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let bytes = self.unpacked.read(buffer).map_err(|error| match error.kind() {
            io::ErrorKind::Interrupted => error,
            _ if self.source.failed() => error,
            io::ErrorKind::UnexpectedEof => io::Error::new(
                io::ErrorKind::UnexpectedEof,
                "the compressed file breaks off; it was probably not copied whole",
            ),
            kind => io::Error::new(kind, format!("the compressed file is damaged: {error}")),
        })?;
        self.budget.spend(bytes as u64)?;
        Ok(bytes)
    }
}

/// Counts the bytes read and remembers whether reading failed.
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

/// An input whose beginning has been read ahead.
struct Peeked<'r> {
    head: Vec<u8>,
    taken: usize,
    rest: Text<'r>,
}

impl<'r> Peeked<'r> {
    fn new(mut rest: Text<'r>) -> Self {
        let mut head = Vec::new();
        // Checked again only when twice as much is there, because reads may be small.
        let mut enough = SNIFF_EARLY_BYTES;
        while head.len() < SNIFF_BYTES {
            if head.len() >= enough {
                if charset::is_clear(&head) {
                    break;
                }
                enough = 2 * head.len();
            }
            // The error occurs again, and is reported, when the text is read.
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

/// Decodes any encoding to UTF-8.
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
        // Leaves room for the mark of an illegal byte.
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
        let (mut text, _) = open(Box::new(bytes), true, None)?;
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
