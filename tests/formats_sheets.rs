//! Workbooks: which sheets are read, what their cells say, and what a small one may become.

use std::io::Cursor;

use dhakira::formats::{self, Event, Format};
use dhakira::limits::{
    EXPANSION_FREE_BYTES, EXPANSION_MAX, EXPANSION_ROW_BYTES, SEGMENT_BYTES_MAX,
};
use dhakira::unit::DiagnosticCode;

use crate::formats_archives::zip;
use crate::formats_exchange::{options, read};

const RELATIONS: &str = "http://schemas.openxmlformats.org/officeDocument/2006/relationships";

/// A workbook of sheets: name, state, rows as XML. Parts are numbered backwards, so that no order but the listed one fits.
fn book(sheets: &[(&str, &str, &str)], strings: &str, extra: &[(&str, &str)]) -> Vec<u8> {
    let count = sheets.len();
    let (mut listed, mut relations) = (String::new(), String::new());
    let mut files: Vec<(String, String)> = Vec::new();
    for (number, (name, state, rows)) in sheets.iter().enumerate() {
        let part = count - number;
        let state = if state.is_empty() { String::new() } else { format!(" state='{state}'") };
        listed += &format!("<sheet name='{name}' sheetId='{part}'{state} r:id='rId{number}'/>");
        relations += &format!(
            "<Relationship Id='rId{number}' Type='{RELATIONS}/worksheet' Target='worksheets/sheet{part}.xml'/>"
        );
        let sheet = format!("<worksheet><sheetData>{rows}</sheetData></worksheet>");
        files.push((format!("xl/worksheets/sheet{part}.xml"), sheet));
    }
    files.push((
        "xl/workbook.xml".into(),
        format!("<workbook xmlns:r='{RELATIONS}'><sheets>{listed}</sheets></workbook>"),
    ));
    let relations = format!("<Relationships>{relations}</Relationships>");
    files.push(("xl/_rels/workbook.xml.rels".into(), relations));
    files.push(("xl/sharedStrings.xml".into(), format!("<sst>{strings}</sst>")));
    files.extend(extra.iter().map(|(name, text)| ((*name).to_owned(), (*text).to_owned())));
    let files: Vec<(&str, &[u8])> =
        files.iter().map(|(name, text)| (name.as_str(), text.as_bytes())).collect();
    zip(&files)
}

/// A row of texts.
fn row(texts: &[&str]) -> String {
    let cells = texts.iter().map(|text| format!("<c t='inlineStr'><is><t>{text}</t></is></c>"));
    format!("<row>{}</row>", cells.collect::<String>())
}

fn events(bytes: Vec<u8>) -> Vec<Event> {
    let reader = formats::open(Box::new(Cursor::new(bytes)), &options("ar", "en")).unwrap();
    reader.map(Result::unwrap).collect()
}

#[test]
fn the_sheets_that_are_listed_in_their_order() {
    let table = |texts: &[&str]| row(&["ar", "en"]) + &row(texts);
    let packed = book(
        &[
            ("Cover", "", &row(&["Translations of the harbour guide"])),
            ("One", "", &table(&["\u{628}\u{627}\u{628}", "door"])),
            ("Lists", "hidden", &table(&["\u{633}\u{631}", "secret"])),
            ("Empty", "", ""),
            (
                "Two",
                "",
                &(row(&["note", "en", "ar"]) + &row(&["n", "house", "\u{628}\u{64a}\u{62a}"])),
            ),
        ],
        "",
        &[],
    );
    let events = events(packed);
    let mut units = Vec::new();
    let mut notices = Vec::new();
    for event in events {
        match event {
            Event::Unit(unit) => {
                units.push((unit.content.target.text, unit.place.file.to_string()));
            }
            Event::Notice(notice) => notices.push((notice.cause, notice.message)),
            other => panic!("{other:?}"),
        }
    }
    assert_eq!(units, [("door".into(), "f/One".into()), ("house".into(), "f/Two".to_owned())]);
    assert!(
        notices[0].0 == DiagnosticCode::NotRead && notices[0].1.contains("Lists"),
        "{notices:?}"
    );
    assert!(
        notices[1].1.contains("'Cover'") && notices[1].1.contains("--source-column"),
        "{notices:?}"
    );
    assert_eq!(notices.len(), 2);
    // Nothing that could be read: the first reason is the answer.
    for (sheets, reason) in [
        (vec![("Cover", "", row(&["Hello"]))], "no column 'ar'"),
        (vec![("Lists", "veryHidden", table(&["x", "y"]))], "hidden"),
        (vec![("Empty", "", String::new())], "empty"),
    ] {
        let sheets: Vec<(&str, &str, &str)> =
            sheets.iter().map(|(name, state, rows)| (*name, *state, rows.as_str())).collect();
        let opened =
            formats::open(Box::new(Cursor::new(book(&sheets, "", &[]))), &options("ar", "en"));
        let error = opened.err().unwrap().to_string();
        assert!(error.contains(reason), "{error}");
    }
}

