//! Every format: what is read of it, and what a round trip keeps.

use std::io::Cursor;

use dhakira::formats::{self, Event, FileHeader, Format, ReadOptions};
use dhakira::unit::{
    DiagnosticCode, InlineTag, Segment, TagKind, Timestamp, Unit, UnitContent, UnitId,
};

pub(crate) fn options(source: &str, target: &str) -> ReadOptions {
    ReadOptions::new(source.parse().unwrap(), target.parse().unwrap(), "f")
}

pub(crate) struct Read {
    pub(crate) units: Vec<UnitContent>,
    pub(crate) rejected: Vec<(DiagnosticCode, u64)>,
    pub(crate) broken: Vec<(u64, u64)>,
    pub(crate) unfinished: Vec<u64>,
    pub(crate) format: Option<Format>,
}

impl Read {
    /// Inline tags of all units.
    pub(crate) fn tags(&self) -> usize {
        self.units.iter().map(|it| it.source.tags.len() + it.target.tags.len()).sum()
    }
}

pub(crate) fn read(bytes: impl AsRef<[u8]>, options: &ReadOptions) -> Read {
    let bytes = bytes.as_ref().to_vec();
    let mut reader = formats::open(Box::new(Cursor::new(bytes)), options).unwrap();
    let format = Some(reader.format());
    let mut read = Read {
        units: Vec::new(),
        rejected: Vec::new(),
        broken: Vec::new(),
        unfinished: Vec::new(),
        format,
    };
    for event in reader.by_ref() {
        match event.unwrap() {
            Event::Unit(unit) => read.units.push(unit.content),
            Event::Rejected(it) => {
                read.rejected.push((it.diagnostic.cause, it.diagnostic.place.line));
            }
            Event::Broken(it) => read.broken.push((it.place.line, it.place.column)),
            Event::Unfinished(it) => read.unfinished.push(it.place.line),
            Event::Notice(_) => {}
        }
    }
    read
}

fn write(format: Format, contents: &[UnitContent]) -> Vec<u8> {
    let header = FileHeader {
        source_lang: "ar".parse().unwrap(),
        target_lang: "en".parse().unwrap(),
        tool_version: "1".into(),
    };
    let mut writer = formats::create(format, &header, Vec::new()).unwrap();
    for content in contents {
        writer.write(&Unit::new(UnitId(1), 1, content.clone())).unwrap();
    }
    writer.finish().unwrap()
}

fn tag(offset_bytes: u32, kind: TagKind, pair: Option<u32>, code: &str) -> InlineTag {
    InlineTag { offset_bytes, kind, pair, match_id: pair, label: "bold".into(), code: code.into() }
}

/// A unit that has something in every field.
fn full() -> UnitContent {
    let mut content = UnitContent {
        source: Segment {
            text: "\u{645}\u{646} <&>\"'\u{1f600}".into(),
            tags: vec![
                tag(0, TagKind::Open, Some(1), "<b>"),
                tag(4, TagKind::Close, Some(1), "</b>"),
                tag(5, TagKind::Standalone, Some(3), "<br/>"),
            ],
        },
        target: Segment {
            text: "a,b;c \"d\"".into(),
            tags: vec![
                tag(0, TagKind::Standalone, Some(3), "<br/>"),
                tag(1, TagKind::IsolatedOpen, Some(4), "<i>"),
            ],
        },
        document: "a/b.md".into(),
        author: "sara".into(),
        created: Some(Timestamp { micros: 1_700_000_000_123_456 }),
        changed: Some(Timestamp { micros: 1_700_000_001_000_000 }),
        ..UnitContent::default()
    };
    content.context.previous = Some(7);
    content.context.next = Some(u64::MAX);
    content.context.previous_target = Some(0);
    content.context.next_target = Some(1 << 63);
    content.context_id = "menu/<file>, \"open\";1".into();
    content.attributes.insert("client".into(), "A & B\n\"C\"".into());
    content.attributes.insert("note".into(), "n".into());
    content
}

