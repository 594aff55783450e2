//! Every format: what is read of it, what a round trip keeps, what the real files hold.

use std::io::Cursor;

use dhakira::formats::{
    self, Event, FileHeader, Format, ReadOptions, UNFINISHED_ATTRIBUTE, Unfinished,
};
use dhakira::unit::{Cause, InlineTag, Segment, TagKind, Timestamp, Unit, UnitContent, UnitId};

use crate::support::shared;

pub(crate) fn options(source: &str, target: &str) -> ReadOptions {
    ReadOptions::new(source.parse().unwrap(), target.parse().unwrap(), "f")
}

pub(crate) struct Read {
    pub(crate) units: Vec<UnitContent>,
    pub(crate) rejected: Vec<(Cause, u64)>,
    pub(crate) broken: Vec<(u64, u64)>,
    pub(crate) unfinished: Vec<u64>,
    pub(crate) format: Option<Format>,
}

impl Read {
    /// Inline tags of all units.
    fn tags(&self) -> usize {
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
        writer.write(&Unit { id: UnitId(1), revision: 1, content: content.clone() }).unwrap();
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
    for format in Format::WRITTEN {
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
fn xliff_segments_states_and_alternatives() {
    let old = "<xliff version='1.2' xmlns='urn:oasis:names:tc:xliff:document:1.2'><file original='a.md' \
        source-language='ar' target-language='en'><body><trans-unit id='7' approved='yes'>\
        <source>x. y.</source><seg-source><mrk mtype='seg' mid='1'>x.</mrk> <mrk mtype='seg' mid='2'>y<x id='9'/>.</mrk></seg-source>\
        <target state='final'><mrk mtype='seg' mid='1'>A.</mrk> <mrk mtype='seg' mid='2'><g id='1' ctype='bold'>B</g>.</mrk></target>\
        <alt-trans match-quality='80'><source>w</source><target>C</target></alt-trans></trans-unit>\
        <trans-unit id='8'><source>z</source></trans-unit></body></file></xliff>";
    let it = read(old, &options("ar", "en"));
    let texts: Vec<_> =
        it.units.iter().map(|it| (it.source.text.as_str(), it.target.text.as_str())).collect();
    assert_eq!(texts, [("x.", "A."), ("y.", "B."), ("w", "C")]);
    assert_eq!(it.units[0].attributes["state"], "final");
    assert_eq!(it.units[0].document, "a.md");
    assert_eq!(it.units[2].attributes["match-quality"], "80");
    let kinds: Vec<_> =
        it.units[1].target.tags.iter().map(|it| (it.offset_bytes, it.kind)).collect();
    assert_eq!(kinds, [(0, TagKind::Open), (1, TagKind::Close)]);
    assert_eq!(it.rejected, [(Cause::MissingTarget, 1)]);
    // The other direction: the memory's sources are what the file calls targets.
    let reversed = read(old, &options("en", "ar"));
    assert_eq!(reversed.units[0].source.text, "A.");
    let new = "<xliff version='2.0' srcLang='ar' trgLang='en'><file id='f'><unit id='u'><notes><note>n</note></notes>\
        <originalData><data id='d1'>[b]</data><data id='d2'>[/b]</data></originalData>\
        <segment state='reviewed'><source><pc id='1' dataRefStart='d1' dataRefEnd='d2'>x</pc></source><target>A</target></segment>\
        <segment><source>y<sc id='2' dataRef='d1'/>z<ec startRef='2' dataRef='d2'/></source><target>B</target></segment></unit></file></xliff>";
    let it = read(new, &options("ar", "en"));
    let codes = |unit: usize| -> Vec<_> {
        it.units[unit].source.tags.iter().map(|it| (it.kind, it.code.as_str())).collect()
    };
    assert_eq!(codes(0), [(TagKind::Open, "[b]"), (TagKind::Close, "[/b]")]);
    assert_eq!(codes(1), codes(0));
    let tags = &it.units[1].source.tags;
    assert_eq!(tags[0].pair, tags[1].pair);
    assert_eq!(it.units[0].attributes["state"], "reviewed");
    assert_eq!(it.units[0].attributes["note"], "n");
}

#[test]
fn sdlxliff_defines_its_tags_and_states_apart() {
    let text = "<xliff version='1.2'><file source-language='ar' target-language='en-US'><header><tag-defs>\
        <tag id='5'><bpt name='cf'>&lt;cf bold='on'&gt;</bpt><ept name='cf'>&lt;/cf&gt;</ept></tag></tag-defs></header><body>\
        <trans-unit id='u'><source><g id='5'>x</g></source><seg-source><mrk mtype='seg' mid='1'><g id='5'>x</g></mrk></seg-source>\
        <target><mrk mtype='seg' mid='1'><g id='5'>A</g></mrk></target><sdl:seg-defs><sdl:seg id='1' conf='Translated'/></sdl:seg-defs>\
        </trans-unit></body></file></xliff>";
    let it = read(text, &options("ar", "en"));
    assert_eq!(it.units[0].attributes["state"], "Translated");
    let codes: Vec<_> = it.units[0].target.tags.iter().map(|it| it.code.as_str()).collect();
    assert_eq!(codes, ["<cf bold='on'>", "</cf>"]);
}

#[test]
fn messages_of_gettext() {
    let text = "# translator\nmsgid \"\"\nmsgstr \"\"\n\"Language: ar\\n\"\n\"Last-Translator: Sara\\n\"\n\
        \"PO-Revision-Date: 2020-01-31 23:59+0300\\n\"\n\"Plural-Forms: nplurals=6; plural=n==0 ? 0 : n==1 ? 1 : 5;\\n\"\n\n\
        #. extracted\n#: a.c:1\n#, fuzzy, c-format\n#| msgid \"old\"\nmsgctxt \"menu\"\nmsgid \"O\\\"pen\\n\"\n\"ed\"\nmsgstr \"\u{641}\"\n\n\
        msgid \"%d file\"\nmsgid_plural \"%d files\"\nmsgstr[0] \"a\"\nmsgstr[1] \"b\"\n\n\
        msgid \"none\"\nmsgstr \"\"\n\n#~ msgid \"gone\"\n#~ msgstr \"c\"\n\nmsgid \"bad\nmsgstr \"d\"\n";
    let mut wanted = options("en", "ar");
    let it = read(text, &wanted);
    assert_eq!((it.units.len(), it.unfinished), (3, vec![9]));
    wanted.unfinished = Unfinished::Keep;
    let it = read(text, &wanted);
    assert_eq!(it.units[0].attributes[UNFINISHED_ATTRIBUTE], "fuzzy");
    assert_eq!(it.format, Some(Format::Po));
    let pairs: Vec<_> =
        it.units.iter().map(|it| (it.source.text.as_str(), it.target.text.as_str())).collect();
    assert_eq!(
        pairs,
        [("O\"pen\ned", "\u{641}"), ("%d files", "a"), ("%d file", "b"), ("gone", "c")]
    );
    let attributes = &it.units[0].attributes;
    for (name, value) in [
        ("msgctxt", "menu"),
        ("flags", "fuzzy, c-format"),
        ("previous-msgid", "old"),
        ("comment", "extracted"),
        ("references", "a.c:1"),
    ] {
        assert_eq!(attributes[name], value);
    }
    assert_eq!(it.units[0].author, "Sara");
    assert_eq!(it.units[0].changed, Some(Timestamp { micros: 1_580_504_340_000_000 }));
    assert_eq!(it.units[3].attributes["obsolete"], "true");
    assert_eq!(it.rejected, [(Cause::MissingTarget, 23), (Cause::Malformed, 29)]);
    // The memory's direction is the other one.
    wanted = ReadOptions { unfinished: Unfinished::Keep, ..options("ar", "en") };
    assert_eq!(read(text, &wanted).units[0].source.text, "\u{641}");
}

/// What `msgmerge --previous` writes of messages that are gone, one with context and plural, one over several lines.
#[test]
fn obsolete_messages_keep_what_they_were_before() {
    let text = "msgid \"\"\nmsgstr \"Language: en\\n\"\n\n\
        #, c-format\n#~| msgctxt \"menu\"\n#~| msgid \"one\"\n#~| msgid_plural \"many\"\n#~ msgctxt \"dialogue\"\n\
        #~ msgid \"\u{628}\"\n#~ msgid_plural \"\u{628}\u{628}\"\n#~ msgstr[0] \"b\"\n#~ msgstr[1] \"bb\"\n\
        #, fuzzy\n#~| msgid \"\"\n#~| \"two \"\n#~| \"lines\"\n#~ msgid \"\u{62c}\"\n#~ msgstr \"j\"\n\n\
        #| msgctxt \"\"\n#| \"long \"\n#| \"context\"\n#| msgid \"old\"\nmsgid \"\u{62f}\"\nmsgstr \"d\"\n";
    let it = read(text, &options("ar", "en"));
    assert_eq!((it.rejected.len(), it.broken.len()), (0, 0));
    let said = |number: usize, name: &str| -> &str {
        it.units[number].attributes.get(name).map_or("", String::as_str)
    };
    let targets: Vec<&str> = it.units.iter().map(|it| it.target.text.as_str()).collect();
    assert_eq!(targets, ["b", "bb", "j", "d"]);
    for number in 0..2 {
        assert_eq!(said(number, "previous-msgctxt"), "menu");
        assert_eq!(said(number, "previous-msgid"), "one");
        assert_eq!(said(number, "previous-msgid_plural"), "many");
        assert_eq!(said(number, "msgctxt"), "dialogue");
        assert_eq!((said(number, "obsolete"), said(number, "flags")), ("true", "c-format"));
    }
    assert_eq!((said(2, "previous-msgid"), said(2, "previous-msgctxt")), ("two lines", ""));
    assert_eq!((said(3, "previous-msgctxt"), said(3, "previous-msgid")), ("long context", "old"));
    assert_eq!((said(2, "obsolete"), said(3, "obsolete")), ("true", ""));
    // It will never be finished, so it is not left out either.
    assert_eq!((said(1, UNFINISHED_ATTRIBUTE), said(2, UNFINISHED_ATTRIBUTE)), ("", "fuzzy"));
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

/// Units, inline elements and rejected units of real files, read as English to French; counted apart from this program, with
/// another XML parser: pairs of variants of the two languages that have text, the elements in both (a highlight is two, what
/// stands inside a code is none), and units without any pair or with an empty side.
const REAL: [(&str, usize, usize, usize); 65] = [
    ("matecat__files_tmx_exampleForTestOriginal.tmx", 0, 0, 2),
    ("neokapi__apps_kapi-desktop_backend_sample_kapimart_memory-seed.tmx", 200, 0, 0),
    ("omegat-org__data_autotmx_auto1.tmx", 2, 0, 0),
    ("omegat-org__data_autotmx_auto14.tmx", 2, 0, 0),
    ("omegat-org__data_autotmx_project1.tmx", 0, 0, 0),
    ("omegat-org__data_enforcetmx_alternative.tmx", 2, 0, 0),
    ("omegat-org__data_enforcetmx_alternative14.tmx", 2, 0, 0),
    ("omegat-org__data_enforcetmx_enforce1.tmx", 1, 0, 0),
    ("omegat-org__data_enforcetmx_enforce14.tmx", 1, 0, 0),
    ("omegat-org__data_enforcetmx_project1.tmx", 1, 0, 0),
    ("omegat-org__data_mark_alternative.tmx", 2, 0, 0),
    ("omegat-org__data_project_CN_JP_omegat_project_save.tmx", 0, 0, 1),
    ("omegat-org__data_project_external_tm_omegat_project_save.tmx", 2, 0, 0),
    ("omegat-org__data_project_external_tm_tm_en-fr.tmx", 1, 0, 0),
    ("omegat-org__data_project_fuzzy_omegat_project_save.tmx", 0, 0, 0),
    ("omegat-org__data_project_fuzzy_tm_penalty-010_segment_1.tmx", 0, 0, 1),
    ("omegat-org__data_project_fuzzy_tm_penalty-010_segment_2.tmx", 0, 0, 1),
    ("omegat-org__data_project_fuzzy_tm_penalty-010_segment_3.tmx", 0, 0, 1),
    ("omegat-org__data_project_fuzzy_tm_penalty-010_segment_4.tmx", 0, 0, 1),
    ("omegat-org__data_tmx_TMXComplianceKit_ExportTest1A.tmx", 4, 0, 0),
    ("omegat-org__data_tmx_TMXComplianceKit_ExportTest1B.tmx", 2, 0, 0),
    ("omegat-org__data_tmx_TMXComplianceKit_ExportTest1C.tmx", 4, 0, 0),
    ("omegat-org__data_tmx_TMXComplianceKit_ExportTest1E.tmx", 4, 0, 0),
    ("omegat-org__data_tmx_TMXComplianceKit_ExportTest2A.tmx", 6, 52, 0),
    ("omegat-org__data_tmx_TMXComplianceKit_ImportTest1A.tmx", 2, 0, 0),
    ("omegat-org__data_tmx_TMXComplianceKit_ImportTest1B.tmx", 1, 0, 0),
    ("omegat-org__data_tmx_TMXComplianceKit_ImportTest1C.tmx", 6, 0, 0),
    ("omegat-org__data_tmx_TMXComplianceKit_ImportTest1D.tmx", 0, 0, 3),
    ("omegat-org__data_tmx_TMXComplianceKit_ImportTest1E.tmx", 0, 0, 3),
    ("omegat-org__data_tmx_TMXComplianceKit_ImportTest1F.tmx", 0, 0, 3),
    ("omegat-org__data_tmx_TMXComplianceKit_ImportTest1G.tmx", 0, 0, 3),
    ("omegat-org__data_tmx_TMXComplianceKit_ImportTest1H.tmx", 0, 0, 3),
    ("omegat-org__data_tmx_TMXComplianceKit_ImportTest1I.tmx", 0, 0, 1),
    ("omegat-org__data_tmx_TMXComplianceKit_ImportTest1J.tmx", 0, 0, 2),
    ("omegat-org__data_tmx_TMXComplianceKit_ImportTest1J_many.tmx", 0, 0, 3),
    ("omegat-org__data_tmx_TMXComplianceKit_ImportTest1K.tmx", 1, 0, 1),
    ("omegat-org__data_tmx_TMXComplianceKit_ImportTest1L.tmx", 2, 0, 0),
    ("omegat-org__data_tmx_TMXComplianceKit_ImportTest2A-0index.tmx", 7, 46, 0),
    ("omegat-org__data_tmx_TMXComplianceKit_ImportTest2A.tmx", 7, 46, 0),
    ("omegat-org__data_tmx_TMXComplianceKit_ImportTest2B.tmx", 7, 46, 0),
    ("omegat-org__data_tmx_TMXComplianceKit_ImportTest2C.tmx", 2, 24, 0),
    ("omegat-org__data_tmx_empty.tmx", 0, 0, 0),
    ("omegat-org__data_tmx_en-US_en-GB_fr_sr.tmx", 2, 0, 0),
    ("omegat-org__data_tmx_en-US_sr.tmx", 0, 0, 1),
    ("omegat-org__data_tmx_en-ca.tmx", 0, 0, 1),
    ("omegat-org__data_tmx_invalid.tmx", 0, 0, 1),
    ("omegat-org__data_tmx_mt_mt1.tmx", 1, 0, 0),
    ("omegat-org__data_tmx_penalty-010_segment_1.tmx", 0, 0, 1),
    ("omegat-org__data_tmx_project_save.tmx", 5, 0, 0),
    ("omegat-org__data_tmx_resegmenting.tmx", 1, 0, 0),
    ("omegat-org__data_tmx_resegmenting11.tmx", 1, 0, 0),
    ("omegat-org__data_tmx_segment_2.tmx", 0, 0, 1),
    ("omegat-org__data_tmx_test-SMP.tmx", 0, 0, 1),
    ("omegat-org__data_tmx_test-level1.tmx", 0, 0, 4),
    ("omegat-org__data_tmx_test-level2.tmx", 0, 0, 4),
    ("omegat-org__data_tmx_test-match-stat-en-ca.tmx", 0, 0, 259),
    ("omegat-org__data_tmx_test-match-stat-en-ca11.tmx", 0, 0, 259),
    ("omegat-org__data_tmx_test-missingSource.tmx", 0, 0, 4),
    ("omegat-org__data_tmx_test-multiple-entries.tmx", 0, 0, 4),
    ("omegat-org__data_tmx_test-multiple-entries11.tmx", 0, 0, 4),
    ("omegat-org__data_tmx_test-multiple-tuv.tmx", 5, 0, 1),
    ("omegat-org__data_tmx_test-multiple-tuv14.tmx", 5, 0, 1),
    ("omegat-org__data_tmx_test-omegat-invalid.tmx", 0, 0, 4),
    ("omegat-org__data_tmx_test-omegat.tmx", 0, 0, 4),
    ("omegat-org__data_tmx_test-save-tmx14.tmx", 0, 0, 4),
];

#[test]
fn real_files_hold_what_was_counted() {
    let Some(directory) = shared("data/exchange/tmx") else { return };
    let mut wrong = Vec::new();
    for (name, units, tags, rejected) in REAL {
        let file = directory.join(name);
        let it = read(std::fs::read(file).unwrap(), &options("en", "fr"));
        let counted = (it.units.len(), it.tags(), it.rejected.len(), it.broken.len());
        if counted != (units, tags, rejected, 0) {
            wrong.push((name, counted));
        }
    }
    assert_eq!(wrong, []);
    assert_eq!(std::fs::read_dir(directory).unwrap().count(), REAL.len());
}

/// Units of the health texts, counted the same way.
const TICO: usize = 3071;

/// Units and inline elements of real XLIFF files, counted the same way.
const XLIFF: [(&str, usize, usize); 5] = [
    ("MicrosoftDocs__CAAP.5398ab.ar-SA.xlf", 2, 4),
    ("MicrosoftDocs__accounts-payable.3939cb.ar-SA.xlf", 64, 166),
    ("MicrosoftDocs__copy-customer.aa4a7c.ar-SA.xlf", 58, 110),
    ("MicrosoftDocs__release-notes.39f667.ar-SA.xlf", 5, 8),
    ("MicrosoftDocs__toc.yml.a8dae3.ar-SA.xlf", 1, 0),
];

#[test]
fn the_health_texts_and_the_manual_are_read_whole() {
    let Some(file) = shared("data/tico19/all.en-ar.tmx.xz") else { return };
    let it = read(std::fs::read(file).unwrap(), &options("ar", "en"));
    assert_eq!((it.units.len(), it.rejected.len(), it.broken.len()), (TICO, 0, 0));
    let Some(directory) = shared("data/exchange/xliff") else { return };
    for (name, units, tags) in XLIFF {
        let it = read(std::fs::read(directory.join(name)).unwrap(), &options("ar", "en"));
        assert_eq!((it.units.len(), it.tags(), it.rejected.len()), (units, tags, 0), "{name}");
        // The memory is Arabic to English, the files are not.
        let arabic =
            |text: &str| text.chars().filter(|it| ('\u{621}'..'\u{64b}').contains(it)).count();
        assert!(it.units.iter().all(|it| arabic(&it.target.text) == 0), "{name}");
    }
}

#[test]
fn real_files_keep_their_meaning_through_a_memory() {
    let Some(directory) = shared("data/exchange/tmx") else { return };
    let mut compared = 0;
    for entry in std::fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        for target in ["fr", "sr", "ja", "en-CA"] {
            let options = options("en", target);
            let first = read(std::fs::read(&path).unwrap(), &options);
            let header = FileHeader {
                source_lang: options.source_lang.clone(),
                target_lang: options.target_lang.clone(),
                tool_version: "1".into(),
            };
            let mut writer = formats::create(Format::Tmx, &header, Vec::new()).unwrap();
            for content in &first.units {
                writer
                    .write(&Unit { id: UnitId(1), revision: 1, content: content.clone() })
                    .unwrap();
            }
            let second = read(writer.finish().unwrap(), &options);
            assert_eq!(second.units, first.units, "{}", path.display());
            compared += first.units.len();
        }
    }
    assert!(compared > 100, "{compared}");
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

fn notices(bytes: &[u8], options: &ReadOptions) -> Vec<Cause> {
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
        assert_eq!(notices(&bytes, &options("ar", "en")), [Cause::DeclaredEncoding]);
    }
}

#[test]
fn swapped_sides_are_noticed_and_can_be_swapped_back() {
    let arabic = "\u{633}\u{644}\u{627}\u{645}";
    let text = format!("ar\ten\n{}OK\tOK\n", format!("peace\t{arabic}\n").repeat(5));
    let mut it = options("ar", "en");
    assert_eq!(notices(text.as_bytes(), &it), [Cause::SwappedSides]);
    it.swap = true;
    assert_eq!(notices(text.as_bytes(), &it), []);
    assert_eq!(read(text.as_bytes(), &it).units[0].source.text, arabic);
    let wrong = format!("ar\ten\n{}", format!("{arabic}\t{arabic}{arabic}\n").repeat(5));
    assert_eq!(notices(wrong.as_bytes(), &options("ar", "en")), [Cause::WrongLanguage]);
}
