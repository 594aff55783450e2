//! TMX in and out as trees: what a file means is the same after a memory, and the compliance kit gives what it says.

use std::collections::{BTreeMap, BTreeSet};
use std::io::Cursor;
use std::path::Path;

use dhakira::formats::{self, Event, FileHeader, Format, ReadOptions};
use dhakira::unit::{Lang, TagKind, Unit, UnitContent, UnitId};
use quick_xml::Reader;
use quick_xml::events::{BytesStart, Event as XmlEvent};

use crate::support::shared;

/// An element of XML, as another program would see it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Default)]
struct Node {
    name: String,
    attributes: BTreeMap<String, String>,
    children: Vec<Child>,
}

#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
enum Child {
    Text(String),
    Node(Node),
}

impl Node {
    fn new(start: &BytesStart<'_>) -> Self {
        let attributes = start.attributes().map(Result::unwrap).map(|it| {
            let value = quick_xml::escape::unescape(&it.value).unwrap().into_owned();
            (it.key.as_ref().to_owned(), value)
        });
        Self {
            name: start.name().as_ref().to_owned(),
            attributes: attributes.collect(),
            children: Vec::new(),
        }
    }

    fn text(&mut self, text: &str) {
        match self.children.last_mut() {
            Some(Child::Text(before)) => before.push_str(text),
            _ => self.children.push(Child::Text(text.to_owned())),
        }
    }

    fn nodes(&self) -> impl Iterator<Item = &Self> {
        self.children.iter().filter_map(|child| match child {
            Child::Node(node) => Some(node),
            Child::Text(_) => None,
        })
    }

    fn named<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a Self> {
        self.nodes().filter(move |it| it.name == name)
    }

    fn content(&self) -> String {
        self.children
            .iter()
            .map(|child| match child {
                Child::Text(text) => text.clone(),
                Child::Node(node) => node.content(),
            })
            .collect()
    }
}

/// The tree of a document; `None` when it is not well-formed.
fn tree(text: &str) -> Option<Node> {
    let mut reader = Reader::from_str(text);
    let mut open = vec![Node::default()];
    loop {
        match reader.read_event().ok()? {
            XmlEvent::Start(start) => open.push(Node::new(&start)),
            XmlEvent::Empty(start) => {
                let node = Node::new(&start);
                open.last_mut()?.children.push(Child::Node(node));
            }
            XmlEvent::End(_) => {
                let node = open.pop()?;
                open.last_mut()?.children.push(Child::Node(node));
            }
            XmlEvent::Text(text) => {
                let text = text.xml10_content().into_owned();
                open.last_mut()?.text(&text);
            }
            XmlEvent::CData(text) => {
                let text = text.xml10_content().into_owned();
                open.last_mut()?.text(&text);
            }
            XmlEvent::GeneralRef(reference) => {
                let text = match reference.resolve_char_ref().ok()? {
                    Some(character) => character.to_string(),
                    None => {
                        let name = reference.into_inner();
                        quick_xml::escape::unescape(&format!("&{};", name.as_ref()))
                            .ok()?
                            .into_owned()
                    }
                };
                open.last_mut()?.text(&text);
            }
            XmlEvent::Eof => return (open.len() == 1).then(|| open.remove(0)),
            _ => {}
        }
    }
}

/// What a unit means: both texts with their markup, and everything that is said of it, wherever in the unit it is said.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Meaning {
    sides: [(String, Vec<Child>); 2],
    attributes: BTreeSet<(String, String)>,
    properties: BTreeSet<(String, String)>,
    notes: Vec<String>,
}

/// Elements that mean the same written alike: an element without content has none, however it is written.
fn canonical(children: &[Child]) -> Vec<Child> {
    let mut canonical: Vec<Child> = Vec::new();
    for child in children {
        match child {
            Child::Text(text) if text.is_empty() => {}
            Child::Text(text) => canonical.push(Child::Text(text.clone())),
            Child::Node(node) => canonical.push(Child::Node(Node {
                children: self::canonical(&node.children),
                ..node.clone()
            })),
        }
    }
    canonical
}

/// The units of two languages; those whose sides both have text.
fn meanings(root: &Node, [source, target]: [&str; 2]) -> Vec<Meaning> {
    let mut found = Vec::new();
    let lang_of = |variant: &Node| -> Option<Lang> {
        variant.attributes.get("xml:lang").or_else(|| variant.attributes.get("lang"))?.parse().ok()
    };
    for unit in root.named("tmx").flat_map(|it| it.named("body")).flat_map(|it| it.named("tu")) {
        let of = |wanted: &str| -> Vec<&Node> {
            let wanted: Lang = wanted.parse().unwrap();
            unit.named("tuv")
                .filter(|it| lang_of(it).is_some_and(|lang| wanted.accepts(&lang)))
                .filter(|it| it.named("seg").any(|seg| !seg.content().trim().is_empty()))
                .collect()
        };
        for a in of(source) {
            for b in of(target) {
                found.push(meaning(unit, a, b, lang_of));
            }
        }
    }
    found
}

