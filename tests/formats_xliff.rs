//! XLIFF in: segments, states, tag definitions and candidates, of the versions 1.2 and 2.x and as SDL and memoQ write it.

use dhakira::formats::{self, Event, Format, ReadOptions, Unfinished};
use dhakira::unit::{DiagnosticCode, TagKind, UnitContent};

use crate::formats_exchange::{options, read};
use crate::formats_tmx::texts;

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
    assert_eq!(it.rejected, [(DiagnosticCode::MissingTarget, 1)]);
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
fn a_file_of_memo_q() {
    let bytes = include_bytes!("data/exchange/memoq.mqxliff");
    let mut options =
        ReadOptions::new("ar".parse().unwrap(), "en".parse().unwrap(), "memoq.mqxliff");
    let finished = formats::open(Box::new(&bytes[..]), &options).unwrap();
    let left_out = finished.filter(|it| matches!(it, Ok(Event::Unfinished(_)))).count();
    assert_eq!(left_out, 1, "the unit that was edited and not confirmed");
    options.unfinished = Unfinished::Keep;
    let reader = formats::open(Box::new(&bytes[..]), &options).unwrap();
    assert_eq!(reader.format(), Format::Xliff);
    let (mut units, mut told) = (Vec::new(), Vec::new());
    for event in reader {
        match event.unwrap() {
            Event::Unit(unit) => units.push(*unit),
            other => {
                let it = other.diagnostic().unwrap();
                let rejected = matches!(other, Event::Rejected(_));
                told.push((rejected, it.cause, it.place.line));
            }
        }
    }
    let targets: Vec<&str> = units.iter().map(|it| it.content.target.text.as_str()).collect();
    // The earlier version is not a translation any more; the candidate that was inserted is one of its own source.
    assert_eq!(
        targets,
        [
            "Save the file before you close the window.",
            "Save the file before you close the program.",
            "Click the  button."
        ]
    );
    let first = &units[0].content;
    let tags: Vec<_> =
        first.target.tags.iter().map(|it| (it.offset_bytes, it.kind, it.code.as_str())).collect();
    assert_eq!(tags, [(9, TagKind::Open, "<b>"), (13, TagKind::Close, "</b>")]);
    assert_eq!(first.source.tags.len(), 2);
    assert_eq!((first.author.as_str(), first.document.as_str()), ("sara", "guide.docx"));
    assert_eq!(first.changed, formats::parse_time("2024-03-05T10:20:30Z"));
    assert_eq!(first.attributes["mq:status"], "ManuallyConfirmed");
    assert_eq!(first.attributes["tuid"], "1");
    assert_eq!(units[1].content.attributes["origin"], "insertedmatch");
    assert_eq!(units[1].content.attributes["matchrate"], "85");
    let third = &units[2].content;
    assert_eq!(third.target.tags[0].code, "<mq:rxt displaytext=\"Run\" val=\"&lt;Run /&gt;\" />");
    assert_eq!(third.attributes["note"], "Is this the right name?");
    // The candidate without a source is told of; the unit without a translation is no unit.
    assert_eq!(
        told,
        [(false, DiagnosticCode::MissingSource, 28), (true, DiagnosticCode::MissingTarget, 30)]
    );
}

#[test]
fn candidates_of_xliff_2_are_units_of_their_own() {
    let text = "<xliff version='2.1' srcLang='ar' trgLang='en' xmlns:mtc='m'><file id='f'><unit id='u'>\
        <mtc:matches><mtc:match ref='#1' matchQuality='70'><source>w</source><target>C</target></mtc:match></mtc:matches>\
        <x:terms xmlns:x='x'><source>no</source><target>none</target></x:terms>\
        <segment><source>x</source><target>A</target></segment></unit></file></xliff>";
    let options = ReadOptions::new("ar".parse().unwrap(), "en".parse().unwrap(), "f");
    let reader = formats::open(Box::new(text.as_bytes()), &options).unwrap();
    let units: Vec<UnitContent> = reader
        .map(Result::unwrap)
        .map(|it| match it {
            Event::Unit(unit) => unit.content,
            other => panic!("{other:?}"),
        })
        .collect();
    assert_eq!(texts(&units), [("w", "C"), ("x", "A")]);
    assert_eq!(units[0].attributes["matchQuality"], "70");
    assert!(!units[1].attributes.contains_key("origin"));
}