#[test]
fn every_written_format_is_sniffed_and_read_back() {
    let plain = UnitContent {
        source: Segment::plain("\u{633}"),
        target: Segment::plain("s"),
        ..UnitContent::default()
    };
    let contents = [full(), plain, full()];
    for format in Format::written() {
        let bytes = write(format, &contents);
        assert_eq!(bytes, write(format, &contents), "{format}: the same bytes");
        let back = read(&bytes, &options("ar", "en"));
        assert_eq!(back.format, Some(format));
        assert_eq!((back.rejected.len(), back.broken.len()), (0, 0), "{format}");
        let texts_only = matches!(format, Format::Tsv | Format::Csv);
        for (back, content) in back.units.iter().zip(&contents) {
            let mut expected = content.clone();
            if texts_only {
                expected.source.tags.clear();
                expected.target.tags.clear();
                expected.context = dhakira::unit::Context::default();
            }
            if format == Format::Xliff {
                let shape = |segment: &Segment| -> Vec<_> {
                    let tags = segment.tags.iter();
                    tags.map(|it| (it.offset_bytes, it.kind, it.label.clone(), it.code.clone()))
                        .collect()
                };
                assert_eq!(shape(&back.source), shape(&expected.source));
                assert_eq!(shape(&back.target), shape(&expected.target));
                expected.source.tags.clone_from(&back.source.tags);
                expected.target.tags.clone_from(&back.target.tags);
            }
            assert_eq!(*back, expected, "{format}");
        }
        assert_eq!(back.units.len(), contents.len(), "{format}");
    }
}

/// What other programs call the context id; a name that means something else stays an attribute.
#[test]
fn the_context_id_is_read_under_the_names_of_other_programs() {
    let tmx = |name: &str| {
        format!(
            "<tmx version='1.4'><body><tu><prop type='{name}'>k 1</prop><tuv xml:lang='ar'><seg>\u{633}</seg></tuv>\
             <tuv xml:lang='en'><seg>s</seg></tuv></tu></body></tmx>"
        )
    };
    let old = |name: &str| {
        format!(
            "<xliff version='1.2'><file original='f' source-language='ar' target-language='en'><body><trans-unit id='1' \
             {name}='k 1'><source>\u{633}</source><target>s</target></trans-unit></body></file></xliff>"
        )
    };
    let new = |name: &str| {
        format!(
            "<xliff version='2.0' srcLang='ar' trgLang='en'><file id='f'><unit id='1' {name}='k 1'><segment>\
             <source>\u{633}</source><target>s</target></segment></unit></file></xliff>"
        )
    };
    let csv = |name: &str| format!("ar,en,{name}\n\u{633},s,k 1\n");
    let json =
        |name: &str| format!("{{\"source\":\"\u{633}\",\"target\":\"s\",\"{name}\":\"k 1\"}}\n");
    for (text, expected) in [
        (tmx("x-context"), "k 1"),
        (tmx("x-ContextID"), "k 1"),
        (tmx("x-context-id"), "k 1"),
        (tmx("x-Context"), ""),
        (old("resname"), "k 1"),
        (old("restype"), ""),
        (new("name"), "k 1"),
        (csv("context_id"), "k 1"),
        (csv("Context ID"), "k 1"),
        (csv("context"), ""),
        (json("context_id"), "k 1"),
    ] {
        let read = read(&text, &options("ar", "en"));
        let unit = &read.units[0];
        assert_eq!(unit.context_id, expected, "{text}");
        assert_eq!(unit.attributes.values().any(|it| it == "k 1"), expected.is_empty(), "{text}");
        assert_eq!(unit.context_key(), Some(expected).filter(|it| !it.is_empty()), "{text}");
    }
    let po = "msgid \"\"\nmsgstr \"Language: en\\n\"\n\nmsgctxt \"k 1\"\nmsgid \"\u{633}\"\nmsgstr \"s\"\n";
    let unit = read(po, &options("ar", "en")).units.remove(0);
    assert_eq!((unit.context_id.as_str(), unit.context_key()), ("", Some("k 1")));
    // As an earlier version stored it; other programs still find it.
    let mut stored = UnitContent { context_id: String::new(), ..unit };
    stored.attributes = [("x-context".to_owned(), "k 1".to_owned())].into();
    assert_eq!(stored.context_key(), Some("k 1"));
    let written = String::from_utf8(write(Format::Tmx, &[stored])).unwrap();
    assert!(written.contains("<prop type=\"x-context\">k 1</prop>"), "{written}");
}