fn meaning(unit: &Node, a: &Node, b: &Node, lang_of: impl Fn(&Node) -> Option<Lang>) -> Meaning {
    let all = [b, unit, a];
    let told = ["xml:lang", "lang"];
    let attributes =
        all.iter().flat_map(|it| &it.attributes).filter(|(name, _)| !told.contains(&name.as_str()));
    let properties = all.iter().flat_map(|it| it.named("prop"));
    let notes = [unit, a, b].into_iter().flat_map(|it| it.named("note"));
    let side = |variant: &Node| {
        let lang = lang_of(variant).unwrap().to_string();
        (lang, canonical(&variant.named("seg").next().unwrap().children))
    };
    Meaning {
        sides: [side(a), side(b)],
        attributes: attributes.map(|(name, value)| (name.clone(), value.clone())).collect(),
        properties: properties
            .map(|it| (it.attributes.get("type").cloned().unwrap_or_default(), it.content()))
            .collect(),
        notes: notes.map(Node::content).collect(),
    }
}

/// A property that says the same under another name: OmegaT's document, a second property of one name.
fn is_said(property: &(String, String), after: &Meaning) -> bool {
    let (name, value) = property;
    let said = |name: &str| after.properties.contains(&(name.to_owned(), value.clone()));
    let numbered = || {
        after.properties.iter().any(|(it, its)| its == value && it.starts_with(&format!("{name}.")))
    };
    said(name)
        || numbered()
        || (name == "file" && said("x-document"))
        // Neighbours as text are kept as hashes of them.
        || ["prev", "next", "x-context-pre", "x-context-post"].contains(&name.as_str())
}

/// A value of an attribute that is said twice, differently, is a property then.
fn attribute_is_said((name, value): &(String, String), after: &Meaning) -> bool {
    let has = |name: &str| after.attributes.contains(&(name.to_owned(), value.clone()));
    has(name)
        // Who made it is its author when nobody has changed it since.
        || (name == "creationid" && has("changeid"))
        || is_said(&(name.clone(), value.clone()), after)
}

fn decoded(bytes: &[u8]) -> String {
    let encoding = match bytes {
        [0xff, 0xfe, ..] => encoding_rs::UTF_16LE,
        [0xfe, 0xff, ..] => encoding_rs::UTF_16BE,
        _ => encoding_rs::UTF_8,
    };
    encoding.decode(bytes).0.into_owned()
}

/// Through a memory and out again.
fn through(bytes: &[u8], langs: [&str; 2]) -> (Vec<UnitContent>, String) {
    let options = ReadOptions::new(langs[0].parse().unwrap(), langs[1].parse().unwrap(), "f");
    let reader = formats::open(Box::new(Cursor::new(bytes.to_vec())), &options).unwrap();
    let header = FileHeader {
        source_lang: options.source_lang.clone(),
        target_lang: options.target_lang.clone(),
        tool_version: "1".into(),
    };
    let mut writer = formats::create(Format::Tmx, &header, Vec::new()).unwrap();
    let mut units = Vec::new();
    for event in reader {
        if let Event::Unit(unit) = event.unwrap() {
            let unit = Unit::new(UnitId(1), 1, unit.content);
            writer.write(&unit).unwrap();
            units.push(unit.content);
        }
    }
    (units, String::from_utf8(writer.finish().unwrap()).unwrap())
}

/// Compares the trees before and after; how many units there were.
fn compare(name: &str, bytes: &[u8], langs: [&str; 2]) -> usize {
    let Some(before) = tree(&decoded(bytes)) else { return 0 };
    let before = meanings(&before, langs);
    let (units, written) = through(bytes, langs);
    let after = meanings(&tree(&written).expect("what is written is well-formed"), langs);
    assert_eq!(after.len(), units.len(), "{name}");
    assert_eq!(before.len(), after.len(), "{name}: {langs:?}");
    for (before, after) in before.iter().zip(&after) {
        assert_eq!(before.sides, after.sides, "{name}");
        let lost: Vec<_> =
            before.attributes.iter().filter(|it| !attribute_is_said(it, after)).collect();
        assert!(lost.is_empty(), "{name}: {lost:?}\n{after:?}");
        let lost: Vec<_> = before.properties.iter().filter(|it| !is_said(it, after)).collect();
        assert!(lost.is_empty(), "{name}: {lost:?}\n{after:?}");
        assert_eq!(before.notes, after.notes, "{name}");
    }
    after.len()
}