#[test]
fn cells_say_what_the_sheet_shows() {
    let styles = "<styleSheet><numFmts><numFmt numFmtId='170' formatCode='dd\\/mm\\/yyyy'/></numFmts>\
        <cellStyleXfs><xf numFmtId='14'/></cellStyleXfs>\
        <cellXfs><xf numFmtId='0'/><xf numFmtId='14'/><xf numFmtId='170'/><xf numFmtId='46'/></cellXfs></styleSheet>";
    let rows = row(&["ar", "en", "created", "a", "b", "c", "d"])
        + "<row r='5'><c r='A5' t='s'><v>0</v></c><c r='B5' t='str'><f>A1</f><v>one_x000A_two _x12_</v></c>\
           <c r='C5' s='1'><v>45000</v></c><c r='D5' s='2'><v>45000.25</v></c><c r='E5' s='3'><v>1.5</v></c>\
           <c r='F5' t='b'><v>1</v></c><c r='G5'><v>0.10</v></c><c r='I5' t='inlineStr'><is><t>beside</t></is></c></row>\
           <row r='6'><c r='A6' t='s'><v>0</v></c><c r='B6' t='e'><v>#N/A</v></c></row>\
           <row r='7'><c r='A7' s='1'/></row><row r='8'/>\
           <row r='9'><c r='A9' t='s'><v>7</v></c><c r='B9'><v>7</v></c></row>";
    let strings = "<si><r><t>\u{628}</t></r><r><t>\u{627}\u{628}</t></r><rPh><t>x</t></rPh></si>";
    let packed = book(&[("S", "", &rows)], strings, &[("xl/styles.xml", styles)]);
    let it = read(&packed, &options("ar", "en"));
    assert_eq!(it.format, Some(Format::Xlsx));
    assert_eq!(it.units.len(), 1);
    let unit = &it.units[0];
    assert_eq!(unit.source.text, "\u{628}\u{627}\u{628}");
    assert_eq!(unit.target.text, "one\ntwo _x12_");
    assert_eq!(unit.created, formats::parse_time("2023-03-15"));
    let attributes: Vec<(&str, &str)> =
        unit.attributes.iter().map(|(name, text)| (name.as_str(), text.as_str())).collect();
    let expected = [
        ("a", "2023-03-15T06:00:00"),
        ("b", "1.5"),
        ("c", "TRUE"),
        ("column 9", "beside"),
        ("d", "0.10"),
    ];
    assert_eq!(attributes, expected);
    // A text that could not be computed, and a shared string that is not there; rows without a text are no units.
    assert_eq!(it.rejected, [(DiagnosticCode::EmptySegment, 6), (DiagnosticCode::EmptySegment, 9)]);
}

/// What a file may become.
fn most(packed: usize) -> u64 {
    EXPANSION_FREE_BYTES.max(packed as u64 * EXPANSION_MAX)
}

#[test]
fn a_small_workbook_does_not_become_gigabytes() {
    let head = row(&["ar", "en"]);
    let cells = "<row><c t='s'><v>0</v></c><c t='s'><v>1</v></c></row>".repeat(20_000);
    let cases = [
        // Long texts that many rows share, as long as a segment may be, and longer.
        ("\u{628}".repeat(1_000), "x".repeat(SEGMENT_BYTES_MAX - 10)),
        ("\u{628}".repeat(SEGMENT_BYTES_MAX / 2), "x".repeat(SEGMENT_BYTES_MAX + 50_000)),
    ];
    for (source, target) in cases {
        let strings = format!("<si><t>{source}</t></si><si><t>{target}</t></si>");
        let packed = book(&[("S", "", &format!("{head}{cells}"))], &strings, &[]);
        let most = most(packed.len());
        assert!(packed.len() < 16_000, "{}", packed.len());
        let reader = formats::open(Box::new(Cursor::new(packed)), &options("ar", "en")).unwrap();
        let (mut bytes, mut last) = (0, None);
        for event in reader {
            match event.unwrap() {
                Event::Unit(it) => {
                    bytes += it.content.source.text.len() + it.content.target.text.len();
                }
                Event::Rejected(it) => {
                    let content = it.content.unwrap_or_default();
                    bytes += content.source.text.len() + content.target.text.len();
                }
                other => last = other.diagnostic().map(|it| it.message.clone()),
            }
        }
        assert!(bytes as u64 <= most, "{bytes}");
        let message = last.unwrap();
        assert!(message.contains("times its size") && message.contains("CSV"), "{message}");
    }
}

#[test]
fn rows_without_anything_in_them_count() {
    use std::io::Write as _;
    let rows = "<row/>".repeat(2_000_000);
    let packed = book(&[("S", "", &format!("{}{rows}", row(&["ar", "en"])))], "", &[]);
    let events = events(packed);
    let message = &events.last().unwrap().diagnostic().unwrap().message;
    assert!(events.len() == 1 && message.contains("times its size"), "{} {message}", events.len());

    // Rows and lines of packed text: each event and each line counts.
    for (line, format) in
        [("\t\n", Format::Tsv), ("\n", Format::Tsv), ("\n", Format::Po), ("{}\n", Format::Jsonl)]
    {
        let mut gz = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        gz.write_all(b"ar\ten\n").unwrap();
        let some = line.repeat(100_000);
        for _ in 0..40 {
            gz.write_all(some.as_bytes()).unwrap();
        }
        let packed = gz.finish().unwrap();
        let most = most(packed.len()) / EXPANSION_ROW_BYTES;
        let mut it = options("ar", "en");
        it.format = Some(format);
        let mut reader = formats::open(Box::new(Cursor::new(packed)), &it).unwrap();
        let (mut count, mut last) = (0, String::new());
        for event in reader.by_ref() {
            count += 1;
            last = event.unwrap().diagnostic().map(|it| it.message.clone()).unwrap_or_default();
        }
        assert!(count <= most, "{format}: {count} events");
        assert!(last.contains("times its size"), "{format} {line:?}: {last}");
    }
}
