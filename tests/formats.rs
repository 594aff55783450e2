//! Files as they are found: each kind of fault, each encoding, and the way there and back.

use std::io::{Cursor, Read};

use dhakira::formats::{self, Event, FileHeader, Format, OpenError, ParsedUnit, ReadOptions};
use dhakira::unit::{
    Context, DiagnosticCode, InlineTag, Segment, TagKind, Timestamp, Unit, UnitContent, UnitId,
};
use proptest::prelude::*;

use crate::support::shared;

fn options() -> ReadOptions {
    ReadOptions::new("ar".parse().unwrap(), "en".parse().unwrap(), "f")
}

/// Units and faults (cause, line, column) of an input.
fn read(bytes: &[u8], options: &ReadOptions) -> (Vec<ParsedUnit>, Vec<(DiagnosticCode, u64, u64)>) {
    let reader = formats::open(Box::new(Cursor::new(bytes.to_vec())), options).unwrap();
    let (mut units, mut faults) = (Vec::new(), Vec::new());
    for event in reader {
        match event.unwrap() {
            Event::Unit(unit) => units.push(*unit),
            Event::Notice(_) => {}
            other => {
                let it = other.diagnostic().unwrap();
                faults.push((it.cause, it.place.line, it.place.column));
            }
        }
    }
    (units, faults)
}

fn tmx(body: &str) -> String {
    format!(
        "<?xml version=\"1.0\"?>\n<tmx version=\"1.4\"><header/><body>\n{body}\n</body></tmx>\n"
    )
}

const GOOD: &str = "<tu tuid='7'><prop type='client'>ACME</prop><note>n</note>\
    <tuv xml:lang='en-US' changeid='sara' changedate='20240102T030405Z'><seg>A &lt; &#66;</seg></tuv>\
    <tuv xml:lang='ar-SA'><seg>\u{623} <bpt i='1' x='2' type='bold'>&lt;b></bpt>\u{628}<ept i='1'/><ph>\\n</ph></seg></tuv></tu>";

#[test]
fn a_unit_keeps_everything_that_its_file_says() {
    let (units, faults) = read(tmx(GOOD).as_bytes(), &options());
    assert_eq!(faults, []);
    let content = &units[0].content;
    assert_eq!(content.source.text, "\u{623} \u{628}");
    assert_eq!(content.target.text, "A < B");
    assert_eq!(content.author, "sara");
    assert_eq!(content.changed, Some(Timestamp { micros: 1_704_164_645_000_000 }));
    let attributes: Vec<_> =
        content.attributes.iter().map(|(key, value)| (key.as_str(), value.as_str())).collect();
    assert_eq!(
        attributes,
        [
            ("client", "ACME"),
            ("note", "n"),
            ("source-lang", "ar-SA"),
            ("target-lang", "en-US"),
            ("tuid", "7")
        ]
    );
    let tags: Vec<_> = content
        .source
        .tags
        .iter()
        .map(|tag| (tag.offset_bytes, tag.kind, tag.pair, tag.code.as_str()))
        .collect();
    assert_eq!(
        tags,
        [
            (3, TagKind::Open, Some(1), "<b>"),
            (5, TagKind::Close, Some(1), ""),
            (5, TagKind::Standalone, None, "\\n")
        ]
    );
    assert_eq!((units[0].place.line, units[0].place.column, units[0].place.unit), (3, 1, 1));
}

#[test]
fn a_bad_unit_is_a_diagnostic_and_the_rest_is_read() {
    let tu = |source: &str, target: &str| {
        format!(
            "<tu><tuv lang='ar'><seg>{source}</seg></tuv><tuv lang='en'><seg>{target}</seg></tuv></tu>\n"
        )
    };
    let body = [
        GOOD.to_owned() + "\n",
        "<tu><tuv xml:lang='fr'><seg>x</seg></tuv></tu>\n".to_owned(),
        "<tu><tuv xml:lang='ar'><seg>x</seg></tuv></tu>\n".to_owned(),
        tu("", "x"),
        tu("x", "&undefined;"),
        tu("x", "\u{ffff}"),
        tu("x", "&#1;"),
        tu("x", &"y".repeat(300_000)),
        tu("x", "y"),
    ]
    .concat();
    let (units, faults) = read(tmx(&body).as_bytes(), &options());
    assert_eq!(units.len(), 2);
    let causes: Vec<_> = faults.iter().map(|(cause, line, _)| (*cause, *line)).collect();
    assert_eq!(
        causes,
        [
            (DiagnosticCode::MissingSource, 4),
            (DiagnosticCode::MissingTarget, 5),
            (DiagnosticCode::EmptySegment, 6),
            (DiagnosticCode::Malformed, 7),
            (DiagnosticCode::Encoding, 8),
            (DiagnosticCode::ControlCharacter, 9),
            (DiagnosticCode::SegmentTooLong, 10),
        ]
    );
}