/// How each format says that a machine translated a unit, and what it says otherwise.
#[test]
fn machine_translation_is_known_whatever_the_format() {
    let old = |unit: &str| {
        format!(
            "<xliff version='1.2' xmlns:sdl='s' xmlns:mq='m'><file original='f' source-language='ar' target-language='en'><body>{unit}\
             </body></file></xliff>"
        )
    };
    let sdl = |origin: &str| {
        old(&format!(
            "<trans-unit id='1'><source>a</source><seg-source><mrk mtype='seg' mid='1'>a</mrk></seg-source>\
             <target><mrk mtype='seg' mid='1'>A</mrk></target><sdl:seg-defs><sdl:seg id='1' conf='Translated' \
             origin='{origin}'/></sdl:seg-defs></trans-unit>"
        ))
    };
    let qualified = |qualifier: &str| {
        old(&format!(
            "<trans-unit id='1'><source>a</source><target state='translated' state-qualifier='{qualifier}'>A</target></trans-unit>"
        ))
    };
    let candidate = |attributes: &str| {
        old(&format!(
            "<trans-unit id='1'><alt-trans {attributes}><source>a</source><target>A</target></alt-trans></trans-unit>"
        ))
    };
    let second = |attributes: &str| {
        format!(
            "<xliff version='2.1' srcLang='ar' trgLang='en' xmlns:mtc='m'><file id='f'><unit id='u'><mtc:matches>\
             <mtc:match ref='#1' {attributes}><source>a</source><target>A</target></mtc:match></mtc:matches>\
             </unit></file></xliff>"
        )
    };
    let tmx = |author: &str| {
        format!(
            "<tmx version='1.4'><header srclang='ar'/><body><tu {author}><tuv xml:lang='ar'><seg>a</seg></tuv>\
             <tuv xml:lang='en'><seg>A</seg></tuv></tu></body></tmx>"
        )
    };
    let memoq = |status: &str| {
        old(&format!(
            "<trans-unit id='1' mq:status='{status}'><source>a</source><target>A</target></trans-unit>"
        ))
    };
    for (text, expected) in [
        (sdl("mt"), true),
        (sdl("nmt"), true),
        (sdl("tm"), false),
        (qualified("leveraged-mt"), true),
        (qualified("mt-suggestion"), true),
        (qualified("leveraged-tm"), false),
        (candidate("origin='MT'"), true),
        (candidate("origin='tm'"), false),
        (candidate(""), false),
        (second("type='mt'"), true),
        (second("type='tm'"), false),
        (tmx("changeid='MT!'"), true),
        (tmx("creationid='MT!'"), true),
        (tmx("creationid='MT!' changeid='huda'"), false),
        (memoq("MachineTranslated"), true),
        (memoq("ManuallyConfirmed"), false),
    ] {
        let mut options = ReadOptions::new("ar".parse().unwrap(), "en".parse().unwrap(), "f");
        options.unfinished = formats::Unfinished::Keep;
        let reader =
            formats::open(Box::new(std::io::Cursor::new(text.clone().into_bytes())), &options);
        let units: Vec<UnitContent> = reader
            .unwrap()
            .filter_map(|it| match it.unwrap() {
                Event::Unit(unit) => Some(unit.content),
                _ => None,
            })
            .collect();
        assert_eq!(
            units.iter().map(UnitContent::is_machine_translated).collect::<Vec<_>>(),
            [expected],
            "{text}"
        );
    }
}
