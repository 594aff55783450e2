//! Archives and packed files: what is inside is read, and what blows up is refused.

use std::io::Cursor;

use dhakira::formats::{self, Event, Format};

use crate::formats_exchange::{options, read};

/// A ZIP archive of deflated files.
pub(crate) fn zip(files: &[(&str, &[u8])]) -> Vec<u8> {
    use std::io::Write as _;
    let (mut archive, mut directory) = (Vec::new(), Vec::new());
    for (name, content) in files {
        let mut packer =
            flate2::write::DeflateEncoder::new(Vec::new(), flate2::Compression::best());
        packer.write_all(content).unwrap();
        let packed = packer.finish().unwrap();
        let mut crc = flate2::Crc::new();
        crc.update(content);
        let mut fields = vec![20, 0, 0, 0, 8, 0, 0, 0, 0, 0];
        fields.extend(crc.sum().to_le_bytes());
        fields.extend(u32::try_from(packed.len()).unwrap().to_le_bytes());
        fields.extend(u32::try_from(content.len()).unwrap().to_le_bytes());
        fields.extend(u16::try_from(name.len()).unwrap().to_le_bytes());
        fields.extend([0, 0]);
        let offset = u32::try_from(archive.len()).unwrap();
        archive.extend(b"PK\x03\x04");
        archive.extend(&fields);
        archive.extend(name.as_bytes());
        archive.extend(&packed);
        directory.extend(b"PK\x01\x02\x14\x00");
        directory.extend(&fields);
        directory.extend([0; 10]);
        directory.extend(offset.to_le_bytes());
        directory.extend(name.as_bytes());
    }
    let start = u32::try_from(archive.len()).unwrap();
    let count = u16::try_from(files.len()).unwrap().to_le_bytes();
    archive.extend(&directory);
    archive.extend(b"PK\x05\x06\0\0\0\0");
    archive.extend([count, count].concat());
    archive.extend(u32::try_from(directory.len()).unwrap().to_le_bytes());
    archive.extend(start.to_le_bytes());
    archive.extend([0, 0]);
    archive
}

#[test]
fn archives_are_read_file_by_file() {
    let packed =
        zip(&[("a/x.tsv", b"ar\ten\nx\ty\n"), (".DS_Store", b"\0"), ("b.csv", b"en,ar\nq,z\n")]);
    let it = read(&packed, &options("ar", "en"));
    let sources: Vec<_> = it.units.iter().map(|it| it.source.text.as_str()).collect();
    assert_eq!(sources, ["x", "z"]);
    // A byte of the packed content is wrong.
    let mut damaged = packed.clone();
    damaged[40] ^= 0x55;
    let events = formats::open(Box::new(Cursor::new(damaged)), &options("ar", "en"));
    assert!(
        events.map_or(true, |it| it.map(Result::unwrap).any(|it| matches!(it, Event::Broken(_))))
    );
    for cut in 5..packed.len() {
        if let Ok(reader) =
            formats::open(Box::new(Cursor::new(packed[..cut].to_vec())), &options("ar", "en"))
        {
            drop(reader.collect::<Vec<_>>());
        }
    }
}

#[test]
fn a_workbook_that_lists_no_sheets() {
    let strings = "<sst><si><t>ar</t></si><si><t>en</t></si><si><r><t>\u{633} </t></r><r><t>\"q\",</t></r></si></sst>";
    let sheet = "<worksheet><sheetData><row r='1'><c r='A1' t='s'><v>0</v></c><c r='C1' t='s'><v>1</v></c></row>\
        <row r='2'><c r='A2' t='s'><v>2</v></c><c r='C2' t='inlineStr'><is><t>A\nB</t></is></c></row>\
        <row r='3'><c r='C3'><v>7</v></c></row></sheetData></worksheet>";
    let book = zip(&[
        ("xl/workbook.xml", b"<workbook/>"),
        ("xl/worksheets/sheet2.xml", b"<worksheet/>"),
        ("xl/worksheets/sheet1.xml", sheet.as_bytes()),
        ("xl/sharedStrings.xml", strings.as_bytes()),
    ]);
    let it = read(&book, &options("ar", "en"));
    assert_eq!(it.format, Some(Format::Xlsx));
    assert_eq!(it.units.len(), 1);
    assert_eq!(it.units[0].source.text, "\u{633} \"q\",");
    assert_eq!(it.units[0].target.text, "A\nB");
    assert_eq!(it.rejected.len(), 1);
}