#[test]
fn several_variants_are_several_units() {
    let body = "<tu><tuv xml:lang='ar'><seg>x</seg></tuv><tuv xml:lang='en-GB'><seg>y</seg></tuv>\
        <tuv xml:lang='en-US'><seg>z</seg></tuv></tu>";
    let (units, _) = read(tmx(body).as_bytes(), &options());
    let targets: Vec<_> = units.iter().map(|unit| unit.content.target.text.as_str()).collect();
    assert_eq!(targets, ["y", "z"]);
}

#[test]
fn a_file_cut_anywhere_gives_what_was_before() {
    let whole = tmx(&format!("{GOOD}\n{GOOD}"));
    let second = whole.rfind("<tu ").unwrap();
    let first_end = whole.find("</tu>").unwrap() + 5;
    for length in 60..whole.len() - 8 {
        let cut = &whole.as_bytes()[..length];
        let (units, faults) = read(cut, &options());
        let expected = usize::from(length >= first_end)
            + usize::from(length >= whole.rfind("</tu>").unwrap() + 5);
        assert_eq!(units.len(), expected, "{length}");
        assert!(faults.iter().any(|(cause, ..)| *cause == DiagnosticCode::Malformed), "{length}");
        assert!(length < second || faults.last().unwrap().1 >= 4, "the break is on the last line");
    }
}

#[test]
fn encodings_and_compression_do_not_matter() {
    let text = tmx(GOOD);
    let (expected, _) = read(text.as_bytes(), &options());
    let utf_16: Vec<u8> =
        std::iter::once(0xfeff).chain(text.encode_utf16()).flat_map(u16::to_le_bytes).collect();
    assert_eq!(read(&utf_16, &options()).0, expected);
    let with_mark = [b"\xef\xbb\xbf", text.as_bytes()].concat();
    assert_eq!(read(&with_mark, &options()).0, expected);
    let mut gz = Vec::new();
    flate2::read::GzEncoder::new(text.as_bytes(), flate2::Compression::fast())
        .read_to_end(&mut gz)
        .unwrap();
    assert_eq!(read(&gz, &options()).0, expected);
    // A broken archive gives what could be unpacked, and says so.
    let (_, faults) = read(&gz[..gz.len() - 6], &options());
    assert_eq!(faults.last().unwrap().0, DiagnosticCode::Malformed);
}

#[test]
fn hostile_xml_is_refused_in_bounded_memory() {
    let deep = tmx(&"<tu>".repeat(1_000_000));
    let bomb = format!(
        "<!DOCTYPE tmx [<!ENTITY a \"{}\"><!ENTITY b \"&a;&a;\"><!ENTITY c SYSTEM \"file:///etc/passwd\">]>{}",
        "x".repeat(1_000),
        &tmx(
            "<tu><tuv xml:lang='ar'><seg>&b;</seg></tuv><tuv xml:lang='en'><seg>&c;</seg></tuv></tu>"
        )["<?xml version=\"1.0\"?>\n".len()..]
    );
    for (text, cause) in [(deep, DiagnosticCode::MissingSource), (bomb, DiagnosticCode::Malformed)]
    {
        let (units, faults) = read(text.as_bytes(), &options());
        assert!(units.is_empty());
        assert_eq!(faults[0].0, cause);
    }
    // Two gigabytes of attribute, made as they are read.
    let endless =
        b"<?xml version='1.0'?><tmx><body><tu tuid='".chain(std::io::repeat(b'x').take(2 << 30));
    let mut reader = formats::open(Box::new(endless), &options()).unwrap();
    let mut events = reader.by_ref().filter(|it| !matches!(it, Ok(Event::Notice(_))));
    let Some(Ok(Event::Broken(fault))) = events.next() else { panic!("no diagnostic") };
    assert!(fault.message.contains("longer than"), "{fault}");
    assert!(reader.bytes_read() < 64 << 20, "it stops where the limit is");
    assert!(reader.next().is_none());
}

