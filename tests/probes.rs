//! What must hold whatever comes in? One function a reader, for the short run of the tests and for the fuzz targets in `fuzz`.
//!
//! Each takes any bytes: nothing may panic, hang or take memory without end, and what is accepted must be right.

use std::io::Cursor;

use dhakira::engine::backup;
use dhakira::formats::{self, Event, Format, ReadOptions};
use dhakira::grpc::access::RULES;
use dhakira::grpc::decoded_size::measure;
use dhakira::grpc::read_any_page_token;
use dhakira::limits::{DECODED_FACTOR_MAX, DECODED_FREE_BYTES};
use dhakira::matching::{ArrayReader, MemoryIndex};
use dhakira::store::read_any_record;
use dhakira::text::{Analyzer, SentenceOptions, SentenceRules};
use dhakira::unit::Lang;
use dhakira::validate::validate_content;
use xxhash_rust::xxh3::xxh3_64;

fn lang(text: &str) -> Lang {
    text.parse().unwrap()
}

/// A file of a format: units that pass the rules or diagnostics that say why not, and then an end.
pub(crate) fn exchange_file(format: Option<Format>, bytes: &[u8]) {
    let options = ReadOptions { format, ..ReadOptions::new(lang("ar"), lang("en"), "any") };
    let Ok(reader) = formats::open(Box::new(Cursor::new(bytes.to_vec())), &options) else { return };
    for event in reader {
        match event {
            Ok(Event::Unit(unit)) => assert!(validate_content(&unit.content).is_ok()),
            Ok(other) => assert!(other.diagnostic().is_some_and(|it| !it.message.is_empty())),
            Err(_) => break,
        }
    }
}

/// A record of the store, with and without a checksum that agrees.
pub(crate) fn record(bytes: &[u8]) {
    assert!(read_any_record(bytes), "a record that was read is another one when it is written");
}

/// A page token.
pub(crate) fn page_token(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    assert_ne!(read_any_page_token(&text), Some(false));
}

/// A message of any request: measured and looked through, it takes no more memory than its length allows.
pub(crate) fn message(bytes: &[u8]) {
    for (number, rule) in RULES.iter().enumerate() {
        let most = bytes.len() * DECODED_FACTOR_MAX + DECODED_FREE_BYTES;
        assert!(measure(number, bytes).map_or(true, |decoded| decoded <= most));
        let _ = rule.resources(bytes);
    }
}

/// A checkpoint of an index, with and without a checksum that agrees.
pub(crate) fn checkpoint(bytes: &[u8]) {
    let _ = MemoryIndex::read(ArrayReader::new(bytes, bytes.len() as u64));
    let sealed = [bytes, &xxh3_64(bytes).to_le_bytes()].concat();
    let _ = MemoryIndex::read(ArrayReader::new(&sealed[..], sealed.len() as u64));
}

/// A part of a backup.
pub(crate) fn backup_part(bytes: &[u8]) {
    let _ = backup::read_any(bytes);
    let behind_magic = [b"dhakira backup 1\n", bytes].concat();
    let _ = backup::read_any(&behind_magic);
}

/// A text: tokens in order that lie on whole characters, sentences that are the text when they are joined.
pub(crate) fn text_forms(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    for language in ["ar", "en", "fr"] {
        let language = lang(language);
        let analysis = Analyzer::new(&language).analyze(&text);
        let mut end = 0;
        for token in analysis.tokens() {
            let span = analysis.span(token);
            assert!(span.start >= end && text.get(span.clone()).is_some(), "{span:?}");
            end = span.start;
            let _ = (analysis.folded(token), analysis.class(token), analysis.value(token));
        }
        assert_eq!(analysis.gaps().len(), analysis.words().count() + 1);
        for wrapped_lines in [false, true] {
            let options = SentenceOptions { wrapped_lines, ..SentenceOptions::default() };
            let sentences = SentenceRules::new(&language).split(&text, options);
            let pieces = sentences.iter().map(|it| &text[it.piece.clone()]);
            assert_eq!(pieces.collect::<String>(), text);
        }
    }
}

/// A workbook whose parts are the given bytes, parted by zeros: a sheet, shared strings, styles, the list of sheets, relations.
pub(crate) fn workbook(bytes: &[u8]) {
    const NAMES: [&str; 5] = [
        "xl/worksheets/sheet1.xml",
        "xl/sharedStrings.xml",
        "xl/styles.xml",
        "xl/workbook.xml",
        "xl/_rels/workbook.xml.rels",
    ];
    let mut parts = bytes.split(|&byte| byte == 0).chain(std::iter::repeat(&b""[..]));
    let files = NAMES.map(|name| (name, parts.next().unwrap_or_default()));
    exchange_file(None, &stored_zip(&files));
}

/// A ZIP archive of files that are not packed.
fn stored_zip(files: &[(&str, &[u8])]) -> Vec<u8> {
    let (mut archive, mut directory) = (Vec::new(), Vec::new());
    let four = |number: usize| u32::try_from(number).unwrap().to_le_bytes();
    for (name, content) in files {
        let length = four(content.len());
        let mut fields = vec![20, 0, 0, 0, 0, 0, 0, 0, 0, 0];
        fields.extend([crc_32(content).to_le_bytes(), length, length].concat());
        fields.extend([&four(name.len())[..2], &[0, 0]].concat());
        let offset = four(archive.len());
        archive.extend([b"PK\x03\x04", &fields[..], name.as_bytes(), content].concat());
        directory.extend([b"PK\x01\x02\x14\x00", &fields[..], &[0; 10], &offset].concat());
        directory.extend(name.as_bytes());
    }
    let start = four(archive.len());
    let count = &four(files.len())[..2];
    let length = four(directory.len());
    archive.extend(directory);
    archive.extend([b"PK\x05\x06\0\0\0\0", count, count, &length, &start, &[0, 0]].concat());
    archive
}

fn crc_32(bytes: &[u8]) -> u32 {
    let step = |crc: u32| if crc & 1 == 1 { crc >> 1 ^ 0xedb8_8320 } else { crc >> 1 };
    !bytes.iter().fold(!0, |crc, &byte| (0..8).fold(crc ^ u32::from(byte), |crc, _| step(crc)))
}