#[test]
fn bombs_are_refused() {
    use std::io::Write as _;
    let open_all = |bytes: Vec<u8>| -> (usize, bool) {
        match formats::open(Box::new(Cursor::new(bytes)), &options("ar", "en")) {
            Err(_) => (0, true),
            Ok(reader) => {
                let (mut units, mut broken) = (0, false);
                for event in reader {
                    match event {
                        Ok(Event::Broken(_)) | Err(_) => broken = true,
                        _ => units += 1,
                    }
                }
                (units, broken)
            }
        }
    };
    // Spaces without end between two units.
    let spaces = vec![b' '; 1 << 20];
    let mut xz = liblzma::write::XzEncoder::new(Vec::new(), 1);
    xz.write_all(b"<tmx><body>").unwrap();
    for _ in 0..200 {
        xz.write_all(&spaces).unwrap();
    }
    assert_eq!(open_all(xz.finish().unwrap()), (0, true));
    let strings = [b"<sst>".to_vec(), b"<si><t>xxxxxxxx</t></si>".repeat(2_100_000)].concat();
    let book = zip(&[
        ("xl/workbook.xml", b"<workbook/>"),
        ("xl/worksheets/sheet1.xml", b"<worksheet/>"),
        ("xl/sharedStrings.xml", &strings),
    ]);
    assert_eq!(open_all(book), (0, true));
}

/// Pieces as frames of Zstandard, one after the other.
fn zstandard(pieces: &[&[u8]]) -> Vec<u8> {
    use ruzstd::encoding::{CompressionLevel, compress_to_vec};
    let frames = pieces.iter().map(|it| compress_to_vec(*it, CompressionLevel::Fastest));
    frames.collect::<Vec<_>>().concat()
}

#[test]
fn bombs_of_every_kind_end_in_bounded_time_with_a_clear_error() {
    use std::io::Write as _;
    const MIB: usize = 1 << 20;
    let end = |bytes: Vec<u8>| -> (usize, String) {
        match formats::open(Box::new(Cursor::new(bytes)), &options("ar", "en")) {
            Err(error) => (0, error.to_string()),
            Ok(reader) => {
                let (mut units, mut last) = (0, String::new());
                for event in reader {
                    match event {
                        Ok(Event::Unit(_)) => units += 1,
                        Ok(other) => last = other.diagnostic().unwrap().message.clone(),
                        Err(error) => last = error.to_string(),
                    }
                }
                (units, last)
            }
        }
    };
    // A good row, and then rows that are the same good row some million times: only the ratio says what it is.
    let row = format!("{}\ts\n", "\u{633}".repeat(4_000)).repeat(MIB / 8_003);
    let head = b"ar\ten\n\xd8\xb3\ts\n";
    let mut gz = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
    let mut xz = liblzma::write::XzEncoder::new(Vec::new(), 6);
    let filler = vec![b'x'; MIB];
    gz.write_all(head).unwrap();
    xz.write_all(head).unwrap();
    for _ in 0..120 {
        gz.write_all(&filler).unwrap();
        xz.write_all(&filler).unwrap();
    }
    let first_frames = zstandard(&[head, &filler]);
    let frame = zstandard(&[&filler]);
    let zst = [first_frames, frame.repeat(120)].concat();
    for (name, bomb) in [("gz", gz.finish().unwrap()), ("xz", xz.finish().unwrap()), ("zst", zst)] {
        let (units, error) = end(bomb);
        assert_eq!(units, 1, "{name}");
        assert!(
            error.contains("times its size") || error.contains("longer than"),
            "{name}: {error}"
        );
    }
    // The ratio alone: every row is short and good.
    let mut xz = liblzma::write::XzEncoder::new(Vec::new(), 6);
    xz.write_all(b"ar\ten\n").unwrap();
    for _ in 0..90 {
        xz.write_all(row.as_bytes()).unwrap();
    }
    let (units, error) = end(xz.finish().unwrap());
    assert!(error.contains("times its size"), "{error}");
    assert!(units < 90 * MIB / 8_003, "{units}");
    // An archive of one file that unpacks to a thousand times its size.
    let spaces = vec![b' '; 80 * MIB];
    let packed = zip(&[("a.tmx", &[b"<tmx><body>".as_slice(), &spaces].concat())]);
    assert!(packed.len() < MIB);
    let (units, error) = end(packed);
    assert_eq!(units, 0);
    assert!(error.contains("times its size") || error.contains("longer than"), "{error}");
    // An archive in an archive in an archive: only the outermost is opened.
    let mut nested = zip(&[("rows.tsv", b"ar\ten\nx\ty\n")]);
    for _ in 0..5 {
        nested = zip(&[("inner.zip", &nested), ("inner2.zip", &nested)]);
    }
    let (units, error) = end(nested);
    assert_eq!(units, 0);
    assert!(!error.is_empty());
    // Many names for the same packed bytes: what comes out of all of them together has a limit.
    let row = format!("{}\ty\n", "x".repeat(4_000));
    let body = format!("ar\ten\n{}", row.repeat(15 * MIB / row.len()));
    let single = zip(&[("a.tsv", body.as_bytes())]);
    let (local, directory) = {
        let start = single.windows(4).position(|it| it == b"PK\x01\x02").unwrap();
        let end = single.windows(4).position(|it| it == b"PK\x05\x06").unwrap();
        (single[..start].to_vec(), single[start..end].to_vec())
    };
    let count = 60_u16;
    let many = directory.repeat(usize::from(count));
    let mut overlapping = local.clone();
    overlapping.extend(&many);
    overlapping.extend(b"PK\x05\x06\0\0\0\0");
    overlapping.extend([count.to_le_bytes(), count.to_le_bytes()].concat());
    overlapping.extend(u32::try_from(many.len()).unwrap().to_le_bytes());
    overlapping.extend(u32::try_from(local.len()).unwrap().to_le_bytes());
    overlapping.extend([0, 0]);
    let most = formats_limit(overlapping.len());
    let (units, error) = end(overlapping);
    assert!(error.contains("times its size"), "{error}");
    assert!(units * row.len() <= most, "{units} units, {most} bytes at most");
}