/// Where the sides change places, so do the neighbours.
#[test]
fn neighbours_of_swapped_sides_are_swapped() {
    let content = full();
    for format in [Format::Tmx, Format::Jsonl] {
        let options = ReadOptions { swap: true, ..options("ar", "en") };
        let unit = read(write(format, std::slice::from_ref(&content)), &options).units.remove(0);
        assert_eq!(unit.source.text, content.target.text, "{format}");
        assert_eq!(unit.context, content.context.swapped(), "{format}");
    }
}

#[test]
fn highlights_and_texts_inside_of_codes_survive_as_what_they_were() {
    let seg = "a <bpt i=\"1\" x=\"1\" type=\"bold\">&lt;b&gt;</bpt>b<ph x=\"3\" type=\"image\" assoc=\"b\">\
        &lt;img alt=\"<sub type=\"alt\">see <ph>x</ph></sub>\"&gt;</ph>\
        <hi x=\"4\" type=\"verb\">c <hi>d</hi></hi><ut>{x}</ut><ept i=\"1\">&lt;/b&gt;</ept>";
    let body = format!(
        "<tmx version='1.4'><body><tu><tuv xml:lang='ar'><seg>{seg}</seg></tuv><tuv xml:lang='en'>\
         <seg>t</seg></tuv></tu></body></tmx>"
    );
    let first = read(&body, &options("ar", "en"));
    assert_eq!(first.units[0].source.text, "a bc d");
    assert_eq!(first.units[0].source.tags.len(), 8);
    let written = String::from_utf8(write(Format::Tmx, &first.units)).unwrap();
    let unquoted = seg.replace("alt=\"<", "alt=&quot;<").replace("</sub>\"", "</sub>&quot;");
    assert!(written.contains(&unquoted), "{written}\n{unquoted}");
    let without = ReadOptions { tags: false, ..options("ar", "en") };
    assert!(read(&body, &without).units[0].source.tags.is_empty());
}

#[test]
fn a_string_without_end_is_bounded() {
    use std::io::Read as _;
    let text = b"msgid \"".chain(std::io::repeat(b'x').take(1 << 30));
    let mut reader = formats::open(Box::new(text), &options("en", "ar")).unwrap();
    let events: Vec<_> = reader.by_ref().map(Result::unwrap).collect();
    assert!(matches!(events.last(), Some(Event::Broken(_))));
    assert!(reader.bytes_read() < 64 << 20);
}

#[test]
fn a_pair_of_files_is_read_in_step() {
    let pair = |a: &'static [u8], b: &'static [u8]| -> Vec<Event> {
        formats::open_pair(Box::new(a), Box::new(b), &options("ar", "en"))
            .unwrap()
            .map(Result::unwrap)
            .collect()
    };
    let events = pair(b"1\r\n2\n\n3", b"a\nb\nc\nd\n");
    assert!(matches!(
        &events[..],
        [Event::Unit(_), Event::Unit(_), Event::Rejected(_), Event::Unit(_)]
    ));
    assert!(matches!(&pair(b"x\ny\n", b"a\n")[..], [Event::Unit(_), Event::Broken(_)]));
}