#[test]
fn the_tree_of_a_file_means_the_same_after_a_memory() {
    let own = include_bytes!("data/exchange/levels.tmx");
    assert_eq!(compare("levels.tmx", own, ["ar", "en"]), 5);
    let changed = decoded(own).replace("&lt;b&gt;", "&lt;i&gt;");
    let [before, after] =
        [decoded(own), changed].map(|it| meanings(&tree(&it).unwrap(), ["ar", "en"]));
    assert_ne!(before, after, "the comparison sees a changed code");
}

#[test]
fn the_trees_of_real_files_mean_the_same_after_a_memory() {
    let Some(directory) = shared("data/exchange/tmx") else { return };
    let mut compared = 0;
    for entry in std::fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        let bytes = std::fs::read(&path).unwrap();
        for target in ["fr", "sr", "ja", "es"] {
            let name = path.file_name().unwrap().to_string_lossy();
            compared += compare(&name, &bytes, ["en", target]);
        }
    }
    assert!(compared > 250, "{compared}");
}

fn kit(directory: &Path, test: &str, langs: [&str; 2]) -> Vec<UnitContent> {
    let name = format!("omegat-org__data_tmx_TMXComplianceKit_ImportTest{test}.tmx");
    through(&std::fs::read(directory.join(name)).unwrap(), langs).0
}

pub(crate) fn texts(units: &[UnitContent]) -> Vec<(&str, &str)> {
    units.iter().map(|it| (it.source.text.as_str(), it.target.text.as_str())).collect()
}

/// The import tests of the kit, level 1: each is there for one thing, which its texts name.
#[test]
fn the_compliance_kit_level_1() {
    let Some(directory) = shared("data/exchange/tmx") else { return };
    let kit = |test, langs| kit(&directory, test, langs);
    // A: tabs and spaces, as references, in UTF-16.
    assert_eq!(
        texts(&kit("1A", ["en-us", "fr-ca"])),
        [
            ("First segment with [\t\t   ]", "Premier segment avec [\t\t   ]"),
            ("Second segment with [  \t\t]", "Second segment avec [  \t\t]"),
        ]
    );
    // B: white space inside of tags, quotes of both kinds, languages in any case.
    assert_eq!(
        texts(&kit("1B", ["en-us", "fr-ca"])),
        [("Text of the segment", "Texte du segment")]
    );
    // C: one pair of languages of many, in any order.
    for (target, name) in
        [("ja-jp", "Japanese"), ("fr-ca", "French Canadian"), ("es-es", "Spanish")]
    {
        let units = kit("1C", ["en-gb", target]);
        let expected = ["First", "Second", "Third"]
            .map(|it| (format!("{it} entry in UK English"), format!("{it} entry in {name}")));
        let found: Vec<_> =
            texts(&units).into_iter().map(|(a, b)| (a.to_owned(), b.to_owned())).collect();
        assert_eq!(found, expected, "{target}");
    }
    // D to H: UTF-8 with and without a mark, UTF-16 both ways, US-ASCII: characters and references are the same.
    for test in ["1D", "1E", "1F", "1G", "1H"] {
        let units = kit(test, ["en-us", "en-gb"]);
        let expected = [
            "\u{e0}=agrave, \u{e9}=eacute, \u{e6}=aelig",
            "\u{ff}=U+00FF, \u{2122}=U+2122, \u{2019}=U+2019",
            "\u{201c}=U+201C, \u{2013}=U+2013, \u{a4}=U+00A4",
        ];
        assert_eq!(texts(&units), expected.map(|it| (it, it)), "{test}");
    }
    // I: white space that only another script has.
    assert_eq!(
        texts(&kit("1I", ["en-us", "ja-jp"])),
        [("English segment with [    ]", "Japanese segment with [\u{3000}\u{3000}]")]
    );
    // J: two regions of one language; of many, only those that have both.
    for test in ["1J", "1J_many"] {
        let expected = ["First", "Second"]
            .map(|it| (format!("{it} entry in US English"), format!("{it} entry in UK English")));
        let units = kit(test, ["en-us", "en-gb"]);
        let found: Vec<_> =
            texts(&units).into_iter().map(|(a, b)| (a.to_owned(), b.to_owned())).collect();
        assert_eq!(found, expected, "{test}");
    }
    // K: each unit has a source language of its own.
    assert_eq!(
        texts(&kit("1K", ["de-de", "en-gb"])),
        [("First Entry - German", "First Entry - UK English")]
    );
    assert_eq!(
        texts(&kit("1K", ["fr-ca", "en-gb"])),
        [("Second Entry - French Canadian", "Second Entry - UK English")]
    );
    // L: every element and attribute that there is, and comments everywhere.
    let units = kit("1L", ["en-us", "fr"]);
    assert_eq!(texts(&units), [("Text of the segment.", "Texte du segment.")]);
    let unit = &units[0];
    assert_eq!((unit.author.as_str(), unit.attributes["tuid"].as_str()), ("ys", "tu001"));
    assert_eq!(unit.created, formats::parse_time("2002-05-23T09:12:00Z"));
    assert_eq!(unit.changed, unit.created);
    for (name, value) in [
        ("note", "Text of tu note 1"),
        ("note.2", "Text of tu note 2"),
        ("myPropeType", "Data"),
        ("usagecount", "100"),
        ("o-tmf", "myTM"),
        ("o-encoding", "iso-8859-1"),
        ("segtype", "block"),
    ] {
        assert_eq!(unit.attributes.get(name).map(String::as_str), Some(value), "{name}");
    }
}

