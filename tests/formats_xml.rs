//! Faults in the markup of XML files: each costs at most the unit it is in, in every format that is XML.

use dhakira::formats::{self, Event, ReadOptions};
use dhakira::unit::{DiagnosticCode, Segment, TagKind, UnitContent};
use proptest::prelude::*;

use crate::formats_exchange::{options, read};

/// A format by the unit that it makes of two texts, and what stands around its units.
struct Kind {
    name: &'static str,
    around: [&'static str; 2],
    unit: fn(&str, &str) -> String,
}

const KINDS: [Kind; 3] = [
    Kind {
        name: "tmx",
        around: [
            "<?xml version='1.0'?>\n<tmx version='1.4'><header srclang='ar'/><body>\n",
            "</body></tmx>",
        ],
        unit: |source, target| {
            format!(
                "<tu tuid=\"1\"><tuv xml:lang=\"ar\"><seg>{source}</seg></tuv><tuv xml:lang=\"en\"><seg>{target}</seg></tuv></tu>\n"
            )
        },
    },
    Kind {
        name: "xliff 1.2",
        around: [
            "<?xml version='1.0'?>\n<xliff version='1.2'><file original='a' source-language='ar' target-language='en'><body>\n",
            "</body></file></xliff>",
        ],
        unit: |source, target| {
            format!(
                "<trans-unit id=\"1\"><source>{source}</source><target>{target}</target></trans-unit>\n"
            )
        },
    },
    Kind {
        name: "xliff 2.0",
        around: [
            "<?xml version='1.0'?>\n<xliff version='2.0' srcLang='ar' trgLang='en'><file id='f'>\n",
            "</file></xliff>",
        ],
        unit: |source, target| {
            format!(
                "<unit id=\"1\"><segment><source>{source}</source><target>{target}</target></segment></unit>\n"
            )
        },
    },
];

/// A file with a good unit before and two after some markup.
fn file(kind: &Kind, markup: &str) -> String {
    let good = |text: &str| (kind.unit)(text, text);
    let [begin, end] = kind.around;
    [begin, &good("before"), markup, &good("after"), &good("last"), end].concat()
}

/// The units between those, and how many were rejected; fails when one of the good ones is not read.
fn between(kind: &Kind, markup: &str) -> (Vec<UnitContent>, usize) {
    let it = read(file(kind, markup), &options("ar", "en"));
    let sources: Vec<&str> = it.units.iter().map(|it| it.source.text.as_str()).collect();
    let is_whole = sources.first() == Some(&"before") && sources.ends_with(&["after", "last"]);
    assert!(
        is_whole && it.broken.is_empty(),
        "{}: {markup}: {sources:?} {:?}",
        kind.name,
        it.broken
    );
    let units = it.units[1..it.units.len() - 2].to_vec();
    (units, it.rejected.len())
}

#[test]
fn a_fault_in_the_text_is_repaired_or_costs_its_unit() {
    for kind in KINDS {
        for (raw, text) in [
            ("food & drink", Some("food & drink")),
            ("AT&T", Some("AT&T")),
            ("R & D; more", Some("R & D; more")),
            ("less < 5 and > 4", Some("less < 5 and > 4")),
            ("a<5", Some("a<5")),
            ("<- and <= and <", Some("<- and <= and <")),
            ("x &nbsp; y&eacute;", Some("x \u{a0} y\u{e9}")),
            ("&#55357;&#56832;&#xD83D;&#xDE00;", Some("\u{1f600}\u{1f600}")),
            ("<!-- unclosed", Some("<!-- unclosed")),
            ("<![CDATA[ unclosed", Some("<![CDATA[ unclosed")),
            ("<? unclosed", Some("<? unclosed")),
            ("&foo; x", None),
            ("&#xD83D; x", None),
            ("&#xD83D;<!-- -->&#xDE00; x", None),
            ("&#x110000;", None),
            ("&#0; x", None),
            ("&#x1F; x", None),
            ("\u{1b} x", None),
        ] {
            let (units, rejected) = between(&kind, &(kind.unit)(raw, "target"));
            let found: Vec<&str> = units.iter().map(|it| it.source.text.as_str()).collect();
            assert_eq!(found, text.into_iter().collect::<Vec<_>>(), "{}: {raw}", kind.name);
            assert_eq!(rejected, usize::from(text.is_none()), "{}: {raw}", kind.name);
        }
    }
}

fn tags(segment: &Segment) -> Vec<(u32, TagKind, &str)> {
    segment.tags.iter().map(|it| (it.offset_bytes, it.kind, it.code.as_str())).collect()
}

#[test]
fn foreign_markup_in_a_segment_becomes_inline_codes() {
    use TagKind::{Close, IsolatedClose, IsolatedOpen, Open, Standalone};
    let cases: &[(&str, &str, &[(u32, TagKind, &str)])] = &[
        ("a <b>c</b> d", "a c d", &[(2, Open, "<b>"), (3, Close, "</b>")]),
        ("a<br>b<br/>c", "abc", &[(1, Standalone, "<br>"), (2, Standalone, "<br/>")]),
        (
            "<a href=\"u?x=1&y=2\" download>go</a>",
            "go",
            &[(0, Open, "<a href=\"u?x=1&y=2\" download>"), (2, Close, "</a>")],
        ),
        (
            "<u>a<i>b</u>c</i>",
            "abc",
            &[
                (0, Open, "<u>"),
                (1, IsolatedOpen, "<i>"),
                (2, Close, "</u>"),
                (3, IsolatedClose, "</i>"),
            ],
        ),
        ("a<p>b", "ab", &[(1, IsolatedOpen, "<p>")]),
        ("a</body>b", "ab", &[(1, IsolatedClose, "</body>")]),
        (
            "<lekTargetSeg no='1'>a</lekTargetSeg>",
            "a",
            &[(0, Open, "<lekTargetSeg no='1'>"), (1, Close, "</lekTargetSeg>")],
        ),
        ("x <t5:n id=\"1\" r=\"r\"/> y", "x  y", &[(2, Standalone, "<t5:n id=\"1\" r=\"r\"/>")]),
    ];
    for kind in KINDS {
        for (raw, text, codes) in cases {
            let (units, rejected) = between(&kind, &(kind.unit)("source", raw));
            assert_eq!((units.len(), rejected), (1, 0), "{}: {raw}", kind.name);
            let target = &units[0].target;
            assert_eq!(
                (target.text.as_str(), tags(target)),
                (*text, codes.to_vec()),
                "{}: {raw}",
                kind.name
            );
            let pairs = target.tags.iter().filter_map(|it| it.pair).count();
            let halves = codes.iter().filter(|(_, kind, _)| matches!(kind, Open | Close)).count();
            assert_eq!(pairs, halves, "{raw}: halves have a partner, nothing else has");
        }
    }
    // What is an element of one format is foreign in another.
    let (units, _) = between(&KINDS[0], &(KINDS[0].unit)("source", "a<x id='1'/>b"));
    assert_eq!(tags(&units[0].target), [(1, Standalone, "<x id='1'/>")]);
}

#[test]
fn a_fault_in_a_tag_costs_at_most_its_unit() {
    let kind = &KINDS[0];
    let good = (kind.unit)("source", "target");
    for (from, to, stored) in [
        ("tuid=\"1\"", "tuid=\"R&D\"", true),
        ("tuid=\"1\"", "tuid=\"R&nbsp;D\"", true),
        ("tuid=\"1\"", "tuid=\"a<b\"", true),
        ("tuid=\"1\"", "tuid=1 changed", true),
        ("tuid=\"1\"", "tuid=\"1\" tuid=\"2\"", true),
        ("tuid=\"1\"", "tuid=\"1", true),
        ("tuid=\"1\"", "tuid='1", true),
        ("</tu>", "", true),
        ("</tuv></tu>", "", true),
        ("</seg></tuv></tu>", "", false),
        ("target</seg>", "target", false),
        ("</tuv><tuv", "<tuv", false),
        ("xml:lang=\"en\"", "xml:lang=\"en", false),
        ("</tu>", "</tu></tu></tuv>", true),
    ] {
        assert!(good.contains(from), "{from}");
        let (units, rejected) = between(kind, &good.replacen(from, to, 1));
        let counted = if stored { (1, 0) } else { (0, 1) };
        assert_eq!((units.len(), rejected), counted, "{from} -> {to}");
        if let [unit] = &units[..] {
            assert_eq!(
                (unit.source.text.as_str(), unit.target.text.as_str()),
                ("source", "target")
            );
        }
    }
}

#[test]
fn what_is_repaired_is_said_once_in_a_file() {
    let unit = (KINDS[0].unit)("a & b", "<b>c</b> & d");
    let text = file(&KINDS[0], &unit.repeat(3));
    let reader = formats::open(Box::new(text.as_bytes()), &options("ar", "en")).unwrap();
    let notices: Vec<_> = reader
        .filter_map(|it| match it.unwrap() {
            Event::Notice(it) if it.cause == DiagnosticCode::Malformed => {
                Some((it.place.line, it.message))
            }
            _ => None,
        })
        .collect();
    assert_eq!(notices.len(), 2, "{notices:?}");
    assert!(
        notices.iter().all(|(line, message)| *line == 4 && message.contains("rest of this file"))
    );
}

#[test]
fn the_message_of_a_break_says_how_many_units_came_before() {
    let whole = file(&KINDS[0], "");
    let cut = &whole[..whole.find("last").unwrap()];
    let events = formats::open(Box::new(cut.as_bytes()), &options("ar", "en")).unwrap();
    let Some(Event::Broken(fault)) = events.map(Result::unwrap).last() else { panic!("no break") };
    assert_eq!((fault.place.line, fault.place.unit), (5, 3));
    assert!(fault.message.contains("2 units"), "{fault}");
}

#[test]
fn a_long_text_outside_of_units_is_passed_over() {
    let blob = format!("<prop>{}</prop>", "QUJD".repeat(3 << 20));
    let (units, rejected) = between(&KINDS[0], &blob);
    assert_eq!((units.len(), rejected), (0, 0));
}

/// Each of these would take hours if the rest of the file were read again for every fault.
#[test]
fn faults_without_number_take_time_in_proportion() {
    let times = 40_000;
    for piece in [
        "<",
        "<a ",
        "<a b=\"",
        "<tu tuid=\"x>",
        "&",
        "<!--",
        "</x ",
        "<b>",
        "</b>",
        "<br>",
        "&#55357;",
        "<![CDATA[",
    ] {
        for around in [["", ""], ["<tu><tuv xml:lang='ar'><seg>", "</seg>"], ["<tu x='", "'>"]] {
            let text = [KINDS[0].around[0], around[0], &piece.repeat(times), around[1]].concat();
            let reader = formats::open(Box::new(text.as_bytes()), &options("ar", "en")).unwrap();
            for event in reader {
                event.unwrap();
            }
        }
    }
}

fn garbage() -> impl Strategy<Value = String> {
    let piece = prop::sample::select(vec![
        "<",
        ">",
        "&",
        "\"",
        "'",
        "/",
        "!",
        "--",
        "?",
        "[",
        "]",
        ";",
        "#",
        "=",
        " ",
        "\n",
        "a",
        "x",
        "5",
        "\u{633}",
        "\u{0}",
        "<b",
        "</b",
        "<br>",
        "<!--",
        "<![CDATA[",
        "<?",
        "<!DOCTYPE",
        "&#",
        "&amp",
        "&foo;",
        "&#xD83D;",
        "tuid=\"",
        "</seg>",
        "</tu>",
        "<tu>",
        "<tuv xml:lang='en'>",
        "</body>",
        "</tmx>",
        "</target>",
        "<source>",
        "<unit>",
        "</trans-unit>",
    ]);
    prop::collection::vec(piece, 0..12).prop_map(|it| it.concat())
}

proptest! {
    #[test]
    fn whatever_is_in_a_unit_the_others_are_read(which in 0..3_usize, garbage in garbage(), in_tag in any::<bool>()) {
        let kind = &KINDS[which];
        let unit = (kind.unit)("source", "target");
        let unit = if in_tag {
            unit.replacen("=\"1\"", &format!("=\"{garbage}\""), 1)
        } else {
            unit.replacen("target<", &format!("{garbage}<"), 1)
        };
        let it = read(file(kind, &unit), &options("ar", "en"));
        let sources: Vec<&str> = it.units.iter().map(|it| it.source.text.as_str()).collect();
        // An element that the garbage opens may still be open at the end of the file; nothing is lost by it.
        prop_assert!(sources.first() == Some(&"before") && sources.ends_with(&["after", "last"]), "{:?}", sources);
    }
}

#[test]
fn the_choice_of_a_tag_is_independent_of_how_the_file_comes() {
    /// One byte at a time.
    struct Slow<'a>(&'a [u8]);
    impl std::io::Read for Slow<'_> {
        fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
            let some = buffer.len().min(1);
            self.0.read(&mut buffer[..some])
        }
    }
    let options: ReadOptions = options("ar", "en");
    for raw in ["a < b & c", "<b>x</b> &nbsp; <br>", "<a href=\"x>y</a>", "&#55357;&#56832;"] {
        let text = file(&KINDS[0], &(KINDS[0].unit)(raw, raw));
        let read = |input: Box<dyn std::io::Read + Send>| -> Vec<Event> {
            formats::open(input, &options).unwrap().map(Result::unwrap).collect()
        };
        let bytes = text.clone().into_bytes();
        assert_eq!(
            read(Box::new(Slow(text.as_bytes().to_vec().leak()))),
            read(Box::new(std::io::Cursor::new(bytes))),
            "{raw}"
        );
    }
}