#[test]
fn windows_1252_as_old_tools_write_it() {
    // Statistics need a text that is one.
    let texts = [
        "\u{201c}O\u{f9} est-il\u{a0}?\u{201d} demanda l\u{2019}\u{e9}l\u{e8}ve fran\u{e7}ais",
        "Il a \u{e9}t\u{e9} pr\u{e9}f\u{e9}r\u{e9} \u{e0} l\u{2019}h\u{f4}tel o\u{f9} nous d\u{e9}jeunions \u{2013} 5\u{a0}\u{20ac}\u{2026}",
    ];
    let xml = format!(
        "<?xml version='1.0' encoding='windows-1252'?><tmx version='1.4'><body>{}</body></tmx>",
        texts.map(|it| format!(
            "<tu><tuv xml:lang='en'><seg>{it}</seg></tuv><tuv xml:lang='fr'><seg>{it}!</seg></tuv></tu>"
        )).concat()
    );
    let rows = format!("en\tfr\n{}", texts.map(|it| format!("{it}\t{it}!\n")).concat().repeat(20));
    for (name, text, units) in [("declared", xml, 2), ("told by nothing", rows, 40)] {
        let (bytes, _, lossy) = encoding_rs::WINDOWS_1252.encode(&text);
        assert!(!lossy && std::str::from_utf8(&bytes).is_err());
        let it = read(&bytes, &options("en", "fr"));
        assert_eq!((it.units.len(), it.rejected.len()), (units, 0), "{name}");
        assert_eq!(it.units[0].source.text, texts[0], "{name}");
        assert_eq!(it.units[1].target.text, format!("{}!", texts[1]), "{name}");
        assert_eq!(notices(&bytes, &options("en", "fr")), [], "{name}");
    }
}

fn notices(bytes: &[u8], options: &ReadOptions) -> Vec<DiagnosticCode> {
    let reader = formats::open(Box::new(Cursor::new(bytes.to_vec())), options).unwrap();
    let causes = reader.map(Result::unwrap).filter_map(|event| match event {
        Event::Notice(it) => Some(it.cause),
        _ => None,
    });
    causes.collect()
}

#[test]
fn encodings_without_a_mark_and_those_that_lie() {
    let arabic = "\u{627}\u{644}\u{633}\u{644}\u{627}\u{645} \u{639}\u{644}\u{64a}\u{643}\u{645} \u{648}\u{631}\u{62d}\u{645}\u{629} \u{627}\u{644}\u{644}\u{647} \u{648}\u{628}\u{631}\u{643}\u{627}\u{62a}\u{647}";
    let body = format!("ar\ten\n{}", format!("{arabic}\tPeace be upon you\n").repeat(20));
    for label in ["windows-1256", "iso-8859-6", "utf-8"] {
        let encoding = encoding_rs::Encoding::for_label(label.as_bytes()).unwrap();
        let (bytes, _, lossy) = encoding.encode(&body);
        assert!(!lossy);
        let it = read(&bytes, &options("ar", "en"));
        assert_eq!(it.units.len(), 20, "{label}");
        assert!(it.units.iter().all(|it| it.source.text == arabic), "{label}");
        assert_eq!(notices(&bytes, &options("ar", "en")), []);
    }
    let tmx = |label: &str| {
        format!(
            "<?xml version='1.0' encoding='{label}'?><tmx><body><tu><tuv xml:lang='ar'><seg>{arabic}</seg></tuv>\
             <tuv xml:lang='en'><seg>Peace</seg></tuv></tu></body></tmx>"
        )
    };
    let says_utf_8 = tmx("utf-8");
    let (says_utf_8, ..) = encoding_rs::WINDOWS_1256.encode(&says_utf_8);
    let says_1256 = tmx("windows-1256").into_bytes();
    for bytes in [says_utf_8.to_vec(), says_1256] {
        let it = read(&bytes, &options("ar", "en"));
        assert_eq!(it.units[0].source.text, arabic);
        assert_eq!(notices(&bytes, &options("ar", "en")), [DiagnosticCode::DeclaredEncoding]);
    }
}

#[test]
fn swapped_sides_are_noticed_and_can_be_swapped_back() {
    let arabic = "\u{633}\u{644}\u{627}\u{645}";
    let text = format!("ar\ten\n{}OK\tOK\n", format!("peace\t{arabic}\n").repeat(5));
    let mut it = options("ar", "en");
    assert_eq!(notices(text.as_bytes(), &it), [DiagnosticCode::SwappedSides]);
    it.swap = true;
    assert_eq!(notices(text.as_bytes(), &it), []);
    assert_eq!(read(text.as_bytes(), &it).units[0].source.text, arabic);
    let wrong = format!("ar\ten\n{}", format!("{arabic}\t{arabic}{arabic}\n").repeat(5));
    assert_eq!(notices(wrong.as_bytes(), &options("ar", "en")), [DiagnosticCode::WrongLanguage]);
}