/// Level 2: inline elements, which part of the text they stand around, and what belongs to what.
#[test]
fn the_compliance_kit_level_2() {
    let Some(directory) = shared("data/exchange/tmx") else { return };
    for (test, bold, from) in [("2A", "<b>", 1), ("2A-0index", "<b>", 0), ("2B", "{\\b ", 1)] {
        let units = kit(&directory, test, ["en-us", "fr-ca"]);
        let plain: Vec<&str> = units.iter().map(|it| it.source.text.as_str()).collect();
        assert_eq!(
            plain,
            [
                "The big black cat sleeps.",
                "Test for special characters = <=lt, >=gt, &=amp, \"=quot.",
                "Nested formatting = Bold+Italic+Underlined, Bold+Italic, Bold.",
                "First sentence.",
                "Second sentence.",
                "Picture: ",
                "Some text with a part highlighted.",
            ],
            "{test}"
        );
        // What stands between the two halves of each pair.
        let enclosed = |unit: usize| -> Vec<(&str, &str)> {
            let segment = &units[unit].source;
            let open = segment.tags.iter().filter(|it| it.kind == TagKind::Open);
            open.map(|tag| {
                let close = segment
                    .tags
                    .iter()
                    .find(|it| it.kind == TagKind::Close && it.pair == tag.pair)
                    .unwrap();
                let range = tag.offset_bytes as usize..close.offset_bytes as usize;
                (tag.label.as_str(), &segment.text[range])
            })
            .collect()
        };
        assert_eq!(enclosed(0), [("bold", "black"), ("ulined", "cat")], "{test}");
        assert_eq!(enclosed(1), [("bold", "<"), ("bold", ">"), ("bold", "&"), ("bold", "\"")]);
        assert_eq!(
            enclosed(2),
            [
                ("bold", "Bold+Italic+Underlined, Bold+Italic, Bold"),
                ("italic", "Bold+Italic+Underlined, Bold+Italic"),
                ("ulined", "Bold+Italic+Underlined")
            ]
        );
        assert_eq!(enclosed(6), [("special-part", "a part highlighted")]);
        assert_eq!(units[0].source.tags[0].code, bold, "{test}");
        // The other order in the other language; `x` says which is which.
        let matched = |tags: &[dhakira::unit::InlineTag]| -> Vec<_> {
            tags.iter().filter_map(|it| Some((it.match_id?, it.label.clone()))).collect()
        };
        let both = [(from, "bold".to_owned()), (from + 1, "ulined".to_owned())];
        assert_eq!(matched(&units[0].source.tags), both, "{test}");
        assert_eq!(matched(&units[0].target.tags), [both[1].clone(), both[0].clone()], "{test}");
        let kind = |unit: usize| units[unit].source.tags[0].kind;
        assert_eq!((kind(3), kind(4)), (TagKind::IsolatedOpen, TagKind::IsolatedClose));
        assert_eq!(kind(5), TagKind::Standalone);
        assert_eq!(
            units[6].target.text,
            if test == "2B" {
                "Du text avec une portion d\u{e9}limit\u{e9}e."
            } else {
                "Du texte avec une portion d\u{e9}limit\u{e9}e."
            }
        );
    }
    // C: a text inside of a code is kept in it, and not among the words.
    let units = kit(&directory, "2C", ["en-us", "fr"]);
    assert_eq!(texts(&units), [("Click  to start.", "Cliquez  pour commencer.")]);
    let image = units[0].source.tags.iter().find(|it| it.label == "image").unwrap();
    assert!(image.code.contains("Start Here!"), "{image:?}");
    assert_eq!(image.match_id, Some(3));
}