/// Bytes that may come out of an archive of a size.
fn formats_limit(packed: usize) -> usize {
    let free = usize::try_from(dhakira::limits::EXPANSION_FREE_BYTES).unwrap();
    free.max(packed * usize::try_from(dhakira::limits::EXPANSION_MAX).unwrap())
}

#[test]
fn the_directory_of_an_archive_has_the_declared_number_of_files_within_the_ceiling() {
    let single = zip(&[("a.tsv", b"ar\ten\nx\ty\n")]);
    let start = single.windows(4).position(|it| it == b"PK\x01\x02").unwrap();
    let end = single.windows(4).position(|it| it == b"PK\x05\x06").unwrap();
    let error = |records: usize, declared: u16| -> Option<String> {
        let directory = single[start..end].repeat(records);
        let mut archive = single[..start].to_vec();
        archive.extend(&directory);
        archive.extend(b"PK\x05\x06\0\0\0\0");
        archive.extend([declared.to_le_bytes(), declared.to_le_bytes()].concat());
        archive.extend(u32::try_from(directory.len()).unwrap().to_le_bytes());
        archive.extend(u32::try_from(start).unwrap().to_le_bytes());
        archive.extend([0, 0]);
        let opened = formats::open(Box::new(Cursor::new(archive)), &options("ar", "en"));
        opened.err().map(|error| error.to_string())
    };
    assert_eq!(error(1, 1), None);
    let too_many = dhakira::limits::ZIP_ENTRIES_MAX + 1;
    for (records, declared, expected) in
        [(1, 2, "damaged"), (1, 60_000, "60000 files"), (too_many, 1, "10001 files")]
    {
        let error = error(records, declared).unwrap();
        assert!(error.contains(expected), "{error}");
    }
}

#[test]
fn zstandard_in_one_frame_and_in_many() {
    let text = "ar\ten\n\u{633}\u{644}\u{627}\u{645}\tPeace\n\u{643}\u{62a}\u{627}\u{628}\tBook\n";
    let expected = read(text, &options("ar", "en")).units;
    let one = zstandard(&[text.as_bytes()]);
    let many: Vec<&[u8]> = text.as_bytes().chunks(5).collect();
    for packed in [one.clone(), zstandard(&many)] {
        let it = read(&packed, &options("ar", "en"));
        assert_eq!((it.units, it.broken.len()), (expected.clone(), 0));
    }
    for cut in 5..one.len() {
        let opened =
            formats::open(Box::new(Cursor::new(one[..cut].to_vec())), &options("ar", "en"));
        if let Ok(reader) = opened {
            let last = reader.map(Result::unwrap).last();
            assert!(!matches!(last, Some(Event::Unit(_))), "cut at {cut} and nothing said");
        }
    }
}