#[test]
fn columns_are_found_by_name() {
    let mut options = options();
    let (units, faults) = read(b"EN,note,AR\n\"a \"\"b\"\"\",n,\"x\ny\"\n", &options);
    assert_eq!(faults, []);
    assert_eq!(units[0].content.source.text, "x\ny");
    assert_eq!(units[0].content.target.text, "a \"b\"");
    assert_eq!(units[0].content.attributes["note"], "n");
    let (units, _) = read(b"\xef\xbb\xbfsource;target\nx;y\n", &options);
    assert_eq!(units.len(), 1);
    options.source_column = Some("Quelle".into());
    let (units, _) = read(b"quelle\ten\nloose \"quote\tx\n", &options);
    assert_eq!(units[0].content.source.text, "loose \"quote");
    let missing = formats::open(Box::new(&b"ar\ten\n"[..]), &options).err().unwrap();
    let OpenError::NoColumn { wanted, found, .. } = missing else { panic!("{missing}") };
    assert_eq!((wanted.as_str(), found), ("Quelle", vec!["ar".to_owned(), "en".to_owned()]));
}

#[test]
fn bad_rows_are_diagnostics_by_line() {
    let text = b"ar\ten\tdate\nx\ty\t2024-01-01\nx\nx\ty\t1 May\nx\ty\tz\tmore\n\xff\ty\t2024-01-01\nx\t\t\nx\ty\t2024-01-01T10:00:00Z\n";
    let (units, faults) = read(text, &options());
    assert_eq!(units.len(), 2);
    let causes: Vec<_> = faults.iter().map(|(cause, line, _)| (*cause, *line)).collect();
    assert_eq!(
        causes,
        [
            (DiagnosticCode::MissingColumn, 3),
            (DiagnosticCode::BadField, 4),
            (DiagnosticCode::BadField, 5),
            (DiagnosticCode::Encoding, 6),
            (DiagnosticCode::EmptySegment, 7)
        ]
    );
    // A line without end, behind a quotation mark that is never closed, is a fault and does not fill memory.
    let open = b"ar,en\nx,y\n\"".chain(std::io::repeat(b'x').take(1 << 30)).chain(&b"\nx,z\n"[..]);
    let events: Vec<Event> =
        formats::open(Box::new(open), &options()).unwrap().map(Result::unwrap).collect();
    assert_eq!(events.len(), 3);
    assert!(
        matches!(&events[1], Event::Rejected(it) if it.diagnostic.cause == DiagnosticCode::Limit)
    );
    assert!(matches!(&events[2], Event::Unit(it) if it.content.target.text == "z"));
}

fn text() -> impl Strategy<Value = String> {
    let legal = prop::char::any().prop_filter("XML holds it", |&it| {
        (it >= ' ' || matches!(it, '\t' | '\n' | '\r')) && !matches!(it, '\u{fffe}' | '\u{ffff}')
    });
    let tricky =
        prop::sample::select(vec!['<', '&', '>', '"', '\'', '\r', '\n', '\t', ' ', '\u{645}']);
    prop::collection::vec(prop_oneof![legal, tricky], 0..20).prop_map(String::from_iter)
}

fn visible_text() -> impl Strategy<Value = String> {
    (text(), text()).prop_map(|(a, b)| format!("{a}x{b}"))
}

fn segment() -> impl Strategy<Value = Segment> {
    let kind = prop::sample::select(vec![
        TagKind::Open,
        TagKind::Close,
        TagKind::Standalone,
        TagKind::IsolatedOpen,
        TagKind::IsolatedClose,
    ]);
    let number = prop::option::of(any::<u32>());
    let code = prop_oneof![
        text(),
        prop::sample::select(vec![
            "\u{fff9}@hi\u{fffa}\u{fffb}",
            "\u{fff9}@ut\u{fffa}\u{fffb}",
            "x\u{fff9}@ assoc=\"p\"\u{fffa}\u{fffb}",
            "\u{fff9}@ i=\"a\" x=\"7\"\u{fffa}\u{fffb}",
            "a\u{fff9}sub type=\"&amp;\"\u{fffa}b\u{fff9}ph\u{fffa}\u{fffb}\u{fffb}c",
            "\u{fff9}sub\u{fffa}",
            "\u{fffb}\u{fff9}",
            "\u{fff9}1\u{fffa}\u{fffb}",
        ])
        .prop_map(str::to_owned),
    ];
    let number = prop_oneof![number, prop::sample::select(vec![Some(1_000_000), Some(1_000_001)])];
    let tag = (any::<prop::sample::Index>(), kind, number.clone(), number, text(), code);
    (visible_text(), prop::collection::vec(tag, 0..4)).prop_map(|(text, tags)| {
        let places: Vec<usize> =
            text.char_indices().map(|(place, _)| place).chain([text.len()]).collect();
        let mut tags: Vec<InlineTag> = tags
            .into_iter()
            .map(|(place, kind, pair, match_id, label, code)| InlineTag {
                offset_bytes: u32::try_from(*place.get(&places)).unwrap(),
                kind,
                pair,
                match_id,
                label,
                code,
            })
            .collect();
        tags.sort_by_key(|tag| tag.offset_bytes);
        Segment { text, tags }
    })
}

fn content() -> impl Strategy<Value = UnitContent> {
    let time =
        (-2_000_000_000_000_000..4_000_000_000_000_000_i64).prop_map(|micros| Timestamp { micros });
    let known = prop::sample::select(vec![
        "tuid",
        "note",
        "note.2",
        "note.3",
        "note.02",
        "prev",
        "next",
        "file",
        "x-document",
        "x-dhakira-created",
        "x-dhakira-attribute:a",
        "x-context-pre",
        "x-ContextID",
        "x-Context",
        "client",
        "client.2",
        "usagecount",
        "creationid",
        "source-lang",
        "a b",
    ]);
    let key = prop_oneof![known.prop_map(str::to_owned), visible_text()];
    (
        (segment(), segment()),
        (prop::array::uniform4(prop::option::of(any::<u64>())), text()),
        (text(), text()),
        (prop::option::of(time.clone()), prop::option::of(time)),
        prop::collection::btree_map(key, text(), 0..5),
    )
        .prop_map(
            |(
                (source, target),
                ([previous, next, previous_target, next_target], context_id),
                (document, author),
                (created, changed),
                attributes,
            )| {
                UnitContent {
                    source,
                    target,
                    context: Context { previous, next, previous_target, next_target },
                    document,
                    author,
                    created,
                    changed,
                    attributes,
                    context_id,
                }
            },
        )
}

fn write(contents: &[UnitContent]) -> Vec<u8> {
    let header = FileHeader {
        source_lang: "ar".parse().unwrap(),
        target_lang: "en".parse().unwrap(),
        tool_version: "1".into(),
    };
    let mut writer = formats::create(Format::Tmx, &header, Vec::new()).unwrap();
    for content in contents {
        writer.write(&Unit::new(UnitId(1), 1, content.clone())).unwrap();
    }
    writer.finish().unwrap()
}

proptest! {
    /// Memory, TMX, memory: the identity on everything that a unit holds.
    #[test]
    fn what_is_written_is_read_back(contents in prop::collection::vec(content(), 1..4)) {
        let bytes = write(&contents);
        let (units, faults) = read(&bytes, &options());
        prop_assert_eq!(faults, []);
        let read: Vec<UnitContent> = units.into_iter().map(|unit| unit.content).collect();
        prop_assert_eq!(read, contents);
    }
}

#[test]
fn the_longest_segments_survive() {
    let long = UnitContent {
        source: Segment::plain("\u{645}& ".repeat(52_000)),
        target: Segment::plain("x<\n".repeat(80_000)),
        ..UnitContent::default()
    };
    let (units, faults) = read(&write(std::slice::from_ref(&long)), &options());
    assert_eq!(faults, []);
    assert_eq!(units[0].content, long);
}

#[test]
fn every_real_exchange_file_is_read_to_its_end() {
    let Some(directory) = shared("data/exchange/tmx") else { return };
    let mut files: Vec<_> =
        std::fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    let (mut total, mut whole) = (0, 0);
    for file in files {
        let mut options = options();
        // Most of them are English to something.
        options.source_lang = "en".parse().unwrap();
        options.target_lang = "fr".parse().unwrap();
        let bytes = std::fs::read(&file).unwrap();
        let name = file.file_name().unwrap().to_string_lossy().into_owned();
        match formats::open(Box::new(Cursor::new(bytes)), &options) {
            Err(error) => eprintln!("{name}: {error}"),
            Ok(reader) => {
                let events: Vec<Event> = reader.map(Result::unwrap).collect();
                let units = events.iter().filter(|event| matches!(event, Event::Unit(_))).count();
                eprintln!("{name}: {units} units, {} diagnostics", events.len() - units);
                whole += usize::from(units == events.len());
                total += 1;
            }
        }
    }
    assert!(total > 50 && whole > 5, "{total} {whole}");
}
